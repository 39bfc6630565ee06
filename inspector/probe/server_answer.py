"""Whether a server did extended master secret, read of its ServerHello by the engine's own parser: Java offers no
session that was made without, where it does (RFC 7627, section 5.3; ``ClientHello`` of JDK 8 to 25).
"""

from __future__ import annotations

from inspector.tls.messages import server_hello
from inspector.tls.reader import Malformed
from inspector.tls.types import HANDSHAKE, SERVER_HELLO

RECORD_HEADER, MESSAGE_HEADER = 5, 4


def does_extended_master_secret(data: bytes) -> bool | None:
    """``data``: what the server sent from its first record on. None where a ServerHello does not stand there whole."""
    body_at = RECORD_HEADER + MESSAGE_HEADER
    if len(data) < body_at or data[0] != HANDSHAKE or data[RECORD_HEADER] != SERVER_HELLO:
        return None
    body = data[body_at : body_at + int.from_bytes(data[6:body_at], "big")]
    try:
        return server_hello(body).shape.extended_master_secret
    except Malformed:
        return None
