"""Certificates: malformed ones of the server and the client, in full handshakes whose sessions are resumed and
declined; and chains, each of certificates that nobody has shown before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from tests import der as d
from tests.attacks.attack import A, Attack, Crowd, Given, flows, numbered_by
from tests.build import (
    CHANGE,
    DATA,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    Flow,
    Pool,
    certificates,
    message,
    numbered,
    server_hello,
)
from tests.hostile import CHAINS, in_records, shown

Chain = Callable[[int], tuple[bytes, ...]]
"""What the connection of a number is shown."""

NUMBERED = d.tlv(2, b"nnnnnnnn")
"""A serial number that a connection's number stands in for."""


def template(size: int = 1_000, *general: bytes) -> bytes:
    """A certificate of about so many bytes, with these alternative names."""
    filled = d.extension("1.3.6.1.4.1.11129.2.4.9", bytes(max(size - 350, 1)))
    return d.certificate(d.names(d.dns("nnnnnnnn.example.com"), *general), filled, serial=NUMBERED)


def of_many(chain: Chain, count: int, *, by_client: bool = False, pieces: int = 0, is_used: bool = False) -> Given:
    """Full handshakes with other chains each. ``pieces``: bytes of each segment of the flight; 0 for one of all.
    ``is_used``: both sides go on to send data, so that none is a health check.
    """
    pool = Crowd()
    for number in range(count):
        ours = certificates(*chain(number))
        flow = pool._begin(b"")
        hello = server_hello(numbered(pool.port + (1 << 20)), numbered(number + 5_000))
        theirs = certificates(A) if by_client else ours
        for piece in in_records(hello, theirs, message(12, b"s" * 70), DONE):
            for at in range(0, len(piece), pieces or len(piece)):
                flow.server_says(piece[at : at + (pieces or len(piece))], wait=1_000)
        for piece in in_records(ours) if by_client else ():
            flow.client_says(piece)
        flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)
        if is_used:
            flow.client_says(DATA).server_says(DATA)
        pool._end(flow.close())
    return flows(pool)


def chain(of: int, size: int = 1_000, names: int = 0, name: bytes = b"") -> Chain:
    """Chains of so many certificates of about so many bytes and other names each."""
    one = template(size, *[d.dns(f"{n:x}.example.com") for n in range(names)], *([d.tlv(0x82, name)] if name else []))
    return lambda number: tuple(numbered_by(one, number * of + place) for place in range(of))


def one_leaf(number: int) -> tuple[bytes, ...]:
    return A, *chain(3)(number)


def one_authority(number: int) -> tuple[bytes, ...]:
    return numbered_by(template(), number), A


ELEVEN = chain(11)(0)


def in_another_order(number: int) -> tuple[bytes, ...]:
    order = list(ELEVEN)
    for place in range(len(order) - 1, 0, -1):
        number, other = divmod(number, place + 1)
        order[place], order[other] = order[other], order[place]
    return tuple(order)


def garbage(number: int) -> tuple[bytes, ...]:
    return tuple(struct.pack(">II", number, place) * 100 for place in range(4))


def crumbs(number: int) -> tuple[bytes, ...]:
    """Sixty certificates of five bytes each, which take a hundred times as much where they are kept."""
    return tuple(struct.pack(">IB", number, place) for place in range(60))


def cut_short(number: int) -> tuple[bytes, ...]:
    whole = numbered_by(template(), number)
    return (whole[: 40 + number % (len(whole) - 40)],)


CHAIN_SHAPES: dict[str, Chain] = {
    "of one": chain(1),
    "of four": chain(4),
    "of twenty": chain(20),
    "of sixty-five, small": chain(65, 400),
    "of three of 16 KB": chain(3, 16_000),
    "of three of 80 KB": chain(3, 80_000),
    "of 200 names": chain(1, 0, 200),
    "of 2,000 names": chain(1, 0, 2_000),
    "of a name of 10 KB": chain(1, 0, 0, b"a" * 10_000),
    "one leaf, other authorities": one_leaf,
    "other leaves, one authority": one_authority,
    "the same in another order": in_another_order,
    "of garbage": garbage,
    "of sixty, of five bytes": crumbs,
    "cut short": cut_short,
}
FEWER = {"of twenty": 3_000, "of sixty-five, small": 1_000, "of three of 16 KB": 500, "of three of 80 KB": 100}
FEWER |= {"of 200 names": 4_000, "of 2,000 names": 1_000, "of a name of 10 KB": 2_000, "of garbage": 3_000}


def malformed(name: str, count: int) -> Given:
    """A chain shown by servers and clients alike; of each session one is resumed and one declined."""
    pool = Pool()
    for number in range(count):
        alike = tuple(_distinct(one, number) for one in CHAINS[name])
        shown(pool, alike, numbered(5_000 + 2 * number))
        pool.resumed(numbered(5_000 + 2 * number))
        shown(pool, alike, numbered(5_001 + 2 * number), by_client=True)
        _declined(pool, numbered(5_001 + 2 * number), number)
    return flows(pool)


def _declined(pool: Pool, session: bytes, number: int) -> Flow:
    return pool.full(A, numbered(900_000 + number), session)


def _distinct(data: bytes, number: int) -> bytes:
    """The same with another signature."""
    return data[:-4] + struct.pack(">I", number) if len(data) > 100 else data


def many_of(name: str) -> int:
    """So many connections of a malformed chain make six megabytes."""
    return max(4, min(500, 6_000_000 // (4 * sum(map(len, CHAINS[name])) + 4_000)))


CHAINS_OF_SERVERS = {
    **CHAIN_SHAPES,
    "one certificate each time": lambda number: (A,),
}
ATTACKS = (
    *(Attack("certificates", name, partial(malformed, name), 2, many_of(name)) for name in CHAINS),
    *(
        Attack("chains", name, partial(of_many, one), 5, FEWER.get(name, 5_000))
        for name, one in CHAINS_OF_SERVERS.items()
    ),
    Attack("chains", "of four, in segments of 100 bytes", partial(of_many, chain(4), pieces=100), 5, 2_000),
    Attack("chains", "of sixty, of five bytes, in use", partial(of_many, crumbs, is_used=True), 5, 2_000),
    *(
        Attack("client chains", name, partial(of_many, one, by_client=True), 5, FEWER.get(name, 5_000))
        for name, one in CHAIN_SHAPES.items()
    ),
)
