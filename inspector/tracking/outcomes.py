"""What became of a handshake: both sides finished, one did not let the other, or that cannot be told."""

from __future__ import annotations

from typing import Literal

from inspector.facts import (
    C_CHANGE,
    C_HELLO,
    C_SEALED,
    S_CHANGE,
    S_HELLO,
    S_SEALED,
    ConnectionFacts,
    unpack_events,
)
from inspector.tls.history import Letter
from inspector.tls.types import FATAL
from inspector.tracking.closing import is_cut_short, is_refused
from inspector.tracking.renegotiation import Renegotiation

Outcome = Literal["established", "aborted", "incomplete"]


def outcome_of(client_leg: ConnectionFacts) -> Outcome:
    """*established* where both sides finished, *aborted* where one did not let the other: by a fatal alert, or by
    closing where all was captured; else *incomplete*, which blames nobody.
    """
    handshake, client, server = client_leg.handshake, client_leg.from_client, client_leg.from_server
    messages = handshake.messages
    if handshake.is_tls13:
        if (client_leg.secrets == "" and _rejected(client_leg)) or is_refused(client_leg):
            return "aborted"
        if client.application_records and server.application_records:
            return "aborted" if is_cut_short(client_leg) else "established"
    elif _both_finished(client_leg):
        return "established"
    if any(a.level == FATAL for a in client_leg.alerts):
        return "aborted"
    is_whole = (
        client.has_packets
        and server.has_packets
        and not (client.lost or server.lost or client.searched_bytes or server.searched_bytes)
    )
    is_closed = client.fin or client.rst or server.fin or server.rst
    if is_closed and is_whole and messages & (C_HELLO | S_HELLO):
        return "aborted"
    return "incomplete"


def is_torn_down(client_leg: ConnectionFacts, attempt: Renegotiation) -> bool:
    """Whether a side did not put up with a renegotiation that was declined: a fatal alert, which only secrets show."""
    return attempt.state == "declined" and any(
        a.level == FATAL and a.decrypted and a.ns >= attempt.ns for a in client_leg.alerts
    )


def _rejected(client_leg: ConnectionFacts) -> bool:
    """Whether a side of TLS 1.3 sent a fatal alert and no application data before it: it did not accept the handshake.
    Only secrets show that.
    """
    alert = next((a for a in client_leg.alerts if a.level == FATAL and a.decrypted), None)
    return alert is not None and not any(
        e.letter == Letter.APPLICATION_DATA and e.decrypted and e.from_client == alert.from_client and e.ns <= alert.ns
        for e in unpack_events(client_leg.events)
    )


def _both_finished(client_leg: ConnectionFacts) -> bool:
    client, server, messages = client_leg.from_client, client_leg.from_server, client_leg.handshake.messages
    ours = messages & C_SEALED or (messages & C_CHANGE and client.application_records)
    theirs = messages & S_SEALED or (messages & S_CHANGE and server.application_records)
    if ours and theirs:
        return bool(messages & (S_HELLO | C_HELLO)) or not client_leg.syn
    return bool(client.application_records and server.application_records and not client_leg.handshake.is_tls13)
