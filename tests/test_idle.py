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

IDLE_BYTES = 400
"""In four seconds."""

TERMINALS = {(24, 80): b"2", (50, 160): b"3"}
"""Lines and columns, and the key that is pressed there."""


def read(terminals: list[int], seconds: float) -> dict[int, bytes]:
    """What comes from each within some seconds."""
    found = dict.fromkeys(terminals, b"")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for terminal in select.select(terminals, [], [], left)[0]:
            found[terminal] += os.read(terminal, 1 << 16)
    return found


def live(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    """A live capture that gets a file and then nothing: its process, and its terminal."""
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(CAPTURES.parent))
        user = "-Z root" if os.geteuid() == 0 else ""
        os.execv("/bin/sh", ["sh", "-c", f"(cat {path}; exec sleep 60) | {sys.executable} -m inspector live {user} -"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    return child, terminal


def test_an_idle_live_capture_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(5).flows))
    children = {terminal: (child, size) for size in TERMINALS for child, terminal in (live(path, size),)}
    terminals = list(children)
    try:
        seen, until = dict.fromkeys(terminals, b""), time.monotonic() + 60
        while not all(b"conn/s" in text for text in seen.values()) and time.monotonic() < until:
            for terminal, text in read(terminals, 0.2).items():
                seen[terminal] += text
        assert all(b"conn/s" in text for text in seen.values())
        for terminal, (_, size) in children.items():
            os.write(terminal, TERMINALS[size])
        read(terminals, 9.0)  # the word on the incidents goes away
        idle = {children[terminal][1]: len(text) for terminal, text in read(terminals, 4.0).items()}
        assert all(count < IDLE_BYTES for count in idle.values()), idle
    finally:
        for terminal, (child, _) in children.items():
            os.kill(child, signal.SIGHUP)
            os.close(terminal)
            os.waitpid(child, 0)
