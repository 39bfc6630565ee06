"""The terminal that the app is shown on, which may go away without a signal: a window that is closed, a connection that
breaks, while SIGHUP is blocked or ignored.

Textual reads on then from what has ended, as fast as it can, or waits for ever for a thread that can write no more.
"""

from __future__ import annotations

import select
import signal
import threading
from io import TextIOWrapper
from typing import TextIO, cast

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

HUNG_UP = 128 + signal.SIGHUP
"""The exit status, as if the signal had come."""

LOOK_MS = 1000
"""How soon whoever waits for the terminal to go notices that the app has gone."""


class HungUp(Message):
    """The terminal is gone."""


class Screen:
    """What is painted on. What it does not take any more is lost."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._is_gone = False

    def write(self, text: str) -> None:
        """Never raises OSError."""
        try:
            if not self._is_gone:
                self._file.write(text)
        except OSError:
            self._is_gone = True

    def flush(self) -> None:
        """Never raises OSError."""
        try:
            if not self._is_gone:
                self._file.flush()
        except OSError:
            self._is_gone = True

    def fileno(self) -> int:
        """Of the terminal."""
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Textual's, which says ``HungUp`` where the terminal is gone."""

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        screen = Screen(cast("TextIO", self._file))
        self._file = cast("TextIOWrapper", screen)  # of which Textual uses what a Screen has

    def run_input_thread(self) -> None:
        """Read keys until the app ends, or the terminal goes."""
        ended = threading.Event()
        threading.Thread(target=self._watch, args=(ended,), name="terminal", daemon=True).start()
        try:
            super().run_input_thread()
        except OSError:
            self.send_message(HungUp())
        finally:
            ended.set()

    def _watch(self, ended: threading.Event) -> None:
        """Say once that the other side is closed: where reading only finds an end, that is no error."""
        terminal = select.poll()
        terminal.register(self.fileno, 0)
        while not ended.is_set():
            if terminal.poll(LOOK_MS):
                self.send_message(HungUp())
                return


def driver_of(usual: type[Driver]) -> type[Driver]:
    """The driver in place of Textual's own choice; another one, as tests and browsers have, stays."""
    return TerminalDriver if usual is LinuxDriver else usual
