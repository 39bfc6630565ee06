"""What was cut or lost: named, never guessed. Nothing that a whole capture does not say is said of a part of it."""

from __future__ import annotations

import gzip
import io
import random
import struct
from pathlib import Path

import dpkt
import pytest

from inspector import facts
from inspector.document import Connection, Document
from inspector.errors import InspectorError
from inspector.facts import HandshakeFacts
from inspector.tls import messages
from inspector.tracking.kinds import KindReason, kind_of
from tests.build import (
    ACK,
    Flow,
    Pool,
    Segment,
    certificate,
    client_hello,
    document_of,
    ethernet,
    extension,
    message,
    numbered,
    pcap,
    record,
    vector,
    written,
)
from tests.conftest import find

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))
TICKET, NEW_TICKET = b"t" * 32, b"n" * 32


def cut(flow: Flow, number: int, held: int) -> None:
    """All but the first bytes of a flow's segment is not captured, as where a frame was lost behind it."""
    s = [s for s in flow.segments if s.payload][number]
    s.payload = s.payload[:held]


def only(document: Document, port: int) -> Connection:
    return next(c for c in document.connections if c.client_endpoint.port == port)


def test_a_client_hello_that_was_cut_offers_what_is_not_known(tmp_path: Path) -> None:
    """Its random, session id and name are known; that it offers no EMS and no ticket is not, nor whose it is."""
    pool = Pool()
    pool.full(A, X)
    flow = pool.given_up(B, Y, X)
    cut(flow, 0, 5 + 4 + 35 + 32 + 8 + 2 + 2 + 50)
    h = only(document_of(written(tmp_path, pool.flows)), flow.port).handshakes[0]
    assert h.client_random == numbered(flow.port).hex()
    assert h.session.offered_id == X.hex()
    assert (h.ems.offered, h.ja3, h.ja4, h.kind) == (None, None, None, "full")


