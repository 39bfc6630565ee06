"""Batches of so many small segments that each may be a flow: taken in pieces, with as many flows open as may be."""

from __future__ import annotations

import io

import pytest

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import read_pcap
from inspector.extract.engine import Engine
from inspector.wire.flows import FlowTable
from inspector.wire.grouping import Grouped
from inspector.wire.segments import SegmentBatch
from tests.attacks.attack import A, B, Given
from tests.attacks.floods import HALF_OPEN, flood
from tests.build import Pool, capture, certificate, numbered


def fed(data: bytes) -> Engine:
    engine = Engine()
    for batch in read_pcap(ByteSource(io.BytesIO(data)), CaptureInfo("crowded")):
        engine.feed(batch)
    engine.finish()
    return engine


@pytest.mark.parametrize("kind", ["SYN ACK", "all flags", "SYN with a payload", "a byte each", "a hello each"])
def test_no_batch_opens_more_flows_than_may_be(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "FLOWS", 500)
    monkeypatch.setattr(bounds, "CROWDED", 900)
    monkeypatch.setattr(bounds, "CROWDED_PIECE", 300)
    defaults = FlowTable.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(FlowTable.__init__, "__kwdefaults__", {**defaults, "most_flows": 500})
    open_at_once = []
    feed = FlowTable._feed_piece

    def measured(self: FlowTable, batch: SegmentBatch, grouped: Grouped | None) -> None:
        feed(self, batch, grouped)
        open_at_once.append(len(self._flows))

    monkeypatch.setattr(FlowTable, "_feed_piece", measured)
    given: Given = flood(HALF_OPEN[kind], 4_000)
    engine = fed(given.data)
    assert len(open_at_once) > 10
    assert max(open_at_once) <= 500
    assert [type(limit).__name__ for limit in engine.not_kept()] == ["FlowsClosedEarly"]


def test_pieces_tell_what_the_whole_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    for number in range(60):
        pool.full((A, B, certificate("c"))[number % 3], numbered(number + 1), numbered(number))
        pool.resumed(numbered(number + 1))
        pool.given_up(B, numbered(500 + number), numbered(number + 1))
    data = capture(pool.flows)
    whole = sorted(fed(data).facts.connections)
    monkeypatch.setattr(bounds, "CROWDED", 10)
    for piece in (7, 64, 99):
        monkeypatch.setattr(bounds, "CROWDED_PIECE", piece)
        assert sorted(fed(data).facts.connections) == whole
