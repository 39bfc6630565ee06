"""What happened on a connection, event by event: 22 packed bytes each; and which messages were read, as bits."""

from __future__ import annotations

import struct
from functools import lru_cache

from msgspec import Struct

from inspector.tls.history import Letter

(C_HELLO, C_CERTIFICATE, C_KEY_EXCHANGE, C_VERIFY, C_CHANGE, C_SEALED) = (1, 2, 4, 8, 16, 32)
(S_HELLO, S_CERTIFICATE, S_KEY_EXCHANGE, S_REQUEST, S_DONE, S_TICKET, S_CHANGE, S_SEALED) = (
    256,
    512,
    1024,
    2048,
    4096,
    8192,
    16384,
    32768,
)


class Event(Struct, frozen=True, gc=False, array_like=True):
    """One rung of the ladder. ``letter``: a ``Letter``'s; of application data only the first record of a side is one.
    ``size``: bytes of the message or record, but of an alert in clear its description. ``decrypted``: read with
    secrets, beside the event of its encrypted record.
    """

    ns: int
    frame: int
    size: int
    letter: str
    from_client: bool
    decrypted: bool = False


_EVENT = struct.Struct("<qQIcB")
EVENT_BYTES = _EVENT.size
NS_BYTES = 8
LETTER_AT, SIDE_AT = EVENT_BYTES - 2, EVENT_BYTES - 1


def pack_events(events: list[Event]) -> bytes:
    """Events as 22 bytes each."""
    return b"".join(
        [pack_event(e.ns, e.frame, e.size, bytes([ord(e.letter) | e.decrypted << 7]), e.from_client) for e in events]
    )


def event_ns(packed: bytes | bytearray) -> int:
    """When a packed event was, nanoseconds since the epoch."""
    return int(_EVENT.unpack(packed)[0])


pack_event = _EVENT.pack
_FRAME = struct.Struct("<8xQ")


def event_frame(packed: bytes, number: int) -> int:
    """The frame of one of several packed events."""
    frame: int = _FRAME.unpack_from(packed, number * EVENT_BYTES)[0]
    return frame


DECRYPTED = 0x80
"""Set in the letter of an event that was read with secrets, so that whoever looks at the letters of the wire passes it
over.
"""


def decrypted_letter(letter: bytes) -> bytes:
    """The letter of such an event."""
    return bytes([letter[0] | DECRYPTED])


def unpack_events(packed: bytes | bytearray) -> list[Event]:
    """The reverse of ``pack_events``."""
    return [
        Event(ns, frame, size, chr(code[0] & 0x7F), bool(side), code[0] > 0x7F)
        for ns, frame, size, code, side in _EVENT.iter_unpack(packed)
    ]


class FirstMoments:
    """When the first event of a kind came. Of those of the wire: events that were read with secrets have other letters
    while they are packed.
    """

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._letters = packed[LETTER_AT::EVENT_BYTES]

    def of(self, letter: Letter, from_client: bool) -> int | None:
        """In nanoseconds; None where that side sent none."""
        packed, letters, code = self._packed, self._letters, ord(letter)
        index = letters.find(code)
        while index >= 0 and packed[index * EVENT_BYTES + SIDE_AT] != from_client:
            index = letters.find(code, index + 1)
        at = index * EVENT_BYTES
        return int.from_bytes(packed[at : at + NS_BYTES], "little", signed=True) if index >= 0 else None


CLIENT_BITS: dict[str, int] = {
    Letter.CLIENT_HELLO: C_HELLO,
    Letter.CERTIFICATE: C_CERTIFICATE,
    Letter.CLIENT_KEY_EXCHANGE: C_KEY_EXCHANGE,
    Letter.CERTIFICATE_VERIFY: C_VERIFY,
    Letter.CHANGE_CIPHER_SPEC: C_CHANGE,
    Letter.ENCRYPTED_HANDSHAKE: C_SEALED,
}
SERVER_BITS: dict[str, int] = {
    Letter.SERVER_HELLO: S_HELLO,
    Letter.CERTIFICATE: S_CERTIFICATE,
    Letter.SERVER_KEY_EXCHANGE: S_KEY_EXCHANGE,
    Letter.CERTIFICATE_REQUEST: S_REQUEST,
    Letter.SERVER_HELLO_DONE: S_DONE,
    Letter.NEW_SESSION_TICKET: S_TICKET,
    Letter.CHANGE_CIPHER_SPEC: S_CHANGE,
    Letter.ENCRYPTED_HANDSHAKE: S_SEALED,
}


@lru_cache(maxsize=4096)
def message_bits(letters: bytes, sides: bytes) -> int:
    """The C_ and S_ bits of the messages that events stand for, by their letters and sides."""
    bits = 0
    for code, side in zip(letters, sides, strict=True):
        bits |= (CLIENT_BITS if side else SERVER_BITS).get(chr(code), 0)
    return bits
