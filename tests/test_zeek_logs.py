"""Zeek's logs, held against the columns that Zeek declares and read by a reader of Zeek's logs that is not ours."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from parsezeeklogs import ZeekLog, decode_escapes, read_zeek

from inspector.findings.judge import Analysis, judge
from inspector.reports import pooled_lines
from inspector.reports.zeek import ascii_log
from inspector.reports.zeek.analysis import ZeekLogs
from inspector.reports.zeek.columns import COLUMNS, LogColumn
from tests import der as d
from tests.build import Pool, facts_of, numbered, written
from tests.conftest import bundled, find
from tests.test_ecs import CAPTURES
from tests.test_outputs import shell
from tests.test_terminal_bytes import RAISED, shown

PUBLISHED = Path(__file__).parent / "published" / "zeek_fields.tsv"
REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "collectors.md"


@lru_cache
def published() -> dict[str, tuple[LogColumn, ...]]:
    """The columns of each log."""
    lines = [line.split("\t") for line in PUBLISHED.read_text(encoding="utf-8").splitlines()]
    parts = [line[1:] for line in lines if line[0] in ("#path", "#fields", "#types")]
    return {
        path[0]: tuple(map(LogColumn, names, kinds))
        for path, names, kinds in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def logs_of(analysis: Analysis, folder: Path, processes: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Each log, as the other reader has it."""
    logs = ZeekLogs(analysis, None, processes)
    folder.mkdir(exist_ok=True)
    for path in COLUMNS:
        with (folder / f"{path}.log").open("wb") as out:
            logs.write_log(path, out)
    return {path: list(read_zeek(folder / f"{path}.log")) for path in COLUMNS}


def stream_of(analysis: Analysis, processes: int = 1) -> dict[str, list[dict[str, Any]]]:
    """The same of the stream of JSON."""
    out = io.BytesIO()
    ZeekLogs(analysis, None, processes).write_json(out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    return {path: [row for row in rows if row["_path"] == path] for path in COLUMNS}


@pytest.mark.parametrize("path", COLUMNS)
def test_columns_are_zeeks_and_behind_them_ours(path: str) -> None:
    zeeks, ours = published()[path], COLUMNS[path][len(published()[path]) :]
    assert COLUMNS[path][: len(zeeks)] == zeeks
    assert all(column.name.startswith("inspector.") for column in ours)
    text = REFERENCE.read_text(encoding="utf-8")
    assert not [column.name for column in ours if f"`{column.name}`" not in text]


@pytest.mark.parametrize("name", CAPTURES)
def test_another_reader_reads_what_is_written(name: str, tmp_path: Path) -> None:
    analysis = bundled(name)
    logs, problems = logs_of(analysis, tmp_path), []
    for path, columns in COLUMNS.items():
        with ZeekLog(tmp_path / f"{path}.log", on_error=lambda *what: problems.append(what)) as log:
            list(log.records())
            assert (log.path, log.fields) == (path, [column.name for column in columns])
            assert [*log.types] in ([kind for _, kind in columns], [name for name, _ in columns])
    assert not problems
    rows = list(analysis.connections())
    assert len(logs["conn"]) == sum(1 + len(row.legs) for row in rows)
    by_uid = {row["uid"]: row for row in logs["ssl"]}
    for row in rows:
        h, log = row.handshakes[0], by_uid[f"C{row.id}"]
        assert log["id.orig_h"] == row.client_endpoint.ip
        assert log["id.resp_p"] == row.server_endpoint.port
        assert log["server_name"] == h.server_name
        assert log["cipher"] == (h.cipher.name if h.cipher else None)
        assert log["resumed"] is (None if h.kind is None else h.kind != "full")
        assert log["cert_chain_fps"] == (h.server_chain or None)
        assert log["client_cert_chain_fps"] == (h.client_chain or None)
        assert (log["ja3"], log["ja3s"], log["inspector.ja4"]) == (h.ja3, h.ja3s, h.ja4)
        assert log["inspector.outcome"] == row.outcome
        assert log["inspector.java_verdict"] == h.jsse.verdict
        assert (log["curve"] is not None) == (
            h.version == "TLSv1.3" or (h.kind == "full" and "_ECDHE_" in str(log["cipher"]))
        )
        assert (log["sni_matches_cert"] is None) == (h.server_name is None or not h.server_chain)
    fingerprints = {fp for row in rows for h in row.handshakes for fp in (*h.server_chain, *h.client_chain)}
    assert {row["fingerprint"] for row in logs["x509"]} == fingerprints
    assert [row["inspector.finding"] for row in logs["notice"]] == [f.id for f in analysis.document.findings]


@pytest.mark.parametrize("name", CAPTURES)
def test_both_forms_say_the_same(name: str, tmp_path: Path) -> None:
    logs, stream = logs_of(bundled(name), tmp_path), stream_of(bundled(name))
    for path, rows in logs.items():
        known = [{field: value for field, value in row.items() if value is not None} for row in rows]
        said = [{field: value for field, value in row.items() if field != "_path"} for row in stream[path]]
        assert [*map(_rounded, known)] == [*map(_rounded, said)]


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: round(float(value), 6) if type(value) in (float, int) else value for name, value in row.items()}


