"""What captures say, without judgement: the border between ``extract`` and ``judge``. Compact and serialisable
(msgspec).

A connection is kept as about a kilobyte of packed bytes and unpacked when it is looked at, so that millions fit; hello
shapes, which repeat, stand beside them once.

Frame references are integers, ``capture << 40 | frame number``; 0 means none. Times are int nanoseconds since the
epoch. Certificates, lists of authorities, tickets and PSK identities stand as SHA-256 digests.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import Struct, field

from inspector.errors.bounds import Bound
from inspector.errors.captures import CaptureDamage, InputUnreadable
from inspector.errors.decryption import NotDecrypted
from inspector.errors.secrets import SecretsProblem
from inspector.logs.entries import LogFacts
from inspector.tls.shapes import AnswerShape, HelloShape

FRAME_BITS = 40

(C_HELLO, C_CERTIFICATE, C_KEY_EXCHANGE, C_VERIFY, C_CHANGE, C_SEALED) = (1, 2, 4, 8, 16, 32)
(S_HELLO, S_CERTIFICATE, S_KEY_EXCHANGE, S_REQUEST, S_DONE, S_TICKET, S_CHANGE, S_SEALED) = (
    256,
    512,
    1024,
    2048,
    4096,
    8192,
    16384,
    32768,
)

(C_LOST_HELLO, C_LOST_FLIGHT, C_BEGUN_FLIGHT) = (1, 2, 4)
(S_LOST_FLIGHT, S_BEGUN_FLIGHT) = (512, 1024)


def frame_reference(capture: int, number: int) -> int:
    """One integer for a frame of a story."""
    return capture << FRAME_BITS | number


class PackedEndpoint(Struct, frozen=True, order=True, gc=False, array_like=True):
    """``address``: packed, 4 or 16 bytes."""

    address: bytes
    port: int


class OtherFlow(NamedTuple):
    """A flow without TLS. ``client``: its address, empty where too many are known. ``is_silent``: nobody said a byte.
    ``is_unseen``: of bytes that were not captured.
    """

    server: PackedEndpoint
    client: bytes = b""
    is_silent: bool = False
    is_unseen: bool = False


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
    """Something that does not follow the protocol. ``offset`` in the sender's stream, ``path`` of the field."""

    kind: str
    text: str
    from_client: bool
    offset: int
    path: str
    frame: int


class Event(Struct, frozen=True, gc=False, array_like=True):
    """One rung of the ladder. ``letter``: Zeek's of handshake messages, ``I`` ChangeCipherSpec, ``L`` alert (``size``
    is its code), ``D`` the first application data; encrypted: ``f`` handshake, ``i`` ChangeCipherSpec, ``l`` alert;
    TCP: ``s`` SYN, ``.`` FIN, ``!`` RST. ``decrypted``: read with secrets, beside the event of its encrypted record.
    """

    ns: int
    frame: int
    size: int
    letter: str
    from_client: bool
    decrypted: bool = False


_EVENT = struct.Struct("<qQIcB")
EVENT_BYTES = _EVENT.size
LETTER_AT, SIDE_AT = EVENT_BYTES - 2, EVENT_BYTES - 1


def pack_events(events: list[Event]) -> bytes:
    """Events as 22 bytes each."""
    return b"".join(
        [pack_event(e.ns, e.frame, e.size, bytes([ord(e.letter) | e.decrypted << 7]), e.from_client) for e in events]
    )


pack_event = _EVENT.pack
DECRYPTED = 0x80
"""Set in the letter of an event that was read with secrets, so that whoever looks at the letters of the wire passes it
over.
"""


def decrypted_letter(letter: bytes) -> bytes:
    """The letter of such an event."""
    return bytes([letter[0] | DECRYPTED])


