"""By how much the clocks of vantage points differ, told by handshakes that several of them saw.

Equal randoms name one handshake. Seen twice on one leg, its ClientHello gives the difference of two clocks at once.
Seen on the legs of a balancer, the ClientHello comes later behind it and the ServerHello comes earlier: the difference
lies between the two, as in NTP (RFC 5905, section 8). The median over all handshakes is taken; what the balancer needs,
and how the differences scatter, is the uncertainty.

Vantage points of one host, and files of one sequence, go by one clock, unless what they share with others says that
theirs are several: one that was set in between, or names that only look alike. Which clock is believed depends on no
time, and not on the order of the captures: one that was never set back, of them that of which most handshakes were
seen elsewhere too, of several the one nearer to the clients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import combinations
from typing import Any, Generic, NamedTuple, TypeVar

from inspector import bounds
from inspector.facts import ClockOffset, ConnectionFacts, PackedEndpoint
from inspector.tracking.directions import middle, spread_of
from inspector.tracking.legs import Topology, leg_match
from inspector.tracking.vantage import Vantage, Vantages

NOTICED_NS = 1_000_000
"""Clocks that differ by less are left as they are: that much a balancer may need itself."""

MOST_LEGS = 8
"""Legs of one handshake at one vantage point."""

ONE_WAY_NS = bounds.LEG_NS
"""What may be wrong where only ClientHellos, or only ServerHellos, were captured: so long may a leg take to follow."""

C = TypeVar("C", bound=Hashable)
Clock = tuple[Vantage, ...]
"""The vantage points that go by it, in the order of their names."""


class Sample(NamedTuple):
    """What one handshake, by its number, says: how much later the second clock is, and how much may be wrong in it, in
    nanoseconds.
    """

    handshake: int
    late_ns: int
    doubt_ns: int


class ClockDifference(NamedTuple):
    """How much later one clock is than another, how much may be wrong in it, in nanoseconds, and by how many handshakes
    that is known.
    """

    late_ns: int
    doubt_ns: int
    handshakes: int

    def contradicts(self, other: ClockDifference) -> bool:
        """Whether both cannot be true of the same clocks."""
        return abs(self.late_ns - other.late_ns) > max(NOTICED_NS, self.doubt_ns + other.doubt_ns)


class Placed(NamedTuple, Generic[C]):
    """A clock beside the one that is believed, ``root``: by how much it is later, and how much may be wrong in that, in
    nanoseconds. ``handshakes``: those that it shares with the clock by which it was placed.
    """

    root: C
    late_ns: int
    doubt_ns: int
    handshakes: int

    @property
    def is_noticed(self) -> bool:
        """Whether it is late by more than may be wrong in that."""
        return abs(self.late_ns) > max(NOTICED_NS, self.doubt_ns)


class Offsets:
    """``late``: by how much each clock is later than the one that is believed, in nanoseconds, where that is known.
    ``clock_offsets``: of those that are late, with what may be wrong in it. ``compared``: the captures that go by the
    clock that most believe, or by one that was compared with it.
    """

    def __init__(self) -> None:
        self.late: dict[Vantage, int] = {}
        self.clock_offsets: dict[Vantage, ClockOffset] = {}
        self.compared: set[int] = set()


def offsets(handshakes: Iterable[Sequence[ConnectionFacts]], vantages: Vantages) -> Offsets:
    """``handshakes``: the sightings and legs of one each."""
    samples: dict[tuple[Vantage, Vantage], list[Sample]] = {}
    sides = _Sides()
    for number, members in enumerate(handshakes):
        by_vantage: dict[Vantage, list[ConnectionFacts]] = {}
        for member in members:
            legs = by_vantage.setdefault(vantages.home(member), [])
            if len(legs) < MOST_LEGS:
                legs.append(member)
        for one, other in combinations(sorted(by_vantage, key=vantages.name), 2):
            pairs = [(a, b) for a in by_vantage[one] for b in by_vantage[other]]
            of_handshake = [sample for a, b in pairs if (sample := _sample(number, a, b)) is not None]
            if of_handshake:
                samples.setdefault((one, other), []).append(min(of_handshake, key=lambda s: s.doubt_ns))
                sides.add(one, other, pairs)
    if not samples:
        return Offsets()
    votes = sides.votes()
    clocks = _clocks(samples, vantages, votes)
    differences = {pair: _summary(of_pair) for pair, of_pair in _pooled(samples, clocks).items()}
    shared = {pair: difference.handshakes for pair, difference in differences.items()}
    return _by_vantage(agreed(differences, _standing(shared, vantages, votes)), clocks, vantages)


class _Sides:
    """On which side of a balancer vantage points are."""

    def __init__(self) -> None:
        self._topology = Topology(())
        self._legs: Counter[tuple[Vantage, PackedEndpoint, Vantage, PackedEndpoint]] = Counter()

    def add(self, one: Vantage, other: Vantage, pairs: Sequence[tuple[ConnectionFacts, ConnectionFacts]]) -> None:
        """Two vantage points that saw one handshake, and its legs at the one and at the other."""
        for a, b in pairs:
            if a.server != b.server:
                self._topology.add((leg_match(0, a), leg_match(0, b)))
                self._legs[one, a.server, other, b.server] += 1

    def votes(self) -> Counter[Vantage]:
        """How many handshakes more were seen nearer to the clients there than elsewhere."""
        votes: Counter[Vantage] = Counter()
        for (one, a, other, b), count in self._legs.items():
            nearer = self._topology.nearer(a, b)
            votes[one] += nearer * count
            votes[other] -= nearer * count
        return votes


def _summary(samples: Sequence[Sample]) -> ClockDifference:
    """The median of some differences."""
    late = [sample.late_ns for sample in samples]
    return ClockDifference(
        middle(late), middle([sample.doubt_ns for sample in samples]) + spread_of(late), len(samples)
    )


def _sample(handshake: int, one: ConnectionFacts, other: ConnectionFacts) -> Sample | None:
    """How much later the second one's clock is."""
    a, b = one.handshake, other.handshake
    hello = b.hello_ns - a.hello_ns if a.hello_ns and b.hello_ns else None
    answer = b.answer_ns - a.answer_ns if a.answer_ns and b.answer_ns else None
    is_same_leg = {one.client, one.server} == {other.client, other.server}
    if hello is not None and answer is not None and not is_same_leg:
        return Sample(handshake, (hello + answer) // 2, abs(hello - answer) // 2)
    difference = hello if hello is not None else answer
    return None if difference is None else Sample(handshake, difference, 0 if is_same_leg else ONE_WAY_NS)


def _pooled(
    samples: Mapping[tuple[Vantage, Vantage], Sequence[Sample]], clocks: Mapping[Vantage, Clock]
) -> dict[tuple[Clock, Clock], list[Sample]]:
    """Of each two clocks what a handshake says best, once."""
    pooled: dict[tuple[Clock, Clock], list[Sample]] = {}
    for (one, other), of_pair in samples.items():
        a, b = clocks[one], clocks[other]
        if (b, a) in pooled:
            pooled[b, a] += _turned(of_pair)
        elif a != b:
            pooled.setdefault((a, b), []).extend(of_pair)
    return {pair: _each_once(of_pair) for pair, of_pair in pooled.items()}


def _turned(samples: Iterable[Sample]) -> list[Sample]:
    return [sample._replace(late_ns=-sample.late_ns) for sample in samples]


def _each_once(samples: list[Sample]) -> list[Sample]:
    best: dict[int, Sample] = {}
    for sample in sorted(samples, key=lambda s: s.doubt_ns):
        best.setdefault(sample.handshake, sample)
    return [*best.values()] if len(best) < len(samples) else samples


def _clocks(
    samples: Mapping[tuple[Vantage, Vantage], Sequence[Sample]], vantages: Vantages, votes: Mapping[Vantage, int]
) -> dict[Vantage, Clock]:
    """The clock of each vantage point: those that should go by one, unless that is contradicted. Of two clocks that
    differ now by this and now by that, the one that is not believed is taken for several.
    """
    clocks = {vantage: clock for clock in vantages.clocks() for vantage in clock}
    apart = {
        clocks[one]
        for (one, other), of_pair in samples.items()
        if clocks[one] == clocks[other] and _summary(of_pair).contradicts(ClockDifference(0, 0, 0))
    }
    clocks |= {vantage: (vantage,) for clock in apart for vantage in clock}
    standing = _standing({pair: len(of_pair) for pair, of_pair in _pooled(samples, clocks).items()}, vantages, votes)
    by_members: dict[tuple[Clock, Clock], dict[Vantage, list[Sample]]] = {}
    for (one, other), of_pair in samples.items():
        a, b = clocks[one], clocks[other]
        if a != b and len(max(a, b, key=standing.__getitem__)) > 1:
            is_turned = standing[a] > standing[b]
            pair, member = ((b, a), one) if is_turned else ((a, b), other)
            of_member = by_members.setdefault(pair, {}).setdefault(member, [])
            of_member += _turned(of_pair) if is_turned else of_pair
    for (_, clock), members in by_members.items():
        differences = [_summary(_each_once(of_member)) for of_member in members.values()]
        if any(one.contradicts(other) for one, other in combinations(differences, 2)):
            clocks |= {vantage: (vantage,) for vantage in clock}
    return clocks


def _standing(
    shared: Mapping[tuple[Clock, Clock], int], vantages: Vantages, votes: Mapping[Vantage, int]
) -> dict[Clock, tuple[object, ...]]:
    """Which clock is believed before which, least first. ``shared``: how many handshakes two of them both saw."""
    weight: Counter[Clock] = Counter()
    for pair, count in shared.items():
        weight.update(dict.fromkeys(pair, count))
    return {
        clock: (
            any(vantages.was_set_back(vantage) for vantage in clock),
            -weight[clock],
            -sum(votes.get(vantage, 0) for vantage in clock),
            vantages.name(clock[0]),
        )
        for clock in weight
    }


def agreed(differences: Mapping[tuple[C, C], ClockDifference], standing: Mapping[C, Any]) -> dict[C, Placed[C]]:
    """From pairs to one clock, from that of the best standing on: those that share most handshakes first.
    ``differences``: how much later the second one is. ``standing``: what sorts them, no two alike.
    """
    links: dict[C, list[tuple[C, ClockDifference]]] = {}
    for (one, other), difference in differences.items():
        links.setdefault(one, []).append((other, difference))
        links.setdefault(other, []).append((one, difference._replace(late_ns=-difference.late_ns)))
    order = {clock: rank for rank, clock in enumerate(sorted(links, key=standing.__getitem__))}
    placed: dict[C, Placed[C]] = {}
    for root in order:
        if root in placed:
            continue
        todo: list[tuple[int, int, int, C, Placed[C]]] = [(0, 0, 0, root, Placed(root, 0, 0, 0))]
        while todo:
            *_, here, beside = heappop(todo)
            if here in placed:
                continue
            placed[here] = beside
            for there, (late_ns, doubt_ns, shared) in links[here]:
                if there not in placed:
                    at = Placed(root, beside.late_ns + late_ns, beside.doubt_ns + doubt_ns, shared)
                    heappush(todo, (-shared, order[there], order[here], there, at))
    return placed


def _by_vantage(placed: Mapping[Clock, Placed[Clock]], clocks: Mapping[Vantage, Clock], vantages: Vantages) -> Offsets:
    """What is known of each vantage point. One that shares no handshake goes by what is known of the one of the same
    host or sequence that is nearest to it in time.
    """
    offsets = Offsets()
    if not placed:
        return offsets
    believed = next(iter(placed.values())).root
    offsets.compared = {capture for capture, _ in believed}
    for together in vantages.clocks():
        known = [vantage for vantage in together if clocks[vantage] in placed]
        for vantage in together if known else ():
            nearest = vantage if clocks[vantage] in placed else min(known, key=lambda v: (_between(v, vantage), v))
            beside = placed[clocks[nearest]]
            if beside.root == believed and (beside.is_noticed or beside.doubt_ns < ONE_WAY_NS):
                offsets.compared.add(vantage[0])
            offsets.late[vantage] = beside.late_ns if beside.is_noticed else 0
            if beside.is_noticed:
                than = beside.root[0][0]
                offsets.clock_offsets[vantage] = ClockOffset(beside.late_ns, beside.doubt_ns, beside.handshakes, than)
    return offsets


def _between(one: Vantage, other: Vantage) -> tuple[int, int]:
    """How many captures, and settings of the clock, lie between two vantage points: captures are in order of time."""
    return abs(one[0] - other[0]), abs(one[1] - other[1])
