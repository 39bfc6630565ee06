"""Ports that are used again where something of the connection before is missing; frames that claim what cannot be."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from inspector.capture import blocks
from inspector.capture.files import Story
from inspector.extract.shard import extract_shard, joined
from inspector.facts import Facts
from tests.build import (
    ACK,
    CHANGE,
    DATA,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    MS,
    Flow,
    Pool,
    certificate,
    certificates,
    client_hello,
    ethernet,
    facts_of,
    numbered,
    ordered,
    record,
    server_hello,
    written,
)

INFINITE = float("inf")
A, B = certificate("a"), certificate("b")


def established(flow: Flow, number: int) -> Flow:
    flow.open().client_says(record(22, client_hello(numbered(number)), 0x301))
    flow.server_says(record(22, server_hello(numbered(9), b"") + certificates(A) + DONE))
    return flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)


def connections(facts: Facts) -> list[tuple[int, int, bool, bytes]]:
    return [
        (c.first_frame, c.last_frame, c.syn, c.handshake.client_random) for c in map(facts.unpack, facts.connections)
    ]


def test_a_connection_at_a_border_whose_ports_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (None, 4096))
    first = established(Flow(40001, 10**18), 1)
    for _ in range(40):
        first.client_says(DATA)
    first.close()
    second = Flow(40001, first.ns + 10 * MS, isn=(1 << 30, 1 << 29)).open()
    second.client_says(record(22, client_hello(numbered(2)), 0x301)).close()
    path = written(tmp_path, [first, second])
    whole = connections(extract_shard(Story([str(path)]), 0.0, INFINITE).facts)
    size = path.stat().st_size
    for cut in (size * 0.1, size * 0.3, size * 0.6, size * 0.9):
        last = Story([str(path)])
        parts = [extract_shard(Story([str(path)]), 0.0, cut), extract_shard(last, cut, INFINITE)]
        assert connections(joined(parts, last)) == whole, cut


def test_a_lone_fin_places_no_stream(tmp_path: Path) -> None:
    """A capture begins with the end of a connection, and its ports are used again at once."""
    tail = Flow(40001, 10**18, isn=(1 << 31, 1 << 30))
    tail.sent = [5000, 9000]
    tail.server_says(DATA).close()
    again = established(Flow(40001, tail.ns + 10 * MS, isn=(77, 1 << 29)), 2).client_says(DATA)
    again.server_says(DATA, wait=5000 * MS).close()
    facts = facts_of(written(tmp_path, [tail, again]))
    (connection,) = [c for c in map(facts.unpack, facts.connections) if c.handshake.offer is not None]
    assert connection.syn
    assert connection.from_client.application_records == 1
    assert connection.from_server.application_records == 1


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
