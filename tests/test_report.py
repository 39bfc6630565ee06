"""Incident bundles: what is in them, that their numbers are those of the analysis, that their packets prove what they
say.
"""

from __future__ import annotations

import atexit
import csv
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from markdown_it import MarkdownIt

from inspector.bundle.manifest import load
from inspector.bundle.scope import ScopeRequest
from inspector.bundle.slices import signature
from inspector.bundle.verify import verify
from inspector.bundle.writing import Bundle, BundleRequest, write_bundle
from inspector.errors import UsageError
from inspector.extract.processes import add_logs, extract
from inspector.findings.case import Options
from inspector.findings.judge import Analysis, judge
from inspector.reports import overview
from inspector.reports.lines import plain
from tests.build import MS, Pool, certificate, certificates, message, numbered, record, server_hello, written
from tests.conftest import CAPTURES, find
from tests.waiting import COMMAND_SECONDS

SIX = {
    "jdk17-abort": "confirmed",
    "puppet-session-ids": "confirmed",
    "mixed-pool": "confirmed",
    "exposed": "exposed",
    "strict-round-robin": "protected",
    "untrusted-ca": "not_this",
}
"""Captures by the state of their main service: an alert, silent closes with logs, a mixed pool, exposed, protected,
another failure.
"""


def analysis_of(path: Path, logs: Sequence[Path] = (), options: Options | None = None) -> Analysis:
    facts = extract([str(path)])
    add_logs(facts, [str(log) for log in logs])
    return judge(facts, options or Options())


def logs_of(name: str) -> list[Path]:
    return sorted(CAPTURES.glob(f"{name}.*.log.gz"))


