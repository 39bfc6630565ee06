"""Connections on ports that were used before, without a SYN between them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import to_builtins

from inspector.capture import blocks
from inspector.findings.judge import judge
from tests.build import (
    SYN,
    Flow,
    Pool,
    Segment,
    certificate,
    document_of,
    numbered,
    written,
)
from tests.test_shards import in_parts, whole

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))


def reused(flows: list[Flow], *, is_closed: bool = True) -> list[Flow]:
    """The flows on one port, without a SYN, one behind the other."""
    for number, flow in enumerate(flows):
        flow.port = 50_000
        flow.isn = (
            2_042_225_962 - number * 900_000_000 & 0xFFFFFFFF,
            2_044_449_415 + number * 700_000_000 & 0xFFFFFFFF,
        )
        flow.segments = [s for s in flow.segments if not s.flags & SYN and (is_closed or not s.flags & 1)]
    return flows


@pytest.mark.parametrize("is_closed", [True, False])
def test_ports_used_again_without_a_syn(tmp_path: Path, is_closed: bool) -> None:
    """Three connections are told apart, and that a jump alone tells them apart is named."""
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    document = document_of(written(tmp_path, reused(pool.flows, is_closed=is_closed)))
    assert [c.handshakes[0].kind for c in document.connections] == ["full", "session_id", "full"]
    assert "sequence_jump" in {limit.kind for limit in document.limits}
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == ["possible"]


def test_ports_used_again_wherever_the_story_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes tell the same connections apart."""
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (None, 512))
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    path = written(tmp_path, reused(pool.flows))
    expected = to_builtins(judge(whole(path)).complete())
    for share in range(1, 20):
        assert to_builtins(judge(in_parts(path, [path.stat().st_size * share / 20])).complete()) == expected


def test_a_hello_behind_the_middle_of_another_connection(tmp_path: Path) -> None:
    pool = Pool()
    first = pool.full(A, X)
    pool.full(B, Y)
    flows = reused(pool.flows, is_closed=False)
    first.segments = [s for s in first.segments if s.payload][3:]
    document = document_of(written(tmp_path, flows))
    assert [c.handshakes[0].kind for c in document.connections] == [None, "full"]


def test_a_hello_that_is_sent_again_begins_nothing(tmp_path: Path) -> None:
    pool = Pool()
    flow = pool.full(A, X)
    hello = next(s for s in flow.segments if s.payload)
    flow.segments.append(Segment(flow.ns + 5, True, hello.flags, hello.seq, hello.payload, flow))
    document = document_of(written(tmp_path, pool.flows))
    assert [c.outcome for c in document.connections] == ["established"]
    assert "sequence_jump" not in {limit.kind for limit in document.limits}
