"""The pcapng format: sections, interfaces of any time resolution, enhanced, simple and old packet blocks, statistics,
secrets.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import I64, U8, U64, CaptureInfo, FrameBatch, gather
from inspector.capture.probe_marks import ProbeMarks, client_of
from inspector.errors.captures import BlockTooLong, EndsInBlock

MAGIC = b"\x0a\x0d\x0d\x0a"
FIRST_BYTES = 28
"""The shortest section header."""
LATEST_SHIFT = 1 << 61
"""Nanoseconds. No clock is further away; what an interface claims beyond it is cut."""
SECTION, INTERFACE, PACKET, SIMPLE, STATISTICS, ENHANCED, SECRETS = 0x0A0D0D0A, 1, 2, 3, 5, 6, 10
OPTION_END, IF_NAME, IF_TSRESOL, IF_TSOFFSET, ISB_IFDROP, ISB_OSDROP = 0, 2, 9, 14, 5, 7

HEADS = {order: struct.Struct(order + "II").unpack_from for order in "<>"}
"""What reads the type and the length of a block, by byte order."""


class InterfaceDescription(NamedTuple):
    """An interface description; ``ticks`` per second, ``shift_ns``: nanoseconds to add to its stamps. ``client``: which
    of ``ProbeMarks.clients`` asked there, -1 for none.
    """

    link_type: int
    snaplen: int = 0
    ticks: int = 1_000_000
    shift_ns: int = 0
    client: int = -1


NOT_DESCRIBED = InterfaceDescription(-1)
"""What a frame gets whose interface has no description, or one behind those that are kept."""


class Section:
    """The state between two section headers: byte order and interfaces."""

    def __init__(self, byte_order: str) -> None:
        self.byte_order = byte_order
        self.interfaces: list[InterfaceDescription] = []
        self.described_at: list[int] = []
        """Where in the buffer that is being read each of them stands; 0 for those of buffers before."""

    def _options(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Options of a block, until the end, the first that does not fit, or more than anybody writes."""
        at = 0
        for _ in range(bounds.BLOCK_OPTIONS):
            if at + 4 > len(body):
                return
            code, length = struct.unpack_from(self.byte_order + "HH", body, at)
            if code == OPTION_END or at + 4 + length > len(body):
                return
            yield code, body[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)

    def add_interface(self, body: bytes, at: int, probe: ProbeMarks) -> None:
        """An Interface Description Block that stands at that place of the buffer. Beyond the bound they are not kept,
        and their frames not opened.
        """
        client = probe.add_interface(self._probe_client(body))
        if len(body) < 8 or len(self.interfaces) >= bounds.INTERFACES:
            return
        link_type, _, snaplen = struct.unpack_from(self.byte_order + "HHI", body)
        ticks, shift_ns = 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == IF_TSRESOL and value:
                exponent = value[0] & 0x7F
                ticks = 2 ** min(exponent, 62) if value[0] & 0x80 else 10 ** min(exponent, 18)
            elif code == IF_TSOFFSET and len(value) == 8:
                shift: int = struct.unpack(self.byte_order + "q", value)[0]
                shift_ns = min(max(shift * 1_000_000_000, -LATEST_SHIFT), LATEST_SHIFT)
        self.interfaces.append(InterfaceDescription(link_type, snaplen, ticks, shift_ns, client))
        self.described_at.append(at)

    def _probe_client(self, body: bytes) -> str | None:
        """As what client a probe asked, where an Interface Description Block has the name by which one says that the
        frames are its own; "" where it does not say as what, None where it is no probe's.
        """
        names = (client_of(value) for code, value in self._options(body[8:]) if code == IF_NAME)
        return next((client for client in names if client is not None), None)

    def add_drops(self, body: bytes, info: CaptureInfo, before: int) -> None:
        """An Interface Statistics Block: the last one holds the totals. ``before``: how many packets stand there."""
        for code, value in self._options(body[12:]):
            if code in (ISB_IFDROP, ISB_OSDROP) and len(value) == 8:
                info.add_drops(before, struct.unpack(self.byte_order + "Q", value)[0])


Row = tuple[int, int, int, int, int]
"""Where a frame begins, bytes captured, bytes on the wire, interface, time stamp in ticks."""


