"""Going on in Wireshark: the command opens the frame that is in view, and runs at once where there is a display."""

from __future__ import annotations

import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from inspector.capture.references import frame_reference
from inspector.reports.wireshark import command
from inspector.tui import wireshark
from tests.build import facts_of
from tests.conftest import find
from tests.waiting import until

CAPTURES = facts_of(find("silent-abort")).captures


class Told:
    """An app that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.copied = ""

    def notify(self, message: str, *, markup: bool = True) -> None:
        assert not markup
        self.said.append(message)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied = text


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in wireshark.DISPLAYS:
        monkeypatch.delenv(name, raising=False)


def test_the_command_is_copied_where_there_is_no_display() -> None:
    app = Told()
    wireshark.go_on(app, CAPTURES, frame_reference(0, 7))
    assert shlex.split(app.copied) == ["wireshark", "-r", str(find("silent-abort").resolve()), "-g", "7"]
    assert app.said == [f"Copied for where there is a display: {app.copied}"]


def test_it_runs_at_once_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, told = tmp_path / "wireshark", tmp_path / "told"
    program.write_text(f'#!/bin/sh\necho "$@" > {told}.part; mv {told}.part {told}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":9")
    app = Told()
    wireshark.go_on(app, CAPTURES, frame_reference(0, 7))
    assert app.said == ["Wireshark opens at frame 7."]
    assert not app.copied
    assert until(told.exists)
    assert told.read_text().split() == ["-r", str(find("silent-abort").resolve()), "-g", "7"]


@pytest.mark.parametrize("reference", [0, frame_reference(1, 7)])
def test_a_frame_of_no_file(reference: int) -> None:
    app = Told()
    wireshark.go_on(app, CAPTURES, reference)
    assert app.said == ["There is no capture file of this frame to open; live traffic is kept by -w FILE."]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "gone.pcap.gz"
    shutil.copy(find("silent-abort"), path)
    captures = facts_of(path).captures
    path.unlink()
    app = Told()
    wireshark.go_on(app, captures, frame_reference(0, 7))
    assert "no capture file" in app.said[0]


def test_hostile_names_stay_one_word_and_are_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a; rm -rf \x1b[31m.pcap.gz"
    shutil.copy(find("silent-abort"), path)
    app = Told()
    wireshark.go_on(app, facts_of(path).captures, frame_reference(0, 7))
    assert shlex.split(app.copied)[2] == str(path.resolve())
    assert "\x1b" not in app.said[0]


def test_the_frame_is_that_of_the_same_number_there() -> None:
    """As tshark counts them, which takes the same file."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("there is no tshark")
    facts = facts_of(find("silent-abort"))
    hello = facts.unpack(facts.connections[0]).handshake
    words = command(str(find("silent-abort")), hello.hello_frame)
    shown = subprocess.run(
        [program, *words[1:3], "-Y", f"frame.number == {words[4]} && tls.handshake.type == 1", "-T", "fields"]
        + ["-e", "tls.handshake.random"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == hello.client_random.hex()
