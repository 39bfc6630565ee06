"""Wherever a batch of segments ends, the same is said: also what carries nothing, comes late, or stands beside another
connection between the same ends belongs to a flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from inspector import bounds
from inspector.capture.references import frame_reference
from inspector.extract.engine import Engine
from inspector.extract.processes import extract
from inspector.facts import ConnectionFacts
from inspector.tls.anomalies import ConflictingSegments
from inspector.wire import acknowledgements
from inspector.wire.acknowledgements import ReceivedBytes
from inspector.wire.grouping import Grouped
from tests.build import (
    ACK,
    FIN,
    MS,
    SYN,
    Pool,
    Segment,
    certificate,
    ethernet,
    numbered,
    pcap,
)
from tests.fleet import RawFrame, cut, document
from tests.harmed_cuts import batches_of, harmed_cut
from tests.test_live_engine import batch_of

A = certificate("puppetdb1", ("a.example.com",))
CLOCKS = {"set back", "jitter", "coarse"}
"""What is wrong with a clock is noticed in the frames that are read at once."""
EACH = 20
SIZES = 90, 300, 700, 2048, 16_384, 1 << 20
OTHER_CAPTURE = frame_reference(1, 0)


def by_good_clock(frames: list[RawFrame]) -> list[RawFrame]:
    """The same frames, each at a time of its own."""
    return sorted(RawFrame(frame.ns + index * 7919 % 900_001 + 17, frame.data) for index, frame in enumerate(frames))


@pytest.mark.parametrize("block", range(4))
def test_any_harm_in_any_batches(tmp_path: Path, block: int) -> None:
    for seed in range(block * EACH, (block + 1) * EACH):
        harm = harmed_cut(seed)
        if harm.kinds & CLOCKS:
            continue
        said = set()
        paths = cut(tmp_path, by_good_clock(harm.frames), [])
        for size in SIZES:
            with batches_of(size):
                said.add(document(extract(paths)))
        assert len(said) == 1, seed


def connections(folder: Path, segments: list[Segment], size: int) -> list[ConnectionFacts]:
    """Of segments that are read so many bytes at once."""
    path = folder / "one.pcap"
    path.write_bytes(pcap(by_good_clock([RawFrame(s.ns, ethernet(s)) for s in segments]), nano=True))
    with batches_of(size):
        facts = extract([str(path)])
    return sorted(map(facts.unpack, facts.connections), key=lambda connection: connection.first_ns)


@pytest.mark.parametrize("late", [999, 1000, 1001, 1002, 1500, 2003])
def test_a_fin_that_is_sent_again_loses_no_connection(tmp_path: Path, late: int) -> None:
    """A second behind the first, where the last acknowledgement came a little later than that."""
    flow = Pool().full(A, numbered(1))
    fin = next(segment for segment in reversed(flow.segments) if segment.flags & FIN)
    flow.segments.append(replace(fin, ns=fin.ns + late * MS))
    told = [connections(tmp_path, flow.segments, size) for size in SIZES]
    assert all(each == told[0] for each in told)
    assert [c.handshake.answered_id for c in told[0]] == [numbered(1)]


def tells(segment: Segment) -> bool:
    return bool(segment.payload or segment.flags & (SYN | FIN))


@pytest.mark.parametrize("size", SIZES)
def test_who_acknowledges_alone_was_captured(tmp_path: Path, size: int) -> None:
    """Of the client's side nothing but empty acknowledgements."""
    flow = Pool().full(A, numbered(1))
    flow.segments = [s for s in flow.segments if not (s.from_client and tells(s))]
    [connection] = connections(tmp_path, flow.segments, size)
    assert connection.from_client.has_packets
    assert connection.from_server.has_packets
    flow.segments = [s for s in flow.segments if not s.from_client]
    [connection] = connections(tmp_path, flow.segments, size)
    assert not connection.from_client.has_packets


@pytest.mark.parametrize("size", SIZES)
def test_a_server_that_only_acknowledges_was_captured(tmp_path: Path, size: int) -> None:
    """What begins with a SYN is read by columns."""
    flow = Pool().full(A, numbered(1))
    asked = [s for s in flow.segments if s.from_client]
    answers = [replace(s, ns=s.ns + 1, from_client=False, flags=ACK, payload=b"") for s in asked[1:-2]]
    flow.segments = sorted([*asked, *answers], key=lambda segment: segment.ns)
    [connection] = connections(tmp_path, flow.segments, size)
    assert connection.from_server.has_packets


