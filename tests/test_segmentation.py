"""The same bytes, cut anywhere, reordered within a window, repeated, overlapping: the same analysis (frames, times,
history and gaps aside).
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from inspector.capture.files import Story
from inspector.document import Document
from inspector.findings.attributes import OF_WAITS
from tests.build import (
    ACK,
    FIN,
    RST,
    SYN,
    Flow,
    Pool,
    Segment,
    capture,
    certificate,
    document_of,
    ethernet,
    numbered,
    pcap,
    written,
)
from tests.conftest import find

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))
MOVING = {
    "frames",
    "frame",
    "first_seen",
    "last_seen",
    "rtt",
    "history",
    "gap_bytes",
    "first",
    "last",
    "at",
    "issued_at",
    "summary",
    "packets",
    "bytes",
    "path",
    "clocks",
}


def story() -> list[Flow]:
    """Every kind of handshake that the builder knows."""
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    pool.given_up(B, Z, X, alert=None)
    pool.server_alert(40)
    pool.tls13(psk=b"ticket", accepted=True)
    pool.full(B, numbered(4), Z)
    return pool.flows


def settled(value: Any) -> Any:
    """The document without what may move. An order in which answers come before what they answer, in all flows by as
    much, is what a clock that is late looks like: what is said of clocks follows from the times, which move.
    """
    if isinstance(value, dict):
        return {
            k: settled(v)
            for k, v in value.items()
            if k not in MOVING and not (k == "text" and value.get("role") == "resumed")
        }
    if isinstance(value, list):
        return [settled(v) for v in value if not (isinstance(v, dict) and is_of_times(v))]
    return value


def is_of_times(value: dict[str, Any]) -> bool:
    """A limit or an attribute that says nothing but times."""
    return value.get("kind") == "clock_offset" or value.get("attribute") in OF_WAITS.values()


def compared(document: Document) -> Any:
    return settled(msgspec.to_builtins(document))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return compared(document_of(written(tmp_path_factory.mktemp("story"), story())))


def cut(flow: Flow, dice: random.Random, *, window: int, duplicates: bool, overlap: bool) -> None:
    """Cut what lies between the opening and the closing of a flow into other segments, in another order."""
    start = next(i for i, s in enumerate(flow.segments) if s.payload)
    end = next(i for i, s in enumerate(flow.segments) if s.flags & (FIN | RST))
    body = flow.segments[start:end]
    streams: dict[bool, tuple[int, bytes]] = {}
    for s in body:
        base, data = streams.get(s.from_client, (s.seq, b""))
        streams[s.from_client] = (base, data + s.payload)
    pieces: list[Segment] = []
    for s in body:
        base, data = streams[s.from_client]
        at = 0
        while at < len(s.payload):
            size = dice.choice((1, 3, 7, 40, 200, 1448, len(s.payload)))
            piece = s.payload[at : at + size]
            if overlap and dice.random() < 0.3:
                begin = s.seq + at - base
                piece = data[begin : begin + len(piece) + dice.randrange(30)]
            pieces.append(Segment(0, s.from_client, ACK, s.seq + at, piece, flow))
            at += size
    if duplicates:
        for s in dice.sample(pieces, len(pieces) // 4):
            pieces.insert(
                min(pieces.index(s) + dice.randrange(1, 6), len(pieces)),
                Segment(0, s.from_client, s.flags, s.seq, s.payload, flow),
            )
    order = sorted(range(len(pieces)), key=lambda i: i + dice.random() * window)
    first, last = body[0].ns, flow.segments[end].ns
    moved = [pieces[i] for i in order]
    for number, s in enumerate(moved):
        s.ns = first + (last - first) * number // (len(moved) + 1)
    flow.segments[start:end] = moved


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32), window=st.sampled_from([0, 1, 4, 30]), duplicates=st.booleans(), overlap=st.booleans()
)
def test_any_segmentation_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, expected: Any, seed: int, window: int, duplicates: bool, overlap: bool
) -> None:
    dice = random.Random(seed)
    flows = story()
    for flow in flows:
        cut(flow, dice, window=window, duplicates=duplicates, overlap=overlap)
    path = tmp_path_factory.mktemp("cut")
    assert compared(document_of(written(path, flows))) == expected


def test_byte_by_byte(tmp_path: Path, expected: Any) -> None:
    flows = story()
    for flow in flows:
        flow.segments = [
            Segment(s.ns + i, s.from_client, s.flags, s.seq + i, bytes([byte]), flow)
            for s in flow.segments
            if s.payload
            for i, byte in enumerate(s.payload)
        ] + [s for s in flow.segments if not s.payload]
        flow.segments.sort(key=lambda s: s.ns)
    assert compared(document_of(written(tmp_path, flows))) == expected


@settings(max_examples=15)
@given(seed=st.integers(0, 1 << 32))
def test_frames_in_any_order_in_the_file(tmp_path_factory: pytest.TempPathFactory, expected: Any, seed: int) -> None:
    """Time stamps tell the order; where the frames lie in the file does not matter."""
    flows = story()
    frames = [(s.ns, ethernet(s)) for f in flows for s in f.segments]
    random.Random(seed).shuffle(frames)
    path = tmp_path_factory.mktemp("shuffled") / "shuffled.pcap"
    path.write_bytes(pcap(frames))
    assert compared(document_of(path)) == expected


def test_a_file_given_twice_counts_once(tmp_path: Path, expected: Any) -> None:
    path = written(tmp_path, story())
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(path.read_bytes())
    assert compared(document_of(path, copy, path)) == expected
    assert len(Story([str(path), str(copy)]).captures) == 1


@pytest.mark.parametrize("pieces", [2, 3, 7])
def test_rotated_files_are_one_story(tmp_path: Path, expected: Any, pieces: int) -> None:
    frames = sorted((s.ns, ethernet(s)) for f in story() for s in f.segments)
    size = len(frames) // pieces + 1
    paths = []
    for number in range(pieces):
        path = tmp_path / f"{9 - number}.pcap"  # names in no order
        path.write_bytes(pcap(frames[number * size : (number + 1) * size]))
        paths.append(path)
    found = compared(document_of(*paths))
    assert len(found.pop("captures")) == pieces
    assert found == {k: v for k, v in expected.items() if k != "captures"}


def test_ids_do_not_depend_on_the_form(tmp_path: Path) -> None:
    """gz, a rotated set, another start of sequence numbers: the same ids."""
    import gzip

    source = find("silent-abort")
    plain = tmp_path / "plain.pcap"
    plain.write_bytes(gzip.decompress(source.read_bytes()))
    a, b = document_of(source), document_of(plain)
    for name in ("connections", "findings", "incidents", "services", "clients", "backends"):
        assert [x.id for x in getattr(a, name)] == [x.id for x in getattr(b, name)]


def test_sequence_numbers_wrap(tmp_path: Path, expected: Any) -> None:
    """The builder's client starts 256 bytes before the wrap; here also the server wraps inside its flight."""
    flows = story()
    for flow in flows:
        flow.isn = (5, 0xFFFFFFF0)
    assert compared(document_of(written(tmp_path, flows))) == expected


