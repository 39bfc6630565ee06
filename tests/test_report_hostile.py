"""Reports of hostile captures: names that want to be markup, code or formulas; in a real browser nothing runs and
nothing is loaded.
"""

from __future__ import annotations

import csv
import gzip
import http.server
import json
import random
import re
import threading
import xml.dom.minidom
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from inspector.bundle.figures import ladder_drawing
from inspector.bundle.rendering import code, fenced
from inspector.bundle.verify import verify
from inspector.bundle.writing import Bundle, BundleRequest, write_bundle
from inspector.errors import InspectorError
from inspector.findings.judge import Analysis, judge
from inspector.reports.story import ladder
from inspector.text.zones import UTC
from tests import browser
from tests.build import Pool, certificate, facts_of, numbered, written
from tests.conftest import find
from tests.test_report import SIX, reported

PAYLOADS = [
    "<script>document.title='run'</script>",
    "<img src=http://127.0.0.1:PORT/image onerror=document.title='run'>",
    "\"><svg onload=document.title='run'>",
    "</title></style></text></svg><script src=http://127.0.0.1:PORT/s.js></script>",
    "javascript:document.title='run'",
    "{{7*7}}{% raw %}${7*7}",
    "[click](javascript:alert(1)) ![x](http://127.0.0.1:PORT/md)",
    "`` ` ``` <b>x</b>",
    "a|b|c\n| d |\n\n# heading\n- item",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\x1b]52;c;aGk=\x07\x1b[2J",
    "\u202eevil\u2066",
    "http://127.0.0.1:PORT/autolink www.evil.example",
    "--><!--",
    "&lt;script&gt;",
]


class Heard(http.server.BaseHTTPRequestHandler):
    """Counts whoever asks."""

    asked: list[str] = []  # noqa: RUF012 - shared on purpose

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Heard)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found.server_address[1]
    found.shutdown()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, server: int) -> tuple[Analysis, Bundle]:
    """A report in which every name is an attack: server names, certificates, log lines, the capture's own file name."""
    folder = tmp_path_factory.mktemp("hostile")
    payloads = [p.replace("PORT", str(server)) for p in PAYLOADS]
    flows = []
    for number, payload in enumerate(payloads):
        pool = Pool(
            name=payload.encode("utf-8", "replace").decode("latin-1")[:250],
            port=10_000 + number * 50,
            ns=1_795_000_000_000_000_000 + number * 10**9,
        )
        a, b = (
            certificate(payload[:60] or None, ("a.example.com",), issuer=payload[:60]),
            certificate(f"b{payload}"[:60], ("b.example.com",)),
        )
        session = numbered(number << 8 | 1)
        pool.full(a, session)
        pool.resumed(session)
        pool.given_up(b, numbered(number << 8 | 2), session)
        flows += pool.flows
    path = written(folder, flows, "<img src=x onerror=alert(1)>.pcap")
    log = folder / "=cmd.log"
    log.write_text(
        "".join(
            f"2026-11-18T14:13:{20 + n:02d}.100Z WARN  [{p}] [c.p.P] Error {p}\n"
            + f"javax.net.ssl.SSLException: {p}\n".replace("\n| d", " | d")
            for n, p in enumerate(payloads)
            if "\n" not in p
        )
    )
    facts = facts_of(path)
    from inspector.extract.processes import add_logs

    add_logs(facts, [str(log)])
    analysis = judge(facts)
    bundle = write_bundle(
        analysis, str(folder / "report"), BundleRequest([str(path)], command=["inspector", "report", str(path)])
    )
    return analysis, bundle


class Tags(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_the_page_holds_only_our_own_markup(hostile: tuple[Analysis, Bundle]) -> None:
    text = (hostile[1].directory / "report.html").read_text(encoding="utf-8")
    found = Tags()
    found.feed(text)
    ours = Tags()
    for name in SIX:
        ours.feed((reported(name)[1].directory / "report.html").read_text(encoding="utf-8"))
    assert found.tags <= ours.tags | {"rect", "figure", "figcaption"}
    assert not found.tags & {"script", "img", "iframe", "link", "object", "a", "form", "base"}
    assert not [
        name for name, _ in found.attributes if name.startswith("on") or name in ("href", "src", "xlink:href", "style")
    ]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "49" not in re.findall(r"<title>(.*?)</title>", text)[0]
    assert "&lt;script&gt;document.title=" in text


def test_drawings_are_well_formed(hostile: tuple[Analysis, Bundle]) -> None:
    text = (hostile[1].directory / "report.html").read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) >= 6
    for drawing in drawings:
        xml.dom.minidom.parseString(drawing)


