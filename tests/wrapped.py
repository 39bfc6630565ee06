"""Logs as collectors hand them on: a table of functions, each of which takes the lines that a program wrote and gives
the bytes of a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime

STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z")
HEAD = re.compile(r"^(\S+Z) (\w+) +\[([^\]]*)\] \[([^\]]*)\] (.*)$")
FIRST = "2026-11-23T17:28:09.000"


def at(lines: list[str]) -> list[tuple[str, str]]:
    """Each line with the time at which it was written: its own, or that of the line before it; without zone."""
    found, last = [], FIRST
    for line in lines:
        match = STAMP.match(line) or re.search(r"\[(\d\d)/Nov/(\d{4}):([\d:.]{12})\]", line)
        if match is not None:
            last = match[1] if match.re is STAMP else f"{match[2]}-11-{match[1]}T{match[3]}"
        found.append((last, line))
    return found


def moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp + "+00:00")


def text(lines: list[str], end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode("utf-8", "surrogateescape")


def each(wrap: Callable[[str, str], str]) -> Callable[[list[str]], bytes]:
    """Every line in the same way. ``wrap``: time and line to line."""
    return lambda lines: text([wrap(when, line) for when, line in at(lines)])


def events(lines: list[str]) -> list[list[tuple[str, str]]]:
    """Lines by the entry that they belong to."""
    found: list[list[tuple[str, str]]] = []
    for when, line in at(lines):
        if HEAD.match(line) or not found or ("[" in line and "/Nov/" in line):
            found.append([])
        found[-1].append((when, line))
    return found


def rfc3164(when: str) -> str:
    return f"{moment(when):%b %e %H:%M:%S}"


def micros(when: str) -> str:
    return str(int(moment(when).timestamp() * 1000) * 1000)


def docker(when: str, line: str) -> str:
    return json.dumps({"log": line + "\n", "stream": "stdout", "time": f"{when}123456Z"})


def logstash(lines: list[str]) -> bytes:
    """Puppet's documented JSON encoder."""
    found = []
    for event in events(lines):
        head = HEAD.match(event[0][1])
        assert head is not None
        record: dict[str, object] = {
            "@timestamp": head[1],
            "@version": "1",
            "message": head[5],
            "logger_name": head[4],
            "thread_name": head[3],
            "level": head[2],
        }
        rest = [line for _, line in event[1:]]
        if any("xception" in line for line in rest[:1]):
            record["stack_trace"] = "\n".join(rest) + "\n"
        elif rest:
            record["message"] = "\n".join([head[5], *rest])
        found.append(json.dumps(record))
    return text(found)


def encoded(make: Callable[[str, str, str, str, str, list[str]], dict[str, object]]) -> Callable[[list[str]], bytes]:
    """Another JSON encoder. ``make``: time, level, thread, logger, message and the lines behind it, to the record."""

    def wrap(lines: list[str]) -> bytes:
        found = []
        for event in events(lines):
            head = HEAD.match(event[0][1])
            assert head is not None
            found.append(json.dumps(make(head[1], head[2], head[3], head[4], head[5], [line for _, line in event[1:]])))
        return text(found)

    return wrap


def thrown(rest: list[str]) -> dict[str, object]:
    name, _, said = rest[0].partition(": ")
    return {"className": name, "message": said, "stepArray": [{"className": "a.B", "methodName": "c"}]}


def logback(when: str, level: str, thread: str, logger: str, message: str, rest: list[str]) -> dict[str, object]:
    milliseconds = int(datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp() * 1000 + 0.5)
    record: dict[str, object] = {
        "sequenceNumber": 0,
        "timestamp": milliseconds,
        "nanoseconds": 0,
        "level": level,
        "threadName": thread,
        "loggerName": logger,
        "message": message,
    }
    return record | (
        {"throwable": thrown(rest)} if rest and "xception" in rest[0] else {"message": "\n".join([message, *rest])}
    )


