"""Compressed captures, told by content: gzip, zstd, bzip2 and xz, also several members one after another, as far as
they go.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from inspector.capture.blocks import Damaged, Readable
from inspector.capture.inputs import BZIP2, GZIP, XZ, ZSTD

PIECE_BYTES = 4096
"""Read at a time: what one piece can inflate to bounds the memory that a malicious file takes."""

ZSTD_PIECE_BYTES = 1024
"""The same where four bytes can stand for 128 KB: 32 MB at its worst, which its decompressor holds twice."""

OUTPUT_BYTES = 1 << 20
"""What bzip2 and xz give at once: a few bytes of theirs can stand for gigabytes."""

XZ_MEMORY = 192 << 20
"""What unpacking may take; ``xz -9`` needs 65 MB."""


class Inflater(Protocol):
    """What zlib and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class Counted(io.RawIOBase):
    """Reports how much of the file was read, before decompression."""

    def __init__(self, raw: BinaryIO, progress: Callable[[int], None] | None) -> None:
        self._raw = raw
        self._progress = progress

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        got: int = self._raw.readinto(buffer) or 0  # type: ignore[attr-defined]
        if self._progress:
            self._progress(got)
        return got

    def peek(self) -> bytes:
        head = self._raw.peek(4)[:4]  # type: ignore[attr-defined]
        return bytes(head)

    def close(self) -> None:
        self._raw.close()
        super().close()


class Prefixed(Counted):
    """A pipe: the first bytes are read, looked at and given back. A read gives what is there: one that goes on until
    its buffer is full hears no signal that came beside some bytes, and waits for the next ones all the same.
    """

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(raw, None)
        self._head = b""

    def peek(self) -> bytes:
        while len(self._head) < 4:
            more = self._raw.read1()  # type: ignore[attr-defined]  # what is left in it waits for more
            if not more:
                break
            self._head += more
        return self._head[:4]

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if self._head:
            count = min(len(self._head), len(buffer))
            buffer[:count] = self._head[:count]
            self._head = self._head[count:]
            return count
        got: int = self._raw.readinto1(buffer) or 0  # type: ignore[attr-defined]
        return got


def inflate(stream: Counted) -> Readable:
    """The stream itself, or what it holds compressed."""
    head = stream.peek()
    if head[:2] == GZIP:
        return Inflated(stream, lambda: zlib.decompressobj(wbits=31), zlib.error)
    if head == ZSTD:
        import zstandard

        return Inflated(stream, zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError, ZSTD_PIECE_BYTES)
    if head[:3] == BZIP2 and head[3:].isdigit():
        import bz2

        return Inflated(stream, lambda: Stepwise(bz2.BZ2Decompressor()), OSError)
    if head == XZ:
        import lzma

        return Inflated(stream, lambda: Stepwise(lzma.LZMADecompressor(memlimit=XZ_MEMORY)), lzma.LZMAError)
    return stream


class Stepwise:
    """A decompressor of bzip2 or xz: it gives so much at once, and goes on with nothing new until it
    ``needs_input``.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def needs_input(self) -> bool:
        """Whether all that was put in has come out."""
        return bool(self._inner.needs_input)

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        """What stands behind the member."""
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, /) -> bytes:
        """Some bytes."""
        return bytes(self._inner.decompress(data, OUTPUT_BYTES))


class Inflated:
    """Members or frames one after another. Raises Damaged behind the last byte that could be had."""

    def __init__(
        self, stream: Counted, begin: Callable[[], Any], error: type[Exception], piece_bytes: int = PIECE_BYTES
    ) -> None:
        self._stream = stream
        self._begin = begin
        self._error = error
        self._inflater: Inflater = begin()
        self._piece = bytearray(piece_bytes)
        self._input = b""
        self._output = memoryview(b"")
        self._begun = False
        self._damage = ""

    def readinto(self, buffer: memoryview, /) -> int:
        """Some bytes; 0 at the end of the last member."""
        while not self._output:
            if self._damage:
                raise Damaged(self._damage)
            if not self._more():
                return 0
        count = min(len(self._output), len(buffer))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def _more(self) -> bool:
        """Inflate the next piece; False at the end."""
        is_holding = isinstance(self._inflater, Stepwise) and not self._inflater.eof and not self._inflater.needs_input
        if not self._input and not is_holding:
            got = self._stream.readinto(memoryview(self._piece))
            if not got:
                if self._begun and not self._inflater.eof:
                    self._damage = "the compressed data ends too early"
                    return True
                return False
            self._input = bytes(self._piece[:got])
        if self._inflater.eof:
            self._input = self._input.lstrip(b"\0")  # what files are filled up with
            if not self._input:
                return True
            self._inflater = self._begin()
            self._begun = False
        try:
            self._output = memoryview(self._inflater.decompress(self._input))
        except self._error as error:
            self._damage = str(error) or "the compressed data is damaged"
            return True
        self._begun = True
        self._input = self._inflater.unused_data if self._inflater.eof else b""
        return True
