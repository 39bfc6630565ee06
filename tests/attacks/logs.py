"""Logs beside a capture: lines without an end, of no text, of no known form, and more failures than there are
connections.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.attacks.attack import Beside, Given, frames_of_an_abort, table
from tests.build import START_NS, pcap
from tests.logged import mixed, today

Lines = Callable[[int], bytes]
SECOND = 1_000_000_000


def failures(count: int, step: int = SECOND, thread: int = 0) -> bytes:
    return "".join(today(START_NS + n * step, thread or n) for n in range(count)).encode()


HAPROXY = (
    "Nov 14 22:13:20 lb haproxy[7]: 10.0.0.10:%d [14/Nov/2023:22:13:%02d.%03d] front back/b%d 0/0/1/2/%d 200 150"
    " - - ---- 1/1/1/1/0 0/0 \"GET /%s HTTP/1.1\"\n"
)  # fmt: skip


def haproxy(n: int, path: str = "x") -> str:
    return HAPROXY % (1_024 + n % 60_000, n // 1_000 % 60, n % 1_000, n % 7, n % 900, path)


LINES: dict[str, Lines] = {
    "one line without an end": lambda n: failures(3) + b"A" * (n * 100),
    "a long line between two": lambda n: failures(3) + b"A" * (n * 100) + b"\n" + failures(3),
    "a long line of a failure": lambda n: failures(1)[:-1] + b" because " * (n * 11) + b"\n",
    "NUL": lambda n: failures(3) + bytes(n * 100),
    "random bytes": lambda n: failures(3) + random.Random(1).randbytes(n * 100),
    "empty lines": lambda n: failures(3) + b"\n" * (n * 100),
    "lines of a byte": lambda n: failures(3) + b"x\n" * (n * 50),
    "carriage returns": lambda n: failures(3) + b"\r" * (n * 100),
    "bytes that are no UTF-8": lambda n: failures(3) + b"\xff\xfe\n" * (n * 30),
    "UTF-16": lambda n: b"\xff\xfe" + failures(n // 2 + 1).decode().encode("utf-16-le"),
    "failures": lambda n: failures(n),
    "failures at one time": lambda n: failures(n, 0),
    "failures of one thread": lambda n: failures(n, SECOND // 1_000, 7),
    "failures without a zone": lambda n: "".join(mixed(START_NS + i * 10_000_000, i) for i in range(n)).encode(),
    "failures of all years": lambda n: "".join(
        today((i * 7_919_000_123 * SECOND) % (4_000_000_000 * SECOND), i) for i in range(n)
    ).encode(),
    "times that cannot be": lambda n: b"2026-99-99T99:99:99.999Z ERROR [t] [c.p.X] Error executing http request\n" * n,
    "traces without an end": lambda n: failures(1) + b"\tat a.b.C.d(E.java:1)\n" * (n * 5),
    "causes without an end": lambda n: failures(1) + b"Caused by: javax.net.ssl.SSLException: x\n" * (n * 2),
    "brackets": lambda n: failures(3) + b"[" * (n * 100) + b"\n" + b"[{" * (n * 50) + b"\n",
    "JSON in JSON": lambda n: failures(3) + b'{"log":"' * (n * 12) + b"\n",
    "many keys": lambda n: failures(3)
    + (b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(n * 8)) + b"}\n"),
    "spaces": lambda n: failures(3) + b"2023-11-14 " + b" " * (n * 100) + b"\n",
    "digits": lambda n: failures(3) + b"1" * (n * 100) + b"\n",
    "HAProxy's": lambda n: "".join(haproxy(i) for i in range(n)).encode(),
    "HAProxy's of long paths": lambda n: "".join(haproxy(i, "y" * 3_000) for i in range(n // 10 + 1)).encode(),
    "HAProxy's and others in turn": lambda n: "".join(
        haproxy(i) + today(START_NS + i * SECOND, i) for i in range(n // 2 + 1)
    ).encode(),
    "envelopes that change": lambda n: "".join(
        ("", f"host{i} app: ", f"<{i % 190}>1 - ", f"2023 x{i} | ")[i % 4] + today(START_NS + i * SECOND, i)
        for i in range(n // 2 + 1)
    ).encode(),
}  # fmt: skip


def beside(make: Lines, count: int) -> Given:
    """An abort, and a log."""
    return Given(pcap([]) + frames_of_an_abort(), beside=(Beside("--log", "puppetserver.log", make(count)),))


ATTACKS = table("logs", LINES, beside, 60, 100_000)
