"""What makes the members of a pool answer alike: who is weaker, or takes longer, learns it from the others."""

from __future__ import annotations

import shlex

from inspector.document import Remedy
from inspector.findings.compared import ComparedPool
from inspector.findings.differing import value_words
from inspector.findings.odd_member import asked_at, member_called
from inspector.pool.attributes import PoolAttribute, Value
from inspector.pool.odd_one import PoolDifference
from inspector.tls.suite_strength import strength_of

MOST_NAMED = 4
"""Members that a remedy names at most."""


def answer_remedies(pool: ComparedPool, difference: PoolDifference) -> list[Remedy]:
    """For the owners of those that do worse; empty where none is better than another."""
    best = _best(difference)
    if best is None:
        return []
    worse = {holder.backend for holder in difference.holders if holder.value != best}
    named = [backend for backend in pool.case.pools[pool.service.index] if backend.index in worse]
    what = DO[difference.attribute].format(value_words(pool.case, difference.attribute, best))
    port, name = pool.service.port, shlex.quote(pool.service.name)
    ask = f"-servername {name} </dev/null 2>&1 | grep -E 'Protocol|Cipher|Server Temp Key'"
    if not named or len(named) > MOST_NAMED:
        return [
            Remedy(
                "owners of the pool",
                f"Ask each back end by its own address which of them it is, and let all {what}.",
                f"for b in BACKEND1 BACKEND2; do openssl s_client -connect $b:{port} {ask}; done",
            )
        ]
    labels = ", ".join(backend.label for backend in named)
    host = shlex.quote(asked_at(pool.case, named[0]) or pool.service.name)
    return [
        Remedy(
            f"owners of back end{'s' * (len(named) > 1)} {labels}",
            f"Let {' and '.join(member_called(pool.case, backend) for backend in named)} {what} too.",
            f"openssl s_client -connect {host}:{port} {ask}",
        )
    ]


DO: dict[PoolAttribute, str] = {
    PoolAttribute.VERSIONS: "speak {}",
    PoolAttribute.CIPHER: "choose {}",
    PoolAttribute.GROUP: "accept the group for which the client sends a key share",
}
"""What the worse must do; the better value's words go in."""


def _best(difference: PoolDifference) -> Value | None:
    """The value that all should have: the newest version, a suite that is as strong as any, no second hello."""
    values = dict.fromkeys(holder.value for holder in difference.holders)
    numbers = [value for value in values if isinstance(value, int)]
    if difference.attribute is PoolAttribute.GROUP:
        return False
    if difference.attribute is PoolAttribute.VERSIONS:
        return max(numbers)
    if difference.attribute is PoolAttribute.CIPHER:
        strengths = {suite: strength for suite in numbers if (strength := strength_of(suite)) is not None}
        strongest = max(strengths.values(), key=sum, default=None)
        best = [suite for suite in numbers if strengths.get(suite) == strongest]
        return difference.common if difference.common in best else best[0] if best else None
    return None
