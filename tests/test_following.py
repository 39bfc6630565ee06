"""Connections are followed from one run of ``extract`` into the next: whatever a story is cut into, runs of their own
say what one process says that reads all files.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from inspector import bounds
from inspector.capture.files import CaptureFile
from inspector.errors import InspectorError
from inspector.extract import processes
from inspector.extract.processes import extract
from inspector.extract.tables import read_tables
from inspector.extract.tables.manifest import counting, parts_of
from inspector.settings import open_flows_folder
from tests.build import DATA, VIP, Pool, certificate, ethernet, numbered
from tests.encapsulations import ENCAPSULATIONS, in_fragments
from tests.fleet import SECOND, RawFrame, cut, document
from tests.harmed_cuts import batches_of, files, harmed_cut
from tests.test_encapsulations import plain
from tests.test_tables import command

pytest.importorskip("pyarrow")
from tests.runs import BRIEF, STORY, Host, connections, slower

SERVER = ip_address(VIP).packed


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def shifted(frames: Sequence[RawFrame], seconds: int) -> list[RawFrame]:
    return [RawFrame(ns + seconds * SECOND, data) for ns, data in frames]


def is_in_order(paths: Sequence[str]) -> bool:
    """Whether the files follow each other, and no clock of theirs seems to be apart."""
    captures = json.loads(document(extract(paths)))["captures"]
    return [capture["path"] for capture in captures] == [*paths] and not any(c.get("clocks") for c in captures)


@pytest.mark.parametrize("block", range(6))
def test_any_harm_at_any_border_of_runs(block: int, tmp_path: Path) -> None:
    """But for clocks that were set back, behind which files do not follow each other in time."""
    tried = 0
    for seed in range(block * 10, (block + 1) * 10):
        dice = random.Random(seed)
        harm = harmed_cut(seed)
        if not harm.kinds & {"swapped", "jitter"}:  # which is a matter of milliseconds
            harm = harm._replace(frames=slower(harm.frames, dice.choice((1, 7, 50))))
        host = Host(tmp_path / str(seed))
        host.folder.mkdir()
        with batches_of(harm.size):
            paths = files(harm, host.folder)
            if "set back" in harm.kinds or not is_in_order(paths):
                continue
            left = [*paths]
            while left:
                count = dice.choice((1, 1, 1, 2))
                said = host.extract(*left[:count]).output
                assert "not followed" not in said, seed
                del left[:count]
            assert host.document() == document(extract(paths)), seed
        tried += 1
    assert tried >= 3


@pytest.mark.parametrize("factor", [1, 20, 1_000])
@pytest.mark.parametrize("at", [[40, 41, 200], [7, 300], [len(STORY) // 2], [*range(20, len(STORY), 60)]])
def test_a_story_file_by_file(host: Host, tmp_path: Path, at: list[int], factor: int) -> None:
    paths = cut(tmp_path, slower(BRIEF, factor), at)
    for number, path in enumerate(paths):
        host.extract(path)
        assert host.document() == document(extract(paths[: number + 1])), "also of what is still open"
    assert len(host.kept()) == 2, "of the last part, and of the one that it went on from"


@pytest.mark.parametrize("at", range(150, 400, 25))
def test_frames_that_stand_in_a_file_behind_their_time(host: Host, tmp_path: Path, at: int) -> None:
    """As two receive queues leave them, that of the server a little slower: what is of the last second is kept for the
    next run, and that is told by times.
    """
    late = [(ns + (data[26:30] == SERVER) * 60_000_000, ns, data) for ns, data in BRIEF]
    paths = cut(tmp_path, [RawFrame(ns, data) for _, ns, data in sorted(late)], [at])
    for path in paths:
        host.extract(path)
    assert host.document() == document(extract(paths))


def test_a_copy_that_is_only_added_to_counts_nothing_twice(host: Host, tmp_path: Path) -> None:
    """It keeps what was open at the end of each run in the tables."""
    copy = Host(tmp_path / "copy")
    for path in cut(tmp_path, STORY, [100, 200]):
        host.extract(path)
        shutil.copytree(host.facts, copy.facts, dirs_exist_ok=True)
    followed = [path.relative_to(host.facts / "continued") for path in (host.facts / "continued").rglob("*.parquet")]
    assert any((copy.facts / path).exists() for path in followed)
    assert copy.document() == host.document()
    counted = command("query", copy.facts, "select count(*) n from connections", "-T", "csv").stdout.split()[1]
    assert int(counted) == connections(host.document())


def test_sql_counts_what_the_analysis_counts(host: Host, tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [100, 200])
    for path in paths:
        host.extract(path)
    counted = command("query", host.facts, "select count(*) n from connections", "-T", "csv").stdout.split()[1]
    assert int(counted) == connections(host.document())
    dataset = pytest.importorskip("pyarrow.dataset")
    rows = dataset.dataset(str(host.facts / "connections"), partitioning=None).to_table()
    assert rows.num_rows == int(counted), "also where the files are read by whoever knows no manifest"


def test_facts_that_were_copied_now_and_then(host: Host, tmp_path: Path) -> None:
    """Nothing is taken from the copy: what was open at a border stays there, and does not count any more."""
    copy = tmp_path / "copy"
    paths = cut(tmp_path, STORY, [100, 200, 300])
    for number, path in enumerate(paths):
        host.extract(path)
        shutil.copytree(host.facts, copy, dirs_exist_ok=True)
        assert document(read_tables(str(copy))) == document(extract(paths[: number + 1]))


@pytest.mark.parametrize("at", [1, 2, 10, 33, 34, 35, 60, 69])
def test_fragments_of_one_datagram_in_two_runs(host: Host, tmp_path: Path, at: int) -> None:
    pieces = [
        RawFrame(ns + number, piece)
        for ns, frame in plain()
        for number, piece in enumerate(in_fragments(96, ENCAPSULATIONS["VXLAN"][1])(frame))
    ]
    paths = cut(tmp_path, pieces, [at, at + 33, at + 70])
    for number, path in enumerate(paths):
        host.extract(path)
        assert host.document() == document(extract(paths[: number + 1]))


@pytest.mark.parametrize("most", [0, 500, 20_000])
def test_a_busy_second(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Of more frames than are kept as they are the others are followed at once."""
    monkeypatch.setattr(bounds, "LAST_FRAMES_BYTES", most)
    with batches_of(2_048):
        paths = cut(tmp_path, BRIEF, [100, 200, 300])
        for path in paths:
            host.extract(path)
        assert host.document() == document(extract(paths))