@lru_cache(maxsize=16)
def reported(name: str, *, redact: bool = False) -> tuple[Analysis, Bundle]:
    """A bundle of a bundled capture, with its logs where it has some."""
    folder = mkdtemp(prefix="inspector-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    directory = Path(folder) / "report"
    analysis = analysis_of(find(name), logs_of(name))
    bundle = write_bundle(
        analysis,
        str(directory),
        BundleRequest([str(find(name))], command=["inspector", "report", name], key=b"k" * 32 if redact else None),
    )
    return analysis, bundle


def small(folder: Path) -> Path:
    """Four connections of an exposed pool."""
    pool = Pool()
    a, b = certificate("a", ("a.example.com",)), certificate("b", ("b.example.com",))
    pool.full(a, numbered(1))
    pool.resumed(numbered(1))
    pool.full(b, numbered(2))
    pool.resumed(numbered(2))
    return written(folder, pool.flows)


@pytest.mark.parametrize("name", SIX)
def test_the_bundle_says_what_the_analysis_says(name: str) -> None:
    analysis, bundle = reported(name)
    document = analysis.document
    html, markdown = ((bundle.directory / f).read_text(encoding="utf-8") for f in ("report.html", "report.md"))
    written_json = json.loads((bundle.directory / "analysis.json").read_bytes())
    with open(bundle.directory / "connections.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    service = overview.ordered(document)[0]
    assert service.assessment.state == SIX[name]
    assert len(rows) == len(written_json["connections"]) == analysis.count
    largest = next(s for s in written_json["services"] if s["id"] == service.id)
    assert (largest["full"], largest["resumed"], largest["aborted"], largest["other"]) == (
        service.full,
        service.resumed,
        service.aborted,
        service.other,
    )
    assert (
        largest["full"] + largest["resumed"] + largest["aborted"] + largest["other"] + largest["health_checks"]
        == largest["connections"]
    )
    checks = {c["id"] for c in written_json["connections"] if c["health_check"]}
    assert (
        sum(
            r["outcome"] == "aborted" and r["service"] == f"{service.name}:{service.port}" and r["id"] not in checks
            for r in rows
        )
        == service.aborted
    )
    [total] = [list(map(plain, row)) for row in overview.pool_rows(document, service, 60) if row[0] == "all"]
    cells = "".join(f"<td>{cell}</td>" for cell in total)
    assert cells in html
    assert f"| {' | '.join(total)} |".replace("  ", " ") in re.sub(r" +", " ", markdown)
    for text in (html, markdown.replace("\\", "")):
        unescaped = text.replace("&#39;", "'").replace("&#34;", '"')
        assert overview.sentence(service) in unescaped
        if service.assessment.do != "nothing":
            assert service.assessment.do.split(";")[0].split("|")[0] in unescaped
    aborted = sum(f.rule == "certificate-change-abort" for f in document.findings)
    assert bundle.incidents == aborted == len(written_json["incidents"])
    assert html.count("<code>") >= aborted


@pytest.mark.parametrize("name", SIX)
def test_the_markdown_renders(name: str) -> None:
    text = (reported(name)[1].directory / "report.md").read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = [t.type for t in tokens]
    assert kinds.count("heading_open") >= 4
    assert kinds.count("table_open") >= 2
    for i, token in enumerate(tokens):
        if token.type == "tr_open":
            row = kinds[i : kinds.index("tr_close", i)]
            assert len([k for k in row if k in ("th_open", "td_open")]) in (4, 5, 6, 8, 11, 2, 3, 7, 9, 10, 12)
    assert not [t for t in tokens if t.type == "html_block"]
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "|---" not in html


@pytest.mark.parametrize("name", SIX)
def test_the_packets_prove_it(name: str) -> None:
    analysis, bundle = reported(name)
    verdict = verify(str(bundle.directory))
    assert verdict.problems == []
    proof = load(bundle.directory).evidence
    assert proof is not None
    assert proof.not_proven == []
    ids = {f.id for f in analysis.document.findings if f.rule != "capture-incomplete"}
    assert {f.id for f in proof.findings} == ids
    assert set(proof.findings) == {signature(f) for f in analysis.document.findings if f.id in ids}


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_the_packets_open_in_tshark() -> None:
    _, bundle = reported("puppet-session-ids")
    path = str(bundle.directory / "evidence.pcapng")
    command = ["tshark", "-r", path, "-Y", "frame.comment", "-T", "fields", "-e", "frame.number", "-e", "frame.comment"]
    lines = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=COMMAND_SECONDS
    ).stdout.splitlines()
    declined = [line for line in lines if "certificate-change-abort, declined" in line]
    assert len(declined) == 46  # offer and answer of each
    assert all("Original frame" in line for line in lines)
    expert = subprocess.run(
        ["tshark", "-r", path, "-Y", "_ws.malformed"],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    ).stdout
    assert expert == ""
    hellos = subprocess.run(
        ["tshark", "-r", path, "-Y", "tls.handshake.type == 11"],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    ).stdout
    assert len(hellos.splitlines()) > 23


def test_statements_say_where_they_stand() -> None:
    analysis, bundle = reported("puppet-session-ids")
    again = extract([str(bundle.directory / "evidence.pcapng")])
    alone = {s.id: s for s in judge(again).case.observed}
    case = analysis.case
    html = (bundle.directory / "report.html").read_text(encoding="utf-8")
    incident = analysis.document.incidents[0]
    seen = next(s for s in case.observed if s.id == incident.connections[-1])
    before, after = seen.client_leg.handshake.answer_frame, alone[seen.id].client_leg.handshake.answer_frame
    assert before != after
    assert (
        f'frame {before} <span class="dim">evidence {after}</span> <code class="copy">frame.number == {after}</code>'
        in html
    )


def test_application_data_is_cut_and_lengths_are_kept() -> None:
    analysis, bundle = reported("puppet-session-ids")
    again = judge(extract([str(bundle.directory / "evidence.pcapng")])).case
    whole = {s.id: s.client_leg for s in analysis.case.observed}
    shorter = 0
    for seen in again.observed:
        old, new = whole[seen.id], seen.client_leg
        assert (new.handshake.messages, new.handshake.chain, new.alerts[:1] and new.alerts[0].code) == (
            old.handshake.messages,
            old.handshake.chain,
            old.alerts[:1] and old.alerts[0].code,
        )
        assert new.from_client.bytes + new.from_client.gap == old.from_client.bytes + old.from_client.gap
        assert new.from_client.application_bytes == old.from_client.application_bytes
        shorter += new.from_client.bytes < old.from_client.bytes
    assert shorter > 40


def test_one_incident_and_a_time_range(tmp_path: Path) -> None:
    analysis = analysis_of(find("puppet-session-ids"))
    incidents = analysis.document.incidents
    paths = [str(find("puppet-session-ids"))]
    one = write_bundle(
        analysis, str(tmp_path / "one"), BundleRequest(paths, ScopeRequest(incident=incidents[3].id[:6]))
    )
    assert one.incidents == 1
    assert verify(str(one.directory)).problems == []
    text = (one.directory / "report.md").read_text()
    assert incidents[3].id in text
    assert incidents[4].id not in text
    assert "about 1 of 23 incidents" in text
    some = write_bundle(
        analysis,
        str(tmp_path / "some"),
        BundleRequest(paths, ScopeRequest(since="17:28:40", until="2026-11-23T17:28:44Z")),
    )
    assert some.incidents == sum("17:28:40" <= i.at[11:19] < "17:28:44" for i in incidents)
    for wish, problem in (
        (ScopeRequest(incident="zz"), "no incident begins with zz"),
        (ScopeRequest(incident=""), ""),
        (ScopeRequest(since="25:99"), "no time"),
        (ScopeRequest(since="2027-01-01T00:00:00Z"), "nothing was found"),
    ):
        if problem:
            with pytest.raises(UsageError, match=problem):
                write_bundle(analysis, str(tmp_path / "none"), BundleRequest(paths, wish))
    assert not (tmp_path / "none").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_where_it_is_written(tmp_path: Path) -> None:
    path = small(tmp_path)
    analysis = analysis_of(path)
    target = tmp_path / "report"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        write_bundle(analysis, str(target), BundleRequest([str(path)]))
    (target / "mine.txt").unlink()
    write_bundle(analysis, str(target), BundleRequest([str(path)]))
    (target / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds a report already"):
        write_bundle(analysis, str(target), BundleRequest([str(path)]))
    write_bundle(analysis, str(target), BundleRequest([str(path)], is_forced=True))
    assert (target / "mine.txt").read_text() == "mine"
    assert verify(str(target)).problems == []
    with pytest.raises(UsageError, match="Not a directory"):
        write_bundle(analysis, str(target / "mine.txt" / "report"), BundleRequest([str(path)]))


def test_verify_sees_what_was_changed(tmp_path: Path) -> None:
    path = small(tmp_path)
    bundle = write_bundle(analysis_of(path), str(tmp_path / "report"), BundleRequest([str(path)]))
    place = bundle.directory
    markdown = place / "report.md"
    markdown.write_text(markdown.read_text().replace("Exposed", "Protected"))
    assert verify(str(place)).problems == ["report.md was changed"]
    markdown.unlink()
    assert verify(str(place)).problems == ["report.md is missing"]
    evidence = place / "evidence.pcapng"
    evidence.write_bytes(evidence.read_bytes()[:200])
    problems = verify(str(place)).problems
    assert "evidence.pcapng was changed" in problems
    assert any("does not come out again" in p or "evidence" in p for p in problems[2:])
    (place / "MANIFEST.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        verify(str(place))


def test_without_packets_there_is_a_report(tmp_path: Path) -> None:
    analysis = analysis_of(find("silent-abort"))
    bundle = write_bundle(analysis, str(tmp_path / "report"), BundleRequest(["-"]))
    assert not (bundle.directory / "evidence.pcapng").exists()
    assert "standard input cannot be read a second time" in (bundle.directory / "report.md").read_text()
    assert verify(str(bundle.directory)).problems == []


def test_very_many_services(tmp_path: Path) -> None:
    flows = []
    a = certificate("a", ("a.example.com",))
    for number in range(300):
        pool = Pool(name=f"s{number}.example.com", port=2_000 + number * 10, ns=1_795_000_000_000_000_000 + number * MS)
        pool.full(a, numbered(number << 8))
        flows += pool.flows
    path = written(tmp_path, flows)
    bundle = write_bundle(analysis_of(path), str(tmp_path / "report"), BundleRequest([str(path)]))
    text = (bundle.directory / "report.md").read_text()
    assert "and 188 more; analysis.json has all" in text
    assert (bundle.directory / "report.html").stat().st_size < 500_000
    assert verify(str(bundle.directory)).problems == []


class Wide(Pool):
    """Its certificates may be larger than a record."""

    def _flight(self, flow, der: bytes, answered: bytes, ems: bool) -> None:  # type: ignore[no-untyped-def]
        said = (
            server_hello(numbered(flow.port + (1 << 20)), answered, ems=ems)
            + certificates(der)
            + message(12, b"s" * 70)
            + message(14, b"")
        )
        for i in range(0, len(said), 16_000):
            flow.server_says(record(22, said[i : i + 16_000]))


def test_ten_thousand_names_and_ten_thousand_incidents(tmp_path: Path) -> None:
    many = tuple(f"h{i}.example.com" for i in range(10_000))
    wide, other = certificate("many", many), certificate("other", ("other.example.com",))
    pool = Wide()
    pool.full(wide, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(other, numbered(2), numbered(1))
    path = written(tmp_path, pool.flows, "wide.pcap")
    bundle = write_bundle(analysis_of(path), str(tmp_path / "wide"), BundleRequest([str(path)]))
    assert bundle.incidents == 1
    assert (bundle.directory / "report.html").stat().st_size < 200_000
    flows = []
    a, b = certificate("a", ("a.example.com",)), certificate("b", ("b.example.com",))
    for client in range(1, 6):
        narrow = Pool(
            client=f"10.0.{client}.9", port=4_000 + client * 6_100, ns=1_795_000_000_000_000_000 + client * MS
        )
        for number in range(2_000):
            session = numbered(client << 24 | number)
            narrow.full(a, session)
            narrow.resumed(session)
            narrow.given_up(b, numbered(client << 28 | number), session)
        flows += narrow.flows
    path = written(tmp_path, flows, "many.pcap")
    analysis = analysis_of(path)
    bundle = write_bundle(analysis, str(tmp_path / "many"), BundleRequest([str(path)]))
    assert bundle.incidents == 10_000
    assert (bundle.directory / "report.html").stat().st_size < 5_000_000
    assert (bundle.directory / "report.md").stat().st_size < 5_000_000
    proof = load(bundle.directory).evidence
    assert proof is not None
    assert proof.incidents == 200
    assert "Of 10000 incidents the packets of 200 are in it" in (bundle.directory / "report.html").read_text()
    assert verify(str(bundle.directory)).problems == []
