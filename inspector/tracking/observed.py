"""One connection as it is seen across the story: its legs joined, its outcome, its place in service, client and session ledger."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import Literal, TypeVar, cast

from msgspec import Struct

from inspector import facts
from inspector.facts import AlertFact, ConnectionFacts, Endpoint, Facts, HandshakeFacts, LaneFacts, unpack_events
from inspector.tls.messages import AnswerShape, HelloShape
from inspector.tls.registry import FATAL
from inspector.tracking.clients import UNKNOWN, Stack, stack
from inspector.tracking.legs import find_legs
from inspector.tracking.renegotiation import Renegotiation, find_renegotiations
from inspector.tracking.sessions import NOTHING, Entry, Kind, Ledger, is_modern, kind_of
from inspector.tracking.sightings import ordered

Outcome = Literal["established", "aborted", "incomplete"]
T = TypeVar("T")
BAD_CERTIFICATE = 42
SHORTEST_FINISHED_RECORD = 4 + 32 + 1 + 16
"""TLS 1.3: a Finished of SHA-256, its content type and the tag. A shorter encrypted record can only be an alert (RFC 8446, section 4.4.4)."""


class Observed(Struct, gc=False):
    """Filled in step by step by ``judge``. Holds little: ``main`` and ``legs`` are unpacked from the facts each time. ``secrets``: as in the facts."""

    index: int
    id: str
    facts: Facts
    packed: bytes
    packed_legs: tuple[bytes, ...]
    first_ns: int
    hello_ns: int
    outcome: Outcome
    kind: Kind | None
    reason: str
    stack: Stack
    offer: HelloShape | None
    answer: AnswerShape | None
    client_address: bytes
    server: Endpoint
    lost: bool
    one_sided: bool
    modern: bool
    leaf: bytes | None
    closed_by: Literal["client", "server"] | None
    closed_how: Literal["fin", "rst"] | None
    gave_up: bool
    offers: bool
    secrets: str | None
    renegotiations: tuple[Renegotiation, ...] = ()
    service: int = -1
    client: int = -1
    backend: int = -1
    entry: Entry = NOTHING
    health_check: bool = False

    @property
    def main(self) -> ConnectionFacts:
        """The leg nearest to the client."""
        return self.facts.unpack(self.packed)

    @property
    def legs(self) -> tuple[ConnectionFacts, ...]:
        """Further legs of the same handshake, nearest to the client first."""
        return tuple(self.facts.unpack(packed) for packed in self.packed_legs)

    @property
    def is_resumed(self) -> bool:
        """Whether a session was resumed, up to TLS 1.2."""
        return self.kind in ("session_id", "ticket")

    @property
    def declined(self) -> bool:
        """Whether a session that a server had issued, or a ticket, was offered and a full handshake was the answer."""
        if self.kind != "full":
            return False
        return self.offers or (not self.modern and (self.entry.known or (self.entry.session is not None and self.entry.session.resumed_ns is not None)))

    @property
    def fatal_alert(self) -> AlertFact | None:
        """The first fatal alert in clear."""
        return next((a for a in self.main.alerts if a.level == FATAL), None)


class Shared:
    """Equal values kept once: addresses, endpoints and leaves repeat in every connection."""

    def __init__(self) -> None:
        self._values: dict[object, object] = {}

    def one(self, value: T) -> T:
        """The first of all equal values."""
        return cast("T", self._values.setdefault(value, value))


def connection_id(main: ConnectionFacts) -> str:
    """Twelve hex digits."""
    digest = hashlib.blake2s(digest_size=6)
    digest.update(main.client.address + main.client.port.to_bytes(2, "big") + main.server.address + main.server.port.to_bytes(2, "big"))
    digest.update(main.handshake.client_random or main.handshake.server_random or b"%d@%d" % (main.initial_sequence, main.first_ns // 1000))
    return digest.hexdigest()


def observe(facts: Facts, ledger: Ledger, wanted: Callable[[ConnectionFacts], bool] | None = None) -> list[Observed]:
    """All connections in the order of their ClientHellos, each entered into the ledger. ``wanted``: which ones, all by default.

    The same handshake seen on several legs is one connection: the leg nearest to the client tells it.
    """
    shared = Shared()
    found: list[Observed] = []
    inner = Inner(ledger)
    in_turn = ordered(facts)
    if wanted is not None:
        in_turn = [packed for packed in in_turn if wanted(facts.unpack(packed))]
    legs = find_legs(facts, in_turn)
    for place, packed in enumerate(in_turn):
        if place in legs.others:
            continue
        main = facts.unpack(packed)
        seen = _observed(facts, packed, main, shared)
        seen.index = len(found)
        seen.packed_legs = legs.behind.get(place, ())
        inner.enter_before(seen.hello_ns)
        closed = main.from_client.fin or main.from_client.rst
        seen.entry = ledger.enter(seen.index, main.handshake, seen.kind, closed.ns if closed is not None and ledger.tick_ns else None)
        inner.add(seen, main)
        found.append(seen)
    inner.enter_before(None)
    return found


class Inner:
    """Decrypted renegotiations, entered into the ledger where their time comes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[int, int, int, Renegotiation, HandshakeFacts]] = []

    def add(self, seen: Observed, main: ConnectionFacts) -> None:
        """Those of a connection."""
        for number, attempt in enumerate(seen.renegotiations):
            if attempt.inside >= 0:
                handshake = main.inside[attempt.inside]
                heapq.heappush(self._waiting, (handshake.hello_ns or attempt.ns, seen.index, number, attempt, handshake))

    def enter_before(self, ns: int | None) -> None:
        """All that began before a time; all where it is None."""
        while self._waiting and (ns is None or self._waiting[0][0] < ns):
            _, index, _, attempt, handshake = heapq.heappop(self._waiting)
            attempt.kind, attempt.reason = kind_of(handshake)
            attempt.entry = self._ledger.enter(index, handshake, attempt.kind)


