"""The headline rules: ``certificate-change-abort`` and ``certificate-change-tolerated``."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.document import Evidence, Finding, Grade, Severity
from inspector.findings.case import Case, frames
from inspector.findings.remedies import CHANGE_REFERENCES, capture_remedy, change_remedies
from inspector.logs.entries import Kind
from inspector.times import rfc3339, span
from inspector.tracking.observed import Observed
from inspector.tracking.services import short_id

OTHER_CAUSES: tuple[Kind, ...] = ("untrusted", "invalid_path", "host_name")
ABORT, TOLERATED = "certificate-change-abort", "certificate-change-tolerated"
TRANSLATION = (
    "Java logs this as 'server certificate change is restricted during renegotiation'; no renegotiation took place. The abort shows that neither "
    "endpoint identification nor jdk.tls.allowUnsafeServerCertChange is set."
)


def is_candidate(case: Case, seen: Observed) -> bool:
    """Whether the client gave up in its first handshake as Java does, where Java's rule may have spoken and its log does not name another cause."""
    return seen.gave_up and case.may_change(seen) and not any(case.logged.certain(seen.index, kind) for kind in OTHER_CAUSES)


def doubt(case: Case, seen: Observed) -> str | None:
    """Why the abort cannot be confirmed; None where it can."""
    judgement = case.judgements[seen.index]
    if case.logged.certain(seen.index, "certificate_change") is not None:
        return None  # the client itself says so
    if seen.entry.session is None or judgement.cached_leaf is None:
        return "the session's origin lies before the capture"
    if not seen.entry.known:
        return "the offered session was issued by no server in the capture"
    if seen.leaf is None or judgement.identity != "none":
        return "the certificates are equivalent or not both readable"
    if seen.stack.name != "jsse":
        return "the client's TLS stack is not known to be Java's"
    signs = case.signs[seen.client, seen.leaf or b""]
    alert = seen.fatal_alert
    code = alert.code if alert else None
    if signs.gave_up_unmarked and code in signs.unmarked_alerts:
        if not signs.accepted:
            return "this client never accepts this certificate, so the certificate itself may be the cause"
        return "this client also gave up on this certificate where Java's rule cannot have spoken"
    return None


def abort(case: Case, seen: Observed) -> Finding:
    """The finding of one connection that the client aborted because of the change, or may have."""
    why_not = doubt(case, seen)
    service = case.services[seen.service]
    session = seen.entry.session
    origin = case.observed[session.issuer] if session is not None and session.issuer is not None else None
    alert = seen.fatal_alert
    confirmed = why_not is None
    how = f"alert {alert.code} (bad_certificate)" if alert and alert.from_client else f"{'RST' if seen.closed_how == 'rst' else 'FIN'} without an alert"
    leaf = seen.leaf
    certificate = case.certificates.get(leaf) if leaf is not None else None
    new = certificate.common_name or certificate.sha256.hex()[:12] if certificate is not None else "that cannot be read"
    before = case.label(origin) if origin is not None else "?"
    did = "aborted" if confirmed else "may have aborted"
    title = f"The client {did} at back end {case.label(seen)} because the server's certificate changed"
    story = [f"It offered a session {'of back end ' + before if origin is not None else 'from before the capture'}"]
    if seen.entry.resumed_by is not None:
        story.append("that had been resumed before")
    story.append(f"back end {case.label(seen)} declined it and answered in full with another certificate ({new}), without extended master secret (EMS)")
    story.append(f"the client ended the handshake with {how}, before its own key exchange")
    explanation = "; ".join(story) + "."
    if seen.entry.resumed_before is None and confirmed:
        explanation += " The first resumption came less than 1 ms before; that the client gave up shows that it had been read."
    said = case.logged.certain(seen.index, "certificate_change")
    if said is not None:
        explanation += f" The client's own log says so: {case.log_place(said.log, said.failure.line)}."
    if confirmed:
        explanation += f" {TRANSLATION}"
        if case.options.generation == "first":
            explanation += " Judged by the rule before 8u60, which is read in the sources and not recorded."
    else:
        explanation += f" Not certain: {why_not}."
    remedies = change_remedies(service.name, service.port)
    if not confirmed:
        remedies = [capture_remedy(service.name, service.port, service.addresses, case.is_cut), *remedies]
    grade: Grade = "observed" if confirmed else "inferred"
    severity: Severity = "high" if confirmed else "medium"
    at = rfc3339(seen.hello_ns)
    story_ids = [o.id for o in _chain(case, seen)]
    backends = [case.backends[o.backend].id for o in _chain(case, seen) if o.backend >= 0]
    return Finding(
        short_id(ABORT, seen.id),
        ABORT,
        severity,
        "confirmed" if confirmed else "possible",
        grade,
        title,
        explanation,
        remedies,
        CHANGE_REFERENCES,
        service.id,
        list(dict.fromkeys(backends)),
        [case.clients[seen.client].id],
        story_ids,
        at,
        at,
        1,
        _evidence(case, seen, origin),
    )


