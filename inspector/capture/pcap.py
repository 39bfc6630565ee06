"""The classic pcap format: both byte orders, micro- and nanoseconds, the modified header of some old kernels, and what
AIX writes.

Source: draft-ietf-opsawg-pcap; section 4 for the link type field, whose upper bits say how long the frame check
sequence behind each frame is. A damaged file is read as far as its record headers make sense.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo, FrameBatch, gather
from inspector.capture.link_types import LinkType
from inspector.errors.captures import EndsInFrame, FrameTooLong

MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
HEADER_BYTES = 24
RECORD_BYTES = 16
"""Before each frame, in all forms but one."""
Buffer = bytearray | mmap.mmap
HURRY_BYTES = 1 << 18
"""So far from the end of the buffer, frames are not held against it one by one: this loop is a tenth of the whole
analysis.
"""

AIX_VERSION = (2, 2)
AIX_LINK_TYPES = {6: LinkType.ETHERNET, 9: LinkType.IEEE802_5, 15: LinkType.FDDI, 24: LinkType.NULL}
"""AIX writes interface types (RFC 1573) where others write link types: Ethernet, Token Ring, FDDI, loopback."""

HAS_FCS_LENGTH = 1 << 26


class Form(NamedTuple):
    """What the file header says. ``unit``: nanoseconds in one of the fraction of a second. ``record``: bytes before
    each frame. ``fcs``: bytes of the frame check sequence behind each frame.
    """

    byte_order: str
    unit: int
    record: int
    link_type: int
    fcs: int


def form(head: bytes) -> Form:
    """A file header of ``HEADER_BYTES``, whose magic number is known."""
    byte_order, unit, record = MAGIC[head[:4]]
    major, minor, field = struct.unpack_from(byte_order + "4xHH12xI", head)
    if byte_order == ">" and (major, minor) == AIX_VERSION and field in AIX_LINK_TYPES:
        return Form(byte_order, 1, record, AIX_LINK_TYPES[field], 0)
    return Form(byte_order, unit, record, field & 0xFFFF, (field >> 28) * 2 if field & HAS_FCS_LENGTH else 0)


def read_pcap(source: ByteSource, info: CaptureInfo, passing: int = 0) -> Iterator[FrameBatch]:
    """Frames of a pcap file, a batch for each filled buffer; notes truncation and damage in ``info``. ``passing``: so
    many bytes of frames and the headers before them may be passed over, by whole buffers: they are only numbered.
    """
    described = form(bytes(source.view()[0][:HEADER_BYTES]))
    byte_order, record = described.byte_order, described.record
    if record != RECORD_BYTES or described.fcs:
        passing = 0
    length_at = struct.Struct(byte_order + "I").unpack_from
    number = 1
    begin = HEADER_BYTES
    while True:
        buffer, end = source.view()
        offsets: list[int] = []
        append = offsets.append
        at = begin
        damaged = False
        hurried = end - HURRY_BYTES
        while at < hurried:
            append(at)
            at += length_at(buffer, at + 8)[0] + record
        if at > end:
            at = offsets.pop()  # the loop below says what is wrong with it
        while at + record <= end:
            length = length_at(buffer, at + 8)[0]
            following = at + record + length
            if following > end:
                if length > bounds.FRAME_BYTES:
                    info.damage = FrameTooLong(number + len(offsets), length)
                    damaged = True
                break
            append(at)
            at = following
        if info.passed < passing and not damaged:
            info.passed += at - begin
            info.packets += len(offsets)
            number += len(offsets)
        elif offsets or source.is_live:
            batch = _columns(buffer, offsets, described, number)
            number += len(offsets)
            info.count(batch)
            yield batch
        if damaged:
            return
        if not source.advance(at):
            if source.left:
                info.truncated = True
                info.damage = EndsInFrame(number)
            return
        begin = 0


def _columns(buffer: Buffer, offsets: list[int], described: Form, number: int) -> FrameBatch:
    data = np.frombuffer(buffer, np.uint8)
    start = np.frombuffer(struct.pack(f"{len(offsets)}q", *offsets), np.int64)  # np.array takes twice as long
    fields = gather(data, start, 16).view(described.byte_order + "u4")
    seconds, fraction, captured, original = (fields[:, n].astype(np.int64) for n in range(4))
    original = np.maximum(original, captured)
    count = len(offsets)
    if described.fcs:
        original = np.maximum(original - described.fcs, 0)
        captured = np.minimum(captured, original)
    return FrameBatch(
        data=data,
        time_ns=seconds * 1_000_000_000 + fraction * described.unit,
        offset=start + described.record,
        captured=captured,
        original=original,
        link_type=np.full(count, described.link_type, np.int64),
        number=np.arange(number, number + count, dtype=np.int64),
    )


class Records:
    """Whole records of one pcap stream, piece by piece, from memory that somebody else fills. Raises ValueError for a
    header that is none.
    """

    def __init__(self, header: bytes) -> None:
        if len(header) < HEADER_BYTES or header[:4] not in MAGIC:
            raise ValueError("not the header of a pcap stream")
        self._form = form(header)

    def batch(self, buffer: Buffer, end: int) -> FrameBatch:
        """The frames of ``buffer`` up to ``end``, numbered from 1; at least 128 bytes must be readable behind it."""
        offsets: list[int] = []
        append, record = offsets.append, self._form.record
        length_at = struct.Struct(self._form.byte_order + "I").unpack_from
        at = 0
        while at + record <= end:
            append(at)
            at += length_at(buffer, at + 8)[0] + record
        return _columns(buffer, offsets, self._form, 1)
