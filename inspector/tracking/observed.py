"""One connection across the story: its legs joined, its outcome, and to which service, client, back end and session it
belongs.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import Literal, TypeVar, cast

from msgspec import Struct

from inspector import facts
from inspector.errors.decryption import NotDecrypted
from inspector.facts import AlertFact, ConnectionFacts, Facts, HandshakeFacts, PackedEndpoint, unpack_events
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.history import Letter
from inspector.tls.types import FATAL, AlertDescription
from inspector.tracking.clients import UNKNOWN, Stack, stack
from inspector.tracking.closing import closed_first, gave_up, is_refused
from inspector.tracking.kinds import Kind, KindReason, is_read, kind_of
from inspector.tracking.legs import find_legs
from inspector.tracking.renegotiation import Renegotiation, find_renegotiations
from inspector.tracking.sessions import NOTHING, Ledger, LedgerEntry
from inspector.tracking.shown import NOTHING_SHOWN, ShownByServer, shown_by
from inspector.tracking.sightings import ordered

Outcome = Literal["established", "aborted", "incomplete"]
T = TypeVar("T")
BAD_CERTIFICATE = int(AlertDescription.BAD_CERTIFICATE)
SHORTEST_FINISHED_RECORD = 4 + 32 + 1 + 16
"""TLS 1.3: a Finished of SHA-256, its content type and the tag. A shorter encrypted record can only be an alert (RFC
8446, section 4.4.4).
"""


class Observed(Struct, gc=False, kw_only=True):
    """Filled in step by step by ``judge``. Holds little: ``client_leg`` and ``legs`` are unpacked from the facts each
    time. ``secrets``: as in the facts.
    """

    index: int
    id: str
    facts: Facts
    packed: bytes
    packed_legs: tuple[bytes, ...]
    first_ns: int
    hello_ns: int
    """When the ClientHello came; where that was not captured, the first frame."""
    outcome: Outcome
    kind: Kind | None
    reason: KindReason
    stack: Stack
    offer: HelloShape | None
    answer: AnswerShape | None
    client_address: bytes
    server: PackedEndpoint
    lost: bool
    one_sided: bool
    is_tls13: bool
    leaf: bytes | None
    closed_by: Literal["client", "server"] | None
    closed_how: Literal["fin", "rst"] | None
    gave_up: bool
    offers: bool
    secrets: NotDecrypted | str | None
    renegotiations: tuple[Renegotiation, ...] = ()
    service: int = -1
    client: int = -1
    backend: int = -1
    entry: LedgerEntry = NOTHING
    health_check: bool = False
    long_preamble: bool = False
    """A direction in which no hello was found, behind a preamble that is longer than what was looked through."""
    sequence_jump: bool = False
    """Sequence numbers went on further away than any window is wide."""
    lost_encrypted: bool = False
    is_repeated: bool = False
    """The same packets were captured once more."""
    gap_bytes: int = 0
    """Bytes that are missing in the midst of what was sent, on all its legs."""
    shown: ShownByServer = NOTHING_SHOWN

    @property
    def client_leg(self) -> ConnectionFacts:
        """The leg nearest to the client."""
        return self.facts.unpack(self.packed)

    @property
    def legs(self) -> tuple[ConnectionFacts, ...]:
        """Further legs of the same handshake, nearest to the client first."""
        return tuple(self.facts.unpack(packed) for packed in self.packed_legs)

    @property
    def is_resumed(self) -> bool:
        """Whether a session was resumed, up to TLS 1.2."""
        return self.kind in ("session_id", "ticket", "resumed")

    @property
    def is_offer_known(self) -> bool:
        """Whether all that the client offered was read."""
        return is_read(self.offer)

    @property
    def may_have_resumed(self) -> bool:
        """Whether it may have resumed, or been issued, a session that the capture does not tell."""
        if self.kind is None:
            return self.answer is not None or self.lost or self.one_sided or self.offer is None
        return self.kind == "resumed" and not self.entry.known

    @property
    def declined(self) -> bool:
        """Whether a session that a server had issued, or a ticket, was offered and a full handshake was the answer."""
        if self.kind != "full":
            return False
        return self.offers or (
            not self.is_tls13
            and (self.entry.known or (self.entry.session is not None and self.entry.session.resumed_ns is not None))
        )

    @property
    def fatal_alert(self) -> AlertFact | None:
        """The first fatal alert in clear."""
        return next((a for a in self.client_leg.alerts if a.level == FATAL), None)


class Shared:
    """Equal values kept once: addresses, endpoints and leaves repeat in every connection."""

    def __init__(self) -> None:
        self._values: dict[object, object] = {}

    def one(self, value: T) -> T:
        """The first of all equal values."""
        return cast("T", self._values.setdefault(value, value))


def connection_id(client_leg: ConnectionFacts) -> str:
    """Twelve hex digits, the same each time that a capture is read: of the endpoints and a random; where none was read,
    of the sequence number and the time that it begins with.
    """
    digest = hashlib.blake2s(digest_size=6)
    digest.update(
        client_leg.client.address
        + client_leg.client.port.to_bytes(2, "big")
        + client_leg.server.address
        + client_leg.server.port.to_bytes(2, "big")
    )
    digest.update(
        client_leg.handshake.client_random
        or client_leg.handshake.server_random
        or b"%d@%d" % (client_leg.initial_sequence, client_leg.first_ns // 1000)
    )
    return digest.hexdigest()


def observe(facts: Facts, ledger: Ledger, wanted: Callable[[ConnectionFacts], bool] | None = None) -> list[Observed]:
    """All connections in the order of their ClientHellos, each entered into the ledger. ``wanted``: which ones, all by
    default.

    The same handshake seen on several legs is one connection: the leg nearest to the client tells it.
    """
    shared = Shared()
    members: list[Observed] = []
    pending = PendingRenegotiations(ledger)
    in_turn = ordered(facts)
    if wanted is not None:
        in_turn = [packed for packed in in_turn if wanted(facts.unpack(packed))]
    legs = find_legs(facts, in_turn)
    for index, packed in enumerate(in_turn):
        if index in legs.others:
            continue
        client_leg = facts.unpack(packed)
        observed = _observed(facts, packed, client_leg, shared)
        observed.index = len(members)
        observed.packed_legs = legs.behind.get(index, ())
        observed.gap_bytes += sum(leg.from_client.gap + leg.from_server.gap for leg in observed.legs)
        pending.enter_before(observed.hello_ns)
        peers = (observed.client_address, observed.server)
        closed = client_leg.from_client.fin or client_leg.from_client.rst
        closed_ns = closed.ns if closed is not None and ledger.tick_ns else None
        observed.entry = ledger.enter(observed.index, client_leg.handshake, observed.kind, peers, closed_ns)
        if observed.may_have_resumed:
            ledger.cloud(peers, observed.hello_ns)
        pending.add(observed, client_leg)
        members.append(observed)
    pending.enter_before(None)
    return members


class PendingRenegotiations:
    """Decrypted renegotiations, which are entered into the ledger when their time has come: it goes by the order of
    ClientHellos, and theirs may come behind those of later connections.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[int, int, int, Renegotiation, HandshakeFacts]] = []

    def add(self, observed: Observed, client_leg: ConnectionFacts) -> None:
        """Those of a connection."""
        for number, attempt in enumerate(observed.renegotiations):
            if attempt.handshake_index >= 0:
                handshake = client_leg.renegotiations[attempt.handshake_index]
                heapq.heappush(
                    self._waiting, (handshake.hello_ns or attempt.ns, observed.index, number, attempt, handshake)
                )

    def enter_before(self, ns: int | None) -> None:
        """All that began before a time; all where it is None."""
        while self._waiting and (ns is None or self._waiting[0][0] < ns):
            _, index, _, attempt, handshake = heapq.heappop(self._waiting)
            attempt.kind, attempt.reason = kind_of(handshake)
            attempt.entry = self._ledger.enter(index, handshake, attempt.kind)


