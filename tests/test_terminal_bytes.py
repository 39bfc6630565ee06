"""Every output that may reach a terminal, of captures whose names want to move its cursor or swap its lines: no byte of
it is a control, and JSON keeps its values.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from inspector.live.outputs.metric_families import label_value
from inspector.live.outputs.metrics import escaped
from inspector.reports.formats import FORMATS
from inspector.text.safe import csv_cell
from inspector.text.terminal import TerminalText, terminal_json, terminal_text
from tests import der as d
from tests.build import Pool, capture, numbered
from tests.waiting import COMMAND_SECONDS

RAISED = "\x1b]52;c;aGk=\x07\x9b2J\x7f\u202e\u2066\u200b\u2028\u2029\x85\ufeff\U000e0041"
"""C0, C1, DEL, bidi, zero-width, line separators, a tag beyond the first plane."""


def hostile_capture() -> bytes:
    """Names in certificates of both kinds of strings, in the SNI, in issuers; a session with aborts."""
    pool = Pool(name="sni\x1b[31m\x7f.example.com")
    first, second = (
        d.certificate(d.names(d.dns(f"b{n}.example.com")), subject=d.common_name(f"=b{n}{RAISED}")) for n in (1, 2)
    )
    pool.full(first, numbered(1))
    pool.given_up(second, numbered(2), numbered(1))
    return capture(pool.flows)


def shown(written: bytes) -> str:
    """As a terminal takes it: nothing but characters that show, and line ends."""
    text = written.decode()
    odd = {hex(ord(c)) for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")}
    assert not odd
    return text


def run(*arguments: str, data: bytes = b"", **environment: str) -> tuple[bytes, bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "inspector", *arguments],
        input=data,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr


def strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return set().union(*(strings(v) for v in value.values()))
    return set().union(*map(strings, value)) if isinstance(value, list) else set()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / f"a{RAISED}.pcap"
    path.write_bytes(hostile_capture())
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_analyses(hostile: Path, form: str) -> None:
    out, err = run("analyze", str(hostile), "-T", form)
    text = shown(out)
    shown(err)
    if form == "json":
        assert any(RAISED in s for s in strings(json.loads(out)))
        assert "\\u202e" in text
        assert "\\udb40\\udc41" in text
    if form == "jsonl":
        lines = [json.loads(line) for line in text.splitlines()]
        assert any(RAISED in s for s in strings(lines))
    if form == "csv":
        assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("diff", "{}", "{}", "-T", "text"),
        ("diff", "{}", "{}", "-T", "json"),
        ("compare", "{}", "-T", "text"),
        ("compare", "{}", "-T", "json"),
        ("report", "{}", "-o", "{new}"),
        ("analyze", "{}-is-not-there"),
        ("analyze", "{}", "--filter", f"outcome:{RAISED.replace(chr(0), '')}"),
        ("analyze", "{}", f"--{RAISED}"),
        ("analyze", "{}", "-o", f"/nowhere/{RAISED}"),
        ("report", "{new}", "--verify"),
        (RAISED,),
    ],
    ids=lambda words: " ".join(words[:2]).encode("unicode_escape").decode(),
)
def test_commands_and_their_mistakes(hostile: Path, arguments: tuple[str, ...], tmp_path: Path) -> None:
    new = str(tmp_path / f"new{RAISED}")
    for written in run(*(a.replace("{new}", new).replace("{}", str(hostile)) for a in arguments)):
        shown(written)


def test_live_lines_and_metrics(tmp_path: Path) -> None:
    metrics = tmp_path / "inspector.prom"
    out, err = run("watch", "-Z", "root", "--no-journal", "--metrics", str(metrics), "-", data=hostile_capture())
    shown(err)
    lines = [json.loads(line) for line in shown(out).splitlines()]
    assert {line["record"] for line in lines} >= {"connection", "finding", "statistics", "assessment"}
    series = [line.rpartition(" ")[0] for line in shown(metrics.read_bytes()).splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))


def test_reports_are_safe_in_every_file(hostile: Path, tmp_path: Path) -> None:
    run("report", str(hostile), "-o", str(tmp_path / "new"))
    files = [p for p in (tmp_path / "new").rglob("*") if p.suffix in (".json", ".csv", ".md", ".txt")]
    assert {p.suffix for p in files} >= {".json", ".csv", ".md"}
    for path in files:
        shown(path.read_bytes())


def test_a_progress_line_may_still_be_drawn_over() -> None:
    raw = io.BytesIO()
    text = TerminalText(raw, encoding="utf-8")
    assert text.write("a\x1b[K\u2028\n") == 6
    text.control("\r\x1b[K")
    text.flush()
    assert raw.getvalue() == b"a\\x1b[K\\u2028\n\r\x1b[K"


@given(st.text(), st.text())
def test_json_keeps_its_value(key: str, value: str) -> None:
    try:
        encoded = json.dumps({key: value}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    safe = terminal_json(encoded)
    assert json.loads(safe) == {key: value}
    shown(safe)
    assert terminal_json(safe) == safe


@given(st.text())
def test_text_shows_all(text: str) -> None:
    shown(terminal_text(text).encode())


@pytest.mark.parametrize("sign", "=+-@＝＋－＠﹦﹢﹣﹫−|%｜％\t\r\n")
def test_signs_of_every_width_are_guarded(sign: str) -> None:
    behind_spaces = (f" {sign}cmd", f"\u3000{sign}") if not sign.isspace() else ()
    for text in (f"{sign}1+1", *behind_spaces):
        cell = csv_cell(text)
        assert isinstance(cell, str)
        assert cell.startswith("'")
    assert csv_cell(f"a{sign}") != f"'a{sign}"


@given(st.lists(st.text(max_size=12), unique=True, max_size=20))
def test_labels_stay_different(names: list[str]) -> None:
    assert len({escaped(label_value(name)) for name in names}) == len(names)
    for name in names:
        shown(escaped(label_value(name)).encode())
