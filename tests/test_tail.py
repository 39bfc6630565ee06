"""A file that others write while it is read: what comes of it, whatever they do to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.live.sources.tail import AT_ONCE, FileTail, Interruption
from inspector.logs.sources import NotALog

PATH, OTHER = "file", "other"
Step = Callable[[Path], object]


def write(data: bytes, name: str = PATH) -> Step:
    return lambda folder: (folder / name).write_bytes(data)


def append(data: bytes, name: str = PATH) -> Step:
    def step(folder: Path) -> None:
        with open(folder / name, "ab") as out:
            out.write(data)

    return step


def rename(old: str, new: str) -> Step:
    return lambda folder: os.replace(folder / old, folder / new)


def remove(folder: Path) -> None:
    (folder / PATH).unlink()


def directory(folder: Path) -> None:
    (folder / PATH).mkdir()


def fifo(folder: Path) -> None:
    os.mkfifo(folder / PATH)


def device(folder: Path) -> None:
    (folder / PATH).symlink_to("/dev/zero")


def copy_and_truncate(folder: Path) -> None:
    write((folder / PATH).read_bytes(), OTHER)(folder)
    os.truncate(folder / PATH, 0)


def interruption(tail: FileTail) -> str | None:
    return tail.interruption.kind if tail.interruption is not None else None


Read = tuple[bytes, bool, str | None]
"""What a call gives, and the kind of the interruption after it."""

NOTHING: Read = (b"", False, None)
ANEW: Read = (b"", True, None)


@pytest.mark.parametrize(
    ("steps", "reads"),
    [
        pytest.param([], [NOTHING, NOTHING], id="nothing comes"),
        pytest.param([append(b"par")], [(b"par", False, None), NOTHING], id="part of a line"),
        pytest.param(
            [append(b"par"), append(b"t\n")], [(b"part\n", False, None), NOTHING], id="part of a line and the rest"
        ),
        pytest.param(
            [append(b"late\n"), rename(PATH, OTHER), write(b"new\n")],
            [(b"late\n", False, None), ANEW, (b"new\n", False, None), NOTHING],
            id="renamed, and another made",
        ),
        pytest.param([rename(PATH, OTHER)], [(b"", False, "missing")] * 2, id="renamed, and none made yet"),
        pytest.param(
            [rename(PATH, OTHER), append(b"late\n", OTHER)],
            [(b"late\n", False, None), (b"", False, "missing")],
            id="renamed, and written on",
        ),
        pytest.param(
            [write(b"new\n", OTHER), rename(OTHER, PATH)],
            [ANEW, (b"new\n", False, None)],
            id="replaced by another of less",
        ),
        pytest.param(
            [write(b"much more than before\n", OTHER), rename(OTHER, PATH)],
            [ANEW, (b"much more than before\n", False, None)],
            id="replaced by another of more",
        ),
        pytest.param([copy_and_truncate], [ANEW, NOTHING], id="copied and truncated"),
        pytest.param(
            [copy_and_truncate, append(b"new\n")], [ANEW, (b"new\n", False, None), NOTHING], id="truncated, written on"
        ),
        pytest.param([write(b"")], [ANEW, NOTHING], id="emptied"),
        pytest.param([remove], [(b"", False, "missing")] * 2, id="deleted"),
        pytest.param([remove, write(b"new\n")], [ANEW, (b"new\n", False, None)], id="deleted and made anew"),
        pytest.param([remove, directory], [(b"", False, "unreadable")] * 2, id="replaced by a directory"),
        pytest.param([remove, device], [(b"", False, "unreadable")] * 2, id="replaced by a device"),
        pytest.param([remove, fifo], [ANEW, (b"", False, "abandoned")], id="replaced by a pipe without a writer"),
    ],
)
def test_what_comes(tmp_path: Path, steps: list[Step], reads: list[Read]) -> None:
    write(b"begin\n")(tmp_path)
    tail = FileTail(str(tmp_path / PATH))
    assert tail.read() == (b"begin\n", False)
    for step in steps:
        step(tmp_path)
    assert [(*tail.read(), interruption(tail)) for _ in reads] == reads
    tail.close()


@pytest.mark.parametrize("lost", [directory, fifo, device])
def test_what_comes_back_is_read_on(tmp_path: Path, lost: Step) -> None:
    write(b"begin\n")(tmp_path)
    tail = FileTail(str(tmp_path / PATH))
    tail.read()
    remove(tmp_path)
    lost(tmp_path)
    for _ in range(3):
        assert tail.read()[0] == b""
    assert interruption(tail)
    rename(PATH, OTHER)(tmp_path)
    write(b"new\n")(tmp_path)
    assert tail.read() == (b"", True)
    assert tail.read() == (b"new\n", False)
    assert interruption(tail) is None


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    fifo(tmp_path)
    tail = FileTail(str(tmp_path / PATH))
    assert tail.read() == (b"", False)
    assert interruption(tail)
    for text in (b"first\n", b"second\n"):  # one writer after the other
        writer = os.open(tmp_path / PATH, os.O_WRONLY)
        assert tail.read() == (b"", False)
        assert interruption(tail) is None
        os.write(writer, text)
        assert tail.read() == (text, False)
        os.close(writer)
        assert tail.read() == (b"", False)
        assert interruption(tail) == "abandoned"


def test_where_reading_begins(tmp_path: Path) -> None:
    write(b"0123456789")(tmp_path)
    assert FileTail(str(tmp_path / PATH), 4).read() == (b"6789", False)
    assert FileTail(str(tmp_path / PATH), 40).read() == (b"0123456789", False)
    tail = FileTail(str(tmp_path / PATH), 4)
    tail.read()
    rename(PATH, OTHER)(tmp_path)
    write(b"0123456789")(tmp_path)
    assert tail.read() == (b"", True)
    assert tail.read() == (b"0123456789", False), "another file is read from its beginning"


def test_so_much_at_once(tmp_path: Path) -> None:
    write(bytes(AT_ONCE + 1))(tmp_path)
    tail = FileTail(str(tmp_path / PATH))
    assert [len(tail.read()[0]) for _ in range(3)] == [AT_ONCE, 1, 0]


def test_what_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileTail(str(tmp_path / PATH))
    tail = FileTail(str(tmp_path / PATH), may_be_missing=True)
    assert tail.read() == (b"", False)
    assert interruption(tail) == "missing"
    write(b"new\n")(tmp_path)
    assert tail.read() == (b"new\n", False)


@pytest.mark.parametrize("make", [directory, device])
def test_what_can_hold_no_lines_is_refused(tmp_path: Path, make: Step) -> None:
    make(tmp_path)
    with pytest.raises((IsADirectoryError, NotALog)):
        FileTail(str(tmp_path / PATH), may_be_missing=True)


def denied(*args: object, **kwargs: object) -> os.stat_result:
    raise PermissionError(13, "Permission denied")


def test_rights_that_were_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name may not be looked up any more: what is written to the open file comes, and that it was moved away is
    noticed.
    """
    write(b"begin\n")(tmp_path)
    tail = FileTail(str(tmp_path / PATH))
    tail.read()
    with monkeypatch.context() as patched:
        patched.setattr("os.stat", denied)
        assert tail.read() == (b"", False)
        assert interruption(tail) is None
        append(b"more\n")(tmp_path)
        assert tail.read() == (b"more\n", False)
        os.truncate(tmp_path / PATH, 0)
        assert tail.read() == (b"", True), "cut to nothing is seen without the name"
        rename(PATH, OTHER)(tmp_path)
        assert tail.read() == (b"", False)
        assert tail.interruption == Interruption("rotated", "Permission denied")
    write(b"new\n")(tmp_path)
    assert tail.read() == (b"", True)
    assert tail.read() == (b"new\n", False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_new_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(b"begin\n")(tmp_path)
    tail = FileTail(str(tmp_path / PATH))
    tail.read()
    rename(PATH, OTHER)(tmp_path)
    write(b"new\n")(tmp_path)
    (tmp_path / PATH).chmod(0)
    assert tail.read() == (b"", False)
    assert interruption(tail) == "rotated"


def test_what_was_cut_and_has_grown_since_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / PATH
    path.write_bytes(b"one\ntwo\n")
    tail = FileTail(str(path))
    assert tail.read() == (b"one\ntwo\n", False)
    path.write_bytes(b"three, which is more\n")
    assert tail.read() == (b"", True)
    assert tail.read() == (b"three, which is more\n", False)
    tail.close()


def test_what_only_a_copy_holds_is_read_there(tmp_path: Path) -> None:
    path = tmp_path / PATH
    path.write_bytes(b"one\n")
    (tmp_path / f"{PATH}.2").write_bytes(b"another\nand more\n")
    tail = FileTail(str(path))
    assert tail.read() == (b"one\n", False)
    (tmp_path / f"{PATH}.1").write_bytes(b"one\ntwo\n")
    path.write_bytes(b"three\n")
    assert [tail.read() for _ in range(3)] == [(b"two\n", False), (b"", True), (b"three\n", False)]
    tail.close()


def test_a_writer_that_goes_on_with_the_old_file_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / PATH
    path.write_bytes(b"one\n")
    tail = FileTail(str(path))
    assert tail.read() == (b"one\n", False)
    rename(PATH, OTHER)(tmp_path)
    write(b"")(tmp_path)
    assert tail.read() == (b"", False)
    append(b"two\n", OTHER)(tmp_path)
    append(b"three\n")(tmp_path)
    assert [tail.read() for _ in range(3)] == [(b"two\n", False), (b"", True), (b"three\n", False)]
    tail.close()
