"""How the capturing process hands frames on: two regions of memory that it shares with its parent. While one is read,
the other is filled.

So a parent that is busy for a moment costs no packets, beyond what the kernel's own buffer could hold. Frames gather
here, too, so that the parent is woken a few times a second, while the kernel's buffer is emptied more often.
"""

from __future__ import annotations

import mmap
import os
import select
import time

from inspector.live.sources.sniff_messages import FramesReady, Reporter

FRAMES, DONE = 1, 0
"""Descriptors of the capturing process: the first region when it starts, and where a byte says that a region is done
with.
"""

MOST_WAITING = 36 << 20
"""Bytes of both regions: beyond it the one that is read is waited for, and the kernel's buffer fills."""

LEAST_FILLED = 8 << 20
"""So much is filled however full the other one is."""

SLACK_BYTES = 4 << 20
"""What is written at once is at most so much more."""

REGION_BYTES = MOST_WAITING + SLACK_BYTES
MARGIN_BYTES = 4096
"""Readable behind the last frame."""

GATHER_SECONDS = 0.4
"""How often frames are handed on: few large batches cost less than many small ones. An abort is told within a second
for all that."""

GATHER_BYTES = 8 << 20
"""So many at once."""

FOREVER = float("inf")
USUAL_BYTES = 12 << 20
"""A region that was fuller gives its memory back once it was read."""


class Handover:
    """The capturing process' side. ``filled``: bytes in the region that is being filled, kept up to date by whoever
    fills it.
    """

    def __init__(self, other: int, report: Reporter) -> None:
        """``other``: the descriptor of the second region; the first is ``FRAMES``, which leads nowhere from now on."""
        self._regions = (os.dup(FRAMES), other)
        for region in self._regions:
            os.ftruncate(region, REGION_BYTES + MARGIN_BYTES)
        self._memory = [mmap.mmap(region, REGION_BYTES + MARGIN_BYTES) for region in self._regions]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, FRAMES)
        os.close(nowhere)
        self._report = report
        self._filling = 0
        self._fullest = [0, 0]
        self._read = 0
        """Bytes in the region that is read; 0 where it is done with."""
        self._due = 0.0
        self.filled = 0

    @property
    def memory(self) -> mmap.mmap:
        """The region that is being filled."""
        return self._memory[self._filling]

    @property
    def room(self) -> int:
        """Bytes that it still takes."""
        return self._most + SLACK_BYTES - self.filled

    @property
    def _most(self) -> int:
        return max(MOST_WAITING - self._read, LEAST_FILLED)

    @property
    def awaits(self) -> list[int]:
        """What to wait for beside packets: the other region, where this one holds something already."""
        return [DONE] if self._read and self.filled and not self._early_seconds() else []

    @property
    def seconds(self) -> float:
        """How long to wait for packets at most; no end where nothing but those in ``awaits`` matters."""
        return (self._early_seconds() or (0.0 if not self._read else FOREVER)) if self.filled else FOREVER

    def _early_seconds(self) -> float:
        """How long what is there may wait for more."""
        return max(self._due - time.monotonic(), 0.0) if self.filled < GATHER_BYTES else 0.0

    def hand_on(self, at_last: bool = False) -> None:
        """Say how much was written, if it is time and the other region is done with; then that is filled. Raises
        SystemExit where nobody reads any more.
        """
        filled = self.filled
        if not filled or (self._early_seconds() and not at_last):
            return
        if self._read and (at_last or filled > self._most or select.select([DONE], [], [], 0)[0]):
            if not os.read(DONE, 1):
                raise SystemExit(0)
            self._read = 0
        if self._read:
            return
        self._fullest[self._filling] = max(filled, self._fullest[self._filling])
        self._report(FramesReady(self._filling, filled))
        self._read = filled
        self._filling ^= 1
        self._due = time.monotonic() + GATHER_SECONDS
        self.filled = 0
        self._give_back()

    def _give_back(self) -> None:
        """Memory of the region that is filled next, where it was fuller than usual."""
        if self._fullest[self._filling] > USUAL_BYTES:
            region = self._regions[self._filling]
            os.ftruncate(region, USUAL_BYTES)
            os.ftruncate(region, REGION_BYTES + MARGIN_BYTES)
            self._fullest[self._filling] = 0
