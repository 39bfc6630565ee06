"""Tasks that this process and copies of it do side by side: results in order, whatever happens to one, in bounded
memory; documents that so many write are the same byte for byte.
"""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest

from inspector.document import Document
from inspector.findings.into_document.encoded import EncodedRows
from inspector.findings.judge import Analysis
from inspector.reports import json_stream, pooled_lines
from inspector.reports.formats import write
from inspector.reports.json_stream import write_json, write_jsonl
from inspector.system import forked_copy
from inspector.system.forked_copy import ForkedCopy, worthwhile_copies
from inspector.system.forked_pool import DONE, ForkedPool, Task
from inspector.system.memory import copies_with_room
from inspector.tracking.observed import Observed
from tests.conftest import bundled
from tests.waiting import COMMAND_SECONDS, until, waiting_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only")

WRITERS = {"json": write_json, "jsonl": write_jsonl}


class Marked:
    """Tasks that say who did them: this process, or a copy, in which ``in_copy`` comes first."""

    def __init__(self, in_copy: Callable[[int], object] = lambda number: None) -> None:
        self._here = os.getpid()
        self._in_copy = in_copy

    def tasks(self, count: int) -> list[Task]:
        return [partial(self._task, number) for number in range(count)]

    def _task(self, number: int, out: BinaryIO) -> None:
        if os.getpid() == self._here:
            out.write(b"%d here\n" % number)
        else:
            self._in_copy(number)
            out.write(b"%d\n" % number)


def written_by(pool: ForkedPool) -> list[bytes]:
    out = io.BytesIO()
    with pool:
        for result in pool.results():
            result.append_to(out)
    return out.getvalue().splitlines()


def numbers(lines: list[bytes]) -> list[int]:
    return [int(line.split()[0]) for line in lines]


def are_over(pool: ForkedPool) -> bool:
    return not any(copy.is_running() for copy in pool._copies.values())


