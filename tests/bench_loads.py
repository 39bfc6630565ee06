"""Captures that the benchmark of live capture replays."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from inspector.capture.frames import I64, U8, gather
from inspector.capture.pcap import HEADER_BYTES
from inspector.text.times import SECOND_NS
from tests.build import (
    ACK,
    CHANGE,
    DATA,
    FINISHED,
    KEY_EXCHANGE,
    MS,
    START_NS,
    Flow,
    Pool,
    certificate,
    numbered,
    record,
    written,
)

CONNECTIONS = 5_000
NEW_A_SECOND = 50
TRANSFERS, BYTES_A_SECOND, TRANSFER_SECONDS = 4, 36_600_000, 2.0
"""Of a usual load, which is 300 Mbit a second with headers: so many transfers at a time, what they move altogether, and
how long each takes.
"""

WINDOW = 48_000
"""Bytes between two acknowledgements of a transfer."""

DERS = [certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in range(3)]


def _five(pool: Pool, number: int, *, aborts: bool) -> None:
    """A session that is resumed three times, and declined or not offered by the fifth connection."""
    pool.full(DERS[number % 3], numbered(number))
    for _ in range(3):
        pool.resumed(numbered(number))
    if aborts:
        pool.given_up(DERS[(number + 1) % 3], numbered(number + 1), numbered(number))
    else:
        pool.full(DERS[number % 3], numbered(number + 1))


def handshakes(folder: Path) -> Path:
    """Connections of a pool of three, one after the other, with an abort in each fifty."""
    pool = Pool()
    for number in range(1, CONNECTIONS, 5):
        _five(pool, number, aborts=number % 50 == 1)
    return written(folder, pool.flows, "handshakes.pcap")


def usual(folder: Path, size: int, seconds: int) -> Path:
    """So many seconds of what a host does: new connections with an abort a second, and transfers in segments of so many
    bytes.
    """
    pool = Pool()
    for number in range(0, NEW_A_SECOND * seconds, 5):
        pool.ns = START_NS + number * SECOND_NS // NEW_A_SECOND
        _five(pool, number, aborts=number % 50 == 45)
    flows = pool.flows
    for lane in range(TRANSFERS):
        ns, port = START_NS + lane * 77 * MS, 20_000 + 1_000 * lane
        while ns < START_NS + (seconds - 0.5) * SECOND_NS:
            left = (START_NS + seconds * SECOND_NS - ns) / SECOND_NS
            flows.append(_transfer(port, ns, size, min(TRANSFER_SECONDS, left - 0.1)))
            ns, port = flows[-1].ns + 30 * MS, port + 1
    return written(folder, flows, "usual.pcap")


def _transfer(port: int, ns: int, size: int, seconds: float) -> Flow:
    """A download in TLS records of 16 KB; its segments come in bursts, as many as a millisecond moves."""
    pool = Pool(ns=ns, port=port, client="10.0.0.9")
    flow = pool._begin(b"")
    pool._flight(flow, DERS[0], numbered(port), False)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED).client_says(DATA)
    rate = BYTES_A_SECOND / TRANSFERS
    piece = record(23, b"d" * 16_000)
    stream = memoryview(piece * (int(rate * seconds) // len(piece) + 1))
    began = flow.ns
    for at in range(0, len(stream), size):
        flow.ns = began + int(at / rate * SECOND_NS) // MS * MS
        flow.add(False, ACK, bytes(stream[at : at + size]), 0)
        if at // WINDOW != (at + size) // WINDOW:
            flow.add(True, ACK, b"", 0)
    return flow.close()


class Repeated:
    """A capture again and again, each time later and by another client. ``header``: what the stream begins with."""

    def __init__(self, path: Path) -> None:
        octets = np.fromfile(path, np.uint8)
        self.header = octets[:HEADER_BYTES].tobytes()
        self._octets: U8 = octets[HEADER_BYTES:].copy()
        at, places = 0, []
        while at < len(self._octets):
            places.append(at)
            at += 16 + int(struct.unpack_from("<I", self._octets.data, at + 8)[0])
        self._at: I64 = np.array(places, np.int64)
        seconds, fraction = self._numbers(0), self._numbers(4)
        self._ns = seconds * SECOND_NS + fraction
        self._span = int(self._ns[-1] - self._ns[0]) + SECOND_NS
        source, target = self._numbers(16 + 26), self._numbers(16 + 30)
        client = source[0]
        self._clients = np.concatenate([self._at[source == client] + 42, self._at[target == client] + 46])

    def _numbers(self, at: int) -> I64:
        """Four bytes of each record."""
        numbers: I64 = gather(self._octets, self._at + at, 4).view("<u4")[:, 0].astype(np.int64)
        return numbers

    def copy(self, number: int) -> memoryview:
        """One of them, good until the next."""
        ns = self._ns + number * self._span
        for at, column in ((0, ns // SECOND_NS), (4, ns % SECOND_NS)):
            self._octets[self._at[:, None] + at + np.arange(4)] = column.astype("<u4").view(np.uint8).reshape(-1, 4)
        self._octets[self._clients + 1], self._octets[self._clients + 2] = number >> 8 & 255, number & 255
        return self._octets.data
