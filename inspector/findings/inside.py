"""What a renegotiation means: whether it brought another certificate, and what Java's rule says of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from inspector.facts import HandshakeFacts
from inspector.findings.case import Case, Judgement
from inspector.findings.jsse import Decision, Offer, RuleReason, decide
from inspector.findings.reasons import flight_words
from inspector.tracking.flights import FlightPart, Measure, compare, first_flight
from inspector.tracking.observed import Observed
from inspector.tracking.renegotiation import Renegotiation
from inspector.tracking.sessions import is_tls13

ENCRYPTED = Judgement(Decision("not_applicable", None, RuleReason.ENCRYPTED))


class Study(NamedTuple):
    """``certificate``, ``basis``, ``text``, ``parts``: as the document says it. ``before``, ``now``:
    leaves by digest.
    """

    certificate: Literal["changed", "same", "consistent", "unknown"]
    basis: Literal["decrypted", "length"] | None
    text: str
    parts: tuple[FlightPart, ...]
    before: bytes | None
    now: bytes | None
    judgement: Judgement


def studied(case: Case, observed: Observed, number: int) -> Study:
    """One renegotiation of a connection."""
    attempt = observed.renegotiations[number]
    client_leg = observed.client_leg
    origin = _origin(case, observed)
    before = origin.client_leg.handshake.chain if origin is not None else ()
    session = observed.entry.session
    leaf = before[0] if before else session.leaf if session is not None and observed.is_resumed else None
    if attempt.handshake_index >= 0:
        handshake = client_leg.renegotiations[attempt.handshake_index]
        return _decrypted(case, observed, attempt, handshake, before, leaf)
    if attempt.state == "declined":
        return Study(
            certificate="unknown",
            basis=None,
            text=declined_text(attempt),
            parts=(),
            before=leaf,
            now=None,
            judgement=ENCRYPTED,
        )
    first = first_flight(origin.client_leg) if origin is not None else None
    comparison = compare(first, attempt, Measure(client_leg))
    answer = client_leg.handshake.answer
    return Study(
        certificate=comparison.verdict,
        basis="length" if comparison.verdict != "unknown" else None,
        text=flight_words(comparison, answer.cipher_suite if answer is not None else 0),
        parts=comparison.parts,
        before=leaf,
        now=None,
        judgement=ENCRYPTED,
    )


def _origin(case: Case, observed: Observed) -> Observed | None:
    """The connection whose full handshake, in clear, made what this one began with."""
    if not observed.is_resumed:
        return observed
    session = observed.entry.session
    if session is None or session.issuer is None:
        return None
    issuer = case.observed[session.issuer]
    return issuer if session.leaf == issuer.leaf else None


def _decrypted(
    case: Case,
    observed: Observed,
    attempt: Renegotiation,
    handshake: HandshakeFacts,
    before: tuple[bytes, ...],
    leaf: bytes | None,
) -> Study:
    now = handshake.chain[0] if handshake.chain else None
    step = case.step(leaf, now) if leaf is not None and now is not None else None
    judgement = ENCRYPTED
    if attempt.kind is not None and not is_tls13(handshake):
        answer = handshake.answer
        decision = decide(
            Offer(
                is_tls13=False,
                offered=True,
                resumed=attempt.kind != "full",
                extended_master_secret=answer is not None and answer.extended_master_secret,
                issued=True,
                resumed_before=observed.is_resumed,
                equivalent=None if step is None else step != "none",
                gave_up=attempt.broken_off_by == "client",
                unreadable=step is None and leaf is not None and now is not None,
            )
        )
        judgement = Judgement(decision, leaf, step)
    certificate: Literal["changed", "same", "unknown"] = "unknown"
    if attempt.state == "declined":
        text = declined_text(attempt)
    elif now is None:
        text = (
            "no certificate was sent: a session was resumed"
            if attempt.kind in ("session_id", "ticket", "resumed")
            else "no certificate was read"
        )
    elif leaf is None:
        text = "the certificate that the connection began with is not in the capture"
    elif before and handshake.chain != before:
        certificate = "changed"
        text = "another certificate" if leaf != now else "the same certificate with another chain"
    elif leaf != now:
        certificate, text = "changed", "another certificate"
    else:
        certificate, text = "same", "the same certificate"
    return Study(
        certificate=certificate,
        basis="decrypted" if certificate != "unknown" else None,
        text=text,
        parts=(),
        before=leaf,
        now=now,
        judgement=judgement,
    )


def declined_text(attempt: Renegotiation) -> str:
    """What was declined, by whom."""
    return f"the {attempt.by} declined" if attempt.by else "it was not entered"


def ended(attempt: Renegotiation) -> str:
    """Who began a renegotiation, and what became of it, in a few words."""
    began = "begun by the server (HelloRequest)" if attempt.asked_by_server else "begun by the client"
    shape = f", {attempt.shape} by its shape" if attempt.shape else ""
    if attempt.state == "completed":
        return f"{began}, completed{shape}"
    if attempt.state == "open":
        return f"{began}, not completed in the capture"
    return f"{began}, {'declined' if attempt.state == 'declined' else 'broken off'} by the {attempt.by}{shape}"
