"""Vantage points: where frames were captured, each with a clock of its own; and connections as another clock would have
stamped them.

A stamp is the clock of whoever captured the frame. Taps at both sides of a balancer, two hosts, or a port for each
direction of one link go by different clocks, so times may be compared within one vantage point only, until it is known
by how much clocks differ (``directions``, ``vantage_clocks``) and that is taken out (``retimed``). A connection has at
most two vantage points: of its client's frames, by whose clock it goes, and of its server's.

A capture is one vantage point, or several where its clock was set back: behind each step it is taken for another, so
that what the frames say of the clock has the last word (two files joined to one look like a clock that was set back).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from msgspec.structs import replace

from inspector import bounds
from inspector.facts import (
    FRAME_BITS,
    CaptureFacts,
    ConnectionFacts,
    Event,
    HandshakeFacts,
    LaneFacts,
    pack_events,
    unpack_events,
)
from inspector.tracking.rungs import in_order, out_of_order
from inspector.tracking.shared_clocks import by_clock

Vantage = tuple[int, int]
"""Index of the capture, and how many times its clock was set back before."""


class Vantages:
    """Which vantage point a frame belongs to, and which vantage points should go by one clock."""

    def __init__(self, captures: Sequence[CaptureFacts]) -> None:
        self._captures = captures
        self._steps = [[frame for frame, _ in capture.steps] for capture in captures]

    def clocks(self) -> list[tuple[Vantage, ...]]:
        """All vantage points, those that should go by one clock together, in the order of their names."""
        return [
            tuple(sorted(((i, step) for i in group for step in range(len(self._steps[i]) + 1)), key=self.name))
            for group in by_clock(self._captures)
        ]

    def was_set_back(self, vantage: Vantage) -> bool:
        """Whether the clock was set back in its capture."""
        return bool(self._steps[vantage[0]])

    def name(self, vantage: Vantage) -> tuple[str, str, int, int]:
        """What orders vantage points, whatever their clocks say: names, as far as they differ."""
        capture = self._captures[vantage[0]]
        return capture.host, capture.path, *vantage

    def of(self, reference: int) -> Vantage:
        """By frame reference."""
        capture = reference >> FRAME_BITS
        steps = self._steps[capture] if capture < len(self._steps) else ()
        return capture, bisect_right(steps, reference & (1 << FRAME_BITS) - 1) if steps else 0

    def sides(self, connection: ConnectionFacts) -> tuple[Vantage, Vantage]:
        """Where the client's and the server's frames were captured, by the first message that is known of each; one
        stands for the other where there is none.
        """
        handshake = connection.handshake
        ours, theirs = handshake.hello_frame, handshake.answer_frame
        if not ours or not theirs:
            events = unpack_events(connection.events)
            ours = ours or next((e.frame for e in events if e.from_client), 0)
            theirs = theirs or next((e.frame for e in events if not e.from_client), 0)
        return self.of(ours or theirs or connection.first_frame), self.of(theirs or ours or connection.first_frame)

    def home(self, connection: ConnectionFacts) -> Vantage:
        """Whose clock a connection goes by: that of the client's frames."""
        return self.sides(connection)[0]


def clamped(ns: int) -> int:
    """A time that can be kept: damaged stamps, moved, may lie beyond all others."""
    return min(max(ns, -bounds.LATEST_NS), bounds.LATEST_NS)


def retimed(old: ConnectionFacts, client_ns: int, server_ns: int) -> ConnectionFacts:
    """The connection with so much added to all times of each side's frames."""
    if not client_ns and not server_ns:
        return old

    def moved(ns: int, from_client: bool) -> int:
        return ns and clamped(ns + (client_ns if from_client else server_ns))

    def handshake(h: HandshakeFacts) -> HandshakeFacts:
        return replace(h, hello_ns=moved(h.hello_ns, True), answer_ns=moved(h.answer_ns, False))

    def lane(facts: LaneFacts, from_client: bool) -> LaneFacts:
        fin, rst, tail = facts.fin, facts.rst, facts.tail
        return replace(
            facts,
            fin=fin and replace(fin, ns=moved(fin.ns, from_client)),
            rst=rst and replace(rst, ns=moved(rst.ns, from_client)),
            tail=tail
            and replace(
                tail,
                ns=moved(tail.ns, from_client),
                previous_ns=moved(tail.previous_ns, from_client),
                earlier_ns=moved(tail.earlier_ns, from_client),
            ),
        )

    events = [replace(event, ns=moved(event.ns, event.from_client)) for event in unpack_events(old.events)]
    is_apart = client_ns != server_ns
    if is_apart:
        events = in_order(events)
    first, last = _extent(old, events, client_ns, server_ns)
    alerts = sorted((replace(a, ns=moved(a.ns, a.from_client)) for a in old.alerts), key=lambda a: (a.ns, a.frame))
    packed = pack_events(events)
    return replace(
        old,
        first_ns=first,
        last_ns=last,
        rtt=None if is_apart else old.rtt,
        handshake=handshake(old.handshake),
        renegotiations=tuple(handshake(h) for h in old.renegotiations),
        from_client=lane(old.from_client, True),
        from_server=lane(old.from_server, False),
        alerts=tuple(alerts),
        anomalies=(*(a for a in old.anomalies if a.kind != "unexpected_message"), *out_of_order(packed))
        if is_apart
        else old.anomalies,
        events=packed,
    )


def _extent(old: ConnectionFacts, events: list[Event], client_ns: int, server_ns: int) -> tuple[int, int]:
    """When the first and the last frame of a connection come then. Of an acknowledgement that is no event the side is
    not known.
    """
    if client_ns == server_ns or not events:
        return clamped(old.first_ns + client_ns), clamped(old.last_ns + client_ns)
    times = [event.ns for event in events]
    return min(times), clamped(max(*times, old.last_ns + min(client_ns, server_ns)))
