"""What a command is given: which files its arguments mean, what is told of them unread, and files and processes of its
own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from errno import EACCES
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.capture import inputs
from inspector.capture.files import Story
from inspector.capture.foreign import foreign
from inspector.capture.inputs import Workload, find, identity, is_journal, is_pipe, workload
from inspector.cli.commands import cli
from inspector.errors import UnreadableError
from inspector.system import parent
from inspector.system.anonymous_files import anonymous_file
from tests.build import Pool, capture, certificate, numbered

BIG = 3 << 20


def built(path: Path) -> Path:
    pool = Pool()
    for _ in range(20):
        pool.full(certificate("a"), numbered(1))
    path.write_bytes(capture(pool.flows))
    return path


def test_files_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = built(tmp_path / "one.pcap")
    (tmp_path / "two.pcap.gz").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    (tmp_path / "again.pcap").symlink_to(one)
    monkeypatch.chdir(tmp_path)
    assert find(["one.pcap", "again.pcap", "./one.pcap", "-", "none.pcap"]) == ["one.pcap", "-", "none.pcap"]
    assert find([str(tmp_path)]) == [str(tmp_path / "again.pcap"), str(tmp_path / "two.pcap.gz")]


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    folder = tmp_path / "folder"
    folder.mkdir()
    for argument, words in (
        (str(pipe), "a pipe, which can be read only once"),
        ("x" * 5000, "File name too long"),
        (str(folder), "no capture in this directory"),
    ):
        with pytest.raises(UnreadableError, match=words):
            find([argument])
    monkeypatch.setattr("inspector.capture.inputs.os.access", lambda path, mode: False)  # root may read everything
    with pytest.raises(UnreadableError, match="Permission denied"):
        find([str(folder)])
    with pytest.raises(UnreadableError, match="no capture given"):
        Story([])


def test_what_a_directory_holds_and_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that lead nowhere, directories that cannot be listed; a pipe is none of it, for it would be waited for."""
    one = built(tmp_path / "one.pcap")
    (tmp_path / "gone.pcap").symlink_to(tmp_path / "moved.pcap")
    (tmp_path / "folder.pcap").mkdir()
    os.mkfifo(tmp_path / "pipe.pcap")
    closed = tmp_path / "closed"
    closed.mkdir()
    listing = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path == str(closed):  # root may list everything
            raise PermissionError(EACCES, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find([str(tmp_path)]) == [str(tmp_path / "closed"), str(tmp_path / "gone.pcap"), str(one)]
    story = Story([str(tmp_path)])
    assert [path for path, _ in story.problems] == [str(closed), str(tmp_path / "gone.pcap")]


def test_what_may_not_be_looked_at_is_no_end_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that may be listed and not entered: its files are named each, whatever else there is is read."""
    one, shut = built(tmp_path / "one.pcap"), built(tmp_path / "shut.pcap")
    look = os.stat

    def stat(path: str | int, **where: bool) -> os.stat_result:
        if str(path) == str(shut):  # root may look at everything
            raise PermissionError(EACCES, "Permission denied", path)
        return look(path, **where)

    monkeypatch.setattr(os, "stat", stat)
    assert find([str(tmp_path)]) == [str(one), str(shut)]


def test_who_opens_a_file_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command asks beforehand, to tell it as a mistake of usage."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    one = str(built(tmp_path / "one.pcap"))
    for command in ("analyze", "compare"):
        assert "Usage:" not in CliRunner().invoke(cli, [command, one]).output


def test_captures_without_a_frame_have_no_part_in_a_story(tmp_path: Path) -> None:
    full = built(tmp_path / "full.pcap")
    empty = [tmp_path / f"empty{number}.pcap" for number in range(2)]
    for path in empty:
        path.write_bytes(capture([]))
    assert list(Story([str(path) for path in empty]).windows()) == []
    read: list[int] = []
    story = Story([str(path) for path in (empty[0], full)])
    frames = sum(len(batch) for batch in story.batches(read.append))
    assert frames == sum(len(batch) for batch in Story([str(full)]).batches())
    assert sum(read) == story.bytes


def test_what_a_path_names(tmp_path: Path) -> None:
    pipe, plain, journal = tmp_path / "pipe", tmp_path / "plain", tmp_path / "journal"
    os.mkfifo(pipe)
    plain.write_bytes(b"SQLite format 2\0 and so on")
    journal.write_bytes(inputs.SQLITE + bytes(100))
    none = tmp_path / "none"
    assert [is_pipe(str(path)) for path in (pipe, plain, none, "-")] == [True, False, False, False]
    assert [is_journal(str(path)) for path in (journal, plain, none, tmp_path)] == [True, False, False, False]
    assert not is_journal("/proc/self/mem")  # its first byte cannot be read


def test_copies_are_the_same_file(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(4)]
    whole = os.urandom(64) * (BIG // 64)
    for path, data in zip(paths, (whole, whole, whole[:-1] + bytes((whole[-1] ^ 1,)), whole[:100]), strict=True):
        path.write_bytes(data)
    first, same, other, short = (identity(str(path)) for path in paths)
    assert first == same
    assert len({first, other, short}) == 3
    assert identity("-") == "-"
    assert identity(str(tmp_path / "none")) == str(tmp_path / "none")


def test_how_much_work_it_is(tmp_path: Path) -> None:
    path = built(tmp_path / "one.pcap")
    found = workload([str(path)])
    assert found.bytes == path.stat().st_size
    assert found.handshakes > 0
    packed = tmp_path / "two.pcap.gz"
    packed.write_bytes(inputs.GZIP + bytes(100))
    os.mkfifo(tmp_path / "pipe")
    for others in (["-"], [str(packed)], [str(tmp_path / "none")], [str(tmp_path / "pipe")], ["x" * 5000]):
        assert workload([str(path), *others]) == Workload(0, 0)


def test_what_makes_a_capture_of_standard_input_names_no_file() -> None:
    found = foreign(b"snoop\0\0\0" + bytes(40), "-")
    assert found is not None
    assert found.command == "editcap -F pcapng IN OUT.pcapng"


@pytest.mark.parametrize("has_memory_files", [True, False])
def test_files_without_a_name(has_memory_files: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Elsewhere than on Linux they are files that nobody finds."""
    if not has_memory_files:
        monkeypatch.delattr(os, "memfd_create")
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with anonymous_file() as file:
        file.write(b"something")
        file.seek(0)
        assert file.read() == b"something"
        assert not any(tmp_path.iterdir())


PR_GET_PDEATHSIG = 2


def death_signal() -> int:
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_process_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("inspector.system.parent.os._exit", ended.append)
    prepare = parent.dying_with_this()
    monkeypatch.setattr("inspector.system.parent.os.getppid", os.getpid)  # as its child sees it
    try:
        prepare()
        assert (death_signal(), ended) == (signal.SIGKILL, [])
        monkeypatch.setattr("inspector.system.parent.os.getppid", lambda: 1)
        prepare()
        assert ended == [1]
    finally:
        parent.die_with_parent(0)
    assert death_signal() == 0


def test_numpy_starts_no_threads() -> None:
    code = (
        "from inspector.system.one_thread import keep_numpy_to_one_thread as keep; keep();"
        "import numpy, os; print(len(os.listdir('/proc/self/task')), 'OPENBLAS_NUM_THREADS' in os.environ)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["1", "False"]
