"""What stands in a journal's place: only a plain file by its own name is opened, and what is written is for its owner
alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from inspector.errors import InspectorError, UnreadableError
from inspector.extract.journal import Journal, JournalReader, read_facts
from inspector.extract.journal.files import BESIDE
from inspector.live.host.privileges import account, become
from inspector.live.keeping import Keeping
from tests.build import capture
from tests.live import listened
from tests.test_watch import fault

MOST = 1 << 30
Put = Callable[[Path], object]


def socket_at(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may not be long
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)


def link_to_file(path: Path) -> None:
    shutil.copy(path.parent / "honest", path.parent / "target")
    path.symlink_to("target")


STRANGE: dict[str, tuple[Put, str]] = {
    "a link": (link_to_file, "symbolic link"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "symbolic link"),
    "a link to a link": (lambda path: path.symlink_to(path.name), "symbolic link"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "symbolic link"),
    "a pipe": (os.mkfifo, "a pipe"),
    "a socket": (socket_at, "a socket"),
    "a directory": (os.mkdir, "a directory"),
}


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    path = tmp_path / "honest"
    listened(capture(fault().flows), Keeping(journal=Journal(str(path), MOST, "test")))
    return path


def contents(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Modes and contents, by name."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in folder.iterdir():
        mode = path.lstat().st_mode
        content: bytes | str = b""
        if stat.S_ISREG(mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(mode):
            content = os.readlink(path)
        found[path.name] = (mode, content)
    return found


@pytest.mark.parametrize(("put", "text"), STRANGE.values(), ids=STRANGE)
def test_what_is_no_plain_file_is_refused(honest: Path, put: Put, text: str) -> None:
    path = honest.with_name("j.sqlite")
    put(path)
    before = contents(path.parent)
    with pytest.raises(InspectorError, match=text):
        Journal(str(path), MOST, "test")
    with pytest.raises(UnreadableError, match=text):
        JournalReader(str(path))
    with pytest.raises(UnreadableError, match=text):
        read_facts(str(path))
    assert contents(path.parent) == before


@pytest.mark.parametrize("suffix", [*BESIDE, ".lock"])
@pytest.mark.parametrize(("put", "text"), STRANGE.values(), ids=STRANGE)
def test_nor_beside_it(honest: Path, put: Put, text: str, suffix: str) -> None:
    path = Path(shutil.copy(honest, honest.with_name("j.sqlite")))
    put(Path(f"{path}{suffix}"))
    before = contents(path.parent)
    with pytest.raises(InspectorError, match=f"{suffix} is {text}|{suffix} is a {text}"):
        Journal(str(path), MOST, "test")
    if suffix in BESIDE:
        with pytest.raises(UnreadableError, match=f"{suffix} is {text}|{suffix} is a {text}"):
            JournalReader(str(path))
    assert contents(path.parent) == before


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_devices_are_refused(device: str) -> None:
    with pytest.raises(InspectorError, match="a device"):
        Journal(device, MOST, "test")
    with pytest.raises(UnreadableError, match="a device"):
        JournalReader(device)
    assert not os.path.lexists(f"{device}.lock")


def test_a_link_that_comes_meanwhile(honest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and SQLite's."""
    path = Path(shutil.copy(honest, honest.with_name("j.sqlite")))
    other = Path(shutil.copy(honest, honest.with_name("other")))
    before = other.read_bytes()
    connect = sqlite3.connect

    def replaced(*args: object, **values: object) -> sqlite3.Connection:
        path.unlink()
        path.symlink_to(other)
        return connect(*args, **values)  # type: ignore[call-overload, no-any-return]

    for opened, error in (
        (lambda: Journal(str(path), MOST, "test"), InspectorError),
        (lambda: JournalReader(str(path)), UnreadableError),
    ):
        monkeypatch.setattr(sqlite3, "connect", replaced)
        with pytest.raises(error, match="was replaced while it was opened"):
            opened()
        monkeypatch.undo()
        path.unlink()
        shutil.copy(honest, path)
    assert other.read_bytes() == before
    assert not list(path.parent.glob("other-*"))


def test_directories_may_be_links(honest: Path) -> None:
    """As those of systemd's dynamic users are."""
    linked = honest.parent / "linked"
    (honest.parent / "real").mkdir()
    linked.symlink_to("real")
    listened(capture(fault().flows), Keeping(journal=Journal(str(linked / "j.sqlite"), MOST, "test")))
    assert read_facts(str(linked / "j.sqlite")).connections
    assert read_facts(str(honest.parent / "real" / "j.sqlite")).connections


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o640, 0o606, 0o777])
def test_what_others_may_read_is_closed_to_them(honest: Path, mode: int) -> None:
    with closing(sqlite3.connect(honest)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        honest.chmod(mode)
        db.execute("BEGIN IMMEDIATE")  # makes the files beside it
        db.execute("ROLLBACK")
        beside = [path for path in honest.parent.iterdir() if path.name.startswith("honest")]
        for path in beside:
            path.chmod(mode)
        journal = Journal(str(honest), MOST, "test")
        assert {path.name: path.stat().st_mode & 0o777 for path in beside} == {path.name: 0o600 for path in beside}
        journal.close()
    assert honest.stat().st_mode & 0o777 == 0o600


def test_a_stricter_mode_stays(honest: Path) -> None:
    honest.chmod(0o600)
    Journal(str(honest), MOST, "test").close()
    assert honest.stat().st_mode & 0o777 == 0o600


def test_reading_changes_no_mode(honest: Path) -> None:
    honest.chmod(0o644)
    read_facts(str(honest))
    assert honest.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_journal_of_somebody_else_that_others_may_write(honest: Path) -> None:
    """Nobody can close it to them, and nothing is written to it."""
    for folder in (honest.parent, *honest.parents):
        if str(folder) not in ("/", "/tmp"):
            folder.chmod(0o755)
    honest.parent.chmod(0o777)
    honest.chmod(0o666)
    Path(f"{honest}.lock").chmod(0o666)
    before = honest.read_bytes()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            become(account("nobody", {}))
            try:
                Journal(str(honest), MOST, "test")
            except InspectorError as error:
                os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as said:
        assert b"belongs to somebody else, who lets others read or write it" in said.read()
    assert honest.read_bytes() == before
