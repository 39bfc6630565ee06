"""Facts of many parts, read by this process and copies of it: the same for any number of them, whatever is wrong with
a part and whoever is killed.
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import signal
from pathlib import Path

import msgspec
import pytest

from inspector import bounds
from inspector.capture.inputs import facts_bytes
from inspector.errors.captures import PartAltered, PartUnfinished
from inspector.extract.journal import values
from inspector.extract.journal.database import DamagedError
from inspector.extract.processes import extract
from inspector.extract.tables import PartWriter, part_connections, read_tables, reading
from inspector.extract.tables.manifest import PartsFound, parts_of
from inspector.facts import Facts
from inspector.facts.spool import SpooledConnections
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.reports.json_stream import write_json
from inspector.system.forked_pool import ForkedPool
from tests.bench_fleet import HostDay, written

pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only")

PARTS = 7
EACH = 40
PROCESSES = [2, 5]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts whose captures were made in another order than that of their names."""
    path = tmp_path_factory.mktemp("made") / "facts"
    PartWriter(str(path))
    for number in range(PARTS):
        written(HostDay(str(path), number, (number * 3) % PARTS, EACH))
    return path


@pytest.fixture
def facts(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "facts"))


@pytest.fixture(params=["in memory", "out of core"])
def spooled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether connections go out of core."""
    if request.param == "out of core":
        monkeypatch.setattr(bounds, "CORE_CONNECTIONS", 10)
    return bool(request.param == "out of core")


def document(facts: Facts, processes: int) -> bytes:
    out = io.BytesIO()
    write_json(judge(facts), None, out, processes)
    return out.getvalue()


def altered(directory: Path, number: int) -> str:
    """Change a byte in the connections of a part; says which."""
    manifest = parts_of(str(directory)).manifests[number]
    path = directory / manifest.of("connections")[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return manifest.name


@pytest.mark.parametrize("processes", PROCESSES)
def test_facts_and_document_are_the_same_for_any_number_of_processes(made: Path, spooled: bool, processes: int) -> None:
    alone, shared = read_tables(str(made), 1), read_tables(str(made), processes)
    assert isinstance(shared.connections, SpooledConnections) is spooled
    assert [*shared.connections] == [*alone.connections]
    assert len(shared.connections) == PARTS * EACH
    alone.connections, shared.connections = [*alone.connections], [*shared.connections]
    assert msgspec.msgpack.encode(shared) == msgspec.msgpack.encode(alone)
    assert document(shared, processes) == document(alone, 1)


@pytest.mark.parametrize("processes", [1, *PROCESSES])
def test_how_much_was_read(made: Path, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.extract.tables.part.BATCH_ROWS", 8)
    read: list[int] = []
    read_tables(str(made), processes, progress=read.append)
    total, steps = facts_bytes(str(made)), PARTS * EACH // 8
    assert len(read) == (steps if processes == 1 else PARTS)
    assert total - steps < sum(read) <= total  # each is rounded
    both: list[int] = []
    assert len(extract([str(made), str(made)], read.append, both.append).connections) == 2 * PARTS * EACH
    assert both == [2 * total]


def test_what_goes_before_its_size_is_known_has_none(facts: Path, tmp_path: Path) -> None:
    before = facts_bytes(str(facts))
    (facts / "connections" / "gone").symlink_to(tmp_path / "nowhere")
    assert facts_bytes(str(facts)) == before > 0
    assert facts_bytes(str(tmp_path / "nowhere")) == 0


@pytest.mark.parametrize("processes", [1, *PROCESSES])
def test_reading_may_be_stopped(made: Path, processes: int) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_tables(str(made), processes, progress=stop)


@pytest.mark.parametrize("processes", PROCESSES)
def test_what_a_copy_had_is_read_here_where_it_is_killed(
    made: Path, spooled: bool, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of its second part, of which some lies in its file by then; also where this process leaves all parts
    to its copies, which are fewer.
    """
    alone = document(read_tables(str(made), 1), 1)
    here, connection, count, died = os.getpid(), values.connection, 0, tmp_path / "died"

    def killed(name: object, packed: object, facts: Facts, runs: int) -> bytes:
        nonlocal count
        count += os.getpid() != here
        if count == EACH * 3 // 2:
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return connection(name, packed, facts, runs)

    monkeypatch.setattr("inspector.extract.tables.part.BATCH_ROWS", 8)
    monkeypatch.setattr(values, "connection", killed)
    for _ in range(8):
        assert document(read_tables(str(made), processes), processes) == alone
    died.unlink(missing_ok=True)
    monkeypatch.setattr(ForkedPool, "_next", lambda self: None)
    assert document(read_tables(str(made), processes), 1) == alone
    assert died.exists()