def ecs(when: str, level: str, thread: str, logger: str, message: str, rest: list[str]) -> dict[str, object]:
    record: dict[str, object] = {
        "@timestamp": when,
        "log.level": level,
        "message": message,
        "process.thread.name": thread,
        "log.logger": logger,
        "ecs.version": "1.2.0",
    }
    if rest and "xception" in rest[0]:
        name, _, said = rest[0].partition(": ")
        return record | {"error.type": name, "error.message": said, "error.stack_trace": rest}
    return record | {"message": "\n".join([message, *rest])}


def gelf(when: str, level: str, thread: str, logger: str, message: str, rest: list[str]) -> dict[str, object]:
    seconds = datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()
    number = {"ERROR": 3, "WARN": 4, "INFO": 6, "DEBUG": 7}[level]
    record: dict[str, object] = {
        "version": "1.1",
        "host": "ps1",
        "short_message": message,
        "full_message": "\n".join([message, *rest]),
        "timestamp": seconds,
    }
    return record | {"level": number, "_thread": thread, "_logger": logger}


def export(lines: list[str]) -> bytes:
    """``journalctl -o export``: an entry of several lines has its length in front."""
    found = b""
    for event in events(lines):
        message = "\n".join(line for _, line in event).encode()
        found += f"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP={micros(event[0][0])}\n_HOSTNAME=ps1\n".encode()
        found += b"SYSLOG_IDENTIFIER=puppetserver\n_PID=812\n"
        found += (
            b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n\n"
            if b"\n" in message
            else b"MESSAGE=" + message + b"\n\n"
        )
    return found


def partial(lines: list[str]) -> bytes:
    """The container runtime cuts long lines; here every line of more than 40 bytes."""
    found = []
    for when, line in at(lines):
        pieces = [line[i : i + 40] for i in range(0, len(line), 40)] or [""]
        found += [
            f"{when}123456Z stdout {'F' if i == len(pieces) - 1 else 'P'} {piece}" for i, piece in enumerate(pieces)
        ]
    return text(found)


def two_programs(lines: list[str]) -> bytes:
    """Another program's lines between all others, one of them an exception."""
    found = []
    for _, line in at(lines):
        found += [
            f"puppet-1    | {line}",
            "puppetdb-1  | javax.net.ssl.SSLException: of another program",
            "postgres-1  | LOG:  checkpoint starting: time",
        ]
    return text(found)


def spring(lines: list[str]) -> bytes:
    return text([HEAD.sub(r"\1  \2 812 --- [\3] \4 : \5", line) for line in lines])


def thread_first(lines: list[str]) -> bytes:
    return text(
        [HEAD.sub(r"\1 [\3] \2 \4 - \5", line).replace("T", " ", 1) if HEAD.match(line) else line for line in lines]
    )


def coloured(when: str, line: str) -> str:
    return (
        HEAD.sub("\x1b[2m\\1\x1b[0;39m \x1b[33m\\2\x1b[0m [\\3] [\x1b[36m\\4\x1b[m] \\5", line)
        if HEAD.match(line)
        else f"\x1b[31m{line}\x1b[0m"
    )


def grepped(separator: Callable[[str], str], prefix: str, is_numbered: bool) -> Callable[[list[str]], bytes]:
    def wrap(lines: list[str]) -> bytes:
        found = []
        for number, line in enumerate(lines, 1):
            mark = separator(line)
            found.append(f"{prefix}{mark if prefix else ''}{f'{number}{mark}' if is_numbered else ''}{line}")
        return text(found)

    return wrap


def context(line: str) -> str:
    return ":" if "Error" in line else "-"


def colon(line: str) -> str:
    return ":"


def syslog_5424(when: str, line: str) -> str:
    return f'<134>1 {when}Z ps1 puppetserver 812 - [a@1 b="c \\] d"] \ufeff{line}'


