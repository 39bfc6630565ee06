"""A fleet says what one process says, byte for byte: wherever a story is cut into files, in whatever order they are
given, whoever fails in the midst.
"""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings, strategies as st

from inspector.capture import blocks
from inspector.capture.files import Story
from inspector.capture.writer import PcapngWriter
from inspector.errors import UnreadableError, UsageError
from inspector.errors.captures import NotExtracted
from inspector.extract.processes import extract
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.fleet import extraction, sequence_facts
from inspector.fleet.extraction import TRIES, FleetRecord, extract_fleet
from inspector.fleet.reading import extract_by_cluster
from inspector.fleet.sequences import CaptureSequence, sequences
from inspector.fleet.stretches import CaptureStretch, Followed, FollowTask, read_stretch
from inspector.fleet.tasks import FailedTask, JoinTask, Task, WholeSequence, in_this_process
from inspector.secrets.inputs import SecretInputs, content_of
from tests.build import Pool, certificate, numbered, written
from tests.conftest import CAPTURES, find
from tests.cuts import frames_of, link_type, write
from tests.fleet import SECOND, RawFrame, Unreliable, crossing_story, cut, document, fleet_document

STORY = crossing_story()
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """Small files are read in so many bytes at once."""
    defaults = blocks.ByteSource.__init__.__defaults__
    blocks.ByteSource.__init__.__defaults__ = (size,)
    try:
        yield
    finally:
        blocks.ByteSource.__init__.__defaults__ = defaults


cuts = st.lists(st.integers(1, len(STORY) - 1), min_size=1, max_size=7)


@settings(max_examples=25, phases=PHASES)
@given(
    at=cuts,
    order=st.randoms(use_true_random=False),
    swapped=st.sampled_from([0, 0, 1, 3]),
    is_nano=st.booleans(),
    size=st.sampled_from([2048, 16_384, 1 << 20]),
)
def test_any_cut_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    at: list[int],
    order: random.Random,
    swapped: int,
    is_nano: bool,
    size: int,
) -> None:
    """Files given in any order, tasks done in any order."""
    paths = cut(tmp_path_factory.mktemp("cut"), STORY, at, swapped=swapped, nano=is_nano)
    with batches_of(size):
        expected = document(extract(paths))
        turn = list(range(len(paths)))
        order.shuffle(turn)
        order.shuffle(paths)
        assert fleet_document(paths, Unreliable(turn=lambda number: turn[number % len(turn)])) == expected


@settings(max_examples=20, phases=PHASES)
@given(at=cuts, chance=st.randoms(use_true_random=False), size=st.sampled_from([2048, 8192]))
def test_whoever_dies_in_the_midst(
    tmp_path_factory: pytest.TempPathFactory, at: list[int], chance: random.Random, size: int
) -> None:
    """Workers that die, that have too little memory, that cannot read at the moment."""
    paths = cut(tmp_path_factory.mktemp("died"), STORY, at)
    failures: Counter[object] = Counter()

    def fails(task: Task, number: int) -> FailedTask | None:
        which = (JoinTask, task.paths) if isinstance(task, JoinTask) else task
        if chance.random() < 0.6 or failures[which] >= 2:
            return None
        failures[which] += 1
        return chance.choice([FailedTask(""), FailedTask("", is_memory=True), FailedTask("Stale file handle")])

    with batches_of(size):
        expected = document(extract(paths))
        assert fleet_document(paths, Unreliable(fails)) == expected


@pytest.mark.parametrize("second", [FailedTask(""), FailedTask("", is_memory=True)])
def test_each_half_is_tried_as_often_as_a_file(tmp_path: Path, second: FailedTask) -> None:
    """However often what it is a half of has failed."""
    paths = cut(tmp_path, STORY, [60])
    tried: Counter[Task] = Counter()

    def fails(task: Task, number: int) -> FailedTask | None:
        if not isinstance(task, CaptureStretch):
            return None
        tried[task] += 1
        return {1: FailedTask("Stale file handle"), 2: second}.get(tried[task])

    with batches_of(8192):
        assert fleet_document(paths, Unreliable(fails)) == document(extract(paths))
    assert max(tried.values()) == TRIES


