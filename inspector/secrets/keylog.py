"""The lines of an NSS key log (draft-ietf-tls-keylogfile; OpenSSL, NSS, JVM agents and Wireshark's additions)."""

from __future__ import annotations

import re
from typing import NamedTuple

from inspector.errors.secrets import KeyLogLabel, LineTooLong, NotHexadecimal, WrongLengths

MASTER = KeyLogLabel.CLIENT_RANDOM
PREMASTER = KeyLogLabel.PMS_CLIENT_RANDOM
RSA_PREMASTER = KeyLogLabel.RSA
SESSION = KeyLogLabel.SESSION
CLIENT_EARLY = KeyLogLabel.CLIENT_EARLY_TRAFFIC_SECRET
CLIENT_HANDSHAKE = KeyLogLabel.CLIENT_HANDSHAKE_TRAFFIC_SECRET
SERVER_HANDSHAKE = KeyLogLabel.SERVER_HANDSHAKE_TRAFFIC_SECRET
CLIENT_TRAFFIC, SERVER_TRAFFIC = KeyLogLabel.CLIENT_TRAFFIC_SECRET_0, KeyLogLabel.SERVER_TRAFFIC_SECRET_0
TRAFFIC = (CLIENT_EARLY, CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_TRAFFIC, SERVER_TRAFFIC)
"""Labels of TLS 1.3."""

LONGEST_LINE = 1 << 12
_LENGTHS = {
    MASTER: (32, {48}),
    RSA_PREMASTER: (8, {48}),
    PREMASTER: (32, range(1, 1 << 11)),
    **dict.fromkeys(TRAFFIC, (32, {32, 48})),
}
_LABELS = {label.encode(): label for label in _LENGTHS}
_HEX = rb"((?:[0-9a-fA-F]{2})+)"
_SESSION = re.compile(rb"RSA Session-ID:((?:[0-9a-fA-F]{2})*) Master-Key:" + _HEX)
_OTHER = re.compile(rb"[A-Z0-9_]+ " + _HEX + rb" " + _HEX)
NOTHING = b"-"
"""HAProxy writes it where there is no such secret."""


class NoKeyLogLine(Exception):
    """A line that is none of a key log."""

    def __init__(self, mistake: LineTooLong | NotHexadecimal | WrongLengths) -> None:
        super().__init__(mistake)
        self.mistake = mistake


class KeyLogLine(NamedTuple):
    """``name``: a client random; of ``RSA`` the start of an encrypted premaster secret, of ``SESSION`` a session id."""

    label: KeyLogLabel
    name: bytes
    secret: bytes


def read_line(line: bytes) -> KeyLogLine | None:
    """One line; None where it says nothing: empty, a comment, a label that opens no record. Raises NoKeyLogLine
    where it is none of a key log.
    """
    line = line.strip()
    if not line or line.startswith(b"#"):
        return None
    if len(line) > LONGEST_LINE:
        raise NoKeyLogLine(LineTooLong())
    words = line.split()
    label = (
        _LABELS.get(words[-3]) if len(words) >= 3 and not words[-1].startswith(b"Master-Key:") else None
    )  # a log daemon's words may stand before it
    if label is None:
        session = _SESSION.fullmatch(line)
        if session is not None:
            return KeyLogLine(SESSION, bytes.fromhex(session[1].decode()), bytes.fromhex(session[2].decode()))
        if _OTHER.fullmatch(line):
            return None
        raise NoKeyLogLine(NotHexadecimal())
    if words[-1] == NOTHING:
        return None
    try:
        name, secret = bytes.fromhex(words[-2].decode()), bytes.fromhex(words[-1].decode())
    except ValueError:
        raise NoKeyLogLine(NotHexadecimal()) from None
    size, sizes = _LENGTHS[label]
    if len(name) != size or len(secret) not in sizes:
        raise NoKeyLogLine(WrongLengths(label, len(name), len(secret)))
    return KeyLogLine(label, name, secret)


def written(line: KeyLogLine) -> bytes:
    """The line as a key log has it."""
    return b"%s %s %s\n" % (line.label.encode(), line.name.hex().encode(), line.secret.hex().encode())
