"""Files that hold the same frames: pcap, and pcapng of sections, interfaces, byte orders and secrets blocks."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
from collections.abc import Callable, Sequence

import zstandard

from tests.mutations import Frame

SECRETS = 10
TLS_KEY_LOG = 0x544C534B
NANOSECONDS = 9

PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: gzip.compress(data, 1),
    lambda data: zstandard.compress(data, 1),
    lambda data: bz2.compress(data, 1),
    lambda data: lzma.compress(data, preset=0),
)


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order: str) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, order: str) -> bytes:
    resolution = struct.pack(order + "HHB3xHH", 9, 1, NANOSECONDS, 0, 0)
    return block(1, struct.pack(order + "HHI", link_type, 0, 0) + resolution, order)


def packet(frame: Frame, number: int, order: str) -> bytes:
    fields = struct.pack(
        order + "IIIII", number, frame.ns >> 32, frame.ns & 0xFFFFFFFF, len(frame.data), frame.original
    )
    return block(6, fields + frame.data, order)


def secrets_block(lines: bytes, order: str, kind: int = TLS_KEY_LOG) -> bytes:
    return block(SECRETS, struct.pack(order + "II", kind, len(lines)) + lines, order)


def pcap(frames: Sequence[Frame]) -> bytes:
    """With nanoseconds; the frames are of one link type."""
    link_type = frames[0].link_type if frames else 1
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link_type)]
    for frame in frames:
        out.append(struct.pack("<IIII", frame.ns // 10**9, frame.ns % 10**9, len(frame.data), frame.original))
        out.append(frame.data)
    return b"".join(out)


def pcapng(frames: Sequence[Frame], dice: random.Random, secrets: Callable[[], bytes | None]) -> bytes:
    """Sections of either byte order, each with the interfaces that it needs in any order, some of them twice.
    ``secrets``: asked for the lines of a block before any frame; None for no block.
    """
    order = ""
    out: list[bytes] = []
    known: list[int] = []
    for frame in frames:
        if not order or dice.random() < 0.02:
            order, known = dice.choice("<>"), []
            out.append(section(order))
        if dice.random() < 0.05:
            known.append(frame.link_type)
            out.append(interface(frame.link_type, order))
        if (lines := secrets()) is not None:
            out.append(secrets_block(lines, order, dice.choice((TLS_KEY_LOG, TLS_KEY_LOG, 0x57474B4C))))
        if frame.link_type not in known:
            known.append(frame.link_type)
            out.append(interface(frame.link_type, order))
        number = dice.choice([n for n, link_type in enumerate(known) if link_type == frame.link_type])
        out.append(packet(frame, number, order))
    return b"".join(out) or section("<")