@pytest.mark.parametrize("name", ["both-legs", "silent-abort", "tickets"])
def test_files_say_what_the_uncut_capture_says(tmp_path: Path, name: str) -> None:
    """But for what names captures and frames."""
    source = find(name)
    frames = frames_of(source)
    third = len(frames) // 3 + 1
    paths = [
        str(write(tmp_path / f"{name}_{n:05}_20261123.pcap", frames[n * third : (n + 1) * third], link_type(source)))
        for n in range(3)
    ]
    record = FleetRecord()
    fleet = judge(extract_fleet(sequences(Story(paths)), Unreliable(), record=record)).complete()
    whole = judge(extract([str(write(tmp_path / "whole.pcap", frames, link_type(source)))])).complete()
    assert fleet.services == whole.services
    assert [(f.rule, f.verdict, f.title, f.connections) for f in fleet.findings] == [
        (f.rule, f.verdict, f.title, f.connections) for f in whole.findings
    ]
    assert [(c.id, c.outcome, c.first_seen, c.last_seen) for c in fleet.connections] == [
        (c.id, c.outcome, c.first_seen, c.last_seen) for c in whole.connections
    ]
    assert record.tasks == 3 + 1  # and one to join what was found
    assert record.bytes_read == sum(Path(path).stat().st_size for path in paths)


def test_what_nobody_can_read_is_named_and_acquits_nobody(tmp_path: Path) -> None:
    pool = Pool()
    for n in range(30):
        pool.full(certificate("a"), numbered(n))
    segments = pool.flows
    paths = [str(written(tmp_path, segments[n : n + 10], f"p-{n:03}.pcap")) for n in (0, 10, 20)]
    executor = Unreliable(
        lambda task, number: FailedTask("") if isinstance(task, CaptureStretch) and task.first_capture == 1 else None
    )
    facts = extract_fleet(sequences(Story(paths)), executor)
    analysis = judge(facts)
    limits = [limit for limit in analysis.document.limits if limit.kind == "not_extracted"]
    assert limits
    assert paths[1] in limits[0].text
    assert "memory" in limits[0].text
    assert [capture.packets > 0 for capture in facts.captures] == [True, False, True]
    assert len(facts.connections) == 20
    for service in analysis.document.services:
        assert "not_extracted" in [unseen.kind for unseen in service.assessment.unseen]
    whole = judge(extract(paths)).document.services
    assert not any(service.assessment.unseen for service in whole)


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    """Its last error is said, after it was tried as often as anything is."""
    paths = cut(tmp_path, STORY, [200, 400])
    parts = sequences(Story(paths))
    Path(paths[1]).unlink()
    executor = Unreliable()
    facts = extract_fleet(parts, executor)
    (problem,) = facts.problems
    assert isinstance(problem, NotExtracted)
    assert worded(problem) == (
        f"{paths[1]}: not extracted, or not all of it, though that was tried 3 times: {problem.reason}"
    )
    assert problem.reason == f"{paths[1]}: No such file or directory"
    assert len([task for task in executor.tasks if isinstance(task, CaptureStretch)]) == 2 + TRIES


def test_what_needs_too_much_memory_is_halved(tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [100])
    size = Path(paths[1]).stat().st_size
    tried: list[CaptureStretch] = []

    def fails(task: Task, number: int) -> FailedTask | None:
        if not isinstance(task, CaptureStretch):
            return None
        tried.append(task)
        is_large = min(task.end, size) - task.begin > size / 3
        return FailedTask("", is_memory=True) if task.first_capture == 1 and is_large else None

    with batches_of(2048):
        expected = document(extract(paths))
        assert fleet_document(paths, Unreliable(fails)) == expected
    assert len({(task.begin, task.end) for task in tried if task.first_capture == 1}) == 1 + 2 + 4


def test_files_that_overlap_are_read_together(tmp_path: Path) -> None:
    """Two taps whose files bear one name: as one process reads them."""
    paths = []
    for number in range(2):
        path = tmp_path / f"tap-{number}.pcap"
        path.write_bytes(cut_of(number))
        paths.append(str(path))
    record = FleetRecord()
    assert fleet_document(paths, record=record) == document(extract(paths))
    assert record.together == [tuple(paths)]


def cut_of(number: int) -> bytes:
    from tests.build import pcap

    return pcap(STORY[number::2])


def test_secrets_go_to_whoever_reads_a_sequence_whole(tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [300])
    secrets = SecretInputs([("keys", b"# nothing\n")])
    executor = Unreliable()
    found = document(extract_fleet(sequences(Story(paths)), executor, secrets))
    assert found == document(extract(paths, secrets=secrets))
    assert [type(task) for task in executor.tasks] == [WholeSequence]
    with pytest.raises(UsageError, match="secrets are not sent"):
        extract_by_cluster(paths, "tcp://192.0.2.1:8786", secrets=secrets)