@pytest.mark.parametrize("files_at_once", [1, 2])
def test_files_that_overlap(host: Host, tmp_path: Path, files_at_once: int) -> None:
    """By some frames, as a capture with several queues writes them."""
    paths = cut(tmp_path, BRIEF, [100, 200, 300], swapped=12)
    for first in range(0, len(paths), files_at_once):
        host.extract(*paths[first : first + files_at_once])
    assert host.document() == document(extract(paths))


@pytest.mark.parametrize("hours", [1, 3])
def test_hours_without_a_frame(host: Host, tmp_path: Path, hours: int) -> None:
    """Flows that are idle for an hour are closed, by runs as by one process."""
    middle = len(STORY) // 2
    frames = [RawFrame(ns + hours * 3600 * SECOND * (n >= middle), data) for n, (ns, data) in enumerate(STORY)]
    paths = cut(tmp_path, frames, [100, middle, 300])
    for path in paths:
        host.extract(path)
    assert host.document() == document(extract(paths))


def test_a_connection_that_lasts(host: Host, tmp_path: Path) -> None:
    """What is kept of it does not grow with what goes over it, and hardly with the files that it goes through."""
    pool = Pool()
    long = pool.full(certificate("a"), numbered(0))
    del long.segments[-3:]
    long.sent[0] -= 1
    long.sent[1] -= 1
    for _ in range(400):
        long.client_says(DATA, wait=SECOND).server_says(DATA * 3)
    frames = [RawFrame(segment.ns, ethernet(segment)) for segment in long.segments]
    paths = cut(tmp_path, frames, [*range(20, len(frames), 20)])
    sizes = []
    for path in paths:
        host.extract(path)
        sizes.append(host.kept()[-1].stat().st_size)
    assert len(paths) == 41
    assert max(sizes) < max(sizes[:5]) + len(paths) * 500
    assert host.document() == document(extract(paths))


