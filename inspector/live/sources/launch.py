"""What is started beside a capture, and what was: each in a session of its own, and ended with whoever started it.

A process that parses starts nothing itself, but asks the starter (``started``) for one of the launches that were there
before it parsed anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from inspector.errors import UsageError
from inspector.system.parent import dying_with_this

KILLED = -signal.SIGKILL


class Child(Protocol):
    """A process that was started. ``descriptors``: what its launch says; whoever takes them closes them."""

    descriptors: tuple[int, ...]

    def wait(self, seconds: float) -> int | None:
        """Its exit status, below 0 the signal that ended it; None where it still runs after so long."""

    def send(self, number: int) -> None:
        """A signal to it and all of its session, where they are still there. Any thread may; waits for nothing."""


class Launch(Protocol):
    """What can be started. ``is_own``: a program of ours, that is confined like whoever starts it."""

    @property
    def is_own(self) -> bool: ...

    def begin(self, values: Mapping[str, str]) -> LocalChild:
        """Start it. ``values``: for its environment, as far as it takes any. Raises OSError."""


Starts = Callable[[Launch, Mapping[str, str]], Child]
"""Raises OSError where it cannot be started, StarterEnded where nothing can."""


class LocalChild:
    """A child of this process."""

    def __init__(self, process: subprocess.Popen[bytes], descriptors: Sequence[int] = ()) -> None:
        self.descriptors = tuple(descriptors)
        self._process = process

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds) if seconds else self._process.poll()
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number)


def started_here(launch: Launch, values: Mapping[str, str]) -> Child:
    """By this process itself. Raises OSError."""
    return launch.begin(values)


class CommandLaunch(NamedTuple):
    """A command of somebody's; no shell runs it. ``is_heard``: its standard output and its standard error are its
    descriptors; else nobody reads them. ``variables``: those that may be set for it.
    """

    words: tuple[str, ...]
    is_heard: bool = True
    variables: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        return False

    def begin(self, values: Mapping[str, str]) -> LocalChild:
        """Start it. Raises OSError."""
        pipes = [os.pipe() for _ in range(2)] if self.is_heard else []
        ours = [reading for reading, _ in pipes]
        output, errors = [writing for _, writing in pipes] or [subprocess.DEVNULL] * 2
        try:
            process = subprocess.Popen(
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, **{name: values[name] for name in self.variables if name in values}},
                start_new_session=True,
                preexec_fn=dying_with_this(),
            )
        except (OSError, ValueError) as error:
            for descriptor in ours:
                os.close(descriptor)
            if isinstance(error, OSError):
                raise
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None  # a variable that holds a zero byte
        finally:
            for _, writing in pipes:
                os.close(writing)
        return LocalChild(process, ours)


def launch_of(command: str, option: str, *, is_heard: bool = True, variables: tuple[str, ...] = ()) -> CommandLaunch:
    """A command with its words as a shell would split them. ``option``: where it was given. Raises UsageError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{option} {command}: {error}") from None
    if not words:
        raise UsageError(f"{option}: no command")
    return CommandLaunch(tuple(words), is_heard, variables)
