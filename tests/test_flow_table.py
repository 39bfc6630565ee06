"""Flows as whoever follows them asks for them: beside a newer one, out of order, live, and where a reader stumbles."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from inspector.errors.internal import Border
from inspector.extract import live_engine
from inspector.extract.engine import Engine
from inspector.extract.live_engine import LiveEngine
from inspector.extract.regular_connections import RegularConnections
from inspector.facts import ConnectionFacts
from inspector.wire.flow import Flow as WireFlow
from inspector.wire.segments import URG
from tests.build import ACK, FIN, MS, START_NS, SYN, Flow, Pool, Segment, certificate, ethernet, numbered, ordered
from tests.test_live_engine import batch_of
from tests.test_regular import harmed, told

A = certificate("puppetdb1", ("puppetdb1.example.com",))
SECOND = 1000 * MS


def established(count: int) -> list[Flow]:
    """Connections that are open still, one a second."""
    pool = Pool()
    for number in range(count):
        pool.full(A, numbered(number + 1))
    for flow in pool.flows:
        flow.segments = [s for s in flow.segments if not s.flags & FIN]
    return pool.flows


def connections(engine: Engine) -> list[ConnectionFacts]:
    facts = engine.so_far()
    return [facts.unpack(packed) for packed in sorted(facts.connections)]


def test_an_older_connection_is_told_beside_a_newer_one() -> None:
    """While frames of it may still come: two taps need not agree on the time."""
    [flow] = established(1)
    engine = Engine(columns=0)
    engine.feed(batch_of(ordered([flow])))
    again = Flow(flow.port, flow.ns + SECOND, isn=(5, 6)).add(True, SYN)
    engine.feed(batch_of(again.segments))
    [older] = connections(engine)
    assert older.client.port == flow.port
    assert older.handshake.answered_id == numbered(1)
    again.add(False, SYN | ACK)
    engine.feed(batch_of(again.segments[1:]))
    [older] = connections(engine)
    assert older.handshake.answered_id == numbered(1)
    assert len(engine.finish().connections) == 1


def test_a_batch_may_be_of_earlier_frames() -> None:
    """A file that is not in the order of time: a flow begins with its earliest frame."""
    [flow] = established(1)
    first, *behind = ordered([flow])
    late = [s for s in behind if s.from_client][-1:]
    engine = Engine(columns=0)
    for segments in ([s for s in behind if s not in late], [first], late):
        engine.feed(batch_of(segments))
    facts = engine.finish()
    [connection] = [facts.unpack(packed) for packed in facts.connections]
    assert connection.first_ns == START_NS == first.ns
    assert connection.handshake.answered_id == numbered(1)


def test_an_answer_that_is_stamped_before_what_it_answers() -> None:
    """Wherever a batch ends: it ends no round trip, which would take less than no time, and the flow begins with what
    opens it.
    """
    [flow] = established(1)
    segments = ordered([flow])
    segments[2].ns = START_NS - 2 * MS
    batch = batch_of(segments)
    for at in range(len(segments)):
        engine = Engine(columns=0)
        for part in (slice(0, at), slice(at, None)):
            engine.feed(batch.select(part))
        [connection] = connections(engine)
        assert (connection.first_ns, connection.first_frame, connection.rtt) == (START_NS, 1, None), at


def test_where_a_reader_stumbles_a_flow_is_followed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    flows = established(12)
    whole = Engine(columns=1)
    whole.feed(batch_of(ordered(flows)))
    expected = sorted(whole.finish().connections)
    right = RegularConnections.flow

    def stumbling(self: RegularConnections, index: int) -> WireFlow | None:
        if index == 7:
            raise ZeroDivisionError("nobody foresaw this")
        return right(self, index)

    monkeypatch.setattr(RegularConnections, "flow", stumbling)
    monkeypatch.setattr(Border, "is_loud", False)
    engine = Engine(columns=1)
    engine.feed(batch_of(ordered(flows)))
    facts = engine.finish()
    assert sorted(facts.connections) == expected
    assert engine.border.count == 1


def test_urgent_flags_without_data_are_read_by_columns_as_one_by_one() -> None:
    for seed in range(5):
        flows = established(3)
        for flow in flows:
            at = random.Random(seed).randrange(4, len(flow.segments))
            before = flow.segments[at - 1]
            end = before.seq + len(before.payload) + bool(before.flags & SYN)
            flow.segments.insert(at, Segment(before.ns + 10, before.from_client, ACK | URG, end, b"", flow, before.ack))
        frames = [(s.ns, ethernet(s), 1 << 16) for s in ordered(flows)]
        assert told(frames, 1, 1 << 20, False) == told(frames, 0, 1 << 20, False)
        again = harmed(flows, random.Random(seed))
        assert told(again, 1, 1 << 20, False) == told(again, 0, 1 << 20, False)


def ports(found: Sequence[ConnectionFacts]) -> list[int]:
    return sorted(connection.client.port for connection in found)


def test_live_those_with_a_session_in_question_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_engine, "FEW", 3)
    flows = established(6)
    engine = LiveEngine(100)
    engine.take(batch_of(ordered(flows)))
    assert ports(list(engine.decided_at_once({numbered(2)}))) == [flows[1].port]
    assert ports(list(engine.decided_at_once({numbered(2)}))) == []
    others = [flow.port for flow in flows if flow is not flows[1]]
    assert ports(list(engine.decided())) == []
    assert ports(list(engine.decided())) == others
    assert ports(list(engine.decided())) == []


def test_live_few_are_told_at_once() -> None:
    flows = established(3)
    engine = LiveEngine(100)
    engine.take(batch_of(ordered(flows)))
    assert ports(list(engine.decided_at_once(()))) == [flow.port for flow in flows]


def test_live_what_is_no_tls_is_not_told() -> None:
    plain = Flow(50_000, START_NS).open().client_says(b"SSH-2.0-x\r\n").add(True, FIN | ACK)
    engine = LiveEngine(100)
    engine.take(batch_of(plain.segments))
    assert engine._live.undecided == 1
    assert list(engine.decided()) == []
    assert engine._live.undecided == 0


def test_live_a_closed_connection_that_another_follows_ends_once() -> None:
    """On the same ports, before the first was over."""
    [flow] = established(1)
    engine = LiveEngine(100)
    engine.take(batch_of(ordered([flow])))
    opened = len(flow.segments)
    flow.close()
    engine.take(batch_of(flow.segments[opened:]))
    again = Flow(flow.port, flow.ns + MS, isn=(5, 6)).open()
    engine.take(batch_of(again.segments))
    ended, over = engine.settle(again.ns + 20 * SECOND)
    assert (ports(ended), over) == ([flow.port], [])
    assert engine.close() == ([], [])
