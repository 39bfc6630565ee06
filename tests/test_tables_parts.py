"""Which parts a directory of facts gets: nothing twice, nothing lost, whatever becomes of files and their names."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from inspector.errors import UnreadableError, UsageError
from inspector.extract.journal import Journal
from inspector.extract.tables import read_tables, whole_parts
from inspector.extract.tables.unfinished import UnfinishedFile, left_parts, remove_left
from inspector.live.keeping import Keeping
from tests.build import Pool, capture, written
from tests.live import listened
from tests.test_tables import command, full

pytest.importorskip("pyarrow")


class Host:
    """A host that captures to numbered files of one connection each, and extracts what it has."""

    def __init__(self, folder: Path) -> None:
        self.captures = folder / "cap"
        self.captures.mkdir()
        self.facts = folder / "facts"
        self.pool = Pool()
        self.number = 0

    def capture(self, name: str) -> Path:
        self.number += 1
        return written(self.captures, [full(self.pool, self.number)], name)

    def extract(self, *words: str | Path) -> Result:
        return command("extract", *(words or [self.captures]), "-o", self.facts)

    def connections(self) -> int:
        """As SQL counts them, which is as the analysis does."""
        [counted] = command("query", self.facts, "select count(*) n from connections", "-T", "csv").stdout.split()[1:]
        analysis = json.loads(command("analyze", self.facts, "-T", "json", "--fail-on", "never").stdout_bytes)
        assert {limit["kind"] for limit in analysis["limits"]} <= {"one_certificate"}
        assert int(counted) == len(analysis["connections"])
        return int(counted)

    def parts(self) -> int:
        return sum(not part.open_of for part in whole_parts(str(self.facts)).manifests)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def ring(host: Host, hour: int) -> None:
    """tcpdump -W 3: names come again with other packets."""
    host.capture(f"ring{hour % 3}.pcap")


def shifting(host: Host, hour: int) -> None:
    """logrotate: the newest file has always the same name."""
    for number in range(hour, 0, -1):
        name = f"cap.pcap.{number - 1}" if number > 1 else "cap.pcap"
        if (host.captures / name).exists():
            (host.captures / name).rename(host.captures / f"cap.pcap.{number}")
    host.capture("cap.pcap")


def timed(host: Host, hour: int) -> None:
    """Names of the hour, the oldest of which go."""
    host.capture(f"cap-{hour:02}.pcap")
    for old in sorted(host.captures.iterdir())[:-3]:
        old.unlink()


@pytest.mark.parametrize("goes_on", [ring, shifting, timed])
def test_every_hour(host: Host, goes_on: Callable[[Host, int], None]) -> None:
    for hour in range(7):
        goes_on(host, hour)
        host.extract()
        assert host.connections() == hour + 1, "nothing is lost, nothing counted twice"


def test_equal_names_in_other_folders(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        folder = host.captures / str(number)
        folder.mkdir()
        host.capture(f"{number}/cap.pcap")
        monkeypatch.chdir(folder)
        host.extract("cap.pcap")
    assert host.connections() == 2


def test_a_redacted_host(host: Host, tmp_path: Path) -> None:
    for hour in range(4):
        ring(host, hour)
        host.extract(host.captures, "--redact-key", tmp_path / "key")
        assert host.connections() == hour + 1
    assert "nothing was read again" in host.extract(host.captures, "--redact-key", tmp_path / "key").output


def test_a_capture_that_grows_among_others(host: Host) -> None:
    host.capture("a.pcap")
    flows = [full(host.pool, 100)]
    written(host.captures, flows, "b.pcap")
    host.extract()
    written(host.captures, [*flows, full(host.pool, 101)], "b.pcap")
    assert "is gone" in host.extract().output
    assert (host.parts(), host.connections()) == (1, 3)


def test_a_capture_that_grows_when_another_has_gone(host: Host) -> None:
    """What only the old part holds stays; the grown file's beginning is then in two parts, which analyze sees."""
    first = host.capture("a.pcap")
    flows = [full(host.pool, 100)]
    written(host.captures, flows, "b.pcap")
    host.extract()
    first.unlink()
    written(host.captures, [*flows, full(host.pool, 101)], "b.pcap")
    host.extract()
    analysis = json.loads(command("analyze", host.facts, "-T", "json", "--fail-on", "never").stdout_bytes)
    assert len(analysis["connections"]) == 3


def test_a_log_beside_it_replaces_and_is_kept(host: Host, tmp_path: Path) -> None:
    path, log = host.capture("a.pcap"), tmp_path / "puppetserver.log"
    log.write_text("2026-11-23T17:28:19.917Z ERROR [qtp-1] [p.p] nothing\n" * 3)
    host.extract(path)
    assert "is gone" in host.extract(path, "--log", log).output
    assert "nothing was read again" in host.extract(path).output
    assert "nothing was read again" in host.extract(path, "--log", log).output
    assert (host.parts(), len(read_tables(str(host.facts)).logs)) == (1, 1)


def test_a_name_that_is_said_later(host: Host) -> None:
    path = host.capture("a.pcap")
    host.extract(path)
    command("extract", path, "-o", host.facts, "--vantage", os.uname().nodename)
    assert host.parts() == 1
    assert read_tables(str(host.facts)).captures[0].host == os.uname().nodename


