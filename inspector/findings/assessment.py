"""The assessment of a service: one sentence, why, and what would break it. Five states, each claimed only as far as the capture reaches."""

from __future__ import annotations

from collections import Counter

from inspector.document import Assessment, Finding, Grade
from inspector.findings.case import Case
from inspector.findings.change import ABORT, NOT_JAVA
from inspector.findings.failures import RULE as FAILED
from inspector.findings.remedies import capture_remedy
from inspector.times import span
from inspector.tracking.observed import Observed
from inspector.tracking.services import Service

Pair = tuple[bytes, bytes]


def assess(case: Case, service: Service, findings: list[Finding]) -> Assessment:
    """The state of one service. ``findings``: those that name it."""
    members = case.members(service)
    confirmed = [f for f in findings if f.rule == ABORT and f.verdict == "confirmed"]
    possible = [f for f in findings if f.rule == ABORT and f.verdict == "possible"]
    failed = [f for f in findings if f.rule == FAILED]
    total = len(members)
    do = f"put one name, e.g. DNS {service.name}, into all certificates of the pool"
    if confirmed:
        plural = "s" if total > 1 else ""
        sentence = f"The client aborted {len(confirmed)} of {total} connection{plural} because the server's certificate changed."
        return Assessment("confirmed", sentence, _why_confirmed(case, service), ["nothing needs to change for it to happen again"], "observed", do)
    if possible:
        recipe = capture_remedy(service.name, service.port, service.addresses)
        sentence = f"Cannot tell: {len(possible)} of {total} connections ended as Java ends them when the certificate changed, but {possible[0].explanation.rsplit('Not certain: ', 1)[-1].rstrip('.')}."
        return Assessment("unknown", sentence, [], [], "inferred", f"capture again: {recipe.check}")
    if not members or (not any(s.outcome == "established" for s in members) and not failed):
        recipe = capture_remedy(service.name, service.port, service.addresses)
        seen = "only health checks were captured" if service.connections and not members else "no completed handshake was captured"
        return Assessment("unknown", f"Cannot tell: {seen}.", [], [], "not_visible", f"capture again: {recipe.check}")
    exposed = _exposure(case, members)
    java_failed = any(case.observed[i].stack.name == "jsse" and case.observed[i].outcome == "aborted" for i in service.connections)
    if failed and not (exposed and not java_failed):
        worst = max(failed, key=lambda f: f.count)
        count = sum(f.count for f in failed)
        reason = worst.title.split(": ", 1)[-1]
        sentence = f"Not this: {count} of {total} connections failed for another reason: {reason}."
        graded: Grade = worst.grade
        remedy = worst.remedies[0].text if worst.remedies else "look at the failed connections"
        return Assessment("not_this", sentence, [f.title for f in failed], [], graded, remedy[0].lower() + remedy[1:].rstrip("."))
    if exposed:
        return Assessment(
            "exposed",
            "Exposed: no abort yet, but nothing stands in its way.",
            exposed,
            ["a session that was resumed once is declined by a back end with another certificate"],
            "inferred",
            do,
        )
    return _protected(case, members)


def _why_confirmed(case: Case, service: Service) -> list[str]:
    members = case.members(service)
    leaves = sorted({s.leaf for s in members if s.leaf})
    versions = sorted({s.answer.version for s in members if s.answer is not None})
    because = [f"{sum(s.declined for s in members)} offered sessions were declined, {sum(s.kind in ('session_id', 'ticket') for s in members)} were resumed"]
    if len(leaves) > 1:
        because.append(f"{len(leaves)} certificates, not all of which Java counts as one server")
    if versions and versions[-1] < 0x0304:
        because.append("no connection used TLS 1.3")
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
        f"{len(resumed)} sessions were resumed in {span(last - first)}",
        "TLS 1.2 or older without extended master secret (EMS)" + (" on some back ends" if issuing[True] else ""),
        f"{len({leaf for pair in pairs for leaf in pair})} certificates that Java does not count as one server",
        "the client is Java",
    ]


def _protected(case: Case, members: list[Observed]) -> Assessment:
    """Which condition of the abort cannot be met."""
    answered = [s for s in members if s.answer is not None and s.kind is not None]
    total = len(answered)
    old = [s for s in answered if not s.modern]
    sentence = "Protected: this error cannot happen here."
    if not old:
        return Assessment(
            "protected",
            sentence,
            [f"all {total} connections use TLS 1.3"],
            ["a back end or the JVM falls back to TLS 1.2 without extended master secret (EMS)"],
            "observed",
            "nothing",
        )
    full = [s for s in old if s.kind == "full"]
    leaves = sorted({s.leaf for s in full if s.leaf is not None} | {s.entry.session.leaf for s in old if s.entry.session and s.entry.session.leaf})
    stacks = Counter(s.stack.name for s in old)
    java = stacks["jsse"] + stacks["unknown"]
    if not leaves:
        return Assessment(
            "unknown", "Cannot tell: no server certificate was captured, only resumed sessions.", [], [], "not_visible", "capture for longer, or from before the JVM starts"
        )
    if len(leaves) == 1:
        breaks = ["a back end with another certificate joins", "the certificate is replaced by one with other names"]
        return Assessment("protected", sentence, ["every full handshake showed the same certificate; more back ends may hide behind it"], breaks, "observed", "nothing")
    if all(case.step(leaves[0], leaf) != "none" for leaf in leaves[1:]):
        name = _shared(case, leaves)
        return Assessment(
            "protected", sentence, [f"all {len(leaves)} certificates count as one server: {name}"], ["a certificate without that name joins the pool"], "observed", "nothing"
        )
    if not java:
        listed = ", ".join(sorted(stacks))
        return Assessment("protected", sentence, [f"the rule is Java's; the clients here are not Java ({listed})"], ["a Java client uses the service"], "inferred", "nothing")
    if all(s.answer is not None and s.answer.extended_master_secret for s in full if s.stack.name not in NOT_JAVA):
        return Assessment(
            "protected",
            sentence,
            ["every full handshake used extended master secret (EMS)"],
            ["a back end or the JVM stops doing EMS"],
            "observed",
            "nothing; keep EMS on every back end",
        )
    tolerated = [s for s in old if case.judgements[s.index].decision.row == 6 and s.outcome == "established" and s.stack.name == "jsse"]
    if tolerated:
        because = [f"{len(tolerated)} times the client went on where Java's rule says abort: endpoint identification or jdk.tls.allowUnsafeServerCertChange is set"]
        return Assessment("protected", sentence, because, ["the client's setting changes"], "inferred", "nothing")
    if not any(s.is_resumed for s in old):
        because = [f"no session was resumed in {total} connections, and only a session that was resumed before can lead to the abort"]
        breaks = ["the balancer sends a client to the same back end twice in a row, as it does when other clients share the service"]
        return Assessment("protected", sentence, because, breaks, "inferred", "watch for longer, or give the certificates one name in common")
    because = ["no Java client met both a resumed session and a certificate that differs without EMS"]
    return Assessment("protected", sentence, because, ["a Java client resumes a session and is then sent to a back end with another certificate"], "inferred", "watch for longer")


def _shared(case: Case, leaves: list[bytes]) -> str:
    names = [{n.lower() for n in case.certificates[leaf].identity.dns_names} for leaf in leaves if leaf in case.certificates]
    common = sorted(set.intersection(*names)) if names else []
    return f"they share the name {common[0]}" if common else "by Java's identity rule"
