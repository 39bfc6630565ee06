"""What was cut, lost or begun on used ports: named, never guessed. Nothing that a whole capture does not say is said of
a part of it.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
from pathlib import Path

import dpkt
import pytest
from msgspec import to_builtins

from inspector import facts
from inspector.capture import blocks
from inspector.document import Connection, Document
from inspector.errors import InspectorError
from inspector.facts import HandshakeFacts
from inspector.findings.judge import judge
from inspector.findings.reasons import kind_words
from inspector.tls import messages
from inspector.tls.registry import HELLO_RETRY_RANDOM
from inspector.tracking.kinds import Kind, KindReason, kind_of
from inspector.tracking.sessions import Ledger
from tests.build import (
    ACK,
    MS,
    SYN,
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
    server_hello,
    vector,
    written,
)
from tests.conftest import find
from tests.test_shards import in_parts, whole

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))
TICKET, NEW_TICKET = b"t" * 32, b"n" * 32


def handshake(
    offered: bytes = b"",
    answered: bytes = b"",
    *,
    ticket: bytes | None = None,
    messages_read: int = 0,
    missing: int = 0,
    hello: str = "whole",
    ns: int = 100,
) -> HandshakeFacts:
    """A handshake up to TLS 1.2 as far as it was read. ``hello``: whole, cut or lost."""
    offer = messages.client_hello(client_hello(numbered(7), offered)[4:]).shape
    answer = messages.server_hello(server_hello(numbered(8), answered)[4:]).shape
    return HandshakeFacts(
        offer=None if hello == "lost" else offer._replace(partial=hello == "cut"),
        offered_id=b"" if hello == "lost" else offered,
        offered_ticket=ticket if hello == "whole" else None,
        answer=answer,
        answered_id=answered,
        chain=(b"leaf",) if messages_read & facts.S_CERTIFICATE else (),
        messages=messages_read,
        missing=missing,
        hello_ns=ns * MS,
        answer_ns=ns * MS + 1,
    )


FLIGHT, CHANGED, KEYED = facts.S_CERTIFICATE | facts.S_DONE, facts.S_CHANGE, facts.C_KEY_EXCHANGE
LOST, BEGUN = facts.S_LOST_FLIGHT, facts.S_BEGUN_FLIGHT
BEFORE = facts.C_LOST_HELLO | facts.C_LOST_HELLO << 8  # of both sides: the server's bits stand eight higher
KINDS: list[tuple[str, HandshakeFacts, Kind | KindReason]] = [
    ("nothing offered", handshake(), "full"),
    ("nothing offered, flight lost", handshake(missing=LOST), "full"),
    ("another id, flight lost", handshake(X, Y, missing=LOST), "full"),
    ("echoed, flight lost", handshake(X, X, missing=LOST), KindReason.FLIGHT_CUT),
    ("echoed, then lost, then changed", handshake(X, X, messages_read=CHANGED, missing=LOST), KindReason.FLIGHT_CUT),
    ("echoed", handshake(X, X), "session_id"),
    ("echoed, changed", handshake(X, X, messages_read=CHANGED, missing=BEFORE), "session_id"),
    ("echoed, yet a certificate", handshake(X, X, messages_read=FLIGHT), "full"),
    ("ticket, flight lost", handshake(X, b"", ticket=TICKET, missing=LOST), KindReason.FLIGHT_CUT),
    (
        "ticket, flight lost, changed",
        handshake(X, b"", ticket=TICKET, messages_read=CHANGED, missing=LOST),
        KindReason.FLIGHT_CUT,
    ),
    ("ticket, another id, flight lost", handshake(X, Y, ticket=TICKET, missing=LOST), KindReason.FLIGHT_CUT),
    ("ticket, flight lost, client keyed", handshake(X, b"", ticket=TICKET, messages_read=KEYED, missing=LOST), "full"),
    ("ticket, certificate cut", handshake(X, b"", ticket=TICKET, missing=LOST | BEGUN), "full"),
    ("ticket, nothing behind the answer", handshake(b"", b"", ticket=TICKET), KindReason.NO_FLIGHT),
    ("ticket, changed", handshake(b"", b"", ticket=TICKET, messages_read=CHANGED), "ticket"),
    ("ticket, echoed", handshake(X, X, ticket=TICKET, messages_read=CHANGED), "ticket"),
    ("hello lost, changed", handshake(X, X, messages_read=CHANGED, hello="lost", missing=BEFORE), "resumed"),
    ("hello cut, changed", handshake(X, X, messages_read=CHANGED, hello="cut", missing=BEFORE), "resumed"),
    ("hello lost, certificate", handshake(X, Y, messages_read=FLIGHT, hello="lost", missing=BEFORE), "full"),
    ("hello lost, certificate cut", handshake(X, Y, hello="lost", missing=BEFORE | LOST | BEGUN), "full"),
    (
        "hello lost, nothing behind the answer",
        handshake(X, Y, hello="lost", missing=BEFORE),
        KindReason.CLIENT_HELLO_CUT,
    ),
    ("hello cut, flight lost", handshake(X, Y, hello="cut", missing=BEFORE | LOST), KindReason.FLIGHT_CUT),
    ("another id, yet changed at once", handshake(X, Y, messages_read=CHANGED), "resumed"),
    ("no answer", HandshakeFacts(), KindReason.NO_SERVER_HELLO),
]


@pytest.mark.parametrize(("name", "given", "expected"), KINDS, ids=[name for name, _, _ in KINDS])
def test_kinds(name: str, given: HandshakeFacts, expected: Kind | KindReason) -> None:
    kind, reason = kind_of(given)
    assert (reason if kind is None else kind) == expected
    if given.offer is None or given.offer.partial:
        assert reason is not KindReason.NO_SESSION_OFFERED


def test_a_retry_alone_tells_no_kind(tmp_path: Path) -> None:
    flow = Flow(40_001, 10**18).open()
    flow.client_says(record(22, client_hello(numbered(1), numbered(2), versions=(0x0304,))))
    flow.server_says(record(22, server_hello(HELLO_RETRY_RANDOM, numbered(2), version=0x0304)))
    (c,) = document_of(written(tmp_path, [flow])).connections
    assert (c.handshakes[0].kind, c.handshakes[0].reason) == (
        None,
        kind_words(KindReason.ONLY_RETRY_REQUEST, HandshakeFacts()),
    )


def test_the_first_origin_of_a_session_is_kept() -> None:
    """A flight that was not read to its end does not take a session away from whoever issued it; a handshake that was
    completed does.
    """
    ledger = Ledger()
    ledger.enter(0, handshake(b"", X, messages_read=FLIGHT | KEYED, ns=100), "full")
    ledger.enter(1, handshake(X, X, messages_read=CHANGED, ns=200), "session_id")
    for misread in (handshake(X, X, missing=LOST, ns=300), handshake(Y, X, missing=LOST, hello="cut", ns=310)):
        ledger.enter(2, misread, kind_of(misread)[0])
    ledger.enter(3, handshake(b"", X, messages_read=facts.S_DONE, ns=320), "full")  # its certificate is lost
    entry = ledger.enter(4, handshake(X, Z, messages_read=FLIGHT, ns=400), "full")
    assert entry.session is not None
    assert (entry.session.issuer, entry.resumed_before, entry.resumed_by) == (0, True, 1)
    ledger.enter(5, handshake(b"", X, messages_read=FLIGHT | KEYED, ns=500), "full")
    issued_anew = ledger.enter(6, handshake(X, Z, messages_read=FLIGHT, ns=600), "full").session
    assert issued_anew is not None
    assert issued_anew.issuer == 5


def test_what_an_unclear_handshake_was_given_has_no_certificate() -> None:
    ledger = Ledger()
    unclear = handshake(Y, b"", ticket=TICKET, missing=LOST, ns=100)
    unclear.issued_ticket = NEW_TICKET
    assert ledger.enter(0, unclear, kind_of(unclear)[0]).session is None
    entry = ledger.enter(1, handshake(Z, b"", ticket=NEW_TICKET, messages_read=FLIGHT, ns=200), "full")
    assert entry.session is not None
    assert (entry.session.issuer, entry.session.leaf, entry.resumed_before) == (0, None, None)


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
