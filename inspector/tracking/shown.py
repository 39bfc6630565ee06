"""What a server showed of itself in one handshake beyond its hello and its leaf: as a value that repeats, so that
connections are put together by it without being unpacked.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.facts import S_DONE, S_REQUEST, HandshakeFacts


class ShownByServer(NamedTuple):
    """``behind``: digests of the certificates behind the leaf. ``authorities``: the digest of those whose client
    certificates it accepts; None where it asked for none. ``is_whole``: its flight was read to the end, so that what is
    not there was not sent. ``retried``: it asked for another group. ``issues``: a session id or ticket, up to TLS 1.2.
    """

    behind: tuple[bytes, ...]
    authorities: bytes | None
    is_whole: bool
    retried: bool
    issues: bool


NOTHING_SHOWN = ShownByServer((), None, False, False, False)


def shown_by(handshake: HandshakeFacts) -> ShownByServer:
    """What the server showed in a handshake."""
    messages = handshake.messages
    return ShownByServer(
        handshake.chain[1:],
        (handshake.authorities or b"") if messages & S_REQUEST else None,
        bool(messages & S_DONE),
        handshake.retried,
        bool(handshake.answered_id or handshake.issued_ticket),
    )
