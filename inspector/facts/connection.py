"""The TLS view of one flow: its two directions, its handshakes, alerts, and what does not follow the protocol."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from inspector.capture.references import FrameRange
from inspector.errors.decryption import NotDecrypted
from inspector.facts.events import Event, unpack_events
from inspector.facts.flows import PackedEndpoint
from inspector.tls.anomalies import Anomaly
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.history import ENCRYPTED
from inspector.tls.types import TLS13

(C_LOST_HELLO, C_LOST_FLIGHT, C_BEGUN_FLIGHT) = (1, 2, 4)
(S_LOST_FLIGHT, S_BEGUN_FLIGHT) = (512, 1024)


class Close(Struct, frozen=True, gc=False, array_like=True):
    """A FIN or RST. ``acked``: how many bytes of the other side's stream it acknowledges, its FIN counted as one; -1
    where that is not known.
    ``is_answer``: it acknowledges the other side's FIN, so that it came second, whatever the order of frames (RFC 9293,
    section 3.6).
    """

    ns: int
    frame: int
    acked: int = -1
    is_answer: bool = False


class AlertFact(Struct, frozen=True, gc=False, array_like=True):
    """An alert. ``level`` and ``code`` are None where it was encrypted, unless it was ``decrypted``."""

    from_client: bool
    level: int | None
    code: int | None
    frame: int
    ns: int
    decrypted: bool = False


class AnomalyFact(Struct, frozen=True, gc=False, array_like=True):
    """Something that does not follow the protocol. ``path``: of the field; ``offset``: where it stands in the sender's
    stream, of what was decrypted where its record begins, 0 where ``frame`` alone says where. ``what``: a text in a
    journal of an earlier version. ``other_frame``: that of the other version, where ``what`` is about two; else 0.
    """

    kind: str
    what: Anomaly | str
    from_client: bool
    offset: int
    path: str
    frame: int
    other_frame: int = 0


class HandshakeFacts(Struct, gc=False, array_like=True):
    """One handshake as far as it was in clear, or decrypted. ``authorities``: of the CertificateRequest.
    ``issued_tickets``: all, of TLS 1.3; ``alpn``: of EncryptedExtensions.
    ``identity_name``: what the first pre-shared key identity begins with, mostly the name of the key that the ticket
    was sealed with.
    """

    offer: HelloShape | None = None
    client_random: bytes = b""
    offered_id: bytes = b""
    offered_ticket: bytes | None = None
    offered_psks: tuple[bytes, ...] = ()
    answer: AnswerShape | None = None
    server_random: bytes = b""
    answered_id: bytes = b""
    retried: bool = False
    chain: tuple[bytes, ...] = ()
    client_chain: tuple[bytes, ...] = ()
    authorities: bytes | None = None
    issued_ticket: bytes | None = None
    messages: int = 0
    """The C_ and S_ bits above."""
    hello_frame: int = 0
    answer_frame: int = 0
    certificate_frame: int = 0
    key_exchange_frame: int = 0
    hello_ns: int = 0
    answer_ns: int = 0
    issued_tickets: tuple[bytes, ...] = ()
    identity_name: bytes = b""
    alpn: bytes | None = None
    certificate_end: int = 0
    """The server's stream reaches to here at least where its Certificate ends."""
    missing: int = 0
    """C_LOST_ and S_LOST_ bits: bytes in clear are missing before a side's hello was read, or behind it. _BEGUN_: a
    message was cut of a flight that only a full handshake has.
    """
    group: int = 0
    """In which keys are exchanged (RFC 8446, section 4.2.7), as the server says; 0 where none was read, and in facts of
    an earlier version.
    """

    def sessions(self) -> Iterator[bytes]:
        """The ids, tickets and identities that were offered or issued."""
        yield self.answered_id
        for key in (self.offered_ticket, self.issued_ticket):
            if key is not None:
                yield key
        yield from self.offered_psks
        yield from self.issued_tickets

    @property
    def is_tls13(self) -> bool:
        """Whether the server chose TLS 1.3; False where its answer is not known."""
        return self.answer is not None and self.answer.version >= TLS13


