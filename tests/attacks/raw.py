"""Frames by the hundred thousand, made quickly: TCP over IPv4 on Ethernet, and pcap records of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tests.attacks.attack import Given, frames_of_an_abort
from tests.build import START_NS, pcap

MACS = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x00"
SERVER = (10 << 24) + 100
CLIENT = (10 << 24) + (2 << 16)
SECOND = 1_000_000_000


def tcp(
    client: int, port: int, flags: int, seq: int = 0, ack: int = 0, payload: bytes = b"", *, by_client: bool = True,
    server_port: int = 8081,
) -> bytes:  # fmt: skip
    """A frame between a client, by its number, and the virtual IP."""
    source, target = (CLIENT + client, SERVER)[:: 1 if by_client else -1]
    ports = (port, server_port)[:: 1 if by_client else -1]
    return b"".join(
        (
            MACS,
            struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(payload), 1, 0, 64, 6, 0, source, target),
            struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, 65_535, 0, 0),
            payload,
        )
    )


def recorded(frames: Iterable[bytes], step_ns: int = 10_000) -> Given:
    """Frames one after the other, and an abort behind them."""
    out = bytearray(pcap([]))
    ns = START_NS
    for frame in frames:
        out += struct.pack("<IIII", ns // SECOND, ns % SECOND, len(frame), len(frame)) + frame
        ns += step_ns
    return Given(bytes(out) + frames_of_an_abort(ns))
