"""Datagrams put together from their fragments (RFC 791, section 3.2; RFC 8200, section 4.5).

The bytes of a fragment are laid where they belong as it comes, and units of eight bytes are ticked off, so that each
fragment costs as much as it is long, however many there are and whether or not the rest ever comes. What waits is
bounded in datagrams and in bytes.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct, field

from inspector import bounds
from inspector.wire.encapsulations import Layer, Packet

Key = tuple[Layer, bytes, bytes, int]
UNIT = 8
LARGEST = 65_535 + UNIT


class _Datagram(Struct):
    capture: int
    frames: int = 0
    length: int | None = None
    """Known once the last fragment is there."""

    data: bytearray = field(default_factory=bytearray)
    present: bytearray = field(default_factory=bytearray)
    """1 for each unit that came."""

    ticked: int = 0


class Waiting(Struct):
    """A datagram that never became whole, or may still: the protocol that it carries, how many frames it took, and its
    first bytes if they came.
    """

    layer: Layer
    capture: int
    frames: int
    head: bytes


class Fragments:
    """``given_up``: what was put away because too much waited."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Key, _Datagram] = OrderedDict()
        self._bytes = 0
        self.given_up: list[Waiting] = []

    def collect(self, packet: Packet, capture: int) -> bytes | None:
        """Keep a fragment; the whole datagram's payload once nothing is missing."""
        piece = packet.piece
        assert piece is not None
        key = (packet.layer, *packet.ends, piece.ident)
        datagram = self._waiting.get(key)
        if datagram is None:
            datagram = self._waiting[key] = _Datagram(capture)
        else:
            self._waiting.move_to_end(key)
        datagram.frames += 1
        self._lay(datagram, piece.offset, packet.data, piece.more)
        if datagram.length is not None and datagram.ticked * UNIT >= datagram.length:
            del self._waiting[key]
            self._bytes -= len(datagram.data)
            return bytes(datagram.data[: datagram.length])
        while len(self._waiting) > bounds.FRAGMENTS or self._bytes > bounds.FRAGMENT_BYTES:
            old, oldest = self._waiting.popitem(last=False)
            self._bytes -= len(oldest.data)
            self.given_up.append(_waiting(old, oldest))
        return None

    def _lay(self, into: _Datagram, offset: int, data: bytes, more: bool) -> None:
        end = offset + len(data)
        if (
            end > LARGEST
            or (more and len(data) % UNIT)
            or (end > into.length if into.length is not None else not more and end < len(into.data))
        ):
            return  # no datagram has such a fragment; the others may still become whole
        if not more and into.length is None:
            into.length = end
        if end > len(into.data):
            self._bytes += end - len(into.data)
            into.data += bytes(end - len(into.data))
            into.present += bytes((end + UNIT - 1) // UNIT - len(into.present))
        into.data[offset:end] = data
        first, last = offset // UNIT, (end + UNIT - 1) // UNIT
        into.ticked += into.present.count(0, first, last)
        into.present[first:last] = b"\1" * (last - first)

    def waiting(self) -> dict[Key, Waiting]:
        """What waits still."""
        return {key: _waiting(key, datagram) for key, datagram in self._waiting.items()}


def _waiting(key: Key, datagram: _Datagram) -> Waiting:
    return Waiting(
        key[0], datagram.capture, datagram.frames, bytes(datagram.data[:UNIT]) if datagram.present[:1] == b"\1" else b""
    )
