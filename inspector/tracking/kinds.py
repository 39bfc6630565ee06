"""How a handshake was made: in full, or by resuming a session, and why one can say so.

Up to TLS 1.2 a hello announces nothing: a server that resumes says so by what it leaves out. Behind its ServerHello
comes either the flight of a full handshake, which begins with a Certificate, or ChangeCipherSpec at once (RFC 5246,
section 7.3). The echoed session id says the same (section 7.4.1.3). A client that offers a ticket makes an id up, whose
echo says that the ticket was taken; where it offers a ticket and no id, the hellos say nothing (RFC 5077, section 3.4).
In TLS 1.3 the ServerHello names the pre-shared key that was accepted, or none (RFC 8446, section 4.2.11), and ids mean
nothing.

All of that may be lost. What is missing is never taken for what was not sent: an id that was not read is no proof of a
full handshake, nor is a flight of which nothing was captured one of a resumption. Then the kind is None.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from inspector.facts import (
    C_BEGUN_FLIGHT,
    C_CERTIFICATE,
    C_KEY_EXCHANGE,
    C_VERIFY,
    S_BEGUN_FLIGHT,
    S_CERTIFICATE,
    S_CHANGE,
    S_DONE,
    S_KEY_EXCHANGE,
    S_LOST_FLIGHT,
    S_REQUEST,
    HandshakeFacts,
)
from inspector.tls.extensions import AnswerShape, HelloShape

Kind = Literal["full", "session_id", "ticket", "resumed", "psk"]
"""``resumed``: by session id or ticket; which, was not captured, or what was offered and answered does not fit."""
FULL_FLIGHT = S_CERTIFICATE | S_KEY_EXCHANGE | S_REQUEST | S_DONE | C_CERTIFICATE | C_KEY_EXCHANGE | C_VERIFY
"""Messages that only a full handshake has, up to TLS 1.2."""
BEGUN_FLIGHT = C_BEGUN_FLIGHT | S_BEGUN_FLIGHT


class KindReason(Enum):
    """Why a handshake is of its kind."""

    NO_SERVER_HELLO = auto()
    """This and the next five: why the kind cannot be told."""
    SERVER_HELLO_CUT = auto()
    ONLY_RETRY_REQUEST = auto()
    CLIENT_HELLO_CUT = auto()
    FLIGHT_CUT = auto()
    NO_FLIGHT = auto()
    PSK_ACCEPTED = auto()
    NO_PSK_OFFERED = auto()
    NO_PSK_ACCEPTED = auto()
    ID_ECHOED = auto()
    NO_CERTIFICATE_SENT = auto()
    CERTIFICATE_SENT = auto()
    NO_SESSION_OFFERED = auto()
    OTHER_ID = auto()
    EMPTY_ID = auto()


def is_read(shape: HelloShape | AnswerShape | None) -> bool:
    """Whether a hello was read to its end."""
    return shape is not None and not shape.partial


def has_no_certificate(handshake: HandshakeFacts) -> bool:
    """Whether the server sent a Certificate message with an empty list."""
    return bool(handshake.certificate_frame) and not handshake.chain


def kind_of(handshake: HandshakeFacts) -> tuple[Kind | None, KindReason]:
    """How the handshake was made, and why one can say so; None, and why not, where it cannot be told."""
    answer = handshake.answer
    if answer is None:
        return None, KindReason.NO_SERVER_HELLO
    if answer.partial:
        return None, KindReason.SERVER_HELLO_CUT
    is_known = is_read(handshake.offer)
    if handshake.is_tls13:
        if handshake.retried and handshake.server_random == b"":
            return None, KindReason.ONLY_RETRY_REQUEST
        if answer.accepted_psk is not None:
            return "psk", KindReason.PSK_ACCEPTED
        return (
            "full",
            KindReason.NO_PSK_OFFERED if is_known and not handshake.offered_psks else KindReason.NO_PSK_ACCEPTED,
        )
    offered, has_ticket = handshake.offered_id, bool(handshake.offered_ticket)
    echoed = bool(offered) and offered == handshake.answered_id
    if handshake.messages & FULL_FLIGHT or handshake.missing & BEGUN_FLIGHT:
        return "full", _why_full(handshake, is_known)
    is_lost = bool(handshake.missing & S_LOST_FLIGHT)
    if handshake.messages & S_CHANGE and not is_lost:
        if is_known and echoed:
            return ("ticket" if has_ticket else "session_id"), KindReason.ID_ECHOED
        return ("ticket" if has_ticket else "resumed"), KindReason.NO_CERTIFICATE_SENT
    if is_lost and (echoed or has_ticket or not is_known):
        return None, KindReason.FLIGHT_CUT
    if not is_known:
        return None, KindReason.CLIENT_HELLO_CUT
    if echoed:
        return ("ticket" if has_ticket else "session_id"), KindReason.ID_ECHOED
    if has_ticket and not offered and not handshake.answered_id:
        return None, KindReason.NO_FLIGHT
    return "full", _why_full(handshake, is_known)


def _why_full(handshake: HandshakeFacts, is_known: bool) -> KindReason:
    if not is_known:
        return KindReason.CERTIFICATE_SENT
    if not handshake.offered_id and not handshake.offered_ticket:
        return KindReason.NO_SESSION_OFFERED
    return KindReason.OTHER_ID if handshake.answered_id else KindReason.EMPTY_ID