def test_a_journal_while_it_is_written(host: Host, tmp_path: Path) -> None:
    """What was written last stands in its log alone."""
    path = tmp_path / "j.sqlite"
    for number in range(3):
        journal = Journal(str(path), 1 << 24, "eth0")
        listened(capture([full(host.pool, number)]), Keeping(journal=journal))
        host.extract(path)
        assert (host.parts(), len(read_tables(str(host.facts)).connections)) == (1, number + 1)


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"x")], ids=["missing", "altered"])
def test_a_damaged_part_is_made_again(host: Host, harm: Callable[[Path], object]) -> None:
    host.capture("a.pcap")
    host.extract()
    [file] = host.facts.rglob("connections/*/*/*.parquet")
    harm(file)
    assert whole_parts(str(host.facts)).problems
    host.extract()
    assert (host.parts(), host.connections()) == (1, 1)


def test_one_input_is_missing(host: Host) -> None:
    path = host.capture("a.pcap")
    host.extract(path, host.captures / "missing.pcap")
    facts = read_tables(str(host.facts))
    assert (len(facts.connections), len(facts.problems)) == (1, 1)


@pytest.mark.parametrize("option", ["--log", "--keylog"])
def test_a_pipe_has_no_content_to_be_named_by(host: Host, option: str) -> None:
    path = host.capture("a.pcap")
    reading, writing = os.pipe()
    os.write(writing, b"x")
    os.close(writing)
    with pytest.raises(UnreadableError, match="a pipe"):
        host.extract(path, option, f"/dev/fd/{reading}")
    os.close(reading)
    assert not list(host.facts.rglob("*.json"))


@pytest.mark.parametrize("vantage", ["", "x" * 81, "__HIVE_DEFAULT_PARTITION__"])
def test_what_cannot_be_the_name_of_a_place(host: Host, vantage: str) -> None:
    with pytest.raises(UsageError, match="vantage"):
        command("extract", host.capture("a.pcap"), "-o", host.facts, "--vantage", vantage)


@pytest.mark.parametrize("vantage", ["../../up", "a/b", "line\nbreak", "100%", "名前", "a\udcffb"])
def test_any_other_name_is_one(host: Host, vantage: str) -> None:
    path = host.capture("a.pcap")
    command("extract", path, "-o", host.facts, "--vantage", vantage)
    assert len(read_tables(str(host.facts)).connections) == 1
    assert {child.name for child in host.facts.parent.iterdir()} == {"cap", "facts"}
    [row] = command("query", host.facts, "select vantage, day from connections", "-T", "jsonl").stdout.splitlines()
    assert json.loads(row)["vantage"] == vantage.encode("utf-8", "backslashreplace").decode()


def test_names_that_are_no_text(host: Host) -> None:
    path = host.capture("a.pcap").rename(host.captures / os.fsdecode(b"caf\xe9.pcap"))
    host.extract(path)
    assert len(read_tables(str(host.facts)).connections) == 1


def test_everything_is_its_owners_alone(host: Host) -> None:
    before = os.umask(0o022)
    try:
        host.capture("a.pcap")
        host.extract()
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [host.facts, *host.facts.rglob("*")]}
    assert modes == {0o700, 0o600}


def test_what_a_killed_run_left_goes(host: Host) -> None:
    host.capture("a.pcap")
    host.extract()
    [file] = host.facts.rglob("connections/*/*/*.parquet")
    left = host.facts / "parts" / f".{'1' * 32}.{'2' * 16}.1234.unfinished"
    shutil.copy(file, left)
    with left.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert not whole_parts(str(host.facts)).problems, "somebody writes it just now"
    [problem] = whole_parts(str(host.facts)).problems
    assert "1" * 32 in str(problem)
    host.capture("b.pcap")
    host.extract()
    assert not left.exists()
    assert host.connections() == 2


def test_a_part_whose_manifest_is_not_yet_there(host: Host) -> None:
    host.capture("a.pcap")
    host.extract()
    [file] = host.facts.rglob("connections/*/*/*.parquet")
    settled = Path(shutil.copy(file, file.with_name(f"{'1' * 32}.parquet")))
    with settled.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert not whole_parts(str(host.facts)).problems, "somebody writes it just now"
    [problem] = whole_parts(str(host.facts)).problems
    assert "1" * 32 in str(problem)


def test_what_is_removed_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host takes a file for left that was made, and not locked yet."""
    lock = fcntl.flock
    removed: list[Path] = []

    def late(file: int, how: int) -> None:
        if not removed:
            removed.extend((tmp_path / "parts").iterdir())
            remove_left(tmp_path)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    path = f"remainder/{'1' * 32}.parquet"
    with UnfinishedFile(tmp_path, path) as unfinished:
        unfinished.file.write(b"whole")
        unfinished.settle()
    assert len(removed) == 1
    assert (tmp_path / path).read_bytes() == b"whole"
    assert not list((tmp_path / "parts").iterdir())


def test_what_is_written_now_is_not_removed(tmp_path: Path) -> None:
    with UnfinishedFile(tmp_path, f"remainder/{'1' * 32}.parquet"):
        remove_left(tmp_path)
        assert not list(left_parts(tmp_path))
        [own] = (tmp_path / "parts").iterdir()
        left = Path(shutil.copy(own, own.with_suffix("").with_suffix(".1.unfinished")))
        assert list(left_parts(tmp_path)) == ["1" * 32]
        remove_left(tmp_path)
        assert own.exists()
        assert not left.exists()


def test_facts_are_not_extracted(host: Host) -> None:
    host.capture("a.pcap")
    host.extract()
    with pytest.raises(UsageError, match="these are facts"):
        host.extract(host.facts)
