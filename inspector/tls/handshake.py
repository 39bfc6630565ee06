"""What may follow what in a handshake, as one literal table per sender, from the view of somebody who watches.

Each side's messages have an order of their own (RFC 5246, section 7.3; RFC 8446, section 2). Watching the sides apart
makes the verdict independent of how their packets interleave in the capture. A message that the table does not allow is
an anomaly; it never stops the watching. Messages are named by Zeek's letters; ``I`` is the ChangeCipherSpec, which is a
record and no handshake message.
"""

from __future__ import annotations

from functools import lru_cache

CLIENT: dict[str, dict[str, str]] = {
    "start": {"C": "offered"},
    "offered": {"C": "offered", "X": "certified", "G": "keyed", "I": "changed"},
    "certified": {"G": "keyed"},
    "keyed": {"Y": "verified", "I": "changed"},
    "verified": {"I": "changed"},
    "changed": {"C": "offered"},
}

SERVER: dict[str, dict[str, str]] = {
    "start": {"H": "start", "S": "answered", "J": "retried"},
    "retried": {"I": "retried", "S": "answered"},
    "answered": {
        "A": "answered",
        "X": "certified",
        "K": "keyed",
        "R": "requested",
        "N": "done",
        "T": "ticketed",
        "I": "changed",
    },
    "certified": {"U": "certified", "K": "keyed", "R": "requested", "N": "done"},
    "keyed": {"R": "requested", "N": "done"},
    "requested": {"N": "done"},
    "done": {"T": "ticketed", "I": "changed"},
    "ticketed": {"I": "changed"},
    "changed": {"H": "changed", "S": "answered"},
}

MESSAGES = frozenset("HCSVTEJOXKRNYGFWUAPMZI")
NAMES = {
    "C": "ClientHello",
    "S": "ServerHello",
    "X": "Certificate",
    "K": "ServerKeyExchange",
    "G": "ClientKeyExchange",
    "I": "ChangeCipherSpec",
    "N": "ServerHelloDone",
}


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
        if letter not in MESSAGES:
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
