"""Logs as facts: every era of puppetserver.log, HAProxy's formats, and files that are neither."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from inspector.findings.wording import worded
from inspector.logs import formats, reading
from inspector.logs.entries import Failure, LogFacts, Proxied
from inspector.logs.haproxy_formats import Clients
from inspector.logs.opened import OpenedLog
from inspector.logs.reading import LONGEST_LINE, lines, read_log
from inspector.logs.stamps import Stamp
from inspector.text.times import rfc3339
from tests.build import START_NS
from tests.conftest import CAPTURES
from tests.logged import today

RESTRICTED = "javax.net.ssl.SSLHandshakeException: server certificate change is restricted during renegotiation"
OLD = f"2014-11-20 22:04:03,392 ERROR [c.p.h.c.SyncHttpClient] Error executing http request\n{RESTRICTED}\n"


def read(tmp_path: Path, text: str | bytes) -> LogFacts:
    path = tmp_path / "some.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_log(str(path))


@pytest.mark.parametrize(
    ("text", "at", "has_zone", "thread"),
    [
        (OLD, "2014-11-20T22:04:03.392", False, ""),
        (
            (
                "2016-01-02 03:04:05,006 ERROR [qtp1-55] [c.p.h.c.SyncHttpClient] Error executing http"
                f" request\n{RESTRICTED.replace('restricted during', 'restrictedduring')}\n"
            ),
            "2016-01-02T03:04:05.006",
            False,
            "qtp1-55",
        ),
        (
            (
                "2026-11-23T17:10:17.080Z WARN  [qtp1-55] [c.p.h.c.i.PersistentSyncHttpClient] Error executing http"
                f" request\n{RESTRICTED}\n"
            ),
            "2026-11-23T17:10:17.080",
            True,
            "qtp1-55",
        ),
        (
            (
                "2026-11-23T14:10:17.080-03:00 WARN  [qtp1-55] [c.p.h.c.i.PersistentSyncHttpClient] Error executing"
                f" http request\r\n{RESTRICTED}\r\n"
            ),
            "2026-11-23T17:10:17.080",
            True,
            "qtp1-55",
        ),
        (
            (
                "2026-11-23T22:55:17.080+0545 WARN  [a-b] [c.p.P] E\njava.io.IOException: x\nCaused by:"
                f" {RESTRICTED.replace('server', '(bad_certificate) server')}\n"
            ),
            "2026-11-23T17:10:17.080",
            True,
            "a-b",
        ),
    ],
)
def test_every_era(tmp_path: Path, text: str, at: str, has_zone: bool, thread: str) -> None:
    facts = read(tmp_path, text)
    assert facts.form == "puppetserver"
    assert facts.has_zone is has_zone
    [failure] = facts.failures
    assert (failure.kind, failure.line, failure.thread) == ("certificate_change", 1, thread)
    assert rfc3339(failure.ns).startswith(at)


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (
            (
                "javax.net.ssl.SSLHandshakeException: PKIX path building failed:"
                " sun.security.provider.certpath.SunCertPathBuilderException: unable"
            ),
            "untrusted",
        ),
        (
            (
                "javax.net.ssl.SSLHandshakeException: PKIX path validation failed:"
                " java.security.cert.CertPathValidatorException: validity check failed"
            ),
            "invalid_path",
        ),
        ("javax.net.ssl.SSLHandshakeException: No subject alternative DNS name matching db found.", "host_name"),
        (
            (
                "javax.net.ssl.SSLPeerUnverifiedException: Certificate for <db> doesn't match any of the subject"
                " alternative names: [a]"
            ),
            "host_name",
        ),
        ("javax.net.ssl.SSLHandshakeException: Received fatal alert: handshake_failure", "alert_received"),
        ("javax.net.ssl.SSLHandshakeException: Remote host terminated the handshake", "peer_vanished"),
        (
            "javax.net.ssl.SSLHandshakeException: Missing Extended Master Secret extension on session resumption",
            "ems_inconsistent",
        ),
        ("javax.net.ssl.SSLHandshakeException: No appropriate protocol (protocol is disabled)", "no_common_parameters"),
        ("javax.net.ssl.SSLException: something new", "other"),
    ],
)
def test_kinds_of_failures(tmp_path: Path, exception: str, kind: str) -> None:
    facts = read(
        tmp_path,
        "2026-11-23T17:10:17.080Z WARN  [t] [c.p.h.c.i.PersistentSyncHttpClient] Error executing http"
        f" request\n{exception}\n\tat a.b(C.java:1)\n",
    )
    assert [f.kind for f in facts.failures] == [kind]


def test_what_is_no_failure(tmp_path: Path) -> None:
    facts = read(
        tmp_path,
        "2026-11-23T17:10:17.080Z INFO  [t] [c.p.X] server certificate change is restricted during"
        " renegotiation\n2026-11-23T17:10:17.081Z ERROR [t] [c.p.X] Error executing http"
        " request\njava.net.ConnectException: Connection refused\n2026-99-99T17:10:17.081Z ERROR [t] [c.p.X] Error"
        f" executing http request\n{RESTRICTED}\n",
    )
    assert facts.form == "puppetserver"
    assert not facts.failures


def test_the_whole_story_of_a_request(tmp_path: Path) -> None:
    facts = read_log(str(CAPTURES / "puppet-session-ids.puppetserver.log.gz"))
    assert len(facts.failures) == 23
    assert {f.kind for f in facts.failures} == {"certificate_change"}
    assert sum(f.impact == "catalog" for f in facts.failures) == 20
    assert sum(f.impact == "report" for f in facts.failures) == 3
    assert {(f.host, f.port) for f in facts.failures} == {("puppetdb.example.com", 8081)}
    assert {f.node for f in facts.failures} == {f"node{i}.example.com" for i in (1, 2, 3)}
    assert {f.request for f in facts.failures} == {"resources", "replace_facts", "replace_catalog", "store_report"}


TCP = "127.0.0.1:34798 [23/Nov/2026:17:28:10.259] puppetdb_vip puppetdb/puppetdb2 1/16/476 4600 -- 1/1/0/0/0 0/0"


@pytest.mark.parametrize(
    ("line", "client", "port", "server", "address"),
    [
        (f"<134>Nov 23 17:28:10 haproxy[374]: {TCP}", "127.0.0.1", 34798, "puppetdb2", ""),
        (f"2026-11-23T17:28:10.735+00:00 lb1 haproxy[374]: {TCP}", "127.0.0.1", 34798, "puppetdb2", ""),
        (TCP, "127.0.0.1", 34798, "puppetdb2", ""),
        (TCP.replace("127.0.0.1", "::1"), "::1", 34798, "puppetdb2", ""),
        (TCP.replace("127.0.0.1", "[2001:db8::5]"), "2001:db8::5", 34798, "puppetdb2", ""),
        (TCP.replace("127.0.0.1", "::ffff:10.0.0.5"), "10.0.0.5", 34798, "puppetdb2", ""),
        (TCP.replace("puppetdb/puppetdb2", "puppetdb/<NOSRV>"), "127.0.0.1", 34798, "", ""),
        (
            (
                "x haproxy[1]: 10.0.1.2:33317 [23/Nov/2026:17:28:10.259] http-in~ static/srv1 10/0/30/69/109 200 2750 -"
                ' - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /i HTTP/1.1"'
            ),
            "10.0.1.2",
            33317,
            "srv1",
            "",
        ),
        (
            (
                "haproxy[374]: 127.0.0.1:34798 [23/Nov/2026:17:28:10.259] vip 127.0.0.100:8081 puppetdb/puppetdb2"
                " 127.0.0.1:49354 -> 127.0.0.12:8081 1/16/476"
            ),
            "127.0.0.1",
            34798,
            "puppetdb2",
            "127.0.0.12:8081",
        ),
    ],
)
def test_haproxy_lines(tmp_path: Path, line: str, client: str, port: int, server: str, address: str) -> None:
    facts = read(tmp_path, line + "\n")
    assert facts.form == "haproxy"
    [entry] = facts.proxied
    assert (entry.client, entry.port, entry.server, entry.address) == (client, port, server, address)
    assert rfc3339(entry.ns).startswith("2026-11-23T17:28:10.259")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\x7fELF\0\0\0\0", "is no text"),
        (b"just\nsome\nlines\n", "is of no known format"),
        (gzip.compress(OLD.encode(), mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8bgarbage", "cannot be read"),
        (b"\x28\xb5\x2f\xfdgarbage", "cannot be read"),
    ],
)
def test_what_is_no_log_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    assert problem in worded(read(tmp_path, content).problem)


def test_unreadable_logs_are_named(tmp_path: Path) -> None:
    assert "No such file" in worded(read_log(str(tmp_path / "none")).problem)
    assert "directory" in worded(read_log(str(tmp_path)).problem)


def test_a_damaged_log_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    text = OLD * 2000
    facts = read(tmp_path, gzip.compress(text.encode(), mtime=0)[:-20])
    assert "cannot be read behind line" in worded(facts.problem)
    assert len(facts.failures) > 100


def test_long_lines_are_cut(tmp_path: Path) -> None:
    long = "x" * (3 << 20)
    text = f"{long}\n{OLD}2014-11-20 22:04:04,392 ERROR [a.B] {long}\n{OLD}{long}"
    facts = read(tmp_path, text)
    assert [f.line for f in facts.failures] == [2, 5]
    assert facts.lines == 7


class Pieces(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = min(self._size, len(self._data), len(buffer))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


@pytest.mark.parametrize("short", [b"x", b"", b"\xff\xfe", b"}", b"  at a", b"\tat a.b", b"\r"])
def test_short_lines_are_counted_and_change_nothing(short: bytes, tmp_path: Path) -> None:
    """Wherever they stand: within the entry of a failure, too."""
    head, exception = today(START_NS, 1).encode().splitlines()[:2]
    behind = today(START_NS + 10**9, 2).encode()
    some, many = (tmp_path / name for name in ("some.log", "many.log"))
    some.write_bytes(b"\n".join((head, *[short] * 3, exception, *[short] * 3, behind)))
    many.write_bytes(b"\n".join((head, *[short] * 9_000, exception, *[short] * 9_000, behind)))
    few, all_ = read_log(str(some)), read_log(str(many))
    assert len(all_.failures) == 2
    assert all_.lines == few.lines + 2 * 8_997
    assert [f.line for f in all_.failures] == [1, few.failures[1].line + 2 * 8_997]
    assert [replace(f, line=0) for f in all_.failures] == [replace(f, line=0) for f in few.failures]
    assert (all_.first_ns, all_.last_ns) == (few.first_ns, few.last_ns)


@given(st.binary(max_size=400).filter(lambda data: data[:2] not in (b"\xff\xfe", b"\xfe\xff")), st.integers(1, 50))
@settings(max_examples=200)
def test_lines_do_not_depend_on_how_they_are_read(data: bytes, size: int) -> None:
    whole = [line.rstrip(b"\r") for line in data.split(b"\n")]
    if not whole[-1]:
        whole.pop()
    found = [line for _, line in lines(Pieces(data, size))]
    if data.endswith(b"\r") and not data.endswith(b"\n\r"):
        assert b"\n".join(found) == b"\n".join(whole)
    else:
        assert [line for line in found if line] == [line for line in whole if line]
    assert all(len(line) <= LONGEST_LINE for line in found)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [OLD.encode(), TCP.encode(), RESTRICTED.encode(), b"Caused by: javax.net.ssl.SSLException"]
            ),
        ),
        max_size=12,
    )
)
@settings(max_examples=300)
def test_any_lines_give_facts(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(b"\n".join(parts))
    facts = read_log(str(path))
    assert all(isinstance(f, Failure) for f in facts.failures)
    assert all(isinstance(p, Proxied) for p in facts.proxied)
    assert facts.form != "unknown" or facts.problem


class NotesLog:
    """A format that the list does not have: ``[ns] client port``, and what follows."""

    FORM: ClassVar[str] = "notes"
    GIVES: ClassVar[Literal["failures", "connections"]] = "connections"
    IS_BY_SOURCE: ClassVar[bool] = True

    def __init__(self, facts: LogFacts, clients: Clients | None = None, near_ns: int | None = None) -> None:
        self.facts = facts

    @staticmethod
    def is_ours(opened: OpenedLog, clients: Clients | None = None) -> bool:
        return opened.text.startswith(b"[note ")

    def line(self, number: int, line: bytes, at: Stamp | None = None, source: bytes = b"") -> bool:
        if not line.startswith(b"[note "):
            return False
        _, ns, client, port = line.decode().split()
        self.facts.note_form(self.FORM)
        entry = Proxied(number, int(ns.rstrip("]")), client, int(port), "", "", "", line.decode(), form=self.FORM)
        self.facts.proxied.append(entry)
        return True

    def continued(self, line: bytes) -> None:
        if self.facts.proxied:
            self.facts.proxied[-1].server = line.decode()


def test_a_further_format_is_a_reader_and_its_place_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (formats, reading):
        monkeypatch.setattr(module, "FORMATS", (*formats.FORMATS, NotesLog))
    plain = "[note 1] 10.0.0.1 4711\nthe-server\n[note 2] 10.0.0.2 4712\n"
    for text in (
        plain,
        "".join(json.dumps({"log": f"{line}\n", "stream": "out"}) + "\n" for line in plain.split("\n")),
    ):
        facts = read(tmp_path, text)
        assert (facts.form, facts.problem) == ("notes", None)
        assert [(p.ns, p.client, p.port, p.server, p.form) for p in facts.proxied] == [
            (1, "10.0.0.1", 4711, "the-server", "notes"),
            (2, "10.0.0.2", 4712, "", "notes"),
        ]
        assert formats.gives_connections(facts)
    assert not formats.gives_connections(read(tmp_path, OLD))


def test_entries_name_their_format(tmp_path: Path) -> None:
    facts = read(tmp_path, f"{OLD}{TCP}\n")
    assert [f.form for f in facts.failures] == ["puppetserver"]
    assert [p.form for p in facts.proxied] == ["haproxy"]
