"""A real run on a pseudo-terminal: names from the wire reach no terminal control, whatever screen is open."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from cryptography import x509

from tests.app import B
from tests.build import Pool, certificate, certificate_request, numbered, written
from tests.waiting import PATIENCE_SECONDS, painted

PAYLOADS = [
    "\x1b]52;c;RVZJTA==\x07",
    "\x1b[31mRED\x1b[2J",
    "[@click=app.quit]quit[/]",
    "[bold red]markup[/bold]",
    "\u202ebidi\u2066",
    "\x9b31mC1",
    "nul\x00nul",
]
EVIL = "E" + "".join(PAYLOADS) + "Z"
OURS = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")
KEYS = [
    *("1", "2", "m", "m", "\r", "\x1b[F", "\x1b"),
    *("3", "y", "\r", "\r", "\x1b[C", "y", "3", "4", "\r"),
    *("5", "\r", "5", " ", "\x1b[B", " ", "y", "6", "\r", "y"),
    *("/", "sni:", "\t", "\x1b", "?", "\x1b", "\x10", "\x1b", "e", "\x1b"),
]
"""Through all areas and dialogs, copying on the way."""


def hostile(folder: Path) -> Path:
    """Hostile SNI, ALPN, subject, SAN, issuer and authority; one name of 10,000 characters."""
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, EVIL[:64])]).public_bytes()
    pool = Pool(name=EVIL, alpn=EVIL, request=certificate_request(authority))
    leaf = certificate(EVIL[:60], (PAYLOADS[0] + PAYLOADS[1] + PAYLOADS[2] + ".example.com",), issuer=EVIL[10:70])
    pool.full(leaf, numbered(1))
    pool.resumed(numbered(1))
    pool.request = b""
    pool.given_up(B, numbered(2), numbered(1))
    other = Pool(name=(EVIL * 200)[:10_000], port=50_000, ns=pool.ns)
    other.full(leaf, numbered(3))
    path = written(folder, [*pool.flows, *other.flows])
    evil = folder / "cap\x1b]52;c;RVZJTA==\x07[bold].pcap"
    path.rename(evil)
    return evil


def drawn(path: Path, keys: list[str]) -> bytes:
    """What the app writes to its terminal while keys are pressed."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "inspector", "open", str(path)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        close_fds=True,
    )
    os.close(slave)
    output = bytearray()

    def read(quiet: float, limit: float) -> None:
        until = time.monotonic() + limit
        while time.monotonic() < until and select.select([master], [], [], quiet)[0]:
            try:
                output.extend(os.read(master, 1 << 16))
            except OSError:
                return

    try:
        output.extend(painted(master, b"INCIDENTS"))
        for key in keys:
            os.write(master, key.encode())
            read(0.25, 3)
        os.write(master, b"\x03")
        output.extend(painted(master, b"\x1b[?1049l"))  # the screen before it is back (xterm's control sequences)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        os.close(master)
    return bytes(output)


def test_hostile_names_reach_no_terminal_control(tmp_path: Path) -> None:
    output = drawn(hostile(tmp_path), KEYS)
    assert b"INCIDENTS" in output
    for evil in (
        b"RVZJTA==\x07",
        b"\x1b[31mRED",
        b"RED\x1b[2J",
        b"\x9b31m",
        b"nul\x00",
        "\u202e".encode(),
        "\u2066".encode(),
        "\x9b".encode(),
    ):
        assert evil not in output, evil
    assert b"\\x1b]52;c;RVZJTA==\\x07" in output.replace(b"\x1b[1m", b"")
    assert b"\\u202e" in output
    copied = [base64.b64decode(found[1]).decode() for found in OURS.finditer(output)]
    assert copied
    for text in copied:
        assert all(c.isprintable() or c == "\n" for c in text), text
