"""What a soak test captures: a block of connections of a pool of three, again and again, each time later, by one of a
few clients, with sessions of its own; and in each block faults that are known beforehand.
"""

from __future__ import annotations

import struct

import numpy as np

from inspector.capture.frames import I64, U8
from inspector.capture.pcap import HEADER_BYTES, RECORD_BYTES
from inspector.text.times import SECOND_NS
from tests.build import ACK, CHANGE, DATA, FINISHED, KEY_EXCHANGE, MS, START_NS, Pool, capture, certificate, numbered

DERS = [certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in range(3)]
CLIENTS = 8
"""After so many blocks an address uses its ports again."""

OURS, EARLIER = b"\x5a" * 28, b"\x5b" * 28
"""What numbers in a block stand behind: its own, and those of a block that lies ``REACH`` blocks back."""

REACH = 30
"""A session that was issued so many blocks ago is declined: a verdict on that needs what a window of the last
connections may have forgotten.
"""

STAMPED = 8
"""Where in such a number its block stands."""

FAULTS = 3
"""Aborts in each block."""

LEAST = 25
"""Connections of a block."""


def _earlier(number: int) -> bytes:
    """A session of an earlier block."""
    return EARLIER + struct.pack(">I", number)


def _flows(connections: int, span_ns: int) -> Pool:
    """One block. Sessions are issued, resumed, and now and then declined; one connection is open throughout."""
    pool = Pool(port=20_000)
    gap = span_ns // (connections + 1)
    pool.full(DERS[0], numbered(1))
    long = pool._begin(b"")
    pool._flight(long, DERS[1], numbered(2), False)
    long.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED).client_says(DATA)
    number = 3
    while len(pool.flows) < connections - FAULTS - 1:
        pool.ns = START_NS + len(pool.flows) * gap
        if len(pool.flows) % 5 == 0:
            number += 1
            pool.full(DERS[number % 3], numbered(number))
        else:
            pool.resumed(numbered(number if number > 3 else 1))
    for offered, alert in ((numbered(1), 42), (numbered(1), None), (_earlier(1), 42)):
        pool.ns = START_NS + len(pool.flows) * gap
        number += 1
        pool.given_up(DERS[1], numbered(number), offered, alert=alert)
    pool.ns = START_NS + len(pool.flows) * gap
    pool.full(DERS[2], numbered(number + 1))
    long.ns = pool.ns + MS
    long.add(False, ACK, DATA).close()
    return pool


class Blocks:
    """``connections``: of each block. ``span_ns``: how long one takes. ``header``: what a file of them begins with."""

    def __init__(self, connections: int, span_ns: int) -> None:
        flows = _flows(connections, span_ns).flows
        octets = capture(flows)
        self.failed_ns = [flow.ns - 2 * MS - START_NS for flow in flows[-FAULTS - 1 : -1]]
        """When the client gives up in a block."""
        self.connections, self.span_ns = connections, span_ns
        self.header = octets[:HEADER_BYTES]
        self._octets: U8 = np.frombuffer(octets[HEADER_BYTES:], np.uint8).copy()
        ends, at = [], 0
        while at < len(self._octets):
            at += RECORD_BYTES + int(struct.unpack_from("<I", self._octets.data, at + 8)[0])
            ends.append(at)
        self.ends: I64 = np.array(ends, np.int64)
        """Where each frame ends."""
        self._at: I64 = np.array([0, *ends[:-1]], np.int64)
        seconds, fraction = (self._octets[self._at[:, None] + place + np.arange(4)].copy() for place in (0, 4))
        self.ns: I64 = (
            seconds.view("<u4")[:, 0].astype(np.int64) * SECOND_NS + fraction.view("<u4")[:, 0].astype(np.int64)
        ) - START_NS
        """When each comes, counted from the block's beginning."""
        content = self._octets.tobytes()
        self._ours, self._earlier = _places(content, OURS), _places(content, EARLIER)
        for place in self._earlier.tolist():
            self._octets[place - STAMPED : place - STAMPED + len(OURS)] = OURS[0]
        client = self._octets[26 + RECORD_BYTES : 30 + RECORD_BYTES].tobytes()
        self._clients = np.array(
            [int(at) + RECORD_BYTES + side + 3 for at in self._at for side in (26, 30)
             if content[int(at) + RECORD_BYTES + side :][:4] == client]
        )  # fmt: skip

    def block(self, number: int, began_ns: int) -> memoryview:
        """One of them, good until the next. ``began_ns``: as the capturing clock says."""
        ns = self.ns + began_ns
        for at, column in ((0, ns // SECOND_NS), (4, ns % SECOND_NS)):
            self._octets[self._at[:, None] + at + np.arange(4)] = column.astype("<u4").view(np.uint8).reshape(-1, 4)
        self._octets[self._clients] = 10 + number % CLIENTS
        for places, block in ((self._ours, number), (self._earlier, number - REACH)):
            self._octets[places[:, None] + np.arange(4)] = np.frombuffer(struct.pack(">i", block), np.uint8)
        return self._octets.data


def _places(content: bytes, mark: bytes) -> I64:
    found, at = [], content.find(mark)
    while at >= 0:
        found.append(at + STAMPED)
        at = content.find(mark, at + len(mark))
    return np.array(found, np.int64)
