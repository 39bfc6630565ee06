"""The classic pcap format: both byte orders, micro- and nanoseconds, and the modified header of some old kernels.

Source: draft-ietf-opsawg-pcap. A damaged file is read as far as its record headers make sense.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

import numpy as np

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo, FrameBatch, gather

MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
HEADER_BYTES = 24
Buffer = bytearray | mmap.mmap
HURRY_BYTES = 1 << 18
"""So far from the end of the buffer, frames are not held against it one by one: this loop is a tenth of the whole analysis."""


def read_pcap(source: ByteSource, info: CaptureInfo) -> Iterator[FrameBatch]:
    """Frames of a pcap file, a batch for each filled buffer; notes truncation and damage in ``info``."""
    head = source.take(HEADER_BYTES)
    order, unit, record = MAGIC[bytes(head[:4])]
    link_type = struct.unpack_from(order + "I", head, 20)[0] & 0x0FFFFFFF
    length_at = struct.Struct(order + "I").unpack_from
    number = 1
    damaged = False
    while not damaged:
        buffer, end = source.view()
        offsets: list[int] = []
        append = offsets.append
        at = 0
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
                    info.damage = f"frame {number + len(offsets)} claims {length} bytes; the rest of the file is not read"
                    damaged = True
                break
            append(at)
            at = following
        if offsets or source.is_live:
            batch = _columns(buffer, offsets, order, unit, record, link_type, number)
            number += len(offsets)
            info.count(batch)
            yield batch
        if damaged:
            return
        if not source.advance(at):
            if source.left:
                info.truncated = True
                info.damage = f"the file ends inside frame {number}"
            return


def _columns(buffer: Buffer, offsets: list[int], order: str, unit: int, record: int, link_type: int, number: int) -> FrameBatch:
    data = np.frombuffer(buffer, np.uint8)
    start = np.array(offsets, np.int64)
    fields = gather(data, start, 16).view(order + "u4").astype(np.int64)
    count = len(offsets)
    return FrameBatch(
        data=data,
        time_ns=fields[:, 0] * 1_000_000_000 + fields[:, 1] * unit,
        offset=start + record,
        captured=fields[:, 2],
        original=np.maximum(fields[:, 3], fields[:, 2]),
        link_type=np.full(count, link_type, np.int64),
        number=np.arange(number, number + count, dtype=np.int64),
    )


class Records:
    """Whole records of one pcap stream, piece by piece, from memory that somebody else fills. Raises ValueError for a header that is none."""

    def __init__(self, header: bytes) -> None:
        if len(header) < HEADER_BYTES or header[:4] not in MAGIC:
            raise ValueError("not the header of a pcap stream")
        self._order, self._unit, self._record = MAGIC[header[:4]]
        self._link_type = struct.unpack_from(self._order + "I", header, 20)[0] & 0x0FFFFFFF

    def batch(self, buffer: Buffer, end: int) -> FrameBatch:
        """The frames of ``buffer`` up to ``end``, numbered from 1; at least 128 bytes must be readable behind it."""
        offsets: list[int] = []
        append, record = offsets.append, self._record
        length_at = struct.Struct(self._order + "I").unpack_from
        at = 0
        while at + record <= end:
            append(at)
            at += length_at(buffer, at + 8)[0] + record
        return _columns(buffer, offsets, self._order, self._unit, record, self._link_type, 1)
