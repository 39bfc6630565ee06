"""What may follow what in a handshake, as one literal table per sender, from the view of somebody who watches.

Each side's messages have an order of their own (RFC 5246, section 7.3; RFC 8446, section 2). Watching the sides apart
makes the verdict independent of how their packets interleave in the capture. A message that the table does not allow is
an anomaly; it never stops the watching. Messages are named by Zeek's letters; ``I`` is the ChangeCipherSpec, which is a
record and no handshake message.
"""

from __future__ import annotations

from functools import lru_cache

from inspector.tls.anomalies import OutOfOrder
from inspector.tls.history import HANDSHAKE, Letter
from inspector.tls.types import HandshakeState as State

CLIENT: dict[State, dict[str, State]] = {
    State.START: {Letter.CLIENT_HELLO: State.OFFERED},
    State.OFFERED: {
        Letter.CLIENT_HELLO: State.OFFERED,
        Letter.CERTIFICATE: State.CERTIFIED,
        Letter.CLIENT_KEY_EXCHANGE: State.KEYED,
        Letter.CHANGE_CIPHER_SPEC: State.CHANGED,
    },
    State.CERTIFIED: {Letter.CLIENT_KEY_EXCHANGE: State.KEYED},
    State.KEYED: {Letter.CERTIFICATE_VERIFY: State.VERIFIED, Letter.CHANGE_CIPHER_SPEC: State.CHANGED},
    State.VERIFIED: {Letter.CHANGE_CIPHER_SPEC: State.CHANGED},
    State.CHANGED: {Letter.CLIENT_HELLO: State.OFFERED},
}

SERVER: dict[State, dict[str, State]] = {
    State.START: {
        Letter.HELLO_REQUEST: State.START,
        Letter.SERVER_HELLO: State.ANSWERED,
        Letter.HELLO_RETRY_REQUEST: State.RETRIED,
    },
    State.RETRIED: {Letter.CHANGE_CIPHER_SPEC: State.RETRIED, Letter.SERVER_HELLO: State.ANSWERED},
    State.ANSWERED: {
        Letter.SUPPLEMENTAL_DATA: State.ANSWERED,
        Letter.CERTIFICATE: State.CERTIFIED,
        Letter.SERVER_KEY_EXCHANGE: State.KEYED,
        Letter.CERTIFICATE_REQUEST: State.REQUESTED,
        Letter.SERVER_HELLO_DONE: State.DONE,
        Letter.NEW_SESSION_TICKET: State.TICKETED,
        Letter.CHANGE_CIPHER_SPEC: State.CHANGED,
    },
    State.CERTIFIED: {
        Letter.CERTIFICATE_STATUS: State.CERTIFIED,
        Letter.SERVER_KEY_EXCHANGE: State.KEYED,
        Letter.CERTIFICATE_REQUEST: State.REQUESTED,
        Letter.SERVER_HELLO_DONE: State.DONE,
    },
    State.KEYED: {Letter.CERTIFICATE_REQUEST: State.REQUESTED, Letter.SERVER_HELLO_DONE: State.DONE},
    State.REQUESTED: {Letter.SERVER_HELLO_DONE: State.DONE},
    State.DONE: {Letter.NEW_SESSION_TICKET: State.TICKETED, Letter.CHANGE_CIPHER_SPEC: State.CHANGED},
    State.TICKETED: {Letter.CHANGE_CIPHER_SPEC: State.CHANGED},
    State.CHANGED: {Letter.HELLO_REQUEST: State.CHANGED, Letter.SERVER_HELLO: State.ANSWERED},
}

JUDGED = HANDSHAKE | {Letter.CHANGE_CIPHER_SPEC}


@lru_cache(maxsize=4096)
def unexpected(letters: bytes, sides: bytes) -> tuple[tuple[int, OutOfOrder], ...]:
    """Messages that the tables do not allow, by their place in ``letters``; ``sides``: 1 from the client, 0 from the
    server.

    A side whose first message is not its hello was captured from the middle, and is not judged.
    """
    states = [State.START, State.START]
    out_of_order: list[tuple[int, OutOfOrder]] = []
    for index, (code, side) in enumerate(zip(letters, sides, strict=True)):
        letter = chr(code)
        if letter not in JUDGED:
            continue
        state = states[side]
        following = (CLIENT if side else SERVER)[state].get(letter)
        if following is not None:
            states[side] = following
        elif state is not State.START:
            out_of_order.append((index, OutOfOrder(Letter(letter), bool(side), state)))
    return tuple(out_of_order)