def test_times_are_of_the_epoch_to_the_microsecond(tmp_path: Path) -> None:
    pool = Pool(ns=1_700_000_000_123_456_789)
    pool.full(d.certificate(), numbered(1))
    logs_of(judge(facts_of(written(tmp_path, pool.flows))), tmp_path / "logs")
    line = (tmp_path / "logs" / "conn.log").read_text(encoding="utf-8").splitlines()[8]
    assert line.startswith("1700000000.123456\tC")


SECONDS = {
    0: "0.000000",
    1_999: "0.000001",
    1_700_000_000_999_999_999: "1700000000.999999",
    -500_000_000: "-0.500000",
    -1_500_000_000: "-1.500000",
}


@pytest.mark.parametrize("ns", SECONDS)
def test_seconds(ns: int) -> None:
    assert ascii_log.seconds(ns) == SECONDS[ns]


TEXTS = {
    "": "(empty)",
    "-": r"\x2d",
    "(empty)": r"\x28empty)",
    "--": "--",
    "a\tb\nc": r"a\x09b\x0ac",
    "a\\x09": r"a\\x09",
    "#": "#",
    "é": "é",
    "\u202e": r"\xe2\x80\xae",
    "\x7f\x9b": r"\x7f\xc2\x9b",
    RAISED: None,
}


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_texts_are_escaped_as_zeek_does(text: str) -> None:
    line = ascii_log.row((LogColumn("a", "string"), LogColumn("b", "string")), {"a": text, "b": "end"}).decode()
    shown(line.replace("\t", "").encode())
    field, end = line[:-1].split("\t")
    assert end == "end"
    assert TEXTS[text] in (None, field)
    assert decode_escapes(field) == text or not text


LISTS: dict[str, tuple[list[str] | None, str]] = {
    "unset": (None, "-"),
    "empty": ([], "(empty)"),
    "two": (["a", "b"], "a,b"),
    "separators": (["a,b", "-", "(empty)", "c\td"], r"a\x2cb,\x2d,\x28empty),c\x09d"),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str) -> None:
    value, expected = LISTS[name]
    assert ascii_log.row((LogColumn("a", "vector[string]"),), {"a": value}).decode() == f"{expected}\n"


def test_hostile_names_come_back(tmp_path: Path) -> None:
    pool = Pool(name="sni\t\x1b[31m,\\x09.example.com")
    der = d.certificate(d.names(d.dns("b.example.com")), subject=d.common_name(f"=b,{RAISED}"))
    pool.full(der, numbered(1))
    logs = logs_of(judge(facts_of(written(tmp_path, pool.flows))), tmp_path / "logs")
    assert logs["ssl"][0]["server_name"] == "sni\t\x1b[31m,\\x09.example.com"
    subject = logs["x509"][0]["certificate.subject"]
    assert subject.startswith("CN==b\\,")
    assert subject.isascii()
    assert subject.isprintable()
    for path in COLUMNS:
        shown((tmp_path / "logs" / f"{path}.log").read_bytes())