@pytest.mark.parametrize("count", [2, 7, 64])
@pytest.mark.parametrize("copies", [1, 4])
def test_copies_do_all_while_this_process_has_other_work(copies: int, count: int) -> None:
    pool = ForkedPool(Marked().tasks(count), copies)
    assert until(lambda: are_over(pool))
    assert written_by(pool) == [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_is_copied_for_nothing(count: int) -> None:
    pool = ForkedPool(Marked().tasks(count), 4)
    assert not pool._copies
    assert written_by(pool) == [b"%d here" % number for number in range(count)]


def test_nobody_waits_for_a_copy_that_is_slow(tmp_path: Path) -> None:
    """But for the task that it is at, which takes as long as all others together."""
    begun, others_done = tmp_path / "begun", tmp_path / "others done"

    def slowly(number: int) -> None:
        begun.touch()
        assert until(others_done.exists)

    def last(out: BinaryIO) -> None:
        out.write(b"6 here\n")
        others_done.touch()

    pool = ForkedPool([*Marked(slowly).tasks(6), last], 1)
    assert until(begun.exists)
    assert written_by(pool) == [b"0", *(b"%d here" % number for number in range(1, 7))]


@pytest.mark.parametrize("window", [1, 3, 64])
@pytest.mark.parametrize("copies", [1, 4])
def test_each_task_is_done_once_and_results_are_in_order(copies: int, window: int, tmp_path: Path) -> None:
    done = os.open(tmp_path / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    pool = ForkedPool(Marked(lambda number: os.write(done, b"%d\n" % number)).tasks(1500), copies, window)
    with open(tmp_path / "out", "wb") as out, pool:
        for result in pool.results():
            result.append_to(out)
    os.close(done)
    lines = (tmp_path / "out").read_bytes().splitlines()
    assert numbers(lines) == list(range(1500))
    by_copies = numbers((tmp_path / "done").read_bytes().splitlines())
    assert sorted(by_copies) == [int(line) for line in lines if b"here" not in line]


def test_nobody_gets_far_ahead(tmp_path: Path) -> None:
    """What is not yet wanted is bounded: it is memory."""
    done = os.open(tmp_path / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def has_done() -> int:
        return os.fstat(done).st_size

    with ForkedPool(Marked(lambda number: os.write(done, b".")).tasks(100), 3, 5) as pool:
        assert until(lambda: sum(map(waiting_bytes, pool._copies)) == 5 * DONE.size), "all that may be begun is told"
        results = pool.results()
        next(results)
        assert waiting_bytes(pool._permits) == 0
        assert has_done() == 5
        next(results)
        assert until(lambda: has_done() == 6)
        assert sum(os.fstat(file.fileno()).st_size > 0 for file in pool._files) <= 5
    os.close(done)


def test_a_reader_that_is_slow_gets_what_was_written() -> None:
    """Of a file that was sent into a pipe, the pipe may hold the pages, while others write the next result."""
    reading, writing = os.pipe()

    def big(number: int, out: BinaryIO) -> None:
        out.write(bytes([number]) * 20_000)

    def write_all() -> None:
        with os.fdopen(writing, "wb") as out, ForkedPool([partial(big, n) for n in range(100)], 3, 2) as pool:
            for result in pool.results():
                result.append_to(out)

    writer = ForkedCopy(write_all)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as file:
        read = []
        while data := file.read(5000):
            read.append(data)
            time.sleep(0.0001)
    assert b"".join(read) == b"".join(bytes([n]) * 20_000 for n in range(100))
    assert writer.has_succeeded()


def test_what_is_written_goes_through_what_changes_it(tmp_path: Path) -> None:
    """A file that compresses has the descriptor of the one that it writes to."""
    path = tmp_path / "out.gz"
    pool = ForkedPool(Marked().tasks(7), 2)
    assert until(lambda: are_over(pool))
    with gzip.open(path, "wb") as out, pool:
        for result in pool.results():
            result.append_to(out)  # type: ignore[arg-type]
    assert gzip.decompress(path.read_bytes()).splitlines() == [b"%d" % number for number in range(7)]


def fails_at(last: int, number: int) -> None:
    if number == last:
        raise RuntimeError


def dies_at(last: int, number: int) -> None:
    if number == last:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("ends", [fails_at, dies_at])
@pytest.mark.parametrize("last", [0, 4, 99])
@pytest.mark.parametrize("copies", [1, 4])
def test_what_a_copy_does_not_do_is_done_here(ends: Callable[[int, int], None], last: int, copies: int) -> None:
    pool = ForkedPool(Marked(partial(ends, last)).tasks(100), copies, 100)
    assert until(lambda: any(not copy.is_running() for copy in pool._copies.values()))
    lines = written_by(pool)
    assert numbers(lines) == list(range(100))
    assert lines[last] == b"%d here" % last


def test_what_a_copy_has_done_is_not_done_again() -> None:
    pool = ForkedPool(Marked(partial(dies_at, 4)).tasks(9), 1)
    assert until(lambda: are_over(pool))
    assert written_by(pool) == [*(b"%d" % number for number in range(4)), *(b"%d here" % n for n in range(4, 9))]


def no_process() -> int:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def no_file() -> BinaryIO:
    raise OSError(24, "Too many open files")


def open_files() -> set[str]:
    """And the one with which it looks, which has the lowest number that is free. What others opened before may be
    closed meanwhile.
    """
    return set(os.listdir("/proc/self/fd"))


def test_where_there_can_be_no_copy_this_process_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_files()
    all_here = [b"%d here" % number for number in range(5)]
    assert written_by(ForkedPool(Marked().tasks(5), 2, new_file=no_file)) == all_here
    fork = os.fork
    forked: list[bool] = []

    def once() -> int:
        if forked:
            no_process()
        forked.append(True)
        return fork()

    monkeypatch.setattr(os, "fork", once)
    one = ForkedPool(Marked().tasks(5), 2)
    assert len(one._copies) == 1
    assert numbers(written_by(one)) == list(range(5))
    monkeypatch.setattr(os, "fork", no_process)
    assert written_by(ForkedPool(Marked().tasks(5), 2)) == all_here
    assert open_files() <= before


def test_nothing_stays_open_and_nobody_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others of this process's children, as those of tests before, are not looked at."""
    before = open_files()
    fork = os.fork
    copies: list[int] = []

    def noted() -> int:
        copies.append(fork())
        return copies[-1]

    monkeypatch.setattr(os, "fork", noted)
    with ForkedPool(Marked(lambda number: time.sleep(600)).tasks(50), 3):
        pass
    with ForkedPool(Marked().tasks(50), 3) as pool:
        next(pool.results())
    assert open_files() <= before
    assert len(copies) == 6
    for copy in copies:
        with pytest.raises(ChildProcessError):
            os.waitpid(copy, os.WNOHANG)


def test_a_process_with_threads_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    room = 9
    cores = 3
    monkeypatch.setattr(forked_copy, "usable_cores", lambda: cores)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(forked_copy, "copies_with_room", lambda: room)
    assert worthwhile_copies() == 2
    room = 1
    assert worthwhile_copies() == 1
    cores = 1
    assert worthwhile_copies() == 0
    cores = 3
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert worthwhile_copies() == 0


PAGE = os.sysconf("SC_PAGE_SIZE")
ROOM = {
    "proc/self/statm": "9000 1000 500 1 0 2000 0",
    "proc/meminfo": f"MemTotal: 9999 kB\nMemAvailable:   {1000 * PAGE >> 10} kB\n",
    "proc/self/cgroup": "0::/a\n",
}


def group(name: str, most: int, used: int, *, is_first: bool = False) -> dict[str, str]:
    """The files of a control group, which has read 100 pages of files beside what it uses; in pages."""
    folder, limit = name.rsplit("/", 1)
    usage, whose = ("memory.usage_in_bytes", "total_") if is_first else ("memory.current", "")
    return {
        f"{folder}/{limit}": f"{most * PAGE}\n",
        f"{folder}/{usage}": f"{(used + 100) * PAGE}\n",
        f"{folder}/memory.stat": f"shmem 1\n{whose}active_file {60 * PAGE}\n{whose}inactive_file {40 * PAGE}\n",
    }


@pytest.mark.parametrize(
    ("changed", "copies"),
    [
        ({}, 2),
        ({"proc/self/statm": "9000 1500 500 1 0 2000 0"}, 1),
        ({"proc/self/statm": "9000 1501 500 1 0 2000 0"}, 0),
        ({"proc/self/statm": "garbage"}, 0),
        ({"proc/meminfo": "MemTotal: 9999 kB\n"}, 0),
        ({"sys/fs/cgroup/a/memory.max": "max\n"}, 2),
        ({"sys/fs/cgroup/a/memory.max": f"{9000 * PAGE}\n"}, 0),
        (group("sys/fs/cgroup/a/memory.max", 3000, 2500), 1),
        (group("sys/fs/cgroup/a/memory.max", 3000, 3001), 0),
        (group("sys/fs/cgroup/memory.max", 3000, 2501), 0),
        (group("sys/fs/cgroup/b/memory.max", 1, 1), 2),
        (
            {"proc/self/cgroup": "4:memory:/a\n"}
            | group("sys/fs/cgroup/memory/a/memory.limit_in_bytes", 3000, 2500, is_first=True),
            1,
        ),
    ],
)
def test_a_copy_must_have_room(changed: dict[str, str], copies: int, tmp_path: Path) -> None:
    """Of the machine, and of each control group; where nothing says so there is none."""
    for name, text in (ROOM | changed).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert copies_with_room(str(tmp_path)) == copies


class Full(io.RawIOBase):
    """Takes nothing."""

    def write(self, octets: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_nobody_works_on_where_output_breaks(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[ForkedCopy] = []
    begin = ForkedCopy.__init__

    def noted(self: ForkedCopy, *arguments: Any) -> None:
        begin(self, *arguments)
        begun.append(self)

    monkeypatch.setattr(json_stream, "CHUNK", 1)
    monkeypatch.setattr(ForkedCopy, "__init__", noted)
    before = open_files()
    with pytest.raises(OSError, match="Broken pipe"):
        WRITERS[form](bundled("silent-abort"), None, Full(), 3)  # type: ignore[arg-type]
    assert len(begun) == 2
    assert None not in [copy._status for copy in begun]
    assert open_files() <= before


def written(
    analysis: Analysis, form: str, processes: int | None, wanted: Callable[[Observed], bool] | None = None
) -> bytes:
    out = io.BytesIO()
    WRITERS[form](analysis, wanted, out, processes)
    return out.getvalue()


def nobody(observed: Observed) -> bool:
    return False


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("name", ["silent-abort", "both-legs", "ipv6"])
def test_a_document_is_the_same_whoever_writes_it(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = bundled(name)
    last = analysis.case.observed[-1].id
    monkeypatch.setattr(json_stream, "CHUNK", 5)
    for wanted in (None, nobody, lambda observed: observed.id == last):
        alone = written(analysis, form, 1, wanted)
        assert all(written(analysis, form, count, wanted) == alone for count in (2, 5))
    if form == "json":
        assert b'"connections":[]' in written(analysis, form, 2, nobody)


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("processes", [2, 5])
def test_a_document_is_the_same_where_a_copy_is_killed(
    processes: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes to the row by which a copy dies; and where this process leaves all to its copies."""
    analysis = bundled("mixed-pool")
    monkeypatch.setattr(json_stream, "CHUNK", 3)
    alone = written(analysis, form, 1)
    here, encode, died = os.getpid(), EncodedRows.connection, tmp_path / "died"

    def killed(self: EncodedRows, observed: Observed) -> bytes:
        if os.getpid() != here and observed.id == analysis.case.observed[20].id:
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(self, observed)

    monkeypatch.setattr(EncodedRows, "connection", killed)
    assert [written(analysis, form, processes) for _ in range(8)] == [alone] * 8
    died.unlink(missing_ok=True)
    monkeypatch.setattr(ForkedPool, "_next", lambda self: None)
    assert written(analysis, form, processes) == alone
    assert died.exists()


def test_a_document_that_many_wrote_is_that_of_the_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = bundled("mixed-pool")
    monkeypatch.setattr(pooled_lines, "SHARED_FROM", 0)
    monkeypatch.setattr(pooled_lines, "worthwhile_copies", lambda: 2)
    monkeypatch.setattr(json_stream, "CHUNK", 7)
    for name in WRITERS:
        out = io.BytesIO()
        write(analysis, name, None, out)
        assert out.getvalue() == written(analysis, name, 1)
    assert msgspec.json.decode(written(analysis, "json", None), type=Document) == analysis.complete()
    rows = [msgspec.json.decode(line) for line in written(analysis, "jsonl", None).splitlines()]
    ids = [row["id"] for row in rows if row["record"] == "connections"]
    assert ids == [observed.id for observed in analysis.case.observed]


def test_files_that_take_no_more_are_done_without() -> None:
    """As by a limit of how large files may be (setrlimit(2)), which holds for those in memory too."""
    code = """
import io, resource, signal
from functools import partial
from inspector.system.forked_pool import ForkedPool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
tasks = [partial(lambda number, out: out.write(b"%d," % number * (3000 if number == 2 else 1)), n) for n in range(6)]
out = io.BytesIO()
with ForkedPool(tasks, 2) as pool:
    for result in pool.results():
        result.append_to(out)
assert out.getvalue() == b"0,1," + b"2," * 3000 + b"3,4,5,", len(out.getvalue())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=COMMAND_SECONDS)
