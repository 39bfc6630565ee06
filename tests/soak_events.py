"""What happens beside a capture in weeks, by the hour."""

from __future__ import annotations

import os
import resource
import shutil
from collections import Counter
from pathlib import Path
from typing import Literal, Protocol

from inspector.live.sources.source import Source
from inspector.text.times import SECOND_NS

DAY = 24
STEPS_NS = (2_500 * 10**6, -1_500 * 10**6, 3_600 * SECOND_NS, -3_600 * SECOND_NS)
"""How the clock is set, in turn."""

FULL_BYTES = 4_096
"""Beyond so much no file grows while the disk is full."""

FULL_HOURS = 3
LOGS = 2
"""Rotated logs that are kept."""


class SetClock(Protocol):
    """A clock that can be set."""

    step_ns: int


class Events:
    """``log``: that of the client, which grows. ``counts``: what has happened how often. ``is_full``: the disk."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "puppetserver.log"
        self.log.write_text("")
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._file_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.is_full = False
        self._writer = open(self.log, "a", encoding="utf-8")  # noqa: SIM115 - whoever logs holds it open

    def at(self, hour: int, clock: SetClock, source: Source) -> Literal["", "restart", "kill"]:
        """What this hour brings; whether the capture is to end."""
        day, of_day = divmod(hour, DAY)
        if of_day == 1 and day:
            self._rotate(day)
        if of_day == 12 and day % 4 == 0:
            clock.step_ns += STEPS_NS[self.counts["clock"] % len(STEPS_NS)]
            self.counts["clock"] += 1
        if of_day == 15 and day % 5 == 0:
            self._lose(source)
        elif source.state == "lost":
            source.state = "capturing"
            source.news.append(f"{source.name}: is back")
        if of_day == 18 and day % 3 == 0:
            self._fill(True)
        elif self.is_full and of_day == 18 + FULL_HOURS:
            self._fill(False)
        if of_day == 6:
            shutil.rmtree(self._folder / "incidents")  # whoever looks at them has taken them away
            return "kill" if day % 2 else "restart"
        return ""

    def logs(self, text: str) -> None:
        """Lines more; the log lies on another disk."""
        self.unlimited()
        self._writer.write(text)
        self._writer.flush()
        self.limited()

    def unlimited(self) -> None:
        """What is written until ``limited`` lies on another disk."""
        self._limit(self._file_limit[0])

    def limited(self) -> None:
        """As full as it is."""
        if self.is_full:
            self._limit(FULL_BYTES)

    def _rotate(self, day: int) -> None:
        """By renaming it, or by copying and cutting it."""
        self.counts["rotation"] += 1
        rotated = self.log.with_name(f"{self.log.name}.{day % LOGS}")
        if day % 2:
            self._writer.close()
            os.replace(self.log, rotated)
            self._writer = open(self.log, "a", encoding="utf-8")  # noqa: SIM115
        else:
            shutil.copyfile(self.log, rotated)
            os.truncate(self.log, 0)

    def _lose(self, source: Source) -> None:
        self.counts["interface"] += 1
        source.state = "lost"
        source.news.append(f"{source.name}: went away; waiting for it to come back")

    def _fill(self, is_full: bool) -> None:
        self.counts["disk"] += is_full
        self.is_full = is_full
        self._limit(FULL_BYTES if is_full else self._file_limit[0])

    def _limit(self, most: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, self._file_limit[1]))

    def close(self) -> None:
        self._limit(self._file_limit[0])
        self._writer.close()
