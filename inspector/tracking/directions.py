"""Directions that were captured by two clocks: by how much the frames of servers are late, told by what must have come
first.

A server answers what it was sent, and a client what it was answered: a SYN-ACK follows the SYN, a ServerHello the
ClientHello, a key exchange the server's flight. If the clock of the servers' frames is ``s`` late, answers of servers
seem to take ``s`` longer and answers of clients ``s`` shorter. The quickest of each kind bound ``s`` from both sides,
as in the estimation of a clock's offset by round trips (Cristian 1989). Where 0 lies between the bounds, the clocks
agree as far as anybody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inspector import facts
from inspector.facts import ConnectionFacts, FirstMoments
from inspector.tls.history import Letter
from inspector.tls.types import TLS13
from inspector.tracking.vantage import Vantage, Vantages

SAMPLE = 400
"""Connections that are looked at."""

NOTICED_NS = 100_000
"""Answers that come before what they answer by less are a matter of how frames were gathered."""

OUTLIERS = 0.05
"""So many connections may contradict the others: lost and repeated frames."""

Pair = tuple[Vantage, Vantage]


class Skew(NamedTuple):
    """The frames of servers are ``ns`` late beside those of clients, give or take ``uncertainty_ns``."""

    ns: int
    uncertainty_ns: int
    connections: int


def skews(sample: Iterable[ConnectionFacts], vantages: Vantages) -> dict[Pair, Skew]:
    """Where the clocks of both directions disagree, by the vantage points of the clients' and the servers' frames."""
    answers: dict[Pair, list[tuple[int | None, int | None]]] = {}
    for connection in sample:
        if connection.from_client.has_packets and connection.from_server.has_packets:
            quickest = _quickest(connection)
            if quickest != (None, None):
                answers.setdefault(vantages.sides(connection), []).append(quickest)
    by_pair: dict[Pair, Skew] = {}
    for pair, members in answers.items():
        skew = _skew(members)
        if skew is not None:
            by_pair[pair] = skew
    return by_pair


def _skew(members: list[tuple[int | None, int | None]]) -> Skew | None:
    servers = sorted(s for s, _ in members if s is not None)
    clients = sorted(c for _, c in members if c is not None)
    high = _quantile(servers)
    low = -c if (c := _quantile(clients)) is not None else None
    if high is not None and high < -NOTICED_NS:
        against = sum(s < 0 for s in servers) * 2 >= len(servers)
    elif low is not None and low > NOTICED_NS:
        against = sum(c < 0 for c in clients) * 2 >= len(clients)
    else:
        return None
    if len(members) < 1 / OUTLIERS and (not against or (high is not None and low is not None and low > high)):
        return None  # few, and no skew explains them all
    if high is None or low is None:
        both = high if high is not None else low or 0
        return Skew(both, abs(both), len(members))
    if low > high:  # too many contradict
        high, low = middle(servers), -middle(clients)
    return Skew((high + low) // 2, abs(high - low) // 2, len(members))


def _quantile(times: list[int]) -> int | None:
    return times[int(len(times) * OUTLIERS)] if times else None


def _quickest(connection: ConnectionFacts) -> tuple[int | None, int | None]:
    """The quickest answer of the server and of the client, in nanoseconds, by each side's own clock."""
    first, messages, answer = (
        FirstMoments(connection.events),
        connection.handshake.messages,
        connection.handshake.answer,
    )
    syn_ack, hello, keyed = (
        first.of(Letter.SYN, False),
        first.of(Letter.CLIENT_HELLO, True),
        first.of(Letter.CLIENT_KEY_EXCHANGE, True),
    )
    servers = _between(first.of(Letter.SYN, True), syn_ack) + _between(hello, first.of(Letter.SERVER_HELLO, False))
    clients = _between(syn_ack, hello) + _between(first.of(Letter.SERVER_HELLO_DONE, False), keyed)
    if messages & facts.S_DONE:
        answered = Letter.NEW_SESSION_TICKET if messages & facts.S_TICKET else Letter.CHANGE_CIPHER_SPEC
        servers += _between(first.of(Letter.CHANGE_CIPHER_SPEC, True), first.of(answered, False))
    elif keyed is None and answer is not None and answer.version < TLS13:
        changes = [first.of(Letter.CHANGE_CIPHER_SPEC, from_client) for from_client in (False, True)]
        clients += _between(*changes)
    return min(servers, default=None), min(clients, default=None)


def _between(cause: int | None, effect: int | None) -> list[int]:
    return [effect - cause] if cause is not None and effect is not None else []


def spread_of(values: list[int]) -> int:
    """Half of what nine in ten of some values lie within."""
    ordered = sorted(values)
    return (ordered[int(len(ordered) * 0.95)] - ordered[int(len(ordered) * 0.05)]) // 2


def middle(values: list[int]) -> int:
    """The median, rounded down, so that it moves with the values."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