def unpack_events(packed: bytes | bytearray) -> list[Event]:
    """The reverse of ``pack_events``."""
    return [
        Event(ns, frame, size, chr(code[0] & 0x7F), bool(side), code[0] > 0x7F)
        for ns, frame, size, code, side in _EVENT.iter_unpack(packed)
    ]


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
    message was cut of a flight that
    only a full handshake has."""


class Tail(Struct, frozen=True, gc=False, array_like=True):
    """TLS 1.3: the last encrypted record of a side. ``size``: of its fragment. ``previous_ns``: time of the one before;
    0 where it is the only one.
    """

    size: int
    ns: int
    frame: int
    previous_ns: int


class LaneFacts(Struct, gc=False, array_like=True):
    """One direction. ``lost``: bytes are missing before it was encrypted. ``packets``: whether any was captured.
    ``opened``: encrypted records that secrets opened, the first ones. ``searched``: so many bytes were looked through
    for a hello in vain, and no TLS was read. ``jumped``: sequence numbers went on further away than any window reaches.
    ``sequence``: the sequence number of the first byte, None where it is not known.
    ``blind``: records are missing where it was encrypted.
    """

    bytes: int = 0
    gap: int = 0
    fin: Close | None = None
    rst: Close | None = None
    lost: bool = False
    packets: bool = False
    application_records: int = 0
    application_bytes: int = 0
    opened: int = 0
    tail: Tail | None = None
    searched: int = 0
    jumped: bool = False
    sequence: int | None = None
    blind: bool = False


class ConnectionFacts(Struct, gc=False, array_like=True):
    """The TLS view of one flow. ``renegotiations``: decrypted renegotiations. ``secrets``: None where none were looked
    for, else why they opened not all, or ``""``; any other text comes from a journal of an earlier version.

    ``spread``: where its frames lie in more than one capture, the first and last of them in each. ``sightings``: first
    and last frame of each further place where the same packets were captured once more.
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
    spread: tuple[tuple[int, int], ...] = ()
    sightings: tuple[tuple[int, int], ...] = ()

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
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
            if e.from_client == from_client and e.letter in "fil" and not e.decrypted
        ]


CLIENT_BITS = {"C": C_HELLO, "X": C_CERTIFICATE, "G": C_KEY_EXCHANGE, "Y": C_VERIFY, "I": C_CHANGE, "f": C_SEALED}
SERVER_BITS = {
    "S": S_HELLO,
    "X": S_CERTIFICATE,
    "K": S_KEY_EXCHANGE,
    "R": S_REQUEST,
    "N": S_DONE,
    "T": S_TICKET,
    "I": S_CHANGE,
    "f": S_SEALED,
}


@lru_cache(maxsize=4096)
def seen_bits(letters: bytes, sides: bytes) -> int:
    """Which messages were seen, from the letters and sides of the events."""
    bits = 0
    for code, side in zip(letters, sides, strict=True):
        bits |= (CLIENT_BITS if side else SERVER_BITS).get(chr(code), 0)
    return bits


class Unopened(NamedTuple):
    """Frames that were not opened, by the layer where the way ended: ``space`` (of ``wire.encapsulations``) says whose
    ``number`` it is, ``name`` what it is
    called. ``why``: as ``wire.tunnels.Stop``. ``ends``: the addresses between which an encrypted or compressed tunnel
    runs.
    """

    space: str
    number: int
    name: str
    why: str
    frames: int
    ends: tuple[bytes, ...] = ()


class ClockOffset(NamedTuple):
    """How much later a clock is than another, with what may be wrong in it, and from how many connections that is
    known. ``other``: whose clock that is, an index in the captures; where it is the capture's own, the clock is that of
    the frames that servers sent, beside that of the clients' frames.
    """

    ns: int
    uncertainty_ns: int
    connections: int
    other: int


class CaptureFacts(Struct):
    """One capture file or stream. ``damage``: what was wrong
    with it, a text in a journal of an earlier version. ``snapped``: frames of which not all bytes were
    kept. ``snap_length``: how many of each were, where it is one number; 0 where none were cut, or somebody kept of
    each what mattered. ``payload``: bytes of TCP on the wire, ``clipped``: those of them that the frames do not hold.
    ``tick_ns``: of how coarse stamps, 0 where they are fine. ``steps``: first frames behind a clock that was set back,
    and by how much. ``clocks``: what was taken out of the times of its connections.
    """

    path: str
    packets: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    link_types: tuple[int, ...]
    truncated: bool
    undecoded: int
    snapped: int
    drops: int | None
    damage: CaptureDamage | str | None
    unopened: tuple[Unopened, ...] = ()
    snap_length: int = 0
    payload: int = 0
    clipped: int = 0
    tick_ns: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    clocks: tuple[ClockOffset, ...] = ()


