"""A bounded reader over the bytes of one message. Nesting of readers mirrors nesting of vectors in the RFCs."""

from __future__ import annotations

import struct
from collections.abc import Sized

from inspector import bounds
from inspector.tls.anomalies import BytesExpected, OddLength, ParseMistake, TooMany, mistake_text

TYPED_HEADER = 4
"""Bytes of a type and a length, of two each."""


class Malformed(Exception):
    """Bytes that do not follow the protocol. ``offset`` counts from the start of the message, ``path``
    names the field.
    """

    def __init__(self, mistake: ParseMistake, offset: int, path: str) -> None:
        super().__init__(mistake, offset, path)
        self.mistake = mistake
        self.offset = offset
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {mistake_text(self.mistake)} at offset {self.offset}"


class Reader:
    """Reads ``data[at:end]``; offsets in errors are absolute in ``data``."""

    __slots__ = ("at", "data", "end", "path")

    def __init__(self, data: bytes, path: str, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.path = path
        self.at = at
        self.end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self.at < self.end

    def left(self) -> int:
        """Bytes not yet read."""
        return self.end - self.at

    def _step(self, count: int, field: str) -> int:
        at = self.at
        if at + count > self.end:
            raise Malformed(BytesExpected(count, self.end - at), at, f"{self.path}.{field}")
        self.at = at + count
        return at

    def u8(self, field: str) -> int:
        """An unsigned integer of one byte."""
        return self.data[self._step(1, field)]

    def u16(self, field: str) -> int:
        """An unsigned integer of two bytes."""
        at = self._step(2, field)
        return self.data[at] << 8 | self.data[at + 1]

    def u32(self, field: str) -> int:
        """An unsigned integer of four bytes."""
        at = self._step(4, field)
        return int.from_bytes(self.data[at : at + 4], "big")

    def take(self, count: int, field: str) -> bytes:
        """Opaque bytes of a fixed length."""
        at = self._step(count, field)
        return self.data[at : at + count]

    def vector(self, width: int, field: str) -> Reader:
        """A vector behind a length of ``width`` bytes, as a reader of its own."""
        at = self._step(width, field)
        length = int.from_bytes(self.data[at : at + width], "big")
        start = self._step(length, field)
        return Reader(self.data, f"{self.path}.{field}", start, start + length)

    def opaque(self, width: int, field: str) -> bytes:
        """The bytes of a vector behind a length of ``width`` bytes."""
        at = self._step(width, field)
        length = int.from_bytes(self.data[at : at + width], "big")
        start = self._step(length, field)
        return self.data[start : start + length]

    def typed(self, kind: str, field: str) -> tuple[int, int, int]:
        """A type and a vector, of two bytes and behind a length of two bytes: the type, where the vector begins in
        ``data`` and where it ends. Of these there may be hundreds.
        """
        data, start = self.data, self.at + TYPED_HEADER
        if start <= self.end:
            end = start + (data[start - 2] << 8 | data[start - 1])
            if end <= self.end:
                self.at = end
                return data[start - 4] << 8 | data[start - 3], start, end
        number, content = self.u16(kind), self.vector(2, field)  # which names what is missing
        return number, content.at, content.end

    def bound(self, entries: Sized, most: int) -> None:
        """No more ``entries`` than that were read, although another one follows."""
        if len(entries) >= most:
            raise Malformed(TooMany(most), self.at, f"{self.path}[{most}]")

    def numbers(self) -> tuple[int, ...]:
        """All that is left, as unsigned integers of two bytes. Raises Malformed, also where they are too many."""
        if self.left() % 2:
            raise Malformed(OddLength(), self.at, self.path)
        if self.left() // 2 > bounds.LISTED:
            raise Malformed(TooMany(bounds.LISTED), self.at, self.path)
        values: tuple[int, ...] = struct.unpack_from(f">{self.left() // 2}H", self.data, self.at)
        self.at = self.end
        return values
