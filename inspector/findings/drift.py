"""``pool-drift`` of what no certificate shows: members of a pool that answer equal ClientHellos differently, take
longer, or are reached without a name.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from itertools import islice

from inspector.document import About, Evidence, Finding, Remedy
from inspector.document.rules import Rule, Severity
from inspector.findings.answer_remedies import answer_remedies
from inspector.findings.case import Case, frames
from inspector.findings.compared import ComparedPool
from inspector.findings.differing import about_difference, called, values_in_words, who
from inspector.findings.finding import finding
from inspector.findings.nameless import drift_of_names
from inspector.findings.slow_answers import slow_at_nobody
from inspector.pool.attributes import PoolAttribute, Value
from inspector.pool.odd_one import Holder, PoolDifference
from inspector.pool.waits import SlowMember, slow_members
from inspector.text.listing import MOST, listed, more_than
from inspector.text.times import rfc3339, span
from inspector.tls.suite_strength import differ_in_strength

Explained = tuple[int, str]
"""A service by its index, and an attribute of which another finding tells."""

OF_ANSWERS: dict[PoolAttribute, Severity] = {
    PoolAttribute.VERSIONS: "low",
    PoolAttribute.CIPHER: "info",
    PoolAttribute.GROUP: "info",
    PoolAttribute.ALPN: "info",
    PoolAttribute.STAPLING: "info",
}
"""What is compared of answers, and how severe a difference is that no failure goes with; a weaker suite is more."""

MOST_SHOWN = 6
"""Holders of values whose frames are evidence."""


def drift_of_answers(pools: Sequence[ComparedPool], explained: Set[Explained]) -> Iterator[Finding]:
    """One for each service and attribute. ``explained``: of what another finding tells."""
    for pool in pools:
        for attribute, severity in OF_ANSWERS.items():
            difference = pool.difference(attribute)
            if difference is not None and (pool.service.index, attribute) not in explained:
                is_weaker = attribute is PoolAttribute.CIPHER and differ_in_strength(
                    holder.value for holder in difference.holders if isinstance(holder.value, int)
                )
                yield _of_answers(pool, difference, "low" if is_weaker else severity)
        slow = slow_members(pool.members, pool.looks)
        if slow:
            yield _slow(pool, slow)
        elif (at_nobody := slow_at_nobody(pool)) is not None:
            yield at_nobody
        if (pool.service.index, PoolAttribute.SNI) not in explained:
            yield from drift_of_names(pool)


def _of_answers(pool: ComparedPool, difference: PoolDifference, severity: Severity) -> Finding:
    case, service, name = pool.case, pool.service, called(difference.attribute)
    by_value: defaultdict[Value, list[Holder]] = defaultdict(list)
    for holder in difference.holders:
        by_value[holder.value].append(holder)
    words = values_in_words(case, pool, difference)
    about = about_difference(pool, difference)
    backends = [case.backends[holder.backend] for holder in difference.holders if holder.backend >= 0]
    parts = "; ".join(f"{who(case, by_value[value])}: {text}" for value, text in islice(words.items(), MOST))
    return finding(
        case,
        Rule.POOL_DRIFT,
        service.id,
        difference.attribute,
        service=service,
        backends=backends,
        clients=[],
        count=len(words),
        severity=severity,
        grade="observed" if all(holder.backend >= 0 for holder in difference.holders) else "inferred",
        about=about,
        title=_title(pool, difference, about, name),
        what=f"The back ends of {service.name}:{service.port} differ in {name}",
        matter=difference.attribute,
        explanation=f"To equal ClientHellos: {parts}{more_than(len(words))}. {_since(case, difference)}".strip(),
        remedies=answer_remedies(pool, difference),
        evidence=[
            _evidence(pool, difference, holder, words[holder.value]) for holder in difference.holders[:MOST_SHOWN]
        ],
    )


def _title(pool: ComparedPool, difference: PoolDifference, about: About, name: str) -> str:
    case, service = pool.case, f"{pool.service.name}:{pool.service.port}"
    alone = difference.odd_one
    if alone is not None and alone.backend >= 0:
        label = case.backends[alone.backend].label
        return f"Back end {label} of {service} is the odd one in {name}: {about.value}, the others {about.others}"
    shown = sum(holder.connections for holder in difference.holders)
    return f"The pool of {service} is mixed in {name}: {about.value} ({about.reached} of {shown}); {about.others}"


def _since(case: Case, difference: PoolDifference) -> str:
    changed = [holder for holder in difference.odd if holder.has_changed][:MOST_SHOWN]
    return " ".join(
        f"{case.backends[holder.backend].label} answers so since {rfc3339(holder.since_ns)}." for holder in changed
    )


def _evidence(pool: ComparedPool, difference: PoolDifference, holder: Holder, text: str) -> Evidence:
    """The first connection that shows a value."""
    extract = pool.extractors[difference.attribute]
    sample = next(
        group.sample
        for group in pool.groups
        if (holder.backend < 0 or group.backend == holder.backend)
        and group.sample.kind == "full"
        and extract(group.sample) == holder.value
    )
    handshake = sample.client_leg.handshake
    label = pool.case.label(sample)
    return Evidence("shown", sample.id, frames(handshake.hello_frame, handshake.answer_frame), f"{label}: {text}")


def _slow(pool: ComparedPool, slow: Sequence[SlowMember]) -> Finding:
    case, service = pool.case, pool.service
    worst = slow[0]
    labels = [case.backends[member.backend].label for member in slow]
    only = len({member.backend for member in slow}) == 1
    count, failed = pool.reached(worst.backend)
    total, all_failed = pool.total
    return finding(
        case,
        Rule.POOL_DRIFT,
        service.id,
        PoolAttribute.LATENCY,
        service=service,
        backends=[case.backends[index] for index in dict.fromkeys(member.backend for member in slow)],
        clients=[],
        count=sum(pool.reached(member.backend)[0] for member in slow),
        severity="low",
        about=About(
            attribute=PoolAttribute.LATENCY,
            backend=case.backends[worst.backend].id if only else None,
            value=f"{WAITS[worst.wait]} after {span(worst.median_ns)}",
            others=f"after {span(worst.others_ns)}",
            since=rfc3339(worst.since_ns),
            affected=failed,
            reached=count,
            elsewhere_affected=all_failed - failed,
            elsewhere=total - count,
            changed=worst.has_changed,
        ),
        title=f"Back end{'s' * (not only)} {listed(labels)} of {service.name}:{service.port}"
        f" {'is' if only else 'are'} slow: {WAITS[worst.wait]} after {span(worst.median_ns)}, elsewhere after"
        f" {span(worst.others_ns)}",
        what=f"The back ends of {service.name}:{service.port} differ in latency",
        matter=PoolAttribute.LATENCY,
        explanation=" ".join(
            f"{case.backends[member.backend].label}: {WAITS[member.wait]} after {span(member.median_ns)} (median of"
            f" {member.measured}), elsewhere after {span(member.others_ns)}."
            for member in slow[:MOST]
        )
        + (WAY if worst.wait == "answer" else ""),
        remedies=[
            Remedy(
                f"owners of back end {label}",
                f"Look for what keeps back end {label}: load, name look-ups, what stands behind it; and the way to it.",
                f"for i in 1 2 3 4 5; do time openssl s_client -connect {shlex.quote(service.name)}:{service.port}"
                " </dev/null; done",
            )
            for label in dict.fromkeys(labels[:MOST])
        ],
        evidence=[
            Evidence(
                "slow",
                case.observed[member.slowest].id,
                frames(
                    case.observed[member.slowest].client_leg.handshake.hello_frame,
                    case.observed[member.slowest].client_leg.handshake.answer_frame,
                ),
                f"{case.backends[member.backend].label}: {WAITS[member.wait]}",
            )
            for member in slow[:MOST_SHOWN]
        ],
    )


WAITS = {
    "connect": "the TCP connection is made",
    "answer": "the ClientHello is answered",
    "reply": "the first request is answered",
}
"""What is waited for."""


WAY = " That is the back end itself, or the way from the balancer to it."
