"""A hello in records of any size, of odd versions, behind whatever may stand before it: the same connection."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from inspector import bounds
from inspector.document import Document
from inspector.tls.preamble import NoHello, find_hello
from inspector.tls.records import NEVER, RecordReader
from inspector.tls.types import CHANGE_CIPHER_SPEC, HANDSHAKE
from tests.build import (
    ACK,
    FIN,
    RST,
    Flow,
    Pool,
    Segment,
    certificate,
    client_hello,
    document_of,
    numbered,
    record,
    server_hello,
    written,
)
from tests.test_tls import Sink

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y = numbered(1), numbered(2)
Exchange = list[tuple[bool, bytes]]
"""What is said before TLS: whether by the client, and the bytes."""


def proxy_v2(length: int) -> bytes:
    """A PROXY header of version 2 over TCP4, with a NOOP TLV that fills it up to ``length`` bytes behind its first
    sixteen.
    """
    addresses = bytes((10, 0, 0, 1, 10, 0, 0, 2)) + struct.pack(">HH", 1234, 443)
    rest = length - len(addresses)
    tlv = b"\x04" + struct.pack(">H", rest - 3) + bytes(rest - 3) if rest >= 3 else b""
    return b"\r\n\r\n\x00\r\nQUIT\n\x21\x11" + struct.pack(">H", len(addresses) + len(tlv)) + addresses + tlv


PAGE = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 20000\r\n\r\n" + b"<html>" * 3_400
CONNECT = b"CONNECT puppetdb.example.com:8081 HTTP/1.1\r\nHost: puppetdb.example.com:8081\r\n\r\n"
STARTTLS: Exchange = [
    (True, b"EHLO a\r\n"),
    (False, b"250-mx\r\n250 STARTTLS\r\n"),
    (True, b"STARTTLS\r\n"),
    (False, b"220 go ahead\r\n"),
]
EXCHANGES: dict[str, Exchange] = {
    "nothing": [],
    "smtp": [(False, b"220 mx ESMTP\r\n"), *STARTTLS],
    "a greeting of 17,000 bytes": [(False, b"220-" + b"welcome " * 2_125 + b"\r\n"), *STARTTLS],
    "a greeting of 100,000 bytes": [(False, b"220-" + b"welcome " * 125 + b"\r\n")] * 100 + STARTTLS,
    "a proxy's page": [(True, CONNECT), (False, PAGE), (True, CONNECT), (False, b"HTTP/1.1 200 OK\r\n\r\n")],
    "a client that sends much": [
        (True, CONNECT[:-2] + b"Proxy-Authorization: Negotiate " + b"A" * 40_000 + b"\r\n\r\n"),
        (False, b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
    "proxy v1": [(True, b"PROXY TCP4 10.0.0.1 10.0.0.2 1234 443\r\n")],
    "proxy v2": [(True, proxy_v2(12))],
    "proxy v2 of 20,000 bytes": [(True, proxy_v2(20_000))],
    "two proxy v2 headers": [(True, proxy_v2(30_000) + proxy_v2(60_000))],
    "socks5": [
        (True, b"\5\1\0"),
        (False, b"\5\0"),
        (True, b"\5\1\0\1\12\0\0\1\x1f\x91"),
        (False, b"\5\0\0\1\0\0\0\0\0\0"),
    ],
    "bytes like a record": [
        (True, b"\x16\x03\x05hello"),
        (False, b"\x16\x03\x01\x00\x05\x04abcd"),
        (True, b"\x16"),
        (False, b"\x16\x03"),
    ],
}


def story() -> list[Flow]:
    """A full handshake, its session resumed, then declined and given up."""
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    return pool.flows


def refragmented(payload: bytes, size: int, is_clear: bool, version: int) -> tuple[bytes, bool]:
    """Handshake records in clear, cut into records of ``size`` bytes; and whether what follows is still in clear."""
    out, at = bytearray(), 0
    while at < len(payload):
        kind, length = payload[at], int.from_bytes(payload[at + 3 : at + 5], "big")
        body = payload[at + 5 : at + 5 + length]
        if kind == HANDSHAKE and is_clear:
            for start in range(0, length, size):
                out += record(HANDSHAKE, body[start : start + size], version)
        else:
            out += payload[at : at + 5 + length]
        is_clear = is_clear and kind != CHANGE_CIPHER_SPEC
        at += 5 + length
    return bytes(out), is_clear


def behind(
    flow: Flow,
    exchange: Exchange,
    *,
    size: int = 1 << 14,
    joined: bool = False,
    segment: int = 40_000,
    version: int = 0x0303,
) -> Flow:
    """The flow with something before its TLS, in records of other sizes. ``joined``: what its client says last shares a
    segment with its hello.
    ``segment``: bytes of a segment at most."""
    out = Flow(flow.port, flow.ns, flow.client).open()

    def say(from_client: bool, flags: int, data: bytes) -> None:
        for start in range(0, len(data), segment):
            out.add(from_client, ACK, data[start : start + segment], wait=1_000)
        if flags & (FIN | RST):
            out.add(from_client, flags, wait=1_000)

    waiting = b""
    for number, (from_client, data) in enumerate(exchange):
        if joined and from_client and number == len(exchange) - 1:
            waiting = data
        else:
            say(from_client, ACK, data)
    is_clear = [True, True]
    for s in flow.segments[3:]:
        data, is_clear[s.from_client] = refragmented(
            s.payload, size, is_clear[s.from_client], version if s.from_client else 0x0303
        )
        if s.from_client:
            data, waiting = waiting + data, b""
        say(s.from_client, s.flags, data)
    return out


def told(document: Document) -> Any:
    """What a document says of handshakes, whatever stood before them and however they were cut."""
    return (
        [
            (c.outcome, h.kind, h.jsse.verdict, h.server_chain, h.server_name, h.session, h.ja4, h.ems)
            for c in document.connections
            for h in c.handshakes
        ],
        [(f.rule, f.verdict) for f in document.findings],
        [(s.assessment.state, s.assessment.grade) for s in document.services],
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = told(document_of(written(tmp_path_factory.mktemp("plain"), story())))
    assert ("certificate-change-abort", "confirmed") in found[1]
    return found


AT_ONCE = [name for name in EXCHANGES if "proxy v" in name]
"""Only behind such a header a client says its hello at once."""
SIZES = {
    "size": st.integers(1, 400),
    "segment": st.sampled_from((1, 3, 7, 64, 536, 1448, 40_000)),
    "joined": st.booleans(),
}


@pytest.mark.parametrize(
    ("name", "joined"), [*((name, False) for name in EXCHANGES), *((name, True) for name in AT_ONCE)]
)
def test_preambles_of_any_length(tmp_path: Path, expected: Any, name: str, joined: bool) -> None:
    exchange = EXCHANGES[name]
    flows = [behind(flow, exchange, joined=joined, segment=1448) for flow in story()]
    document = document_of(written(tmp_path, flows))
    assert told(document) == expected
    assert not {limit.kind for limit in document.limits} & {"preamble", "lost_bytes", "mid_stream"}
    assert all((c.preamble is not None) == bool(exchange) for c in document.connections)


@settings(max_examples=25)
@given(name=st.sampled_from([name for name in EXCHANGES if "100,000" not in name]), **SIZES)
def test_records_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, expected: Any, size: int, segment: int, name: str, joined: bool
) -> None:
    """Handshakes in records of 1 byte and more, in segments of any size, at the very start and behind
    every preamble.
    """
    exchange = EXCHANGES[name]
    is_long = sum(len(data) for _, data in exchange) > 5_000
    flows = [
        behind(
            flow,
            exchange,
            size=size,
            segment=max(segment, 536) if is_long else segment,
            joined=joined and name in AT_ONCE,
        )
        for flow in story()
    ]
    assert told(document_of(written(tmp_path_factory.mktemp("cut"), flows))) == expected


@pytest.mark.parametrize("name", ["smtp", "a greeting of 100,000 bytes", "proxy v2 of 20,000 bytes"])
@pytest.mark.parametrize("is_client", [False, True])
def test_one_direction_behind_a_preamble(tmp_path: Path, name: str, is_client: bool) -> None:
    """Nobody else speaks between preamble and hello in such a capture."""
    flows = [behind(flow, EXCHANGES[name], segment=1448) for flow in story()]
    for flow in flows:
        flow.segments = [s for s in flow.segments if s.from_client == is_client]
    found = document_of(written(tmp_path, flows)).connections
    assert [bool(c.handshakes[0].client_random) for c in found] == [is_client] * 3
    assert [bool(c.handshakes[0].server_random) for c in found] == [not is_client] * 3


@pytest.mark.parametrize("minor", [*range(8), 0x10, 0x7F, 0xFF])
def test_record_versions(tmp_path: Path, minor: int) -> None:
    """Servers take any 0x03nn for a ClientHello, and so does this; a client that writes what no TLS stack writes is not
    known to be Java.
    """
    document = document_of(written(tmp_path, [behind(flow, [], version=0x0300 | minor) for flow in story()]))
    assert [c.outcome for c in document.connections] == ["established", "established", "aborted"]
    assert [c.handshakes[0].kind for c in document.connections] == ["full", "session_id", "full"]
    assert {a.kind for c in document.connections for a in c.anomalies} == ({"record_version"} if minor > 3 else set())
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == [
        "possible" if minor > 3 else "confirmed"
    ]


def test_a_hello_that_begins_within_a_segment_is_not_called_an_abort(tmp_path: Path) -> None:
    """What is looked at no further is named: such a connection is not judged."""
    flows = [behind(flow, EXCHANGES["a greeting of 17,000 bytes"]) for flow in story()]
    for flow in flows:
        first = next(i for i, s in enumerate(flow.segments) if not s.from_client and b"\x16\x03\x03" in s.payload)
        flow.segments[first - 2].payload += b"bytes "  # not sent before the next segment, says nobody
        for s in flow.segments[first - 1 :]:
            if not s.from_client:
                s.seq += 6
        flow.segments[first].payload = b"noise" + flow.segments[first].payload
        for s in flow.segments[first + 1 :]:
            if not s.from_client:
                s.seq += 5
    document = document_of(written(tmp_path, flows))
    assert [c.outcome for c in document.connections][:2] == ["incomplete", "incomplete"]
    assert "preamble" in {limit.kind for limit in document.limits}


PREAMBLES = {
    "proxy_v1": b"PROXY TCP4 10.0.0.10 10.0.0.100 40000 8081\r\n",
    "proxy_v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
    "http_connect": b"CONNECT puppetdb.example.com:8081 HTTP/1.1\r\nHost: x\r\n\r\n",
    "socks5": b"\x05\x01\x00\x05\x01\x00\x01\x0a\0\0\x64\x1f\x91",
    "starttls": b"EHLO me.example.com\r\nSTARTTLS\r\n",
}


@pytest.mark.parametrize("own_segment", [True, False])
@pytest.mark.parametrize("name", PREAMBLES)
def test_preambles(tmp_path: Path, name: str, own_segment: bool) -> None:
    """What may stand before a hello, in a segment of its own or in the hello's."""
    made = Pool()
    flow = made.full(A, numbered(1))
    hello = next(s for s in flow.segments if s.payload)
    size = len(PREAMBLES[name])
    for s in flow.segments:
        if s.from_client and s.seq >= 1 and s is not hello:
            s.seq += size
    if own_segment:
        hello.seq += size
        flow.segments.insert(flow.segments.index(hello), Segment(hello.ns - 1000, True, 16, 1, PREAMBLES[name], flow))
    else:
        hello.payload = PREAMBLES[name] + hello.payload
    document = document_of(written(tmp_path, made.flows))
    (c,) = document.connections
    assert (c.preamble, c.outcome, c.handshakes[0].kind) == (name, "established", "full")


