"""What may follow what in a handshake, as one literal table per sender, from the view of somebody who watches.

Each side's messages have an order of their own (RFC 5246, section 7.3; RFC 8446, section 2). Watching the sides apart
makes the verdict independent of how their packets interleave in the capture. A message that the table does not allow is
an anomaly; it never stops the watching. Messages are named by Zeek's letters; ``I`` is the ChangeCipherSpec, which is a
record and no handshake message.
"""

from __future__ import annotations

from functools import lru_cache

from inspector.tls.history import HANDSHAKE, NAMES, Letter

CLIENT: dict[str, dict[str, str]] = {
    "start": {Letter.CLIENT_HELLO: "offered"},
    "offered": {
        Letter.CLIENT_HELLO: "offered",
        Letter.CERTIFICATE: "certified",
        Letter.CLIENT_KEY_EXCHANGE: "keyed",
        Letter.CHANGE_CIPHER_SPEC: "changed",
    },
    "certified": {Letter.CLIENT_KEY_EXCHANGE: "keyed"},
    "keyed": {Letter.CERTIFICATE_VERIFY: "verified", Letter.CHANGE_CIPHER_SPEC: "changed"},
    "verified": {Letter.CHANGE_CIPHER_SPEC: "changed"},
    "changed": {Letter.CLIENT_HELLO: "offered"},
}

SERVER: dict[str, dict[str, str]] = {
    "start": {Letter.HELLO_REQUEST: "start", Letter.SERVER_HELLO: "answered", Letter.HELLO_RETRY_REQUEST: "retried"},
    "retried": {Letter.CHANGE_CIPHER_SPEC: "retried", Letter.SERVER_HELLO: "answered"},
    "answered": {
        Letter.SUPPLEMENTAL_DATA: "answered",
        Letter.CERTIFICATE: "certified",
        Letter.SERVER_KEY_EXCHANGE: "keyed",
        Letter.CERTIFICATE_REQUEST: "requested",
        Letter.SERVER_HELLO_DONE: "done",
        Letter.NEW_SESSION_TICKET: "ticketed",
        Letter.CHANGE_CIPHER_SPEC: "changed",
    },
    "certified": {
        Letter.CERTIFICATE_STATUS: "certified",
        Letter.SERVER_KEY_EXCHANGE: "keyed",
        Letter.CERTIFICATE_REQUEST: "requested",
        Letter.SERVER_HELLO_DONE: "done",
    },
    "keyed": {Letter.CERTIFICATE_REQUEST: "requested", Letter.SERVER_HELLO_DONE: "done"},
    "requested": {Letter.SERVER_HELLO_DONE: "done"},
    "done": {Letter.NEW_SESSION_TICKET: "ticketed", Letter.CHANGE_CIPHER_SPEC: "changed"},
    "ticketed": {Letter.CHANGE_CIPHER_SPEC: "changed"},
    "changed": {Letter.HELLO_REQUEST: "changed", Letter.SERVER_HELLO: "answered"},
}

JUDGED = HANDSHAKE | {Letter.CHANGE_CIPHER_SPEC}


@lru_cache(maxsize=4096)
def unexpected(letters: bytes, sides: bytes) -> tuple[tuple[int, str], ...]:
    """Messages that the tables do not allow, by their place in ``letters``; ``sides``: 1 from the client, 0 from the
    server.

    A side whose first message is not its hello was captured from the middle, and is not judged.
    """
    states = ["start", "start"]
    out_of_order: list[tuple[int, str]] = []
    for index, (code, side) in enumerate(zip(letters, sides, strict=True)):
        letter = chr(code)
        if letter not in JUDGED:
            continue
        state = states[side]
        following = (CLIENT if side else SERVER)[state].get(letter)
        if following is not None:
            states[side] = following
        elif state != "start":
            out_of_order.append(
                (
                    index,
                    (
                        f"{NAMES.get(letter, 'a handshake message')} where the {'client' if side else 'server'} stands"
                        f" at {state}"
                    ),
                )
            )
    return tuple(out_of_order)
