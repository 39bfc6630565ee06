"""Writes pcapng (draft-ietf-opsawg-pcapng): one section, an interface for each link type of each capture, nanosecond
times, comments on frames.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from inspector.capture.frames import I64, FrameBatch

SECTION, INTERFACE, STATISTICS, PACKET, SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
TLS_KEY_LOG = 0x544C534B
"""The type of secrets that are a key log (draft-ietf-opsawg-pcapng, section 4.7)."""

COMMENT, NAME, RESOLUTION, RECEIVED, DROPPED, END = 1, 2, 9, 4, 7, b"\0\0\0\0"
_PACKET = struct.Struct("<IIIIIII")
PADDING = [bytes(count) for count in range(4)]
SNAP_LENGTH = 262_144
LARGEST = (1 << 32) - 1
"""What damaged captures claim beyond the format's numbers is written as the largest of them."""


class Output(Protocol):
    """What blocks are written to; each call takes all."""

    def write(self, data: bytes, /) -> object: ...


class PcapngWriter:
    """Frames in, blocks out. ``count``: frames written; ``bytes``: of the file so far."""

    def __init__(self, out: Output, comment: str = "", names: Sequence[str] = ()) -> None:
        """``comment``: on the whole section. ``names``: of the interfaces, by capture."""
        self.count = 0
        self.bytes = 0
        self._out = out
        self._names = names
        self._interfaces: dict[tuple[int, int, str], int] = {}
        options = _option(COMMENT, _text(comment)) + END if comment else b""
        self._block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options)

    def write(
        self, batch: FrameBatch, comments: Mapping[int, str] | None = None, keep: I64 | None = None, *, name: str = ""
    ) -> None:
        """All frames of a batch. ``comments``: by frame number. ``keep``: int64, so many bytes of each frame; by
        default all that were captured. ``name``: of an interface of their own, whatever their capture's is called.
        """
        pieces: list[bytes | memoryview] = []
        append, pack, data = pieces.append, _PACKET.pack, batch.data.data
        known: dict[int, int] = {}
        captured = batch.captured if keep is None else np.minimum(keep, batch.captured)
        columns = (
            batch.offset,
            captured,
            np.clip(batch.original, 0, LARGEST),
            np.maximum(batch.time_ns, 0),
            batch.link_type,
            batch.number,
        )
        for at, captured, original, ns, link_type, number in zip(*(column.tolist() for column in columns), strict=True):
            interface = known.get(link_type)
            if interface is None:
                interface = known[link_type] = self._interface(batch.capture, link_type, name)
            options = b""
            if comments and number in comments:
                options = _option(COMMENT, _text(comments[number])) + END
            pad = -captured % 4
            length = 32 + captured + pad + len(options)
            append(pack(PACKET, length, interface, ns >> 32, ns & 0xFFFFFFFF, captured, original))
            append(data[at : at + captured])
            append(PADDING[pad] + options + length.to_bytes(4, "little"))
        self._write(b"".join(pieces))
        self.count += len(batch)

    def key_log(self, lines: bytes) -> None:
        """Secrets for what follows, as a Decryption Secrets Block."""
        self._block(SECRETS, struct.pack("<II", TLS_KEY_LOG, len(lines)) + _padded(lines))

    def statistics(self, capture: int, ns: int, received: int, dropped: int) -> None:
        """How many packets came and how many were dropped, for each interface of a capture."""
        for (index, _, _), interface in self._interfaces.items():
            if index == capture:
                options = (
                    _option(RECEIVED, struct.pack("<Q", received)) + _option(DROPPED, struct.pack("<Q", dropped)) + END
                )
                self._block(STATISTICS, struct.pack("<III", interface, ns >> 32, ns & 0xFFFFFFFF) + options)

    def _interface(self, capture: int, link_type: int, name: str) -> int:
        known = self._interfaces.get((capture, link_type, name))
        if known is None:
            known = self._interfaces[capture, link_type, name] = len(self._interfaces)
            called = name or (self._names[capture] if capture < len(self._names) else "")
            option = _option(NAME, _text(called)) if called else b""
            self._block(
                INTERFACE,
                struct.pack("<HHI", link_type & 0xFFFF, 0, SNAP_LENGTH) + option + _option(RESOLUTION, b"\x09") + END,
            )
        return known

    def _block(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.bytes += len(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")[:0xFFFF]