@pytest.mark.parametrize("processes", PROCESSES)
@pytest.mark.parametrize("number", [0, 3, PARTS - 1])
def test_an_altered_part_is_named_and_the_others_are_read(
    facts: Path, spooled: bool, number: int, processes: int
) -> None:
    name = altered(facts, number)
    alone, shared = read_tables(str(facts), 1), read_tables(str(facts), processes)
    [problem] = alone.problems
    assert isinstance(problem, PartAltered)
    assert problem.part == name
    assert "another hash" in worded(problem)
    assert shared.problems == alone.problems
    assert len(shared.connections) == (PARTS - 1) * EACH
    assert document(shared, processes) == document(alone, 1)


def test_one_part_that_is_left_is_as_it_would_be_alone(facts: Path, tmp_path: Path) -> None:
    """Its connections call its capture what it is called then."""
    names = [altered(facts, number) for number in range(PARTS - 1)]
    left = read_tables(str(facts), 2)
    assert [problem.part for problem in left.problems if isinstance(problem, PartAltered)] == names
    for path in facts.rglob("*"):
        if any(name in path.name for name in names):
            path.unlink()
    left.problems.clear()
    alone = read_tables(str(facts))
    assert msgspec.msgpack.encode(left) == msgspec.msgpack.encode(alone)


@pytest.mark.parametrize("processes", PROCESSES)
def test_a_part_of_which_half_can_be_read_is_left_out(
    made: Path, spooled: bool, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = values.connection

    def damaged(name: object, packed: object, facts: Facts, runs: int) -> bytes:
        if facts.captures[0].host == "compiler4" and name == "30":
            raise DamagedError("damaged: a connection")
        return connection(name, packed, facts, runs)

    monkeypatch.setattr("inspector.extract.tables.part.BATCH_ROWS", 8)
    monkeypatch.setattr(values, "connection", damaged)
    alone, shared = read_tables(str(made), 1), read_tables(str(made), processes)
    assert len(shared.problems) == 1
    assert shared.problems == alone.problems
    assert len(shared.connections) == (PARTS - 1) * EACH
    assert document(shared, processes) == document(alone, 1)


@pytest.mark.parametrize("processes", [1, *PROCESSES])
def test_a_part_that_goes_meanwhile_is_not_altered(
    facts: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its connections are not there, which copies find out; what is left of it is told at the second look."""
    looks = []

    def listed_before(directory: str) -> PartsFound:
        listed = parts_of(directory)
        looks.append(directory)
        if len(looks) == 1:
            part = listed.manifests[2]
            (facts / part.of("connections")[0].path).unlink()
            (facts / "parts" / f"{part.name}.json").unlink()
        return listed

    monkeypatch.setattr(reading, "parts_of", listed_before)
    read = read_tables(str(facts), processes)
    assert (len(looks), len(read.connections)) == (2, (PARTS - 1) * EACH)
    assert [type(problem) for problem in read.problems] == [PartUnfinished]


def test_files_that_take_no_more_are_done_without(made: Path, spooled: bool) -> None:
    """As by a limit of how large files may be, which holds for those in memory too: this process reads the rest; files
    are let go.
    """
    expected = [*read_tables(str(made), 1).connections]
    before = set(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, limits[1]))
    try:
        read = read_tables(str(made), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not read.problems
    assert [*read.connections] == expected
    del read
    assert set(os.listdir("/proc/self/fd")) <= before, "others may be closed meanwhile"


def test_few_connections_are_read_by_one_process(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def copies() -> int:
        asked.append(True)
        return 2

    monkeypatch.setattr(part_connections, "worthwhile_copies", copies)
    few = read_tables(str(made))
    assert not asked
    monkeypatch.setattr(part_connections, "SHARED_FROM", PARTS * EACH)
    assert [*read_tables(str(made)).connections] == [*few.connections]
    assert asked
