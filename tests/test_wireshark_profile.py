"""Wireshark's profile and capture source, put where they belong and taken away; read by tshark where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import inspector
from inspector.cli.commands import cli
from inspector.errors import UsageError
from inspector.live.wireshark import folders as wireshark_folders, installing
from inspector.live.wireshark.folders import WiresharkFolders
from inspector.live.wireshark.installing import PROFILE_FILES, install, launcher_of, profile_of, remove
from tests.conftest import CAPTURES
from tests.waiting import COMMAND_SECONDS

TSHARK = shutil.which("tshark") or ""
needs_tshark = pytest.mark.skipif(not TSHARK, reason="needs tshark")
RECORDING = CAPTURES / "jdk17-abort.pcap.gz"


@pytest.fixture
def folders(tmp_path: Path) -> WiresharkFolders:
    return WiresharkFolders(tmp_path / "wireshark", tmp_path / "extcap")


def became(files: list) -> set[str]:  # type: ignore[type-arg]
    return {one.became for one in files}


def test_installed_again_it_is_as_it_was(folders: WiresharkFolders) -> None:
    assert became(install(folders, forced=False)) == {"written"}
    assert became(install(folders, forced=False)) == {"as it was"}
    assert {path.name for path in profile_of(folders).iterdir()} == set(PROFILE_FILES)
    assert launcher_of(folders).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", [*PROFILE_FILES, "inspector"])
def test_what_somebody_changed_is_kept(name: str, folders: WiresharkFolders) -> None:
    """Until they say that it may go."""
    install(folders, forced=False)
    path = launcher_of(folders) if name == "inspector" else profile_of(folders) / name
    path.write_bytes(path.read_bytes() + b"# mine\n")
    mine = path.read_bytes()
    assert {one.path for one in install(folders, forced=False) if one.became == "kept"} == {path}
    assert {one.path for one in remove(folders, forced=False) if one.became == "kept"} == {path}
    assert path.read_bytes() == mine
    install(folders, forced=True)
    assert b"# mine" not in path.read_bytes()
    path.write_bytes(mine)
    remove(folders, forced=True)
    assert not path.exists()


def test_what_wireshark_wrote_anew_is_somebodys(folders: WiresharkFolders) -> None:
    """It leaves no comment of ours."""
    path = profile_of(folders) / "preferences"
    path.parent.mkdir(parents=True)
    path.write_text('# Configuration file for Wireshark 4.2.\ngui.column.format: \n\t"No.", "%m"\n')
    assert {one.path for one in install(folders, forced=False) if one.became == "kept"} == {path}


def test_what_an_earlier_version_wrote_is_replaced(folders: WiresharkFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.live.wireshark.installing.VERSION", "0.0.1")
    install(folders, forced=False)
    monkeypatch.undo()
    assert became(install(folders, forced=False)) == {"replaced"}


def test_removed_nothing_is_left(folders: WiresharkFolders) -> None:
    install(folders, forced=False)
    assert became(remove(folders, forced=False)) == {"removed"}
    assert not profile_of(folders).exists()
    assert became(remove(folders, forced=False)) == {"missing"}


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="Not a directory"):
        install(WiresharkFolders(tmp_path / "file" / "wireshark", tmp_path / "extcap"), forced=False)


def test_folders_without_tshark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WIRESHARK_CONFIG_DIR", "WIRESHARK_EXTCAP_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = wireshark_folders.wireshark_folders()
    assert found == (tmp_path / ".config/wireshark", tmp_path / ".local/lib/wireshark/extcap", None)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/of/xdg")
    monkeypatch.setenv("WIRESHARK_EXTCAP_DIR", "/of/wireshark")
    assert wireshark_folders.wireshark_folders() == (Path("/of/xdg/wireshark"), Path("/of/wireshark"), None)


@pytest.mark.parametrize(
    ("said", "extcaps", "elsewhere"),
    [
        ("Extcap path:\t/usr/lib/extcap\n", None, "/usr/lib/extcap"),
        ("Personal Extcap path:\t/home/x/extcap\nGlobal Extcap path:\t/usr/lib/extcap\n", "/home/x/extcap", None),
    ],
    ids=["4.0", "4.2"],
)
def test_folders_as_tshark_says(
    said: str, extcaps: str | None, elsewhere: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older Wireshark has none for one person: where it looks is named."""
    tshark = tmp_path / "tshark"
    tshark.write_text(f"#!/bin/sh\nprintf 'Temp: /tmp\\nPersonal configuration:\\t{tmp_path}/wireshark\\n{said}'\n")
    tshark.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("WIRESHARK_EXTCAP_DIR", str(tmp_path / "own"))
    found = wireshark_folders.wireshark_folders()
    assert found.configuration == tmp_path / "wireshark"
    assert found.extcaps == Path(extcaps or tmp_path / "own")
    assert found.elsewhere == (Path(elsewhere) if elsewhere else None)


