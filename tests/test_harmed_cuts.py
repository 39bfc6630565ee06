"""However harmed a capture is, files and shards of it say what one process says, byte for byte; and the ways in which
connections were lost at a border, one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from inspector import bounds
from inspector.capture.files import Story
from inspector.extract.merging import merge
from inspector.extract.processes import extract
from inspector.extract.shard import extract_shard, joined
from inspector.facts import Facts
from inspector.fleet.extraction import FleetRecord, extract_fleet
from inspector.fleet.sequences import sequences
from tests.build import (
    ACK,
    DATA,
    FIN,
    MS,
    RST,
    START_NS,
    SYN,
    Flow,
    Pool,
    certificate,
    ethernet,
    numbered,
    ordered,
    pcap,
)
from tests.fleet import SECOND, RawFrame, Unreliable, cut, document
from tests.harmed_cuts import batches_of, harmed_cut, outcome

FIRST = 0
"""Cuts of other seeds are tried by ``python -m tests.harmed_cuts``."""
EACH = 25


@pytest.mark.parametrize("block", range(8))
def test_any_harm_at_any_border(block: int) -> None:
    """Few of them have to be read by one process: of files below a tenth, of shards, which cost only another reading,
    below a quarter.
    """
    by_one = {"fleet": 0, "processes": 0}
    for seed in range(FIRST + block * EACH, FIRST + (block + 1) * EACH):
        found = outcome(harmed_cut(seed))
        assert not found.differs, seed
        for way in found.by_one:
            by_one[way] += 1
    assert by_one["fleet"] <= EACH // 5
    assert by_one["processes"] <= EACH // 3


def at_border() -> tuple[Pool, Flow]:
    """A connection that ends half a second after the story began, in the first of others that fill the files."""
    pool = Pool()
    one = pool.full(certificate("a"), numbered(0))
    one.isn = (1_000_000, 2_000_000)
    return pool, one


def again(one: Flow, after: int, *, isn: tuple[int, int], is_whole: bool = True) -> Flow:
    """Another connection between the same ports."""
    pool = Pool(one.segments[-1].ns + after, port=500)
    other = pool.full(certificate("b"), numbered(1))
    other.port, other.isn = one.port, isn
    if not is_whole:
        del other.segments[0]
    return other


def late(one: Flow, after: int, flags: int, payload: bytes = b"") -> Flow:
    """More of it behind its end."""
    one.ns = one.segments[-1].ns + after
    return one.add(True, flags, payload)


FAR = (3_000_000_000, 1_000_000_000)
NEAR = (1_000_900, 2_100_000)
"""Where the first connection has been: its client's numbers go on."""

HARMS: dict[str, Callable[[Flow], list[Flow]]] = {
    "data long after the end": lambda one: [late(one, 5 * SECOND, ACK, DATA)],
    "data soon after the end": lambda one: [late(one, 900 * MS, ACK, DATA)],
    "a FIN twice, the second late": lambda one: [late(one, 3 * SECOND, FIN | ACK)],
    "a RST behind the end": lambda one: [late(one, 1_500 * MS, RST)],
    "data and a connection behind it": lambda one: [late(one, 5 * SECOND, ACK, DATA), again(one, MS, isn=FAR)],
    "a port used again at once": lambda one: [one, again(one, MS, isn=FAR)],
    "a port used again at once, where its numbers go on": lambda one: [one, again(one, MS, isn=NEAR)],
    "a port used again after a minute": lambda one: [one, again(one, 60 * SECOND, isn=NEAR)],
    "a port used again after three minutes": lambda one: [one, again(one, 180 * SECOND, isn=NEAR)],
    "a port used again without its SYN": lambda one: [one, again(one, MS, isn=FAR, is_whole=False)],
    "twice": lambda one: [one, again(one, MS, isn=FAR), again(one, 2 * SECOND, isn=NEAR)],
}


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_before_and_behind_each_border(tmp_path: Path, harm: str) -> None:
    """A border before every frame of the two connections."""
    pool, one = at_border()
    flows = HARMS[harm](one)
    far = Pool(max(flow.segments[-1].ns for flow in flows) + SECOND)
    far.full(certificate("c"), numbered(9))
    frames = [RawFrame(s.ns, ethernet(s)) for s in ordered([*flows, *far.flows])]
    assert one in pool.flows
    one_process = 0
    for at in range(1, len(frames)):
        folder = tmp_path / str(at)
        folder.mkdir()
        paths = cut(folder, frames, [at])
        expected = document(extract(paths))
        record = FleetRecord()
        assert document(extract_fleet(sequences(Story(paths)), Unreliable(), record=record)) == expected, at
        one_process += len(record.by_one)
    assert one_process <= 2


