"""The app on a terminal that goes away without a signal, and where there is none."""

from __future__ import annotations

import fcntl
import gzip
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CAPTURES, bundled, find
from tests.live import packets_in
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, painted, until

INSPECTOR = [sys.executable, "-m", "inspector"]
HUNG_UP = 129


def deaf(is_controlling: bool, is_blocked: bool) -> Callable[[], None]:
    """What a child does first: its terminal is its own or not, and SIGHUP never reaches it."""

    def prepare() -> None:
        os.setsid()
        if is_controlling:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if is_blocked:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])

    return prepare


def left_alone(
    arguments: list[str], wanted: bytes, prepare: Callable[[], None], is_time: Callable[[], object] = lambda: True
) -> int:
    """The exit status of the app, whose terminal is closed when it has painted some words, and something is true."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    child = subprocess.Popen(
        [*INSPECTOR, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=environment, preexec_fn=prepare
    )
    os.close(terminal)
    text = painted(controller, wanted)
    came = until(is_time)
    os.close(controller)
    try:
        assert came
        assert wanted in text
        return child.wait(PATIENCE_SECONDS)
    finally:
        child.kill()


@pytest.mark.parametrize(("is_controlling", "is_blocked"), [(True, False), (True, True), (False, False)])
def test_the_app_ends_with_its_terminal(is_controlling: bool, is_blocked: bool) -> None:
    status = left_alone(["open", str(find("silent-abort"))], b"puppetdb", deaf(is_controlling, is_blocked))
    assert status == HUNG_UP


def test_a_live_capture_is_finished_without_its_terminal(tmp_path: Path) -> None:
    """As by q: what it has captured is written."""
    [packed] = CAPTURES.glob("silent-abort.pcap*")
    capture = tmp_path / "c.pcap"
    capture.write_bytes(gzip.decompress(packed.read_bytes()))
    source = f"sh -c 'cat {capture}; sleep 600'"
    path, journal = tmp_path / "live.pcapng", tmp_path / "j.sqlite"
    packets = bundled("silent-abort").document.captures[0].packets
    options = ["live", "-Z", "root", "--journal", str(journal), "-w", str(path), "--via", source]
    prepare = deaf(is_controlling=True, is_blocked=True)
    assert left_alone(options, b"puppetdb", prepare, lambda: packets_in(journal) == packets) == HUNG_UP
    written, whole = (
        subprocess.run([*INSPECTOR, "analyze", "-T", "csv", str(p)], capture_output=True, check=False).stdout
        for p in (path, capture)
    )
    assert written.count(b"\n") == whole.count(b"\n") > 2


@pytest.mark.parametrize("command", ["open", "live"])
def test_a_dumb_terminal_is_not_painted_on(command: str) -> None:
    arguments = [*INSPECTOR, command, *([str(find("silent-abort"))] if command == "open" else ["--via", "true"])]
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "dumb"}
    done = subprocess.run(
        arguments,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    os.close(terminal)
    said = os.read(controller, 4096)
    os.close(controller)
    assert done.returncode == 2
    assert b"it is dumb (TERM)" in said
    assert b"\x1b" not in said


@pytest.mark.parametrize("redirection", ["2>/dev/null", "2>&-", "</dev/null", "<&-"])
@pytest.mark.parametrize("command", ["open", "live"])
def test_an_app_that_nobody_sees_or_steers_does_not_begin(command: str, redirection: str) -> None:
    controller, terminal = pty.openpty()
    arguments = [*INSPECTOR, command, *([str(find("silent-abort"))] if command == "open" else ["--via", "true"])]
    child = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,  # no controlling terminal
        timeout=COMMAND_SECONDS,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    assert child.returncode == 2
