"""HAProxy's log in any ``log-format``: written from what a recording's own log says, and joined with the recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.live.sources.growing import GrowingLog
from inspector.logs.entries import LogFacts, Proxied
from inspector.logs.reading import read_log
from inspector.text.times import rfc3339
from inspector.tracking.services import ip_text
from tests.conftest import CAPTURES, find
from tests.logged import HOUR, MILLISECOND, SECOND, facts_of, with_logs
from tests.wrapped import ANY

NAMES = ("puppet-session-ids", "puppet-shared-name")
Writer = Callable[[Proxied], str]


@lru_cache
def truth(name: str) -> list[Proxied]:
    return read_log(str(CAPTURES / f"{name}.haproxy.log.gz")).proxied


def common(ns: int, digits: int = 3) -> str:
    at = rfc3339(ns)
    stamp = datetime.fromtimestamp(ns // SECOND, UTC)
    return f"{stamp:%d/%b/%Y:%H:%M:%S}" + (at[19 : 20 + digits] if digits else "")


def internet(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // SECOND, UTC):%a, %d %b %Y %H:%M:%S} GMT"


def syslog(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // SECOND, UTC):%b %e %H:%M:%S}"


def iso(ns: int, zone: str = "Z") -> str:
    return rfc3339(ns)[:23] + zone


def clf(p: Proxied) -> str:
    at = common(p.ns, 0)
    return (
        f'{p.client} - - [{at} +0000] "<BADREQ>" 0 2147 "" "" {p.port} {p.ns // MILLISECOND % 1000:03d} "vip"'
        f' "{p.backend}" "{p.server}" 1 0 0 0 400 -- 1 1 1 1 0 0 0 "" ""'
    )


FORMATS: dict[str, Writer] = {
    "tcplog": lambda p: (
        f"{p.client}:{p.port} [{common(p.ns)}] vip {p.backend}/{p.server} 1/0/400 2147 -- 1/1/0/0/0 0/0"
    ),
    "httplog": lambda p: (
        f"{p.client}:{p.port} [{common(p.ns)}] vip~ {p.backend}/{p.server} 0/0/0/1/400 200 2147 - - ---- 1/1/0/0/0 0/0"
        ' {h|1} {} "GET /a/b?c=d HTTP/1.1"'
    ),
    "httpslog": lambda p: (
        f"{p.client}:{p.port} [{common(p.ns)}] vip~ {p.backend}/{p.server} 0/0/0/1/400 200 0 - - ---- 1/1/0/0/0 0/0"
        ' "GET / HTTP/1.1" 0/0/0/0/0 x/TLSv1.3/TLS_A'
    ),
    "clf": clf,
    "local, whole seconds": lambda p: (
        f"{p.client}:{p.port} [{common(p.ns, 0)} +0000] vip {p.backend}/{p.server} 1/0/400"
    ),
    "whole seconds, no zone": lambda p: f"{p.client}:{p.port} [{common(p.ns, 0)}] vip {p.backend}/{p.server} 1/0/400",
    "HTTP date": lambda p: f"{p.client}:{p.port} [{internet(p.ns)}] vip {p.backend}/{p.server} 1/0/400",
    "microseconds": lambda p: f"{p.client}:{p.port} [{common(p.ns, 6)}] vip {p.backend}/{p.server} 1/0/400",
    "ISO": lambda p: f"{p.client}:{p.port} [{iso(p.ns)}] vip {p.backend}/{p.server} 1/0/400",
    "ISO, offset": lambda p: (
        f"[{iso(p.ns + 2 * HOUR, '+02:00')}] {p.client}:{p.port} vip {p.backend}/{p.server} 1/0/400"
    ),
    "ISO, no zone": lambda p: f"{iso(p.ns, '').replace('T', ' ')} {p.client}:{p.port} vip {p.backend}/{p.server}",
    "epoch first": lambda p: (
        f"[{p.ns // SECOND}.{p.ns // MILLISECOND % 1000:03d}] ---- {p.client}:{p.port} 127.0.0.100:8081 {p.address}"
        f" {p.backend} {p.server}"
    ),
    "epoch, whole": lambda p: f"{p.ns // SECOND} {p.client}:{p.port} {p.backend}/{p.server}",
    "epoch in milliseconds": lambda p: f"{p.ns // MILLISECOND} {p.client}:{p.port} {p.backend}/{p.server} {p.address}",
    "epoch in microseconds": lambda p: f"{p.client} {p.port} {p.ns // 1000} {p.backend} {p.server}",
    "server first": lambda p: f"{p.backend}/{p.server} -- [{common(p.ns)}] {p.client}:{p.port}",
    "quoted": lambda p: (
        f'"{p.client}:{p.port} [{common(p.ns)}] vip 127.0.0.100:8081 {p.backend}/{p.server} 127.0.0.1:9 -> {p.address}'
        ' 1/16/476 up=4600 -- 1/1/0/0/0"'
    ),
    "CSV": lambda p: f"{p.client},{p.port},{iso(p.ns)},vip,{p.backend},{p.server},1,0,400,--",
    "CSV, quoted": lambda p: f'"{p.client}:{p.port}","{common(p.ns)}","vip","{p.backend}","{p.server}","--"',
    "tabs": lambda p: f"{common(p.ns)}\t{p.client}:{p.port}\tvip\t{p.backend}\t{p.server}\t--",
    "key=value": lambda p: f"client={p.client}:{p.port} date=[{common(p.ns)}] fe=vip be={p.backend} srv={p.server}",
    "key=value, other order": lambda p: (
        f'srv="{p.server}" be="{p.backend}" src={p.client} sport={p.port} ts={p.ns // SECOND}'
        f" ms={p.ns // MILLISECOND % 1000} bytes=5"
    ),
    "key=value, joined": lambda p: (
        f"time={iso(p.ns)} client_ip={p.client} client_port={p.port} server={p.backend}/{p.server} term=--"
    ),
    "key:value": lambda p: f"time:{iso(p.ns)}, client:{p.client}:{p.port}, backend:{p.backend}, server:{p.server}",
    "JSON": lambda p: json.dumps(
        {
            "time": common(p.ns),
            "client": f"{p.client}:{p.port}",
            "frontend": "vip",
            "backend": p.backend,
            "server": p.server,
            "srv_queue": 0,
        }
    ),
    "JSON, %(name)": lambda p: json.dumps(
        {
            "ci": p.client,
            "cp": p.port,
            "tr": 0,
            "t": common(p.ns),
            "ft": "vip",
            "b": p.backend,
            "s": p.server,
            "Tt": 400,
            "bq": 0,
        }
    ),
    "JSON, nested": lambda p: json.dumps(
        {
            "host": "h",
            "time": iso(p.ns),
            "time_ms": {"tq": 1},
            "network": {"client_ip": p.client, "client_port": p.port},
            "name": {"backend": p.backend, "server": p.server},
        }
    ),
    "JSON, epoch": lambda p: json.dumps(
        {
            "timestamp": p.ns / SECOND,
            "haproxy_clientIP": p.client,
            "haproxy_clientPort": str(p.port),
            "haproxy_backend": p.backend,
            "server_name": p.server,
        }
    ),
    "JSON, whole epoch and milliseconds": lambda p: json.dumps(
        {
            "ts": p.ns // SECOND,
            "ms": p.ns // MILLISECOND % 1000,
            "source": {"ip": p.client, "port": p.port},
            "srv": p.server,
        }
    ),
}
WITHOUT_BACKEND = "JSON, whole epoch and milliseconds"
TAGS = {
    "syslog": "<134>Nov 23 17:28:11 lb1 haproxy[374]: {}",
    "5424": "<134>1 2026-11-23T17:28:11.1+00:00 lb1 haproxy 374 - - {}",
    "bare": "{}",
    "stdout": "haproxy[1]: {}",
}


def written(name: str, writer: Writer, wrap: str = "{}") -> list[str]:
    return [wrap.format(writer(p)) for p in truth(name)]


def read(path: Path, name: str, data: bytes) -> LogFacts:
    path.write_bytes(data)
    case = judge(facts_of(str(find(name)))).case
    clients = {(ip_text(s.client_leg.client.address), s.client_leg.client.port) for s in case.observed}
    return read_log(str(path), clients, case.observed[0].first_ns)


def servers(name: str, logs: list[LogFacts]) -> tuple[dict[int, str], list[str]]:
    """The server that a log names for each connection; and all limits of logs."""
    analysis = with_logs(str(find(name)), logs)
    limits = [limit.kind for limit in analysis.document.limits if limit.kind.startswith("log_")]
    return {index: chosen.entry.server for index, chosen in analysis.case.balancer.chosen.items()}, limits


@lru_cache
def expected(name: str) -> dict[int, str]:
    return servers(name, [read_log(str(CAPTURES / f"{name}.haproxy.log.gz"))])[0]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_the_servers(form: str, tag: str, tmp_path: Path) -> None:
    name = NAMES[0]
    found = read(
        tmp_path / "h.log", name, "".join(f"{line}\n" for line in written(name, FORMATS[form], TAGS[tag])).encode()
    )
    assert found.form == "haproxy"
    assert not found.problem
    assert not found.untimed
    assert [(p.client, p.port, p.server) for p in found.proxied] == [(p.client, p.port, p.server) for p in truth(name)]
    if form != WITHOUT_BACKEND:
        assert [p.backend for p in found.proxied] == [p.backend for p in truth(name)]
    for entry, right in zip(found.proxied, truth(name), strict=True):
        assert 0 <= right.ns - entry.ns < entry.resolution_ns or abs(right.ns - entry.ns) <= 1000
    chosen, limits = servers(name, [found])
    assert chosen == expected(name)
    assert not limits


@pytest.mark.parametrize(
    "wrap", ["docker json-file", "CRI", "journalctl -o json", "docker compose", "syslog", "CRI of docker", "grep -n"]
)
@pytest.mark.parametrize("form", ["tcplog", "epoch first", "key=value", "JSON, nested", "clf", "quoted", "CSV"])
def test_formats_in_envelopes(form: str, wrap: str, tmp_path: Path) -> None:
    found = read(tmp_path / "h.log", NAMES[1], ANY[wrap](written(NAMES[1], FORMATS[form], TAGS["stdout"])))
    assert servers(NAMES[1], [found])[0] == expected(NAMES[1])


@pytest.mark.parametrize("wrap", ["{}", "haproxy[1]: {}"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("client", ["10.0.0.1", "fd00::1", "::1"])
def test_a_growing_log_says_what_the_whole_one_says(client: str, form: str, wrap: str, tmp_path: Path) -> None:
    """Also where its lines begin with a name, as lines of no program's do that is known."""
    path = tmp_path / "h.log"
    rows = [msgspec.structs.replace(p, client=client) for p in truth(NAMES[0])[:20]]
    path.write_text("".join(f"{wrap.format(FORMATS[form](p))}\n" for p in rows))
    whole, growing = read_log(str(path)), GrowingLog(str(path))
    growing.poll()
    growing.close()
    assert growing.facts.proxied == whole.proxied
    if wrap != "{}":  # else some of them name no client but to those who know it
        assert [p.port for p in growing.facts.proxied] == [p.port for p in rows]


