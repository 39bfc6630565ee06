"""Connections that never become any, and segments that are tiny, late, contradictory or many."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, islice

from tests.attacks.attack import A, Attack, Given, table
from tests.attacks.raw import recorded, tcp
from tests.build import (
    ACK,
    CHANGE,
    DATA,
    DONE,
    FIN,
    FINISHED,
    KEY_EXCHANGE,
    RST,
    SYN,
    certificates,
    client_hello,
    message,
    numbered,
    record,
    server_hello,
)

Frames = Callable[[int], Iterator[bytes]]
PORTS = 60_000


def ends(number: int) -> tuple[int, int]:
    """Client and port of a connection's number."""
    return number // PORTS, 1_024 + number % PORTS


HALF_OPEN: dict[str, Frames] = {
    "SYN": lambda n: (tcp(*ends(i), SYN) for i in range(n)),
    "SYN, each by another client": lambda n: (tcp(i, 1_024, SYN) for i in range(n)),
    "SYN, to each port": lambda n: (tcp(0, 1_024, SYN, server_port=1 + i % 65_000) for i in range(n)),
    "SYN, the same": lambda n: (tcp(0, 1_024, SYN) for _ in range(n)),
    "SYN, with other numbers": lambda n: (tcp(0, 1_024, SYN, i * 1_000_003) for i in range(n)),
    "SYN and RST": lambda n: (
        tcp(*ends(i // 2), (SYN, RST | ACK)[i % 2], 0, i % 2, by_client=i % 2 == 0) for i in range(n)
    ),
    "SYN and SYN ACK": lambda n: (
        tcp(*ends(i // 2), (SYN, SYN | ACK)[i % 2], 0, i % 2, by_client=i % 2 == 0) for i in range(n)
    ),
    "SYN ACK": lambda n: (tcp(*ends(i), SYN | ACK, 0, 1, by_client=False) for i in range(n)),
    "opened": lambda n: (
        tcp(*ends(i // 3), (SYN, SYN | ACK, ACK)[i % 3], i % 3 // 2, min(i % 3, 1), by_client=i % 3 != 1)
        for i in range(n)
    ),
    "ACK": lambda n: (tcp(*ends(i), ACK, 1, 1) for i in range(n)),
    "RST": lambda n: (tcp(*ends(i), RST, 1, 1) for i in range(n)),
    "FIN": lambda n: (tcp(*ends(i), FIN | ACK, 1, 1) for i in range(n)),
    "all flags": lambda n: (tcp(*ends(i), 0xFF, i, i) for i in range(n)),
    "no flags": lambda n: (tcp(*ends(i), 0, i, i) for i in range(n)),
    "SYN with a payload": lambda n: (tcp(*ends(i), SYN, payload=b"x" * 100) for i in range(n)),
    "a byte each": lambda n: (tcp(*ends(i), ACK, 1, 1, b"\x16") for i in range(n)),
    "the start of a hello each": lambda n: (
        tcp(*ends(i), ACK, 1, 1, record(22, client_hello(numbered((1 << 24) + i)))[:60]) for i in range(n)
    ),
    "a hello each": lambda n: (
        tcp(*ends(i), ACK, 1, 1, record(22, client_hello(numbered((1 << 24) + i)))) for i in range(n)
    ),
}
CLIENT_SIDE = b"".join((record(22, client_hello(numbered(1)), 0x0301), KEY_EXCHANGE, CHANGE, FINISHED))
SERVER_SIDE = record(22, server_hello(numbered(2), numbered(3)) + certificates(A) + message(12, b"s" * 70) + DONE)


def opened(client: int, port: int) -> list[bytes]:
    return [
        tcp(client, port, SYN),
        tcp(client, port, SYN | ACK, 0, 1, by_client=False),
        tcp(client, port, ACK, 1, 1),
    ]


def one_flow(segments: Callable[[int], Iterator[tuple[int, bytes]]]) -> Frames:
    """Connections of a client whose segments are given, each of 10,000, so many segments together."""

    def frames(count: int) -> Iterator[bytes]:
        done, number = 0, 0
        while done < count:
            client, port = ends(number)
            yield from opened(client, port)
            for offset, payload in islice(segments(number), min(10_000, count - done)):
                yield tcp(client, port, ACK, 1 + offset, 1, payload)
                done += 1
            number += 1

    return frames


def endless(step: Callable[[int, int], tuple[int, bytes]]) -> Callable[[int], Iterator[tuple[int, bytes]]]:
    return lambda number: (step(number, place) for place in range(1 << 30))


def hello_of(number: int) -> bytes:
    return record(22, client_hello(numbered(number), more=[bytes.fromhex("0015") + b"\x20\x00" + bytes(0x2000)]))


def shuffled(number: int) -> Iterator[tuple[int, bytes]]:
    """The segments of a long stream of a hello and data, in any order among a hundred."""
    dice, data = random.Random(number), hello_of(number) + DATA * 300
    pieces = [(at, data[at : at + 7]) for at in range(0, len(data), 7)]
    for at in range(0, len(pieces), 100):
        some = pieces[at : at + 100]
        dice.shuffle(some)
        yield from some


def in_bytes(number: int) -> Iterator[tuple[int, bytes]]:
    data = hello_of(number) + DATA * 20
    return ((at, data[at : at + 1]) for at in range(len(data)))


def backwards(number: int) -> Iterator[tuple[int, bytes]]:
    data = hello_of(number)
    return ((at, data[at : at + 5]) for at in range(len(data) - 5, 0, -5))


SEGMENTS: dict[str, Frames] = {
    "a byte each": one_flow(in_bytes),
    "a byte each, every second missing": one_flow(lambda n: islice(in_bytes(n), 0, None, 2)),
    "a byte each, all but the first": one_flow(lambda n: islice(in_bytes(n), 1, None)),
    "backwards": one_flow(backwards),
    "in any order": one_flow(shuffled),
    "each twice": one_flow(lambda n: (one for one in in_bytes(n) for _ in (0, 1))),
    "the same with other bytes": one_flow(endless(lambda n, i: (0, bytes((i & 255,)) * 500))),
    "overlapping with other bytes": one_flow(endless(lambda n, i: (i * 3 % 5_000, bytes((i & 255,)) * 50))),
    "overlapping, each a byte on": one_flow(endless(lambda n, i: (i, bytes((i & 255,)) * 1_400))),
    "gaps": one_flow(endless(lambda n, i: (i * 3_000, b"\x16\x03\x03\x00\x64" + b"g" * 100))),
    "far apart": one_flow(endless(lambda n, i: (i * 0x10000001, b"x" * 100))),
    "before the start": one_flow(endless(lambda n, i: (-i * 100, b"x" * 100))),
    "beyond a window": one_flow(endless(lambda n, i: (0x7FFFFFFF - 50 + i % 100, b"x"))),
    "of no bytes": one_flow(endless(lambda n, i: (i, b""))),
    "in the other direction alone": lambda n: (
        tcp(*ends(i // 10_000), ACK, i % 10_000 * 100, 1, SERVER_SIDE[:100], by_client=False) for i in range(n)
    ),
    "of thousands of connections in turn": lambda n: (
        tcp(*ends(i % 5_000), ACK, 1 + i // 5_000 * 10, 1, CLIENT_SIDE[i // 5_000 % 30 * 10 :][:10]) for i in range(n)
    ),
    "opened again and again": lambda n: chain.from_iterable(
        [*opened(0, 1_024), tcp(0, 1_024, ACK, 1, 1, CLIENT_SIDE[:200])] for _ in range(n // 4)
    ),
}


def records(make: Callable[[int], bytes], segment: int = 1_400) -> Frames:
    """A stream of records behind a hello: the record of each place, in segments."""

    def pieces(number: int) -> Iterator[tuple[int, bytes]]:
        waiting, offset = record(22, client_hello(numbered(number)), 0x0301), 0
        for place in range(1 << 30):
            waiting += make(place)
            while len(waiting) >= segment:
                yield offset, waiting[:segment]
                offset += segment
                waiting = waiting[segment:]

    return one_flow(pieces)


LARGEST = 1 << 14
RECORDS: dict[str, Frames] = {
    "empty, application data": records(lambda n: record(23, b"")),
    "empty, handshake": records(lambda n: record(22, b"")),
    "empty, alert": records(lambda n: record(21, b"")),
    "empty, change of cipher": records(lambda n: record(20, b"")),
    "empty, of no known kind": records(lambda n: record(24 + n % 200, b"")),
    "of a byte": records(lambda n: record(23, b"x")),
    "of a byte, handshake": records(lambda n: record(22, b"\x01")),
    "of a byte, change of cipher": records(lambda n: CHANGE),
    "of 2^14": records(lambda n: record(23, bytes(LARGEST))),
    "of 2^14, handshake": records(lambda n: record(22, bytes(LARGEST))),
    "of 2^16 - 1": records(lambda n: record(23, bytes(0xFFFF))),
    "of versions that are none": records(lambda n: record(23, b"x", 0x0300 + n % 255)),
    "of hello requests": records(lambda n: record(22, message(0, b""))),
    "of hellos": records(lambda n: record(22, client_hello(numbered(n)))),
    "of alerts": records(lambda n: record(21, b"\1\x5a")),
    "of key updates": records(lambda n: record(22, message(24, b"\0"))),
    "of heartbeats": records(lambda n: record(24, b"\1\xff\xff")),
    "of messages of no known kind": records(lambda n: record(22, message(n % 256, b"x" * (n % 50)))),
    "a message in records of a byte": records(
        lambda n: b"".join(record(22, bytes((byte,))) for byte in message(11, bytes(200)))
    ),
    "garbage": records(lambda n: b"\x9e\x37\x79\xb9" * 100),
    "what begins like a record": records(lambda n: b"\x16\x03"),
}


def flood(make: Frames, count: int) -> Given:
    """As frames, with an abort behind them."""
    return recorded(make(count))


ATTACKS: tuple[Attack, ...] = (
    *table("half open", HALF_OPEN, flood, 200, 300_000),
    *table("segments", SEGMENTS, flood, 2_000, 200_000),
    *table("records", RECORDS, flood, 100, 20_000),
)