class PacketColumns(NamedTuple):
    """Of packets in file order; ``interface`` counts through all sections of a buffer. ``stamp``: uint64, in ticks."""

    offset: I64
    captured: I64
    original: I64
    interface: I64
    stamp: U64

    def at(self, rows: I64) -> PacketColumns:
        """Some of them, in this order."""
        return PacketColumns(
            self.offset[rows], self.captured[rows], self.original[rows], self.interface[rows], self.stamp[rows]
        )

    def and_also(self, more: PacketColumns) -> PacketColumns:
        """These and others."""
        return PacketColumns(
            np.append(self.offset, more.offset),
            np.append(self.captured, more.captured),
            np.append(self.original, more.original),
            np.append(self.interface, more.interface),
            np.append(self.stamp, more.stamp),
        )


class SectionPackets:
    """Packet blocks of one section in one buffer. Enhanced ones, nearly all, are kept as places and read as columns;
    the other two kinds as rows.
    """

    def __init__(self, buffer: bytearray, section: Section) -> None:
        self.section = section
        self.enhanced: list[int] = []
        self.rows: list[Row] = []
        self._buffer = buffer

    def __len__(self) -> int:
        return len(self.enhanced) + len(self.rows)

    def add_simple(self, at: int, length: int) -> None:
        """A Simple Packet Block. It has no time: that of the packet before it counts."""
        original = struct.unpack_from(self.section.byte_order + "I", self._buffer, at + 8)[0]
        snaplen = self.section.interfaces[0].snaplen if self.section.interfaces else 0
        self.rows.append((at + 12, min(original, length - 16, snaplen or original), original, 0, self._latest_stamp()))

    def add_obsolete(self, at: int, length: int) -> None:
        """A Packet Block of the format's first version."""
        interface, _, high, low, captured, original = struct.unpack_from(
            self.section.byte_order + "HHIIII", self._buffer, at + 8
        )
        self.rows.append((at + 28, min(captured, length - 32), original, interface, high << 32 | low))

    def _latest_stamp(self) -> int:
        if self.rows and (not self.enhanced or self.rows[-1][0] > self.enhanced[-1]):
            return self.rows[-1][-1]
        if not self.enhanced:
            return 0
        high, low = struct.unpack_from(self.section.byte_order + "II", self._buffer, self.enhanced[-1] + 12)
        return int(high) << 32 | int(low)


class Packets:
    """Packet blocks of one buffer, of however many sections: as many frames are read in one step, whatever stands
    between them.
    """

    def __init__(self, buffer: bytearray, section: Section) -> None:
        self.buffer = buffer
        section.described_at = [0] * len(section.interfaces)
        self.latest = SectionPackets(buffer, section)
        self._sections = [self.latest]
        self._before = 0
        """Packets of the sections before the latest."""

    def begin(self, section: Section) -> None:
        """A section begins; whoever adds packets asks for ``latest`` anew."""
        self._before += len(self.latest)
        if not len(self.latest):
            self._sections.pop()
        self.latest = SectionPackets(self.buffer, section)
        self._sections.append(self.latest)

    def __bool__(self) -> bool:
        return bool(len(self.latest)) or len(self._sections) > 1

    def __len__(self) -> int:
        return self._before + len(self.latest)

    def batch(self, number: int, probe: ProbeMarks) -> FrameBatch:
        """The frames in file order; stamps become nanoseconds by each interface's resolution. ``number``: of the first
        frame. ``probe``: learns of frames of a probe.
        """
        data = np.frombuffer(self.buffer, np.uint8)
        described: list[InterfaceDescription] = []
        columns = self._columns(data, "<", described).and_also(self._columns(data, ">", described))
        if not (columns.offset[1:] > columns.offset[:-1]).all():
            columns = columns.at(np.argsort(columns.offset))
        table = np.array([*described, NOT_DESCRIBED], np.int64)
        link_type, _, ticks, shift_ns, client = table[columns.interface].T
        batch = FrameBatch(
            data=data,
            time_ns=_nanoseconds(columns.stamp, ticks, {interface.ticks for interface in described}) + shift_ns,
            offset=columns.offset,
            captured=columns.captured,
            original=np.maximum(columns.original, columns.captured),
            link_type=np.ascontiguousarray(link_type),
            number=np.arange(number, number + len(columns.offset), dtype=np.int64),
        )
        if probe.is_probe:
            probe.add_frames(batch.number, client)
        return batch

    def _columns(self, data: U8, byte_order: str, described: list[InterfaceDescription]) -> PacketColumns:
        """The packets of all sections of one byte order. ``described``: the interfaces so far, to add to."""
        sections = [packets for packets in self._sections if packets.section.byte_order == byte_order]
        at = np.fromiter(chain.from_iterable(packets.enhanced for packets in sections), np.int64)
        fields = gather(data, at, 28).view(byte_order + "u4")
        rows = [row for packets in sections for row in packets.rows]
        more = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4).T
        interface = np.append(fields[:, 2].astype(np.int64), more[3])
        counts = np.array([len(packets.section.interfaces) for packets in sections], np.int64)
        first = len(described) + np.cumsum(counts) - counts
        for packets in sections:
            described += packets.section.interfaces
        places = np.array([at for packets in sections for at in packets.section.described_at] + [0], np.int64)
        before = len(described) - len(places) + 1
        lengths = [*(len(packets.enhanced) for packets in sections), *(len(packets.rows) for packets in sections)]
        counts, first = (np.repeat(np.tile(column, 2), lengths) for column in (counts, first))
        offset = np.append(at + 28, more[0])
        is_described = interface < counts
        row = np.where(is_described, first + interface, -1)
        is_described &= places[np.where(is_described, row - before, -1)] <= offset
        return PacketColumns(
            offset=offset,
            captured=np.append(np.minimum(fields[:, 5].astype(np.int64), fields[:, 1].astype(np.int64) - 32), more[1]),
            original=np.append(fields[:, 6].astype(np.int64), more[2]),
            interface=np.where(is_described, row, -1),
            stamp=np.append(
                fields[:, 3].astype(np.uint64) << np.uint64(32) | fields[:, 4],
                np.array([row[4] for row in rows], np.uint64),
            ),
        )


