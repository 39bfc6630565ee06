"""How a flow began and ended, as Zeek's ``conn_state`` says it: what its TCP analyzer makes of SYNs, FINs and RSTs in
the order in which they came (Zeek's ``TCPSessionAdapter``, and ``conn_state`` of ``base/protocols/conn``).

A FIN closes a side. A RST resets it, unless both have closed; a side that has closed and resets then is closed again
when the other closes too.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from inspector.facts import ConnectionFacts
from inspector.facts.connection import LaneFacts
from inspector.facts.events import FirstMoments
from inspector.tls.history import Letter


class EndState(Enum):
    """Of one side. ``PARTIAL``: it spoke, and its SYN was not captured."""

    INACTIVE = auto()
    PARTIAL = auto()
    SYN_SENT = auto()
    ESTABLISHED = auto()
    CLOSED = auto()
    RESET = auto()


class _Closing(NamedTuple):
    ns: int
    frame: int
    from_client: bool
    is_reset: bool


UNOPENED = (EndState.INACTIVE, EndState.PARTIAL)


def conn_state(leg: ConnectionFacts) -> str:
    """The state; ``OTH`` where Zeek has no other for it."""
    ends = {True: _opened_client(leg), False: _opened_server(leg)}
    before = dict(ends)
    for closing in sorted((*_closings(leg.from_client, True), *_closings(leg.from_server, False))):
        side, other = closing.from_client, not closing.from_client
        current = ends[side]
        if current is EndState.RESET or (
            current is EndState.CLOSED and (not closing.is_reset or ends[other] is EndState.CLOSED)
        ):
            continue
        before[side], ends[side] = current, EndState.RESET if closing.is_reset else EndState.CLOSED
        was_open = current in (EndState.ESTABLISHED, EndState.PARTIAL)
        if not closing.is_reset and was_open and ends[other] is EndState.RESET and before[other] is EndState.CLOSED:
            ends[other] = EndState.CLOSED
    return _named(ends[True], ends[False])


def last_ns(leg: ConnectionFacts) -> int:
    """Up to when Zeek counts a flow: what comes once both sides have closed or reset is not part of it."""
    ends = [[c.ns for c in _closings(lane, True)] for lane in (leg.from_client, leg.from_server)]
    return max(map(min, ends)) if all(ends) else leg.last_ns


def _opened_client(leg: ConnectionFacts) -> EndState:
    if leg.syn:
        return EndState.ESTABLISHED if _has_syn_ack(leg) else EndState.SYN_SENT
    if not leg.from_client.has_packets:
        return EndState.INACTIVE
    return EndState.ESTABLISHED if _has_syn_ack(leg) else EndState.PARTIAL


def _opened_server(leg: ConnectionFacts) -> EndState:
    if _has_syn_ack(leg):
        return EndState.ESTABLISHED
    server = leg.from_server
    spoke = server.bytes > 0 if leg.syn else server.has_packets
    return EndState.PARTIAL if spoke else EndState.INACTIVE


def _has_syn_ack(leg: ConnectionFacts) -> bool:
    return leg.rtt is not None or FirstMoments(leg.events).of(Letter.SYN, False) is not None


def _closings(lane: LaneFacts, from_client: bool) -> Iterator[_Closing]:
    for close, is_reset in ((lane.fin, False), (lane.rst, True)):
        if close is not None:
            yield _Closing(close.ns, close.frame, from_client, is_reset)


def _named(client: EndState, server: EndState) -> str:
    if server is EndState.RESET:
        if client is EndState.SYN_SENT:
            return "REJ"
        return "RSTRH" if client in UNOPENED else "RSTR"
    if client is EndState.RESET:
        return "OTH" if server in UNOPENED else "RSTO"
    if client is EndState.CLOSED:
        return "SF" if server is EndState.CLOSED else "SH" if server in UNOPENED else "S2"
    if server is EndState.CLOSED:
        return "SHR" if client in UNOPENED else "S3"
    if (client, server) == (EndState.SYN_SENT, EndState.INACTIVE):
        return "S0"
    return "S1" if client is server is EndState.ESTABLISHED else "OTH"
