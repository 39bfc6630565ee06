"""The headline rules: a certificate change that a client aborted on, went on at, or is exposed to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inspector.document import Assessment, Evidence, Finding, Remedy
from inspector.document.rules import Rule
from inspector.findings import unreadable
from inspector.findings.case import Case, frames
from inspector.findings.finding import Raised, finding
from inspector.findings.pool import pool_remedies
from inspector.findings.prediction import Extended
from inspector.findings.problems import certificate_name
from inspector.findings.programs import two_programs
from inspector.findings.reasons import doubt
from inspector.findings.shared_remedies import CHANGE_REFERENCES, capture_remedy, log_remedy
from inspector.findings.signs import Weighed
from inspector.findings.unseen import is_for_want_of_frames
from inspector.logs.entries import Kind
from inspector.text.times import span
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

OTHER_CAUSES: tuple[Kind, ...] = ("untrusted", "invalid_path", "host_name")
ABORT = Rule.CERTIFICATE_CHANGE_ABORT
TOLERATED = Rule.CERTIFICATE_CHANGE_TOLERATED
EXPOSED = Rule.CERTIFICATE_CHANGE_EXPOSED
TRANSLATION = (
    "Java logs this as 'server certificate change is restricted during renegotiation'; no renegotiation took place. The"
    " abort shows that neither endpoint identification nor jdk.tls.allowUnsafeServerCertChange is set."
)


def _is_candidate(case: Case, observed: Observed) -> bool:
    """Whether the client gave up in its first handshake as Java does, where Java's rule may have spoken and its log
    does not name another cause.
    """
    return (
        observed.gave_up
        and case.may_change(observed)
        and not (case.logged.lines and any(case.logged.certain(observed.index, kind) for kind in OTHER_CAUSES))
    )


def aborts(case: Case, ems: Sequence[Extended]) -> Iterator[Raised[Weighed]]:
    """Each connection that the client aborted because of the change, or may have; it is the last one that its finding
    names. ``ems``: who does it, of each service.
    """
    known: dict[int, Pool] = {}
    for observed in case.everybody.where(lambda shape: shape.traits.gave_up):
        if not _is_candidate(case, observed) or (evidence := case.weighed(observed)).weight == "not":
            continue
        index = observed.service
        if index not in known:
            known[index] = Pool(ems[index], pool_remedies(case, case.services[index], ems[index]))
        chain = _chain(case, observed)
        yield Raised(_abort(case, observed, evidence, known[index], chain), chain, evidence)


class Pool(NamedTuple):
    """What the aborts of one service have in common. ``ems``: who of its members does it."""

    ems: Extended
    remedies: list[Remedy]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ems(case: Case, observed: Observed, pool: Pool) -> Iterator[str]:
    """Who lacks extended master secret: a member of the pool beside others that do it, or the client."""
    doing, lacking = pool.ems.doing, pool.ems.lacking
    if observed.offer is not None and not observed.offer.extended_master_secret:
        yield "The client offers no extended master secret (EMS)."
    elif observed.backend in lacking and doing:
        have, lack = (", ".join(case.backends[i].label for i in indexes) for indexes in (doing, lacking))
        without = f"{lack} alone lacks it" if len(lacking) == 1 else f"{lack} lack it"
        yield (
            f"The client offers extended master secret (EMS); of the back ends {without}, {have}"
            f" {'has' if len(doing) == 1 else 'have'} it."
        )


def _abort(case: Case, observed: Observed, weighed: Weighed, pool: Pool, chain: tuple[Observed, ...]) -> Finding:
    """The finding of one connection."""
    is_confirmed = weighed.weight == "confirmed"
    did = "aborted" if is_confirmed else "may have aborted"
    origin = _origin(case, observed)
    return finding(
        case,
        ABORT,
        observed.id,
        on=chain,
        clients=[case.clients[observed.client]],
        times=(observed.hello_ns, observed.hello_ns),
        count=1,
        severity="high" if is_confirmed else "medium",
        verdict="confirmed" if is_confirmed else "possible",
        grade="observed" if is_confirmed else "inferred",
        title=f"The client {did} at back end {case.label(observed)} because the server's certificate changed",
        what="the server's certificate changed",
        explanation=" ".join(_explained(case, observed, origin, weighed, pool)),
        evidence=_evidence(case, observed, origin),
        remedies=pool.remedies if is_confirmed else [_to_be_certain(case, observed), *pool.remedies],
        references=CHANGE_REFERENCES,
    )


def _origin(case: Case, observed: Observed) -> Observed | None:
    """The connection that was issued the session that this one offered."""
    return case.observed[observed.issuer] if observed.issuer is not None else None


def _explained(case: Case, observed: Observed, origin: Observed | None, weighed: Weighed, pool: Pool) -> Iterator[str]:
    """What happened, and how certain it is, sentence by sentence."""
    is_confirmed = weighed.weight == "confirmed"
    yield _story(case, observed, origin)
    if observed.entry.resumed_before is None and is_confirmed:
        yield (
            "The first resumption came too shortly before for the capture to tell; that the client gave up shows that"
            " it had been read."
        )
    logged = case.logged.certain(observed.index, "certificate_change")
    if logged is not None:
        yield f"The client's own log says so: {case.log_place(logged.log, logged.failure.line)}."
    yield from unreadable.unread_names(case, observed)
    if not is_confirmed:
        yield f"Not certain: {doubt(weighed)}."
        return
    yield from _ems(case, observed, pool)
    yield TRANSLATION
    if case.options.generation == "first":
        yield "Judged by the rule before 8u60, which is read in the sources and not recorded."


def _story(case: Case, observed: Observed, origin: Observed | None) -> str:
    """What was offered, how it was answered, and how the client ended it."""
    alert = observed.fatal_alert
    how = (
        f"alert {alert.code} (bad_certificate)"
        if alert and alert.from_client
        else f"{'RST' if observed.closed_how == 'rst' else 'FIN'} without an alert"
    )
    certificate = case.certificates.get(observed.leaf) if observed.leaf is not None else None
    new = certificate_name(certificate) if certificate is not None else "that cannot be read"
    if origin is not None:
        offered = f"of back end {case.label(origin)}"
    elif observed.session is not None:
        offered = "from before the capture"
    else:
        offered = "that was not captured, if any"
    resumed = "; that had been resumed before" if observed.entry.resumed_by is not None else ""
    return (
        f"It offered a session {offered}{resumed}; back end {case.label(observed)} declined it and answered in full"
        f" with another certificate ({new}), without extended master secret (EMS); the client ended the handshake with"
        f" {how}, before its own key exchange."
    )


def _to_be_certain(case: Case, observed: Observed) -> Remedy:
    """What would settle a doubt: another capture where frames are missing, else the client's log."""
    if not is_for_want_of_frames(case, observed):
        return log_remedy()
    service = case.services[observed.service]
    return capture_remedy(service.name, service.port, service.addresses, case.is_cut)


