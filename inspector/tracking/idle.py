"""Connections that one side closed because nothing was said on them, and that the other side used once more.

A client keeps connections for its next request. Whoever stands at the other end, a server or a balancer, closes what is
idle. When its FIN and the next request cross, or the client does not look, the request is lost: what comes back is a
RST, or nothing. How long a connection was idle when it was closed is the time-out of whoever closed it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from inspector.facts import ConnectionFacts
from inspector.tracking.closing import first_close, is_goodbye
from inspector.tracking.observed import Observed

GOODBYE_NS = 50_000_000
"""An alert that comes so shortly before a FIN belongs to it."""


class IdleClose(NamedTuple):
    """The server's side closed an idle connection. ``ns``, ``frame``: when, and with which FIN or RST. ``idle_ns``: how
    long nobody had sent application data. ``has_goodbye``: with a TLS alert, so that it was the end of TLS itself and
    no balancer that passes bytes on.
    """

    ns: int
    frame: int
    idle_ns: int
    has_goodbye: bool


class StaleUse(NamedTuple):
    """The client wrote on it afterwards. ``late_ns``: how long after the close; ``frame``: with which record.
    ``reply``: what came back; ``reply_frame``: with which frame, 0 for none.
    """

    close: IdleClose
    late_ns: int
    frame: int
    reply: Literal["rst", "nothing"]
    reply_frame: int


def idle_close(observed: Observed) -> IdleClose | None:
    """How the server's side closed an established connection on which nothing was said any more; None where it did
    not.
    """
    if not observed.quiet_ns or observed.outcome != "established" or observed.health_check:
        return None
    client_leg = observed.client_leg
    first = first_close(client_leg.from_server)
    if first is None:
        return None
    close = first[0]
    return IdleClose(close.ns, close.frame, observed.quiet_ns, _has_goodbye(client_leg, close.ns))


def stale_use(observed: Observed, close: IdleClose) -> StaleUse | None:
    """How the client wrote on a connection that was closed; None where it did not."""
    client_leg = observed.client_leg
    tail, reset = client_leg.from_client.tail, client_leg.from_server.rst
    if tail is None:
        return None
    ns, frame = (tail.previous_ns, tail.previous_frame) if is_goodbye(client_leg, tail, True) else (tail.ns, tail.frame)
    if ns <= close.ns or not frame:
        return None
    is_reset = reset is not None and reset.ns >= ns
    return StaleUse(
        close,
        ns - close.ns,
        frame,
        "rst" if is_reset else "nothing",
        reset.frame if reset is not None and is_reset else 0,
    )


def quiet_spell(observed: Observed) -> int:
    """The longest time, in ns, for which a connection is known to have been idle and was used afterwards."""
    if observed.outcome != "established":
        return 0
    client_leg = observed.client_leg
    tail = client_leg.from_client.tail
    if tail is None or not tail.previous_ns or is_goodbye(client_leg, tail, True):
        return 0
    server = client_leg.from_server.tail
    return tail.ns - tail.previous_ns if server is not None and server.ns > tail.ns else 0


def _has_goodbye(client_leg: ConnectionFacts, ns: int) -> bool:
    """Whether the server sent an alert just before a time."""
    tail = client_leg.from_server.tail
    if client_leg.handshake.is_tls13:
        return tail is not None and is_goodbye(client_leg, tail, False) and 0 <= ns - tail.ns < GOODBYE_NS
    return any(not a.from_client and 0 <= ns - a.ns < GOODBYE_NS for a in client_leg.alerts)