class Facts(Struct):
    """All that was extracted. ``connections``: packed. ``certificates``: DER, ``authorities``: lists of names, by
    SHA-256. ``other_flows``: how many of each there were. ``logs``: what others wrote down at the time. ``secrets``:
    what was wrong with secrets, where there were any.
    """

    captures: list[CaptureFacts] = field(default_factory=list)
    connections: list[bytes] = field(default_factory=list)
    offers: dict[bytes, HelloShape] = field(default_factory=dict)
    answers: dict[bytes, AnswerShape] = field(default_factory=dict)
    certificates: dict[bytes, bytes] = field(default_factory=dict)
    other_flows: dict[OtherFlow, int] = field(default_factory=dict)
    problems: list[InputUnreadable] = field(default_factory=list)
    bounded: list[Bound] = field(default_factory=list)
    logs: list[LogFacts] = field(default_factory=list)
    secrets: list[SecretsProblem] = field(default_factory=list)
    authorities: dict[bytes, bytes] = field(default_factory=dict)
    _latest: tuple[bytes, ConnectionFacts] | None = None
    """What was unpacked last; whoever looks at a connection mostly looks several times."""

    def add(self, connection: ConnectionFacts) -> None:
        """Keep a connection; it must not be changed afterwards."""
        self.connections.append(self.pack(connection))

    def pack(self, connection: ConnectionFacts) -> bytes:
        """The connection as bytes; its hello shapes go into ``offers`` and ``answers``."""
        handshake = connection.handshake
        offer, answer = handshake.offer, handshake.answer
        if offer is not None:
            self.offers[offer.key] = offer
        if answer is not None:
            self.answers[answer.key] = answer
        keys = offer.key if offer is not None else b"", answer.key if answer is not None else b""
        handshake.offer = handshake.answer = None
        packed = _PREFIX.pack(
            (handshake.hello_ns or connection.first_ns) + _SHIFT, handshake.client_random[-8:]
        ) + _encode((*keys, connection))
        handshake.offer, handshake.answer = offer, answer
        return packed

    def unpack(self, packed: bytes) -> ConnectionFacts:
        """The reverse of ``pack``."""
        latest = self._latest
        if latest is not None and latest[0] is packed:
            return latest[1]
        offer_key, answer_key, connection = _decode(memoryview(packed)[PREFIX_BYTES:])
        connection.handshake.offer = self.offers.get(offer_key)
        connection.handshake.answer = self.answers.get(answer_key)
        self._latest = (packed, connection)
        return connection

    @staticmethod
    def ends(packed: bytes) -> tuple[PackedEndpoint, PackedEndpoint]:
        """Client and server of a packed connection."""
        _, _, ends = _decode_ends(memoryview(packed)[PREFIX_BYTES:])
        return ends.client, ends.server

    @staticmethod
    def shape_keys(packed: bytes) -> tuple[bytes, bytes]:
        """The keys of the hello shapes of a packed connection; empty where it has none."""
        offer, answer, _ = _decode_keys(memoryview(packed)[PREFIX_BYTES:])
        return offer, answer


_PREFIX = struct.Struct(">Q8s")
_SHIFT = 1 << 63
PREFIX_BYTES = _PREFIX.size
"""Before each packed connection stand the time of its ClientHello and the end of the client's random, so that
connections are sorted, and legs of one
found, before they are unpacked."""


class _Ends(Struct, gc=False, array_like=True):
    """What a packed connection begins with."""

    client: PackedEndpoint
    server: PackedEndpoint


_encode = msgspec.msgpack.Encoder().encode
_decode_ends = msgspec.msgpack.Decoder(tuple[bytes, bytes, _Ends]).decode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes, ConnectionFacts]).decode
_decode_keys = msgspec.msgpack.Decoder(tuple[bytes, bytes, msgspec.Raw]).decode


def absorb(whole: Facts, part: Facts) -> None:
    """Add what another extraction of the same captures found; its captures are not added."""
    whole.connections += part.connections
    whole.offers |= part.offers
    whole.answers |= part.answers
    whole.certificates |= part.certificates
    whole.authorities |= part.authorities
    for flow, count in part.other_flows.items():
        whole.other_flows[flow] = whole.other_flows.get(flow, 0) + count
    whole.problems += part.problems
    whole.bounded += part.bounded
    whole.logs += part.logs
    whole.secrets += [problem for problem in part.secrets if problem not in whole.secrets]
