"""One connection across the story: its legs joined, its outcome, and to which service, client, back end and session it
belongs.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Literal

from msgspec import Struct

from inspector.errors.decryption import NotDecrypted
from inspector.facts import AlertFact, ConnectionFacts, Facts, PackedEndpoint
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.types import AlertDescription
from inspector.tracking.clients import UNKNOWN, Stack
from inspector.tracking.kinds import Kind, KindReason, is_read
from inspector.tracking.outcomes import Outcome
from inspector.tracking.renegotiation import Renegotiation
from inspector.tracking.sessions import NOTHING, LedgerEntry
from inspector.tracking.shown import NOTHING_SHOWN, ShownByServer

NOWHERE = PackedEndpoint(b"", 0)
BAD_CERTIFICATE = int(AlertDescription.BAD_CERTIFICATE)


class Observed(Struct, gc=False, kw_only=True):
    """Filled in step by step by ``judge``. Holds little: ``client_leg`` and ``legs`` are unpacked from the facts each
    time. ``secrets``: as in the facts.
    """

    facts: Facts
    index: int = 0
    id: str = ""
    """As ``connection_id`` says."""
    packed: bytes = b""
    packed_legs: tuple[bytes, ...] = ()
    first_ns: int = 0
    hello_ns: int = 0
    """When the ClientHello came; where that was not captured, the first frame."""
    outcome: Outcome
    is_completed: bool
    """Both sides finished its first handshake, whatever became of a later one inside."""
    kind: Kind | None
    reason: KindReason
    stack: Stack = UNKNOWN
    program: bytes = b""
    """As in ``clients.Writer``."""
    offer: HelloShape | None = None
    answer: AnswerShape | None = None
    client_address: bytes = b""
    server: PackedEndpoint = NOWHERE
    lost: bool
    one_sided: bool
    is_tls13: bool
    is_resumed: bool
    """Whether a session was resumed, up to TLS 1.2."""
    leaf: bytes | None = None
    closed_by: Literal["client", "server"] | None
    closed_how: Literal["fin", "rst"] | None
    gave_up: bool
    quiet_ns: int = 0
    """How long nobody had sent application data when the server closed first (``closing.quiet_before``); 0 where it did
    not.
    """
    shows_no_certificate: bool
    """The server sent a Certificate message with an empty list."""
    offers: bool
    secrets: NotDecrypted | str | None
    fatal_alert: AlertFact | None
    """The first fatal alert in clear."""
    renegotiations: tuple[Renegotiation, ...] = ()
    service: int = -1
    client: int = -1
    backend: int = -1
    entry: LedgerEntry = NOTHING
    health_check: bool = False
    long_preamble: bool = False
    """A direction in which no hello was found, behind a preamble that is longer than what was looked through."""
    contradicted: bool = False
    """Some of its first bytes came in two versions, or as urgent data, and which ones the receiver took cannot be told:
    as good as ``lost``, which it is too.
    """
    has_conflicts: bool = False
    """Bytes came so, whether it can be told or not."""
    sequence_jump: bool = False
    """Sequence numbers went on further away than any window is wide."""
    lost_both_ways: bool = False
    """Encrypted records of both sides are missing."""
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


def connection_id(client_leg: ConnectionFacts) -> str:
    """Twelve hex digits, the same each time that a capture is read: of the endpoints and a random; where none was read,
    of the sequence number and the time that it begins with.
    """
    handshake, client, server = client_leg.handshake, client_leg.client, client_leg.server
    named = (
        handshake.client_random
        or handshake.server_random
        or b"%d@%d" % (client_leg.initial_sequence, client_leg.first_ns // 1000)
    )
    ports = client.port.to_bytes(2, "big"), server.port.to_bytes(2, "big")
    return blake2s(client.address + ports[0] + server.address + ports[1] + named, digest_size=6).hexdigest()
