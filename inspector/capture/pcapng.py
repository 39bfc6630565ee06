"""The pcapng format: sections, interfaces of any time resolution, enhanced, simple and old packet blocks, statistics,
secrets.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo, FrameBatch, gather
from inspector.errors.captures import BlockTooLong, EndsInBlock

MAGIC = b"\x0a\x0d\x0d\x0a"
FIRST_BYTES = 28
LATEST_SHIFT = 1 << 61
"""Nanoseconds. No clock is further away; what an interface claims beyond it is cut."""
"""The shortest section header."""
SECTION, INTERFACE, PACKET, SIMPLE, STATISTICS, ENHANCED, SECRETS = 0x0A0D0D0A, 1, 2, 3, 5, 6, 10
OPTION_END, IF_NAME, IF_TSRESOL, IF_TSOFFSET, ISB_IFDROP, ISB_OSDROP = 0, 2, 9, 14, 5, 7


class InterfaceDescription(Struct):
    """An interface description; ``ticks`` per second, ``shift`` in seconds."""

    link_type: int
    snaplen: int
    ticks: int = 1_000_000
    shift: int = 0


class Section:
    """The state between two section headers: byte order and interfaces."""

    def __init__(self, byte_order: str) -> None:
        self.byte_order = byte_order
        self.interfaces: list[InterfaceDescription] = []

    def options(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Options of a block, until the end or the first that does not fit."""
        at = 0
        while at + 4 <= len(body):
            code, length = struct.unpack_from(self.byte_order + "HH", body, at)
            if code == OPTION_END or at + 4 + length > len(body):
                return
            yield code, body[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)

    def add_interface(self, body: bytes, info: CaptureInfo) -> None:
        """An Interface Description Block."""
        if len(body) < 8:
            return
        link_type, _, snaplen = struct.unpack_from(self.byte_order + "HHI", body)
        interface = InterfaceDescription(link_type, snaplen)
        name = ""
        for code, value in self.options(body[8:]):
            if code == IF_TSRESOL and value:
                exponent = value[0] & 0x7F
                interface.ticks = 2 ** min(exponent, 62) if value[0] & 0x80 else 10 ** min(exponent, 18)
            elif code == IF_TSOFFSET and len(value) == 8:
                interface.shift = struct.unpack(self.byte_order + "q", value)[0]
            elif code == IF_NAME:
                name = value.decode("utf-8", "replace")
        self.interfaces.append(interface)
        info.interfaces.append(name)

    def add_drops(self, body: bytes, info: CaptureInfo) -> None:
        """An Interface Statistics Block: the last one holds the totals."""
        for code, value in self.options(body[12:]):
            if code in (ISB_IFDROP, ISB_OSDROP) and len(value) == 8:
                info.drops = max(info.drops or 0, struct.unpack(self.byte_order + "Q", value)[0])


Row = tuple[int, int, int, int, int]
"""Where a frame begins, bytes captured, bytes on the wire, time stamp in ticks, interface."""


