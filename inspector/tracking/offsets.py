"""By how much the clocks of vantage points differ, told by handshakes that several of them saw.

Equal randoms name one handshake. Seen twice on one leg, its ClientHello gives the difference of two clocks at once.
Seen on the legs of a balancer, the ClientHello comes later behind it and the ServerHello comes earlier: the difference
lies between the two, as in NTP (RFC 5905, section 8). The median over all handshakes is taken; what the balancer needs,
and how the differences scatter, is the uncertainty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from inspector.facts import ClockOffset, ConnectionFacts
from inspector.tracking.directions import middle, spread_of
from inspector.tracking.vantage import Vantage, Vantages

NOTICED_NS = 1_000_000
"""Clocks that differ by less are left as they are: that much a balancer may need itself."""

MOST_LEGS = 8
"""Legs of one handshake at one vantage point."""

Sample = tuple[int, int]
"""A difference, and how much may be wrong in it, in nanoseconds."""


class Offsets:
    """``late``: by how much each clock is later than the one that is believed, in nanoseconds, where that is known.
    ``clock_offsets``: of those that are late, with what may be wrong in it.
    """

    def __init__(self) -> None:
        self.late: dict[Vantage, int] = {}
        self.clock_offsets: dict[Vantage, ClockOffset] = {}


def offsets(handshakes: Iterable[Sequence[ConnectionFacts]], vantages: Vantages) -> Offsets:
    """``handshakes``: the sightings and legs of one each. The clock of the vantage point that saw most of them is
    believed.
    """
    samples: dict[tuple[Vantage, Vantage], list[Sample]] = {}
    weight: dict[Vantage, int] = {}
    for members in handshakes:
        by_vantage: dict[Vantage, list[ConnectionFacts]] = {}
        for member in members:
            legs = by_vantage.setdefault(vantages.home(member), [])
            if len(legs) < MOST_LEGS:
                legs.append(member)
        order = sorted(by_vantage)
        for index, one in enumerate(order):
            weight[one] = weight.get(one, 0) + 1
            for other in order[index + 1 :]:
                of_handshake = [
                    sample for a in by_vantage[one] for b in by_vantage[other] if (sample := _sample(a, b)) is not None
                ]
                if of_handshake:
                    samples.setdefault((one, other), []).append(min(of_handshake, key=lambda s: s[1]))
    return agreed({pair: _summary(of_pair) for pair, of_pair in samples.items()}, weight)


def _summary(samples: list[Sample]) -> tuple[int, int, int]:
    """The median of some differences, how much may be wrong in it, and how many they are."""
    late = [sample[0] for sample in samples]
    return middle(late), middle([sample[1] for sample in samples]) + spread_of(late), len(samples)


def _sample(one: ConnectionFacts, other: ConnectionFacts) -> Sample | None:
    """How much later the second one's clock is."""
    a, b = one.handshake, other.handshake
    hello = b.hello_ns - a.hello_ns if a.hello_ns and b.hello_ns else None
    answer = b.answer_ns - a.answer_ns if a.answer_ns and b.answer_ns else None
    if {one.client, one.server} == {other.client, other.server}:
        difference = hello if hello is not None else answer
        return (difference, 0) if difference is not None else None
    if hello is None or answer is None:
        return None
    return (hello + answer) // 2, abs(hello - answer) // 2


def agreed(pairs: Mapping[tuple[Vantage, Vantage], tuple[int, int, int]], weight: Mapping[Vantage, int]) -> Offsets:
    """From pairs to one clock: the pairs that share most handshakes first, from the vantage point that saw most.
    ``pairs``: how much later the second one's clock is, how much may be wrong in it, in nanoseconds, and by how many
    handshakes that is known.
    """
    offsets = Offsets()
    links: dict[Vantage, list[tuple[int, Vantage, int, int]]] = {}
    for (one, other), (late, doubt, shared) in pairs.items():
        links.setdefault(one, []).append((shared, other, late, doubt))
        links.setdefault(other, []).append((shared, one, -late, doubt))
    for root in sorted(links, key=lambda v: (-weight[v], v)):
        if root in offsets.late:
            continue
        offsets.late[root] = 0
        todo = [root]
        while todo:
            here = todo.pop(0)
            for count, there, late, doubt in sorted(links[here], key=lambda link: (-link[0], link[1])):
                if there in offsets.late:
                    continue
                total = offsets.late[here] + late
                offsets.late[there] = total if abs(total) > max(NOTICED_NS, doubt) else 0
                if offsets.late[there]:
                    offsets.clock_offsets[there] = ClockOffset(total, doubt, count, root[0])
                todo.append(there)
    return offsets
