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

import pytest

from tests.build import capture
from tests.conftest import CAPTURES
from tests.test_watch import fault

IDLE_BYTES = 400
"""In four seconds."""


def read(terminal: int, seconds: float) -> bytes:
    found, until = bytearray(), time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            found += os.read(terminal, 1 << 16)
    return bytes(found)


@pytest.mark.parametrize(("size", "key"), [((24, 80), "2"), ((50, 160), "3")])
def test_an_idle_live_capture_sends_nothing(tmp_path: Path, size: tuple[int, int], key: str) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(5).flows))
    child, terminal = pty.fork()
    if not child:
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(CAPTURES.parent))
        user = "-Z root" if os.geteuid() == 0 else ""
        os.execv("/bin/sh", ["sh", "-c", f"(cat {path}; exec sleep 60) | {sys.executable} -m inspector live {user} -"])
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        seen, until = b"", time.monotonic() + 60
        while b"conn/s" not in seen and time.monotonic() < until:
            seen += read(terminal, 0.5)
        assert b"conn/s" in seen
        os.write(terminal, key.encode())
        read(terminal, 9.0)  # the word on the incidents goes away
        assert len(read(terminal, 4.0)) < IDLE_BYTES
    finally:
        os.kill(child, signal.SIGHUP)
        os.close(terminal)
        os.waitpid(child, 0)