class Packets:
    """Packet blocks of one buffer. Enhanced ones, nearly all, are kept as places and read as columns; the other two
    kinds as rows.
    """

    def __init__(self, buffer: bytearray, section: Section) -> None:
        self.enhanced: list[int] = []
        self.rows: list[Row] = []
        self.buffer = buffer
        self._section = section

    def __len__(self) -> int:
        return len(self.enhanced) + len(self.rows)

    def add_simple(self, at: int, length: int) -> None:
        """A Simple Packet Block. It has no time: that of the packet before it counts."""
        original = struct.unpack_from(self._section.byte_order + "I", self.buffer, at + 8)[0]
        snaplen = self._section.interfaces[0].snaplen if self._section.interfaces else 0
        self.rows.append((at + 12, min(original, length - 16, snaplen or original), original, self._latest_stamp(), 0))

    def add_obsolete(self, at: int, length: int) -> None:
        """A Packet Block of the format's first version."""
        interface, _, high, low, captured, original = struct.unpack_from(
            self._section.byte_order + "HHIIII", self.buffer, at + 8
        )
        self.rows.append((at + 28, min(captured, length - 32), original, high << 32 | low, interface))

    def _latest_stamp(self) -> int:
        if self.rows and (not self.enhanced or self.rows[-1][0] > self.enhanced[-1]):
            return self.rows[-1][3]
        if not self.enhanced:
            return 0
        high, low = struct.unpack_from(self._section.byte_order + "II", self.buffer, self.enhanced[-1] + 12)
        return int(high) << 32 | int(low)

    def batch(self, number: int) -> FrameBatch:
        """The frames in file order; stamps become nanoseconds by each interface's resolution."""
        data = np.frombuffer(self.buffer, np.uint8)
        at = np.array(self.enhanced, np.int64)
        fields = gather(data, at, 28).view(self._section.byte_order + "u4")
        stamp = fields[:, 3].astype(np.uint64) << np.uint64(32) | fields[:, 4]
        captured = np.minimum(fields[:, 5].astype(np.int64), fields[:, 1].astype(np.int64) - 32)
        offset, original, interface = at + 28, fields[:, 6].astype(np.int64), fields[:, 2].astype(np.int64)
        if self.rows:
            more = np.array([(*row[:3], row[4]) for row in self.rows], np.int64)
            offset, captured, original, interface = (
                np.append(a, b) for a, b in zip((offset, captured, original, interface), more.T, strict=True)
            )
            stamp = np.append(stamp, np.array([row[3] for row in self.rows], np.uint64))
            by_offset = np.argsort(offset)
            offset, captured, original, interface, stamp = (
                offset[by_offset],
                captured[by_offset],
                original[by_offset],
                interface[by_offset],
                stamp[by_offset],
            )
        time_ns, link_type = np.zeros(len(offset), np.int64), np.full(len(offset), -1, np.int64)
        for index, described in enumerate(self._section.interfaces):
            rows = interface == index
            if rows.any():
                time_ns[rows] = _nanoseconds(stamp[rows], described.ticks) + min(
                    max(described.shift * 1_000_000_000, -LATEST_SHIFT), LATEST_SHIFT
                )
                link_type[rows] = described.link_type
        numbers = np.arange(number, number + len(offset), dtype=np.int64)
        return FrameBatch(
            data=data,
            time_ns=time_ns,
            offset=offset,
            captured=captured,
            original=np.maximum(original, captured),
            link_type=link_type,
            number=numbers,
        )


def _nanoseconds(stamp: np.ndarray, ticks: int) -> np.ndarray:
    if 1_000_000_000 % ticks == 0:
        return (stamp * np.uint64(1_000_000_000 // ticks)).astype(np.int64)
    return np.array([int(s) * 1_000_000_000 // ticks & (1 << 63) - 1 for s in stamp], np.int64)


def read_pcapng(source: ByteSource, info: CaptureInfo) -> Iterator[FrameBatch]:
    """Frames of a pcapng file, a batch for each filled buffer or section; notes truncation and damage in ``info``."""
    section = Section("<")
    number = 1
    damaged = False
    while not damaged:
        buffer, end = source.view()
        packets = Packets(buffer, section)
        keep = packets.enhanced.append
        head_at = struct.Struct(section.byte_order + "II").unpack_from
        at = 0
        while at + 12 <= end:
            kind, length = head_at(buffer, at)
            if kind == ENHANCED and 32 <= length <= end - at and not length & 3:
                keep(at)
                at += length
                continue
            if kind == SECTION:
                if len(packets):
                    break
                byte_order = "<" if buffer[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
                length = struct.unpack_from(byte_order + "I", buffer, at + 4)[0]
            if length < 12 or length % 4 or length > bounds.FRAME_BYTES:
                info.damage = BlockTooLong(number + len(packets) - 1, length)
                damaged = True
                break
            if at + length > end:
                break
            if kind == SECTION:
                section = Section(byte_order)
                packets = Packets(buffer, section)
                keep = packets.enhanced.append
                head_at = struct.Struct(byte_order + "II").unpack_from
            else:
                _other_block(kind, at, length, section, packets, info)
            at += length
        if len(packets) or (source.is_live and not damaged):
            batch = packets.batch(number)
            number += len(batch)
            info.count(batch)
            yield batch
        if not damaged and not source.advance(at) and not (at and source.left >= 12):
            if source.left:
                info.truncated = True
                info.damage = EndsInBlock(number - 1)
            return


def _other_block(kind: int, at: int, length: int, section: Section, packets: Packets, info: CaptureInfo) -> None:
    """A block that is neither a section nor an enhanced packet; unknown kinds are passed over."""
    body = slice(at + 8, at + length - 4)
    if kind == SIMPLE and length >= 16:
        packets.add_simple(at, length)
    elif kind == PACKET and length >= 32:
        packets.add_obsolete(at, length)
    elif kind == INTERFACE:
        section.add_interface(bytes(packets.buffer[body]), info)
    elif kind == STATISTICS:
        section.add_drops(bytes(packets.buffer[body]), info)
    elif kind == SECRETS:
        info.secrets.append(bytes(packets.buffer[body]))