@pytest.mark.parametrize("unsafe", ["", "/home/x/venv/bin/python"])
def test_a_capture_source_for_all_is_for_roots_own_programs_alone(
    unsafe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever may change them would be run by all who run Wireshark; a copy that lies there is taken away."""
    for_all, launcher = tmp_path / "system", tmp_path / "own/inspector"
    for_all.mkdir()
    folders = WiresharkFolders(tmp_path / "wireshark", launcher.parent, for_all)
    monkeypatch.setattr(wireshark_folders, "wireshark_folders", lambda: folders)
    monkeypatch.setattr(installing, "unsafe_for_all", lambda: unsafe)
    install_line, remove_line = f"sudo install -m 755 {launcher} {for_all}/inspector", f"sudo rm {for_all}/inspector"
    run = CliRunner().invoke
    for is_there in (False, True):
        if is_there:
            (for_all / "inspector").write_text("")
        done = run(cli, ["wireshark", "install"])
        assert (done.exit_code, install_line in done.output) == (0, not unsafe)
        assert (unsafe in done.output, "Install Inspector as root" in done.output) == (True, bool(unsafe))
        assert (remove_line in done.output) == (is_there and bool(unsafe))
    assert remove_line in run(cli, ["wireshark", "remove"]).output


def test_what_a_launcher_runs_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter, where it looks when it is isolated, and the directory of this package, where it looks first."""
    looked: list[str] = []

    def noted(paths: list[str]) -> str:
        looked.extend(paths)
        return "/of/somebody"

    monkeypatch.setattr(installing, "changeable", noted)
    assert installing.unsafe_for_all() == "/of/somebody"
    assert {sys.executable, str(Path(inspector.__file__).parents[1]), os.path.dirname(os.__file__)} <= set(looked)
    assert any(os.path.samefile(path, Path(click.__file__).parents[1]) for path in looked if os.path.exists(path))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(tmp_path / "wireshark"))
    monkeypatch.setenv("WIRESHARK_EXTCAP_DIR", str(tmp_path / "extcap"))
    run = CliRunner().invoke
    assert run(cli, ["wireshark", "install"]).output.count("written: ") == 4
    path = tmp_path / "wireshark/profiles/Inspector/colorfilters"
    path.write_text("mine")
    kept = f"kept: {path}: it was changed since it was written; --force installs it\n"
    assert kept in run(cli, ["wireshark", "install"]).output
    assert run(cli, ["wireshark", "folders"]).output == f"{path.parent}\n{tmp_path}/extcap/inspector\n"
    assert run(cli, ["wireshark", "remove", "--force"]).output.count("removed: ") == 4
    assert run(cli, ["wireshark", "remove"]).output == ""


def shown(folders: WiresharkFolders, *options: str, capture: Path = RECORDING) -> tuple[str, str]:
    """What tshark says of a capture with the profile, on both of its outputs."""
    done = subprocess.run(
        [TSHARK, "-C", "Inspector", "-r", str(capture), *options],
        capture_output=True,
        env={"WIRESHARK_CONFIG_DIR": str(folders.configuration), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    )
    errors = [line for line in done.stderr.splitlines() if "dangerous" not in line]
    return done.stdout, "\n".join(errors)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """Packets with our comments."""
    done = CliRunner().invoke(cli, ["report", str(RECORDING), "-o", str(tmp_path / "bundle")])
    assert done.exit_code in (0, 1), done.output
    return tmp_path / "bundle/evidence.pcapng"


@needs_tshark
class TestByTshark:
    def test_columns_show_names_sessions_and_comments(self, folders: WiresharkFolders, evidence: Path) -> None:
        install(folders, forced=False)
        lines, errors = shown(folders, capture=evidence)
        assert errors == ""
        hello = next(line for line in lines.splitlines() if "Client Hello" in line)
        assert "puppetdb.example.com" in hello
        assert re.search(r"inspector: certificate-change-abort, \w+", lines)
        assert re.search(r"Server Hello.*\b[0-9a-f]{64}\b", lines)

    def test_each_colouring_rule_is_understood_and_used(self, folders: WiresharkFolders, evidence: Path) -> None:
        install(folders, forced=False)
        rules, errors = shown(folders, "--color", "-T", "fields", "-e", "frame.coloring_rule.name", capture=evidence)
        assert errors == ""
        wanted = {"Inspector: story of an abort", "Inspector: comment", "TLS: certificate", "TLS: a session is offered"}
        assert wanted <= set(rules.splitlines())

    def test_a_mistake_in_a_file_would_be_told(self, folders: WiresharkFolders) -> None:
        """What the tests above rely on."""
        install(folders, forced=False)
        for name, line in (("colorfilters", "@x@tls.none == 1@[1,1,1][2,2,2]\n"), ("dfilter_buttons", "no field\n")):
            path = profile_of(folders) / name
            before = path.read_text()
            path.write_text(before + line)
            assert name in shown(folders, "--color", "-c", "1")[1]
            path.write_text(before)

    def test_filters_of_rules_and_buttons_parse(self, folders: WiresharkFolders) -> None:
        install(folders, forced=False)
        rules = (profile_of(folders) / "colorfilters").read_text()
        buttons = (profile_of(folders) / "dfilter_buttons").read_text()
        filters = re.findall(r"^@[^@]+@([^@]+)@\[", rules, re.MULTILINE)
        pressed = [one.replace(r"\x22", '"') for one in re.findall(r'^"TRUE","[^"]+","([^"]+)"', buttons, re.MULTILINE)]
        assert (len(filters), len(pressed)) == (9, 7)
        for one in (*filters, *pressed):
            assert shown(folders, "-c", "1", "-Y", one)[1] == "", one
