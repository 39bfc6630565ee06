"""All connections of a story in their order, each with the session that it offered."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from inspector.facts import ConnectionFacts, Facts, HandshakeFacts
from inspector.facts.spool import selected
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.kinds import kind_of
from inspector.tracking.legs import find_legs
from inspector.tracking.mapped_observed import MappedObserved
from inspector.tracking.observed import Observed
from inspector.tracking.renegotiation import Renegotiation
from inspector.tracking.sessions import Ledger
from inspector.tracking.sightings import ordered
from inspector.tracking.traits import Observer

STEP = 1 << 10
"""After so many connections ``advance`` is called."""


def observe(
    facts: Facts,
    ledger: Ledger,
    wanted: Callable[[ConnectionFacts], bool] | None = None,
    advance: Callable[[int], None] | None = None,
) -> tuple[ConnectionColumns, Sequence[Observed]]:
    """All connections in the order of their ClientHellos, each entered into the ledger. ``wanted``: which ones, all by
    default. ``advance`` is told how many are done; it may raise to stop.

    The same handshake seen on several legs is one connection: the leg nearest to the client tells it. Where the
    ledger's sessions are out of core, so are they.
    """
    in_turn = ordered(facts)
    if wanted is not None:
        in_turn = selected(in_turn, [number for number, leg in enumerate(facts.unpack_all(in_turn)) if wanted(leg)])
    columns = ConnectionColumns(facts, in_turn, ledger.sessions, is_mapped=ledger.is_spooled)
    members: list[Observed] | MappedObserved = MappedObserved(columns) if ledger.is_spooled else []
    observer = Observer(facts, columns)
    pending = PendingRenegotiations(ledger)
    unproven = array("I")
    legs = find_legs(facts, in_turn)
    numbers: Sequence[int] = range(len(in_turn))
    if legs.others:
        numbers = array("I", [number for number in numbers if number not in legs.others])
    nearest = facts.unpack_all(selected(in_turn, numbers) if legs.others else in_turn)
    for index, (number, client_leg) in enumerate(zip(numbers, nearest, strict=True)):
        if advance is not None and index % STEP == 0:
            advance(index)
        observed = observer.observed(index, number, client_leg)
        if number in legs.behind:
            behind = legs.behind[number]
            columns.second_leg[index], *beyond = behind
            columns.gap_bytes[index] += sum(
                leg.from_client.gap + leg.from_server.gap for leg in map(columns.leg, behind)
            )
            if beyond:
                observed = replace(observed, particulars=replace(observed.particulars, beyond=tuple(beyond)))
        members.append(observed)
        if pending.waiting:
            pending.enter_before(observed.hello_ns)
        peers = (observed.client_address, observed.server)
        closed = client_leg.from_client.fin or client_leg.from_client.rst if ledger.tick_ns else None
        closed_ns = closed.ns if closed is not None else None
        entry = ledger.enter(index, client_leg.handshake, observed.kind, peers, closed_ns)
        columns.enter(entry)
        if observed.kind == "full":
            if observed.traits.offers or (entry.known and not observed.is_tls13):
                columns.declined[index] = True
            elif entry.number >= 0 and not observed.is_tls13:
                unproven.append(index)
        if observed.kind in (None, "resumed") and observed.may_have_resumed:
            ledger.cloud(peers, observed.hello_ns)
        if observed.renegotiations:
            columns.renegotiating.add(index)
            pending.add(observed, client_leg)
    pending.enter_before(None)
    ledger.close()
    for index in unproven:  # that it is a session, whoever resumes it later proves
        columns.declined[index] = ledger.sessions[columns.offered[index]].resumed_ns is not None
    return columns, members


class PendingRenegotiations:
    """Decrypted renegotiations, which are entered into the ledger when their time has come: it goes by the order of
    ClientHellos, and theirs may come behind those of later connections.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.waiting: list[tuple[int, int, int, Renegotiation, HandshakeFacts]] = []

    def add(self, observed: Observed, client_leg: ConnectionFacts) -> None:
        """Those of a connection."""
        for number, attempt in enumerate(observed.renegotiations):
            if attempt.handshake_index >= 0:
                handshake = client_leg.renegotiations[attempt.handshake_index]
                heapq.heappush(
                    self.waiting, (handshake.hello_ns or attempt.ns, observed.index, number, attempt, handshake)
                )

    def enter_before(self, ns: int | None) -> None:
        """All that began before a time; all where it is None."""
        while self.waiting and (ns is None or self.waiting[0][0] < ns):
            _, index, _, attempt, handshake = heapq.heappop(self.waiting)
            attempt.kind, attempt.reason = kind_of(handshake)
            attempt.entry = self._ledger.enter(index, handshake, attempt.kind)