def _chain(case: Case, observed: Observed) -> tuple[Observed, ...]:
    """Origin, first resumption, the aborted connection."""
    origin, resumed_by = _origin(case, observed), observed.entry.resumed_by
    resumed = case.observed[resumed_by] if resumed_by is not None else None
    return tuple([link for link in (origin, resumed, observed) if link is not None])


def _evidence(case: Case, observed: Observed, origin: Observed | None) -> list[Evidence]:
    client_leg = observed.client_leg
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
    if observed.entry.resumed_by is not None:
        resumed = case.observed[observed.entry.resumed_by]
        h = resumed.client_leg.handshake
        when = span(observed.hello_ns - h.answer_ns)
        evidence.append(
            Evidence(
                "resumed", resumed.id, frames(h.hello_frame, h.answer_frame), f"the session was resumed {when} before"
            )
        )
    h = client_leg.handshake
    evidence.append(
        Evidence(
            "declined",
            observed.id,
            frames(h.hello_frame, h.answer_frame, h.certificate_frame),
            f"back end {case.label(observed)} answered with a full handshake",
        )
    )
    chosen = case.balancer.chosen.get(observed.index)
    if chosen is not None and chosen.entry.server:
        text = (
            f"the balancer sent it to {chosen.entry.backend}/{chosen.entry.server}:"
            f" {case.log_place(chosen.log, chosen.entry.line)}"
        )
        evidence.append(Evidence("balancer", observed.id, [], text))
    logged = case.logged.certain(observed.index, "certificate_change")
    if logged is not None:
        evidence.append(
            Evidence("log", observed.id, [], f"the client says so: {case.log_place(logged.log, logged.failure.line)}")
        )
    alert = observed.fatal_alert
    close = client_leg.from_client.fin or client_leg.from_client.rst
    if alert is not None and alert.from_client:
        evidence.append(
            Evidence("alert", observed.id, frames(alert.frame), "fatal bad_certificate (42) from the client")
        )
    elif close is not None:
        evidence.append(
            Evidence("closed", observed.id, frames(close.frame), "the client closed in silence after ServerHelloDone")
        )
    return evidence


