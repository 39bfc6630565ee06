"""What lengths tell of an encrypted server flight beside one that was in clear: whether the Certificate message can be
the same.

An encrypted record still shows its length. An AEAD or stream cipher adds a number of bytes that its suite fixes, so the
length of the plaintext follows; a block cipher pads to whole blocks, so that it follows but for a block (RFC 5246,
section 6.2.3). What is known is therefore an *extent*, from a lowest to a highest length, and extents of records add
up. Whether a connection keeps to that is tried first with records whose content is known: a Finished, a
ChangeCipherSpec, an alert (``Measure``).

The question is then turned round: could the same certificate and chain have given these records? The hello may have
grown by renegotiation_info (RFC 5746, section 3.2) and lost or gained extensions and a session id, a signature may have
another length, a CertificateRequest or CertificateStatus may be new. Only where no such flight fits is the change
proven. An equal length proves nothing. Where each message has a record of its own the Certificate's is compared; else
the flight as a whole, which says less.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal, NamedTuple

from inspector.facts import ConnectionFacts, Event, unpack_events
from inspector.tls.extension_types import ExtensionType
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.history import Letter
from inspector.tls.protection import NOTHING, Extent, Protection, plaintext_extent, protection_of
from inspector.tls.registry import cipher_name
from inspector.tracking.renegotiation import Renegotiation

Verdict = Literal["changed", "consistent", "unknown"]

VERIFY_DATA = 12
"""Bytes of a Finished (RFC 5246, section 7.4.9)."""

FINISHED, DONE, CHANGE, ALERT = 4 + VERIFY_DATA, 4, 1, 2
SESSION_ID = 32
KEY_EXCHANGE_VARIES = 8
"""An ECDSA or DSA signature in DER nearly always varies by two bytes at most, one in millions by more; a DHE value may
begin with zeros that are left out.
"""

EXTENSIONS: dict[int, int] = {
    ExtensionType.SERVER_NAME: 4,
    ExtensionType.MAX_FRAGMENT_LENGTH: 5,
    ExtensionType.STATUS_REQUEST: 4,
    ExtensionType.EC_POINT_FORMATS: 8,
    ExtensionType.ALPN: 64,
    ExtensionType.STATUS_REQUEST_V2: 4,
    ExtensionType.ENCRYPT_THEN_MAC: 4,
    ExtensionType.EXTENDED_MASTER_SECRET: 4,
    ExtensionType.SESSION_TICKET: 4,
    ExtensionType.NEXT_PROTOCOL_NEGOTIATION: 64,
}
"""What an extension takes in a ServerHello at most; others are not sent by servers up to TLS 1.2, or take ``OTHER``."""

OTHER = 16
FULL_RECORD = 1 << 14
CONTENT_BYTES: dict[str, int] = {Letter.ENCRYPTED_CHANGE_CIPHER_SPEC: CHANGE, Letter.ENCRYPTED_ALERT: ALERT}
"""What records of these kinds hold, always."""
ORDER = (
    Letter.SERVER_HELLO,
    Letter.CERTIFICATE,
    Letter.CERTIFICATE_STATUS,
    Letter.SERVER_KEY_EXCHANGE,
    Letter.CERTIFICATE_REQUEST,
    Letter.SERVER_HELLO_DONE,
)
"""A server's flight up to TLS 1.2 (RFC 5246, section 7.3)."""
SIGNED_FLIGHT = {Letter.SERVER_HELLO, Letter.CERTIFICATE, Letter.SERVER_KEY_EXCHANGE, Letter.SERVER_HELLO_DONE}
"""The same of a key exchange that is signed, and no client certificate."""


class FlightPart(NamedTuple):
    """One message, or a whole flight, then and now. ``expected``: what the same certificate allows."""

    name: str
    first: int | None
    expected: Extent | None
    now: Extent | None


class FlightReason(Enum):
    """Why a comparison says what it says. ``OWN_``: each message has a record of its own; ``SHARED_``: messages share
    records.
    """

    NO_FIRST_FLIGHT = auto()
    LENGTHS_HIDDEN = auto()
    """By the cipher suite."""
    LENGTHS_ODD = auto()
    """What is known of its content is not as long as it must be."""
    NO_FLIGHT = auto()
    ODD_RECORD = auto()
    ABBREVIATED = auto()
    INCOMPLETE = auto()
    OWN_EQUAL = auto()
    OWN_FRAGMENT = auto()
    """What looks like the Certificate may be a part of one."""
    OWN_OTHER = auto()
    SHARED_FITS = auto()
    SHARED_CUT = auto()
    """Too short, and the client went away before it was all there."""
    SHARED_MORE = auto()
    """Too long, where another message may have been added."""
    SHARED_OTHER = auto()


class FlightComparison(NamedTuple):
    """``parts``: the lengths that the verdict rests on: of single messages (the second is the Certificate), or of the
    whole flight. ``may_have_more``: messages whose lengths are not known may be among them.
    """

    verdict: Verdict
    reason: FlightReason
    parts: tuple[FlightPart, ...] = ()
    may_have_more: bool = False


