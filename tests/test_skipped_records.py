"""Application data that is skipped record by record, and as much as a span holds at once: the same facts."""

from __future__ import annotations

import random
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies as st

from inspector.tls.records import RecordReader
from tests.build import Flow, Pool, certificate, ethernet, numbered, ordered, record
from tests.test_regular import told

A = certificate("puppetdb1", ("puppetdb1.example.com",))
Frames = list[tuple[int, bytes, int]]


def downloads(dice: random.Random) -> list[Flow]:
    """Responses of many records, and what may stand between them."""
    pool = Pool()
    for n in range(dice.randrange(1, 4)):
        flow = pool.full(A, numbered(n))
        del flow.segments[-3:]
        for _ in range(dice.randrange(1, 40)):
            kind = dice.choice((23,) * 12 + (20, 21, 22, 99))
            said = record(kind, b"x" * dice.choice((0, 1, 2, 3, 26, 1443, 5000, 16_384, 18_432, 18_433)))
            if dice.random() < 0.9:
                flow.server_says(said)
            else:
                flow.client_says(said)
        flow.close()
    return pool.flows


def in_segments(flows: list[Flow], dice: random.Random) -> Frames:
    """Frames of some size, a few of which were lost, cut or are in disorder."""
    size, harm = dice.choice((1, 7, 100, 1448, 20_000)), dice.choice((0, 0, 0.01))
    for flow in flows:
        whole, flow.segments = flow.segments, []
        for s in whole:
            step = max(size, len(s.payload) // 400)
            for at in range(0, len(s.payload) or 1, step):
                flow.segments.append(
                    type(s)(s.ns + at, s.from_client, s.flags, s.seq + at, s.payload[at : at + step], flow, s.ack)
                )
    frames = [(s.ns, ethernet(s), 1 << 16) for s in ordered(flows)]
    for at in range(len(frames) - 1, -1, -1):
        if dice.random() < harm:
            match dice.randrange(3):
                case 0:
                    del frames[at]
                case 1:
                    ns, frame, _ = frames[at]
                    frames[at] = (ns, frame, dice.randrange(54, 1600))
                case 2:
                    frames[at - 1], frames[at] = frames[at], frames[at - 1]
    return frames


def one_by_one(frames: Frames, size: int) -> object:
    with patch.object(RecordReader, "skip_records", lambda *_: False):
        return told(frames, 0, size, False)


@settings(max_examples=100)
@given(seed=st.integers(0, 1 << 32), size=st.sampled_from([5_000, 100_000, 1 << 20]))
def test_records_may_be_skipped_together(seed: int, size: int) -> None:
    dice = random.Random(seed)
    frames = in_segments(downloads(dice), dice)
    assert told(frames, 0, size, False) == one_by_one(frames, size)


def test_most_are_skipped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lest the comparison above compares nothing."""
    alone: list[int] = []
    skip = RecordReader.skip_record

    def counted(self: RecordReader, data: memoryview, at: int, left: int, frame: int, ns: int) -> bool:
        alone.append(at)
        return skip(self, data, at, left, frame, ns)

    monkeypatch.setattr(RecordReader, "skip_record", counted)
    flow = Pool().full(A, numbered(1))
    del flow.segments[-3:]
    for _ in range(100):
        flow.server_says(record(23, b"x" * 1000))
    told([(s.ns, ethernet(s), 1 << 16) for s in ordered([flow])], 0, 1 << 20, False)
    assert len(alone) < 5
