"""A pipe with a capture in it that is never waited for, and the frames that come out of it.

Who writes frame by frame would wake the loop as often, and a batch of one frame costs as much as one of a hundred: so
frames are left to gather in the pipe for a moment, until half of it is full.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import termios
import time
from collections.abc import Iterator

from inspector.capture import pcap, pcapng
from inspector.capture.blocks import LiveSource
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.errors import UnreadableError

PIPE_BYTES = 1 << 20
"""What a pipe holds: as much as an ordinary user may ask for."""

GATHER_SECONDS = 0.2
"""How long frames gather."""

BUFFER_BYTES = 1 << 20


class Pipe:
    """A descriptor that is never waited for; what ``LiveSource`` reads."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.size = 0
        """Bytes that it can hold; 0 where it is none, but a file or a socket."""
        with contextlib.suppress(OSError):
            self.size = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)

    def readinto(self, buffer: memoryview, /) -> int | None:
        """As many bytes as there are; None where there are none now, 0 at the end."""
        try:
            return os.readv(self.descriptor, [buffer])
        except BlockingIOError:
            return None

    def waiting_bytes(self) -> int:
        """How many are to be read."""
        return int.from_bytes(fcntl.ioctl(self.descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)

    def close(self) -> None:
        """Nobody reads on."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class PipeStream:
    """The frames of one pipe."""

    def __init__(self, pipe: Pipe, name: str) -> None:
        self.pipe = pipe
        self.info = CaptureInfo(name)
        self._source = LiveSource(pipe, time.sleep, BUFFER_BYTES)
        self._batches: Iterator[FrameBatch] | None = None
        self._read_at = 0.0

    @property
    def early_seconds(self) -> float:
        """How long what is there may wait for more; 0 at the end, where nothing is."""
        left = self._read_at + GATHER_SECONDS - time.monotonic()
        return left if self.pipe.size and left > 0 and 0 < self.pipe.waiting_bytes() < self.pipe.size // 2 else 0.0

    def read(self) -> FrameBatch | None:
        """What has come since; None at the end. Raises UnreadableError where it is no capture."""
        self._read_at = time.monotonic()
        if self._batches is None:
            if (
                self._source.left < pcapng.FIRST_BYTES
                and self._source.advance(0)
                and self._source.left < pcapng.FIRST_BYTES
            ):
                return self._nothing()
            self._batches = self._reader()
        return next(self._batches, None)

    def _reader(self) -> Iterator[FrameBatch]:
        buffer, end = self._source.view()
        head = bytes(buffer[: min(end, pcapng.FIRST_BYTES)])
        if head[:4] in pcap.MAGIC and end >= pcap.HEADER_BYTES:
            return pcap.read_pcap(self._source, self.info)
        if head[:4] == pcapng.MAGIC:
            return pcapng.read_pcapng(self._source, self.info)
        if not head:
            return iter(())
        raise UnreadableError(
            f"{self.info.path}: does not write pcap or pcapng to its standard output", f"it begins with {head[:16]!r}"
        )

    @staticmethod
    def _nothing() -> FrameBatch:
        import numpy as np

        none = np.zeros(0, np.int64)
        return FrameBatch(
            data=np.zeros(256, np.uint8),
            time_ns=none,
            offset=none,
            captured=none,
            original=none,
            link_type=none,
            number=none,
        )