def _nanoseconds(stamp: U64, ticks: I64, resolutions: Collection[int]) -> I64:
    """``ticks``: per second, for each stamp, of these ``resolutions``. What is no whole number of nanoseconds is
    rounded down.
    """
    time_ns = np.zeros(len(stamp), np.int64)
    for resolution in resolutions:
        rows = ticks == resolution
        if 1_000_000_000 % resolution == 0:
            time_ns[rows] = (stamp[rows] * np.uint64(1_000_000_000 // resolution)).astype(np.int64)
        else:
            time_ns[rows] = [s * 1_000_000_000 // resolution & (1 << 63) - 1 for s in stamp[rows].tolist()]
    return time_ns


def read_pcapng(source: ByteSource, info: CaptureInfo) -> Iterator[FrameBatch]:
    """Frames of a pcapng file, a batch for each filled buffer; notes truncation and damage in ``info``."""
    section = Section("<")
    number = 1
    damaged = False
    while not damaged:
        buffer, end = source.view()
        packets = Packets(buffer, section)
        keep = packets.latest.enhanced.append
        head_at = HEADS[section.byte_order]
        at = 0
        while at + 12 <= end:
            kind, length = head_at(buffer, at)
            if kind == ENHANCED and 32 <= length <= end - at and not length & 3:
                keep(at)
                at += length
                continue
            if kind == SECTION:
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
                packets.begin(section)
                keep = packets.latest.enhanced.append
                head_at = HEADS[byte_order]
            else:
                _other_block(kind, at, length, packets, info, number - 1 + len(packets))
            at += length
        if packets or (source.is_live and not damaged):
            batch = packets.batch(number, info.probe)
            number += len(batch)
            info.count(batch)
            yield batch
        if not damaged and not source.advance(at) and not (at and source.left >= 12):
            if source.left:
                info.truncated = True
                info.damage = EndsInBlock(number - 1)
            return


def _other_block(kind: int, at: int, length: int, packets: Packets, info: CaptureInfo, before: int) -> None:
    """A block that is neither a section nor an enhanced packet; unknown kinds are passed over. ``before``: how many
    packets stand there.
    """
    body = slice(at + 8, at + length - 4)
    latest = packets.latest
    if kind == SIMPLE and length >= 16:
        latest.add_simple(at, length)
    elif kind == PACKET and length >= 32:
        latest.add_obsolete(at, length)
    elif kind == INTERFACE:
        latest.section.add_interface(bytes(packets.buffer[body]), at, info.probe)
    elif kind == STATISTICS:
        latest.section.add_drops(bytes(packets.buffer[body]), info, before)
    elif kind == SECRETS:
        info.add_secrets(bytes(packets.buffer[body]))
