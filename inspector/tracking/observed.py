"""One connection across the story: its legs joined, its outcome, and to which service, client, back end and session it
belongs.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Literal

from msgspec import Struct

from inspector.errors.decryption import NotDecrypted
from inspector.facts import AlertFact, ConnectionFacts, FrameRange, PackedEndpoint
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.types import AlertDescription
from inspector.tracking.clients import Stack
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.kinds import Kind, KindReason, is_read
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.outcomes import Outcome
from inspector.tracking.renegotiation import Renegotiation
from inspector.tracking.sessions import LedgerEntry
from inspector.tracking.shape import ConnectionShape, SharedTraits
from inspector.tracking.shown import ShownByServer

BAD_CERTIFICATE = int(AlertDescription.BAD_CERTIFICATE)


class Particulars(Struct, gc=False, kw_only=True):
    """What few connections have. ``beyond``: the numbers of the legs of the same handshake behind the second."""

    fatal_alert: AlertFact | None = None
    renegotiations: tuple[Renegotiation, ...] = ()
    beyond: tuple[int, ...] = ()


NO_PARTICULARS = Particulars()


class Observed(Struct, frozen=True, gc=False, kw_only=True):
    """What was observed of one connection. There are millions, so it holds little: what others have too stands in
    ``shape``, numbers stand in columns, and ``client_leg`` and ``legs`` are unpacked from the facts each time. Of the
    shape that stands here once more which is asked for most. Only columns are filled in step by step by ``judge``.
    """

    columns: ConnectionColumns
    shape: ConnectionShape
    traits: SharedTraits
    particulars: Particulars
    index: int
    outcome: Outcome
    kind: Kind | None
    is_tls13: bool
    offer: HelloShape | None
    answer: AnswerShape | None
    client_address: bytes
    server: PackedEndpoint
    leaf: bytes | None

    @property
    def shown(self) -> ShownByServer:
        """What the server showed of itself beyond its hello and its leaf."""
        return self.shape.shown

    @property
    def service(self) -> int:
        """The index of its service."""
        return self.columns.service[self.index]

    @property
    def client(self) -> int:
        """The index of its client."""
        return self.columns.client[self.index]

    @property
    def backend(self) -> int:
        """The index of the back end that answered, -1 where it is not known."""
        return self.columns.backend[self.index]

    @property
    def health_check(self) -> bool:
        """Whether it is one."""
        return self.columns.health_check[self.index] != 0

    @property
    def session(self) -> LedgerSession | None:
        """The one that it offered."""
        columns = self.columns
        number = columns.offered[self.index]
        return columns.sessions[number] if number >= 0 else None

    @property
    def offers_session(self) -> bool:
        """Whether the ledger knows a session that it offered."""
        return self.columns.offered[self.index] >= 0

    @property
    def entry(self) -> LedgerEntry:
        """What the ledger knew of what it offered."""
        return self.columns.entry(self.index)

    @property
    def issuer(self) -> int | None:
        """Which connection was issued the session that it offered, where that was captured."""
        issuer: int = self.columns.issuer[self.index]
        return issuer if issuer >= 0 else None

    @property
    def id(self) -> str:
        """As ``connection_id`` says."""
        return self.columns.id(self.index)

    @property
    def first_ns(self) -> int:
        """When its first frame came."""
        return self.columns.first_ns[self.index]

    @property
    def hello_ns(self) -> int:
        """When the ClientHello came; where that was not captured, the first frame."""
        return self.columns.hello_ns[self.index]

    @property
    def quiet_ns(self) -> int:
        """How long nobody had sent application data when the server closed first (``closing.quiet_before``); 0 where it
        did not.
        """
        return self.columns.quiet_ns[self.index]

    @property
    def reason(self) -> KindReason:
        """Why it is of its kind."""
        return self.traits.reason

    @property
    def stack(self) -> Stack:
        """The client's."""
        return self.traits.stack

    @property
    def program(self) -> bytes:
        """As in ``clients.Writer``."""
        return self.traits.program

    @property
    def lost(self) -> bool:
        """Bytes are missing before a side encrypted."""
        return self.traits.lost

    @property
    def one_sided(self) -> bool:
        """Of one side nothing was captured."""
        return self.traits.one_sided

    @property
    def is_resumed(self) -> bool:
        """Whether a session was resumed, up to TLS 1.2."""
        return self.traits.is_resumed

    @property
    def closed_by(self) -> Literal["client", "server"] | None:
        """Who closed first."""
        return self.traits.closed_by

    @property
    def closed_how(self) -> Literal["fin", "rst"] | None:
        """By what."""
        return self.traits.closed_how

    @property
    def gave_up(self) -> bool:
        """Whether the client did, as Java does where the certificate changed."""
        return self.traits.gave_up

    @property
    def shows_no_certificate(self) -> bool:
        """The server sent a Certificate message with an empty list."""
        return self.traits.shows_no_certificate

    @property
    def offers(self) -> bool:
        """Whether the client offered a ticket, in TLS 1.3 a pre-shared key."""
        return self.traits.offers

    @property
    def secrets(self) -> NotDecrypted | str | None:
        """As in the facts."""
        return self.traits.secrets

    @property
    def long_preamble(self) -> bool:
        """A direction in which no hello was found, behind a preamble that is longer than what was looked through."""
        return self.traits.long_preamble

    @property
    def contradicted(self) -> bool:
        """Some of its first bytes came in two versions, or as urgent data, and which ones the receiver took cannot be
        told: as good as ``lost``, which it is too.
        """
        return self.traits.contradicted

    @property
    def has_conflicts(self) -> bool:
        """Bytes came so, whether it can be told or not."""
        return self.traits.has_conflicts

    @property
    def sequence_jump(self) -> bool:
        """Sequence numbers went on further away than any window is wide."""
        return self.traits.sequence_jump

    @property
    def lost_both_ways(self) -> bool:
        """Encrypted records of both sides are missing."""
        return self.traits.lost_both_ways

    @property
    def is_completed(self) -> bool:
        """Both sides finished its first handshake, whatever became of a later one inside."""
        return self.traits.is_completed

    @property
    def is_repeated(self) -> bool:
        """The same packets were captured once more."""
        return self.traits.is_repeated

    @property
    def fatal_alert(self) -> AlertFact | None:
        """The first fatal alert in clear."""
        return self.particulars.fatal_alert

    @property
    def renegotiations(self) -> tuple[Renegotiation, ...]:
        """Further handshakes inside it."""
        return self.particulars.renegotiations

    @property
    def further(self) -> tuple[int, ...]:
        """The numbers of further legs of the same handshake, nearest to the client first."""
        second = self.columns.second_leg[self.index]
        return (second, *self.particulars.beyond) if second >= 0 else ()

    @property
    def packed_legs(self) -> tuple[bytes, ...]:
        """Further legs of the same handshake, nearest to the client first."""
        return tuple(map(self.columns.packed, self.further))

    @property
    def gap_bytes(self) -> int:
        """Bytes that are missing in the midst of what was sent, on all its legs."""
        return self.columns.gap_bytes[self.index]

    @property
    def packed(self) -> bytes:
        """The leg nearest to the client, packed."""
        columns = self.columns
        return columns.packed(columns.number(self.index))

    @property
    def client_leg(self) -> ConnectionFacts:
        """The leg nearest to the client."""
        columns = self.columns
        return columns.leg(columns.number(self.index))

    @property
    def legs(self) -> tuple[ConnectionFacts, ...]:
        """Further legs of the same handshake, nearest to the client first."""
        return tuple(map(self.columns.leg, self.further))

    @property
    def frame_ranges(self) -> list[FrameRange]:
        """Where its frames are, those of all legs, and what else was captured of them."""
        return [r for leg in (self.client_leg, *self.legs) for r in (*leg.frame_ranges, *leg.sightings)]

    @property
    def is_offer_known(self) -> bool:
        """Whether all that the client offered was read."""
        return is_read(self.offer)

    @property
    def may_have_resumed(self) -> bool:
        """Whether it may have resumed, or been issued, a session that the capture does not tell."""
        if self.kind is None:
            return self.answer is not None or self.lost or self.one_sided or self.offer is None
        return self.kind == "resumed" and self.issuer is None

    @property
    def declined(self) -> bool:
        """Whether a session that a server had issued, or a ticket, was offered and a full handshake was the answer."""
        return self.columns.declined[self.index] != 0