class Tail(Struct, frozen=True, gc=False, array_like=True):
    """The last record of application data of a side; in TLS 1.3 any encrypted one. ``size``: of its fragment.
    ``previous_ns``, ``previous_size``, ``previous_frame``: of the one before, ``earlier_ns``: of the one before that; 0
    where there is none, all but the first also in journals of earlier versions.
    """

    size: int
    ns: int
    frame: int
    previous_ns: int
    previous_size: int = 0
    previous_frame: int = 0
    earlier_ns: int = 0


Octets = bytes
"""In a class that has a field ``bytes``."""


class LaneFacts(Struct, gc=False, array_like=True):
    """One direction. ``lost``: bytes are missing before it was encrypted; ``lost_encrypted``: records behind that.
    ``has_packets``: whether any was captured. ``opened``: encrypted records that secrets opened, the first ones.
    ``searched_bytes``: so many were looked through for a hello in vain, and no TLS was read. ``sequence``: the sequence
    number of the first byte, None where it is not known; ``sequence_jump``: they went on further away than any window
    is wide. ``opening``: the first 16 bytes, where they are not TLS. ``flight_records``, ``flight_bytes``: of
    application data before the other side's first one, all where that sent none; of a server of TLS 1.3 its encrypted
    flight. ``contradicted``: some of the first bytes came in two versions, and the receiver may not have taken the one
    that was read.
    """

    bytes: int = 0
    gap: int = 0
    fin: Close | None = None
    rst: Close | None = None
    lost: bool = False
    has_packets: bool = False
    application_records: int = 0
    application_bytes: int = 0
    opened: int = 0
    tail: Tail | None = None
    searched_bytes: int = 0
    sequence_jump: bool = False
    sequence: int | None = None
    lost_encrypted: bool = False
    opening: Octets = b""
    flight_records: int = 0
    flight_bytes: int = 0
    contradicted: bool = False


class ConnectionFacts(Struct, gc=False, array_like=True):
    """The TLS view of one flow. ``renegotiations``: decrypted renegotiations. ``secrets``: None where none were looked
    for, else why they opened not all, or ``""``; any other text comes from a journal of an earlier version.

    ``spread``: where its frames lie in more than one capture, the first and last of them in each. ``sightings``: first
    and last frame wherever the same packets were captured once more.
    """

    client: PackedEndpoint
    server: PackedEndpoint
    initial_sequence: int
    syn: bool
    first_ns: int
    last_ns: int
    first_frame: int
    last_frame: int
    rtt: int | None
    preamble: str
    handshake: HandshakeFacts
    from_client: LaneFacts
    from_server: LaneFacts
    alerts: tuple[AlertFact, ...]
    anomalies: tuple[AnomalyFact, ...]
    events: bytes
    renegotiations: tuple[HandshakeFacts, ...] = ()
    secrets: NotDecrypted | str | None = None
    spread: tuple[FrameRange, ...] = ()
    sightings: tuple[FrameRange, ...] = ()

    @property
    def frame_ranges(self) -> tuple[FrameRange, ...]:
        """First and last frame of it in each capture that holds any."""
        return self.spread or ((min(self.first_frame, self.last_frame), max(self.first_frame, self.last_frame)),)

    @property
    def handshakes(self) -> tuple[HandshakeFacts, ...]:
        """Its own handshake, then decrypted renegotiations."""
        return (self.handshake, *self.renegotiations)

    def certificates(self) -> list[bytes]:
        """The digests of all certificates that were sent."""
        return [digest for handshake in self.handshakes for digest in (*handshake.chain, *handshake.client_chain)]

    def sealed(self, from_client: bool) -> list[Event]:
        """Encrypted handshake records, ChangeCipherSpecs and alerts of one side, without the application data."""
        return [
            e
            for e in unpack_events(self.events)
            if e.from_client == from_client and e.letter in ENCRYPTED and not e.decrypted
        ]
