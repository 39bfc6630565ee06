"""Two taps, each of which lost something, by clocks that are apart: together they are the whole; what only looks like
copies stays as it is.
"""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest

from inspector import bounds
from inspector.bundle.packets import buffered_frames
from inspector.capture import blocks
from inspector.capture.files import Story
from inspector.cli.progress import Progress
from inspector.document import Document
from inspector.extract import openings
from inspector.extract.openings import EVERYTHING, HELLO, Opened, apart, together
from inspector.extract.processes import extract
from inspector.extract.shard import clocks_apart, extract_shard
from inspector.findings.judge import judge
from inspector.packets import reread as evidence
from inspector.wire.segments import ACK, SYN
from tests.build import Pool, certificate, document_of, ethernet, numbered, ordered
from tests.cuts import SECOND, Frame, by_time, later, write
from tests.lossy import LATE, MS, RECORDINGS, recording, said, taken, tried


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("name", RECORDINGS)
def test_two_lossy_copies_are_the_whole(tmp_path: Path, name: str, late: int) -> None:
    how, wrong = tried(LATE.index(late), tmp_path, name, late=late)
    assert not wrong, how


def kinds(document: Document) -> set[str]:
    return {limit.kind for limit in document.limits}


def copies(folder: Path, name: str, seed: int, late: int) -> list[Path]:
    frames, kind, _ = recording(name)
    return [
        write(folder / f"{n}.pcap", copy, kind)
        for n, copy in enumerate(taken(random.Random(seed), frames, 0.05, late).copies)
    ]


@pytest.mark.parametrize("late", [late for late in LATE if abs(late) > MS])
def test_the_clock_that_was_taken_out_is_told(tmp_path: Path, late: int) -> None:
    document = document_of(*copies(tmp_path, "silent-abort", 1, late))
    (clock,) = (clock for capture in document.captures for clock in capture.clocks)
    assert abs(abs(clock.ns) - abs(late)) <= MS
    assert clock.connections > 10
    assert {"clock_offset", "duplicates"} <= kinds(document)


