"""An interface of this machine, watched by a process of ours that does nothing else (``sniff``)."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import sys
import time
from collections.abc import Sequence

from inspector.capture import pcap
from inspector.capture.frames import FrameBatch
from inspector.errors import InspectorError, NotPermittedError, UsageError
from inspector.live.sources.capture_launch import CaptureLaunch
from inspector.live.sources.handover import MARGIN_BYTES
from inspector.live.sources.processes import Process
from inspector.live.sources.sniff_messages import (
    CaptureBack,
    CaptureConfined,
    CaptureFailed,
    CaptureLost,
    CaptureOpened,
    FramesReady,
    Obstacle,
    PacketCounts,
    decode_report,
)

MAPPED_BYTES = 4 << 20
"""Of shared memory, mapped at first."""

REMEDIES: dict[Obstacle, str] = {
    "permission": "run it with sudo, or: inspector doctor",
    "library": "inspector doctor names what to install",
    "device": "inspector live -D lists the interfaces",
    "filter": "filters are written as for tcpdump: man pcap-filter",
}


class InterfaceSource(Process):
    """An interface of this machine, watched by a process of ours.

    Its frames come in memory that both share (see ``sniff``): a batch is good until ``release``.
    """

    def __init__(self, launch: CaptureLaunch) -> None:
        super().__init__(launch.options.interface, launch)
        self.failure: CaptureFailed | None = None
        """Why it could not be opened."""
        self.unconfined = ""
        """Why the process that captures is not confined, as the system says; empty where it is."""
        self._past = (0, 0)
        self._done = -1
        """Where it hears that a region is done with."""
        self._regions: list[int] = []
        self._mapped: dict[int, mmap.mmap] = {}
        self._records: pcap.Records | None = None
        self._filled = 0
        self._region = 0

    def attach(self, descriptors: Sequence[int]) -> int:
        """Its frames come in memory that is empty yet."""
        self._forget_memory()
        lines, self._done, *self._regions = descriptors
        self._records = None
        self._filled = 0
        return lines

    def refused(self, problem: str) -> UsageError:
        return UsageError(f"{sys.executable} cannot be started by this user: {problem}")

    def ready(self, descriptor: int) -> FrameBatch | None:
        if self._lines < 0 or descriptor != self._lines:
            return None
        self._read_lines()
        if self._lines < 0:
            self.ended()
            return None
        return self._frames() if self._filled else None

    def _frames(self) -> FrameBatch | None:
        """What the process has filled the memory with; the first time it is the stream's header."""
        memory = self._map(self._region, self._filled + MARGIN_BYTES)
        if self._records is None:
            self._records = pcap.Records(memory[: pcap.HEADER_BYTES])
            self.release()
            return None
        return self._records.batch(memory, self._filled)

    def _map(self, region: int, size: int) -> mmap.mmap:
        mapped = self._mapped.get(region)
        if mapped is None or len(mapped) < size:
            length = max(size, min(os.fstat(self._regions[region]).st_size, MAPPED_BYTES))
            mapped = self._mapped[region] = mmap.mmap(self._regions[region], length, mmap.MAP_SHARED, mmap.PROT_READ)
        return mapped

    def release(self) -> None:
        """The frames handed on last are done with."""
        if self._filled and self._done >= 0:
            self._filled = 0
            with contextlib.suppress(OSError):
                os.write(self._done, b".")

    def ended(self) -> None:
        """It ended: say how, and when it is started again."""
        if self._done >= 0:
            os.close(self._done)
            self._done = -1
        super().ended()

    def _forget_memory(self) -> None:
        self._mapped.clear()
        for region in self._regions:
            os.close(region)
        self._regions.clear()

    def line(self, line: bytes) -> None:
        """What ``sniff`` reports."""
        match decode_report(line):
            case FramesReady(region, filled):
                self._filled, self._region = filled, region
            case PacketCounts(received, dropped):
                self.received, self.dropped = received + self._past[0], dropped + self._past[1]
            case CaptureOpened(by, method):
                self.by, self.method = by, method
                if self.state == "lost":
                    self.text = ""
                    self.news.append(f"{self.name}: is there, captured by {by}")
                self.state = "capturing"
                self._past = (self.received, self.dropped or 0)
                self.dropped = self.dropped or 0
            case CaptureConfined(problem=problem):
                self.unconfined = problem
                if problem:
                    self.news.append(f"{self.name}: what captures it is not confined: {problem}")
            case CaptureLost(text):
                waiting = "waiting for it" if self.state == "starting" else "waiting for it to come back"
                self.state = "lost"
                self.text = f"{self.name}: {text}; {waiting}"
                self.news.append(self.text)
            case CaptureBack():
                self.state = "capturing"
                self.text = ""
                self.news.append(f"{self.name}: is back")
            case CaptureFailed(_, text) as failure:
                self.failure = failure
                self.text = text

    def await_open(self, seconds: float = 10.0) -> None:
        """Wait until the capture is open, or its interface is waited for. Raises NotPermittedError or UsageError where
        it cannot be opened.
        """
        until = time.monotonic() + seconds
        while (
            not self._filled
            and self.failure is None
            and self.state != "lost"
            and self._lines >= 0
            and time.monotonic() < until
        ):
            if select.select([self._lines], [], [], 0.1)[0]:
                self._read_lines()
        if self._filled:
            self._frames()
        if self.failure is not None:
            obstacle, text = self.failure.obstacle, self.failure.text
            self.stop()
            if obstacle == "permission":
                raise NotPermittedError(text, REMEDIES[obstacle])
            raise UsageError(text, REMEDIES[obstacle])
        if self.state == "starting":
            self.stop()
            raise InspectorError(f"{self.name}: the capture did not open within {seconds:.0f} s")
