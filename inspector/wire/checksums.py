"""Whether a TCP segment's checksum is right (RFC 9293, section 3.1; the sum: RFC 1071). Asked of few segments, where
one contradicts another: most need not be summed.
"""

from __future__ import annotations

import struct
from enum import Enum, auto

HEADERS_BYTES = 124
"""The longest headers of IP (64, with what stands before it) and TCP (60) that are looked at."""

TCP_PROTOCOL = 6
ALL_ONES = 0xFFFF


class Checksum(Enum):
    """``UNKNOWN``: the frame was cut, or its headers do not lie before the payload as they were sent."""

    RIGHT = auto()
    WRONG = auto()
    UNKNOWN = auto()


def checksum_of(headers: bytes, payload: bytes) -> Checksum:
    """Of the segment whose headers end where its payload begins. ``headers``: with whatever stands before them."""
    for length in range(20, 64, 4):  # what does not say where it ends is found by what says how long it is
        at = len(headers) - length
        if at < 20:
            break
        if headers[at + 12] >> 4 != length >> 2:
            continue
        pseudo = _pseudo_header(headers[:at], length + len(payload))
        if pseudo is not None:
            return Checksum.RIGHT if _is_sound(pseudo + headers[at:] + payload) else Checksum.WRONG
    return Checksum.UNKNOWN


def _pseudo_header(before: bytes, length: int) -> bytes | None:
    """What is summed of the IP header that ends here, before a segment of so many bytes."""
    for size in range(20, 64, 4):
        header = before[-size:]
        if len(header) == size and header[0] == 0x40 | size >> 2 and header[9] == TCP_PROTOCOL:
            (total,) = struct.unpack_from(">H", header, 2)
            if total == size + length:
                return header[12:20] + struct.pack(">HH", TCP_PROTOCOL, length)
    header = before[-40:]
    if len(header) == 40 and header[0] >> 4 == 6 and header[6] == TCP_PROTOCOL:
        (total,) = struct.unpack_from(">H", header, 4)
        if total == length:
            return header[8:40] + struct.pack(">IHH", length, 0, TCP_PROTOCOL)
    return None


def _is_sound(summed: bytes) -> bool:
    """Whether the ones' complement sum of all, its checksum included, is all ones: a multiple of 65535, not 0."""
    padded = summed + bytes(len(summed) & 1)
    return int.from_bytes(padded, "big") % ALL_ONES == 0
