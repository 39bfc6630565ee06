"""Which failures of a service go with which attribute, and whether one member of its pool is the odd one there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence, Set

from msgspec import Struct

from inspector.findings.attributed import attribute_of, is_odd
from inspector.findings.causes import Cause, CertificateNames
from inspector.findings.compared import ComparedPool
from inspector.findings.nameless import Nameless, nameless
from inspector.pool.alike import asked_of
from inspector.pool.attributes import PoolAttribute
from inspector.pool.odd_one import FEWEST_NAMELESS
from inspector.pool.rates import is_more_often
from inspector.pool.telltales import Telltale, telltales
from inspector.tracking.observed import Observed

MATTERS_OF_TRUST = frozenset(
    (
        PoolAttribute.FLIGHT,
        PoolAttribute.CERTIFICATE,
        PoolAttribute.CHAIN,
        PoolAttribute.NAMES,
        PoolAttribute.VALIDITY,
        PoolAttribute.CLIENT_AUTHORITIES,
    )
)
"""What depends on whom the client trusts, or who it is; all else on what it asks."""

SHOWN_BY_MEMBER = frozenset(
    (PoolAttribute.CHAIN, PoolAttribute.NAMES, PoolAttribute.VALIDITY, PoolAttribute.CLIENT_AUTHORITIES)
)
"""What is seen of a member itself, so that failures there need no counting."""


class Blame(Struct):
    """Failures of one service that go with one attribute. ``backends``: of the odd members, by index; empty where it
    is not known which they are, or all are alike. ``reached``: connections that came to them; ``elsewhere``: all
    others, of which ``elsewhere_failed`` with the same attribute. ``is_everywhere``: nothing succeeded; ``is_spell``:
    nothing did between the first and the last of the failures, so that it was everybody for a while. ``headers``:
    flows of which only a PROXY header and a plain answer were seen; they failed too. ``telltales``: what those have in
    common that came to a member, or to several, that no certificate names. ``without``: they fail for want of a name.
    """

    attribute: PoolAttribute
    failed: list[Observed]
    backends: tuple[int, ...] = ()
    reached: int = 0
    elsewhere: int = 0
    elsewhere_failed: int = 0
    is_everywhere: bool = False
    is_spell: bool = False
    headers: int = 0
    telltales: tuple[Telltale, ...] = ()
    without: Nameless | None = None

    @property
    def backend(self) -> int:
        """The odd member where it is one, else -1."""
        return self.backends[0] if len(self.backends) == 1 else -1

    @property
    def at_members(self) -> list[Observed]:
        """Failures at the odd members; all where these are not known."""
        if self.telltales:
            return [o for o in self.failed if any(o.index in telltale.reached for telltale in self.telltales)]
        return [o for o in self.failed if not self.backends or o.backend in self.backends]

    def keep(self, kept: Sequence[bool]) -> None:
        """Only some of the failures, of each whether it is."""
        self.failed = [observed for observed, is_kept in zip(self.failed, kept, strict=True) if is_kept]

    @property
    def affected(self) -> int:
        """Failures at the odd members."""
        return len(self.failed) - self.elsewhere_failed + self.headers


def blamed(
    pool: ComparedPool, failures: Iterable[tuple[Observed, Cause]], names: CertificateNames
) -> dict[PoolAttribute, Blame]:
    """By attribute. Failures of clients that are themselves the odd ones are nobody's."""
    by_attribute: dict[PoolAttribute, Blame] = {}
    without = nameless(pool)
    is_want_of_name = without is not None and is_more_often(
        without.failed, without.number, without.named_failed, without.named, looks=pool.looks
    )
    missed: list[Observed] = []
    for observed, why in failures:
        if without is not None and is_want_of_name and without.is_why(observed):
            missed.append(observed)
            continue
        attribute = attribute_of(pool, observed, why, names)
        if attribute is not None:
            blame = by_attribute.setdefault(attribute, Blame(attribute, []))
            blame.failed.append(observed)
    plain = by_attribute.get(PoolAttribute.PROTOCOL)
    if plain is not None and len(plain.failed) == len(pool.members) and PoolAttribute.PROXY not in by_attribute:
        del by_attribute[PoolAttribute.PROTOCOL]
        by_attribute[PoolAttribute.PROXY] = Blame(PoolAttribute.PROXY, plain.failed)
    blames = {attribute: blame for attribute, blame in by_attribute.items() if _located(pool, blame)}
    if missed and without is not None:
        blames[PoolAttribute.SNI] = Blame(
            PoolAttribute.SNI, missed, reached=without.number, elsewhere=without.named, without=without
        )
    if PoolAttribute.PROXY in blames:
        blame = blames[PoolAttribute.PROXY]
        blame.headers = _headers(pool)
        blame.reached += blame.headers
    return blames


