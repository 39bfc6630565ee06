"""Handshakes inside an established connection, as far as they show without keys: ``renegotiation``, ``renegotiation-aborted``, ``triple-handshake-exposure``."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.document import Evidence, Finding
from inspector.findings.case import Case, frames
from inspector.findings.remedies import CHANGE_REFERENCES, RFC_5746, RFC_7627, TRIPLE_HANDSHAKE, change_remedies
from inspector.times import rfc3339
from inspector.tracking.observed import Observed, Renegotiation
from inspector.tracking.services import short_id

BROKEN_OFF = "renegotiation-aborted"


def renegotiations(case: Case) -> Iterator[Finding]:
    """Every renegotiation, those that the client broke off, and those that began on a session resumed without EMS."""
    for seen in case.observed:
        for number, attempt in enumerate(seen.renegotiations):
            yield _finding(case, seen, number, attempt, "renegotiation")
            resumed_without_ems = seen.is_resumed and seen.answer is not None and not seen.answer.extended_master_secret
            if attempt.broken_off_by == "client" and seen.stack.name in ("jsse", "unknown"):
                yield _finding(case, seen, number, attempt, BROKEN_OFF, resumed_without_ems)
            if resumed_without_ems:
                yield _finding(case, seen, number, attempt, "triple-handshake-exposure")


def _finding(case: Case, seen: Observed, number: int, attempt: Renegotiation, rule: str, severe: bool = False) -> Finding:
    service = case.services[seen.service]
    at = rfc3339(attempt.ns)
    began = "the server (HelloRequest)" if attempt.asked_by_server else "the client"
    ended = "completed" if attempt.completed else f"broken off by the {attempt.broken_off_by}" if attempt.broken_off_by else "not completed in the capture"
    evidence = [Evidence("renegotiated", seen.id, frames(*(r.frame for r in attempt.client_records + attempt.server_records)), f"begun by {began}, {ended}")]
    common = (service.id, [case.backends[seen.backend].id] if seen.backend >= 0 else [], [case.clients[seen.client].id], [seen.id], at, at, 1, evidence)
    ident = short_id(rule, seen.id, number)
    if rule == "renegotiation":
        text = f"Encrypted handshake records behind the first Finished; begun by {began}, {ended}. What they say is encrypted."
        return Finding(ident, rule, "info", "confirmed", "observed", "A renegotiation inside an established connection", text, [], [RFC_5746], *common)
    if rule == "triple-handshake-exposure":
        text = "The connection began with a session resumed without extended master secret (EMS) and was then renegotiated: the precondition of the triple handshake attack."
        return Finding(ident, rule, "medium", "confirmed", "observed", "Renegotiated on a session resumed without EMS", text, [], [RFC_7627, TRIPLE_HANDSHAKE], *common)
    text = "The client ended the connection after the server's flight of a renegotiation. A changed certificate is one possible cause; the flight is encrypted"
    text += (
        ", and the connection began with a session resumed without EMS, where Java checks for it."
        if severe
        else ", and the connection did not begin in the way that makes Java check for it."
    )
    return Finding(
        ident,
        rule,
        "high" if severe else "medium",
        "possible",
        "inferred",
        "The client broke a renegotiation off",
        text,
        change_remedies(service.name, service.port)[:2],
        CHANGE_REFERENCES,
        *common,
    )