def tail(lines: list[str]) -> bytes:
    return (
        b"==> /x/p.log <==\n"
        + text(lines[:50])
        + b"\n==> /x/other.log <==\nother\n\n==> /x/p.log <==\n"
        + text(lines[50:])
    )


ANY: dict[str, Callable[[list[str]], bytes]] = {
    "as it is": text,
    "CRLF": lambda lines: text(lines, "\r\n"),
    "BOM": lambda lines: b"\xef\xbb\xbf" + text(lines),
    "UTF-16": lambda lines: text(lines, "\r\n").decode().encode("utf-16"),
    "indented": each(lambda when, line: f"    {line}"),
    "quoted by mail": each(lambda when, line: f"> {line}"),
    "docker json-file": each(docker),
    "docker logs -t": each(lambda when, line: f"{when}123456Z {line}"),
    "CRI": each(lambda when, line: f"{when}123456789Z stdout F {line}"),
    "CRI with offset": each(lambda when, line: f"{when}123456789+00:00 stderr F {line}"),
    "CRI in pieces": partial,
    "kubectl --prefix": each(lambda when, line: f"[pod/puppet-0/puppetserver] {line}"),
    "kubectl --prefix --timestamps": each(lambda when, line: f"[pod/puppet-0/puppetserver] {when}123456789Z {line}"),
    "stern": each(lambda when, line: f"puppet-0 puppetserver {line}"),
    "docker compose": each(lambda when, line: f"puppet-1  | {line}"),
    "docker-compose, coloured": each(lambda when, line: f"\x1b[36mpuppet_1     |\x1b[0m {line}"),
    "docker compose -t": each(lambda when, line: f"puppet-1  | {when}123456Z {line}"),
    "docker service logs": each(lambda when, line: f"puppet.1.k2j3h4@node1    | {line}"),
    "syslog": each(lambda when, line: f"{rfc3164(when)} ps1 puppetserver[812]: {line}"),
    "syslog with priority": each(lambda when, line: f"<134>{rfc3164(when)} ps1 puppetserver[812]: {line}"),
    "rsyslog with escapes": each(lambda when, line: f"{rfc3164(when)} ps1 puppetserver: {line}".replace("\t", "#011")),
    "rsyslog, new file format": each(lambda when, line: f"{when}123+00:00 ps1 puppetserver[812]: {line}"),
    "syslog 5424": each(syslog_5424),
    "syslog 5424, octets counted": each(
        lambda when, line: f"{len(syslog_5424(when, line).encode())} {syslog_5424(when, line)}"
    ),
    "journalctl": each(lambda when, line: f"{rfc3164(when)} ps1 puppetserver[812]: {line}"),
    "journalctl -o short-precise": each(
        lambda when, line: f"{rfc3164(when)}.{when[20:]}123 ps1 puppetserver[812]: {line}"
    ),
    "journalctl -o short-iso": each(lambda when, line: f"{when[:19]}+0000 ps1 puppetserver[812]: {line}"),
    "journalctl -o short-iso-precise": each(lambda when, line: f"{when}123+00:00 ps1 puppetserver[812]: {line}"),
    "journalctl -o short-full": each(
        lambda when, line: f"Mon {when[:10]} {when[11:19]} UTC ps1 puppetserver[812]: {line}"
    ),
    "journalctl -o short-unix": each(lambda when, line: f"{int(micros(when)) / 1e6:.6f} ps1 puppetserver[812]: {line}"),
    "journalctl -o short-monotonic": each(lambda when, line: f"[ 1234.567890] ps1 puppetserver[812]: {line}"),
    "journalctl -o json": each(
        lambda when, line: json.dumps(
            {
                "__REALTIME_TIMESTAMP": micros(when),
                "_HOSTNAME": "ps1",
                "SYSLOG_IDENTIFIER": "puppetserver",
                "_PID": "812",
                "MESSAGE": line,
            }
        )
    ),
    "journalctl -o json, as bytes": each(
        lambda when, line: json.dumps({"__REALTIME_TIMESTAMP": micros(when), "MESSAGE": list(line.encode())})
    ),
    "journalctl -o export": export,
    "filebeat": each(
        lambda when, line: json.dumps(
            {
                "@timestamp": f"{when}Z",
                "log": {"file": {"path": "/x.log"}, "offset": 1},
                "message": line,
                "host": {"name": "ps1"},
            }
        )
    ),
    "elasticsearch": each(
        lambda when, line: json.dumps({"_index": "x", "_source": {"@timestamp": f"{when}Z", "message": line}}) + ","
    ),
    "fluent-bit": each(
        lambda when, line: json.dumps(
            {"date": int(micros(when)) / 1e6, "log": line, "kubernetes": {"pod_name": "puppet-0"}}
        )
    ),
    "cloud": each(lambda when, line: json.dumps({"textPayload": line, "timestamp": f"{when}Z"})),
    "grep -n": grepped(colon, "", True),
    "grep -n -A": grepped(context, "", True),
    "grep -H": grepped(colon, "/var/log/puppetlabs/puppetserver/puppetserver.log", False),
    "grep -Hn": grepped(colon, "puppetserver.log", True),
    "grep -Hn -A": grepped(context, "puppetserver-2026-11-22.0.log", True),
    "zgrep": grepped(colon, "puppetserver-2026-11-22.0.log.gz", False),
    "cat -n": lambda lines: text([f"{number:6}\t{line}" for number, line in enumerate(lines, 1)]),
    "tail -F": tail,
    "docker of compose": each(lambda when, line: docker(when, f"puppet-1  | {line}")),
    "CRI of docker": each(lambda when, line: f"{when}123456789Z stdout F {docker(when, line)}"),
    "syslog of docker": each(lambda when, line: f"{rfc3164(when)} node1 docker[1]: {docker(when, line)}"),
    "grep of syslog": each(lambda when, line: f"messages:17:{rfc3164(when)} ps1 puppetserver[812]: {line}"),
    "kubectl of syslog": each(
        lambda when, line: f"[pod/x/y] {when}1Z <134>{rfc3164(when)} ps1 puppetserver[812]: {line}"
    ),
}
"""Of any log."""

