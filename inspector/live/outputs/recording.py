"""``-w`` and ``-b``: all frames into one pcapng file, or into a ring of files of which the oldest goes.

By default a frame is kept up to the last byte that the analysis looked at: handshakes and record headers, not the data
between them; its length on the wire stays known. So the file gives the same findings, with the same frame numbers.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections import deque
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

import numpy as np

from inspector.capture.frames import I64, FrameBatch
from inspector.capture.writer import PcapngWriter
from inspector.errors import UsageError
from inspector.live.outputs import disk
from inspector.text.times import SECOND_NS

RETRY_NS = 10 * SECOND_NS
"""How long after a failure writing is tried again."""

BLOCK_BYTES = 34
"""What a frame takes in a pcapng file beside its bytes, about."""

KILOBYTE = 1000
"""As in dumpcap's ``filesize``."""


class Conditions(NamedTuple):
    """The conditions of ``-b`` and ``-a``; None where there is none. ``files`` of a ring, 0 for all. Durations in
    seconds, sizes in kB.
    """

    files: int | None = None
    filesize: int | None = None
    duration: float | None = None
    packets: int | None = None
    incidents: int | None = None


def conditions(option: str, values: tuple[str, ...]) -> Conditions:
    """``filesize:1000``, ``duration:3600`` and the like. Raises UsageError."""
    known = {"files", "filesize", "duration", "packets", *(("incidents",) if option == "-a" else ())}
    counts: dict[str, int] = {}
    duration = None
    for value in values:
        name, colon, number = value.partition(":")
        name = {"incident": "incidents"}.get(name, name)
        try:
            amount = float(number)
        except ValueError:
            amount = -1
        if (
            name not in known
            or not colon
            or not 0 < amount < math.inf
            or (name != "duration" and amount != int(amount))
        ):
            raise UsageError(f"{option} {value}: not one of {', '.join(f'{n}:NUMBER' for n in sorted(known))}")
        if name == "duration":
            duration = amount
        else:
            counts[name] = int(amount)
    return Conditions(**counts, duration=duration)


