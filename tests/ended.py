"""Commands that are to end: how they do, and what still runs of them, found in /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from tests.conftest import CAPTURES
from tests.live import WATCH
from tests.waiting import COMMAND_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, until

END_SECONDS = COMMAND_SECONDS
"""Within so long a command is gone after a signal, however busy the machine is; promised are two seconds
(``cli/ending``). What holds one up in tests holds it up for longer.
"""

MARK = "INSPECTOR_TEST_RUN"

HANGING = """
import ctypes, sys
from {module} import {name} as owner
from inspector.cli import ending
ending.LAST_WORDS_SECONDS = {last_words}
libc = ctypes.CDLL(None)
def hang(*arguments, **named):
    mutex = ctypes.create_string_buffer(64)
    open({told!r}, "w").close()
    libc.pthread_mutex_lock(mutex), libc.pthread_mutex_lock(mutex)
owner.{function} = hang
sys.argv[0] = "inspector"
from inspector.cli.commands import run
run()
"""
"""The program with something in it that hangs inside a library, where no handler of Python's runs: as on a disk that
does not answer.
"""

PATIENT = """
import os, sys, time
from types import SimpleNamespace
from inspector.cli import ending
def sleep(seconds):
    while not os.path.exists({released!r}):
        time.sleep({look})
ending.time = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
ending.LAST_WORDS_SECONDS = {last_words}
sys.argv[0] = "inspector"
from inspector.cli.commands import run
run()
"""
"""The program, whose time after a signal is over when a file is there."""


class Run:
    """A command with a mark in its environment, which all that it starts inherits."""

    def __init__(self, words: list[str], fed: bytes | None = None, **named: Any) -> None:
        """``fed``: the first bytes of what stays open."""
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, MARK: self.mark, **named.pop("env", {})}
        named = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **named}
        if fed is not None:
            named["stdin"] = subprocess.PIPE
        self.process: subprocess.Popen[bytes] = subprocess.Popen(words, env=environment, cwd=CAPTURES.parent, **named)
        if fed is not None:
            out: IO[bytes] | None = self.process.stdin
            assert out is not None
            out.write(fed)
            out.flush()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *of: object) -> None:
        for process in [self.process.pid, *self.left()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def left(self) -> list[int]:
        """Processes of this run that are there, but for the first one."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if wanted in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return [process for process in found if process != self.process.pid]

    def is_alone(self) -> bool:
        """Whether nobody of this run is left but the first one: what is killed takes its time to be gone."""
        return until(lambda: not self.left())

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)

    def errors(self) -> str:
        """What it said on standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


def patient(words: Sequence[str], released: Path | None = None) -> list[str]:
    """The same command, which is not ended from outside of its own course 1.7 seconds after a signal (``cli/ending``),
    but once a file is there: what it does by itself until then it does on a busy machine too. ``released``: by default
    there is none.
    """
    code = PATIENT.format(released=str(released or ""), look=LOOK_SECONDS, last_words=PATIENCE_SECONDS)
    return [words[0], "-c", code, *words[3:]]


def hanging(place: str, told: Path) -> list[str]:
    """The words of the command, in which a function hangs: ``module:owner.function``. ``told``: a file that is there
    once it does.
    """
    module, _, rest = place.partition(":")
    name, _, function = rest.partition(".")
    code = HANGING.format(module=module, name=name, function=function, told=str(told), last_words=PATIENCE_SECONDS)
    return [sys.executable, "-c", code, *WATCH[3:], "--no-sandbox"]  # so that it can say so
