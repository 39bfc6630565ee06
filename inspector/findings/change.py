"""The headline rules: ``certificate-change-abort`` and ``certificate-change-tolerated``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inspector.document import Evidence, Finding, Grade, Remedy, Severity
from inspector.document.rules import Rule
from inspector.findings import unreadable
from inspector.findings.case import Case, frames, goes_on
from inspector.findings.pool import pool_remedies
from inspector.findings.prediction import Extended
from inspector.findings.programs import two_programs
from inspector.findings.remedies import CHANGE_REFERENCES, capture_remedy, log_remedy
from inspector.findings.signs import Weighed
from inspector.findings.unseen import is_for_want_of_frames
from inspector.logs.entries import Kind
from inspector.text.times import rfc3339, span
from inspector.tracking.observed import Observed
from inspector.tracking.services import short_id

OTHER_CAUSES: tuple[Kind, ...] = ("untrusted", "invalid_path", "host_name")
ABORT, TOLERATED = Rule.CERTIFICATE_CHANGE_ABORT, Rule.CERTIFICATE_CHANGE_TOLERATED
TRANSLATION = (
    "Java logs this as 'server certificate change is restricted during renegotiation'; no renegotiation took place. The"
    " abort shows that neither endpoint identification nor jdk.tls.allowUnsafeServerCertChange is set."
)


def _is_candidate(case: Case, seen: Observed) -> bool:
    """Whether the client gave up in its first handshake as Java does, where Java's rule may have spoken and its log
    does not name another cause.
    """
    return (
        seen.gave_up
        and case.may_change(seen)
        and not any(case.logged.certain(seen.index, kind) for kind in OTHER_CAUSES)
    )


def aborts(case: Case, ems: Sequence[Extended]) -> Iterator[tuple[Observed, Finding]]:
    """Each connection that the client aborted because of the change, or may have, with its finding. ``ems``: who does
    it, of each service.
    """
    weighed = [(seen, case.weighed(seen)) for seen in case.observed if _is_candidate(case, seen)]
    candidates = [(seen, evidence) for seen, evidence in weighed if evidence.weight != "not"]
    known: dict[int, Pool] = {}
    for index in dict.fromkeys(seen.service for seen, _ in candidates):
        known[index] = Pool(ems[index], pool_remedies(case, case.services[index], ems[index]))
    for seen, evidence in candidates:
        yield seen, _abort(case, seen, evidence, known[seen.service])


class Pool(NamedTuple):
    """What the aborts of one service have in common. ``ems``: who of its members does it."""

    ems: Extended
    remedies: list[Remedy]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ems(case: Case, seen: Observed, pool: Pool) -> str:
    """Who lacks extended master secret: a member of the pool beside others that do it, or the client."""
    if seen.offer is not None and not seen.offer.extended_master_secret:
        return "The client offers no extended master secret (EMS)."
    if seen.backend in pool.ems.lacking and pool.ems.doing:
        lacking, doing = (
            ", ".join(case.backends[i].label for i in indexes) for indexes in (pool.ems.lacking, pool.ems.doing)
        )
        without = f"{lacking} alone lacks it" if len(pool.ems.lacking) == 1 else f"{lacking} lack it"
        return (
            f"The client offers extended master secret (EMS); of the back ends {without}, {doing}"
            f" {'has' if len(pool.ems.doing) == 1 else 'have'} it."
        )
    return ""


def _abort(case: Case, seen: Observed, weighed: Weighed, pool: Pool) -> Finding:
    """The finding of one connection."""
    service = case.services[seen.service]
    session = seen.entry.session
    origin = case.observed[session.issuer] if session is not None and session.issuer is not None else None
    alert = seen.fatal_alert
    confirmed = weighed.weight == "confirmed"
    how = (
        f"alert {alert.code} (bad_certificate)"
        if alert and alert.from_client
        else f"{'RST' if seen.closed_how == 'rst' else 'FIN'} without an alert"
    )
    leaf = seen.leaf
    certificate = case.certificates.get(leaf) if leaf is not None else None
    new = certificate.common_name or certificate.sha256.hex()[:12] if certificate is not None else "that cannot be read"
    before = case.label(origin) if origin is not None else "?"
    did = "aborted" if confirmed else "may have aborted"
    title = f"The client {did} at back end {case.label(seen)} because the server's certificate changed"
    offered = "from before the capture" if session is not None else "that was not captured, if any"
    story = [f"It offered a session {'of back end ' + before if origin is not None else offered}"]
    if seen.entry.resumed_by is not None:
        story.append("that had been resumed before")
    story.append(
        f"back end {case.label(seen)} declined it and answered in full with another certificate ({new}), without"
        " extended master secret (EMS)"
    )
    story.append(f"the client ended the handshake with {how}, before its own key exchange")
    explanation = "; ".join(story) + "."
    if seen.entry.resumed_before is None and confirmed:
        explanation += (
            " The first resumption came too shortly before for the capture to tell; that the client gave up shows that"
            " it had been read."
        )
    said = case.logged.certain(seen.index, "certificate_change")
    if said is not None:
        explanation += f" The client's own log says so: {case.log_place(said.log, said.failure.line)}."
    explanation += unreadable.unread_names(case, seen)
    if confirmed:
        explanation += "".join(f" {text}" for text in (_ems(case, seen, pool), TRANSLATION) if text)
        if case.options.generation == "first":
            explanation += " Judged by the rule before 8u60, which is read in the sources and not recorded."
    else:
        explanation += f" Not certain: {weighed.reason}."
    remedies = pool.remedies
    if not confirmed:
        is_lacking = is_for_want_of_frames(case, seen)
        remedies = [
            capture_remedy(service.name, service.port, service.addresses, case.is_cut) if is_lacking else log_remedy(),
            *remedies,
        ]
    grade: Grade = "observed" if confirmed else "inferred"
    severity: Severity = "high" if confirmed else "medium"
    at = rfc3339(seen.hello_ns)
    story_ids = [o.id for o in _chain(case, seen)]
    backends = [case.backends[o.backend].id for o in _chain(case, seen) if o.backend >= 0]
    return Finding(
        id=short_id(ABORT, seen.id),
        rule=ABORT,
        severity=severity,
        verdict="confirmed" if confirmed else "possible",
        grade=grade,
        title=title,
        explanation=explanation,
        remedies=remedies,
        references=CHANGE_REFERENCES,
        service=service.id,
        backends=list(dict.fromkeys(backends)),
        clients=[case.clients[seen.client].id],
        connections=story_ids,
        first=at,
        last=at,
        count=1,
        evidence=_evidence(case, seen, origin),
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
        h = origin.client_leg.handshake
        evidence.append(
            Evidence(
                "origin",
                origin.id,
                frames(h.hello_frame, h.answer_frame, h.certificate_frame, h.key_exchange_frame),
                f"full handshake with back end {case.label(origin)}",
            )
        )
    if seen.entry.resumed_by is not None:
        resumed = case.observed[seen.entry.resumed_by]
        h = resumed.client_leg.handshake
        when = span(seen.hello_ns - h.answer_ns)
        evidence.append(
            Evidence(
                "resumed", resumed.id, frames(h.hello_frame, h.answer_frame), f"the session was resumed {when} before"
            )
        )
    h = seen.client_leg.handshake
    evidence.append(
        Evidence(
            "declined",
            seen.id,
            frames(h.hello_frame, h.answer_frame, h.certificate_frame),
            f"back end {case.label(seen)} answered with a full handshake",
        )
    )
    chosen = case.balancer.chosen.get(seen.index)
    if chosen is not None and chosen.entry.server:
        text = (
            f"the balancer sent it to {chosen.entry.backend}/{chosen.entry.server}:"
            f" {case.log_place(chosen.log, chosen.entry.line)}"
        )
        evidence.append(Evidence("balancer", seen.id, [], text))
    said = case.logged.certain(seen.index, "certificate_change")
    if said is not None:
        evidence.append(
            Evidence("log", seen.id, [], f"the client says so: {case.log_place(said.log, said.failure.line)}")
        )
    alert = seen.fatal_alert
    close = seen.client_leg.from_client.fin or seen.client_leg.from_client.rst
    if alert is not None and alert.from_client:
        evidence.append(Evidence("alert", seen.id, frames(alert.frame), "fatal bad_certificate (42) from the client"))
    elif close is not None:
        evidence.append(
            Evidence("closed", seen.id, frames(close.frame), "the client closed in silence after ServerHelloDone")
        )
    return evidence


def tolerated(case: Case, aborted: Iterable[Observed]) -> Iterator[Finding]:
    """Java clients that went on where the table says that they abort. ``aborted``: the connections that did end because
    of the change.
    """
    apart = two_programs(case, aborted)
    groups: dict[tuple[int, int], list[Observed]] = {}
    for seen, judgement in zip(case.observed, case.judgements, strict=True):
        if goes_on(seen, judgement):
            groups.setdefault((seen.client, seen.service), []).append(seen)
    for (client, service_index), members in groups.items():
        service = case.services[service_index]
        last = members[-1]
        programs = apart.get(client)
        other = ""
        if programs is not None:
            text = "Another Java program at this address, or another setting of this one, aborted"
            other = f" {text} {_times(len(programs.aborted))} ({', '.join(programs.basis)}; inferred)."
        yield Finding(
            id=short_id(TOLERATED, case.clients[client].id, service.id),
            rule=TOLERATED,
            severity="low",
            verdict="confirmed",
            grade="inferred",
            title=f"A Java client went on {_times(len(members))} although the server's certificate changed",
            explanation="Java's rule says abort, yet the client completed the handshake: endpoint identification"
            " (HTTPS) or jdk.tls.allowUnsafeServerCertChange=true is set for it." + other,
            remedies=[],
            references=CHANGE_REFERENCES,
            service=service.id,
            backends=list(dict.fromkeys(case.backends[s.backend].id for s in members if s.backend >= 0)),
            clients=[case.clients[client].id],
            connections=[s.id for s in members],
            first=rfc3339(members[0].hello_ns),
            last=rfc3339(last.hello_ns),
            count=len(members),
            evidence=[e for e in _evidence(case, last, None) if e.role == "declined" or e.role == "resumed"],
        )