def _chain(case: Case, seen: Observed) -> list[Observed]:
    """Origin, first resumption, the aborted connection."""
    session = seen.entry.session
    found: list[Observed] = []
    if session is not None and session.issuer is not None:
        found.append(case.observed[session.issuer])
    if seen.entry.resumed_by is not None:
        found.append(case.observed[seen.entry.resumed_by])
    found.append(seen)
    return found


def _evidence(case: Case, seen: Observed, origin: Observed | None) -> list[Evidence]:
    evidence: list[Evidence] = []
    if origin is not None:
        h = origin.main.handshake
        evidence.append(
            Evidence("origin", origin.id, frames(h.hello_frame, h.answer_frame, h.certificate_frame, h.key_exchange_frame), f"full handshake with back end {case.label(origin)}")
        )
    if seen.entry.resumed_by is not None:
        resumed = case.observed[seen.entry.resumed_by]
        h = resumed.main.handshake
        when = span(seen.hello_ns - h.answer_ns)
        evidence.append(Evidence("resumed", resumed.id, frames(h.hello_frame, h.answer_frame), f"the session was resumed {when} before"))
    h = seen.main.handshake
    evidence.append(Evidence("declined", seen.id, frames(h.hello_frame, h.answer_frame, h.certificate_frame), f"back end {case.label(seen)} answered with a full handshake"))
    chosen = case.balancer.chosen.get(seen.index)
    if chosen is not None and chosen.entry.server:
        text = f"the balancer sent it to {chosen.entry.backend}/{chosen.entry.server}: {case.log_place(chosen.log, chosen.entry.line)}"
        evidence.append(Evidence("balancer", seen.id, [], text))
    said = case.logged.certain(seen.index, "certificate_change")
    if said is not None:
        evidence.append(Evidence("log", seen.id, [], f"the client says so: {case.log_place(said.log, said.failure.line)}"))
    alert = seen.fatal_alert
    close = seen.main.from_client.fin or seen.main.from_client.rst
    if alert is not None and alert.from_client:
        evidence.append(Evidence("alert", seen.id, frames(alert.frame), "fatal bad_certificate (42) from the client"))
    elif close is not None:
        evidence.append(Evidence("closed", seen.id, frames(close.frame), "the client closed in silence after ServerHelloDone"))
    return evidence


def tolerated(case: Case) -> Iterator[Finding]:
    """Java clients that went on where the table says that they abort."""
    groups: dict[tuple[int, int], list[Observed]] = {}
    for seen, judgement in zip(case.observed, case.judgements, strict=True):
        if judgement.decision.row == 6 and seen.outcome == "established" and seen.stack.name == "jsse" and not seen.health_check:
            groups.setdefault((seen.client, seen.service), []).append(seen)
    for (client, service_index), members in groups.items():
        service = case.services[service_index]
        last = members[-1]
        yield Finding(
            short_id(TOLERATED, case.clients[client].id, service.id),
            TOLERATED,
            "low",
            "confirmed",
            "inferred",
            f"A Java client went on {len(members)} times although the server's certificate changed",
            "Java's rule says abort, yet the client completed the handshake: endpoint identification (HTTPS) or jdk.tls.allowUnsafeServerCertChange=true is set for it.",
            [],
            CHANGE_REFERENCES,
            service.id,
            list(dict.fromkeys(case.backends[s.backend].id for s in members if s.backend >= 0)),
            [case.clients[client].id],
            [s.id for s in members],
            rfc3339(members[0].hello_ns),
            rfc3339(last.hello_ns),
            len(members),
            [e for e in _evidence(case, last, None) if e.role == "declined" or e.role == "resumed"],
        )
