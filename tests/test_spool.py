"""Connections out of core: as a list has them, and the same analysis."""

from __future__ import annotations

import contextlib
import json
import os
import random
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, MutableSequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from inspector import bounds
from inspector.cli.commands import cli
from inspector.errors import UnwritableError
from inspector.extract.cache import FactsCache
from inspector.facts import spool
from inspector.facts.spool import PackedSpool, SpooledConnections, selected
from inspector.findings.judge import judge
from inspector.fleet.extraction import extract_fleet
from inspector.fleet.sequences import CaptureSequence
from inspector.tracking.prefixes import random_ends, times
from tests.conftest import find
from tests.waiting import COMMAND_SECONDS

STEPS = 400
Act = Callable[[MutableSequence[bytes], random.Random], object]


def packed(rng: random.Random) -> bytes:
    """What begins as a packed connection does."""
    return rng.randbytes(rng.choice((16, 17, 900, 900, 5_000)))


def append(connections: MutableSequence[bytes], rng: random.Random) -> None:
    connections.append(packed(rng))


def extend(connections: MutableSequence[bytes], rng: random.Random) -> None:
    connections.extend([packed(rng) for _ in range(rng.randrange(40))])


def double(connections: MutableSequence[bytes], rng: random.Random) -> None:
    connections.extend(connections[: rng.randrange(20)])


def insert(connections: MutableSequence[bytes], rng: random.Random) -> None:
    connections.insert(rng.randrange(-3, len(connections) + 3), packed(rng))


def replace(connections: MutableSequence[bytes], rng: random.Random) -> None:
    if connections:
        connections[rng.randrange(-len(connections), len(connections))] = packed(rng)


def replace_some(connections: MutableSequence[bytes], rng: random.Random) -> None:
    first = rng.randrange(len(connections) + 1)
    connections[first : first + rng.randrange(9)] = [packed(rng) for _ in range(rng.randrange(9))]


def delete(connections: MutableSequence[bytes], rng: random.Random) -> None:
    first = rng.randrange(len(connections) + 1)
    del connections[first : first + rng.randrange(9)]


def pop(connections: MutableSequence[bytes], rng: random.Random) -> bytes | None:
    return connections.pop() if connections else None


ACTS: tuple[Act, ...] = (append, extend, double, insert, replace, replace_some, delete, pop)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_as_a_list(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "WRITTEN_BYTES", 3_000)
    monkeypatch.setattr(spool, "READ_BYTES", 20_000)
    rng = random.Random(seed)
    plain: MutableSequence[bytes] = []
    spooled: MutableSequence[bytes] = SpooledConnections()
    for _ in range(STEPS):
        act, state = rng.choice(ACTS), rng.getrandbits(64)
        assert act(plain, random.Random(state)) == act(spooled, random.Random(state))
        if rng.random() < 0.2:
            order = rng.sample(range(len(plain)), rng.randrange(len(plain) // 2, len(plain) + 1))
            plain, spooled = selected(plain, order), selected(spooled, order)
        assert len(spooled) == len(plain)
        assert list(spooled) == plain
    assert [spooled[index] for index in range(-len(plain), len(plain))] == [*plain, *plain]
    assert times(spooled).tolist() == times(plain).tolist()
    assert random_ends(spooled).tolist() == random_ends(plain).tolist()
    with pytest.raises(IndexError):
        _ = spooled[len(plain)]


def test_selections_of_one_spool_do_not_see_what_the_others_replace() -> None:
    first = SpooledConnections([bytes([number]) * 20 for number in range(9)])
    second = first.selected([8, 3, 3])
    second[1] = b"other than it was"
    assert list(second) == [b"\x08" * 20, b"other than it was", b"\3" * 20]
    assert first[3] == b"\3" * 20


def analysed(*words: str | Path) -> bytes:
    run = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False, catch_exceptions=False)
    return run.stdout_bytes


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of several parts, some of which have seen the same."""
    directory = tmp_path_factory.mktemp("estate") / "facts"
    captures = sorted(find("jdk17-abort").parent.glob("*.pcap*"))
    for number, path in enumerate([*captures[:12], captures[0]]):
        analysed("extract", path, "-o", directory, "--vantage", f"host{number}")
    return directory


def test_the_analysis_does_not_depend_on_where_connections_are_kept(
    facts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = analysed("analyze", facts, "-T", "json")
    kept: list[PackedSpool] = []
    made = PackedSpool.__init__

    def noted(self: PackedSpool) -> None:
        made(self)
        kept.append(self)

    monkeypatch.setattr(PackedSpool, "__init__", noted)
    monkeypatch.setattr(bounds, "CORE_CONNECTIONS", 10)
    monkeypatch.setattr(spool, "WRITTEN_BYTES", 10_000)
    assert analysed("analyze", facts, "-T", "json") == in_memory
    assert len(kept) == 2, "of connections and of sessions"
    assert len(json.loads(in_memory)["captures"]) == 13


def test_captures_and_facts_out_of_core_are_one_story(facts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("analyze", facts, find("jdk25-abort"), "--vip", "puppetdb.example.com:8081", "-T", "json")
    in_memory = analysed(*words)
    monkeypatch.setattr(bounds, "CORE_CONNECTIONS", 10)
    assert analysed(*words) == in_memory


def test_what_several_hosts_captured_is_joined_out_of_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a cache, which keeps what stays in memory, takes it so."""
    paths = [str(path) for path in sorted(find("jdk17-abort").parent.glob("*.pcap*"))[:6]]
    one_each = [CaptureSequence(path, (path,), (None,)) for path in paths]
    in_memory = extract_fleet(one_each)
    monkeypatch.setattr(bounds, "CORE_CONNECTIONS", 10)
    cache = FactsCache(tmp_path / "cache", from_bytes=0)
    spooled = cache.facts(paths, lambda: extract_fleet(one_each))
    assert isinstance(in_memory.connections, list)
    assert isinstance(spooled.connections, SpooledConnections)
    assert list(spooled.connections) == in_memory.connections
    assert msgspec.json.encode(judge(spooled).complete()) == msgspec.json.encode(judge(in_memory).complete())
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    known = _open_files()
    monkeypatch.setattr(spool, "WRITTEN_BYTES", 100)
    spooled = SpooledConnections([bytes(100)])
    assert spooled[0] == bytes(100)
    (descriptor,) = {number for number, _ in _open_files() - known}
    state = os.fstat(descriptor)
    assert (state.st_nlink, state.st_size, state.st_dev) == (0, 100, tmp_path.stat().st_dev)
    assert not list(tmp_path.iterdir())
    del spooled
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def _open_files() -> set[tuple[int, int]]:
    """Descriptors and the numbers of their files, for one that is closed makes room for the next."""
    descriptors = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing is closed
            state = os.fstat(int(name))
            if stat.S_ISREG(state.st_mode):
                descriptors.add((int(name), state.st_ino))
    return descriptors


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FileIO("/dev/full", "r+"))
    monkeypatch.setattr(spool, "WRITTEN_BYTES", 150)
    full = SpooledConnections([bytes(100)])
    with pytest.raises(UnwritableError, match="no room for what does not fit into memory: No space left"):
        full.append(bytes(100))


