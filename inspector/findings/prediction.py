"""What would bring the fault back, as values: what certificates have in common, who lacks extended master secret (EMS),
how often a client met one back end twice.

Whoever words an assessment takes the words from these, so that it predicts nothing that has already happened, and names
the thing that protects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations
from typing import Literal, NamedTuple

from inspector.findings.case import Case, EmsAnswers, Unnamed
from inspector.findings.giving_up import AS_JAVA
from inspector.findings.jsse import Generation, Step, equivalence
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ShapeAnswers
from inspector.tracking.services import ServiceGroup
from inspector.tracking.shape import ConnectionShape

Tie = Literal["certificate", "dns", "ip", "subject"]
MOST_COMPARED = 40
"""Certificates whose pairs are compared one by one; of more only what all have in common is looked for."""


class Common(NamedTuple):
    """One thing that makes certificates one server for Java. ``value``: the name, address or subject. ``is_of_all``:
    all of them have it, not only some pairs.
    """

    tie: Tie
    value: str
    is_of_all: bool


def common(certificates: Sequence[ParsedCertificate], generation: Generation = "current") -> list[Common]:
    """Everything that makes these certificates equivalent, what all have in common first. As long as one of those of
    all is left they stay one server; where there is none, each pair of certificates hangs on one of the others. Empty
    for one certificate alone, and where a pair is not equivalent.
    """
    listed = list({c.sha256: c for c in certificates}.values())
    if len(listed) < 2:
        return []
    chains = list(_of_all(listed, generation))
    if chains or len(listed) > MOST_COMPARED:
        return chains
    pairs: dict[Common, None] = {}
    for old, new in combinations(listed, 2):
        step = equivalence(old.identity, new.identity, generation)
        if step is None or step == "none":
            return []
        pairs.setdefault(_tie(step, old, new), None)
    return list(pairs)


def _of_all(listed: Sequence[ParsedCertificate], generation: Generation) -> Iterable[Common]:
    """What each of them has."""
    kept = 1 if generation == "first" else None
    addresses = set.intersection(*({*c.identity.ip_addresses[:kept]} for c in listed))
    yield from (Common("ip", address, True) for address in sorted(addresses))
    if generation == "first" and any(c.identity.ip_addresses for c in listed) and not addresses:
        return
    names = set.intersection(*({n if kept else n.lower() for n in c.identity.dns_names[:kept]} for c in listed))
    yield from (Common("dns", name, True) for name in sorted(names))
    if generation == "first" and (addresses or any(c.identity.dns_names for c in listed)):
        return
    if listed[0].identity.subject and len({(c.identity.subject, c.identity.issuer) for c in listed}) == 1:
        yield Common("subject", listed[0].subject, True)


def _tie(step: Step, old: ParsedCertificate, new: ParsedCertificate) -> Common:
    if step == "shared_ip":
        return Common("ip", sorted(set(old.identity.ip_addresses) & set(new.identity.ip_addresses))[0], False)
    if step == "shared_dns":
        theirs = {n.lower() for n in new.identity.dns_names}
        return Common("dns", sorted(n.lower() for n in old.identity.dns_names if n.lower() in theirs)[0], False)
    return Common("subject", old.subject, False)


class Extended(NamedTuple):
    """Who does EMS. ``doing``, ``lacking``: back ends by index that answered an offer with it, or without it at least
    once.
    ``silent``: clients by index that did not offer it in any hello up to TLS 1.2. EMS needs both sides (RFC 7627,
    section 5.1).
    """

    doing: tuple[int, ...]
    lacking: tuple[int, ...]
    silent: tuple[int, ...]


NOBODY = Extended((), (), ())
"""Where that is not known."""


def ems_answers(case: Case, backend: BackendGroup) -> EmsAnswers:
    """Whether a back end's answers up to TLS 1.2 had EMS: to clients that offered it, and to the others."""
    known = case.ems_answered.get(backend.index)
    if known is not None:
        return known
    answering: set[bool] = set()
    unasked: set[bool] = set()
    for tally in case.tallies_at(backend):
        offer, answer = tally.shape.offer, tally.shape.answer
        if answer is None or tally.shape.traits.is_tls13:
            continue
        offered = offer is not None and offer.extended_master_secret
        (answering if offered else unasked).add(answer.extended_master_secret)
    answers = case.ems_answered[backend.index] = _kept_once(frozenset(answering), frozenset(unasked))
    return answers