class FirstFlight(NamedTuple):
    """A server flight in clear. ``sizes``: of its messages with their headers, by letter; ``key_exchange``: of the
    client's.
    """

    sizes: dict[str, int]
    key_exchange: int
    offer: HelloShape | None
    answer: AnswerShape
    session_id: int


def first_flight(client_leg: ConnectionFacts) -> FirstFlight | None:
    """The flight of a connection's first handshake; None where it was not a full one, or is not all there."""
    handshake = client_leg.handshake
    answer = handshake.answer
    if answer is None or handshake.is_tls13 or client_leg.from_server.lost:
        return None
    sizes: dict[str, int] = {}
    key_exchange = 0
    for event in unpack_events(client_leg.events):
        if event.letter == Letter.CHANGE_CIPHER_SPEC or event.decrypted:
            if event.from_client:
                break
        elif event.from_client:
            key_exchange = event.size if event.letter == Letter.CLIENT_KEY_EXCHANGE else key_exchange
        elif event.letter in ORDER:
            sizes.setdefault(event.letter, event.size)
    if not {Letter.SERVER_HELLO, Letter.CERTIFICATE, Letter.SERVER_HELLO_DONE} <= sizes.keys():
        return None
    return FirstFlight(sizes, key_exchange, handshake.offer, answer, len(handshake.answered_id))


class Measure:
    """Plaintext lengths of one connection's encrypted records."""

    def __init__(self, client_leg: ConnectionFacts) -> None:
        answer = client_leg.handshake.answer
        assert answer is not None
        self._suite: Protection | None = protection_of(answer.cipher_suite)
        self._version = answer.version
        self._encrypt_then_mac = ExtensionType.ENCRYPT_THEN_MAC in answer.extensions
        self._is_padded_freely = False
        self.problem = None if self._suite is not None else FlightReason.LENGTHS_HIDDEN
        for side in (True, False):
            self._calibrate(client_leg.sealed(side))

    def _calibrate(self, sealed: list[Event]) -> None:
        """Hold a side against records whose content is known: CBC records that are longer than they need be are padded
        freely.
        """
        previous: str = (
            Letter.ENCRYPTED_CHANGE_CIPHER_SPEC
        )  # what is first is a Finished, as behind any ChangeCipherSpec
        for event in sealed:
            is_first = previous == Letter.ENCRYPTED_CHANGE_CIPHER_SPEC
            expected = CONTENT_BYTES.get(event.letter, FINISHED if is_first else None)
            previous = event.letter
            if expected is None or self.problem or self._fits(event, expected):
                continue
            self._is_padded_freely = True
            if not self._fits(event, expected):
                self.problem = FlightReason.LENGTHS_ODD  # compressed, or bytes are missing

    def _fits(self, event: Event, length: int) -> bool:
        extent = self.extent(event)
        return extent is not None and extent.has(length)

    def extent(self, event: Event) -> Extent | None:
        """How long a record's plaintext is."""
        if self._suite is None:
            return None
        return plaintext_extent(self._suite, self._version, self._encrypt_then_mac, event.size, self._is_padded_freely)

    def total(self, events: tuple[Event, ...]) -> Extent | None:
        """How long all of them are together."""
        whole = NOTHING
        for event in events:
            extent = self.extent(event)
            if extent is None:
                return None
            whole = whole.plus(extent)
        return whole


def server_hello_extent(first: FirstFlight) -> Extent:
    """How long the ServerHello of a renegotiation can be, by the first one."""
    size = first.sizes[Letter.SERVER_HELLO]
    present = [kind for kind in first.answer.extensions if kind != ExtensionType.RENEGOTIATION_INFO]
    offered = first.offer.extensions if first.offer is not None else tuple(EXTENSIONS)
    lost = sum(EXTENSIONS.get(kind, OTHER) for kind in present)
    gained = sum(EXTENSIONS.get(kind, 0) for kind in offered if kind not in present)
    grown = 2 * VERIFY_DATA if first.answer.secure_renegotiation else 0
    return Extent(
        max(size + grown - lost - first.session_id, 38), size + grown + gained + SESSION_ID - first.session_id
    )


def _key_exchange_extent(first: FirstFlight) -> Extent:
    size = first.sizes.get(Letter.SERVER_KEY_EXCHANGE, 0)
    name = cipher_name(first.answer.cipher_suite)
    varies = KEY_EXCHANGE_VARIES if "_ECDSA_" in name or name.startswith("TLS_DHE_") else 0
    return Extent(max(size - varies, 0), size + varies)