def out_of_core(facts: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """The command, where all connections are kept out of core. ``lines``: what is done before."""
    before = (
        "import errno, os, sys, tempfile",
        "from inspector import bounds, cli",
        "from inspector.facts import spool",
        "bounds.CORE_CONNECTIONS = 10",
        "spool.WRITTEN_BYTES = 1_000",
        f"sys.argv = ['inspector', 'analyze', {str(facts)!r}, '-T', 'json']",
    )
    code = "\n".join([*before, *lines, "cli.run()"])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=COMMAND_SECONDS)


def test_a_full_disk_ends_the_command(facts: Path) -> None:
    run = out_of_core(facts, "tempfile.TemporaryFile = lambda **_: open('/dev/full', 'r+b', buffering=0)")
    assert run.returncode == 2
    assert "no room for what" in run.stderr
    assert "TMPDIR" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("after", [1, 3, 20, 40])
@pytest.mark.parametrize("failure", ["OSError(errno.EIO, os.strerror(errno.EIO))", "b''"])
def test_a_disk_that_fails_ends_the_command(facts: Path, after: int, failure: str) -> None:
    """While facts are read, joined, judged or written."""
    run = out_of_core(
        facts,
        "count, read = [0], os.pread",
        "def failing(*words):",
        "    count[0] += 1",
        f"    result = {failure} if count[0] >= {after} else read(*words)",
        "    if isinstance(result, OSError): raise result",
        "    return result",
        "os.pread = failing",
    )
    assert run.returncode == 2, run.stdout[:200] + run.stderr
    assert "what did not fit into memory cannot be read again" in run.stderr
    assert "Traceback" not in run.stderr


def test_other_threads_read_while_one_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a screen does while facts are joined: in the midst of writing all that was added is there, and whoever reads
    writes nothing.
    """
    monkeypatch.setattr(spool, "WRITTEN_BYTES", 2_000)
    spooled = SpooledConnections()
    added: list[bytes] = []
    looks = 0
    write = os.pwrite

    def look() -> None:
        nonlocal looks
        looks += 1
        known = spooled.selected(range(len(spooled.random_ends)))
        assert list(known) == added[: len(known)]

    def looked_at(descriptor: int, data: bytes, offset: int) -> int:
        assert threading.current_thread() is threading.main_thread()
        for step in (data[: len(data) // 2], data[len(data) // 2 :]):
            pool.submit(look).result()
            offset += write(descriptor, step, offset)
        pool.submit(look).result()
        return len(data)

    monkeypatch.setattr(os, "pwrite", looked_at)
    with ThreadPoolExecutor(1) as pool:
        for number in range(300):
            added.append(number.to_bytes(8, "big") * (2 + number % 30))
            spooled.append(added[-1])
            pool.submit(look).result()
    assert looks > 300
    assert list(spooled) == added


def test_a_copy_of_the_process_reads_and_does_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written yet is read from memory, and nothing is written where the process itself writes."""
    monkeypatch.setattr(spool, "WRITTEN_BYTES", 1_000)
    spooled = SpooledConnections([bytes([number]) * 300 for number in range(5)])
    child = os.fork()
    if not child:
        status = 1
        try:
            assert [each[0] for each in spooled] == [0, 1, 2, 3, 4]
            spooled.append(b"\xff" * 300)
            assert spooled[5] == b"\xff" * 300
            try:
                spooled.append(b"\xff" * 900)
            except RuntimeError:
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    spooled.extend(bytes([number]) * 300 for number in range(5, 12))
    assert [each[0] for each in spooled] == [*range(12)]
