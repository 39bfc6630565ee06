"""Commands on a terminal of their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.waiting import PATIENCE_SECONDS

Answers = Sequence[tuple[bytes, bytes]]
"""What is typed once something is shown and nothing more comes for a moment, one after the other."""

MOMENT_SECONDS = 0.1


def on_a_terminal(
    command: Sequence[str], answers: Answers = (), *, columns: int = 80, output: Path | None = None
) -> tuple[int, str]:
    """Exit status, and what the terminal shows. ``output``: where standard output goes, if not there."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown, at, left = b"", 0, list(answers)
    with _opened(output, terminal) as out, _ended(command, terminal, out) as process:
        os.close(terminal)
        while True:
            is_awaited = bool(left) and left[0][0] in shown[at:]
            if select.select([controller], [], [], MOMENT_SECONDS if is_awaited else PATIENCE_SECONDS)[0]:
                try:
                    shown += os.read(controller, 1 << 16)
                except OSError:  # nobody has the terminal any more
                    break
            elif is_awaited:
                at = len(shown)
                os.write(controller, left.pop(0)[1])
            else:
                break
        process.wait(PATIENCE_SECONDS)
    os.close(controller)
    assert not left, shown[-1000:]
    return process.returncode, shown.decode("utf-8", "replace")


@contextlib.contextmanager
def _opened(output: Path | None, terminal: int) -> Iterator[int]:
    if output is None:
        yield terminal
        return
    with output.open("wb") as file:
        yield file.fileno()


@contextlib.contextmanager
def _ended(command: Sequence[str], terminal: int, out: int) -> Iterator[subprocess.Popen[bytes]]:
    """A command that is over afterwards, whatever it waits for."""
    with subprocess.Popen(command, stdin=terminal, stdout=out, stderr=terminal) as process:
        try:
            yield process
        finally:
            process.kill()
