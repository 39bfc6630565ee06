"""Members of a pool that let their clients wait longer than the others do.

A client that is far away waits longer wherever it goes. So times are compared only after each client's own median was
taken off, and only of clients that met more than one member: the aligned ranks of Hodges and Lehmann. A member counts
as slow where the rank test says that it is no chance, and the difference is one that people feel.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

from inspector.facts import ConnectionFacts, FirstMoments
from inspector.pool.rates import CHANCE, FEWEST, middle, ranks_by_chance
from inspector.tls.history import Letter
from inspector.tracking.indices_by_key import IndicesByKey
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, ShapeAnswers

Item = TypeVar("Item")
Wait = Literal["connect", "answer", "reply"]
WAITS: tuple[Wait, ...] = get_args(Wait)
"""From SYN to SYN and ACK; from the ClientHello to the ServerHello of a full handshake; from the client's first record
of application data to the server's, up to TLS 1.2. The latter two without the time that the way takes.
"""

MOST_OF_A_MEMBER = 60
"""Connections of one member that are looked at, spread evenly over all of them."""

MOST_HELD = 32
"""Members that are held against the others, those that seem slowest: so large pools take no longer for each of them."""

TIMES_AS_LONG = 3
LONGER_BY_NS = 20_000_000


class SlowMember(NamedTuple):
    """``median_ns`` of ``measured`` connections, against ``others_ns``, that of the others. ``since_ns``: the first
    connection that waited as long; ``slowest``: the one that waited longest, by index. ``has_changed``: connections
    before waited less, and none since.
    """

    backend: int
    wait: Wait
    median_ns: int
    others_ns: int
    measured: int
    since_ns: int
    slowest: int
    has_changed: bool


class _Timed(NamedTuple):
    backend: int
    client: int
    connection: int
    ns: int
    hello_ns: int


def slow_members(members: ObservedSelection, looks: int) -> list[SlowMember]:
    """Those of one service, the slowest first, each with what it is slowest in. ``looks``: how many members are held
    against the others.
    """
    backends, shapes = members.columns.backend, members.columns.shape
    of_member = IndicesByKey[int]()
    """By back end, which of the members they are."""
    answered = ShapeAnswers(lambda shape: shape.answer is not None, members.columns.shapes)
    for number, index in enumerate(members.indices):
        backend = backends[index]
        if backend >= 0 and answered[shapes[index]]:
            of_member[backend].append(number)
    if len(of_member) < 2:
        return []
    timed: dict[Wait, list[_Timed]] = {wait: [] for wait in WAITS}
    for backend, numbers in of_member.items():
        for observed in map(members.__getitem__, evenly(numbers)):
            for wait, ns in waits_of(observed):
                timed[wait].append(_Timed(backend, observed.client, observed.index, ns, observed.hello_ns))
    slow = [one for wait in WAITS for one in _slow(wait, timed[wait], looks)]
    worst: dict[int, SlowMember] = {}
    for one in sorted(slow, key=lambda one: one.others_ns - one.median_ns):
        worst.setdefault(one.backend, one)
    return list(worst.values())


def waits_of(observed: Observed) -> Iterator[tuple[Wait, int]]:
    """How long the client waited in one connection, in ns."""
    client_leg = observed.client_leg
    handshake, rtt = client_leg.handshake, client_leg.rtt
    if rtt is not None:
        yield "connect", rtt
    if (
        observed.kind == "full"
        and not handshake.retried
        and handshake.hello_ns
        and handshake.answer_ns >= handshake.hello_ns
    ):
        yield "answer", max(0, handshake.answer_ns - handshake.hello_ns - (rtt or 0))
    if not observed.is_tls13 and (reply := _reply(client_leg)) is not None:
        yield "reply", max(0, reply - (rtt or 0))


def _reply(client_leg: ConnectionFacts) -> int | None:
    """From the client's first application data to the server's."""
    moments = FirstMoments(client_leg.events)
    asked_ns = moments.of(Letter.APPLICATION_DATA, True)
    answered_ns = moments.of(Letter.APPLICATION_DATA, False)
    if asked_ns is None or answered_ns is None or answered_ns < asked_ns:
        return None
    return answered_ns - asked_ns


def until_ready(observed: Observed) -> int | None:
    """From the ClientHello to the client's first application data, in TLS 1.3 to its Finished: what a handshake costs
    it, in ns.
    """
    hello_ns = observed.client_leg.handshake.hello_ns
    ready_ns = FirstMoments(observed.client_leg.events).of(Letter.APPLICATION_DATA, True)
    return ready_ns - hello_ns if hello_ns and ready_ns is not None else None


def evenly(members: Sequence[Item], most: int = MOST_OF_A_MEMBER) -> Sequence[Item]:
    """Some of them, spread evenly over all."""
    return members[:: -(-len(members) // most) or 1]


def _slow(wait: Wait, timed: Sequence[_Timed], looks: int) -> Iterator[SlowMember]:
    of_client: dict[int, list[_Timed]] = {}
    for one in timed:
        of_client.setdefault(one.client, []).append(one)
    aligned: dict[int, list[tuple[_Timed, float]]] = {}
    for ones in of_client.values():
        if len({one.backend for one in ones}) > 1:
            usual = middle(one.ns for one in ones)
            for one in ones:
                aligned.setdefault(one.backend, []).append((one, one.ns - usual))
    measured = Counter(one.backend for one in timed)
    ordered = sorted(late for pairs in aligned.values() for _, late in pairs)

    def longer_at_most(backend: int) -> float:
        """The others' median is no less than that of as many of all."""
        here = [late for _, late in aligned[backend]]
        return middle(here) - ordered[max(0, (len(ordered) - len(here) - 1) // 2)]

    likely = {backend: longer for backend in aligned if (longer := longer_at_most(backend)) >= LONGER_BY_NS}
    for backend in heapq.nlargest(MOST_HELD, likely, likely.__getitem__):
        here = aligned[backend]
        others = [pair for member, pairs in aligned.items() if member != backend for pair in pairs]
        if measured[backend] < FEWEST or len(others) < FEWEST:
            continue
        late, late_elsewhere = [late for _, late in here], [late for _, late in others]
        longer, theirs = middle(late) - middle(late_elsewhere), int(middle(one.ns for one, _ in others))
        if longer < LONGER_BY_NS or longer < (TIMES_AS_LONG - 1) * theirs:
            continue
        if ranks_by_chance(late, late_elsewhere) < CHANCE / looks:
            ours = int(middle(one.ns for one, _ in here))
            long = [one for one, _ in here if one.ns * 2 >= ours]
            since_ns = min(one.hello_ns for one in long)
            short = [one.hello_ns for one, _ in here if one.ns * 2 < ours]
            slowest = max(here, key=lambda pair: pair[0].ns)[0]
            yield SlowMember(
                backend=backend,
                wait=wait,
                median_ns=ours,
                others_ns=theirs,
                measured=measured[backend],
                since_ns=since_ns,
                slowest=slowest.connection,
                has_changed=bool(short) and max(short) < since_ns,
            )
