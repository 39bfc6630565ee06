"""Progress on standard error for anything that takes over a second: a line that is drawn over on a terminal, else one
every ten seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TextIO

from inspector.cli.streams import is_dumb
from inspector.text.cells import cut
from inspector.text.terminal import TerminalText

DEFAULT_COLUMNS = 80
"""Of a terminal that does not say."""


class Progress:
    """Counts bytes read against the size of the story, files of a fleet, or connections that are judged or probed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty() and not is_dumb()
        self._say = out.control if isinstance(out, TerminalText) else out.write
        self._started = self._shown = time.monotonic()
        self._total = 0
        self._read = 0
        self._drawn = False

    def begin(self, count: int) -> None:
        """So many bytes are to be read; once more, where they are read a second time."""
        self._total += count

    def advance(self, count: int) -> None:
        """So many more bytes were read."""
        self._read += count
        self._draw(
            lambda: (
                f"read {min(100, 100 * self._read // self._total)} % of {self._total / 1e6:,.0f} MB"
                if self._total
                else f"read {self._read / 1e6:,.0f} MB"
            )
        )

    def files(self, read: int, total: int) -> None:
        """So many files of all were read by a fleet, whose bytes nobody here counts."""
        self._draw(lambda: f"read {read:,} of {total:,} files")

    def judged(self, done: int, total: int) -> None:
        """So many connections of all were judged."""
        self._draw(lambda: f"judged {100 * done // max(total, 1)} % of {total:,} connections")

    def connections(self, begun: int, total: int) -> None:
        """So many connections of a probe have begun, of all; said on a terminal alone."""
        if self._terminal:
            self._draw(lambda: f"{begun:,} of {total:,} connections begun")

    def _draw(self, share: Callable[[], str]) -> None:
        now = time.monotonic()
        if now - self._started < 1 or now - self._shown < (0.2 if self._terminal else 10):
            return
        self._shown = now
        text = f"inspector: {share()}"
        self._say(f"\r{cut(text, self._room())}\x1b[K" if self._terminal else f"{text}\n")
        self._out.flush()
        self._drawn = True

    def _room(self) -> int:
        """Cells of a line of the terminal but the last, behind which some go on to the next line."""
        try:
            columns = os.get_terminal_size(self._out.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or DEFAULT_COLUMNS) - 1

    def done(self) -> None:
        """Remove the line."""
        if self._drawn and self._terminal:
            self._say("\r\x1b[K")
            self._out.flush()
