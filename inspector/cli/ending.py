"""How a command ends on a signal: by itself, and where something holds it up, in time all the same.

Output that nobody takes, a disk that hangs, a judgement that is long, a command that does not end: each can hold up a
process for good while it tidies up. So a thread counts from the first signal, and ends the process when its time is
over, or at a second signal, with the exit status that the signal has anyhow.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import termios
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import NoReturn

from inspector.cli.exit_status import SIGNALLED

SECONDS = 1.7
"""From the first signal to the end at the latest; service managers and people are promised two."""

AGAIN_SECONDS = 0.3
"""Sooner it is the same signal: terminals and timeout(1) send it to a process and to its group."""

LAST_WORDS_SECONDS = 0.2
"""So long standard error has for them, which may take nothing any more."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TimelyEnd:
    """The end of this process. ``unfinished``: what it has not done yet, for people; ``at_last``: what is done before
    it is ended from outside of its own course. Both are called by another thread, and must not wait.
    """

    def __init__(
        self,
        unfinished: Callable[[], Iterable[str]] = tuple,
        at_last: Callable[[], object] = lambda: None,
    ) -> None:
        self.status = 0
        """The exit status, once a signal has come."""
        self._unfinished = unfinished
        self._at_last = at_last
        self._began = 0.0

    def begin(self, number: int) -> None:
        """A signal has come: this process ends by itself now, or is ended in time. A second one ends it at once.
        Waits for nothing, and takes no lock: handlers may call it.
        """
        now = time.monotonic()
        if not self.status:
            self.status, self._began = SIGNALLED + number, now
            _thread.start_new_thread(self._end_in_time, ())
        elif now - self._began > AGAIN_SECONDS:
            self._end("by a second signal")

    def guard(self, numbers: Iterable[int]) -> None:
        """Have a thread look for signals from now on. No handler of Python's runs while the main thread is inside the
        kernel or a library; this one sees them. What handlers there are must not ``begin``.
        """
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_look_away)
        _thread.start_new_thread(self._look, (reading, frozenset(numbers)))

    def _look(self, reading: int, numbers: frozenset[int]) -> None:
        while True:
            for number in os.read(reading, 64):
                if number in numbers:
                    self.begin(number)

    def _end_in_time(self) -> None:
        time.sleep(SECONDS)
        self._end(f"{SECONDS} s after the signal")

    def _end(self, when: str) -> NoReturn:
        try:
            self._at_last()
            left = "; ".join(self._unfinished())
            _say(f"inspector: ended {when}" + (f", without: {left}\n" if left else "\n"))
        finally:
            os._exit(self.status)


def _look_away() -> None:
    """In a copy of this process: what it is sent is not the first one's."""
    signal.set_wakeup_fd(-1)


def _say(text: str) -> None:
    """On standard error, as far as that takes it soon."""
    is_written = _thread.allocate_lock()
    is_written.acquire()
    _thread.start_new_thread(_write, (text.encode("utf-8", "backslashreplace"), is_written))
    is_written.acquire(timeout=LAST_WORDS_SECONDS)


def _write(data: bytes, is_written: _thread.LockType) -> None:
    with contextlib.suppress(OSError):  # there is nobody to tell
        os.write(2, data)
    is_written.release()


def terminal_given_back() -> Callable[[], None]:
    """What sets the terminal on standard input to what it is now, whether it takes output or not."""
    try:
        modes = termios.tcgetattr(0)
    except termios.error:
        return lambda: None

    def give_back() -> None:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, modes)

    return give_back


def let_signals_end() -> None:
    """Have the system end this process by them, wherever it is: while nothing is to be tidied up yet."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def end_by(ending: TimelyEnd, leave: Callable[[int], object]) -> None:
    """Have signals end this process: ``leave`` is called at each, with the exit status, by the main thread. Those that
    it was started to ignore, as by nohup(1), it ignores.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        ending.begin(number)
        leave(ending.status)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)
