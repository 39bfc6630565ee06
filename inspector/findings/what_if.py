"""What would have helped: each remedy against Java's certificate change, weighed on the recorded traffic.

A remedy is a change of what Java's rule looks at (``replay.Change``); the connections are played with it, and held
against what was recorded. Where nothing was aborted but all conditions are met, the connections count after which
another back end would have made the client abort.

The counterfactual assumes the same connections, at the same back ends, in the same order; only under affinity each
client stays at the back end that it reached first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from inspector.document import Assessment, Counterfactual, RemedyKind
from inspector.findings.case import Case
from inspector.findings.likeness import Likeness
from inspector.findings.prediction import Extended, ems_answers, unnamed
from inspector.findings.recorded import Recorded, recorded
from inspector.findings.replay import Change, Member, Replayer
from inspector.findings.scene import Occurrences
from inspector.tls.types import TLS13
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificates import Identity
from inspector.tracking.services import ServiceGroup

MOST_PARTS = 8
"""Back ends up to which it is asked what each alone would do."""
MOST_PLAYED = 1_000
"""Connections, the first ones, on which partial rollouts are weighed."""
COSTS = (
    ("ems", False),
    ("shared_name", False),
    ("tls13", False),
    ("ems", True),
    ("tls13", True),
    ("affinity", False),
)
"""The cheapest first; True where clients must change too."""


class Candidate(NamedTuple):
    """A remedy, and the change that it is. ``backends``: those that must change; ``clients``: likewise. ``is_part``: a
    partial rollout, named only where it makes the client abort anew.
    """

    kind: RemedyKind
    change: Change
    backends: tuple[int, ...] = ()
    clients: tuple[int, ...] = ()
    name: str | None = None
    is_part: bool = False


def what_if(
    case: Case, service: ServiceGroup, assessment: Assessment, happened: Occurrences, ems: Extended
) -> list[Counterfactual]:
    """Each remedy for one service, best first; empty where no client aborted because of the change, or could.
    ``happened``: its own.
    """
    aborted = {raised.on[-1].index for raised in happened.aborts if raised.is_confirmed}
    if not aborted and assessment.state != "exposed":
        return []
    steps = recorded(case, service, aborted)
    pool = case.pools[service.index]
    replayer = Replayer(steps, [Member(b.index, _has_ems(case, b), tuple(b.leaves)) for b in pool])
    likeness = _likeness(case, [leaf for b in pool for leaf in b.leaves])
    was = aborted or replayer.play(Change(likeness)).exposed
    played = {step.connection for step in steps[:MOST_PLAYED]}
    weighed: list[Counterfactual] = []
    for candidate in _candidates(case, service, steps, ems, likeness):
        replay = replayer.play(candidate.change, MOST_PLAYED if candidate.is_part else None)
        happens = replay.aborted if aborted else replay.exposed
        of = was & played if candidate.is_part else was
        unjudged = of & replay.unjudged
        if candidate.is_part and not (of and happens - was):
            continue
        weighed.append(
            Counterfactual(
                remedy=candidate.kind,
                backends=[case.backends[index].id for index in candidate.backends],
                clients=[case.clients[index].id for index in candidate.clients],
                prevented=len(of - happens - unjudged),
                of=len(of),
                of_what="aborted" if aborted else "exposed",
                not_judged=len(unjudged),
                new_exposures=len(happens - was),
                basis="simulated" if replay.is_simulated or candidate.change.is_pinned else "judged",
                name=candidate.name,
            )
        )
    return sorted(weighed, key=_rank)


def _rank(weighed: Counterfactual) -> tuple[int, int, int, int]:
    """Sufficient ones first, by cost; then by what they are good for; those that make it worse last."""
    gain = weighed.prevented - weighed.new_exposures
    cost = COSTS.index((weighed.remedy, bool(weighed.clients)))
    if weighed.is_sufficient:
        return 0, cost, len(weighed.backends), 0
    return 2 if weighed.new_exposures else 1, -gain, cost, len(weighed.backends)


def _candidates(
    case: Case, service: ServiceGroup, steps: Sequence[Recorded], ems: Extended, likeness: Likeness
) -> Iterator[Candidate]:
    """What is weighed. EMS and TLS 1.3 need the client too: where no client that may be Java offers them, with it.
    ``likeness``: of the pool's certificates as they are.
    """
    pool = case.pools[service.index]
    silent = _lacking(steps, lambda step: step.traits.offers_ems)
    has_offers = any(step.traits.offers_ems for step in steps)
    without = tuple(b.index for b in pool if b.index not in ems.doing and not _has_ems(case, b))
    if has_offers and without:
        yield Candidate("ems", Change(likeness, ems=frozenset(without)), without)
    if silent:
        every = frozenset(b.index for b in pool)
        yield Candidate("ems", Change(likeness, ems=every, clients=frozenset(silent)), without, silent)
    for part in _parts(without):
        yield Candidate("ems", Change(likeness, ems=part, clients=frozenset(silent)), tuple(part), silent, is_part=True)
    lacking, name = unnamed(case, service)
    if len({leaf for b in pool for leaf in b.leaves}) > 1:
        named = {leaf for b in pool for leaf in b.leaves}
        yield Candidate("shared_name", Change(_likeness(case, named, name)), lacking, name=name)
    old = _lacking(steps, lambda step: step.traits.offers_tls13)
    below = tuple(b.index for b in pool if not _speaks_tls13(case, b))
    if any(step.traits.offers_tls13 for step in steps) and below:
        yield Candidate("tls13", Change(likeness, tls13=frozenset(below)), below)
    if old:
        yield Candidate("tls13", Change(likeness, tls13=frozenset(below), clients=frozenset(old)), below, old)
    for part in _parts(below):
        yield Candidate("tls13", Change(likeness, tls13=part, clients=frozenset(old)), tuple(part), old, is_part=True)
    if len(pool) > 1:
        yield Candidate("affinity", Change(likeness, is_pinned=True))


def _parts(backends: Sequence[int]) -> Iterator[frozenset[int]]:
    """Each back end alone, and all but each; none of a pool of one, or of too many."""
    if not 1 < len(backends) <= MOST_PARTS:
        return
    parts = [frozenset({index}) for index in backends]
    parts += [frozenset(backends) - part for part in parts]
    yield from dict.fromkeys(parts)


def _lacking(steps: Iterable[Recorded], offers: Callable[[Recorded], bool]) -> tuple[int, ...]:
    """Clients that did not offer something in any hello."""
    clients: dict[int, bool] = {}
    for step in steps:
        clients[step.client] = clients.get(step.client, False) or offers(step)
    return tuple(client for client, does in clients.items() if not does)


def _has_ems(case: Case, backend: BackendGroup) -> bool:
    """Whether a back end answered with EMS whoever offered it."""
    answering, _ = ems_answers(case, backend)
    return answering == {True}


def _speaks_tls13(case: Case, backend: BackendGroup) -> bool:
    """Whether a back end chose TLS 1.3 for all who offered it."""
    chosen = {
        shape.traits.is_tls13
        for shape in (tally.shape for tally in case.tallies_at(backend))
        if shape.answer is not None and shape.offer is not None and TLS13 in shape.offer.versions
    }
    return chosen == {True}


def _likeness(case: Case, pool: Iterable[bytes], name: str | None = None) -> Likeness:
    """Of the certificates of a pool. ``name``: a DNS name that all of them get, before their own."""
    changed: dict[bytes, Identity] = {}
    if name is not None:
        for leaf in pool:
            certificate = case.certificates.get(leaf)
            if certificate is not None and certificate.identity.is_known:
                identity = certificate.identity
                changed[leaf] = identity._replace(dns_names=(name, *identity.dns_names))

    def identity_of(leaf: bytes) -> Identity | None:
        certificate = case.certificates.get(leaf) if leaf not in changed else None
        return changed.get(leaf) or (certificate.identity if certificate is not None else None)

    return Likeness(identity_of, pool, case.options.generation)
