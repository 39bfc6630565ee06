"""Waiting for what is to come: for long, for others use the machine too. A test that passes waits no longer than what
it waits for takes, and none holds anything against the clock of a machine that it does not have for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

PATIENCE_SECONDS = 60.0
"""What has not come by then does not come."""

COMMAND_SECONDS = 5 * PATIENCE_SECONDS
"""A command that has work to do, and has not ended by then, does not end."""

NEVER_SECONDS = 2 * COMMAND_SECONDS
"""No test waits so long: what holds on that long holds on for good, and what is due then is never due."""

LOOK_SECONDS = 0.02


def until(holds: Callable[[], object]) -> bool:
    """Whether something comes true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (held := bool(holds())) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    return held


def painted(controller: int, *wanted: bytes) -> bytes:
    """What a program writes to its terminal until all of some words are in it, or it ends."""
    text, end = b"", time.monotonic() + PATIENCE_SECONDS
    while not all(word in text for word in wanted) and time.monotonic() < end:
        if select.select([controller], [], [], 0.1)[0]:
            try:
                text += os.read(controller, 1 << 16)
            except OSError:  # nobody has the terminal open any more
                break
    return text


def has_read(process: int, path: Path) -> bool:
    """Whether a process has a file open, and has read all that is in it by now (proc_pid_fdinfo(5))."""
    with contextlib.suppress(OSError):  # it has closed one meanwhile, or is gone
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            if descriptor.readlink() == path:
                position = Path(f"/proc/{process}/fdinfo/{descriptor.name}").read_text().split()[1]
                return int(position) == path.stat().st_size
    return False


def waiting_bytes(pipe: int | IO[bytes]) -> int:
    """How many in a pipe nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def is_running(process: int) -> bool:
    """Whether a process is there, and is not one that only waits to be asked how it ended: who made it may be gone, and
    whoever is asked then may take its time.
    """
    fields = _stat(process)
    return bool(fields) and fields[0] not in "ZX"


def children_of(process: int) -> list[int]:
    """Those that it has now, the eldest first."""
    born = []
    for path in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(path.name))
        if fields and int(fields[1]) == process:
            born.append((int(fields[19]), int(path.name)))
    return [child for _, child in sorted(born)]


def _stat(process: int) -> list[str]:
    """From its state on (proc_pid_stat(5)); empty of one that has ended meanwhile."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # before it is opened; before it is read
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return []
