"""Targets of ``logs/``: lines of any program, in any envelope."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import msgspec

from inspector.capture.compression import Prefixed
from inspector.errors.internal import Border
from inspector.logs import stamps
from inspector.logs.entries import UNKNOWN, LogFacts
from inspector.logs.haproxy_formats import read_fields
from inspector.logs.journald import BEGINS, Exported
from inspector.logs.opened import OpenedLog
from inspector.logs.reading import Entries, Splitter, _read
from inspector.logs.records import LogRecord, stamp_of

NEAR_NS = 1_764_000_000 * 10**9
HEAD = "2026-11-23T17:10:17.080Z ERROR [qtp1-42] [p.p.command] "
FAILED = "javax.net.ssl.SSLHandshakeException: server certificate change is restricted during renegotiation"
PUPPET = (
    f"{HEAD}Error executing http request\n{FAILED}\n\tat java.base/sun.security.ssl.Alert(Alert.java:131)\n",
    f"2014-11-20 22:04:03,392 WARN [qtp-1] [puppetserver] Puppet {FAILED}\n",
    f"{HEAD}Internal Server Error: java.io.IOException: Connection to https://puppetdb.example.com:8081 failed\n",
)
HAPROXY = (
    "haproxy[1]: 10.0.0.1:5000 [23/Nov/2026:17:28:10.259] fe be/db1 0/0/1 100 -- 1/1/1/1/0 0/0\n",
    '10.0.0.1:5000 [23/Nov/2026:17:28:10.259] fe~ be/db1 0/0/1/2/3 200 100 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"\n',
    "client_ip=10.0.0.1 client_port=5000 backend=be server=db1 time=1764000000.123\n",
    '{"ts":"2026-11-23T17:28:10Z","ci":"10.0.0.1","cp":5000,"b":"be","s":"db1","bytes":10}\n',
    "Connect from 10.0.0.1:5000 to 10.0.0.2:8081 (fe/TCP)\n",
    '10.0.0.1 - - [23/Nov/2026:17:28:10 +0000] "GET / HTTP/1.1" 200 10 "" "" 5000 259 "fe" "be" "db1" 0 0 1\n',
)


def _wrapped(line: str) -> Iterator[str]:
    yield line
    text = line.rstrip("\n")
    yield json.dumps({"log": line, "stream": "stdout", "time": "2026-11-23T17:10:17.080123456Z"}) + "\n"
    yield f'<134>1 2026-11-23T17:10:17.08Z host app 7 - [a@1 b="c"] {text}\n'
    yield f"<134>Nov 23 17:10:17 host app[7]: {text}\n"
    yield f"2026-11-23T17:10:17.080123456Z stdout F {text}\n"
    yield f"puppet-1  | {text}\n"
    yield f"var/log/x.log-12-{text}\n"
    yield f'"{text}"\n'
    yield f"\x1b[31m{text}\x1b[0m\n"


def log(data: bytes) -> None:
    """A log read with the fast way of its plain lines and without: the same facts."""
    fast = LogFacts("x", UNKNOWN)
    _read(Prefixed(io.BytesIO(data)), fast, None, NEAR_NS)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data.partition(b"\n")[0]:
        return
    slow = LogFacts("x", UNKNOWN)
    entries, splitter = Entries(slow, None, NEAR_NS), Splitter()
    for part in (splitter.feed(data), splitter.finish()):
        for number, line in part:
            slow.lines = number
            entries.line(number, line)
    slow.problem = fast.problem
    assert fast == slow, (fast, slow)


def log_in_pieces(data: bytes) -> None:
    """Lines as a growing log brings them: cut anywhere, they are the same lines."""
    whole, pieces = Splitter(), Splitter()
    expected = [*whole.feed(data), *whole.finish()]
    size = 1 + len(data) % 13
    found = [line for at in range(0, len(data), size) for line in pieces.feed(data[at : at + size])]
    assert expected == [*found, *pieces.finish()]


def haproxy(data: bytes) -> None:
    """One line, as every format of HAProxy's."""
    fields = read_fields(OpenedLog(data), None, NEAR_NS)
    if fields is not None:
        msgspec.json.encode([value if isinstance(value, (str, int)) else str(value) for value in fields])


def log_record(data: bytes) -> None:
    """A line that may be an object."""
    try:
        record = LogRecord(data)
    except ValueError:
        return
    _ = record.at, record.source, record.is_partial, record.raw(), record.composed()


def journal_export(data: bytes) -> None:
    """journald's export format, line by line."""
    exported = Exported()
    for line in (BEGINS[0] + b"x\n" + data).split(b"\n"):
        if exported.accepts(line):
            exported.entry()


def stamp(data: bytes) -> None:
    """A time, wherever it stands; written by us it is the same time."""
    found = stamps.stamp_in(data, NEAR_NS)
    if found is not None and stamps.FIRST_NS <= found.ns <= stamps.LAST_NS:
        again = stamps.stamp_in(stamps.zoned(found))
        assert again == found, (found, again)
    text = data.decode("latin-1")
    stamp_of(text)
    stamps.unix(text)
    if data.isdigit():
        stamp_of(int(text))
        stamps.unix(float(text))


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "log": lambda: (text.encode() for line in (*PUPPET, *HAPROXY, HAPROXY[2] * 2) for text in _wrapped(line)),
    "log_in_pieces": lambda: iter((b"a\nb\r\n\nc", b"\n\n")),
    "haproxy": lambda: (line.rstrip("\n").encode() for line in HAPROXY),
    "log_record": lambda: iter(
        (
            b'{"log":"a\\n","stream":"stdout","time":"2026-11-23T17:10:17Z"}',
            b'{"@timestamp":1764000000123,"level":"ERROR","message":"m","logger_name":"l","thread_name":"t","stack_trace":"s"}',
            b'{"MESSAGE":[104,105],"__REALTIME_TIMESTAMP":"1764000000000000","_HOSTNAME":"h"}',
            b'{"textPayload":"a","timestamp":{"seconds":1,"nanos":2},"thrown":{"cause":{"message":"x"},"extendedStackTrace":[{"a":1}]}}',
        )
    ),
    "journal_export": lambda: iter(
        (
            b"__REALTIME_TIMESTAMP=1764000000000000\n_HOSTNAME=h\nMESSAGE=hello\n\n",
            b"MESSAGE\n\5\0\0\0\0\0\0\0a\nb\nc\n_PID=7\n\n__CURSOR=y\nMESSAGE=x\n\n",
        )
    ),
    "stamp": lambda: iter(
        (
            b"2026-11-23T17:10:17.080Z",
            b"23/Nov/2026:17:28:10.259 +0100",
            b"Nov 23 17:00:00.123456 x",
            b"Mon, 23 Nov 2026 17:28:10 GMT",
            b"1764000000.123",
            b"1764000000123456789",
        )
    ),
}


def prepare() -> None:
    """Mistakes of the program are loud."""
    Border.is_loud = True
