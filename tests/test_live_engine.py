"""Live traffic by columns and segment by segment: the same connections, and no byte that somebody looks at is left out;
connections that open and close within one batch are known at once, and told when they are over.
"""

from __future__ import annotations

import io
import os
import random
import struct
from collections.abc import Sequence

from hypothesis import given, settings, strategies as st

from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.capture.pcap import Records, read_pcap
from inspector.extract.live_engine import LiveEngine
from inspector.findings.case import Options
from inspector.findings.change import ABORT
from inspector.live.keeping import Keeping
from inspector.live.lingering import LingeringConnections
from inspector.live.live_capture import LiveCapture
from inspector.live.sources.source import Source
from inspector.text.times import SECOND_NS
from tests.build import ACK, MS, RST, START_NS, Flow, Pool, Segment, certificate, ethernet, numbered, ordered, pcap
from tests.live import Heard
from tests.test_regular import harmed, story

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))


def batches(frames: Sequence[tuple[int, bytes, int]], size: int) -> list[FrameBatch]:
    """Frames with their times and what is left of them, some at a time."""
    data = bytearray(pcap([]))
    for ns, frame, left in frames:
        data += struct.pack("<IIII", ns // 10**9, ns % 10**9, min(left, len(frame)), len(frame)) + frame[:left]
    found = []
    for batch in read_pcap(ByteSource(io.BytesIO(data), size=size), CaptureInfo("built")):
        batch.data = batch.data.copy()
        found.append(batch)
    return found


def read(frames: Sequence[tuple[int, bytes, int]], columns: int, size: int) -> tuple[list[bytes], dict[int, int]]:
    """The connections, packed, and how far into each frame's payload somebody looked."""
    engine = LiveEngine(1000, notes_extent=True, columns=columns)
    looked: dict[int, int] = {}
    for batch in batches(frames, size):
        extent = engine.take(batch).extent
        if extent is not None:
            looked |= dict(zip(extent.number.tolist(), extent.bytes().tolist(), strict=True))
    ended, over = engine.close()
    return sorted([*map(engine.facts.pack, ended), *over]), looked


@settings(max_examples=150)
@given(seed=st.integers(0, 1 << 32), size=st.sampled_from([700, 3000, 20_000, 1 << 20]))
def test_columns_leave_out_nothing_that_is_looked_at(seed: int, size: int) -> None:
    dice = random.Random(seed)
    frames = harmed(story(dice), dice)
    (plain, extents), (connections, wider) = read(frames, 0, size), read(frames, 1, size)
    assert connections == plain
    assert wider.keys() == extents.keys()
    assert all(wider[number] >= extents[number] for number in extents)


def opened_and_closed(count: int) -> list[Flow]:
    """Connections, each a millisecond after the one before."""
    pool = Pool()
    for n in range(count):
        pool.ns = START_NS + n * MS
        pool.full(A, numbered(n + 1))
    return pool.flows


def batch_of(segments: Sequence[Segment]) -> FrameBatch:
    (batch,) = batches([(s.ns, ethernet(s), 1 << 16) for s in segments], 1 << 20)
    return batch


def test_what_opens_and_closes_within_a_batch_is_known_at_once_and_over_later() -> None:
    engine = LiveEngine(100)
    flows = opened_and_closed(10)
    completed = engine.take(batch_of(ordered(flows))).completed
    assert [connection.facts.client.port for connection in completed] == [flow.port for flow in flows]
    end_ns = max(flow.ns for flow in flows)
    assert engine.settle(end_ns) == ([], [])
    assert list(engine.decided()) == []
    ended, over = engine.settle(end_ns + 2 * SECOND_NS)
    assert ended == []
    assert over == sorted(connection.packed for connection in completed)
    assert engine.close() == ([], [])


def test_a_late_segment_makes_it_one_that_ends() -> None:
    engine = LiveEngine(100)
    flows = opened_and_closed(10)
    completed = engine.take(batch_of(ordered(flows))).completed
    late = flows[3].add(True, RST | ACK).segments[-1]
    engine.take(batch_of([late]))
    ended, over = engine.settle(late.ns + 3 * SECOND_NS)
    assert len(over) == 9
    (connection,) = ended
    assert connection.client.port == flows[3].port
    assert connection.from_client.rst is not None
    assert completed[3].facts.from_client.rst is None


def test_what_is_waited_for_is_bounded_and_ends_where_the_clock_is_set_back() -> None:
    engine = LiveEngine(20)
    engine.take(batch_of(ordered(opened_and_closed(30))))
    assert len(engine.settle(START_NS).over) == 30
    engine = LiveEngine(100)
    engine.take(batch_of(ordered(opened_and_closed(30))))
    assert not engine.settle(START_NS + SECOND_NS // 2).over
    assert len(engine.settle(START_NS - 3600 * SECOND_NS).over) == 30


class TurnedClock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.ns = 0

    def monotonic(self) -> float:
        return self.ns / SECOND_NS

    def monotonic_ns(self) -> int:
        return self.ns

    def time_ns(self) -> int:
        return START_NS + self.ns


class Steps(Source):
    """Segments by batches, each half a second after the one before."""

    def __init__(self, clock: TurnedClock, steps: Sequence[Sequence[Segment]]) -> None:
        super().__init__("steps")
        self.state = "capturing"
        self._clock, self._left = clock, list(steps)
        self._reading, self._writing = os.pipe()
        os.write(self._writing, b".")

    def descriptors(self) -> list[int]:
        return [self._reading]

    def ready(self, descriptor: int) -> FrameBatch | None:
        self._clock.ns += SECOND_NS // 2
        if not self._left:
            self.state = "ended"
            return None
        segments = self._left.pop(0)
        for segment in segments:
            segment.ns += START_NS + self._clock.ns - segments[0].ns
        data = pcap([(s.ns, ethernet(s)) for s in segments])
        head = len(pcap([]))
        return Records(data[:head]).batch(bytearray(data[head:] + bytes(256)), len(data) - head) if segments else None


def heard_of(steps: Sequence[Sequence[Segment]], most: int = 10_000) -> tuple[LiveCapture, Heard]:
    clock = TurnedClock()
    watching, heard = LiveCapture([Steps(clock, steps)], Options(), Keeping(), "test", most, clock), Heard()
    watching.run(heard)
    watching.close()
    return watching, heard


def test_connections_within_one_batch_are_told_once() -> None:
    flows = opened_and_closed(12)
    watching, heard = heard_of([ordered(flows), [], [], [], []])
    assert watching.connections == 12
    for indexes in ([u.decided for u in heard.updates], [u.ended for u in heard.updates]):
        assert sum(map(len, indexes)) == 12


def test_a_late_segment_is_told_with_its_connection() -> None:
    flows = opened_and_closed(12)
    first = ordered(flows)
    late = flows[5].add(False, RST | ACK).segments[-1]
    watching, heard = heard_of([first, [late], [], [], [], []])
    ends = {o.id: o for update in heard.updates for o in update.observed(update.ended)}
    assert len(ends) == 12 == watching.connections
    assert sum(o.client_leg.from_server.rst is not None for o in ends.values()) == 1
    assert sum(len(update.decided) for update in heard.updates) == 12
    assert sum(len(update.ended) for update in heard.updates) == 12


def test_an_abort_within_one_batch_is_told_before_it_is_over() -> None:
    """With where its session comes from, which is over as little."""
    pool = Pool()
    for n in range(8):
        pool.full(A, numbered(50 + n))
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    _, heard = heard_of([ordered(pool.flows), [], [], [], []])
    first = next(update for update in heard.updates if update.findings)
    assert [(finding.rule, finding.verdict) for finding in first.findings] == [(ABORT, "confirmed")]
    assert first.ended == []
    assert len(heard.findings) == 1


def test_more_than_the_window_has_room_for() -> None:
    watching, heard = heard_of([ordered(opened_and_closed(120)), [], [], [], []], most=40)
    assert watching.connections == 120
    assert sum(len(update.ended) for update in heard.updates) == 120
    assert len(watching.window) == 40
    assert watching.window.forgotten == 80


def test_who_lingers_is_known_by_both_names() -> None:
    lingering = LingeringConnections()
    lingering.add("a", b"packed a", is_new=True)
    lingering.add("b", b"packed b", is_new=False)
    assert lingering.drop("c") is None is lingering.over(b"packed c")
    assert lingering.over(b"packed a") == ("a", True)
    assert lingering.drop("b") == ("b", False)
    assert lingering.over(b"packed b") is None is lingering.drop("a")
    assert len(lingering) == 0


def test_of_two_with_one_id_the_later_lingers() -> None:
    """Packets that are played again, or ids that are equal by design: nothing of the first stays."""
    lingering = LingeringConnections()
    lingering.add("a", b"first", is_new=True)
    lingering.add("a", b"second", is_new=False)
    assert lingering.over(b"first") is None
    assert lingering.over(b"second") == ("a", True)
    lingering.add("a", b"third", is_new=False)
    lingering.add("a", b"third", is_new=False)
    assert lingering.drop("a") == ("a", False)
    assert lingering.over(b"third") is None
    assert len(lingering) == 0


def test_packets_that_are_played_again() -> None:
    """The same conversations, endpoints and randoms, again 23 seconds later, before anybody asked who was over."""
    first, between, again = (opened_and_closed(10) for _ in range(3))
    for flow in between:
        flow.port += 20_000
    clock = TurnedClock()
    watching, heard = LiveCapture([Steps(clock, [])], Options(), Keeping(), "test", 10_000, clock), Heard()
    for flows, seconds in ((first, 0), (between, 20), (again, 23)):
        segments = ordered(flows)
        for segment in segments:
            segment.ns += seconds * 1000 * MS
        watching._take(batch_of(segments), False)
    watching._tick(heard)
    watching._finish(heard)
    watching.close()
    assert watching.connections == 20
    assert len(watching._lingering) == 0
