"""The legs of one handshake: in front of a balancer and behind it, and which is which.

A *leg* is one TCP connection of those over which a handshake goes. A balancer that hands TLS on ends the client's TCP
connection and begins another to a back end, but leaves the bytes of TLS, and both randoms, as they are; so equal
randoms between different endpoints are one handshake.

Times of different legs come from different clocks, or differ by less than a balancer needs. Which leg is nearer to the
client is therefore a question of topology, answered for each pair of server endpoints by all handshakes together, in
this order:

* what is the server's address on the one leg is the client's on the other;
* the PROXY protocol is spoken behind the balancer;
* one address in front leads to many behind;
* on the nearer leg it takes longer from ClientHello to ServerHello, each time by one clock.

Only where nothing of that tells them apart, the earlier ClientHello does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from inspector import bounds
from inspector.facts import ConnectionFacts, Facts, PackedEndpoint
from inspector.tracking.prefixes import random_ends, repeated

PROXY = "proxy_v"


class LegMatch(Struct, frozen=True, gc=False):
    """What is compared of a connection that may be a leg. ``number``: among the connections, in their order.
    ``server_random``: empty where the ServerHello was not captured. ``is_proxied``: the PROXY protocol is spoken.
    """

    number: int
    client: PackedEndpoint
    server: PackedEndpoint
    server_random: bytes
    hello_ns: int
    answer_ns: int
    is_proxied: bool

    @property
    def duration(self) -> int | None:
        """Nanoseconds from ClientHello to ServerHello."""
        return self.answer_ns - self.hello_ns if self.hello_ns and self.answer_ns else None


def leg_match(number: int, connection: ConnectionFacts) -> LegMatch:
    """What is compared of a connection."""
    handshake = connection.handshake
    return LegMatch(
        number=number,
        client=connection.client,
        server=connection.server,
        server_random=handshake.server_random,
        hello_ns=handshake.hello_ns,
        answer_ns=handshake.answer_ns,
        is_proxied=connection.preamble.startswith(PROXY),
    )


class Legs(NamedTuple):
    """``behind``: by the number of the leg nearest to the client, those of the further ones; ``others``: of all these.
    Numbers are of connections in the order of their ClientHellos.
    """

    behind: dict[int, tuple[int, ...]]
    others: set[int]


def find_legs(facts: Facts, ordered: Sequence[bytes]) -> Legs:
    """``ordered``: connections in the order of their ClientHellos."""
    groups: dict[bytes, list[list[LegMatch]]] = {}
    numbers = _repeated(ordered)
    for number, connection in zip(numbers, facts.unpack_all(ordered[number] for number in numbers), strict=True):
        leg = leg_match(number, connection)
        same_hello = groups.setdefault(connection.handshake.client_random, [])
        group = next((g for g in same_hello[-MOST_LEGS:] if _is_other_leg(g, leg)), None)
        if group is None:
            same_hello.append([leg])
        else:
            group.append(leg)
    joined = [group for same_hello in groups.values() for group in same_hello if len(group) > 1]
    topology = Topology(joined)
    behind: dict[int, tuple[int, ...]] = {}
    others: set[int] = set()
    for group in joined:
        front, *rest = topology.order(group)
        behind[front.number] = tuple(leg.number for leg in rest)
        others.update(leg.number for leg in rest)
    return Legs(behind, others)


def _repeated(ordered: Sequence[bytes]) -> list[int]:
    """The numbers of connections whose client random, by its end, another shows too."""
    ends = random_ends(ordered)
    numbers: list[int] = np.flatnonzero(np.isin(ends, repeated(ends)) & (ends != 0)).tolist()
    return numbers


MOST_LEGS = 8
"""Legs of one handshake; and so many handshakes with one ClientHello, the last ones, that another leg may belong to."""


def _is_other_leg(group: list[LegMatch], leg: LegMatch) -> bool:
    """Whether the same handshake goes on there: other endpoints, and the same ServerHello, or none that contradicts and
    about the same time.
    """
    random = leg.server_random
    if len(group) >= MOST_LEGS:
        return False
    for known in group:
        theirs = known.server_random
        if {known.client, known.server} == {leg.client, leg.server} or (random and theirs and random != theirs):
            return False
        if not (random and theirs) and leg.hello_ns - known.hello_ns >= bounds.LEG_NS:
            return False
    return True


class Topology:
    """What all handshakes together say of two server endpoints: which is nearer to the client."""

    def __init__(self, groups: Sequence[Sequence[LegMatch]]) -> None:
        self._votes: dict[tuple[PackedEndpoint, PackedEndpoint], list[int]] = {}
        self._partners: dict[PackedEndpoint, set[PackedEndpoint]] = {}
        for group in groups:
            self.add(group)

    def add(self, group: Sequence[LegMatch]) -> None:
        """The legs of one more handshake."""
        for one in group:
            for other in group:
                if one is not other:
                    self._vote(one, other)

    def _vote(self, one: LegMatch, other: LegMatch) -> None:
        self._partners.setdefault(one.server, set()).add(other.server)
        votes = self._votes.setdefault((one.server, other.server), [0, 0, 0])
        votes[0] += (one.server.address == other.client.address) - (other.server.address == one.client.address)
        votes[1] += other.is_proxied - one.is_proxied
        mine, theirs = one.duration, other.duration
        if mine is not None and theirs is not None:
            votes[2] += (mine > theirs) - (mine < theirs)

    def order(self, group: Sequence[LegMatch]) -> list[LegMatch]:
        """The legs of one handshake, nearest to the client first."""
        return sorted(group, key=cmp_to_key(self._compare))

    def nearer(self, one: PackedEndpoint, other: PackedEndpoint) -> int:
        """1 where the first server endpoint is nearer to the clients than the second, -1 where it is the other way
        round, 0 where nothing tells.
        """
        addresses, proxied, spoken = self._votes.get((one, other), (0, 0, 0))
        spread = len(self._partners.get(one, ())) - len(self._partners.get(other, ()))
        return next((1 if nearer > 0 else -1 for nearer in (addresses, proxied, spread, spoken) if nearer), 0)

    def _compare(self, one: LegMatch, other: LegMatch) -> int:
        return -self.nearer(one.server, other.server) or one.number - other.number