def test_a_lost_client_hello_acquits_nobody(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    flow = pool.given_up(B, Y, X)
    cut(flow, 0, 0)
    document = document_of(written(tmp_path, pool.flows))
    h = only(document, flow.port).handshakes[0]
    assert (h.kind, h.jsse.verdict) == ("full", "possible")
    assert not any("no session" in text for text in (h.reason, h.jsse.reason))
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == ["possible"]


def test_a_resumption_is_told_without_its_client_hello(tmp_path: Path) -> None:
    """And it counts: the session that the server names was resumed before."""
    pool = Pool()
    pool.full(A, X)
    cut(pool.resumed(X), 0, 0)
    pool.given_up(B, Y, X)
    document = document_of(written(tmp_path, pool.flows))
    assert [c.handshakes[0].kind for c in document.connections] == ["full", "resumed", "full"]
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == ["confirmed"]


def test_a_resumption_that_was_lost_leaves_the_abort_possible(tmp_path: Path) -> None:
    """The session was not resumed as far as one sees; but one connection between was not seen whole."""
    pool = Pool()
    pool.full(A, X)
    lost = pool.resumed(X)
    for _ in range(3):
        cut(lost, 0, 0)
    flow = pool.given_up(B, Y, X)
    document = document_of(written(tmp_path, pool.flows))
    assert only(document, flow.port).handshakes[0].jsse.verdict == "possible"
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == ["possible"]


def test_one_direction_is_not_another_failure(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    for flow in pool.flows:
        flow.segments = [s for s in flow.segments if s.from_client]
    document = document_of(written(tmp_path, pool.flows))
    assert {s.assessment.state for s in document.services} == {"unknown"}
    assert not any("This is not the certificate change" in f.explanation for f in document.findings)


def test_application_data_that_was_cut_is_no_loss(tmp_path: Path) -> None:
    """TLS 1.2 and 1.3: only what was in clear is missed."""
    pool = Pool()
    pool.full(A, X)
    pool.tls13()
    for flow in pool.flows:
        data = [s for s in flow.segments if s.payload[:1] == b"\x17"]
        for s in data:
            flow.segments.insert(
                flow.segments.index(s) + 1,
                Segment(
                    s.ns + 1,
                    s.from_client,
                    ACK,
                    s.seq + len(s.payload) + 2000,
                    b"\x17\x03\x03\x00\x10" + bytes(16),
                    flow,
                ),
            )
            s.payload = s.payload[:2]
    document = document_of(written(tmp_path, pool.flows))
    assert [c.outcome for c in document.connections] == ["established", "established"]
    assert "lost_bytes" not in {limit.kind for limit in document.limits}


BROKEN = vector(2, extension(23) + extension(0, vector(2, b"\0" + vector(2, b"name"))))[:-3]
BODIES = {
    "longer than the message": (BROKEN, True),
    "an extension that is longer than the list": (vector(2, extension(23) + b"\0\x0a\0\x40\0"), True),
    "a malformed body": (vector(2, extension(23) + extension(16, b"\0\x09\x08ht")), False),
}


@pytest.mark.parametrize("name", BODIES)
def test_extensions_that_break_off_are_partial(name: str) -> None:
    """What stands before the break is kept, and that more may have stood behind it is told."""
    block, is_partial = BODIES[name]
    hello = messages.client_hello(b"\x03\x03" + numbered(1) + b"\0" + vector(2, b"\xc0\x2b") + b"\1\0" + block)
    assert hello.shape.extended_master_secret
    assert hello.shape.problem is not None
    assert hello.shape.partial == is_partial
    assert bool(hello.shape.ja4) != is_partial
    answer = messages.server_hello(b"\x03\x03" + numbered(2) + b"\0\xc0\x2b\0" + block).shape
    assert answer.partial == is_partial
    cut_kind = kind_of(HandshakeFacts(offer=hello.shape, answer=answer, messages=facts.S_CHANGE))
    assert (cut_kind == (None, KindReason.SERVER_HELLO_CUT)) == is_partial


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_the_beginning_of_a_hello(length: int) -> None:
    """Cut anywhere: a partial shape or a named error, and never a session id or a name that is half there."""
    body = client_hello(numbered(1), X, ems=True, ticket=TICKET)[4:]
    assert messages.beginning_session_id(body[:length]) in (b"", X)
    try:
        hello = messages.client_hello_beginning(body[:length])
    except messages.Malformed:
        return
    assert hello.shape.partial
    assert hello.session_id == X
    assert hello.shape.server_name in (None, b"puppetdb.example.com")


RECORDINGS = ("tickets", "jdk17-abort", "mixed-pool", "silent-abort", "look-alike")
RESUMED = {"session_id", "ticket", "resumed"}
Frames = list[tuple[int, bytes]]


def frames_of(name: str) -> tuple[int, Frames]:
    reader = dpkt.pcap.Reader(io.BytesIO(gzip.decompress(find(name).read_bytes())))
    return reader.datalink(), [(round(at * 1_000_000) * 1_000, frame) for at, frame in reader]


def part(path: Path, link_type: int, frames: Frames, held: dict[int, int] | int) -> Document | None:
    """The recording with some frames, or all, cut; None where nothing is left."""
    out = bytearray(pcap([], link_type=link_type))
    for number, (ns, frame) in enumerate(frames):
        kept = frame[: held if isinstance(held, int) else held.get(number, len(frame))]
        out += struct.pack("<IIII", ns // 10**9, ns % 10**9, len(kept), len(frame)) + kept
    path.write_bytes(out)
    try:
        return document_of(path)
    except InspectorError:
        return None


def aborts(document: Document) -> dict[str, tuple[list[str], ...]]:
    """The confirmed aborts, by connection, with the certificates of all that they name."""
    chains = {c.id: c.handshakes[0].server_chain for c in document.connections}
    return {
        f.connections[-1]: tuple(chains[c] for c in f.connections)
        for f in document.findings
        if f.rule == "certificate-change-abort" and f.verdict == "confirmed"
    }


def compare(whole: Document, less: Document) -> None:
    """What a part says, the whole says too."""
    known, told = aborts(whole), aborts(less)
    ports = {c.id: c.client_endpoint.port for d in (whole, less) for c in d.connections}
    by_port = {ports[c]: chains for c, chains in known.items()}
    for connection, chains in told.items():
        assert by_port[ports[connection]] == chains
    kinds = {c.client_endpoint.port: c.handshakes[0].kind for c in whole.connections}
    for c in less.connections:
        h = c.handshakes[0]
        expected = kinds[c.client_endpoint.port]
        assert h.kind in (expected, None) or (h.kind == "resumed" and expected in RESUMED)
        if c.client_endpoint.port in by_port:
            assert h.jsse.verdict != "accepts"


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_cut_at_any_snap_length(tmp_path: Path, name: str) -> None:
    link_type, frames = frames_of(name)
    all_of_it = part(tmp_path / "whole.pcap", link_type, frames, 1 << 16)
    assert all_of_it is not None
    for length in (*range(54, 420, 37), *range(420, 1515, 140)):
        less = part(tmp_path / "less.pcap", link_type, frames, length)
        if less is not None:
            compare(all_of_it, less)


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_that_lack_a_frame_or_part_of_some(tmp_path: Path, name: str) -> None:
    dice = random.Random(name)
    link_type, frames = frames_of(name)
    all_of_it = part(tmp_path / "whole.pcap", link_type, frames, 1 << 16)
    assert all_of_it is not None
    for _ in range(12):
        lost = dice.randrange(len(frames))
        less = part(tmp_path / "less.pcap", link_type, frames[:lost] + frames[lost + 1 :], 1 << 16)
        assert less is not None
        compare(all_of_it, less)
        length = dice.randrange(54, 700)
        less = part(
            tmp_path / "less.pcap", link_type, frames, dict.fromkeys(range(lost, lost + dice.randrange(1, 12)), length)
        )
        assert less is not None
        compare(all_of_it, less)


def test_the_builders_agree() -> None:
    """What is cut here is what the builder writes."""
    flow = Flow(40_001, 10**18).client_says(record(22, client_hello(numbered(1))))
    assert ethernet(flow.segments[0]).endswith(message(1, client_hello(numbered(1))[4:]))