def test_the_markdown_is_text(hostile: tuple[Analysis, Bundle]) -> None:
    text = (hostile[1].directory / "report.md").read_text(encoding="utf-8")
    parser = MarkdownIt("gfm-like")
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # bare names are no links anywhere but there
    tokens = parser.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [t for t in (*tokens, *inline) if t.type in ("html_block", "html_inline", "image")]
    links = [dict(t.attrs).get("href") for t in inline if t.type == "link_open"]
    assert all(
        str(link).startswith(("https://puppet.atlassian.net/", "https://www.secure-resumption.com", "http://BACKEND"))
        for link in links
    ), links
    assert "\x1b" not in text
    assert all(t.level == 0 for t in tokens if t.type == "heading_open")
    assert "item" not in [t.content for t in tokens if t.type == "inline" and t.level == 3]


def test_the_csv_holds_no_formula(hostile: tuple[Analysis, Bundle]) -> None:
    text = (hostile[1].directory / "connections.csv").read_text(encoding="utf-8")
    for row in csv.reader(text.splitlines()):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "|", "%"))]
    assert json.loads((hostile[1].directory / "analysis.json").read_bytes())["connections"]
    assert verify(str(hostile[1].directory)).problems == []


@pytest.mark.skipif(browser.browser() is None, reason="no browser is installed: apt-get install chromium")
def test_in_a_browser_nothing_runs_and_nothing_is_loaded(hostile: tuple[Analysis, Bundle], server: int) -> None:
    Heard.asked.clear()
    page = hostile[1].directory / "report.html"
    document = browser.content(page)
    assert "<h1>" in document
    assert "<title>run</title>" not in document
    assert "<title>Incident report: " in document
    assert not Heard.asked
    witness = page.with_name("witness.html")
    witness.write_text(
        f"<title>still</title><script>document.title='run'</script><img src='http://127.0.0.1:{server}/witness'>"
    )
    assert "<title>run</title>" in browser.content(witness)
    assert Heard.asked == ["/witness"]
    witness.unlink()


@pytest.mark.skipif(browser.browser() is None, reason="no browser is installed: apt-get install chromium")
@pytest.mark.parametrize("name", SIX)
def test_pictures_of_reports(name: str) -> None:
    """Kept under build/report-pictures, to be looked at."""
    page = reported(name)[1].directory / "report.html"
    folder = Path(__file__).parent.parent / "build" / "report-pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in ((1200, 2400), (400, 3200)):
        target = folder / f"{name}-{width}.png"
        target.unlink(missing_ok=True)
        browser.picture(page, target, width, height)
        assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert target.stat().st_size > 20_000


def test_code_and_blocks_cannot_be_left() -> None:
    for text in ("`", "``` x", "a ` b `` c", "|", "\n```\n"):
        for line in (f"x {code(text)} y",):
            [inline] = [t for t in MarkdownIt("commonmark").parse(line) if t.type == "inline"]
            assert [c.type for c in inline.children or ()] == ["text", "code_inline", "text"]
    tokens = MarkdownIt("commonmark").parse(fenced(["```", "~~~", "<b>", "````x"]))
    assert [t.type for t in tokens] == ["fence"]


def test_a_ladder_with_twenty_lanes_stays_inside(tmp_path: Path) -> None:
    analysis = judge(facts_of(find("puppet-session-ids")))
    told = ladder(analysis, analysis.document.incidents[0], UTC)
    many = told._replace(
        chapters=[chapter._replace(backend=chr(65 + i)) for i, chapter in enumerate(told.chapters * 6)]
    )
    drawing = ladder_drawing(many, {}, {})
    assert all(0 < x < drawing.width for x, _ in drawing.lanes)
    assert sorted(x for x, _ in drawing.lanes) == [x for x, _ in drawing.lanes]
    assert all(
        min(a.start, a.end) >= 0 and max(a.start, a.end) <= drawing.width and a.y < drawing.height
        for a in drawing.arrows
    )


@pytest.mark.parametrize("seed", range(24))
def test_damaged_captures_have_reports_that_hold(seed: int, tmp_path: Path) -> None:
    """Bytes changed at random: whatever comes out is named, and what the packets do not prove is not claimed."""
    chance = random.Random(seed)
    data = bytearray(
        gzip.decompress(
            find(
                chance.choice(("jdk17-abort", "silent-abort", "untrusted-ca", "renegotiation", "both-legs"))
            ).read_bytes()
        )
    )
    for _ in range(chance.choice((1, 5, 50, 500))):
        data[chance.randrange(24, len(data))] = chance.randrange(256)
    path = tmp_path / "damaged.pcap"
    path.write_bytes(data)
    try:
        analysis = judge(facts_of(path))
    except InspectorError:
        return
    for key in (None, b"k" * 32):
        bundle = write_bundle(analysis, str(tmp_path / f"{key is None}"), BundleRequest([str(path)], key=key))
        assert verify(str(bundle.directory)).problems == []