@cache
def _kept_once(answering: frozenset[bool], unasked: frozenset[bool]) -> EmsAnswers:
    return answering, unasked


def extended(case: Case, service: ServiceGroup) -> Extended:
    """Who lacks EMS among the back ends of a service and their clients."""
    doing: list[int] = []
    lacking: list[int] = []
    offers: dict[int, bool] = {}
    columns, offering = case.columns, ShapeAnswers(_offers, case.columns.shapes)
    for backend in case.pools[service.index]:
        answering, _ = ems_answers(case, backend)
        if answering:
            (lacking if False in answering else doing).append(backend.index)
        for index in case.unchecked(backend.connections).indices:
            if (does := offering[columns.shape[index]]) is not None:
                client = columns.client[index]
                offers[client] = offers.get(client, False) or does
    return Extended(tuple(doing), tuple(lacking), tuple(client for client, does in offers.items() if not does))


def _offers(shape: ConnectionShape) -> bool | None:
    """Whether a client offers EMS, where it is asked up to TLS 1.2."""
    return shape.offer.extended_master_secret if shape.offer is not None and not shape.traits.is_tls13 else None


def extended_among(members: Sequence[Observed]) -> Extended:
    """The same among some connections of one client, which may offer it or not."""
    answering: dict[int, set[bool]] = {}
    for observed in members:
        if observed.answer is None or observed.is_tls13 or observed.offer is None or observed.backend < 0:
            continue
        if observed.offer.extended_master_secret:
            answering.setdefault(observed.backend, set()).add(observed.answer.extended_master_secret)
    lacking = tuple(sorted(backend for backend, answers in answering.items() if False in answers))
    return Extended(tuple(sorted({*answering} - {*lacking})), lacking, ())


def unnamed(case: Case, service: ServiceGroup) -> Unnamed:
    """The fewest back ends whose certificates need a name so that all have it, and the name: that of the service, or
    one that several have already. It is asked for by every rule that says what to do, and takes all certificates.
    """
    known = case.known_unnamed.get(service.index)
    if known is None:
        known = case.known_unnamed[service.index] = _unnamed(case, service)
    return known


def _unnamed(case: Case, service: ServiceGroup) -> Unnamed:
    pool, wanted = case.pools[service.index], service.name.lower()
    carried = Counter(name for backend in pool for name in sorted(_names(case, backend)))
    most = max(carried.values(), default=0)
    name = wanted if most < 2 or carried[wanted] == most else next(n for n, count in carried.items() if count == most)
    without = tuple(sorted(b.index for b in pool if name not in _names(case, b)))
    return without, service.name if name == wanted else name


def _names(case: Case, backend: BackendGroup) -> set[str]:
    """The DNS names, in small letters, that every certificate of a back end has, as far as the rule compares them."""
    kept = 1 if case.options.generation == "first" else None
    listed = [case.certificates[leaf].identity.dns_names[:kept] for leaf in backend.leaves if leaf in case.certificates]
    sets = [{name.lower() for name in names} for names in listed]
    return set.intersection(*sets) if sets and len(sets) == len(backend.leaves) else set()


def repeats(case: Case, service: ServiceGroup, *, java_only: bool = True) -> int:
    """How often a client was sent to the back end that it had met just before, in one service. Where that happened, it
    cannot be what was missing.
    """
    last: dict[int, int] = {}
    count = 0
    for index in service.connections:
        observed = case.observed[index]
        if observed.backend < 0 or observed.health_check or (java_only and observed.stack.name not in AS_JAVA):
            continue
        count += last.get(observed.client) == observed.backend
        last[observed.client] = observed.backend
    return count