def test_a_file_that_was_missed(host: Host, tmp_path: Path) -> None:
    """The flows go on behind the gap, with what was lost; the missed file comes too late to be between."""
    paths = cut(tmp_path, STORY, [100, 200])
    host.extract(paths[0])
    host.extract(paths[2])
    assert host.document() == document(extract([paths[0], paths[2]]))
    assert "these captures begin before that" in host.extract(paths[1]).output
    assert len(json.loads(host.document())["captures"]) == 3


def test_the_same_file_twice(host: Host, tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [100, 200])
    for path in (*paths[:2], paths[0], paths[1]):
        host.extract(path)
    assert "nothing was read again" in host.extract(*paths[:2]).output
    host.extract(tmp_path)
    assert host.document() == document(extract(paths))


def test_each_capture_is_glanced_at_once(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first bytes tell what it is, when it begins, and so what it goes on from."""
    glances: list[str] = []
    made = CaptureFile.__init__

    def counted(self: CaptureFile, path: str, most_packets: int | None = None) -> None:
        glances.append(path)
        made(self, path, most_packets)

    monkeypatch.setattr(CaptureFile, "__init__", counted)
    paths = cut(tmp_path, STORY, [100, 200, 300])
    host.extract(*paths[:2])
    host.extract(*paths[2:])
    assert sorted(glances) == paths
    assert host.document() == document(extract(paths))


@pytest.mark.parametrize("is_known", [True, False], ids=["what was left is there", "it has gone"])
def test_a_file_that_grew_since(host: Host, tmp_path: Path, is_known: bool) -> None:
    """As it is while tcpdump writes it: it is read anew, from where the file before it ended."""
    folders = [tmp_path / name for name in ("short", "cap")]
    for folder in folders:
        folder.mkdir()
    short = cut(folders[0], STORY[:260], [100, 200])
    paths = cut(folders[1], STORY, [100, 200])
    whole = Path(paths[2]).read_bytes()
    host.extract(paths[0])
    host.extract(paths[1])
    Path(paths[2]).write_bytes(Path(short[2]).read_bytes())
    host.extract(paths[2])
    assert host.document() == document(extract(paths))
    Path(paths[2]).write_bytes(whole)
    if not is_known:
        shutil.rmtree(open_flows_folder())
    said = host.extract(paths[2]).output
    assert "is gone" in said
    if is_known:
        assert host.document() == document(extract(paths))
    else:
        assert "they were not kept" in said
        assert host.document() != document(extract(paths))
        assert connections(host.document()) >= connections(document(extract(paths))), "cut, and none is lost"


def test_vantage_points_beside_each_other(host: Host, tmp_path: Path) -> None:
    """In one directory, in turn."""
    paths: dict[str, list[str]] = {}
    for number, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        moved = [RawFrame(ns + number * 10 * SECOND, data) for ns, data in STORY]
        paths[name] = cut(tmp_path / name, moved, [100, 200 + number])
    for pair in zip(*paths.values(), strict=True):
        for name, path in zip(paths, pair, strict=True):
            said = host.extract(path, "--vantage", name).output
            assert "not followed" not in said
    names: set[str] = set()
    for name, some in paths.items():
        alone = Host(tmp_path / f"{name}-alone")
        for path in some:
            alone.extract(path, "--vantage", name)
        assert connections(alone.document()) == connections(document(extract(some)))
        names.update(manifest.name for manifest in alone.manifests())
    assert {manifest.name for manifest in host.manifests()} == names, "nothing of one is in the other"


def test_two_sets_of_one_vantage_point(host: Host, tmp_path: Path) -> None:
    """Each hour of each in a run of its own: a run goes on from the file before it in its set."""
    (tmp_path / "lb").mkdir()
    first = cut(tmp_path, slower(BRIEF, 100)[:180], [60, 120])
    second = [shutil.copy(path, tmp_path / "lb" / Path(path).name) for path in first]
    for path in second:  # other packets at the same time
        octets = Path(path).read_bytes()
        Path(path).write_bytes(octets.replace(socket.inet_aton("10.0.0.0")[:3], socket.inet_aton("10.9.0.0")[:3]))
    for pair in zip(first, second, strict=True):
        for path in pair:
            host.extract(path)
    ended = {manifest.name: manifest for manifest in host.manifests()}
    chains = [m for m in ended.values() if m.continues]
    assert len(chains) == 4
    for manifest in chains:
        before = ended[manifest.continues]
        assert {Path(i.path).parent for i in manifest.inputs} == {Path(i.path).parent for i in before.inputs}


def test_captures_of_two_clocks_are_read_by_themselves(host: Host, tmp_path: Path) -> None:
    """Both hold the same packets, one of them ten seconds late: known only once all are read, and then again."""
    before = cut(tmp_path, STORY[:100], [])
    (tmp_path / "two").mkdir()
    later = [
        Path(shutil.move(cut(tmp_path / "two", slower(STORY[100:], 1), [])[0], tmp_path / "a.pcap")),
        Path(shutil.move(cut(tmp_path / "two", [*shifted(STORY[100:], 10)], [])[0], tmp_path / "b.pcap")),
    ]
    host.extract(*before)
    said = host.extract(*later).output
    assert "clocks that are apart" in said
    assert [capture.clocks != () for capture in read_tables(str(host.facts)).captures].count(True) == 1
    assert len(host.kept()) == 1


def test_a_redacted_host(host: Host, tmp_path: Path) -> None:
    """What is kept is not redacted, and lies beside no facts."""
    paths = cut(tmp_path, STORY, [100, 200])
    redacted: list[str | Path] = ["--redact", "--redact-key", tmp_path / "key"]
    for path in paths:
        said = host.extract(path, *redacted).output
    assert "went on from the end" in said
    at_once = Host(tmp_path / "at-once")
    at_once.extract(*paths, *redacted)
    assert host.document() == at_once.document()
    assert any(b"example.com" in path.read_bytes() for path in host.kept())
    assert not host.kept()[-1].is_relative_to(host.facts)
    tables = [path.read_bytes() for path in host.facts.rglob("*") if path.is_file()]
    assert not any(word in octets for octets in tables for word in (b"example.com", b"story-0", b"puppetdb1"))
    manifests = [manifest for manifest in host.manifests() if manifest.earlier]
    assert manifests
    assert not any(b"story-0" in capture.packed for manifest in manifests for capture in manifest.earlier)
    assert {path.stat().st_mode & 0o777 for path in host.kept()} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in host.kept()} == {0o700}


def test_another_key_of_redaction_is_another_place(host: Host, tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [200])
    host.extract(paths[0], "--redact-key", tmp_path / "one")
    assert "went on" not in host.extract(paths[1], "--redact-key", tmp_path / "two").output


def test_no_follow(host: Host, tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [200])
    host.extract(paths[0])
    assert "went on" not in host.extract(paths[1], "--no-follow").output
    assert len(host.kept()) == 1


def test_a_damaged_part_amid_others(host: Host, tmp_path: Path) -> None:
    """It is named; what others know of its captures is told by them; extract makes it again."""
    paths = cut(tmp_path, slower(BRIEF, 100), [*range(50, len(STORY), 50)])
    for path in paths:
        host.extract(path)
    part = next(m for m in host.manifests() if m.earlier and m.continues and m.of("connections"))
    table = host.facts / part.of("connections")[0].path
    table.write_bytes(table.read_bytes()[:-5])
    facts = read_tables(str(host.facts))
    assert len(facts.problems) == 1
    assert [Path(capture.path).name for capture in facts.captures] == [Path(path).name for path in paths]
    document(facts)
    shutil.rmtree(host.facts / "captures")
    with pytest.raises(InspectorError):
        command("analyze", host.facts)


@pytest.mark.parametrize("is_known", [True, False], ids=["what was left is there", "it has gone"])
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_damaged_part_is_made_again(host: Host, tmp_path: Path, damaged: int, is_known: bool) -> None:
    """In its place, whether or not it goes on from the one before it as it did."""
    paths = cut(tmp_path, slower(BRIEF, 100), [140, 280])
    for path in paths:
        host.extract(path)
    [part] = [m for m in host.manifests() if m.inputs and m.inputs[0].path == paths[damaged]]
    table = host.facts / part.of("captures")[0].path
    table.write_bytes(table.read_bytes()[:-5])
    if not is_known:
        shutil.rmtree(open_flows_folder())
    host.extract(paths[damaged])
    facts = read_tables(str(host.facts))
    assert not facts.problems
    assert [Path(capture.path).name for capture in facts.captures] == [Path(path).name for path in paths]
    assert sum(not part.open_of for part in host.manifests()) == len(paths)
    if is_known and damaged != 1:
        assert host.document() == document(extract(paths))
    assert connections(host.document()) >= connections(document(extract(paths)))


@pytest.mark.parametrize("has_manifest", [True, False])
def test_what_was_open_at_the_end_is_missing(host: Host, tmp_path: Path, has_manifest: bool) -> None:
    """It is named, and made again."""
    paths = cut(tmp_path, STORY, [200])
    host.extract(paths[0])
    [part] = [manifest for manifest in host.manifests() if manifest.open_of]
    if has_manifest:
        (host.facts / part.files[0].path).unlink()
    else:
        for file in (*part.files,):
            (host.facts / file.path).unlink()
        (host.facts / "parts" / f"{part.name}.json").unlink()
    assert read_tables(str(host.facts)).problems
    host.extract(paths[0])
    host.extract(paths[1])
    assert host.document() == document(extract(paths))


def test_a_log_beside_all_of_it(host: Host, tmp_path: Path) -> None:
    """One part in place of all others."""
    log = tmp_path / "puppetserver.log"
    log.write_text("2026-11-23T17:28:19.917Z ERROR [qtp-1] [p.p] nothing\n" * 3)
    paths = cut(tmp_path, STORY, [100, 200])
    for path in paths:
        host.extract(path)
    host.extract(*paths, "--log", log)
    assert [part.inputs != () for part in counting(parts_of(str(host.facts)).manifests)].count(True) == 1
    assert connections(host.document()) == connections(document(extract(paths)))


def test_a_log_beside_one_file_of_several(host: Host, tmp_path: Path) -> None:
    """Its part is another one, and the next still goes on from it."""
    log = tmp_path / "puppetserver.log"
    log.write_text("2026-11-23T17:28:19.917Z ERROR [qtp-1] [p.p] nothing\n" * 3)
    paths = cut(tmp_path, STORY, [200])
    for path in paths:
        host.extract(path)
    before = json.loads(host.document())
    assert "is gone" in host.extract(paths[0], "--log", log).output
    after = json.loads(host.document())
    assert after["connections"] == before["connections"]
    assert after["captures"] == before["captures"]


def test_a_first_pile_that_is_worth_several_processes(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They read it at once, and leave nothing; who wants to go on from it says so; what goes on is read by one."""
    paths = cut(tmp_path, STORY, [90, 160])
    monkeypatch.setattr(processes, "_processes", lambda work: 2)
    said = host.extract(paths[0]).output
    assert "read by 2 processes at once" in said
    assert not host.kept()
    other = Host(tmp_path / "other")
    for number, path in enumerate(paths):
        said = other.extract("--follow", path).output if not number else other.extract(path).output
        assert "processes at once" not in said
        assert other.document() == document(extract(paths[: number + 1]))