def _observed(facts: Facts, packed: bytes, client_leg: ConnectionFacts, shared: Shared) -> Observed:
    handshake = client_leg.handshake
    kind, reason = kind_of(handshake)
    renegotiations = find_renegotiations(client_leg)
    by, how = closed_first(client_leg)
    outcome = _outcome(client_leg)
    if outcome == "established" and any(r.broken_off_by or _is_torn_down(client_leg, r) for r in renegotiations):
        outcome = "aborted"
    leaf = handshake.chain[0] if handshake.chain else None
    tls13 = handshake.is_tls13
    return Observed(
        index=0,
        id=connection_id(client_leg),
        facts=facts,
        packed=packed,
        packed_legs=(),
        first_ns=client_leg.first_ns,
        hello_ns=handshake.hello_ns or client_leg.first_ns,
        outcome=outcome,
        kind=kind,
        reason=reason,
        stack=stack(handshake.offer)
        if handshake.offer is not None and is_read(handshake.offer) and not _has_odd_version(client_leg)
        else UNKNOWN,
        offer=handshake.offer,
        answer=handshake.answer,
        client_address=shared.one(client_leg.client.address),
        server=shared.one(client_leg.server),
        lost=client_leg.from_client.lost or client_leg.from_server.lost,
        one_sided=not (client_leg.from_client.has_packets and client_leg.from_server.has_packets),
        is_tls13=tls13,
        leaf=shared.one(leaf) if leaf is not None else None,
        closed_by=by,
        closed_how=how,
        gave_up=gave_up(client_leg, by),
        offers=bool(handshake.offered_psks) if tls13 else bool(handshake.offered_ticket),
        secrets=shared.one(client_leg.secrets),
        renegotiations=renegotiations,
        long_preamble=bool(client_leg.from_client.searched_bytes or client_leg.from_server.searched_bytes),
        sequence_jump=client_leg.from_client.sequence_jump or client_leg.from_server.sequence_jump,
        lost_encrypted=client_leg.from_client.lost_encrypted or client_leg.from_server.lost_encrypted,
        is_repeated=bool(client_leg.sightings),
        gap_bytes=client_leg.from_client.gap + client_leg.from_server.gap,
        shown=shared.one(shown_by(handshake)),
    )


