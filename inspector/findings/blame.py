"""Which failures of a service go with which attribute, and whether one member of its pool is the odd one there."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from msgspec import Struct, field

from inspector.findings.attributed import attribute_of, is_odd
from inspector.findings.causes import Cause, CertificateNames
from inspector.findings.compared import ComparedPool
from inspector.pool.alike import asked_of
from inspector.pool.attributes import PoolAttribute
from inspector.pool.odd_one import FEWEST_NAMELESS
from inspector.pool.rates import is_more_often
from inspector.tracking.observed import Observed

OF_TRUST = frozenset(
    (PoolAttribute.CHAIN, PoolAttribute.NAMES, PoolAttribute.VALIDITY, PoolAttribute.CLIENT_AUTHORITIES)
)
"""What depends on whom the client trusts, or who it is; all else on what it asks."""

SHOWN_BY_MEMBER = frozenset(
    (PoolAttribute.CHAIN, PoolAttribute.NAMES, PoolAttribute.VALIDITY, PoolAttribute.CLIENT_AUTHORITIES)
)
"""What is seen of a member itself, so that failures there need no counting."""


class Blame(Struct):
    """Failures of one service that go with one attribute. ``backend``: of the odd member, -1 where it is not known
    which, or all are alike. ``reached``: connections that came to it; ``elsewhere``: all others, of which
    ``elsewhere_failed`` with the same attribute. ``is_everywhere``: nothing succeeded; ``is_spell``: nothing did
    between the first and the last of the failures, so that it was everybody for a while.
    """

    attribute: PoolAttribute
    failed: list[Observed]
    backend: int = -1
    reached: int = 0
    elsewhere: int = 0
    elsewhere_failed: int = 0
    is_everywhere: bool = False
    is_spell: bool = False
    causes: list[Cause] = field(default_factory=list)

    @property
    def affected(self) -> int:
        """Failures at the odd member."""
        return len(self.failed) - self.elsewhere_failed


def blamed(
    pool: ComparedPool, failures: Iterable[tuple[Observed, Cause]], names: CertificateNames
) -> dict[PoolAttribute, Blame]:
    """By attribute. Failures of clients that are themselves the odd ones are nobody's."""
    by_attribute: dict[PoolAttribute, Blame] = {}
    for observed, why in failures:
        attribute = attribute_of(pool, observed, why, names)
        if attribute is not None:
            blame = by_attribute.setdefault(attribute, Blame(attribute, []))
            blame.failed.append(observed)
            blame.causes.append(why)
    plain = by_attribute.get(PoolAttribute.PROTOCOL)
    if plain is not None and len(plain.failed) == len(pool.members) and PoolAttribute.PROXY not in by_attribute:
        del by_attribute[PoolAttribute.PROTOCOL]
        by_attribute[PoolAttribute.PROXY] = Blame(PoolAttribute.PROXY, plain.failed, causes=plain.causes)
    return {attribute: blame for attribute, blame in by_attribute.items() if _located(pool, blame)}


def _located(pool: ComparedPool, blame: Blame) -> bool:
    """Find the member that the failures are at; whether the pool, and not the client, is where they come from."""
    total, _ = pool.total
    blame.is_everywhere = not any(observed.outcome == "established" for observed in pool.members)
    at: dict[int, int] = {}
    for observed in blame.failed:
        at[observed.backend] = at.get(observed.backend, 0) + 1
    worst = max(at, key=lambda backend: (_is_shown(pool, blame.attribute, backend), at[backend]))
    if worst >= 0 and _is_odd_there(pool, blame, worst, at[worst]):
        blame.backend = worst
        blame.reached = pool.reached(worst)[0]
        blame.elsewhere_failed = len(blame.failed) - at[worst]
    elif len(blame.failed) < FEWEST_NAMELESS or not (blame.is_everywhere or is_pools_own(pool.members, blame)):
        return False
    else:
        blame.reached = total if blame.is_everywhere else _reached(pool, blame, at)
        first, last = blame.failed[0].hello_ns, blame.failed[-1].hello_ns
        blame.is_spell = not any(o.outcome == "established" and first <= o.hello_ns <= last for o in pool.members)
    blame.elsewhere = total - blame.reached
    return True


def _is_shown(pool: ComparedPool, attribute: PoolAttribute, backend: int) -> bool:
    return attribute in SHOWN_BY_MEMBER and is_odd(pool, attribute, backend)


def _is_odd_there(pool: ComparedPool, blame: Blame, backend: int, failed: int) -> bool:
    """Whether a back end is the odd one: it shows so itself, and fails alone or more often than all others."""
    if len(pool.case.pools[pool.service.index]) < 2:
        return False
    reached = pool.reached(backend)[0]
    total, elsewhere_failed = pool.total[0], len(blame.failed) - failed
    if _is_shown(pool, blame.attribute, backend):
        return failed * (total - reached) > elsewhere_failed * reached
    return is_more_often(failed, reached, elsewhere_failed, total - reached, looks=pool.looks)


def _reached(pool: ComparedPool, blame: Blame, at: dict[int, int]) -> int:
    """Connections that came to where some failed: to the back ends that are known, and the failures alone where none
    is.
    """
    return at.get(-1, 0) + sum(pool.reached(backend)[0] for backend in at if backend >= 0)


def is_pools_own(members: Sequence[Observed], blame: Blame) -> bool:
    """Whether whoever failed also succeeds, so that it is not the client that is odd: the same client where it is a
    matter of trust, else anybody who asked the same.
    """

    def asking(observed: Observed) -> Hashable:
        if blame.attribute in OF_TRUST:
            return observed.client
        return asked_of(observed.offer) if observed.offer is not None else None

    failing = {asking(observed) for observed in blame.failed}
    return any(observed.outcome == "established" and asking(observed) in failing for observed in members)