@pytest.mark.parametrize("size", SIZES)
def test_where_the_frames_of_several_connections_between_the_same_ends_lie(tmp_path: Path, size: int) -> None:
    """In a batch of two captures: each has its own, those that carry nothing as well."""
    first, second = Pool().full(A, numbered(1)), Pool().full(A, numbered(2))
    second.isn = (7_000_000, 9_000_000)
    for number, segment in enumerate(second.segments):
        segment.ns = first.segments[-1].ns + (1 + number) * MS
    frames = [RawFrame(s.ns, ethernet(s)) for s in (*first.segments, *second.segments)]
    count = len(first.segments)
    one, other = frames[: count + 2], frames[count + 2 :]
    one.append(other.pop(1))  # an acknowledgement that another tap saw
    paths = []
    for name, some in (("one", one), ("other", other)):
        paths.append(str(tmp_path / f"{name}.pcap"))
        Path(paths[-1]).write_bytes(pcap(some, nano=True))
    with batches_of(size):
        facts = extract(paths)
    lower, upper = sorted(map(facts.unpack, facts.connections), key=lambda c: c.first_ns)
    assert not lower.spread
    assert upper.spread == ((count + 1, count + 3), (OTHER_CAPTURE + 1, OTHER_CAPTURE + len(other)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("at", [3, 7, 10, 11])
def test_where_the_frames_of_a_connection_lie_that_another_follows(tmp_path: Path, size: int, at: int) -> None:
    """It goes over from one capture into the next."""
    first, second = Pool().full(A, numbered(1)), Pool().full(A, numbered(2))
    second.isn = (7_000_000, 9_000_000)
    for number, segment in enumerate(second.segments):
        segment.ns = first.segments[-1].ns + (1 + number) * MS
    frames = by_good_clock([RawFrame(s.ns, ethernet(s)) for s in (*first.segments, *second.segments)])
    paths = cut(tmp_path, frames, [at])
    with batches_of(size):
        facts = extract(paths)
    lower, _ = sorted(map(facts.unpack, facts.connections), key=lambda c: c.first_ns)
    assert lower.spread == ((1, at), (OTHER_CAPTURE + 1, OTHER_CAPTURE + len(first.segments) - at))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pause", [bounds.IDLE_NS - 100 * MS, bounds.IDLE_NS + 3 * MS])
def test_a_flow_that_is_silent_for_an_hour_is_over(tmp_path: Path, size: int, pause: int) -> None:
    """In the midst of a batch too, whether it went by the book until then or not."""
    quiet, odd = Pool().full(A, numbered(1)), Pool(port=40_002).full(A, numbered(2))
    odd.segments.insert(5, replace(odd.segments[4], ns=odd.segments[4].ns + 1))
    for flow in (quiet, odd):
        for segment in flow.segments[-4:]:
            segment.ns += pause
    told = connections(tmp_path, [*quiet.segments, *odd.segments], size)
    assert {connection.last_ns - connection.first_ns > bounds.IDLE_NS // 2 for connection in told} == {
        pause < bounds.IDLE_NS
    }


def test_a_fin_before_the_first_bytes_tells_not_where_they_lie(tmp_path: Path) -> None:
    """So that nobody knows what an acknowledgement before them is about."""
    flow = Pool().full(A, numbered(1))
    flow.segments = [segment for segment in flow.segments if not segment.flags & SYN]
    flight = next(segment for segment in flow.segments if segment.payload and not segment.from_client)
    fin = next(segment for segment in flow.segments if segment.flags & FIN and not segment.from_client)
    last = flow.segments[-1]
    hello = flow.segments[0] if flow.segments[0].payload else flow.segments[1]
    fin.ns, last.ns = hello.ns + MS // 10, hello.ns + MS // 5
    flow.segments.append(replace(flight, ns=flight.ns + 1, payload=flight.payload[:-1] + b"\xfe"))
    flow.segments.sort(key=lambda segment: segment.ns)
    told = [connections(tmp_path, flow.segments, size) for size in SIZES]
    assert all(each == told[0] for each in told)
    [conflict] = [a.what for a in told[0][0].anomalies if isinstance(a.what, ConflictingSegments)]
    assert not conflict.is_settled


def test_a_syn_that_is_sent_again_for_ever_costs_no_more_each_time() -> None:
    """Each frame is looked at once, however often the flow might have been over."""
    flow = Pool().full(A, numbered(1))
    syn = flow.segments[0]
    end = flow.segments[-1].ns
    for number in range(2_000):
        flow.segments.append(
            replace(flow.segments[-1], ns=end + number * 1_200 * MS + 600 * MS, payload=b"", flags=ACK)
        )
        flow.segments.append(replace(syn, ns=end + number * 1_200 * MS + 1_200 * MS))
    looked = 0
    frames = Grouped.frames

    def counted(grouped: Grouped, index: int, begin: int, end: int | None) -> Sequence[tuple[int, int, int]]:
        nonlocal looked
        some = frames(grouped, index, begin, end)
        looked += len(some)
        return some

    with patch.object(Grouped, "frames", counted):
        engine = Engine(columns=0)
        engine.feed(batch_of(flow.segments))
        engine.finish()
    assert 0 < looked <= 2 * len(flow.segments)


def test_bytes_that_ask_whether_the_other_side_is_there_cost_no_more_each_time() -> None:
    """Each is another version of a byte that was acknowledged. Both sides ask, one after the other."""
    flow = Pool().full(A, numbered(1))
    hellos = [
        next(segment for segment in flow.segments if segment.payload and segment.from_client == is_client)
        for is_client in (True, False)
    ]
    end = flow.segments[-3].ns
    for number in range(2_000):
        hello = hellos[number % 2]
        last = replace(hello, ns=end + number, seq=hello.seq + len(hello.payload) - 1, payload=b"\xfe")
        flow.segments.insert(-2, last)
    columns = 0
    received = acknowledgements.received_bytes

    def counted(*of: Any) -> ReceivedBytes:
        nonlocal columns
        columns += 1
        return received(*of)

    with patch.object(acknowledgements, "received_bytes", counted):
        engine = Engine(columns=0)
        engine.feed(batch_of(flow.segments))
        engine.finish()
    [connection] = map(engine.facts.unpack, engine.facts.connections)
    assert not connection.anomalies
    assert columns == 2