def test_loss_is_named_and_what_follows_is_found(tmp_path: Path) -> None:
    """A piece of the server's flight is missing: a gap, a limit, and no invention; the connection is
    still established.
    """
    pool = Pool()
    flow = pool.full(A, X)
    flight = next(s for s in flow.segments if not s.from_client and len(s.payload) > 300)
    flow.segments.insert(
        flow.segments.index(flight) + 1,
        Segment(flight.ns + 1, False, ACK, flight.seq + 300, flight.payload[300:], flow),
    )
    flight.payload = flight.payload[:120]
    document = document_of(written(tmp_path, pool.flows))
    (c,) = document.connections
    assert c.gap_bytes == 180
    assert c.handshakes[0].server_chain == []
    assert c.outcome == "established"
    assert {"lost_bytes"} <= {limit.kind for limit in document.limits}


def test_capture_from_the_middle(tmp_path: Path) -> None:
    """No SYN, no hello: what is left is counted, and nothing is claimed."""
    pool = Pool()
    flow = pool.full(A, X)
    later = [s for s in flow.segments if s.payload][2:]
    flow.segments = later
    document = document_of(written(tmp_path, pool.flows))
    (c,) = document.connections
    assert c.handshakes[0].kind is None
    assert c.handshakes[0].client_random is None
    assert c.service is not None
    assert not [f for f in document.findings if f.severity == "high"]


def test_one_side_only(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    for flow in pool.flows:
        flow.segments = [s for s in flow.segments if s.from_client]
    document = document_of(written(tmp_path, pool.flows))
    assert {c.outcome for c in document.connections} == {"incomplete"}
    assert any(limit.kind == "one_sided" for limit in document.limits)


def test_port_used_again(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.port -= 1
    pool.full(A, Y)
    pool.flows[1].isn = (1234, 99)
    document = document_of(written(tmp_path, pool.flows))
    assert [c.client_endpoint.port for c in document.connections] == [pool.port, pool.port]
    assert len({c.id for c in document.connections}) == 1 + (
        document.connections[0].handshakes[0].client_random != document.connections[1].handshakes[0].client_random
    )


def test_syn_with_another_number_after_a_reset(tmp_path: Path) -> None:
    first = Flow(41_000, 10**18).open().add(False, RST)
    pool = Pool(ns=10**18 + 10**9, port=40_999)
    pool.full(A, X)
    pool.flows.insert(0, first)
    pool.flows[1].isn = (77, 78)
    document = document_of(written(tmp_path, pool.flows))
    assert [c.outcome for c in document.connections] == ["established"]


def test_written_capture_is_what_the_builder_says(tmp_path: Path) -> None:
    assert capture(story())[:4] == b"\x4d\x3c\xb2\xa1"
    assert SYN == 2