HELLO = client_hello(numbered(1))
STARTS: list[tuple[bytes, bool, int | NoHello]] = [
    (record(22, HELLO, 0x0301), True, 0),
    (record(22, HELLO, 0x0305), True, 0),
    (record(22, HELLO, 0x0305), False, 0),
    (record(22, HELLO, 0x03FF), False, 0),
    (record(22, HELLO, 0x0405), False, NoHello(0)),
    (record(22, HELLO, 0x0000), True, NoHello(0)),
    (record(22, server_hello(numbered(2)), 0x0303), False, 0),
    (b"".join(record(22, HELLO[i : i + 1]) for i in range(80)), False, 0),
    (b"".join(record(22, HELLO[i : i + 4]) for i in range(0, 80, 4)), False, 0),
    (record(22, HELLO[:1]) + record(22, b"") + record(22, HELLO[1:]), False, 0),
    (record(22, HELLO[:3]), False, NoHello(8)),
    (record(22, HELLO[:3]) + record(23, b"abc") + record(22, HELLO[3:]), False, NoHello(0)),
    (record(22, HELLO[:1]) + record(22, b"") * 100 + record(22, HELLO[1:]), False, NoHello(0)),
    (b"220 go\r\n" + b"".join(record(22, HELLO[i : i + 2]) for i in range(0, 40, 2)), False, 8),
    (record(22, b"\x04" + HELLO[1:]), False, NoHello(0)),
    (record(22, b"\x01\x00\x00\x05" + HELLO[4:]), False, NoHello(0)),
]


@pytest.mark.parametrize(("data", "at_start", "where"), STARTS)
def test_find_hello(data: bytes, at_start: bool, where: int | NoHello) -> None:
    assert find_hello(data, at_start) == where


def test_bulk_that_is_no_tls_is_left_alone() -> None:
    """Once the search has given up, no byte is asked for, and a flight that begins like a record costs one look."""
    sink = Sink()
    reader = RecordReader(0, sink)
    at = 0
    while reader.want != NEVER:
        reader.feed(at, b"plain text, " * 100, 1, at)
        at += 1200
    assert at <= bounds.SEARCH_BYTES + 2400
    for body in (b"\x16", b"\x16\x03\x03", b"\x16 no record at all " * 50):
        reader.wake(at)
        reader.feed(at, body + b"and more", 1, at)
        at += len(body) + 8
        assert reader.want == NEVER
    assert sink.said == ["preceded b'plain '"]
    reader.wake(at)
    reader.feed(at, record(22, HELLO), 1, at)
    assert sink.said[-2:] == ["started", f"message 1 {len(HELLO) - 4}"]
    assert not reader.searched_bytes