PUPPET: dict[str, Callable[[list[str]], bytes]] = {
    "logstash-logback-encoder": logstash,
    "logback's JSON": encoded(logback),
    "ECS": encoded(ecs),
    "GELF": encoded(gelf),
    "Spring's pattern": spring,
    "thread first": thread_first,
    "logger without brackets": lambda lines: text([HEAD.sub(r"\1 \2  [\3] \4: \5", line) for line in lines]),
    "brackets around all": lambda lines: text([HEAD.sub(r"[\1][\2 ][\4] [\3] \5", line) for line in lines]),
    "level in brackets": lambda lines: text([HEAD.sub(r"\1 [\3] [\2] \4 - \5", line) for line in lines]),
    "coloured": each(coloured),
    "two programs": two_programs,
    "docker of logstash": lambda lines: text([docker(FIRST, line) for line in logstash(lines).decode().splitlines()]),
    "CRI of logstash": lambda lines: text(
        [f"{FIRST}1Z stdout F {line}" for line in logstash(lines).decode().splitlines()]
    ),
    "CRI of logstash in pieces": lambda lines: partial(logstash(lines).decode().splitlines()),
    "journald of logstash": lambda lines: text(
        [f"Nov 23 17:28:10 ps1 puppetserver[812]: {line}" for line in logstash(lines).decode().splitlines()]
    ),
    "docker, no date": each(lambda when, line: docker(when, HEAD.sub(r"\2 [\3] [\4] \5", line))),
    "CRI, no zone": each(
        lambda when, line: (
            f"{when}5Z stdout F"
            f" {HEAD.sub(lambda m: m[0].replace('T', ' ', 1).replace('Z', '', 1).replace('.', ',', 1), line)}"
        )
    ),
}
"""Of puppetserver.log."""
