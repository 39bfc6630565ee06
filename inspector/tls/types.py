"""The numbers of TLS that the program decides by, under the names of the standards (RFC 8446, appendix B; RFC 5246,
section 7.4; IANA, TLS Parameters). What is only shown has its name in ``registry``.

Loops that run for every record compare with the plain numbers at the end, which are the same by value.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ProtocolVersion(IntEnum):
    """Versions, as hellos write them."""

    SSL_2_0 = 0x0002
    SSL_3_0 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304


MAJOR, DRAFT_MAJOR = 3, 0x7F
"""The first byte of a version from SSL 3.0 to TLS 1.3, and in drafts of TLS 1.3."""


def is_draft(version: int) -> bool:
    """Whether a version is that of a draft of TLS 1.3."""
    return version >> 8 == DRAFT_MAJOR


class ContentType(IntEnum):
    """What a record holds (RFC 8446, section 5.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    HEARTBEAT = 24


class HandshakeType(IntEnum):
    """What a handshake message is (RFC 8446, section 4; RFC 5246, section 7.4)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    NEW_SESSION_TICKET = 4
    END_OF_EARLY_DATA = 5
    HELLO_RETRY_REQUEST = 6
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_URL = 21
    CERTIFICATE_STATUS = 22
    SUPPLEMENTAL_DATA = 23
    KEY_UPDATE = 24
    COMPRESSED_CERTIFICATE = 25
    NEXT_PROTOCOL = 67
    MESSAGE_HASH = 254


class AlertLevel(IntEnum):
    """How bad an alert is (RFC 5246, section 7.2)."""

    WARNING = 1
    FATAL = 2


class AlertDescription(IntEnum):
    """What an alert says (RFC 8446, section 6; RFC 5246, section 7.2; IANA)."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    DECRYPTION_FAILED = 21
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE = 30
    HANDSHAKE_FAILURE = 40
    NO_CERTIFICATE = 41
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    EXPORT_RESTRICTION = 60
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_UNOBTAINABLE = 111
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    BAD_CERTIFICATE_HASH_VALUE = 114
    UNKNOWN_PSK_IDENTITY = 115
    CERTIFICATE_REQUIRED = 116
    GENERAL_ERROR = 117
    NO_APPLICATION_PROTOCOL = 120
    ECH_REQUIRED = 121


class NameType(IntEnum):
    """What a name in server_name is (RFC 6066, section 3)."""

    HOST_NAME = 0


class EncryptionState(IntEnum):
    """Whether the records of a direction are in clear, as far as they themselves say so (``records``)."""

    CLEAR = 0
    CHANGED = 1
    """Behind a ChangeCipherSpec."""
    ENCRYPTED = 2
    """An encrypted record was read."""


class HandshakeState(StrEnum):
    """Where a side of a handshake stands, by what it sent last (``handshake``)."""

    START = "start"
    OFFERED = "offered"
    RETRIED = "retried"
    ANSWERED = "answered"
    CERTIFIED = "certified"
    KEYED = "keyed"
    REQUESTED = "requested"
    VERIFIED = "verified"
    DONE = "done"
    TICKETED = "ticketed"
    CHANGED = "changed"


CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = map(int, ContentType)
CLIENT_HELLO, SERVER_HELLO = int(HandshakeType.CLIENT_HELLO), int(HandshakeType.SERVER_HELLO)
NAMED_CURVE = 3
"""With which a ServerKeyExchange begins that names its group (RFC 8422, section 5.4)."""

FINISHED = int(HandshakeType.FINISHED)
FATAL = int(AlertLevel.FATAL)
TLS10, TLS11, TLS12, TLS13 = map(int, list(ProtocolVersion)[2:])
CLEAR, CHANGED, ENCRYPTED = map(int, EncryptionState)
