"""Flows that are read by columns and flows that are read segment by segment: the same facts, byte for byte, whatever
happens to them.
"""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import astuple

from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import HEADER_BYTES, read_pcap
from inspector.extract.completed_connections import CompletedConnections
from inspector.extract.engine import Engine
from inspector.extract.regular_connections import RegularConnections
from inspector.wire.addresses import FlowEnd
from inspector.wire.flow import Flow as WireFlow, FlowKey
from inspector.wire.grouping import Grouped
from inspector.wire.runs import runs_of
from inspector.wire.segments import SegmentDecoder
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
    Segment,
    capture,
    certificate,
    client_hello,
    ethernet,
    facts_of,
    message,
    numbered,
    ordered,
    record,
    server_hello,
)
from tests.test_segmentation import cut

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))
SECOND = 1000 * MS
LONG = record(23, b"d" * 9000)
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446, section 4.1.3)."""


def story(dice: random.Random) -> list[Flow]:
    """Handshakes of every kind, and TCP that is none."""
    pool = Pool()
    for n in range(dice.randrange(1, 3)):
        pool.full(A, numbered(9 + n), ems=dice.random() < 0.5, data=dice.random() < 0.8)
        pool.resumed(X)
        pool.given_up(B, Y, X, alert=dice.choice((42, None)))
        pool.server_alert(40)
        pool.tls13(psk=b"ticket", accepted=dice.random() < 0.5)
        retried = Flow(50_000 + n, pool.ns).open()
        retried.client_says(record(22, client_hello(numbered(5), versions=(0x0304, 0x0303))))
        retried.server_says(record(22, server_hello(RETRY, version=0x0304)), record(20, b"\1"))
        retried.client_says(
            record(20, b"\1"), record(22, client_hello(numbered(5), versions=(0x0304, 0x0303)))
        ).server_says(record(22, server_hello(numbered(6), version=0x0304)), LONG)
        bulk = pool.full(B, numbered(30 + n))
        del bulk.segments[-4:]
        bulk.server_says(LONG, LONG, record(21, b"\1" * 26)).client_says(record(21, b"\2" * 26))
        if dice.random() < 0.5:
            bulk.close()
        odd = Flow(51_000 + n, pool.ns).open()
        odd.client_says(
            dice.choice(
                (b"GET / HTTP/1.1\r\n\r\n", record(23, b"x" * 50), record(22, message(1, b"no")), record(24, b"\1\0\0"))
            )
        )
        odd.server_says(DATA if dice.random() < 0.5 else record(22, message(2, b"\3\3") + message(99, b"")))
        silent = Flow(52_000 + n, pool.ns)
        silent.add(True, SYN)
        pool.flows += [retried, odd, silent]
    return pool.flows


def _is_cuttable(segments: list[Segment]) -> bool:
    start = next((i for i, s in enumerate(segments) if s.payload), -1)
    end = next((i for i, s in enumerate(segments) if s.flags & (FIN | RST)), -1)
    return 0 <= start < end


def harmed(flows: list[Flow], dice: random.Random) -> list[tuple[int, bytes, int]]:
    """Frames with their times and what is left of them, after harm to some flows."""
    kept: dict[int, int] = {}
    for flow in flows:
        if dice.random() < 0.5:
            continue
        segments = flow.segments
        for _ in range(dice.randrange(1, 3)):
            at = dice.randrange(len(segments))
            s = segments[at]
            match dice.randrange(10):
                case 0 if len(segments) > 1:
                    del segments[at]
                case 1:
                    again = s.payload if dice.random() < 0.6 else bytes(byte ^ 1 for byte in s.payload)
                    segments.insert(
                        min(at + dice.randrange(1, 4), len(segments)),
                        Segment(s.ns + 1, s.from_client, s.flags, s.seq, again, flow, s.ack),
                    )
                case 2 if s.payload:
                    changed = bytearray(s.payload)
                    changed[dice.randrange(min(len(changed), 60))] = dice.randrange(256)
                    s.payload = bytes(changed)
                case 3:
                    s.seq += dice.choice((-1, 1, 5, 1 << 21))
                case 4:
                    s.flags ^= dice.choice((SYN, FIN, RST, ACK))
                case 5:
                    other = dice.choice(segments)
                    s.ns, other.ns = other.ns, s.ns
                case 6:
                    kept[id(s)] = dice.randrange(54, 60 + len(s.payload))
                case 7:
                    last = segments[-1]
                    wait = dice.choice((0, MS, SECOND, 2 * SECOND, 30 * SECOND))
                    segments.append(
                        Segment(
                            last.ns + wait,
                            dice.random() < 0.5,
                            dice.choice((RST, FIN | ACK, ACK, SYN, RST | ACK)),
                            last.seq + dice.choice((0, 1)),
                            b"",
                            flow,
                            last.ack,
                        )
                    )
                case 8:
                    for moved in segments:
                        moved.ns -= moved.ns % (5 * MS)
                case _ if _is_cuttable(segments):
                    cut(
                        flow,
                        dice,
                        window=dice.choice((0, 0, 2)),
                        duplicates=dice.random() < 0.2,
                        overlap=dice.random() < 0.2,
                    )
                case _:
                    pass
    return [(s.ns, ethernet(s), kept.get(id(s), 1 << 16)) for s in ordered(flows)]


def told(frames: list[tuple[int, bytes, int]], columns: int, size: int, from_middle: bool) -> Any:
    data = bytearray(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
    for ns, frame, left in frames:
        data += struct.pack("<IIII", ns // 10**9, ns % 10**9, min(left, len(frame)), len(frame)) + frame[:left]
    engine = Engine(from_middle=from_middle, columns=columns)
    for batch in read_pcap(ByteSource(io.BytesIO(data), size=size), CaptureInfo("built")):
        engine.feed(batch)
    facts = engine.finish()
    begun = [
        (began, first, last, facts.connections[result] if isinstance(result, int) else result)
        for began, first, last, result in engine.begun_before
    ]
    for packed in (facts.connections[index] for index in engine.early):
        early = facts.unpack(packed)
        ends = sorted(FlowEnd(*astuple(end)) for end in (early.client, early.server))
        first, last = (early.first_ns, early.first_frame), (early.last_ns, early.last_frame)
        begun.append((FlowKey((ends[0], ends[1]), early.initial_sequence), first, last, packed))
    return (
        sorted(facts.connections),
        facts.offers,
        facts.answers,
        sorted(facts.certificates),
        facts.other_flows,
        sorted(begun, key=repr),
    )


@settings(max_examples=200)
@given(
    seed=st.integers(0, 1 << 32),
    size=st.sampled_from([700, 3000, 20_000, 1 << 20]),
    reuse=st.booleans(),
    from_middle=st.booleans(),
)
def test_columns_say_what_segments_say(seed: int, size: int, reuse: bool, from_middle: bool) -> None:
    dice = random.Random(seed)
    flows = story(dice)
    if reuse:  # the same ports again
        again = story(dice)
        later = dice.choice((MS, SECOND, 20 * SECOND))
        base = dice.randrange(1 << 32)
        for flow in again:
            flow.isn = (base, base ^ 77)
            for s in flow.segments:
                s.ns += later
        flows += again
    frames = harmed(flows, dice)
    assert told(frames, 1, size, from_middle) == told(frames, 0, size, from_middle)


def test_whole_flows_are_read_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lest the comparison above compares nothing."""
    completed: list[bool] = []
    opened: list[bool] = []
    woken: list[bool] = []
    wake = CompletedConnections.flow
    flow_of, ended = RegularConnections.flow, CompletedConnections.ended

    def went_on(self: RegularConnections, index: int) -> WireFlow | None:
        connection = flow_of(self, index)
        opened.append(connection is not None)
        return connection

    def was_completed(self: CompletedConnections, index: int, *, is_early: bool) -> None:
        completed.append(True)
        ended(self, index, is_early=is_early)

    monkeypatch.setattr(RegularConnections, "flow", went_on)

    def was_woken(self: CompletedConnections, index: int) -> WireFlow:
        woken.append(True)
        return wake(self, index)

    monkeypatch.setattr(CompletedConnections, "ended", was_completed)
    monkeypatch.setattr(CompletedConnections, "flow", was_woken)
    pool = Pool()
    for n in range(10):
        pool.full(A, numbered(n), data=n % 2 == 0)
        pool.given_up(B, Y, X)
        pool.tls13()
    frames = [(s.ns, ethernet(s), 1 << 16) for s in ordered(pool.flows)]
    late = Segment(pool.ns, False, RST, pool.flows[0].isn[1] + 5, b"", pool.flows[0])
    told(frames, 1, 1 << 20, False)
    assert (completed, woken, opened) == ([True] * 30, [], [])
    told(
        [*frames, (frames[-1][0] + 1, ethernet(late), 1 << 16)],
        1,
        HEADER_BYTES + sum(16 + len(frame) for _, frame, _ in frames),
        False,
    )
    assert woken == [True]
    for flow in pool.flows:
        flow.segments = [s for s in flow.segments if not s.flags & (FIN | RST)]
    told([(s.ns, ethernet(s), 1 << 16) for s in ordered(pool.flows)], 1, 1 << 20, False)
    assert opened == [True] * 30