SHIFTS = {"none": 0, "-3h": -3 * HOUR, "+2s": 2 * SECOND, "both": -3 * HOUR + 2 * SECOND}
RESOLUTIONS: dict[str, Writer] = {
    "whole": FORMATS["whole seconds, no zone"],
    "ms": FORMATS["tcplog"],
    "us": FORMATS["microseconds"],
    "epoch": FORMATS["epoch, whole"],
}
STEPS: dict[str, list[tuple[float, int]]] = {
    "never": [],
    "DST forth": [(0.5, HOUR)],
    "DST back": [(0.4, -HOUR)],
    "DST forth early": [(0.1, HOUR)],
    "set by seconds": [(0.6, -7 * SECOND)],
    "set twice": [(0.3, HOUR), (0.7, -HOUR)],
}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_no_shift_joins_wrongly(name: str, resolution: str, shift: str, steps: str, tmp_path: Path) -> None:
    """All are joined, or what is not is named; none with another connection."""
    lines = []
    rows = truth(name)
    for number, entry in enumerate(rows):
        moved = SHIFTS[shift] + sum(by for share, by in STEPS[steps] if number >= share * len(rows))
        lines.append(
            RESOLUTIONS[resolution](
                Proxied(0, entry.ns + moved, entry.client, entry.port, entry.backend, entry.server, entry.address, "")
            )
        )
    found = read(tmp_path / "h.log", name, "".join(f"{line}\n" for line in lines).encode())
    chosen, limits = servers(name, [found])
    right = expected(name)
    assert {index: server for index, server in chosen.items() if right[index] != server} == {}
    assert chosen == right or "log_unjoined" in limits or "log_not_joined" in limits
    if resolution != "whole" and resolution != "epoch":
        assert chosen == right
    assert len(chosen) > 0.9 * len(right)
    offset = with_logs(str(find(name)), [found]).document.logs[0].uncertainty
    assert offset is not None
    assert offset >= found.proxied[0].resolution_ns


