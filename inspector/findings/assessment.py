"""The assessment of a service: one sentence, why, and what would break it. Five states, each claimed only as far as the capture reaches."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from inspector.document import Assessment, Finding, Grade
from inspector.findings.case import NOT_JAVA, Case
from inspector.findings.change import ABORT
from inspector.findings.failures import RULE as FAILED
from inspector.findings.failures import unclear_id
from inspector.findings.machine import ALLOW_UNSAFE, USE_EMS
from inspector.findings.remedies import capture_remedy
from inspector.findings.renegotiation import BROKEN_OFF, CHANGED
from inspector.times import span
from inspector.tracking.observed import Observed
from inspector.tracking.services import Service

Pair = tuple[bytes, bytes]


def assess(case: Case, service: Service, findings: list[Finding]) -> Assessment:
    """The state of one service. ``findings``: those that name it."""
    members = case.members(service)
    confirmed = [f for f in findings if f.rule == ABORT and f.verdict == "confirmed"]
    possible = [f for f in findings if f.rule == ABORT and f.verdict == "possible"]
    broken_off = [f for f in findings if f.rule == BROKEN_OFF]
    failed = [f for f in findings if f.rule == FAILED]
    total = len(members)
    do = f"put one name, e.g. DNS {service.name}, into all certificates of the pool"
    again = f"capture again: {capture_remedy(service.name, service.port, service.addresses, case.is_cut).check}"
    if confirmed:
        who = "The client" if len({c for f in confirmed for c in f.clients}) == 1 else "Clients"
        sentence = f"{who} aborted {len(confirmed)} of {connections(total)} because the server's certificate changed."
        return Assessment("confirmed", sentence, _why_confirmed(case, service), ["nothing needs to change for it to happen again"], "observed", do)
    if possible:
        doubt = possible[0].explanation.rsplit("Not certain: ", 1)[-1].rstrip(".")
        return _unknown(f"{len(possible)} of {connections(total)} ended as Java ends them when the certificate changed, but {doubt}", "inferred", again)
    told = [f for f in broken_off if f.verdict == "confirmed"]
    if told:
        sentence = f"The client aborted {len(told)} of {connections(total)} inside established connections: a renegotiation brought another certificate."
        because = ["each began with a resumed session without extended master secret (EMS)", *dict.fromkeys(f.explanation.split(". ", 1)[-1].rstrip(".") for f in told[:1])]
        return Assessment("confirmed", sentence, because, ["the server renegotiates with another certificate again"], "observed", do)
    if broken_off:
        text = f"the client broke off {len(broken_off)} renegotiation{'s' if len(broken_off) > 1 else ''} after the server's flight, as Java does when the certificate changed"
        proven = {c for f in findings if f.rule == CHANGED for c in f.connections} & {c for f in broken_off for c in f.connections}
        hidden = f"the flight is encrypted; in {len(proven)} of them its length proves that certificate or chain changed" if proven else "the flight is encrypted"
        return _unknown(f"{text}; {hidden}", "inferred", "compare the certificates that the server was given at the times of these connections, and look into the client's log")
    if not members or (not any(s.outcome == "established" for s in members) and not failed):
        return _unknown("only health checks were captured" if service.connections and not members else "no completed handshake was captured", "not_visible", again)
    if failed and all(f.id == unclear_id(service, f) for f in failed):
        return _unknown(failed[0].title.split(": ", 1)[-1], "not_visible", again)
    exposed = _exposure(case, members)
    java_failed = any(case.observed[i].stack.name == "jsse" and case.observed[i].outcome == "aborted" for i in service.connections)
    if failed and not (exposed and not java_failed):
        worst = max(failed, key=lambda f: f.count)
        sentence = f"Not this: {sum(f.count for f in failed)} of {connections(total)} failed for another reason: {worst.title.split(': ', 1)[-1]}."
        remedy = worst.remedies[0].text if worst.remedies else "look at the failed connections"
        return Assessment("not_this", sentence, [f.title for f in failed], [], worst.grade, remedy[0].lower() + remedy[1:].rstrip("."))
    if exposed:
        sentence = "Exposed: no abort yet, but nothing stands in its way."
        return Assessment("exposed", sentence, exposed, ["a session that was resumed once is declined by a back end with another certificate"], "inferred", do)
    return _protected(case, members)


def connections(count: int) -> str:
    """``1 connection``, ``177 connections``."""
    return f"{count} connection{'' if count == 1 else 's'}"


def _unknown(what: str, grade: Grade, do: str) -> Assessment:
    return Assessment("unknown", f"Cannot tell: {what}.", [], [], grade, do)


def _safe(because: str, *breaks_if: str, grade: Grade = "observed", do: str = "nothing") -> Assessment:
    """Protected by a condition that cannot be met; where that is inferred, the sentence claims no more than that."""
    sentence = "Protected: this error cannot happen here." if grade == "observed" else "Protected as things stand: what this error needs was not seen here."
    return Assessment("protected", sentence, [because], list(breaks_if), grade, do)


def _why_confirmed(case: Case, service: Service) -> list[str]:
    members = case.members(service)
    leaves = sorted({s.leaf for s in members if s.leaf})
    versions = sorted({s.answer.version for s in members if s.answer is not None})
    declined, resumed = sum(s.declined for s in members), sum(s.is_resumed for s in members)
    because = [f"{declined} offered session{' was' if declined == 1 else 's were'} declined, {resumed} {'was' if resumed == 1 else 'were'} resumed"]
    if len(leaves) > 1:
        because.append(f"{len(leaves)} certificates, not all of which Java counts as one server")
    if versions and versions[-1] < 0x0304:
        because.append("no connection used TLS 1.3")
    machine = next((found for s in members if (found := case.machine_of(s)) is not None), None)
    if machine is not None and machine.has_ems_off:
        because.append(f"the client's JVM (process {machine.process}) runs with -D{USE_EMS}=false")
    return because


def _exposure(case: Case, members: list[Observed]) -> list[str] | None:
    """The conditions of the abort, where all of them are met for a Java client; None otherwise."""
    java = [s for s in members if s.stack.name == "jsse" and s.kind is not None and not s.modern]
    resumed = [s for s in java if s.is_resumed]
    if not resumed or any(case.judgements[s.index].decision.row == 6 and s.outcome == "established" for s in java):
        return None
    issuing: dict[bool, set[bytes]] = {True: set(), False: set()}
    offers: set[bool] = set()
    for seen in java:
        if seen.kind == "full" and seen.leaf is not None and seen.answer is not None:
            issuing[seen.answer.extended_master_secret].add(seen.leaf)
            offers.add(seen.offer is not None and seen.offer.extended_master_secret)
    plain = issuing[False]
    kept = issuing[True] | (plain if False in offers else set())
    pairs = [(a, b) for a in kept for b in plain if case.step(a, b) == "none"]
    if not pairs:
        return None
    first, last = min(s.first_ns for s in members), max(s.first_ns for s in members)
    return [
        f"{len(resumed)} session{' was' if len(resumed) == 1 else 's were'} resumed in {span(last - first)}",
        "TLS 1.2 or older without extended master secret (EMS)" + (" on some back ends" if issuing[True] else ""),
        f"{len({leaf for pair in pairs for leaf in pair})} certificates that Java does not count as one server",
        "the client is Java",
    ]


def _protected(case: Case, members: list[Observed]) -> Assessment:
    """Which condition of the abort cannot be met."""
    answered = [s for s in members if s.answer is not None and s.kind is not None]
    total = len(answered)
    old = [s for s in answered if not s.modern]
    if not old:
        return _safe(f"all {connections(total)} use TLS 1.3", "a back end or the JVM falls back to TLS 1.2 without extended master secret (EMS)")
    full = [s for s in old if s.kind == "full"]
    inside = {h.chain[0] for s in old if s.renegotiations for h in s.main.inside if h.chain}
    leaves = sorted(inside | {s.leaf for s in full if s.leaf is not None} | {s.entry.session.leaf for s in old if s.entry.session and s.entry.session.leaf})
    if not leaves:
        return _unknown("no server certificate was captured, only resumed sessions", "not_visible", "capture for longer, or from before the JVM starts")
    hidden = sum(_hides_a_certificate(s) for s in old)
    grade: Grade = "inferred" if hidden else "observed"
    unseen = (f"a renegotiation shows a certificate of other names: what {hidden} showed is encrypted",) if hidden else ()
    if len(leaves) == 1:
        breaks = ("a back end with another certificate joins", "the certificate is replaced by one with other names", *unseen)
        return _safe("every full handshake in clear showed the same certificate; more back ends may hide behind it", *breaks, grade=grade)
    if all(case.step(a, b) != "none" for a, b in combinations(leaves, 2)):
        because = f"all {len(leaves)} certificates count as one server: {_shared(case, leaves)}"
        return _safe(because, "a certificate without that name joins the pool", *unseen, grade=grade)
    stacks = Counter(s.stack.name for s in old)
    if not stacks["jsse"] + stacks["unknown"]:
        return _safe(f"the rule is Java's; the clients here are not Java ({', '.join(sorted(stacks))})", "a Java client uses the service", grade="inferred")
    if all(s.answer is not None and s.answer.extended_master_secret for s in full if s.stack.name not in NOT_JAVA):
        return _safe("every full handshake used extended master secret (EMS)", "a back end or the JVM stops doing EMS", do="nothing; keep EMS on every back end")
    machines = [case.machine_of(s) for s in old]
    if all(machine is not None and machine.allows_change for machine in machines):
        because = f"the client's JVM runs with -D{ALLOW_UNSAFE}=true, which skips the check"
        return _safe(because, "the property is taken away", do="give the certificates one name in common: the property re-opens the triple handshake attack")
    tolerated = [s for s in old if case.judgements[s.index].decision.row == 6 and s.outcome == "established" and s.stack.name == "jsse"]
    if tolerated:
        because = f"{len(tolerated)} times the client went on where Java's rule says abort: endpoint identification or jdk.tls.allowUnsafeServerCertChange is set"
        return _safe(because, "the client's setting changes", grade="inferred")
    if not any(s.is_resumed for s in old):
        because = f"no session was resumed in {connections(total)}, and only a session that was resumed before can lead to the abort"
        breaks_if = "the balancer sends a client to the same back end twice in a row, as it does when other clients share the service"
        return _safe(because, breaks_if, grade="inferred", do="watch for longer, or give the certificates one name in common")
    because = "no Java client met both a resumed session and a certificate that differs without EMS"
    return _safe(because, "a Java client resumes a session and is then sent to a back end with another certificate", grade="inferred", do="watch for longer")


def _hides_a_certificate(seen: Observed) -> bool:
    """Whether Java's rule would look at a certificate that is encrypted: in a renegotiation of what began with a session resumed without EMS."""
    answer = seen.answer
    if not seen.is_resumed or answer is None or answer.extended_master_secret:
        return False
    return any(attempt.inside < 0 and attempt.state != "declined" and attempt.shape != "abbreviated" for attempt in seen.renegotiations)


def _shared(case: Case, leaves: list[bytes]) -> str:
    names = [{n.lower() for n in case.certificates[leaf].identity.dns_names} for leaf in leaves if leaf in case.certificates]
    common = sorted(set.intersection(*names)) if names else []
    return f"they share the name {common[0]}" if common else "by Java's identity rule"
