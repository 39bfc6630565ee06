"""Connections on ports that were used before: without a SYN between them, or where the end of the one before is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import to_builtins

from inspector.capture import blocks
from inspector.facts import Facts
from inspector.findings.judge import judge
from tests.build import (
    CHANGE,
    DATA,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    MS,
    SYN,
    Flow,
    Pool,
    Segment,
    certificate,
    certificates,
    client_hello,
    document_of,
    facts_of,
    numbered,
    record,
    server_hello,
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
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (512,))
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


def established(flow: Flow, number: int) -> Flow:
    flow.open().client_says(record(22, client_hello(numbered(number)), 0x301))
    flow.server_says(record(22, server_hello(numbered(9), b"") + certificates(A) + DONE))
    return flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)


def connections(facts: Facts) -> list[tuple[int, int, bool, bytes]]:
    return [
        (c.first_frame, c.last_frame, c.syn, c.handshake.client_random) for c in map(facts.unpack, facts.connections)
    ]


def test_a_connection_at_a_border_whose_ports_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (4096,))
    first = established(Flow(40001, 10**18), 1)
    for _ in range(40):
        first.client_says(DATA)
    first.close()
    second = Flow(40001, first.ns + 10 * MS, isn=(1 << 30, 1 << 29)).open()
    second.client_says(record(22, client_hello(numbered(2)), 0x301)).close()
    path = written(tmp_path, [first, second])
    expected = connections(whole(path))
    size = path.stat().st_size
    for cut in (size * 0.1, size * 0.3, size * 0.6, size * 0.9):
        assert connections(in_parts(path, [cut])) == expected, cut


def test_a_lone_fin_places_no_stream(tmp_path: Path) -> None:
    """A capture begins with the end of a connection, and its ports are used again at once."""
    tail = Flow(40001, 10**18, isn=(1 << 31, 1 << 30))
    tail.sent = [5000, 9000]
    tail.server_says(DATA).close()
    again = established(Flow(40001, tail.ns + 10 * MS, isn=(77, 1 << 29)), 2).client_says(DATA)
    again.server_says(DATA, wait=5000 * MS).client_says(DATA).server_says(DATA).close()
    facts = facts_of(written(tmp_path, [tail, again]))
    (connection,) = [c for c in map(facts.unpack, facts.connections) if c.handshake.offer is not None]
    assert connection.syn
    assert connection.rtt is not None
    assert connection.from_client.application_records == 2
    assert connection.from_server.application_records == 2