def joined_everywhere(folder: Path, frames: list[RawFrame]) -> list[int]:
    """Two shards of a file, the border at every place, say what one process says; gives where they cannot be joined."""
    path = folder / "one.pcap"
    path.write_bytes(pcap(frames, nano=True))
    undecided: list[int] = []
    with batches_of(128):
        whole = extract([str(path)])
        for at in range(100, path.stat().st_size, 40):
            parts = []
            for begin, end in ((0.0, float(at)), (float(at), float("inf"))):
                story = Story([str(path)])
                parts.append(extract_shard(story, begin, end))
            facts = joined(parts, story)
            if facts is None:
                undecided.append(at)
            else:
                assert document(facts) == document(whole), at
    return undecided


def test_shards_that_cannot_be_joined_say_so(tmp_path: Path) -> None:
    """Data comes long after the end: the process behind the border, which saw but one FIN, takes it for more of the
    connection, so that it were lost with what is dropped.
    """
    _, one = at_border()
    del one.segments[-3:]
    one.sent = [count - 1 for count in one.sent]
    one.add(True, FIN | ACK).server_says(DATA * 3).add(False, FIN | ACK)
    frames = [RawFrame(s.ns, ethernet(s)) for s in ordered([late(one, 5 * SECOND, ACK, DATA)])]
    assert 0 < len(joined_everywhere(tmp_path, frames)) < 20


def test_what_comes_behind_a_piece_is_told_from_it_as_one_process_tells_it(tmp_path: Path) -> None:
    """The client's end of a connection lies behind the border, and three seconds later another one begins between the
    same ports, without its SYN: who saw both ends knows that the first was over, whoever reads on behind the border has
    but its sequence numbers to tell it by, and would say that these jump.
    """
    _, one = at_border()
    del one.segments[-3:]
    one.sent = [count - 1 for count in one.sent]
    one.server_says(DATA).add(False, FIN | ACK).client_says(DATA).add(True, FIN | ACK)
    two = again(one, 3 * SECOND, isn=FAR)
    del two.segments[:3]
    frames = [RawFrame(s.ns, ethernet(s)) for s in ordered([one, two])]
    assert 0 < len(joined_everywhere(tmp_path, frames)) < 30


def test_the_rest_of_a_connection_behind_the_one_that_replaced_it(tmp_path: Path) -> None:
    """It is stamped before the other one began, and came behind it: whoever reads on there has kept that one."""
    _, one = at_border()
    two = again(one, 50 * MS, isn=FAR)
    first, second = ([RawFrame(s.ns, ethernet(s)) for s in flow.segments] for flow in (one, two))
    assert 0 < len(joined_everywhere(tmp_path, [*first[:4], *second, *first[4:]])) < 60


def files_of(folder: Path, *files: list[RawFrame]) -> list[str]:
    paths = [folder / f"story-{number}.pcap" for number in range(len(files))]
    for path, frames in zip(paths, files, strict=True):
        path.write_bytes(pcap(frames, nano=True))
    return [str(path) for path in paths]


def test_the_end_of_a_file_is_followed_among_the_end_of_the_next(tmp_path: Path) -> None:
    """Some frames of a connection lie a file too early, and the clock is set back in the third file, so that by its
    first stamps all of the second lies beside it.
    """
    pool = Pool(START_NS + 500 * MS)
    pool.full(certificate("a"), numbered(0))
    frames = [RawFrame(s.ns, ethernet(s)) for s in pool.segments()]
    other = [RawFrame(s.ns, ethernet(s)) for s in Flow(50_000, START_NS, "10.0.0.9").open().close().segments]
    for begin in range(len(frames)):
        for end in range(begin + 1, len(frames)):
            folder = tmp_path / f"{begin}-{end}"
            folder.mkdir()
            paths = files_of(
                folder,
                [other[0], *frames[begin:end]],
                [other[1]._replace(ns=START_NS + 100 * MS), *frames[:begin], *frames[end:]],
                [other[n]._replace(ns=START_NS + ms * MS) for n, ms in enumerate((800, 801, 300, 301), 2)],
            )
            assert document(extract_fleet(sequences(Story(paths)), Unreliable())) == document(extract(paths)), folder


