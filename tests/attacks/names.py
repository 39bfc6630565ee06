"""Names that a client may send and that come out in labels, columns and rows: alike once escaped, long, of no text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.attacks.attack import A, Attack, Crowd, Given, flow_of, flows
from tests.build import Flow, extension, message, numbered, record, vector

Name = Callable[[int], bytes]

NAMES: dict[str, Name] = {
    "a control character each": lambda n: b"db\\x%02x" % (n % 32) if n % 2 else b"db" + bytes((n // 2 % 32,)),
    "quotes and backslashes": lambda n: (b'db"', b'db\\"', b"db\\", b"db\\\\", b'"', b"\\")[n % 6] + b"%d" % (n // 6),
    "line feeds": lambda n: (b"db\n", b"db\\n", b"db\\x0a", b"db\r")[n % 4] + b"%d" % (n // 4),
    "series in a name": lambda n: b'db"} 1\ninspector_connections{name="%d' % n,
    "bytes that are no UTF-8": lambda n: b"db\xff\xfe" + bytes((128 + n % 128, 128 + n // 128 % 128)),
    "surrogates": lambda n: b"db\xed\xa0" + bytes((0x80 + n % 64,)) + b"%d" % (n // 64),
    "replacement characters": lambda n: (b"db\xef\xbf\xbd", b"db\xff", b"db\xfe", b"db\\xff")[n % 4] + b"%d" % (n // 4),
    "upper and lower case": lambda n: b"".join((b"d", b"D")[n >> bit & 1] for bit in range(16)),
    "dots at the end": lambda n: b"db" + b"." * (n % 200),
    "spaces": lambda n: b"db" + b" " * (n % 200),
    "of 255 bytes": lambda n: b"%08d" % n + b"a" * 247,
    "of 65,000 bytes": lambda n: b"%08d" % n + b"a" * 60_000,
    "of no bytes": lambda n: b"",
    "NUL": lambda n: b"db\0%d" % n,
    "terminal sequences": lambda n: b"\x1b]0;%d\x07\x1b[2J" % n,
    "right to left": lambda n: "db‮".encode() + b"%d" % n,
    "zero width": lambda n: ("db" + "​" * (n % 70)).encode(),
    "composed and decomposed": lambda n: ("dü", "dü")[n % 2].encode() + b"%d" % (n // 2),
    "letters that look alike": lambda n: ("db", "dЬ", "ｄｂ", "d𝐛")[n % 4].encode() + b"%d" % (n // 4),
    "formulas": lambda n: (b"=1+%d", b"+%d", b"-%d", b"@%d", b"\t=%d")[n % 5] % n,
    "markup": lambda n: b"[red]<b>%d</b>[/]{{%d}}${%d}" % (n, n, n),
    "addresses": lambda n: b"10.%d.%d.%d" % (n >> 16 & 255, n >> 8 & 255, n & 255),
    "many": lambda n: b"service-%d.example.com" % n,
}
"""Of a connection's number."""


def hello_to(random: bytes, name: bytes) -> bytes:
    listed = extension(0, vector(2, b"\0" + vector(2, name)))
    return message(1, b"\x03\x03" + random + b"\0" + vector(2, b"\xc0\x2b\x00\xff") + b"\1\0" + vector(2, listed))


def called(name: Name, count: int, *, port: int = 0) -> Given:
    """Full handshakes with servers of such names; on ports of their own from ``port`` on."""
    pool = Crowd()
    for number in range(count):
        pool.port += 1
        hello = hello_to(numbered(pool.port), name(number))
        flow = pool._placed(Flow(pool.port, pool.ns)).open()
        if port:
            flow.server_port = port + number % 30_000
        pool.flows.append(flow)
        for at in range(0, len(hello), 16_000):
            flow.client_says(record(22, hello[at : at + 16_000], 0x0301))
        pool._flight(flow, A, numbered(60_000 + number), False)
        pool._end(flow.close())
    return flows(pool)


def protocols(count: int) -> Given:
    """The same in application protocols."""
    pool = Crowd()
    for number in range(count):
        value = NAMES["quotes and backslashes"](number) + NAMES["terminal sequences"](number)
        listed = extension(16, vector(2, vector(1, value)))
        hello = message(1, b"\x03\x03" + numbered(70_000 + number) + b"\0" + vector(2, b"\xc0\x2b") + b"\1\0"
                        + vector(2, listed))  # fmt: skip
        flow_of(pool, (True, record(22, hello)), (False, record(21, b"\2\x28")))
    return flows(pool)


NUMBERS = {"of 65,000 bytes": 2_000}
ATTACKS = (
    *(Attack("names", name, partial(called, one), 40, NUMBERS.get(name, 20_000)) for name, one in NAMES.items()),
    Attack("names", "many, on as many ports", partial(called, NAMES["many"], port=10_000), 40, 20_000),
    Attack("names", "in protocols", protocols, 40, 20_000),
)
