"""Writes pcapng (draft-ietf-opsawg-pcapng): one section, an interface for each link type of each capture, nanosecond times, comments on frames."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

from inspector.capture.frames import FrameBatch

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
COMMENT, RESOLUTION, END = 1, 9, b"\0\0\0\0"
SNAP_LENGTH = 262_144


class PcapngWriter:
    """Frames in, blocks out. ``count``: frames written."""

    def __init__(self, out: BinaryIO) -> None:
        self.count = 0
        self._out = out
        self._interfaces: dict[tuple[int, int], int] = {}
        self._block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))

    def write(self, batch: FrameBatch, comments: Mapping[int, str] | None = None) -> None:
        """All frames of a batch. ``comments``: by frame number."""
        for row in range(len(batch)):
            interface = self._interface(batch.capture, int(batch.link_type[row]))
            at, captured = int(batch.offset[row]), int(batch.captured[row])
            ns = int(batch.time_ns[row])
            frame = batch.data[at : at + captured].tobytes()
            head = struct.pack("<IIIII", interface, ns >> 32, ns & 0xFFFFFFFF, captured, int(batch.original[row]))
            comment = (comments or {}).get(int(batch.number[row]))
            options = _option(COMMENT, comment.encode("utf-8", "backslashreplace")[:0xFFFF]) + END if comment else b""
            self._block(PACKET, head + _padded(frame) + options)
            self.count += 1

    def _interface(self, capture: int, link_type: int) -> int:
        known = self._interfaces.get((capture, link_type))
        if known is None:
            known = self._interfaces[capture, link_type] = len(self._interfaces)
            self._block(INTERFACE, struct.pack("<HHI", link_type & 0xFFFF, 0, SNAP_LENGTH) + _option(RESOLUTION, b"\x09") + END)
        return known

    def _block(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._out.write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)
