"""Whatever a log is wrapped in, it says the same."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from inspector.findings.wording import worded
from inspector.logs.entries import LogFacts
from inspector.logs.reading import read_log
from tests.conftest import CAPTURES
from tests.logged import SECOND, today
from tests.wrapped import ANY, PUPPET


@lru_cache
def lines_of(name: str) -> list[str]:
    return gzip.decompress((CAPTURES / name).read_bytes()).decode().splitlines()


def read(tmp_path: Path, data: bytes) -> LogFacts:
    path = tmp_path / "wrapped.log"
    path.write_bytes(data)
    return read_log(str(path))


@lru_cache
def plain(name: str) -> LogFacts:
    return read_log(str(CAPTURES / name))


@pytest.mark.parametrize("form", [*ANY, *PUPPET])
def test_failures_are_those_of_the_plain_log(form: str, tmp_path: Path) -> None:
    name = "puppet-session-ids.puppetserver.log.gz"
    found = read(tmp_path, (ANY | PUPPET)[form](lines_of(name)))
    expected = plain(name)
    assert found.form == "puppetserver"
    assert not found.problem
    assert not found.untimed
    assert [(f.ns // 10**6, f.kind, f.thread, f.host, f.port, f.request, f.node, f.impact) for f in found.failures] == [
        (f.ns // 10**6, f.kind, f.thread, f.host, f.port, f.request, f.node, f.impact) for f in expected.failures
    ]
    assert all(f.has_zone for f in found.failures)
    if form not in ("logback's JSON",):
        assert [f.detail for f in found.failures] == [f.detail for f in expected.failures]


@pytest.mark.parametrize("name", ["puppet-session-ids", "puppet-shared-name"])
@pytest.mark.parametrize("form", ANY)
def test_connections_are_those_of_the_plain_log(form: str, name: str, tmp_path: Path) -> None:
    found = read(tmp_path, ANY[form](lines_of(f"{name}.haproxy.log.gz")))
    expected = plain(f"{name}.haproxy.log.gz")
    assert found.form == "haproxy"
    assert not found.problem
    assert [(p.ns, p.client, p.port, p.backend, p.server, p.address) for p in found.proxied] == [
        (p.ns, p.client, p.port, p.backend, p.server, p.address) for p in expected.proxied
    ]


def test_several_programs_in_one_file(tmp_path: Path) -> None:
    """``docker compose logs`` of all: failures of one, connections of another; what a third writes
    belongs to nobody.
    """
    puppet, balancer = (lines_of(f"puppet-session-ids.{name}.log.gz") for name in ("puppetserver", "haproxy"))
    mixed = []
    for number in range(max(len(puppet), len(balancer))):
        mixed += [f"puppet-1   | {puppet[number]}"] if number < len(puppet) else []
        mixed += [f"haproxy-1  | {balancer[number]}"] if number < len(balancer) else []
        mixed += ["agent-1    | javax.net.ssl.SSLException: of another program"]
    found = read(tmp_path, "".join(f"{line}\n" for line in mixed).encode())
    assert [f.detail for f in found.failures] == [
        f.detail for f in plain("puppet-session-ids.puppetserver.log.gz").failures
    ]
    assert [p.server for p in found.proxied] == [p.server for p in plain("puppet-session-ids.haproxy.log.gz").proxied]


def test_files_of_several_forms_in_one(tmp_path: Path) -> None:
    """What was put together with ``cat``: the envelope changes in the middle, and again."""
    lines = lines_of("puppet-session-ids.puppetserver.log.gz")
    forms = ["as it is", "docker json-file", "syslog", "logstash-logback-encoder", "CRI", "as it is"]
    found = read(tmp_path, b"".join((ANY | PUPPET)[form](lines) for form in forms))
    assert len(found.failures) == len(forms) * len(plain("puppet-session-ids.puppetserver.log.gz").failures)


TEXTS = (
    "server certificate change is restricted during renegotiation",
    "(bad_certificate) server certificate change is restricted during renegotiation",
)


@pytest.mark.parametrize("said", [*TEXTS, TEXTS[0].replace("restricted during", "restrictedduring")])
@pytest.mark.parametrize(
    "name",
    [
        "javax.net.ssl.SSLHandshakeException",
        "javax.net.ssl.SSLException",
        "javax.net.ssl.SSLProtocolException",
        "j.n.s.SSLHandshakeException",
    ],
)
@pytest.mark.parametrize(
    "before", ["", "Caused by: ", "java.io.IOException: x\nCaused by: ", "Wrapped by: ", "\u539f\u56e0: "]
)
def test_texts_of_every_release(before: str, name: str, said: str, tmp_path: Path) -> None:
    for form in ("as it is", "logstash-logback-encoder", "docker json-file", "journalctl -o export"):
        lines = (
            f"2026-11-23T17:10:17.080Z WARN  [qtp1-55] [c.p.P] Error executing http request\n{before}{name}:"
            f" {said}\n\tat a.B".split("\n")
        )
        [failure] = read(tmp_path, (ANY | PUPPET)[form](lines)).failures
        assert failure.kind == "certificate_change"


PARTS = [
    *(line.encode() for line in today(1_795_000_000 * SECOND, 1).splitlines()),
    b"127.0.0.1:34798 [23/Nov/2026:17:28:10.259] vip pool/server 1/0/4",
    b"haproxy[1]: [1795454890.259] ---- 127.0.0.1:34798 127.0.0.12:8081 pool server",
    b'{"log":"2026-11-23T17:10:17.080Z WARN  [t] [x] y\\n","time":"2026-11-23T17:10:17.080Z"}',
    (
        b'{"@timestamp":"2026-11-23T17:10:17.080Z","message":"x","level":"WARN","thread_name":"t",'
        b'"stack_trace":"javax.net.ssl.SSLException: x"}'
    ),
    b'{"timestamp":1e300,"message":"x","level":"WARN","thread":"t"}',
    b'{"timestamp":"9999-12-31T23:59:59-14:00","message":"x","level":"WARN","thread":"t"}',
    b"2026-11-23T17:10:17.080123456Z stdout P 2026-11-23T17:",
    b"Nov 31 99:99:99 h p[1]: WARN  [t] [x] y",
    b"Feb 29 17:10:17 h p[1]: WARN  [t] [x] y",
    b"__CURSOR=x",
    b"MESSAGE",
    b"\x05\0\0\0\0\0\0\0abcde",
    b"MESSAGE=x",
    b"",
    b"==> x <==",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\x1b[31m\x1b]0;x",
    b"0001-01-01T00:00:00+14:00 WARN  [t] [x] y",
    b"9999-99-99T99:99:99Z WARN  [t] [x] y",
]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.sampled_from(PARTS),
            st.tuples(st.sampled_from(PARTS), st.binary(max_size=9)).map(b"".join),
        ),
        max_size=14,
    )
)
@settings(max_examples=400)
def test_any_bytes_give_facts(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any-wrapped.log"
    path.write_bytes(b"\n".join(parts))
    facts = read_log(str(path), None, 1_795_000_000 * SECOND)
    assert facts.form != "unknown" or facts.problem


HOSTILE = {
    "one line": b"x" * (40 << 20),
    "suspicious lines": today(1_795_000_000 * SECOND, 1).encode() + b"1:1:1:1:1:1: 10:10:10 x\n" * 50_000,
    "prefixes": (
        b"a.log" * 8000 + b"\n" + b"2026-11-23T17:10:17Z " * 3000 + b"\n" + b"a-" * 20_000 + b"\n" + b"[x] " * 10_000
    ),
    "members": b'{"a":' * 200_000,
    "open braces": (b"{" * 1000 + b"\n") * 5_000,
    "pieces": b"2026-11-23T17:10:17Z stdout P x\n" * 200_000,
    "export": b"__CURSOR=x\nMESSAGE\n" + b"\xff" * 8 + b"\n" * 2_000_000,
    "syslog": b"<1>1 2026-11-23T17:28:10Z h p 1 - [" + b'a="\\' * 200_000,
    "endpoints": b"haproxy[1]: " + b"1.1.1.1:1 " * 400 + b"\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_logs_end_soon(name: str, tmp_path: Path) -> None:
    started = (
        time.process_time()
    )  # of the processor, not of the wall: what takes long here is a regular expression, whose steps nothing counts
    found = read(tmp_path, HOSTILE[name])
    assert time.process_time() - started < 60
    assert found.form != "unknown" or found.problem


def test_pipes_devices_and_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.logs.sources.PATIENCE_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is a pipe that gave nothing" in worded(read_log(str(pipe)).problem)
    assert "is a device" in worded(read_log("/dev/zero").problem)
    assert "directory" in worded(read_log(str(tmp_path)).problem)
    monkeypatch.setattr("inspector.logs.sources.PATIENCE_SECONDS", 20.0)

    def write() -> None:
        pipe.write_bytes(ANY["docker json-file"](today(1_795_000_000 * SECOND, 1).splitlines()))

    thread = threading.Thread(target=write)
    thread.start()
    assert len(read_log(str(pipe)).failures) == 1
    thread.join()


def test_the_collectors_zone_completes_a_time_without_one(tmp_path: Path) -> None:
    """Half of the year an hour more: only the collector knows."""
    lines = []
    for written, local in (
        ("2026-10-25T00:59:59.5Z", "2026-10-25 02:59:59,400"),
        ("2026-10-25T01:00:01.5Z", "2026-10-25 02:00:01,400"),
    ):
        said = (
            f"{local} ERROR [c.p.h.c.X] Error executing http request\n",
            f"javax.net.ssl.SSLException: {TEXTS[0]}\n",
        )
        lines += [json.dumps({"log": line, "stream": "stdout", "time": written}) for line in said]
    found = read(tmp_path, "\n".join(lines).encode())
    assert [(f.ns, f.has_zone) for f in found.failures] == [
        (1_792_889_999_400_000_000, True),
        (1_792_890_001_400_000_000, True),
    ]
