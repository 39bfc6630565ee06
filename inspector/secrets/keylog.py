"""The lines of an NSS key log (draft-ietf-tls-keylogfile; OpenSSL, NSS, JVM agents and Wireshark's additions)."""

from __future__ import annotations

import re
from typing import NamedTuple

MASTER = "CLIENT_RANDOM"
PREMASTER = "PMS_CLIENT_RANDOM"
RSA_PREMASTER = "RSA"
SESSION = "SESSION"
CLIENT_EARLY, CLIENT_HANDSHAKE, SERVER_HANDSHAKE = "CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET"
CLIENT_TRAFFIC, SERVER_TRAFFIC = "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"
TRAFFIC = (CLIENT_EARLY, CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_TRAFFIC, SERVER_TRAFFIC)
"""Labels of TLS 1.3."""

UNUSED = ("EXPORTER_SECRET", "EARLY_EXPORTER_SECRET", "ECH_SECRET", "ECH_CONFIG")
"""Labels that open no record."""

LONGEST_LINE = 1 << 12
_HEX = rb"((?:[0-9a-fA-F]{2})+)"
_LINE = re.compile(rb"([A-Z0-9_]+) " + _HEX + rb" " + _HEX)
_SESSION = re.compile(rb"RSA Session-ID:((?:[0-9a-fA-F]{2})*) Master-Key:" + _HEX)
_LENGTHS = {MASTER: (32, {48}), RSA_PREMASTER: (8, {48}), PREMASTER: (32, range(1, 1 << 11)), **dict.fromkeys(TRAFFIC, (32, {32, 48}))}


class Line(NamedTuple):
    """``name``: a client random; of ``RSA`` the start of an encrypted premaster secret, of ``SESSION`` a session id."""

    label: str
    name: bytes
    secret: bytes


def read_line(line: bytes) -> Line | None:
    """One line; None where it says nothing: empty, a comment, a label that opens no record. Raises ValueError where it is no line of a key log."""
    line = line.strip()
    if not line or line.startswith(b"#"):
        return None
    if len(line) > LONGEST_LINE:
        raise ValueError("too long")
    found = _LINE.fullmatch(line)
    if found is None:
        session = _SESSION.fullmatch(line)
        if session is None:
            raise ValueError("not LABEL RANDOM SECRET in hexadecimal")
        return Line(SESSION, bytes.fromhex(session[1].decode()), bytes.fromhex(session[2].decode()))
    label = found[1].decode()
    if label in UNUSED or label not in _LENGTHS:
        return None
    name, secret = bytes.fromhex(found[2].decode()), bytes.fromhex(found[3].decode())
    size, sizes = _LENGTHS[label]
    if len(name) != size or len(secret) not in sizes:
        raise ValueError(f"{label} of {len(name)} and {len(secret)} bytes")
    return Line(label, name, secret)


def written(line: Line) -> bytes:
    """The line as a key log has it."""
    return b"%s %s %s\n" % (line.label.encode(), line.name.hex().encode(), line.secret.hex().encode())