def test_a_task_that_stumbles_costs_its_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of this program is tried again, and named with its place."""
    from inspector.errors.internal import Border
    from inspector.fleet import stretches, tasks

    paths = cut(tmp_path, STORY, [300])
    read = stretches.read_stretch

    def stumbles(stretch: CaptureStretch) -> object:
        if stretch.first_capture == 1:
            raise KeyError("nobody thought of it")
        return read(stretch)

    monkeypatch.setattr(Border, "is_loud", False)
    monkeypatch.setattr(tasks, "read_stretch", stumbles)
    facts = extract_fleet([CaptureSequence("", tuple(paths), (None, None))], in_this_process)
    (problem,) = facts.problems
    assert isinstance(problem, NotExtracted)
    assert "KeyError" in problem.reason
    assert problem.tries == extraction.TRIES


def test_secrets_that_the_first_file_brings_open_the_others(tmp_path: Path) -> None:
    """One process reads the sequence then."""
    (batch,) = Story([str(find("tls13-inside"))]).batches()
    third = len(batch) // 3 + 1
    paths = []
    for number in range(3):
        paths.append(str(tmp_path / f"own-{number}.pcapng"))
        with open(paths[-1], "wb") as out:
            writer = PcapngWriter(out)
            if not number:
                writer.key_log(content_of(str(CAPTURES / "tls13-inside.keylog")))
            rows = np.zeros(len(batch), np.bool_)
            rows[number * third : (number + 1) * third] = True
            writer.write(batch.select(rows))
    executor = Unreliable()
    found = fleet_document(paths, executor)
    assert found == document(extract(paths))
    assert b'"secrets":"decrypted"' in found
    assert isinstance(executor.tasks[-1], WholeSequence)


@pytest.mark.parametrize("share", [0.6, 0.3, 0.15])
def test_halves_that_must_be_read_together_come_to_an_end(tmp_path: Path, share: float) -> None:
    """A file that needs too much memory, with fragments of one datagram on both sides of each half: it is read as far
    as that goes, or named.
    """
    from tests.encapsulations import ENCAPSULATIONS, in_fragments
    from tests.test_encapsulations import plain

    pieces = [
        RawFrame(ns + number, piece)
        for ns, frame in plain()
        for number, piece in enumerate(in_fragments(96, ENCAPSULATIONS["VXLAN"][1])(frame))
    ]
    paths = cut(tmp_path, pieces, [])
    size = Path(paths[0]).stat().st_size

    def fails(task: Task, number: int) -> FailedTask | None:
        assert number < 200, "it goes on for ever"
        is_large = isinstance(task, CaptureStretch) and min(task.end, size) - task.begin > share * size
        return FailedTask("", is_memory=True) if is_large else None

    with batches_of(2048):
        facts = extract_fleet(sequences(Story(paths)), Unreliable(fails))
    is_named = facts.problems or facts.captures[0].undecoded  # fragments that lie in three pieces of a file
    assert is_named or document(facts) == document(extract(paths))


@pytest.mark.parametrize("at", [50, 97, 140])
def test_fragments_of_one_datagram_in_two_files(tmp_path: Path, at: int) -> None:
    from tests.encapsulations import ENCAPSULATIONS, in_fragments
    from tests.test_encapsulations import plain

    pieces = [
        RawFrame(ns + number, piece)
        for ns, frame in plain()
        for number, piece in enumerate(in_fragments(96, ENCAPSULATIONS["VXLAN"][1])(frame))
    ]
    paths = cut(tmp_path, pieces, [at, at + 33, at + 70])
    assert fleet_document(paths) == document(extract(paths))


def test_a_copy_by_another_clock_beside_its_original(tmp_path: Path) -> None:
    """Two files of one name that do not overlap in time, and hold the same packets."""
    paths = cut(tmp_path, [*STORY, *(RawFrame(ns + 3600 * SECOND, data) for ns, data in STORY)], [len(STORY)])
    executor = Unreliable()
    assert fleet_document(paths, executor) == document(extract(paths))
    assert isinstance(executor.tasks[-1], WholeSequence)


def test_secrets_of_a_capture_stay_where_it_is_read(tmp_path: Path) -> None:
    """Results go over the network, encrypted or not."""
    (batch,) = Story([str(find("tls13-inside"))]).batches()
    path = tmp_path / "keys.pcapng"
    with path.open("wb") as out:
        writer = PcapngWriter(out)
        writer.key_log(content_of(str(CAPTURES / "tls13-inside.keylog")))
        writer.write(batch)
    result = read_stretch(CaptureStretch((str(path),), 0))
    assert result.captures[0].has_secrets
    assert b"TRAFFIC_SECRET" in path.read_bytes()
    assert b"TRAFFIC_SECRET" not in pickle.dumps(result)


def test_flows_that_nobody_could_follow_are_read_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever cut: who cannot follow flows into the next file must not lose them without a word."""

    def gone(task: FollowTask) -> Followed:
        raise UnreadableError("Stale file handle")

    monkeypatch.setattr(sequence_facts, "follow", gone)
    record = FleetRecord()
    for at in range(60, len(STORY), 60):
        paths = cut(tmp_path, STORY, [at])
        assert fleet_document(paths, record=record) == document(extract(paths))
    assert record.by_one
