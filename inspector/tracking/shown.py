"""What a server showed of itself in one handshake beyond its hello and its leaf: as a value that repeats, so that
connections are put together by it without being unpacked.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.facts import S_DONE, S_REQUEST, ConnectionFacts


class ShownByServer(NamedTuple):
    """``behind``: digests of the certificates behind the leaf, but for the leaf once more. ``authorities``: the digest
    of those whose client certificates it accepts; None where it asked for none. ``is_whole``: its flight was read to
    the end, so that what is not there was not sent. ``retried``: it asked for another group. ``issues``: a session id
    or ticket, up to TLS 1.2. ``flight``: records and bytes of its encrypted flight in TLS 1.3, all before the client's
    first encrypted record; None where it was not captured whole, or its certificate was read.
    """

    behind: tuple[bytes, ...]
    authorities: bytes | None
    is_whole: bool
    retried: bool
    issues: bool
    flight: tuple[int, int] | None = None


NOTHING_SHOWN = ShownByServer((), None, False, False, False)


def shown_by(client_leg: ConnectionFacts) -> ShownByServer:
    """What the server showed in the handshake of a connection."""
    handshake = client_leg.handshake
    messages = handshake.messages
    behind = handshake.chain[1:]
    if behind and handshake.chain[0] in behind:
        behind = tuple(digest for digest in behind if digest != handshake.chain[0])
    return ShownByServer(
        behind,
        (handshake.authorities or b"") if messages & S_REQUEST else None,
        bool(messages & S_DONE),
        handshake.retried,
        bool(handshake.answered_id or handshake.issued_ticket),
        _flight(client_leg) if handshake.is_tls13 and not handshake.chain else None,
    )


def _flight(client_leg: ConnectionFacts) -> tuple[int, int] | None:
    server = client_leg.from_server
    if not server.flight_records or server.lost or server.lost_encrypted:
        return None
    if not client_leg.from_client.application_records and server.tail is not None:
        latest_ns = server.tail.ns  # a client that gave up in clear had its say before what came later
        if any(alert.from_client and alert.ns < latest_ns for alert in client_leg.alerts):
            return None
    return server.flight_records, server.flight_bytes
