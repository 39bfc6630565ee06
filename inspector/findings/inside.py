"""What a renegotiation means: whether it brought another certificate, and what Java's rule says of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from inspector.facts import HandshakeFacts
from inspector.findings.case import Case
from inspector.findings.jsse import Decision, Offer, RuleReason, decide
from inspector.findings.judgement import Judgement
from inspector.findings.reasons import flight_words
from inspector.tracking.flights import FlightPart, Measure, compare, first_flight
from inspector.tracking.observed import Observed
from inspector.tracking.renegotiation import Renegotiation

ENCRYPTED = Judgement(Decision("not_applicable", None, RuleReason.ENCRYPTED))


class Study(NamedTuple):
    """``certificate``, ``basis``, ``text``, ``parts``: as the document says it. ``before``, ``now``: leaves by digest.
    ``judgement``: by Java's rule.
    """

    certificate: Literal["changed", "same", "consistent", "unknown"]
    text: str
    before: bytes | None
    now: bytes | None = None
    basis: Literal["decrypted", "length"] | None = None
    parts: tuple[FlightPart, ...] = ()
    judgement: Judgement = ENCRYPTED


def studied(case: Case, observed: Observed, number: int) -> Study:
    """One renegotiation of a connection."""
    attempt = observed.renegotiations[number]
    client_leg = observed.client_leg
    origin = _origin(case, observed)
    before = origin.client_leg.handshake.chain if origin is not None else ()
    session = observed.session
    leaf = before[0] if before else session.leaf if session is not None and observed.is_resumed else None
    if attempt.handshake_index >= 0:
        handshake = client_leg.renegotiations[attempt.handshake_index]
        certificate, text = _read(attempt, handshake, before, leaf)
        return Study(
            certificate=certificate,
            text=text,
            before=leaf,
            now=handshake.chain[0] if handshake.chain else None,
            basis="decrypted" if certificate != "unknown" else None,
            judgement=_judged(case, observed, attempt, handshake, leaf),
        )
    if attempt.state == "declined":
        return Study("unknown", declined_text(attempt), leaf)
    first = first_flight(origin.client_leg) if origin is not None else None
    comparison = compare(first, attempt, Measure(client_leg))
    answer = client_leg.handshake.answer
    return Study(
        certificate=comparison.verdict,
        text=flight_words(comparison, answer.cipher_suite if answer is not None else 0),
        before=leaf,
        basis="length" if comparison.verdict != "unknown" else None,
        parts=comparison.parts,
    )


def _origin(case: Case, observed: Observed) -> Observed | None:
    """The connection whose full handshake, in clear, made what this one began with."""
    if not observed.is_resumed:
        return observed
    session = observed.session
    if session is None or session.issuer is None:
        return None
    issuer = case.observed[session.issuer]
    return issuer if session.leaf == issuer.leaf else None


def _judged(
    case: Case, observed: Observed, attempt: Renegotiation, handshake: HandshakeFacts, leaf: bytes | None
) -> Judgement:
    """Java's rule on a renegotiation that was decrypted. ``leaf``: what the connection began with."""
    if attempt.kind is None or handshake.is_tls13:
        return ENCRYPTED
    now = handshake.chain[0] if handshake.chain else None
    step = case.step(leaf, now) if leaf is not None and now is not None else None
    answer = handshake.answer
    decision = decide(
        Offer(
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
    return Judgement(decision, leaf, step)


def _read(
    attempt: Renegotiation, handshake: HandshakeFacts, before: tuple[bytes, ...], leaf: bytes | None
) -> tuple[Literal["changed", "same", "unknown"], str]:
    """Whether a renegotiation that was decrypted brought another certificate, and in words. ``before``, ``leaf``: chain
    and certificate that the connection began with.
    """
    if attempt.state == "declined":
        return "unknown", declined_text(attempt)
    if not handshake.chain:
        is_resumed = attempt.kind in ("session_id", "ticket", "resumed")
        return "unknown", (
            "no certificate was sent: a session was resumed" if is_resumed else "no certificate was read"
        )
    if leaf is None:
        return "unknown", "the certificate that the connection began with is not in the capture"
    if leaf != handshake.chain[0]:
        return "changed", "another certificate"
    if before and handshake.chain != before:
        return "changed", "the same certificate with another chain"
    return "same", "the same certificate"


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