def _headers(pool: ComparedPool) -> int:
    """Flows to the service of which only a PROXY header and a plain answer were seen."""
    ends = {observed.server for observed in pool.members}
    flows = pool.case.facts.other_flows.items()
    return sum(count for flow, count in flows if flow.server in ends and flow.opening and flow.answer)


def _located(pool: ComparedPool, blame: Blame) -> bool:
    """Find the member that the failures are at; whether the pool, and not the client, is where they come from."""
    blame.is_everywhere = not any(observed.outcome == "established" for observed in pool.members)
    total = pool.total[0]
    at = Counter(observed.backend for observed in blame.failed)
    shown = [backend for backend in at if _is_shown(pool, blame.attribute, backend)]
    if shown:
        there, reached = sum(at[backend] for backend in shown), sum(pool.reached(backend)[0] for backend in shown)
        if there * (total - reached) > (len(blame.failed) - there) * reached:
            return _set_members(pool, blame, shown)
    if not blame.is_everywhere:
        fair = _succeeding(pool.members, blame.attribute)
        blame.keep([_asker(observed, blame.attribute) in fair for observed in blame.failed])
        worst = _failing_more_often(pool, blame, fair)
        if worst >= 0:
            return _set_members(pool, blame, [worst])
        if _set_telltales(pool, blame, fair):
            return True
    if len(blame.failed) < FEWEST_NAMELESS:
        return False
    blame.reached = total if blame.is_everywhere else _reached(pool, blame)
    blame.elsewhere = total - blame.reached
    first, last = blame.failed[0].hello_ns, blame.failed[-1].hello_ns
    blame.is_spell = not any(o.outcome == "established" and first <= o.hello_ns <= last for o in pool.members)
    return True


def _reached(pool: ComparedPool, blame: Blame) -> int:
    """Connections that came to where some failed. Where one certificate hides several servers: those that showed what
    all failures did; else all that came to back ends that are known, and of the others the failures.
    """
    difference = pool.difference(blame.attribute)
    extract = pool.extractors.get(blame.attribute)
    alone = difference.odd_one if difference is not None else None
    if extract is not None and alone is not None and alone.backend < 0:
        values = {extract(observed) for observed in blame.failed}
        if values == {alone.value}:
            return alone.connections
    at = Counter(observed.backend for observed in blame.failed)
    return at[-1] + sum(pool.reached(backend)[0] for backend in at if backend >= 0)


def _set_members(pool: ComparedPool, blame: Blame, backends: Sequence[int]) -> bool:
    blame.backends = tuple(sorted(backends))
    blame.reached = sum(pool.reached(backend)[0] for backend in backends)
    blame.elsewhere = pool.total[0] - blame.reached
    blame.elsewhere_failed = sum(observed.backend not in backends for observed in blame.failed)
    return True


def _set_telltales(pool: ComparedPool, blame: Blame, fair: Set[Hashable]) -> bool:
    """Whether failures at nobody in particular have something in common that tells who it was from the others."""
    failed = {observed.index for observed in blame.failed if observed.backend < 0}
    if len(failed) < FEWEST_NAMELESS:
        return False
    blame.telltales = tuple(telltales([o for o in pool.members if _asker(o, blame.attribute) in fair], failed))
    if not blame.telltales:
        return False
    blame.reached = sum(len(telltale.reached) for telltale in blame.telltales)
    blame.elsewhere = pool.total[0] - blame.reached
    blame.elsewhere_failed = len(blame.failed) - len(blame.at_members)
    return True


def _is_shown(pool: ComparedPool, attribute: PoolAttribute, backend: int) -> bool:
    return attribute in SHOWN_BY_MEMBER and is_odd(pool, attribute, backend)


def _failing_more_often(pool: ComparedPool, blame: Blame, fair: Set[Hashable]) -> int:
    """The back end at which those fail that succeed elsewhere, more often than by chance; -1 where there is none."""
    failed = Counter(observed.backend for observed in blame.failed)
    reached = Counter(o.backend for o in pool.members if _asker(o, blame.attribute) in fair)
    worst = max((backend for backend in failed if backend >= 0), key=lambda backend: failed[backend], default=-1)
    if worst < 0 or len(pool.case.pools[pool.service.index]) < 2:
        return -1
    elsewhere_failed, elsewhere = failed.total() - failed[worst], reached.total() - reached[worst]
    is_odd_there = is_more_often(failed[worst], reached[worst], elsewhere_failed, elsewhere, looks=pool.looks)
    return worst if is_odd_there else -1


def _asker(observed: Observed, attribute: PoolAttribute) -> Hashable:
    """Who must succeed elsewhere, that a failure is not the client's: the same client where it is a matter of trust,
    else anybody who asks the same.
    """
    if attribute in MATTERS_OF_TRUST:
        return observed.client
    return asked_of(observed.offer) if observed.offer is not None else None


def _succeeding(members: Sequence[Observed], attribute: PoolAttribute) -> Set[Hashable]:
    return {_asker(observed, attribute) for observed in members if observed.outcome == "established"} - {None}
