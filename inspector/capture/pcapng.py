"""The pcapng format: sections, interfaces of any time resolution, enhanced, simple and old packet blocks, statistics, secrets.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo, FrameBatch

MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION, INTERFACE, PACKET, SIMPLE, STATISTICS, ENHANCED, SECRETS = 0x0A0D0D0A, 1, 2, 3, 5, 6, 10
OPTION_END, IF_NAME, IF_TSRESOL, IF_TSOFFSET, ISB_IFDROP, ISB_OSDROP = 0, 2, 9, 14, 5, 7


@dataclass(slots=True)
class Interface:
    """An interface description; ``ticks`` per second, ``shift`` in seconds."""

    link_type: int
    snaplen: int
    ticks: int = 1_000_000
    shift: int = 0


class Section:
    """The state between two section headers: byte order and interfaces."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[Interface] = []

    def options(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Options of a block, until the end or the first that does not fit."""
        at = 0
        while at + 4 <= len(body):
            code, length = struct.unpack_from(self.order + "HH", body, at)
            if code == OPTION_END or at + 4 + length > len(body):
                return
            yield code, body[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)

    def add_interface(self, body: bytes, info: CaptureInfo) -> None:
        """An Interface Description Block."""
        if len(body) < 8:
            return
        link_type, _, snaplen = struct.unpack_from(self.order + "HHI", body)
        interface = Interface(link_type, snaplen)
        name = ""
        for code, value in self.options(body[8:]):
            if code == IF_TSRESOL and value:
                exponent = value[0] & 0x7F
                interface.ticks = 2 ** min(exponent, 62) if value[0] & 0x80 else 10 ** min(exponent, 18)
            elif code == IF_TSOFFSET and len(value) == 8:
                interface.shift = struct.unpack(self.order + "q", value)[0]
            elif code == IF_NAME:
                name = value.decode("utf-8", "replace")
        self.interfaces.append(interface)
        info.interfaces.append(name)

    def add_drops(self, body: bytes, info: CaptureInfo) -> None:
        """An Interface Statistics Block: the last one holds the totals."""
        for code, value in self.options(body[12:]):
            if code in (ISB_IFDROP, ISB_OSDROP) and len(value) == 8:
                info.drops = max(info.drops or 0, struct.unpack(self.order + "Q", value)[0])


class Packets:
    """Packet blocks of one buffer, gathered as columns."""

    def __init__(self) -> None:
        self.offset: list[int] = []
        self.captured: list[int] = []
        self.original: list[int] = []
        self.stamp: list[int] = []
        self.interface: list[int] = []

    def batch(self, buffer: bytearray, section: Section, number: int) -> FrameBatch:
        """The columns as a batch; stamps become nanoseconds by each interface's resolution."""
        stamp = np.array(self.stamp, np.uint64)
        which = np.array(self.interface, np.int64)
        time_ns = np.zeros(len(stamp), np.int64)
        link_type = np.full(len(stamp), -1, np.int64)
        for index, interface in enumerate(section.interfaces):
            rows = which == index
            if rows.any():
                time_ns[rows] = _nanoseconds(stamp[rows], interface.ticks) + interface.shift * 1_000_000_000
                link_type[rows] = interface.link_type
        captured = np.array(self.captured, np.int64)
        return FrameBatch(
            data=np.frombuffer(buffer, np.uint8),
            time_ns=time_ns,
            offset=np.array(self.offset, np.int64),
            captured=captured,
            original=np.maximum(np.array(self.original, np.int64), captured),
            link_type=link_type,
            number=np.arange(number, number + len(stamp), dtype=np.int64),
        )


def _nanoseconds(stamp: np.ndarray, ticks: int) -> np.ndarray:
    if 1_000_000_000 % ticks == 0:
        return (stamp * np.uint64(1_000_000_000 // ticks)).astype(np.int64)
    return np.array([int(s) * 1_000_000_000 // ticks & (1 << 63) - 1 for s in stamp], np.int64)


def read_pcapng(source: ByteSource, info: CaptureInfo) -> Iterator[FrameBatch]:
    """Frames of a pcapng file, a batch for each filled buffer or section; notes truncation and damage in ``info``."""
    section = Section("<")
    number = 1
    while True:
        buffer, end = source.view()
        packets = Packets()
        at = 0
        damaged = False
        new_section: Section | None = None
        while at + 12 <= end:
            kind, length = struct.unpack_from(section.order + "II", buffer, at)
            if kind == SECTION:
                order = "<" if buffer[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
                length = struct.unpack_from(order + "I", buffer, at + 4)[0]
                if packets.offset:
                    break
                new_section = Section(order)
            if length < 12 or length % 4 or length > bounds.FRAME_BYTES:
                info.damage = f"a block of {length} bytes behind frame {number + len(packets.offset) - 1}; the rest of the file is not read"
                damaged = True
                break
            if at + length > end:
                break
            if new_section is not None:
                section, new_section = new_section, None
            elif kind == ENHANCED and length >= 32:
                interface, high, low, captured, original = struct.unpack_from(section.order + "IIIII", buffer, at + 8)
                _keep(packets, at + 28, min(captured, length - 32), original, high << 32 | low, interface)
            elif kind == SIMPLE and length >= 16:
                original = struct.unpack_from(section.order + "I", buffer, at + 8)[0]
                last = packets.stamp[-1] if packets.stamp else 0
                snaplen = section.interfaces[0].snaplen if section.interfaces else 0
                _keep(packets, at + 12, min(original, length - 16, snaplen or original), original, last, 0)
            elif kind == PACKET and length >= 32:
                interface, _, high, low, captured, original = struct.unpack_from(section.order + "HHIIII", buffer, at + 8)
                _keep(packets, at + 28, min(captured, length - 32), original, high << 32 | low, interface)
            elif kind == INTERFACE:
                section.add_interface(bytes(buffer[at + 8 : at + length - 4]), info)
            elif kind == STATISTICS:
                section.add_drops(bytes(buffer[at + 8 : at + length - 4]), info)
            elif kind == SECRETS:
                info.secrets.append(bytes(buffer[at + 8 : at + length - 4]))
            at += length
        if packets.offset:
            batch = packets.batch(buffer, section, number)
            number += len(batch)
            info.count(batch)
            yield batch
        if damaged:
            return
        if not source.advance(at) and not (at and source.left >= 12):
            if source.left:
                info.truncated = True
                info.damage = f"the file ends inside a block behind frame {number - 1}"
            return


def _keep(packets: Packets, offset: int, captured: int, original: int, stamp: int, interface: int) -> None:
    packets.offset.append(offset)
    packets.captured.append(captured)
    packets.original.append(original)
    packets.stamp.append(stamp)
    packets.interface.append(interface)
