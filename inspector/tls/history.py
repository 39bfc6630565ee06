"""The letters of a connection's history, in one place: what stands for which message, record or segment, and what is
known of it.

Handshake messages have the letters of Zeek's ``ssl_history``, also ``I`` for a ChangeCipherSpec, ``L`` for an alert and
``D`` for application data. Small letters are records whose content is encrypted. Zeek has no letters for TCP's part; a
SYN, a FIN and a RST have those of this program. In the document a history is in upper case from the client, as Zeek
writes it.
"""

from __future__ import annotations

from enum import StrEnum

from inspector.tls.registry import message_name
from inspector.tls.types import HandshakeType


class Letter(StrEnum):
    """What happened."""

    HELLO_REQUEST = "H"
    CLIENT_HELLO = "C"
    SERVER_HELLO = "S"
    HELLO_VERIFY_REQUEST = "V"
    NEW_SESSION_TICKET = "T"
    END_OF_EARLY_DATA = "E"
    HELLO_RETRY_REQUEST = "J"
    ENCRYPTED_EXTENSIONS = "O"
    CERTIFICATE = "X"
    SERVER_KEY_EXCHANGE = "K"
    CERTIFICATE_REQUEST = "R"
    SERVER_HELLO_DONE = "N"
    CERTIFICATE_VERIFY = "Y"
    CLIENT_KEY_EXCHANGE = "G"
    FINISHED = "F"
    CERTIFICATE_URL = "W"
    CERTIFICATE_STATUS = "U"
    SUPPLEMENTAL_DATA = "A"
    KEY_UPDATE = "P"
    MESSAGE_HASH = "M"
    UNKNOWN_MESSAGE = "Z"
    CHANGE_CIPHER_SPEC = "I"
    ALERT = "L"
    APPLICATION_DATA = "D"
    ENCRYPTED_HANDSHAKE = "f"
    ENCRYPTED_CHANGE_CIPHER_SPEC = "i"
    ENCRYPTED_ALERT = "l"
    SYN = "s"
    FIN = "."
    RST = "!"

    @property
    def byte(self) -> bytes:
        """As packed events hold it."""
        return self.encode()


OF_MESSAGES: dict[int, Letter] = {
    **{
        kind: Letter[kind.name]
        for kind in HandshakeType
        if kind not in (HandshakeType.COMPRESSED_CERTIFICATE, HandshakeType.NEXT_PROTOCOL)
    },
    HandshakeType.COMPRESSED_CERTIFICATE: Letter.CERTIFICATE,
}
"""The letters of handshake messages by their types; others are ``UNKNOWN_MESSAGE``."""

HANDSHAKE = frozenset((*OF_MESSAGES.values(), Letter.UNKNOWN_MESSAGE))
"""Handshake messages in clear, or decrypted."""
IN_HISTORY = HANDSHAKE | {Letter.CHANGE_CIPHER_SPEC, Letter.ALERT}
"""What a history in the document shows."""
FULL_FLIGHT = frozenset(
    (
        Letter.CERTIFICATE,
        Letter.SERVER_KEY_EXCHANGE,
        Letter.CERTIFICATE_REQUEST,
        Letter.SERVER_HELLO_DONE,
        Letter.CERTIFICATE_STATUS,
        Letter.CLIENT_KEY_EXCHANGE,
        Letter.CERTIFICATE_VERIFY,
    )
)
"""Messages of both sides that only a full handshake has."""
ENCRYPTED = frozenset((Letter.ENCRYPTED_HANDSHAKE, Letter.ENCRYPTED_CHANGE_CIPHER_SPEC, Letter.ENCRYPTED_ALERT))
"""Encrypted records that are told by their type."""
CLOSES = frozenset((Letter.FIN, Letter.RST))
ALERTS = frozenset((Letter.ALERT, Letter.ENCRYPTED_ALERT))
SEGMENTS = CLOSES | {Letter.SYN}
"""TCP's part."""
RECORDS = ENCRYPTED | {Letter.ALERT, Letter.CHANGE_CIPHER_SPEC, Letter.APPLICATION_DATA}
"""What is a record of its own kind, and no handshake message."""

NAMES: dict[str, str] = {
    **{letter: message_name(kind) for kind, letter in OF_MESSAGES.items() if HandshakeType(kind).name == letter.name},
    Letter.UNKNOWN_MESSAGE: "a handshake message",
    Letter.CHANGE_CIPHER_SPEC: "ChangeCipherSpec",
    Letter.ALERT: "alert",
    Letter.APPLICATION_DATA: "application data",
    Letter.ENCRYPTED_HANDSHAKE: "Finished (encrypted)",
    Letter.ENCRYPTED_CHANGE_CIPHER_SPEC: "ChangeCipherSpec (encrypted)",
    Letter.ENCRYPTED_ALERT: "alert (encrypted)",
    Letter.SYN: "SYN",
    Letter.FIN: "FIN",
    Letter.RST: "RST",
}
"""What each is called. The first encrypted handshake record of a side up to TLS 1.2 is its Finished."""