def tolerated(case: Case, aborted: Iterable[Observed]) -> Iterator[Finding]:
    """Java clients that went on where the table says that they abort. ``aborted``: the connections that did end because
    of the change.
    """
    apart = two_programs(case, aborted)
    groups: dict[tuple[int, int], list[Observed]] = {}
    for observed in case.going_on_among(case.everybody.indices):
        groups.setdefault((observed.client, observed.service), []).append(observed)
    for (client, service_index), members in groups.items():
        last = members[-1]
        programs = apart.get(client)
        other = ""
        if programs is not None:
            text = "Another Java program at this address, or another setting of this one, aborted"
            other = f" {text} {_times(len(programs.aborted))} ({', '.join(programs.basis)}; inferred)."
        yield finding(
            case,
            TOLERATED,
            case.clients[client].id,
            case.services[service_index].id,
            on=members,
            times=(members[0].hello_ns, last.hello_ns),
            grade="inferred",
            title=f"A Java client went on {_times(len(members))} although the server's certificate changed",
            what="A Java client went on although the server's certificate changed",
            explanation="Java's rule says abort, yet the client completed the handshake: endpoint identification"
            " (HTTPS) or jdk.tls.allowUnsafeServerCertChange=true is set for it." + other,
            references=CHANGE_REFERENCES,
            evidence=[e for e in _evidence(case, last, None) if e.role == "declined" or e.role == "resumed"],
        )


def exposed(case: Case, service: ServiceGroup, assessment: Assessment, ems: Extended) -> Finding:
    """A service at which every condition is met and nothing has happened yet."""
    members = case.members(service)
    sample = next((s for s in members if s.declined and s.kind == "full"), members[0])
    h = sample.client_leg.handshake
    return finding(
        case,
        EXPOSED,
        service.id,
        on=[sample],
        service=service,
        backends=case.pools[service.index],
        clients=[c for c in case.service_clients[service.index] if c.stack.name == "jsse"],
        times=(members[0].first_ns, members[-1].first_ns),
        verdict="predicted",
        grade="inferred",
        title=f"A Java client of {service.name}:{service.port} can be hit by the certificate change",
        explanation="; ".join(assessment.because) + ".",
        remedies=pool_remedies(case, service, ems),
        references=CHANGE_REFERENCES,
        evidence=[
            Evidence(
                "declined" if sample.declined else "shown",
                sample.id,
                frames(h.hello_frame, h.answer_frame, h.certificate_frame),
                "a handshake of the pool",
            )
        ],
    )
