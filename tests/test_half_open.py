"""Flows that never opened, kept as rows of numbers: the same facts as if each had been followed from its SYN on."""

from __future__ import annotations

import io
import random
import struct
from ipaddress import ip_address
from itertools import pairwise
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.files import Story
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import read_pcap
from inspector.errors.bounds import FlowsClosedEarly
from inspector.extract.engine import Engine
from inspector.extract.live_engine import LiveEngine
from inspector.extract.shard import extract_shard, joined
from inspector.facts import Facts, OtherFlow
from inspector.wire import half_open
from inspector.wire.addresses import AddressTable
from inspector.wire.flows import FlowTable
from inspector.wire.grouping import MIX_HIGH, MIX_LOW
from inspector.wire.half_open import ROW, HalfOpenFlows, keys
from tests.build import (
    ACK,
    FIN,
    MS,
    RST,
    START_NS,
    SYN,
    Flow,
    Pool,
    Segment,
    certificate,
    ethernet,
    facts_of,
    numbered,
    ordered,
    pcap,
)
from tests.test_regular import told

SECOND = 1000 * MS
Frames = list[tuple[int, bytes, int]]


def called(port: int, ns: int, dice: random.Random) -> Flow:
    """A flow that is no more than its SYN, or comes to more later."""
    flow = Flow(port, ns, f"10.0.{dice.randrange(3)}.{dice.randrange(5)}").add(True, SYN)
    wait = dice.choice((MS, 20 * MS, SECOND, 3 * SECOND, 90 * SECOND, 4000 * SECOND))

    def more(from_client: bool, flags: int, seq: int, ack: int, payload: bytes = b"") -> None:
        flow.segments.append(Segment(flow.segments[-1].ns + wait, from_client, flags, seq, payload, flow, ack))

    client, server = flow.segments[0].seq, dice.randrange(1 << 32)
    match dice.randrange(9):
        case 0:
            more(True, SYN, client, 0)  # sent again
        case 1:
            more(False, RST | ACK, 0, client + 1)
            if dice.random() < 0.5:
                more(True, SYN, client + dice.choice((0, 70_000)), 0)
        case 2:
            more(False, RST | ACK, server, client + dice.choice((0, 2, 1 << 20)))
        case 3:
            more(False, RST, client + 1, 0)
        case 4:
            more(False, SYN | ACK, server, client + 1)
            if dice.random() < 0.7:
                more(True, ACK, client + 1, server + 1)
                more(True, ACK, client + 1, server + 1, b"GET / HTTP/1.0\r\n\r\n")
        case 5:
            more(True, ACK, client + 1, 0, b"data without an answer")
        case 6:
            more(True, FIN | ACK, client + 1, 0)
        case 7:
            more(False, RST | ACK, 0, client + 1)
            more(False, dice.choice((RST | ACK, RST)), 0, client + 1)
        case _:
            pass
    return flow


def never(*_: object) -> tuple[Any, Any]:
    """Instead of ``half_open.rows_of``: nothing is kept."""
    return np.zeros(0, np.int64), np.zeros(0, ROW)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 1 << 32),
    size=st.sampled_from((300, 700, 5_000, 1 << 20)),
    from_middle=st.booleans(),
    columns=st.sampled_from((0, 1)),
)
def test_kept_or_followed_is_the_same(seed: int, size: int, from_middle: bool, columns: int) -> None:
    dice = random.Random(seed)
    flows = [
        called(40_000 + n % 25, START_NS + dice.randrange(200) * dice.choice((MS, SECOND)), dice) for n in range(40)
    ]
    frames: Frames = [(s.ns, ethernet(s), dice.choice((1 << 16, 1 << 16, 54))) for s in ordered(flows)]
    kept = told(frames, columns, size, from_middle)
    with patch.object(half_open, "rows_of", never):
        assert told(frames, columns, size, from_middle) == kept