def test_three_copies_of_which_one_was_rotated(tmp_path: Path) -> None:
    frames, kind, whole = recording("jdk17-abort")
    lost = [n % 40 for n in range(len(frames))]
    one, two, three = ([f for f, n in zip(frames, lost, strict=True) if n != own] for own in (3, 14, 25))
    half = len(two) // 2
    parts = [one, later(two[:half], 15 * SECOND), later(two[half:], 15 * SECOND), later(three, -SECOND // 2)]
    assert said(document_of(*(write(tmp_path / f"{n}.pcap", part, kind) for n, part in enumerate(parts)))) == whole


def test_one_process_for_each_stretch_finds_the_same_clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv6 addresses have other numbers in each process."""
    paths = [str(path) for path in copies(tmp_path, "ipv6", 2, SECOND // 2)]
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (4096,))  # many batches, so that there are borders
    size = sum(Path(p).stat().st_size for p in paths)
    story = Story(paths)
    (alone,) = clocks_apart([extract_shard(story, 0, float("inf"))]).items()
    parts = [
        extract_shard(Story(paths), size * begin, size * end)
        for begin, end in ((0, 0.3), (0.3, 0.6), (0.6, float("inf")))
    ]
    (shared,) = clocks_apart(parts).items()
    assert shared == alone
    assert shared[1][0] in (SECOND // 2, -SECOND // 2)


def test_one_file_is_read_once_and_so_are_several_by_one_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[dict[int, int]] = []
    original = Story.windows

    def windows(self: Story, *given: object) -> object:
        read.append(self.late)
        return original(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Story, "windows", windows)
    monkeypatch.setattr(
        openings.Openings, "add", lambda self, segments: pytest.fail("one capture has nothing to be compared with")
    )
    frames, kind, _ = recording("jdk17-abort")
    document_of(write(tmp_path / "one.pcap", frames, kind))
    assert read == [{}]
    monkeypatch.undo()
    monkeypatch.setattr(Story, "windows", windows)
    read.clear()
    document_of(*copies(tmp_path, "jdk17-abort", 1, 0))
    assert read == [{}]
    read.clear()
    document_of(*copies(tmp_path, "jdk17-abort", 1, SECOND))
    assert len(read) == 2
    assert list(read[1].values()) in ([SECOND], [-SECOND])


def test_progress_goes_on_in_the_second_reading(tmp_path: Path) -> None:
    paths = [str(path) for path in copies(tmp_path, "jdk17-abort", 1, SECOND)]
    sizes: list[int] = []
    read: list[int] = []
    extract(paths, read.append, sizes.append)
    assert len(sizes) == 2
    assert sum(sizes) == sum(read)
    progress = Progress(io.StringIO())
    for _ in sizes:
        progress.begin(Story(paths).bytes)
    assert progress._total == sum(sizes)


def test_what_was_sent_again_behind_a_border_is_no_copy(tmp_path: Path) -> None:
    """Rotated files: the server did not hear the last SYNs of the first file, and they came once more a
    second later.
    """
    der = certificate("puppetdb1", ("a.example.com",))
    pool = Pool()
    for number in range(8):
        pool.full(der, numbered(number + 1))
    frames = [Frame(s.ns, ethernet(s)) for s in ordered(pool.flows)]
    unanswered = [s for flow in pool.flows[4:] for s in flow.segments if s.flags & SYN and not s.flags & ACK]
    border = unanswered[0].ns
    first = [f for f in frames if f.ns < border] + [Frame(border + n, ethernet(s)) for n, s in enumerate(unanswered)]
    second = later([f for f in frames if f.ns >= border], SECOND)
    whole = said(document_of(write(tmp_path / "whole.pcap", by_time(first, second))))
    rotated = document_of(write(tmp_path / "1.pcap", first), write(tmp_path / "2.pcap", second))
    assert said(rotated) == whole
    assert "clock_offset" not in kinds(rotated)


def test_captures_of_which_nothing_has_a_payload(tmp_path: Path) -> None:
    """Two files of one SYN each, at one time."""
    frames, kind, _ = recording("jdk17-abort")
    files = [write(tmp_path / f"{n}.pcap", [f._replace(ns=frames[0].ns)], kind) for n, f in enumerate(frames[:2])]
    assert document_of(*files).connections == []


def test_evidence_of_two_copies_goes_by_one_clock(tmp_path: Path) -> None:
    """What is saved of them says the same when it is read again, and the messages of a connection come
    in their order.
    """
    paths = [str(path) for path in copies(tmp_path, "jdk17-abort", 3, 15 * SECOND)]
    analysis = judge(extract(paths))
    case = analysis.case
    late = evidence.clocks_late(case.facts.captures)
    with open(tmp_path / "evidence.pcapng", "wb") as out:
        evidence.save(
            paths,
            [evidence.flow_of(leg) for seen in case.observed for leg in (seen.client_leg, *seen.legs)],
            out,
            {},
            late,
        )
    again, first = said(document_of(tmp_path / "evidence.pcapng")), said(analysis.complete())
    assert {**again, "services": []} == {**first, "services": []}
    for flow in buffered_frames(paths, case.observed, case.facts.captures).flows:
        assert max(f.ns for f in flow.frames) - min(f.ns for f in flow.frames) < 5 * SECOND


def opened(keys: list[int], ns: list[int], kind: list[int]) -> Opened:
    return together([Opened(np.array(keys, np.uint64), np.array(ns, np.int64), np.array(kind, np.int64))])


def test_differences_of_clocks() -> None:
    keys, ns, kind = list(range(8)), [n * SECOND for n in range(8)], [0, 1, HELLO, HELLO + 1] * 2
    one = opened(keys, ns, kind)
    assert apart({0: one}) == {}
    assert apart({0: one, 1: opened([100], [0], [0])}) == {}
    way = [n + 5 * SECOND + (-MS if k & 1 else MS) for n, k in zip(ns, kind, strict=True)]
    (found,) = apart({0: one, 2: opened(keys, way, kind)}).items()
    assert found == ((0, 2), (5 * SECOND, MS, 2))  # its way is no difference of clocks
    few = opened(
        [0, 2, *range(10, 30)],
        [9 * SECOND, 11 * SECOND, *(n * SECOND // 10 for n in range(80, 100))],
        [0, HELLO, *[0] * 20],
    )
    dense = opened([*keys, *range(40, 60)], [*ns, *(n * SECOND // 10 for n in range(20))], [*kind, *[0] * 20])
    assert apart({0: dense, 1: few}) == {}  # both saw others in the same time
    assert apart({0: opened(keys[:1], ns[:1], kind[:1]), 1: opened(keys[:1], [SECOND], kind[:1])}) == {}


def test_of_too_many_openings_captures_keep_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "OPENINGS", 50)
    dice = np.random.default_rng(1)
    keys = dice.permutation(np.arange(2_000, dtype=np.uint64))
    times = np.arange(2_000, dtype=np.int64) * MS
    kind = np.arange(2_000, dtype=np.int64) & 3
    whole = together(
        [Opened(keys[:1_000], times[:1_000], kind[:1_000]), Opened(keys[1_000:], times[1_000:], kind[1_000:])]
    )
    some = np.flatnonzero(dice.random(2_000) < 0.3)
    part = together([Opened(keys[some], times[some] + SECOND, kind[some])])
    assert len(whole.key) == len(part.key) == 50
    assert whole.below < part.below < EVERYTHING
    (found,) = apart({0: whole, 1: part}).values()
    assert found.late_ns == SECOND