def observed_at(columns: ConnectionColumns, index: int, particulars: Particulars) -> Observed:
    """What was observed of a connection, of which columns hold the shape and the client's address."""
    shape = columns.shapes[columns.shape[index]]
    traits = shape.traits
    return Observed(
        columns=columns,
        shape=shape,
        traits=traits,
        particulars=particulars,
        index=index,
        outcome=traits.outcome,
        kind=traits.kind,
        is_tls13=traits.is_tls13,
        offer=shape.offer,
        answer=shape.answer,
        client_address=columns.addresses[columns.address[index]],
        server=shape.server,
        leaf=shape.leaf,
    )


def connection_digest(client_leg: ConnectionFacts) -> bytes:
    """Six bytes, the same each time that a capture is read: of the endpoints and a random; where none was read, of the
    sequence number and the time that it begins with.
    """
    handshake, client, server = client_leg.handshake, client_leg.client, client_leg.server
    named = (
        handshake.client_random
        or handshake.server_random
        or b"%d@%d" % (client_leg.initial_sequence, client_leg.first_ns // 1000)
    )
    ports = client.port.to_bytes(2, "big"), server.port.to_bytes(2, "big")
    return blake2s(client.address + ports[0] + server.address + ports[1] + named, digest_size=6).digest()


def connection_id(client_leg: ConnectionFacts) -> str:
    """The same as twelve hex digits."""
    return connection_digest(client_leg).hex()