def facts_in_parts(paths: list[str], cuts: list[int]) -> Any:
    """Of a story that is read in shards."""
    parts = []
    for begin, end in pairwise([0, *cuts, inf]):
        story = Story(paths)
        parts.append(extract_shard(story, begin, end))
    facts = joined(parts, story)
    if facts is None:  # ports are used again at once
        return facts_in_parts(paths, [])
    return sorted(facts.connections), {flow: count for flow, count in facts.other_flows.items() if count}


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    captures=st.sampled_from((1, 2, 2)),
    size=st.sampled_from((400, 1_000, 4_000)),
    cuts=st.lists(st.integers(200, 10_000), max_size=2, unique=True),
)
def test_stories_of_several_captures_and_processes(seed: int, captures: int, size: int, cuts: list[int]) -> None:
    """A SYN may come in a batch of one capture, and all else in one of both, or in the part of another process."""
    dice = random.Random(seed)
    flows = [
        called(40_000 + n % 25, START_NS + dice.randrange(400) * dice.choice((MS, SECOND)), dice) for n in range(60)
    ]
    for n in range(3):
        flow = Pool().full(certificate("a"), numbered(n))
        flow.port = 41_000 + dice.randrange(3)
        begin, gap = dice.randrange(300) * SECOND, dice.choice((0, 5 * SECOND, 50 * SECOND))
        for index, segment in enumerate(flow.segments):
            segment.ns += begin + (gap if index else 0)
        flows.append(flow)
    is_in = [{n for n in range(400) if captures == 1 or dice.random() < 0.7} for _ in range(captures)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        paths = []
        for number, seconds in enumerate(is_in):
            late = number * dice.randrange(2_000)
            chosen = [s for s in ordered(flows) if captures == 1 or (s.ns - START_NS) // (20 * SECOND) in seconds]
            path = Path(folder) / f"{number}.pcap"
            path.write_bytes(pcap([(s.ns + late, ethernet(s)) for s in chosen]))
            if chosen:
                paths.append(str(path))
        patch.setattr(ByteSource.__init__, "__defaults__", (size,))
        kept = facts_in_parts(paths, sorted(cuts))
        patch.setattr(half_open, "rows_of", never)
        assert facts_in_parts(paths, sorted(cuts)) == kept


def alike(low: int, high: int) -> tuple[int, int]:
    """Other ends of a flow that mix to the same number."""
    mask, dice = (1 << 64) - 1, random.Random(1)
    mixed = (low * int(MIX_LOW) & mask) ^ (high * int(MIX_HIGH) & mask)
    back = pow(int(MIX_HIGH), -1, 1 << 64)
    while True:
        other = (1 << 24) + dice.randrange(1 << 28) << 16 | dice.randrange(1, 1 << 16)
        behind = (mixed ^ (other * int(MIX_LOW) & mask)) * back & mask
        if other < behind < 1 << 48 and behind >> 40:
            return other, behind


@pytest.mark.parametrize("size", [300, 1_000, 1 << 20])
def test_flows_that_mix_alike_are_told_apart(size: int) -> None:
    """Whoever knows how flows are sorted makes two that come to stand among each other."""
    addresses = AddressTable()
    ends = [
        addresses.number(ip_address(ip).packed) << 16 | port for ip, port in (("10.0.0.1", 40_000), ("10.0.0.2", 443))
    ]
    flows: list[Flow] = []
    for low, high in ((ends[0], ends[1]), alike(ends[0], ends[1])):
        (client, port), (server, server_port) = ((str(ip_address(end >> 16)), end & 0xFFFF) for end in (low, high))
        flow = Pool().full(certificate("a"), numbered(len(flows)))
        flow.client, flow.port, flow.server, flow.server_port = client, port, server, server_port
        flows.append(flow)
    frames: Frames = [
        (START_NS + n, ethernet(s), 1 << 16)
        for n, s in enumerate(s for pair in zip(*(flow.segments for flow in flows), strict=True) for s in pair)
    ]
    connections, *_, other_flows, _ = told(frames, 0, size, False)
    assert len(connections) == 2
    assert not other_flows
    facts = Facts()
    for packed in connections:
        connection = facts.unpack(packed)
        assert connection.syn
        assert connection.rtt is not None
        assert connection.from_client.bytes + connection.from_server.bytes > 1_000


def scan(count: int, *, is_refused: bool = False) -> list[tuple[int, bytes]]:
    """One asks many ports of many."""
    flows: list[Flow] = []
    for n in range(count):
        flow = Flow(1024 + n % 60_000, START_NS + n * MS // 10, f"10.9.{n % 7}.{n % 250}").add(True, SYN)
        if is_refused:
            flow.add(False, RST | ACK)
        flows.append(flow)
    return [(s.ns, ethernet(s)) for s in ordered(flows)]


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_scan_makes_no_flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_refused: bool) -> None:
    def refused(self: FlowTable, *_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(FlowTable, "_open", refused)
    path = tmp_path / "scan.pcap"
    path.write_bytes(pcap(scan(3_000, is_refused=is_refused)))
    facts = facts_of(path)
    assert sum(facts.other_flows.values()) == 3_000
    assert not any(flow.is_silent or flow.is_unseen for flow in facts.other_flows)


def test_more_than_are_kept_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_init = Engine.__init__

    def bounded(self: Engine, *arguments: Any, **named: Any) -> None:
        engine_init(self, *arguments, **named)
        self._flows = FlowTable(self._decoder.addresses, self, most_half_open=100)

    monkeypatch.setattr(Engine, "__init__", bounded)
    path = tmp_path / "scan.pcap"
    path.write_bytes(pcap(scan(500)))
    facts = facts_of(path)
    assert sum(facts.other_flows.values()) == 500
    (bound,) = facts.bounded
    assert bound == FlowsClosedEarly(425, 100)


def test_who_called_whom_is_counted_past_the_bound_as_flow_by_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many clients they are not told apart, and where there are too many servers not counted."""
    monkeypatch.setattr(bounds, "CACHE", 8)
    dice = random.Random(3)
    at_once, one_by_one = Engine(), Engine()
    for _ in range(6):
        clients = np.array([dice.randrange(20) << 16 | 9 for _ in range(50)], np.uint64)
        servers = np.array([(1 << 24 | dice.randrange(9)) << 16 | 443 for _ in range(50)], np.uint64)
        at_once.never_opened(clients, servers)
        for index in range(50):
            one_by_one.never_opened(clients[index : index + 1], servers[index : index + 1])
    assert _totals(at_once.facts.other_flows) == _totals(one_by_one.facts.other_flows)


def _totals(flows: dict[OtherFlow, int]) -> tuple[int, int]:
    """How many flows have a client, and how many are counted."""
    return sum(count for flow, count in flows.items() if flow.client), sum(flows.values())


def rows_of(entries: dict[int, tuple[int, int]]) -> Any:
    """``entries``: by their low end, time and segments."""
    rows = np.zeros(len(entries), ROW)
    for row, (low, (ns, count)) in zip(rows, entries.items(), strict=True):
        row["key"] = struct.pack(">QQ", low, 1 << 40)
        row["ns"], row["count"] = ns, count
    return rows


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(("add", "take", "over")), st.lists(st.integers(0, 300), max_size=30))))
def test_a_store_is_a_dictionary(steps: list[tuple[str, list[int]]]) -> None:
    store, model = HalfOpenFlows(10_000), dict[int, tuple[int, int]]()
    now = 0
    for step, numbers in steps:
        now += 10
        different = sorted(set(numbers))
        wanted = keys(np.array(different, np.uint64), np.full(len(different), 1 << 40, np.uint64))
        if step == "add":
            new = {n: (now, 1 + n % 2) for n in numbers if n not in model}
            model |= new
            assert not len(store.add(rows_of(new)))
        elif step == "take":
            held = store.holds(wanted).tolist()
            assert held == [n in model for n in different]
            taken = store.take(wanted)
            assert len(taken) == sum(held)
            for n in different:
                model.pop(n, None)
        else:
            over = {n for n, (ns, count) in model.items() if now - ns > (20 if count == 2 else 100)}
            assert len(store.take_over(now, 20, 100)) == len(over)
            model = {n: row for n, row in model.items() if n not in over}
        assert len(store) == len(model)
    last = store.take_all()
    assert [int(ns) for ns in last["ns"][:, 0]] == sorted(ns for ns, _ in model.values())
    assert not len(store)


def test_live_remembers_the_addresses_of_flows_that_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "ADDRESSES", 4)
    engine = LiveEngine(100)
    for n in range(30):
        flow = Flow(40_000 + n, START_NS + n * 3 * SECOND, f"2001:db8::{n:x}", "2001:db8:1::1").add(True, SYN)
        _live(engine, flow)
        engine.settle(flow.ns + SECOND)
    assert not engine.close().ended
    assert {flow.client[-1] for flow in engine.facts.other_flows} == set(range(30))


def test_live_follows_a_flow_that_opens_late() -> None:
    """Its SYN came in one batch, all else in others."""
    pool = Pool()
    flow = pool.full(certificate("a"), numbered(1))
    engine = LiveEngine(100)
    for segment in flow.segments:
        _live(engine, flow, segment)
    (connection,) = engine.close().ended
    assert connection.syn
    assert connection.first_ns == flow.segments[0].ns
    assert connection.rtt is not None
    assert connection.handshake.chain


def _live(engine: LiveEngine, flow: Flow, *segments: Segment) -> None:
    frames = [(s.ns, ethernet(s)) for s in segments or flow.segments]
    for batch in read_pcap(ByteSource(io.BytesIO(pcap(frames))), CaptureInfo("built")):
        engine.take(batch)
