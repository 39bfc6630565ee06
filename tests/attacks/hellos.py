"""Hellos: lists without an end, and each of another shape, name or protocol than all before it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from tests.attacks.attack import A, Attack, Crowd, Given, flows, table
from tests.build import (
    CHANGE,
    FINISHED,
    KEY_EXCHANGE,
    Flow,
    extension,
    message,
    numbered,
    record,
    server_hello,
    sni,
    vector,
)
from tests.hostile import HELLOS, hello, in_records, numbers

Hello = Callable[[bytes, int], bytes]


def permuted(number: int, of: int) -> list[int]:
    """A permutation by its number."""
    order = list(range(of))
    for place in range(of - 1, 0, -1):
        number, other = divmod(number, place + 1)
        order[place], order[other] = order[other], order[place]
    return order


def suites_in_order(number: int) -> bytes:
    return b"".join(struct.pack(">H", 0xC000 + n) for n in permuted(number, 20))


SHAPES: dict[str, Hello] = {
    "other suites each": lambda random, n: hello(random, n, suites=numbers(n * 7, 20)),
    "other suites each, 500": lambda random, n: hello(random, n, suites=numbers(n * 7, 500)),
    "suites in another order": lambda random, n: hello(random, n, suites=suites_in_order(n)),
    "another extension each": lambda random, n: hello(random, n, extension(0x4000 + n % 0x8000, b"x")),
    "500 other extensions each": lambda random, n: hello(
        random, n, *[extension(0x100 + (n * 3 + place) % 0xF000) for place in range(500)]
    ),
    "other groups each": lambda random, n: hello(random, n, extension(10, vector(2, numbers(n, 500)))),
    "other algorithms each": lambda random, n: hello(random, n, extension(13, vector(2, numbers(n, 500)))),
    "another name each": lambda random, n: hello_to(random, f"host-{n}.example.com"),
    "another name of 255 bytes each": lambda random, n: hello_to(random, f"{n:x}." + "a" * 240),
    "a name of bytes each": lambda random, n: message(
        1,
        b"\x03\x03"
        + random
        + b"\0"
        + vector(2, b"\xc0\x2b")
        + b"\1\0"
        + vector(2, extension(0, vector(2, b"\0" + vector(2, struct.pack("<I", n) * 20)))),
    ),
    "another protocol each": lambda random, n: hello(
        random, n, extension(16, vector(2, vector(1, b"protocol-%d" % n) + vector(1, b"h" * 200)))
    ),
    "64 other protocols each": lambda random, n: hello(
        random, n, extension(16, vector(2, b"".join(vector(1, b"%d-%d" % (n, i) * 8) for i in range(60))))
    ),
    "60 other identities each": lambda random, n: hello(
        random,
        n,
        extension(
            41,
            vector(2, b"".join(vector(2, b"%08d-%d" % (n, i) * 20) + bytes(4) for i in range(60)))
            + vector(2, vector(1, bytes(32))),
        ),
    ),
    "padding of 16 KB": lambda random, n: hello(random, n, extension(21, struct.pack(">I", n) + bytes(16_000))),
    "grease": lambda random, n: hello(
        random, n, extension(0x0A0A + 0x1010 * (n % 16)), suites=struct.pack(">H", 0x0A0A + 0x1010 * (n // 16 % 16))
    ),
}


def hello_to(random: bytes, name: str) -> bytes:
    return message(
        1, b"\x03\x03" + random + b"\0" + vector(2, b"\xc0\x2b\xc0\x2f\x00\xff") + b"\1\0" + vector(2, sni(name))
    )


def greeted(shape: Hello, count: int, *, answered: bool = True) -> Given:
    """Full handshakes of as many clients' hellos; or the hellos alone."""
    pool = Crowd()
    for number in range(count):
        pool.port += 1
        flow = pool._placed(Flow(pool.port, pool.ns)).open()
        pool.flows.append(flow)
        for piece in in_records(shape(numbered(50_000 + number), number)):
            flow.client_says(piece)
        if answered:
            pool._flight(flow, A, numbered(60_000 + number), False)
            flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)
        pool._end(flow.close())
    return flows(pool)


def answered_oddly(count: int) -> Given:
    """Each server's hello chooses another suite and has another extension."""
    pool = Crowd()
    for number in range(count):
        flow = pool._begin(b"")
        odd = server_hello(
            numbered(pool.port + (1 << 20)),
            numbered(60_000 + number),
            suite=struct.pack(">H", number & 0xFFFF),
            more=[extension(0x4000 + number % 0x8000, b"y" * (number % 50))],
        )
        flow.server_says(record(22, odd))
        pool._end(flow.close())
    return flows(pool)


LONG = {"suites", "extensions", "groups", "signature algorithms", "protocols", "identities", "a name", "names"}
WIDE = {name for name in SHAPES if "500" in name or "6" in name}
ENDLESS = {f"without an end: {name}": one for name, one in HELLOS.items()}
ALONE = {f"{name}, alone": SHAPES[name] for name in ("another name each", "other suites each")}
ATTACKS = (
    *(
        Attack("hellos", name, partial(greeted, one), 6, 1_000 if name.partition(": ")[2] in LONG else 10_000)
        for name, one in ENDLESS.items()
    ),
    *(
        Attack("hellos", name, partial(greeted, one), 6, 5_000 if name in WIDE else 20_000)
        for name, one in SHAPES.items()
    ),
    *table("hellos", ALONE, partial(greeted, answered=False), 6, 50_000),
    Attack("hellos", "answered by another suite and extension each", answered_oddly, 6, 30_000),
)
