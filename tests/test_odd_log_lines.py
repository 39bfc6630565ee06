"""Lines of logs at the edge of what a reader takes: what is read of them, what is counted, and what is remembered."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from inspector.findings.wording import worded
from inspector.logs import envelope, haproxy, puppetserver, reading
from inspector.logs.entries import UNKNOWN, Failure, LogFacts
from inspector.logs.haproxy import HaproxyLog
from inspector.logs.puppetserver import PuppetServerLog, completed
from inspector.logs.reading import Entries, read_log
from inspector.logs.stamps import stamp_in
from tests.test_logs import TCP

HEAD = "2026-11-23T17:10:17.080Z ERROR [t] [c.p.X] Error executing http request"
UNTRUSTED = "javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find it"
OTHER = "javax.net.ssl.SSLException: of no known kind"


def entries_of(*lines: str, clients: frozenset[tuple[str, int]] | None = None) -> LogFacts:
    """What the lines of one log say, each handed on by itself."""
    facts = LogFacts("some.log", UNKNOWN)
    entries = Entries(facts, clients)
    for number, line in enumerate(lines, 1):
        entries.line(number, line.encode())
    return facts


def failures_of(*lines: str) -> list[Failure]:
    return entries_of(*lines).failures


@pytest.mark.parametrize(
    ("behind", "kind", "message"),
    [
        ([OTHER], "other", "of no known kind"),
        ([OTHER, f"Caused by: {UNTRUSTED}"], "untrusted", "PKIX path building failed: unable to find it"),
        ([UNTRUSTED, f"Caused by: {OTHER}"], "untrusted", "PKIX path building failed: unable to find it"),
        (["javax.net.ssl.SSLException", "Caused by: java.io.IOException: x"], "other", "javax.net.ssl.SSLException"),
    ],
)
def test_the_most_telling_exception_of_an_event_counts(behind: list[str], kind: str, message: str) -> None:
    [failure] = failures_of(HEAD, *behind)
    assert (failure.kind, failure.message) == (kind, message)
    assert failure.lines == [HEAD, failure.detail]
    assert failure.alert == ""


def test_an_alert_has_its_name() -> None:
    [failure] = failures_of(HEAD, "javax.net.ssl.SSLHandshakeException: Received fatal alert: unknown_ca")
    assert (failure.kind, failure.alert) == ("alert_received", "unknown_ca")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Puppet Error connecting to https://db:8081/pdb/cmd/v1?command=store_report", ("db", 8081, "store_report")),
        ("Puppet Error connecting to db on 8081", ("", 0, "")),
        ("Puppet Error connecting to https://db:808100/a/b", ("", 0, "")),
        ("Puppet Error connecting to https://[db/a/b", ("", 0, "")),
        ("Puppet Failed to execute '/pdb/query/v4/resources?x=y' on at least 1", ("", 0, "resources")),
        ("Puppet Failed to execute something on node n1", ("", 0, "")),
        ("somebody else's Failed to execute '/a/b'", ("", 0, "")),
    ],
)
def test_which_request_it_was(said: str, expected: tuple[str, int, str]) -> None:
    [failure] = failures_of(HEAD, UNTRUSTED, f"2026-11-23T17:10:17.090Z ERROR [t] [p.s] {said}")
    assert (failure.host, failure.port, failure.request) == expected


QUERY = "Puppet Failed to execute '/pdb/query/v4?query=%5B%22%3D%22%2C%22certname%22%2C%22{}%22%5D'"


def test_for_which_node_it_was() -> None:
    def node(*said: str) -> str:
        lines = [f"2026-11-23T17:10:17.09{n}Z ERROR [t] [p.s] {text}" for n, text in enumerate(said)]
        return failures_of(HEAD, UNTRUSTED, *lines)[0].node

    assert node(QUERY.format("n1")) == "n1"
    assert node("Puppet Error connecting to https://db/cmd?certname=n2") == "n2"
    assert node("Puppet Server Error: catalog on node n3") == "n3"
    assert node("Puppet Failed on node n3", QUERY.format("n1")) == "n3"
    assert node("Puppet Failed on node n3", "Puppet Error connecting to https://db/cmd?certname=n2") == "n3"
    assert node("Puppet Server Error: on node n3", "Puppet Failed on node n4") == "n3"


def test_lines_of_the_same_second_name_the_format() -> None:
    facts = LogFacts("x", UNKNOWN)
    reader = PuppetServerLog(facts)
    assert not reader.line(1, b"2026-11-23T17:10:17 no entry")
    assert reader.line(2, b"2026-11-23T17:10:17.080Z INFO  with brackets nowhere")
    assert facts.form == UNKNOWN
    assert reader.line(3, b"2026-11-23T17:10:17.080Z INFO  [t] [c.p.X] said")
    assert facts.form == "puppetserver"


COLLECTED = stamp_in(b"2026-11-23T17:10:18Z")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-11-23 18:10:17,080 ERROR [c.p.X] E", "2026-11-23 18:10:17,080+01:00 ERROR [c.p.X] E"),
        ("2026-11-23 13:40:17,080 ERROR [c.p.X] E", "2026-11-23 13:40:17,080-03:30 ERROR [c.p.X] E"),
        ("2026-11-23 17:10:17 ERROR [c.p.X] E", "2026-11-23 17:10:17+00:00 ERROR [c.p.X] E"),
        ("2026-11-23 17:17:17,080 ERROR [c.p.X] E", None),
        ("2026-11-25 17:10:17,080 ERROR [c.p.X] E", None),
        ("2026-99-99 17:10:17,080 ERROR [c.p.X] E", None),
        ("2026-11-23T18:10:17.080+01:00 ERROR [c.p.X] E", None),
        ("ERROR [c.p.X] E", "2026-11-23T17:10:18Z ERROR [c.p.X] E"),
        ("no entry", None),
    ],
)
def test_what_a_collector_knows_of_the_time(line: str, expected: str | None) -> None:
    assert COLLECTED is not None
    assert completed(line.encode(), COLLECTED).decode() == (expected or line)
    if line[:1] == "2":
        assert completed(line.encode(), COLLECTED._replace(has_zone=False)).decode() == line


def test_failures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puppetserver, "MOST_FAILURES", 3)
    monkeypatch.setattr(puppetserver, "MOST_THREADS", 2)
    lines = [
        line
        for n in range(5)
        for line in (HEAD.replace("[t]", f"[t-{n}]"), UNTRUSTED, HEAD.replace("[t]", f"[t-{n}]") + " Puppet on node n")
    ]
    facts = entries_of(*lines)
    assert [f.thread for f in facts.failures] == ["t-0", "t-1", "t-2"]
    assert "3" in worded(facts.problem)
    behind = "2026-11-23T17:10:18.080Z ERROR [{}] [p.s] Puppet Server Error: on node n"
    failing = [line for line in lines if "Puppet" not in line]
    forgotten = entries_of(*failing[:6], behind.format("t-0"), behind.format("t-2"))
    assert [f.node for f in forgotten.failures] == ["", "", "n"]


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "MOST_CONNECTIONS", 2)
    plain = [TCP.replace("34798", str(port)) for port in (1, 2, 3)]
    named = [f"client=10.0.0.1:{port} time=2026-11-23T17:10:17Z server=a be=b" for port in (1, 2, 3)]
    for lines in (plain, named):
        facts = entries_of(*lines)
        assert [p.port for p in facts.proxied] == [1, 2]
        assert "2" in worded(facts.problem)


def test_clients_that_nobody_looks_for_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """However their lines are written, and however many addresses are remembered."""
    monkeypatch.setattr(haproxy, "ADDRESSES", 2)
    ours = TCP.replace("127.0.0.1", "10.0.0.1")
    others = [TCP.replace("127.0.0.1", address) for address in ("10.0.0.2", "10.0.0.3", "::1", "10.0.0.2", "1.2.3")]
    named = "client=10.0.0.2:5 time=2026-11-23T17:10:17Z server=a be=b"
    facts = entries_of(ours, *others, named, ours, clients=frozenset({("10.0.0.1", 34798)}))
    assert [(p.client, p.line) for p in facts.proxied] == [("10.0.0.1", 1), ("10.0.0.1", 8)]
    assert facts.others == 6
    assert facts.untimed == 0


@pytest.mark.parametrize(
    "line",
    [
        TCP.replace("23/Nov", "31/Nov"),
        TCP.replace("127.0.0.1", "127.0.0.256"),
        "client=10.0.0.1:5 server=a be=b",
        "haproxy[1]: Connect from 10.0.0.1:5 to 10.0.0.9:8081 (vip/TCP)",
    ],
)
def test_lines_of_a_connection_without_a_time_are_counted(line: str) -> None:
    reader = HaproxyLog(facts := LogFacts("x", UNKNOWN))
    assert reader.line(1, line.encode())
    assert (facts.form, facts.untimed, facts.proxied) == ("haproxy", 1, [])


def test_programs_and_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More programs in one file than are kept apart: a line whose pieces were forgotten is lost, and no other."""
    monkeypatch.setattr(reading, "SOURCES", 2)
    failing = [f"p{n}-1 | {line}" for n in range(4) for line in (HEAD, UNTRUSTED)]
    assert len(failures_of(*failing)) == 4
    monkeypatch.setattr(envelope, "SOURCES", 1)
    when = "2026-11-23T17:10:18.000000000Z std"
    begun = [f"{when}out F {HEAD}", f"{when}out F {UNTRUSTED}"]
    pieces = [f"{when}out P {HEAD[:30]}", f"{when}err P {HEAD[:30]}", f"{when}err F {HEAD[30:]}"]
    assert len(failures_of(*begun, *pieces, f"{when}err F {UNTRUSTED}")) == 2
    assert len(failures_of(*begun, *pieces, f"{when}out F {HEAD[30:]}", f"{when}out F {UNTRUSTED}")) == 1


def test_a_piece_more_costs_no_more_than_it_is_long() -> None:
    """However much of its line came before: what is kept is not copied for it."""
    entries = Entries(LogFacts("some.log", UNKNOWN))
    when = "2026-11-23T17:10:18.000000000Z stdout"
    for number, line in enumerate((f"{when} F {HEAD}", f"{when} F {UNTRUSTED}", *[f"{when} P {'y' * 60_000}"] * 20)):
        entries.line(number, line.encode())
    piece = f"{when} P {'y' * 10}".encode()
    tracemalloc.start()
    for number in range(10):
        entries.line(number, piece)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100_000


def test_what_is_neither_file_nor_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a.log")
        assert "is a socket" in worded(read_log("a.log").problem)


def test_what_takes_the_place_of_a_log_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and its opening: what was opened counts, and nothing stays open."""
    log = tmp_path / "some.log"
    log.write_text(f"{TCP}\n")
    seen = log.stat()
    monkeypatch.setattr("inspector.logs.sources.os.stat", lambda path: seen)
    before = set(os.listdir("/proc/self/fd"))
    assert "is a device" in worded(read_log("/dev/zero").problem)
    assert set(os.listdir("/proc/self/fd")) <= before, "others may be closed meanwhile"
