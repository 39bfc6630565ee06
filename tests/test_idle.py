"""A screen on which nothing happens sends nothing: it may be at the far end of a slow line."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

from tests.build import capture
from tests.conftest import CAPTURES
from tests.test_watch import fault
from tests.waiting import painted, until

IDLE_BYTES, IDLE_SECONDS = 400, 4.0

TERMINALS = {(24, 80): b"2", (50, 160): b"3"}
"""Lines and columns, and the key that is pressed there."""


def are_idle(terminals: list[int]) -> bool:
    """Whether next to nothing comes from each within some seconds."""
    counts = dict.fromkeys(terminals, 0)
    end = time.monotonic() + IDLE_SECONDS
    while (left := end - time.monotonic()) > 0:
        for terminal in select.select(terminals, [], [], left)[0]:
            counts[terminal] += len(os.read(terminal, 1 << 16))
    return all(count < IDLE_BYTES for count in counts.values())


def live(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    """A live capture that gets a file and then nothing: its process, and its terminal."""
    child, terminal = pty.fork()
    if not child:
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(CAPTURES.parent))
        user = "-Z root" if os.geteuid() == 0 else ""
        os.execv("/bin/sh", ["sh", "-c", f"(cat {path}; exec sleep 600) | {sys.executable} -m inspector live {user} -"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    return child, terminal


def test_an_idle_live_capture_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(5).flows))
    children = {terminal: (child, size) for size in TERMINALS for child, terminal in (live(path, size),)}
    terminals = list(children)
    try:
        for terminal in terminals:
            assert b"conn/s" in painted(terminal, b"conn/s")
        for terminal, (_, size) in children.items():
            os.write(terminal, TERMINALS[size])
        assert until(lambda: are_idle(terminals)), "once the word on the incidents goes away"
    finally:
        for terminal, (child, _) in children.items():
            os.kill(child, signal.SIGHUP)
            os.close(terminal)
            os.waitpid(child, 0)
