"""From the case to the document's connections, as ``document.connection`` has them. No judgement is made here."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from inspector import bounds, document as doc, facts
from inspector.facts import EVENT_BYTES, LETTER_AT, SIDE_AT, AlertFact, ConnectionFacts
from inspector.findings.case import Case, frame
from inspector.findings.from_logs import lines_of
from inspector.findings.into_document.handshake import handshake, renegotiation
from inspector.findings.wording import worded
from inspector.text.times import rfc3339
from inspector.tls.history import IN_HISTORY
from inspector.tls.registry import alert_name
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text
from inspector.tracking.shape import SharedTraits

LETTER = [
    [chr(code).lower() if chr(code) in IN_HISTORY else "" for code in range(256)],
    [chr(code) if chr(code) in IN_HISTORY else "" for code in range(256)],
]


@lru_cache(maxsize=bounds.CACHE)
def _ip(address: bytes) -> str:
    return ip_text(address)


def endpoint(end: facts.PackedEndpoint) -> doc.Endpoint:
    """An endpoint with its address as text."""
    return doc.Endpoint(_ip(end.address), end.port)


def connection(case: Case, observed: Observed) -> doc.Connection:
    """One connection with its handshakes."""
    client_leg = observed.client_leg
    ours, theirs = client_leg.from_client, client_leg.from_server
    handshakes = [handshake(case, observed, client_leg)]
    handshakes += [renegotiation(case, observed, client_leg, number) for number in range(len(observed.renegotiations))]
    return doc.Connection(
        id=observed.id,
        service=case.services[observed.service].id,
        client=case.clients[observed.client].id,
        backend=case.backends[observed.backend].id if observed.backend >= 0 else None,
        client_endpoint=endpoint(client_leg.client),
        server_endpoint=endpoint(client_leg.server),
        first_seen=rfc3339(client_leg.first_ns),
        last_seen=rfc3339(client_leg.last_ns),
        legs=legs(observed),
        frames=doc.Span(frame(client_leg.first_frame) or (0, 0), frame(client_leg.last_frame) or (0, 0)),
        outcome=observed.outcome,
        end=doc.End(observed.closed_by, observed.closed_how),
        alerts=[alert(a) for a in client_leg.alerts],
        bytes=doc.Sizes(ours.bytes + ours.gap, theirs.bytes + theirs.gap),
        gap_bytes=ours.gap + theirs.gap,
        rtt=client_leg.rtt,
        history=history(client_leg),
        preamble=client_leg.preamble or None,
        health_check=observed.health_check,
        anomalies=[
            doc.Anomaly(
                a.kind,
                worded(a.what),
                "client" if a.from_client else "server",
                a.offset,
                a.path,
                frame=frame(a.frame),
                other_frame=frame(a.other_frame),
            )
            for a in client_leg.anomalies
        ],
        logs=lines_of(case, observed),
        handshakes=handshakes,
        secrets=secrets_of(client_leg),
        sightings=[doc.Span(frame(first) or (0, 0), frame(last) or (0, 0)) for first, last in client_leg.sightings],
    )


def legs(observed: Observed) -> list[doc.Leg]:
    """Further legs of a connection, with their ends."""
    return [doc.Leg(endpoint(leg.client), endpoint(leg.server)) for leg in observed.legs]


def secrets_of(client_leg: ConnectionFacts) -> str | None:
    """What secrets did for a connection."""
    if client_leg.secrets:
        return worded(client_leg.secrets)
    return (
        None
        if client_leg.secrets is None
        else "decrypted"
        if client_leg.from_client.opened or client_leg.from_server.opened
        else "nothing was encrypted"
    )


def history(client_leg: ConnectionFacts) -> str:
    """Zeek's ssl_history letters, upper case from the client."""
    packed = client_leg.events
    return history_of(packed[LETTER_AT::EVENT_BYTES], packed[SIDE_AT::EVENT_BYTES])


@lru_cache(maxsize=4096)
def history_of(letters: bytes, sides: bytes) -> str:
    """The same, by the letters and sides of events."""
    return "".join([LETTER[side][letter] for letter, side in zip(letters, sides, strict=True)])


def alert(fact: AlertFact) -> doc.Alert:
    """An alert, with its name where it is not encrypted."""
    name = alert_name(fact.code) if fact.code is not None else None
    visibility: Literal["clear", "decrypted", "encrypted"] = (
        "encrypted" if fact.level is None else "decrypted" if fact.decrypted else "clear"
    )
    return doc.Alert(
        "client" if fact.from_client else "server", fact.level, fact.code, name, visibility, frame(fact.frame)
    )


def result(observed: Observed | SharedTraits) -> str:
    """Every connection is exactly one of full, resumed, aborted, other."""
    if observed.outcome == "aborted":
        return "aborted"
    if observed.outcome == "established" and observed.kind is not None:
        return "full" if observed.kind == "full" else "resumed"
    return "other"