ALERTS = {42: "bad_certificate", 48: "unknown_ca", 200: "unknown-200"}


@pytest.mark.parametrize("code", ALERTS)
def test_alerts(code: int, tmp_path: Path) -> None:
    pool = Pool()
    pool.given_up(d.certificate(), numbered(1), alert=code)
    (row,) = logs_of(judge(facts_of(written(tmp_path, pool.flows))), tmp_path / "logs")["ssl"]
    assert (row["last_alert"], row["established"]) == (ALERTS[code], False)


def test_certificates_once_for_each_way_in_which_they_were_shown(tmp_path: Path) -> None:
    rows = logs_of(bundled("mutual-tls"), tmp_path)["x509"]
    keys = [(row["fingerprint"], row["host_cert"], row["client_cert"]) for row in rows]
    assert len(keys) == len(set(keys))
    assert {row["client_cert"] for row in rows} == {row["host_cert"] for row in rows} == {True, False}
    leaf = next(row for row in rows if row["host_cert"])
    assert (leaf["certificate.key_alg"], leaf["certificate.key_type"]) == ("rsaEncryption", "rsa")
    assert leaf["certificate.key_length"] == 2048
    assert leaf["certificate.sig_alg"] == "sha256WithRSAEncryption"
    assert leaf["certificate.not_valid_before"] < leaf["ts"] < leaf["certificate.not_valid_after"]
    assert (leaf["certificate.version"], leaf["certificate.exponent"]) == (3, "65537")


def test_legs_are_flows_of_their_own(tmp_path: Path) -> None:
    logs = logs_of(bundled("both-legs"), tmp_path)
    legs = {row["uid"]: row for row in logs["conn"] if row["inspector.leg"]}
    for row in logs["ssl"]:
        (uid,) = row["inspector.leg_uids"]
        assert legs[uid]["inspector.connection"] == row["uid"][1:]
        assert legs[uid]["id.orig_h"] != row["id.orig_h"]
    assert len(legs) == len(logs["ssl"])


def test_uids_are_the_same_each_time() -> None:
    first, again = (judge(facts_of(find("tickets"))) for _ in range(2))
    assert stream_of(first) == stream_of(again)


def test_several_cores_write_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pooled_lines, "CHUNK", 3)
    analysis = bundled("puppet-session-ids")
    assert stream_of(analysis, 3) == stream_of(analysis, 1)
    assert logs_of(analysis, tmp_path / "a", 3) == logs_of(analysis, tmp_path / "b", 1)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_takes_a_log_for_each_kind(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    if there:
        folder.mkdir()
    command = ("analyze", str(find("silent-abort")), "-T", "zeek", "-o", f"{folder}" if there else f"{folder}/")
    done = shell('"$@"', *command, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert {path.name for path in folder.iterdir()} == {f"{path}.log" for path in COLUMNS}
    assert len(list(read_zeek(folder / "ssl.log"))) == 40


REFUSED = {
    "a folder, of a form that is one file": ("-T", "ecs", "{new}"),
    "a folder in what is none": ("-T", "zeek", "/dev/null/logs/"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_named(case: str, tmp_path: Path) -> None:
    *options, output = REFUSED[case]
    (tmp_path / "new").mkdir()
    done = shell('"$@"', "analyze", str(find("tls10")), *options, "-o", output, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(b"inspector: ")


def test_a_filter_leaves_out_connections_and_their_certificates(tmp_path: Path) -> None:
    analysis = bundled("silent-abort")
    out = io.BytesIO()
    ZeekLogs(analysis, lambda observed: observed.outcome == "aborted").write_json(out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {row["inspector.outcome"] for row in rows if row["_path"] == "ssl"} == {"aborted"}
    assert sum(row["_path"] == "notice" for row in rows) == len(analysis.document.findings)
