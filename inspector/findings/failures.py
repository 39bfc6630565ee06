"""Every other failed handshake, told apart by who sent what: ``handshake-failed``, one per service, client and cause."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

from inspector import facts
from inspector.document import Evidence, Finding, Grade, Remedy
from inspector.findings import unreadable
from inspector.findings.case import Case, frames
from inspector.findings.remedies import FAILURE_REMEDIES
from inspector.times import rfc3339
from inspector.tls.registry import alert_name
from inspector.tracking.observed import BAD_CERTIFICATE, Observed
from inspector.tracking.services import Service, short_id

RULE = "handshake-failed"
UNCLEAR = "unclear"


class Cause(NamedTuple):
    """``key`` groups; ``text`` completes "handshakes failed: …"."""

    key: str
    text: str
    grade: Grade
    remedy: Remedy | None


CLIENT_ALERTS = {
    42: "the client rejected the certificate (not yet valid, or a bad signature)",
    45: "the server's certificate has expired, says the client",
    46: "the chain does not lead to a CA that the client trusts, or the host name does not match",
    48: "the client does not trust the CA of the server's certificate",
    70: "the client allows no version that the server chose, or the server resumed with another version",
    40: "the client could not agree on parameters",
}
SERVER_ALERTS = {
    70: "the server supports no version that the client offers",
    40: "the server found no common cipher suite, or requires something that the client did not send",
    112: "the server does not know the requested name",
    80: "the server had an internal error",
}


def cause(seen: Observed) -> Cause:
    """Why this handshake failed, as far as the wire shows."""
    main = seen.main
    alert, handshake = seen.fatal_alert, main.handshake
    if handshake.answer is None and _answered_in_clear(seen):
        return Cause("plain", "the server answered with something that is not TLS", "observed", FAILURE_REMEDIES["plain_text"])
    if seen.lost and alert is not None and alert.from_client and alert.code == BAD_CERTIFICATE:
        return Cause(UNCLEAR, "the client rejected the server's certificate, but the handshake was not captured whole: a changed certificate cannot be ruled out", "inferred", None)
    if alert is not None and alert.code is not None:
        name = alert_name(alert.code)
        if alert.from_client:
            text = CLIENT_ALERTS.get(alert.code, "the client ended the handshake")
        elif alert.code in (42, 43, 44, 45, 46, 48, 116) and handshake.seen & facts.C_CERTIFICATE:
            text = "the server rejected the client's certificate"
        else:
            text = SERVER_ALERTS.get(alert.code, "the server ended the handshake")
        who = "client" if alert.from_client else "server"
        return Cause(f"{who}-{alert.code}", f"{text}: alert {name} ({alert.code}) from the {who}", "observed", FAILURE_REMEDIES.get(name))
    if seen.gave_up:
        return Cause("silent", "the client closed without an alert after the server's certificate; the reason stands in its own log only", "inferred", None)
    by = {"client": "the client", "server": "the server", None: "nobody"}[seen.closed_by]
    if handshake.answer is None:
        return Cause(f"unanswered-{seen.closed_by}", f"{by} closed the connection before a ServerHello", "observed", None)
    if seen.main.handshake.seen & (facts.C_KEY_EXCHANGE | facts.C_CHANGE):
        return Cause(f"late-{seen.closed_by}", f"{by} closed the connection after the client's key exchange", "observed", None)
    return Cause(f"early-{seen.closed_by}", f"{by} closed the connection during the handshake", "observed", None)


def _refused(case: Case, seen: Observed) -> Cause | None:
    found = unreadable.refusal(case, seen)
    return Cause(found.key, found.text, "inferred", found.remedy) if found is not None else None


def _answered_in_clear(seen: Observed) -> bool:
    """Whether the server sent bytes that are neither a hello nor an alert."""
    main = seen.main
    if any(a.kind == "no_record" and not a.from_client for a in main.anomalies):
        return True
    return bool(main.from_server.bytes) and not seen.lost and not any(not a.from_client for a in main.alerts)


def unclear_id(service: Service, finding: Finding) -> str:
    """The id that a finding has where its cause is not to be seen."""
    return short_id(RULE, service.id, finding.clients[0], UNCLEAR)


def failures(case: Case, explained: Set[int]) -> Iterator[Finding]:
    """Aborted connections that no other rule explains. ``explained``: their indexes."""
    groups: dict[tuple[int, int, str], list[Observed]] = {}
    causes: dict[tuple[int, int, str], Cause] = {}
    for seen in case.observed:
        if seen.outcome != "aborted" or seen.health_check or seen.index in explained:
            continue
        why = _refused(case, seen) or cause(seen)
        key = (seen.service, seen.client, why.key)
        groups.setdefault(key, []).append(seen)
        causes[key] = why
    for key, members in groups.items():
        service, client, why = case.services[key[0]], case.clients[key[1]], causes[key]
        yield Finding(
            short_id(RULE, service.id, client.id, why.key),
            RULE,
            "medium",
            "confirmed",
            why.grade,
            f"{len(members)} handshake{'s' if len(members) > 1 else ''} failed: {why.text}",
            f"This is not the certificate change of Java's rule. {why.text[0].upper()}{why.text[1:]}.",
            [why.remedy] if why.remedy else [],
            [],
            service.id,
            list(dict.fromkeys(case.backends[s.backend].id for s in members if s.backend >= 0)),
            [client.id],
            [s.id for s in members],
            rfc3339(members[0].first_ns),
            rfc3339(members[-1].first_ns),
            len(members),
            [_evidence(s) for s in members[:3]],
        )


def _evidence(seen: Observed) -> Evidence:
    alert = seen.fatal_alert
    closes = [c for c in (seen.main.from_client.fin, seen.main.from_client.rst, seen.main.from_server.fin, seen.main.from_server.rst) if c]
    if alert is not None:
        return Evidence("alert", seen.id, frames(alert.frame), f"fatal {alert_name(alert.code or 0)} from the {'client' if alert.from_client else 'server'}")
    first = min(closes, key=lambda c: c.ns, default=None)
    return Evidence("closed", seen.id, frames(first.frame if first else 0), f"closed by the {seen.closed_by or 'capture'}")