@pytest.mark.parametrize(("count", "claimed"), [(60, 0xFFFFFFF0), (600, 1 << 26)])
def test_frames_may_claim_any_length(tmp_path: Path, count: int, claimed: int) -> None:
    """IPv4 total length 0, as large segments have it, leaves the length to what the capture claims of the frame."""
    pool = Pool()
    for n in range(12):
        pool.full(A, numbered(n))
        pool.given_up(B, numbered(40), numbered(41))
    bulk = [Flow(60_000 + k, pool.ns).open() for k in range(12)]
    for flow in bulk:
        for _ in range(count // 12 + 1):
            flow.add(True, ACK, b"x" * 100, wait=1000)
    data = bytearray(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
    for segment in ordered(pool.flows + bulk):
        frame, length = bytearray(ethernet(segment)), len(ethernet(segment))
        if segment.flow in bulk and segment.payload:
            frame[16:18] = b"\0\0"
            frame, length = frame[:60], claimed
        data += struct.pack("<IIII", segment.ns // 10**9, segment.ns % 10**9, len(frame), length) + frame
    path = tmp_path / "claims.pcap"
    path.write_bytes(data)
    assert len(facts_of(path).connections) == 24


def test_flows_that_turn_odd_late_cost_nothing_for_the_others() -> None:
    """The spans of one flow are those of all, and no more memory is taken for them where the batch is larger."""

    def grouped_of(count: int) -> Grouped:
        flows = []
        for n in range(count):
            flow = Flow(1024 + n, START_NS + n * 1000).open()
            flows.append(flow.client_says(record(22, client_hello(numbered(n)))).server_says(DATA).close())
        source = ByteSource(io.BytesIO(capture(flows)), size=64 << 20)
        (batch,) = read_pcap(source, CaptureInfo("x"))
        return Grouped(SegmentDecoder().decode(batch), Engine.opens)

    def peak(grouped: Grouped) -> int:
        tracemalloc.start()
        list(runs_of(grouped, np.array([5])))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = grouped_of(20), grouped_of(2_000)
    for grouped in (small, large):
        together = [(f.key, len(f.spans), f.last_ns) for f in runs_of(grouped, np.arange(len(grouped)))]
        alone = [(f.key, len(f.spans), f.last_ns) for n in range(len(grouped)) for f in runs_of(grouped, np.array([n]))]
        assert alone == together
        for some in (np.array([0, 3, 4]), np.array([len(grouped) - 2, len(grouped) - 1])):
            assert [f.key for f in runs_of(grouped, some)] == [together[n][0] for n in some]
            for flow in runs_of(grouped, some):
                assert [flow.run.number[first] for first, *_ in flow.spans] == sorted(
                    flow.run.number[first] for first, *_ in flow.spans
                )
    assert peak(large) < 2 * peak(small)
