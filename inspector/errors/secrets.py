"""What may be wrong with secrets that were given."""

from __future__ import annotations

from enum import StrEnum

from inspector.errors.notice import ForeignText, Notice, PathText


class KeyLogLabel(StrEnum):
    """The labels of an NSS key log that name a secret (draft-ietf-tls-keylogfile; Wireshark's additions)."""

    CLIENT_RANDOM = "CLIENT_RANDOM"
    PMS_CLIENT_RANDOM = "PMS_CLIENT_RANDOM"
    RSA = "RSA"
    SESSION = "SESSION"
    CLIENT_EARLY_TRAFFIC_SECRET = "CLIENT_EARLY_TRAFFIC_SECRET"
    CLIENT_HANDSHAKE_TRAFFIC_SECRET = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
    SERVER_HANDSHAKE_TRAFFIC_SECRET = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
    CLIENT_TRAFFIC_SECRET_0 = "CLIENT_TRAFFIC_SECRET_0"
    SERVER_TRAFFIC_SECRET_0 = "SERVER_TRAFFIC_SECRET_0"


class LineTooLong(Notice, frozen=True, array_like=True):
    """A line longer than any of a key log."""


class NotHexadecimal(Notice, frozen=True, array_like=True):
    """A line that is not a label and two values in hexadecimal."""


class WrongLengths(Notice, frozen=True, array_like=True):
    """A line whose values are not as long as its label says. ``name`` and ``secret``: bytes of each."""

    label: KeyLogLabel
    name: int
    secret: int


class NoKeyLogLines(Notice, frozen=True, array_like=True):
    """Lines of a key log that are none. ``first``: the number of the first; ``reason``: what is wrong with it."""

    path: PathText
    count: int
    lines: int
    first: int
    reason: LineTooLong | NotHexadecimal | WrongLengths


class KeyLogNotRead(Notice, frozen=True, array_like=True):
    """A key log that was followed cannot be read any more."""

    path: PathText
    reason: ForeignText


class TooManySecrets(Notice, frozen=True, array_like=True):
    """Later secrets of a key log are not kept."""

    path: PathText
    most: int


class SecretsBlocksNotRead(Notice, frozen=True, array_like=True):
    """So many Decryption Secrets Blocks of a capture were too many, or hold next to nothing that is a secret."""

    path: PathText
    count: int


SecretsProblem = NoKeyLogLines | KeyLogNotRead | TooManySecrets | SecretsBlocksNotRead