def _has_odd_version(client_leg: ConnectionFacts) -> bool:
    """Whether the client's first record is of a version that no TLS stack writes, although servers take it: it is
    nobody's that is known.
    """
    return any(a.kind == "record_version" and a.from_client for a in client_leg.anomalies)


def _outcome(client_leg: ConnectionFacts) -> Outcome:
    """*established* where both sides finished, *aborted* where one did not let the other: by a fatal alert, or by
    closing where all was captured; else *incomplete*, which blames nobody.
    """
    handshake, client, server = client_leg.handshake, client_leg.from_client, client_leg.from_server
    messages = handshake.messages
    if handshake.is_tls13:
        alert = client.application_records == 1 and client.application_bytes < SHORTEST_FINISHED_RECORD
        if (client_leg.secrets == "" and _rejected(client_leg)) or is_refused(client_leg):
            return "aborted"
        if client.application_records and server.application_records:
            return "aborted" if alert else "established"
    elif _both_finished(client_leg):
        return "established"
    if any(a.level == FATAL for a in client_leg.alerts):
        return "aborted"
    is_whole = (
        client.has_packets
        and server.has_packets
        and not (client.lost or server.lost or client.searched_bytes or server.searched_bytes)
    )
    is_closed = client.fin or client.rst or server.fin or server.rst
    if is_closed and is_whole and messages & (facts.C_HELLO | facts.S_HELLO):
        return "aborted"
    return "incomplete"


def _is_torn_down(client_leg: ConnectionFacts, attempt: Renegotiation) -> bool:
    """Whether a side did not put up with a renegotiation that was declined: a fatal alert, which only secrets show."""
    return attempt.state == "declined" and any(
        a.level == FATAL and a.decrypted and a.ns >= attempt.ns for a in client_leg.alerts
    )


def _rejected(client_leg: ConnectionFacts) -> bool:
    """Whether a side of TLS 1.3 sent a fatal alert and no application data before it: it did not accept the handshake.
    Only secrets show that.
    """
    alert = next((a for a in client_leg.alerts if a.level == FATAL and a.decrypted), None)
    return alert is not None and not any(
        e.letter == Letter.APPLICATION_DATA and e.decrypted and e.from_client == alert.from_client and e.ns <= alert.ns
        for e in unpack_events(client_leg.events)
    )


def _both_finished(client_leg: ConnectionFacts) -> bool:
    client, server, messages = client_leg.from_client, client_leg.from_server, client_leg.handshake.messages
    ours = messages & facts.C_SEALED or (messages & facts.C_CHANGE and client.application_records)
    theirs = messages & facts.S_SEALED or (messages & facts.S_CHANGE and server.application_records)
    if ours and theirs:
        return bool(messages & (facts.S_HELLO | facts.C_HELLO)) or not client_leg.syn
    return bool(client.application_records and server.application_records and not client_leg.handshake.is_tls13)