def test_what_is_no_connection(tmp_path: Path) -> None:
    path = tmp_path / "h.log"
    path.write_text(
        "Nov 23 17:28:10 lb haproxy[1]: Proxy vip started.\nNov 23 17:28:10 lb haproxy[1]: Server puppetdb/puppetdb2 is"
        " DOWN, reason: Layer4 timeout, check duration: 2001ms. 2 active and 0 backup servers left.\nNov 23 17:28:10 lb"
        " haproxy[1]: 127.0.0.1:34798 [23/Nov/2026:17:28:10.259] vip/1: SSL handshake failure\nNov 23 17:28:10 lb"
        " sshd[1]: Connection from 127.0.0.1 port 34798 on 127.0.0.2 port 22\n127.0.0.1 - - [23/Nov/2026:17:28:10"
        ' +0000] "GET /a/b HTTP/1.1" 200 5 "-"'
        ' "curl/8"\n{"time":"2026-11-23T17:28:10Z","client":"127.0.0.1:5","status":200}\n'
    )
    found = read_log(str(path))
    assert found.form == "unknown"
    assert "is of no known format" in worded(found.problem)


def test_the_default_format_names_nobody(tmp_path: Path) -> None:
    name = NAMES[0]
    lines = [
        f"{syslog(p.ns)} lb haproxy[1]: Connect from {p.client}:{p.port} to 127.0.0.100:8081 (vip/TCP)"
        for p in truth(name)
    ]
    found = read(tmp_path / "h.log", name, "".join(f"{line}\n" for line in lines).encode())
    assert len(found.proxied) == len(truth(name))
    assert set(servers(name, [found])[0].values()) == {""}


