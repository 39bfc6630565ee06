"""How far the screen is behind what is read: which analysis it shows, whether it is held still, which incidents were
announced. Knows no Textual.
"""

from __future__ import annotations

import time

from inspector.findings.judge import Analysis
from inspector.tui.loading import Loading

NEWS_SECONDS = 4.0
"""How long an incident is announced; then for as long others are not, so that what else is to be said is seen."""


class Feed:
    """One ``Loading``, as far as it is on screen."""

    def __init__(self, loading: Loading) -> None:
        self.loading = loading
        self.is_frozen = False
        """The screen keeps what it shows while reading goes on."""
        self._version = 0
        self._announced = 0
        self._announced_at = -2 * NEWS_SECONDS

    @property
    def is_behind(self) -> bool:
        """There is another analysis than the one that the screen shows."""
        return self.loading.version != self._version

    def newest(self) -> Analysis | None:
        """The newest analysis, to be shown now; None where there is none yet."""
        version, analysis = self.loading.version, self.loading.analysis
        if analysis is not None:
            self._version = version
        return analysis

    def new_incidents(self) -> int:
        """How many incidents were met live since this was asked last."""
        count = self.loading.incident_count()
        more, self._announced = count - self._announced, count
        return more

    def announce(self) -> None:
        """New incidents were met."""
        now = time.monotonic()
        if now > self._announced_at + 2 * NEWS_SECONDS:
            self._announced_at = now

    def incident_status(self, key: str) -> str:
        """For some seconds after incidents were met, that they were, and by which key they open. In the line of areas,
        where it covers nothing: the newest one stands below.
        """
        if time.monotonic() > self._announced_at + NEWS_SECONDS:
            return ""
        return f"✖ {'incident' if self._announced == 1 else f'{self._announced:,} incidents'}   {key}: its story"

    def frozen_status(self, shown: int) -> str:
        """That the screen is held still, and how many more connections wait than are ``shown``; else empty."""
        if not self.is_frozen:
            return ""
        analysis = self.loading.analysis
        waiting = analysis.count - shown if analysis is not None else 0
        return f"frozen, {waiting:,} more wait" if waiting else "frozen"
