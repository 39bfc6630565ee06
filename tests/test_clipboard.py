"""Copying: what is sent to the terminal holds base64 alone; inside tmux it is in tmux's buffer, or it is said that it
is not.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.tui import clipboard
from tests.app import HOSTILE
from tests.conftest import CAPTURES, find
from tests.waiting import PATIENCE_SECONDS, until

TMUX = shutil.which("tmux")


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tmux around the tests; one that answers has as long as it takes."""
    monkeypatch.setattr(clipboard, "TMUX_SECONDS", PATIENCE_SECONDS)
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def copied(text: str) -> tuple[str, str]:
    """What was sent to the terminal, and what a person is told."""
    sent: list[str] = []
    told = clipboard.copy(text, sent.append)
    return "".join(sent), told


def test_the_sequence_holds_base64_alone() -> None:
    sent, told = copied(HOSTILE)
    assert told == ""
    assert sent.startswith("\x1b]52;c;")
    assert base64.b64decode(sent.removeprefix("\x1b]52;c;").removesuffix("\x07")).decode() == HOSTILE
    assert clipboard.passed_through("\x1b]52;c;eA==\x07") == "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"


def test_what_is_cut_is_said() -> None:
    sent, told = copied("x" * 80_000)
    assert len(sent) < 100_000
    assert "only the first 74,000 bytes" in told


def tmux_that(folder: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tmux of our own."""
    program = folder / "tmux"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("TMUX", "/nowhere,1,0")


def test_tmux_takes_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmux_that(tmp_path, f"cat > {tmp_path}/taken", monkeypatch)
    sent, told = copied("y" * 80_000)
    assert told == ""
    assert (tmp_path / "taken").stat().st_size == 80_000
    assert sent.startswith("\x1bPtmux;")


def test_an_older_tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.2 it knows no ``-w``."""
    tmux_that(
        tmp_path, f'[ "$2" = -w ] && {{ echo "unknown option -- w" >&2; exit 1; }}; cat > {tmp_path}/taken', monkeypatch
    )
    assert copied("text")[1] == ""
    assert (tmp_path / "taken").read_text() == "text"


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("echo no server running >&2; exit 1", "no server running"),
        ("exit 3", "status 3"),
        ("exec sleep 600", "no answer"),
    ],
)
def test_a_tmux_that_does_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, why: str) -> None:
    tmux_that(tmp_path, does, monkeypatch)
    if "sleep" in does:
        monkeypatch.setattr(clipboard, "TMUX_SECONDS", 0.5)
    sent, told = copied("text")
    assert "tmux did not take it" in told
    assert why in told
    assert sent.startswith("\x1b]52;c;")


def test_no_tmux_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/nowhere,1,0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "No such file" in copied("text")[1]


@pytest.mark.parametrize("term", ["tmux-256color", "screen"])
def test_inside_tmux_without_its_address(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sudo leaves the environment."""
    monkeypatch.setenv("TERM", term)
    sent, told = copied("text")
    assert sent.startswith("\x1b]52;c;")
    assert "could not be asked" in told


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[list[str]]:
    if TMUX is None:
        pytest.skip("no tmux here")
    command = [TMUX, "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    yield command
    subprocess.run([*command, "kill-server"], check=False, capture_output=True)


@pytest.mark.parametrize("setting", ["off", "external", "on"])
def test_a_real_tmux_has_it_whatever_its_setting(tmux: list[str], setting: str) -> None:
    program = f"{sys.executable} -m inspector open {find('silent-abort')}"
    subprocess.run([*tmux, "new-session", "-d", "-x", "100", "-y", "30", program], check=True, cwd=CAPTURES.parent)
    subprocess.run([*tmux, "set-option", "-g", "set-clipboard", setting], check=True)

    def said_by(command: str, *words: str) -> str:
        return subprocess.run([*tmux, command, *words], capture_output=True, text=True, check=False).stdout

    def is_copied() -> bool:
        if "INCIDENTS" in said_by("capture-pane", "-p"):
            subprocess.run([*tmux, "send-keys", "y"], check=True)
        return "aborted" in said_by("show-buffer")

    assert until(is_copied), said_by("capture-pane", "-p")