@pytest.mark.parametrize("after", [MS, 100 * MS, 400 * MS, 900 * MS, 1_500 * MS, 5 * SECOND])
@pytest.mark.parametrize("harm", [(ACK, DATA), (FIN | ACK, b""), (RST, b"")])
def test_a_file_that_ends_an_hour_behind_the_beginning_of_the_next(
    tmp_path: Path, after: int, harm: tuple[int, bytes]
) -> None:
    """What is over by its last frames is not over before the first ones of the next file."""
    pool = Pool()
    one = pool.full(certificate("a"), numbered(0))
    frames = [RawFrame(s.ns, ethernet(s)) for s in one.segments]
    more = RawFrame(one.segments[-1].ns + after, ethernet(late(one, after, *harm).segments[-1]))
    hour = START_NS + bounds.IDLE_NS + SECOND
    begun, ended = (
        [RawFrame(s.ns, ethernet(s)) for s in Flow(port, hour, "10.0.0.9").open().close().segments]
        for port in (50_000, 50_001)
    )
    early = ended[0]._replace(ns=frames[-1].ns + MS // 2)
    paths = files_of(tmp_path, [*frames, *begun[:3]], [early, more, *begun[3:], *ended[1:]])
    record = FleetRecord()
    assert document(extract_fleet(sequences(Story(paths)), Unreliable(), record=record)) == document(extract(paths))
    assert not record.together


def test_files_whose_first_frames_came_at_once(tmp_path: Path) -> None:
    """Whatever order they are given in."""
    paths = []
    for name in "cab":
        pool = Pool(START_NS, port=ord(name) * 100)
        pool.full(certificate(name), numbered(ord(name)))
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(pcap([(s.ns, ethernet(s)) for s in ordered(pool.flows)]))
        paths.append(str(path))
    found: list[Facts] = [extract(list(order)) for order in permutations(paths)]
    assert len({document(facts) for facts in found}) == 1
    assert [capture.path for capture in found[0].captures] == sorted(paths)


def test_files_whose_first_frames_came_before_their_clock_was_set_back(tmp_path: Path) -> None:
    """They stand in the order of times that are believed, whether one process reads them or each is read by itself."""
    paths = []
    for name, first, back in (("a", SECOND, 2), ("b", 500 * MS, 100)):
        pool = Pool(START_NS + first, port=ord(name) * 100)
        pool.full(certificate(name), numbered(ord(name)))
        frames = [RawFrame(s.ns, ethernet(s)) for s in pool.segments()]
        frames[back:] = [frame._replace(ns=frame.ns - 900 * MS) for frame in frames[back:]]
        paths.append(str(tmp_path / f"{name}.pcap"))
        Path(paths[-1]).write_bytes(pcap(frames))
    facts = extract(paths)
    assert [capture.path for capture in facts.captures] == paths[::-1]
    assert document(facts) == document(merge([extract([path]) for path in paths]))


def test_a_syn_that_was_sent_again_behind_the_border_long_after(tmp_path: Path) -> None:
    """So late that nobody notes that its flow may be an older one: one process reads it."""
    flow = Flow(40_000, START_NS).add(True, SYN, wait=130 * SECOND)
    flow.sent[0] = 0
    fill = [Flow(41_000 + n, START_NS + n * 5 * SECOND, "10.0.0.9").open().close() for n in range(30)]
    flow.open()
    frames = [RawFrame(s.ns, ethernet(s)) for s in ordered([flow, *fill])]
    paths = cut(tmp_path, frames, [3])
    record = FleetRecord()
    assert document(extract_fleet(sequences(Story(paths)), Unreliable(), record=record)) == document(extract(paths))
    assert record.by_one == [tuple(paths)]