def test_a_line_without_a_time_has_that_of_its_envelope(tmp_path: Path) -> None:
    """It was written when the connection was over."""
    name = NAMES[0]
    case = judge(facts_of(str(find(name)))).case
    ends = {
        (ip_text(s.client_leg.client.address), s.client_leg.client.port, s.first_ns): s.client_leg.last_ns
        for s in case.observed
    }
    lines = []
    for p in truth(name):
        end = min(
            (
                end
                for (client, port, start), end in ends.items()
                if (client, port) == (p.client, p.port) and abs(start - p.ns) < SECOND
            ),
            default=p.ns,
        )
        lines.append((end, f"<134>{syslog(end)} lb haproxy[1]: {p.client}:{p.port} {p.backend}/{p.server} --"))
    found = read(tmp_path / "h.log", name, "".join(f"{line}\n" for _, line in sorted(lines)).encode())
    assert all(p.is_end for p in found.proxied)
    chosen, _ = servers(name, [found])
    assert {index: server for index, server in chosen.items() if expected(name)[index] != server} == {}
    assert len(chosen) > 0.9 * len(expected(name))


def test_unjoined_lines_say_why(tmp_path: Path) -> None:
    name = NAMES[0]
    rows = truth(name)
    some = rows[10]
    strangers = [f"10.9.9.9:{4000 + i} [{common(some.ns)}] vip b/s 1/0/1" for i in range(3)]
    impossible = f"{some.client}:{some.port} [99/Nov/2026:17:28:10.259] vip b/s 1/0/1"
    early = f"{some.client}:{some.port} [{common(rows[0].ns - 600 * SECOND)}] vip b/s 1/0/1"
    between = f"{some.client}:{some.port} [{common(rows[90].ns + 3 * SECOND)}] vip b/s 1/0/1"
    lines = [
        *strangers,
        impossible,
        early,
        *written(name, FORMATS["tcplog"])[:91],
        between,
        *written(name, FORMATS["tcplog"])[91:],
    ]
    found = read(tmp_path / "h.log", name, "".join(f"{line}\n" for line in lines).encode())
    document = with_logs(str(find(name)), [found]).document
    said = [limit.text.partition(": ")[2] for limit in document.limits if limit.kind == "log_unjoined"]
    assert [text.partition(" ")[0] for text in said] == ["1", "1", "3", "1"]
    assert [text.rpartition(": ")[2].partition(" ")[0] for text in said] == ["no", "they", "the", "their"]
    assert document.logs[0].connections == len(rows)
