"""What does not follow the protocol: mistakes of parsing, and what a reader or a connection finds odd. Kinds with
parameters, as ``errors.notice`` has them; ``kind`` is what the document calls each.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar

from inspector.errors.notice import ForeignText, Notice
from inspector.tls.history import Letter
from inspector.tls.types import HandshakeState


class BytesExpected(Notice, frozen=True, array_like=True):
    """A field takes more bytes than are left."""

    expected: int
    left: int


class OddLength(Notice, frozen=True, array_like=True):
    """A list of numbers of two bytes has an odd number of bytes."""


class CompressionUnknown(Notice, frozen=True, array_like=True):
    """A certificate was compressed with another algorithm (its number) than is read (RFC 8879)."""

    algorithm: int


class CertificateTooLong(Notice, frozen=True, array_like=True):
    """A compressed certificate claims to be longer than any message."""

    length: int


class NotInflated(Notice, frozen=True, array_like=True):
    """A compressed certificate cannot be unpacked."""

    reason: ForeignText


class OtherLength(Notice, frozen=True, array_like=True):
    """What was unpacked is not as long as it says."""


class NameTooLong(Notice, frozen=True, array_like=True):
    """A host name is longer than any."""

    length: int


class TooMany(Notice, frozen=True, array_like=True):
    """A list has more entries than anybody sends, and than are read."""

    most: int


ParseMistake = (
    BytesExpected
    | OddLength
    | CompressionUnknown
    | CertificateTooLong
    | NotInflated
    | OtherLength
    | TooMany
    | NameTooLong
)

MISTAKES: Mapping[type[Notice], str] = {
    BytesExpected: "{expected} bytes expected, {left} left",
    OddLength: "an odd number of bytes",
    CompressionUnknown: "compressed with algorithm {algorithm}, which is not read",
    CertificateTooLong: "a certificate message of {length:,} bytes",
    NotInflated: "{reason}",
    OtherLength: "its length is not the one that it names",
    NameTooLong: "a host name of {length:,} bytes",
    TooMany: "more than {most:,} entries",
}
"""Mistakes of parsing in words, for the tree of a message, which is made of words."""


def mistake_text(mistake: ParseMistake) -> str:
    """A mistake in words."""
    return MISTAKES[type(mistake)].format(**{name: getattr(mistake, name) for name in mistake.__struct_fields__})


class EventsNotKept(Notice, frozen=True, array_like=True):
    """A connection has more messages and records than are kept."""

    kind: ClassVar[str] = "bounded"
    most: int


class MessageTypeUnknown(Notice, frozen=True, array_like=True):
    """A handshake message of a type that nobody knows."""

    kind: ClassVar[str] = "unknown_message"
    message_type: int


class MalformedMessage(Notice, frozen=True, array_like=True):
    """A handshake message that breaks off, or says of itself what cannot be."""

    kind: ClassVar[str] = "malformed"
    message_type: int
    mistake: ParseMistake | str


class MalformedSslv2Hello(Notice, frozen=True, array_like=True):
    """The same of a ClientHello in SSLv2 framing."""

    kind: ClassVar[str] = "malformed"
    mistake: ParseMistake


class ImplausibleLength(Notice, frozen=True, array_like=True):
    """A handshake message in clear claims to be longer than any."""

    kind: ClassVar[str] = "malformed"
    length: int


class RecordVersion(Notice, frozen=True, array_like=True):
    """The first record of a direction is of version 3.``minor``, which no TLS has."""

    kind: ClassVar[str] = "record_version"
    minor: int


class NoRecord(Notice, frozen=True, array_like=True):
    """Bytes where a record must begin, and none does."""

    kind: ClassVar[str] = "no_record"


class VersionTaken(Enum):
    """Which of two versions of some bytes a receiver has taken: the first, for it had acknowledged them; the first or
    the second, for the checksum of the other is wrong.
    """

    ACKNOWLEDGED = "acknowledged"
    FIRST = "first"
    SECOND = "second"
    UNKNOWN = "unknown"


class ConflictingSegments(Notice, frozen=True, array_like=True):
    """So many bytes came in two versions, in two segments. ``first``, ``second``: what each begins with, in hexadecimal
    digits; the first is what was read.
    """

    kind: ClassVar[str] = "conflicting_segments"
    length: int
    first: ForeignText
    second: ForeignText
    version_taken: VersionTaken

    @property
    def is_settled(self) -> bool:
        """Whether the receiver has taken what was read."""
        return self.version_taken in (VersionTaken.ACKNOWLEDGED, VersionTaken.FIRST)


class UrgentData(Notice, frozen=True, array_like=True):
    """A segment holds urgent data: receivers leave a byte of it out of what they read, or do not."""

    kind: ClassVar[str] = "urgent_data"


class OutOfOrder(Notice, frozen=True, array_like=True):
    """A message that the handshake does not allow where its sender stands."""

    kind: ClassVar[str] = "unexpected_message"
    message: Letter
    from_client: bool
    state: HandshakeState


Anomaly = (
    EventsNotKept
    | MessageTypeUnknown
    | MalformedMessage
    | MalformedSslv2Hello
    | ImplausibleLength
    | RecordVersion
    | NoRecord
    | OutOfOrder
    | ConflictingSegments
    | UrgentData
)

TWO_READINGS = frozenset((ConflictingSegments.kind, UrgentData.kind))
"""Kinds of what a receiver may read otherwise than it was read here."""
