"""``pool-drift`` of latency where no certificate says who answers: some ClientHellos wait, and all of them as long."""

from __future__ import annotations

import shlex

from inspector.document import About, Evidence, Finding, Remedy
from inspector.document.rules import Rule
from inspector.findings.case import frames
from inspector.findings.compared import ComparedPool
from inspector.findings.finding import finding
from inspector.pool.attributes import PoolAttribute
from inspector.pool.slow_answers import SlowAnswers, slow_answers
from inspector.text.times import rfc3339, span


def slow_at_nobody(pool: ComparedPool) -> Finding | None:
    """Where back ends are not visible, or one certificate hides them all."""
    is_one = len(pool.case.pools[pool.service.index]) <= 1
    backends = pool.case.columns.backend
    unknown = (index for index in pool.members.indices if is_one or backends[index] < 0)
    slow = slow_answers(map(pool.case.observed.__getitem__, unknown))
    return _finding(pool, slow) if slow is not None else None


def _finding(pool: ComparedPool, slow: SlowAnswers) -> Finding:
    case, service = pool.case, pool.service
    name, count = f"{service.name}:{service.port}", len(slow.late)
    ours, theirs = span(slow.median_ns), span(slow.others_ns)
    slowest = slow.slowest
    handshake = slowest.client_leg.handshake
    failed = sum(observed.outcome == "aborted" for observed in slow.late)
    all_failed = pool.total[1]
    return finding(
        case,
        Rule.POOL_DRIFT,
        service.id,
        PoolAttribute.LATENCY,
        service=service,
        backends=[],
        clients=[],
        count=count,
        severity="info",
        grade="inferred",
        about=About(
            attribute=PoolAttribute.LATENCY,
            backend=None,
            value=f"the ClientHello is answered after {ours}",
            others=f"after {theirs}",
            since=rfc3339(slow.late[0].first_ns),
            affected=failed,
            reached=count,
            elsewhere_affected=all_failed - failed,
            elsewhere=slow.measured - count,
        ),
        title=f"Some of {name} is slow: {count} of {slow.measured} ClientHellos are answered after {ours}, the others"
        f" after {theirs}",
        what=f"The back ends of {name} differ in latency",
        matter=PoolAttribute.LATENCY,
        explanation=f"{count} of {slow.measured} ClientHellos waited {ours} (median) and others between them {theirs}:"
        " one member of the pool, several that are alike, the way to them, or what keeps a server now and then.",
        remedies=[
            Remedy(
                "owners of the pool",
                "Ask each back end by its own address which of them it is, and look for what keeps it: load, name"
                " look-ups, what stands behind it; and the way to it.",
                f"for b in BACKEND1 BACKEND2; do time openssl s_client -connect $b:{service.port} -servername"
                f" {shlex.quote(service.name)} </dev/null; done",
            )
        ],
        evidence=[
            Evidence(
                "slow",
                slowest.id,
                frames(handshake.hello_frame, handshake.answer_frame),
                f"answered after {span(handshake.answer_ns - handshake.hello_ns)}",
            )
        ],
    )
