"""Why encrypted records of a connection were not opened, or not all of them."""

from __future__ import annotations

from inspector.errors.notice import Earlier, Notice
from inspector.errors.secrets import KeyLogLabel


class NoSecret(Notice, frozen=True, array_like=True):
    """No secret was given for the connection."""


class NoLabel(Notice, frozen=True, array_like=True):
    """Of the secrets of the connection this one was not given."""

    label: KeyLogLabel


class SecretDoesNotFit(Notice, frozen=True, array_like=True):
    """The secret does not open its records."""


class BytesMissing(Notice, frozen=True, array_like=True):
    """Bytes are missing, so that the records behind them have unknown numbers."""


class SecretTooLate(Notice, frozen=True, array_like=True):
    """More records waited for the secret than are kept."""


class CipherSuiteNotOpened(Notice, frozen=True, array_like=True):
    """Records of this cipher suite (its number) cannot be opened."""

    cipher_suite: int


class VersionNotOpened(Notice, frozen=True, array_like=True):
    """Records of its protocol version cannot be opened."""


class ClientHelloMissing(Notice, frozen=True, array_like=True):
    """Its ClientHello was not captured."""


class ServerHelloMissing(Notice, frozen=True, array_like=True):
    """Its ServerHello was not captured."""


class MessageTooLong(Notice, frozen=True, array_like=True):
    """An encrypted handshake message of so many bytes."""

    length: int


class NotKeyTransport(Notice, frozen=True, array_like=True):
    """A server's key opens only what was encrypted to it, not this cipher suite (its number; RFC 5246, section
    7.4.7.1).
    """

    cipher_suite: int


class NoServerKey(Notice, frozen=True, array_like=True):
    """No server key belongs to its certificate."""


class ServerKeyDoesNotFit(Notice, frozen=True, array_like=True):
    """The server key does not decrypt its ClientKeyExchange."""


NotDecrypted = (
    NoSecret
    | NoLabel
    | SecretDoesNotFit
    | BytesMissing
    | SecretTooLate
    | CipherSuiteNotOpened
    | VersionNotOpened
    | ClientHelloMissing
    | ServerHelloMissing
    | MessageTooLong
    | NotKeyTransport
    | NoServerKey
    | ServerKeyDoesNotFit
    | Earlier
)
