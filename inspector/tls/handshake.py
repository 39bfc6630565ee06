"""What may follow what in a handshake, as one literal table per sender, from the view of somebody who watches.

Each side's messages have an order of their own (RFC 5246, section 7.3; RFC 8446, section 2). Watching the sides apart makes the
verdict independent of how their packets interleave in the capture. A message that the table does not allow is an anomaly; it
never stops the watching. ``CHANGE`` is the ChangeCipherSpec, which is a record and no handshake message.
"""

from __future__ import annotations

from inspector.tls.registry import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_STATUS,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    HELLO_REQUEST,
    NEW_SESSION_TICKET,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
)

CHANGE = -1

CLIENT: dict[str, dict[int, str]] = {
    "start": {CLIENT_HELLO: "offered"},
    "offered": {CLIENT_HELLO: "offered", CERTIFICATE: "certified", CLIENT_KEY_EXCHANGE: "keyed", CHANGE: "changed"},
    "certified": {CLIENT_KEY_EXCHANGE: "keyed"},
    "keyed": {CERTIFICATE_VERIFY: "verified", 67: "keyed", CHANGE: "changed"},
    "verified": {67: "verified", CHANGE: "changed"},
    "changed": {CLIENT_HELLO: "offered"},
}

SERVER: dict[str, dict[int, str]] = {
    "start": {HELLO_REQUEST: "start", SERVER_HELLO: "answered"},
    "answered": {
        SERVER_HELLO: "answered",
        23: "answered",
        CERTIFICATE: "certified",
        SERVER_KEY_EXCHANGE: "keyed",
        CERTIFICATE_REQUEST: "requested",
        SERVER_HELLO_DONE: "done",
        NEW_SESSION_TICKET: "ticketed",
        CHANGE: "changed",
    },
    "certified": {
        CERTIFICATE_STATUS: "certified",
        SERVER_KEY_EXCHANGE: "keyed",
        CERTIFICATE_REQUEST: "requested",
        SERVER_HELLO_DONE: "done",
    },
    "keyed": {CERTIFICATE_REQUEST: "requested", SERVER_HELLO_DONE: "done"},
    "requested": {SERVER_HELLO_DONE: "done"},
    "done": {NEW_SESSION_TICKET: "ticketed", CHANGE: "changed"},
    "ticketed": {CHANGE: "changed"},
    "changed": {SERVER_HELLO: "answered"},
}
