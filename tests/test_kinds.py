"""How handshakes were made, as far as flights tell, and what the ledger keeps of those of which bytes are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import facts
from inspector.facts import HandshakeFacts
from inspector.findings.reasons import kind_words
from inspector.tls import messages
from inspector.tls.registry import HELLO_RETRY_RANDOM
from inspector.tracking.kinds import Kind, KindReason, kind_of
from inspector.tracking.sessions import Ledger
from tests.build import (
    MS,
    Flow,
    client_hello,
    document_of,
    numbered,
    record,
    server_hello,
    written,
)

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
