"""How the capturing process hands frames on: two regions of memory that it shares with its parent. While one is read,
the other is filled.

So a parent that is busy for a moment costs no packets, beyond what the kernel's own buffer could hold.
"""

from __future__ import annotations

import os
import select

from inspector.live.sources.sniff_messages import FramesReady, Reporter

FRAMES, DONE = 1, 0
"""Descriptors of the capturing process: what it writes to, and where a byte says that a region is done with."""

MOST_WAITING = 64 << 20
"""So much is filled while the other region is read; then it is waited for, and the kernel's buffer fills."""

MARGIN_BYTES = 4096
"""Readable behind the last frame."""

USUAL_BYTES = 8 << 20
"""A region that was larger gives its memory back."""


class Handover:
    """The capturing process' side. What is written to ``FRAMES`` goes into the region that is being filled."""

    def __init__(self, other: int, report: Reporter) -> None:
        """``other``: the descriptor of the second region; the first is ``FRAMES``."""
        self._regions = (os.dup(FRAMES), other)
        self._report = report
        self._filling = 0
        self._is_owed = False

    @property
    def awaits(self) -> list[int]:
        """What to wait for beside packets: the other region, where this one holds something already."""
        return [DONE] if self._is_owed and os.lseek(FRAMES, 0, os.SEEK_CUR) else []

    def hand_on(self, at_last: bool = False) -> None:
        """Say how much was written, if the other region is done with. Everything must be flushed. Raises SystemExit
        where nobody reads any more.
        """
        region = self._regions[self._filling]
        filled = os.lseek(region, 0, os.SEEK_CUR)
        if not filled:
            return
        if self._is_owed and (at_last or filled > MOST_WAITING or select.select([DONE], [], [], 0)[0]):
            if not os.read(DONE, 1):
                raise SystemExit(0)
            self._is_owed = False
        if self._is_owed:
            return
        size = os.fstat(region).st_size
        if size < filled + MARGIN_BYTES or (size > USUAL_BYTES > filled):
            os.ftruncate(region, max(filled + MARGIN_BYTES, USUAL_BYTES))
        self._report(FramesReady(self._filling, filled))
        self._is_owed = True
        self._filling ^= 1
        os.dup2(self._regions[self._filling], FRAMES)
        os.lseek(FRAMES, 0, os.SEEK_SET)