def compare(first: FirstFlight | None, attempt: Renegotiation, measure: Measure) -> FlightComparison:
    """Whether the flight of a renegotiation can hold the certificate of a flight that was in clear."""
    if first is None:
        return FlightComparison("unknown", FlightReason.NO_FIRST_FLIGHT)
    if measure.problem is not None:
        return FlightComparison("unknown", measure.problem)
    records = [measure.extent(event) for event in attempt.flight]
    if not records:
        return FlightComparison("unknown", FlightReason.NO_FLIGHT)
    if any(record is None for record in records):
        return FlightComparison("unknown", FlightReason.ODD_RECORD)
    sizes = [record for record in records if record is not None]
    if attempt.shape == "abbreviated":
        return FlightComparison("unknown", FlightReason.ABBREVIATED)
    if len(sizes) == 1 and sizes[0].high < first.sizes[Letter.CERTIFICATE] and attempt.state != "completed":
        return FlightComparison("unknown", FlightReason.INCOMPLETE)
    by_records = _own_records(first, sizes)
    return by_records if by_records is not None else _together(first, attempt, measure, sizes)


def _own_records(first: FirstFlight, sizes: list[Extent]) -> FlightComparison | None:
    """Message by message, where each has a record of its own: the first fits a ServerHello alone, the last a
    ServerHelloDone, the second is the Certificate.
    """
    hello = server_hello_extent(first)
    if (
        not 3 <= len(sizes) <= len(ORDER)
        or not _meets(sizes[0], hello)
        or not sizes[-1].has(DONE)
        or sizes[1].high >= FULL_RECORD
    ):
        return None
    before, now = first.sizes[Letter.CERTIFICATE], sizes[1]
    parts = (
        FlightPart("ServerHello", first.sizes[Letter.SERVER_HELLO], hello, sizes[0]),
        FlightPart("Certificate", before, Extent(before, before), now),
        *(FlightPart("further message", None, None, size) for size in sizes[2:-1]),
        FlightPart("ServerHelloDone", DONE, Extent(DONE, DONE), sizes[-1]),
    )
    if len(sizes) == 4 and set(first.sizes) == SIGNED_FLIGHT:
        parts = (
            *parts[:2],
            FlightPart(
                "ServerKeyExchange", first.sizes[Letter.SERVER_KEY_EXCHANGE], _key_exchange_extent(first), sizes[2]
            ),
            parts[-1],
        )
    if now.has(before):
        return FlightComparison("consistent", FlightReason.OWN_EQUAL, parts)
    if now.high < before and _may_be_fragment(before, sizes[1:-1]):
        return FlightComparison("unknown", FlightReason.OWN_FRAGMENT, parts)
    return FlightComparison("changed", FlightReason.OWN_OTHER, parts)


def _may_be_fragment(length: int, sizes: list[Extent]) -> bool:
    """Whether the first of some records may be a part of a message that the next ones complete."""
    whole = sizes[0]
    for size in sizes[1:]:
        whole = whole.plus(size)
        if whole.has(length):
            return True
    return False


def _together(first: FirstFlight, attempt: Renegotiation, measure: Measure, sizes: list[Extent]) -> FlightComparison:
    """By the whole flight, where messages share records."""
    now = NOTHING
    for size in sizes:
        now = now.plus(size)
    same = (
        server_hello_extent(first)
        .plus(Extent(first.sizes[Letter.CERTIFICATE], first.sizes[Letter.CERTIFICATE]))
        .plus(_key_exchange_extent(first))
        .plus(Extent(DONE, DONE))
    )
    may_have_more = _may_have_more(first, attempt, measure)
    parts = (FlightPart("whole flight", sum(first.sizes.values()), same, now),)
    verdict, reason = _verdict_together(now, same, attempt.state == "completed", may_have_more)
    return FlightComparison(verdict, reason, parts, may_have_more)


def _verdict_together(now: Extent, same: Extent, is_whole: bool, may_have_more: bool) -> tuple[Verdict, FlightReason]:
    if now.high < same.low:
        return ("changed", FlightReason.SHARED_OTHER) if is_whole else ("unknown", FlightReason.SHARED_CUT)
    if now.low > same.high:
        return ("unknown", FlightReason.SHARED_MORE) if may_have_more else ("changed", FlightReason.SHARED_OTHER)
    return "consistent", FlightReason.SHARED_FITS


def _may_have_more(first: FirstFlight, attempt: Renegotiation, measure: Measure) -> bool:
    """Whether the flight may hold a CertificateRequest or CertificateStatus, whose lengths are not known."""
    if (
        Letter.CERTIFICATE_STATUS in first.sizes
        or first.offer is None
        or ExtensionType.STATUS_REQUEST in first.offer.extensions
    ):
        return True
    if attempt.state != "completed" or not first.key_exchange:
        return True
    keyed = measure.total(attempt.keyed)
    shortest = 4 + 3  # an empty Certificate message: the answer to a request (RFC 5246, section 7.4.6)
    return keyed is None or keyed.high >= first.key_exchange + shortest


def _meets(a: Extent, b: Extent) -> bool:
    return a.low <= b.high and b.low <= a.high