def _observed(facts: Facts, packed: bytes, main: ConnectionFacts, shared: Shared) -> Observed:
    handshake = main.handshake
    kind, reason = kind_of(handshake)
    renegotiations = find_renegotiations(main)
    by, how = closed_first(main)
    outcome = _outcome(main)
    if outcome == "established" and any(r.broken_off_by or _is_torn_down(main, r) for r in renegotiations):
        outcome = "aborted"
    leaf = handshake.chain[0] if handshake.chain else None
    modern = is_modern(handshake)
    return Observed(
        0,
        connection_id(main),
        facts,
        packed,
        (),
        main.first_ns,
        handshake.hello_ns,
        outcome,
        kind,
        reason,
        stack(handshake.offer) if handshake.offer is not None else UNKNOWN,
        handshake.offer,
        handshake.answer,
        shared.one(main.client.address),
        shared.one(main.server),
        main.from_client.lost or main.from_server.lost,
        not (main.from_client.packets and main.from_server.packets),
        modern,
        shared.one(leaf) if leaf is not None else None,
        by,
        how,
        gave_up(main, by),
        bool(handshake.offered_psks) if modern else bool(handshake.offered_ticket),
        shared.one(main.secrets),
        renegotiations,
    )


def _closes(lane: LaneFacts) -> list[tuple[int, Literal["fin", "rst"]]]:
    found: list[tuple[int, Literal["fin", "rst"]]] = []
    if lane.fin:
        found.append((lane.fin.ns, "fin"))
    if lane.rst:
        found.append((lane.rst.ns, "rst"))
    return found


def _first_close(lane: LaneFacts) -> tuple[int, Literal["fin", "rst"]] | None:
    fin, rst = lane.fin, lane.rst
    if fin is None:
        return (rst.ns, "rst") if rst is not None else None
    return (fin.ns, "fin") if rst is None or fin.ns <= rst.ns else (rst.ns, "rst")


def closed_first(main: ConnectionFacts) -> tuple[Literal["client", "server"] | None, Literal["fin", "rst"] | None]:
    """Who closed first, and how."""
    ours, theirs = _first_close(main.from_client), _first_close(main.from_server)
    if ours is not None and (theirs is None or ours[0] <= theirs[0]):
        return "client", ours[1]
    return ("server", theirs[1]) if theirs is not None else (None, None)


def _outcome(main: ConnectionFacts) -> Outcome:
    """The contract's table."""
    handshake, client, server = main.handshake, main.from_client, main.from_server
    seen = handshake.seen
    if is_modern(handshake):
        alert = client.application_records == 1 and client.application_bytes < SHORTEST_FINISHED_RECORD
        if main.secrets == "" and _rejected(main):
            return "aborted"
        if client.application_records and server.application_records:
            return "aborted" if alert else "established"
    elif _both_finished(main):
        return "established"
    if any(a.level == FATAL for a in main.alerts):
        return "aborted"
    whole = client.packets and server.packets and not client.lost and not server.lost
    if (client.fin or client.rst or server.fin or server.rst) and whole and seen & (facts.C_HELLO | facts.S_HELLO):
        return "aborted"
    return "incomplete"


def _is_torn_down(main: ConnectionFacts, attempt: Renegotiation) -> bool:
    """Whether a side did not put up with a renegotiation that was declined: a fatal alert, which only secrets show."""
    return attempt.state == "declined" and any(a.level == FATAL and a.decrypted and a.ns >= attempt.ns for a in main.alerts)


def _rejected(main: ConnectionFacts) -> bool:
    """Whether a side of TLS 1.3 sent a fatal alert and no application data before it: it did not accept the handshake. Only secrets show that."""
    alert = next((a for a in main.alerts if a.level == FATAL and a.decrypted), None)
    return alert is not None and not any(e.letter == "D" and e.decrypted and e.from_client == alert.from_client and e.ns <= alert.ns for e in unpack_events(main.events))


def _both_finished(main: ConnectionFacts) -> bool:
    client, server, seen = main.from_client, main.from_server, main.handshake.seen
    ours = seen & facts.C_SEALED or (seen & facts.C_CHANGE and client.application_records)
    theirs = seen & facts.S_SEALED or (seen & facts.S_CHANGE and server.application_records)
    if ours and theirs:
        return bool(seen & (facts.S_HELLO | facts.C_HELLO)) or not main.syn
    return bool(client.application_records and server.application_records and not is_modern(main.handshake))


def gave_up(main: ConnectionFacts, closed_by: str | None) -> bool:
    """Whether the client broke off after the server's certificate and before its own key exchange.

    With an alert in clear (blocking clients), or by closing in silence after ServerHelloDone (Puppet Server's HTTP client).
    """
    handshake = main.handshake
    seen = handshake.seen
    if not seen & facts.S_CERTIFICATE or seen & (facts.C_KEY_EXCHANGE | facts.C_CHANGE | facts.C_SEALED) or is_modern(handshake):
        return False
    if main.from_client.application_records:
        return False
    fatal = next((a for a in main.alerts if a.level == FATAL), None)
    if fatal is not None and fatal.from_client:
        return True
    if main.from_client.lost or not main.from_client.packets:
        return False
    return bool(closed_by == "client" and seen & facts.S_DONE and (fatal is None or _closed_before(main, fatal.ns)))


def _closed_before(main: ConnectionFacts, ns: int) -> bool:
    return any(closed <= ns for closed, _ in _closes(main.from_client))