class _Unbuffered:
    """A file as the writer wants it: a write takes all."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes, /) -> None:
        disk.write_all(self._out, data)


class Recording:
    """``lost``: frames that could not be written. ``trouble``: why it does not write now; empty where it does."""

    def __init__(
        self, path: str, ring: Conditions | None, names: list[str], *, is_full: bool, least_mib: int = disk.FREE_MIB
    ) -> None:
        """``ring``: when the next file begins, and how many are kept; None for one file. ``names``: of the interfaces.
        Raises UsageError where the first file cannot be written.
        """
        self.path = path
        self.is_full = is_full
        self.files = 0
        """Files begun so far."""
        self.bytes = 0
        self.lost = 0
        self.trouble = ""
        self._ring = ring
        self._names = names
        self._least_mib = least_mib
        self._kept: deque[str] = deque(self._earlier() if ring is not None else ())
        """The files of the ring, those of earlier runs among them: whoever is started again fills no disk."""
        self._out: BinaryIO | None = None
        self._writer: PcapngWriter | None = None
        self._began_ns: int | None = None
        self._retry_ns = 0
        self._checked_ns = 0
        self._drops = (0, 0)
        try:
            disk.require_space(path, least_mib)
            self._begin()
        except OSError as error:
            raise UsageError(f"-w {path}: {disk.reason(error)}") from None

    @property
    def is_ring(self) -> bool:
        """Whether there is more than one file."""
        return self._ring is not None

    def write(self, batch: FrameBatch, keep: I64 | None, now_ns: int) -> None:
        """Frames, as far as ``keep`` says; never raises: what cannot be written is counted."""
        captured = batch.captured if keep is None or self.is_full else keep
        done = 0
        try:
            while done < len(batch):
                self._prepare(int(batch.time_ns[done]), now_ns)
                assert self._writer is not None
                fits = self._fits(batch, captured, done)
                part = slice(done, done + fits)
                before = self._writer.bytes
                self._writer.write(
                    batch if fits == len(batch) else batch.select(np.arange(done, done + fits)), None, captured[part]
                )
                self.bytes += self._writer.bytes - before
                done += fits
            self.trouble = ""
        except OSError as error:
            self._fail(error, now_ns)
            self.lost += len(batch) - done

    def _fits(self, batch: FrameBatch, captured: I64, start: int) -> int:
        """How many frames go into this file before the next one begins; at least one."""
        ring, writer = self._ring, self._writer
        count = len(batch) - start
        if ring is None or writer is None:
            return count
        if ring.packets:
            count = min(count, ring.packets - writer.count)
        if ring.filesize:
            ends = np.cumsum(captured[start:] + BLOCK_BYTES)
            count = min(count, 1 + int(np.searchsorted(ends, ring.filesize * KILOBYTE - writer.bytes)))
        if ring.duration and self._began_ns is not None:
            count = min(
                count, int(np.searchsorted(batch.time_ns[start:], self._began_ns + int(ring.duration * SECOND_NS)))
            )
        return max(count, 1)

    def _prepare(self, frame_ns: int, now_ns: int) -> None:
        """A file that can be written to, the next one where it is time. Raises OSError."""
        if self.trouble and now_ns < self._retry_ns:
            raise OSError(self.trouble)
        if now_ns - self._checked_ns >= SECOND_NS or now_ns < self._checked_ns:
            disk.require_space(self.path, self._least_mib)
            self._checked_ns = now_ns
        if self._writer is None or self._is_full(frame_ns):
            self._begin()
        if self._began_ns is None:
            self._began_ns = frame_ns

    def _is_full(self, frame_ns: int) -> bool:
        ring, writer = self._ring, self._writer
        if ring is None or writer is None:
            return False
        return bool(
            (ring.filesize and writer.bytes >= ring.filesize * KILOBYTE)
            or (ring.packets and writer.count >= ring.packets)
            or (ring.duration and self._began_ns is not None and frame_ns - self._began_ns >= ring.duration * SECOND_NS)
        )

    def _begin(self) -> None:
        self._end()
        path = self.path if self._ring is None and not self.files else self._numbered()
        self._out = disk.create(path)
        self._writer = PcapngWriter(_Unbuffered(self._out), names=self._names)
        self.files += 1
        self._began_ns = None
        self._kept.append(path)
        while self._ring is not None and self._ring.files and len(self._kept) > self._ring.files:
            with contextlib.suppress(OSError):
                os.unlink(self._kept.popleft())

    def _numbered(self) -> str:
        """As dumpcap names the files of a ring."""
        stem, suffix = os.path.splitext(self.path)
        return f"{stem}_{self.files + 1:05d}_{datetime.now(UTC):%Y%m%d%H%M%S}{suffix}"

    def _earlier(self) -> list[str]:
        """The files that earlier runs left by this name, the oldest first."""
        folder, name = os.path.split(self.path)
        stem, suffix = os.path.splitext(name)
        is_numbered = re.compile(rf"{re.escape(stem)}_\d{{5,}}_(\d{{14}}){re.escape(suffix)}").fullmatch
        dated = []
        with contextlib.suppress(OSError):
            dated = [(match[1], entry) for entry in os.listdir(folder or ".") if (match := is_numbered(entry))]
        return [os.path.join(folder, entry) for _, entry in sorted(dated)]

    def _fail(self, error: OSError, now_ns: int) -> None:
        if not self.trouble or now_ns >= self._retry_ns:
            self._retry_ns = now_ns + RETRY_NS
        self.trouble = disk.reason(error)
        if not isinstance(error, disk.DiskFull):
            self._abandon()

    def _abandon(self) -> None:
        """A block may have been written in part: nothing more goes into this file."""
        if self._out is not None:
            with contextlib.suppress(OSError):
                self._out.close()
        self._out = self._writer = None

    def drops(self, received: int, dropped: int) -> None:
        """For the statistics at the end of a file."""
        self._drops = (received, dropped)

    def _end(self) -> None:
        if self._writer is not None and self._out is not None:
            with contextlib.suppress(OSError):
                self._writer.statistics(0, self._began_ns or 0, *self._drops)
        self._abandon()

    def flush(self) -> None:
        """What was written is on the disk."""
        if self._out is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._out.fileno())

    def close(self) -> None:
        self._end()
