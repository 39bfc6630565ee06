"""What stands inside what: the words in which the table of encapsulations (``encapsulation_table``) is written.

A frame is a pile of headers, and each says what stands behind it: a link type names a header, an EtherType an IP packet
or another tag, an IP protocol or a UDP port a tunnel in which a whole frame may begin again. So all of them are entries
of one table: a *layer* is a space of numbers with a number in it, and an entry says what it is called and how to *open*
it, that is, to give what stands inside. Whoever walks (``tunnels``) knows of no encapsulation by name; what has no
opener is counted under its layer, unless it is known to carry no TCP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from inspector.capture.link_types import LinkType


class Space(StrEnum):
    """Whose numbers they are."""

    LINK_TYPE = "link_type"
    ETHERTYPE = "ethertype"
    LLC = "llc"
    IEEE80211 = "ieee80211"
    PPP = "ppp"
    IP_PROTOCOL = "ip_protocol"
    GRE = "gre"
    UDP_PORT = "udp_port"
    OTHER = "other"


Layer = tuple[Space, int]
ETHERNET: Layer = (Space.LINK_TYPE, LinkType.ETHERNET)
IEEE80211: Layer = (Space.LINK_TYPE, LinkType.IEEE802_11)
SWAPPED: Layer = (Space.IEEE80211, 1)
"""Its first two bytes changed over, as some access points do."""

PPP_FRAME: Layer = (Space.LINK_TYPE, LinkType.PPP)
LLC: Layer = (Space.LLC, 0)
IPV4: Layer = (Space.ETHERTYPE, 0x0800)
IPV6: Layer = (Space.ETHERTYPE, 0x86DD)
MPLS: Layer = (Space.ETHERTYPE, 0x8847)
NSH: Layer = (Space.ETHERTYPE, 0x894F)
TCP: Layer = (Space.IP_PROTOCOL, 6)
UDP: Layer = (Space.IP_PROTOCOL, 17)
LENGTHS = 0x0600
"""Below it the type field of Ethernet is a length, and LLC follows (IEEE 802.3, 3.2.6)."""

LABELS = 16
"""Of MPLS, and tags of other kinds one behind the other; nobody stacks more."""


TRAILER = 64
"""Bytes that may stand behind an IP packet: padding, check sequences."""


class Unread(Exception):
    """A layer that cannot be opened. ``why``: ``cut`` where its header is not all there, ``malformed``, ``encrypted``,
    ``compressed``, ``fragment``, ``unknown``.
    ``ends``: addresses between which it runs.
    """

    def __init__(self, why: str, layer: Layer | None = None, ends: tuple[bytes, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.layer = layer
        self.ends = ends


class Piece(NamedTuple):
    """A packet is a fragment of one that is put together by its number. ``offset``: bytes. ``more``: others follow."""

    ident: int
    offset: int
    more: bool


class Packet(NamedTuple):
    """What stands at a layer. ``missing``: bytes at its end that were not captured. ``ends``: source and target of the
    last IP header before it.
    """

    layer: Layer
    data: bytes
    missing: int
    ends: tuple[bytes, bytes] = (b"", b"")
    piece: Piece | None = None

    def inner(self, layer: Layer, skip: int) -> Packet:
        """What stands behind so many bytes. Raises Unread where they are not all there."""
        self.need(skip)
        return Packet(layer, self.data[skip:], self.missing, self.ends)

    def need(self, count: int) -> None:
        """Raises Unread where fewer bytes are there."""
        if count > len(self.data):
            raise Unread("cut" if self.missing else "malformed")

    def u16(self, at: int) -> int:
        """A number of two bytes. Raises Unread."""
        self.need(at + 2)
        return self.data[at] << 8 | self.data[at + 1]

    @property
    def length(self) -> int:
        """Bytes on the wire."""
        return len(self.data) + self.missing


Opener = Callable[[Packet], Iterable[Packet]]


class Encapsulation(NamedTuple):
    """``opens``: gives what stands inside. ``is_plain``: a protocol of its own, which carries no TCP: no loss where it
    is passed over.
    """

    name: str
    opens: Opener | None = None
    is_plain: bool = False


def fixed(layer: Layer, skip: int) -> Opener:
    """A header of constant length before what is always the same."""
    return lambda packet: (packet.inner(layer, skip),)


def ethertyped(at: int, skip: int) -> Opener:
    """A header of constant length with an EtherType in it."""
    return lambda packet: (typed(packet, at, skip),)


def typed(packet: Packet, at: int, skip: int) -> Packet:
    """What stands behind an EtherType, or, where that is a length, LLC."""
    kind = packet.u16(at)
    return packet.inner((Space.ETHERTYPE, kind) if kind >= LENGTHS else LLC, skip)


def versioned(skip: int) -> Opener:
    """A header of constant length before an IP packet, which tells its version itself."""
    return lambda packet: (ip(packet, skip),)


def ip(packet: Packet, skip: int = 0) -> Packet:
    """An IP packet of either version. Raises Unread where it is neither."""
    inner = packet.inner(IPV4, skip)
    version = inner.data[0] >> 4 if inner.data else 0
    if version == 6:
        return inner._replace(layer=IPV6)
    if version != 4:
        raise Unread("malformed" if inner.data or not inner.missing else "cut")
    return inner


def is_ip(data: bytes, missing: int) -> bool:
    """Whether this is an IP packet, by its lengths: what nothing announces must prove itself."""
    length = len(data) + missing
    if len(data) >= 20 and data[0] >> 4 == 4:
        total = data[2] << 8 | data[3]
        return data[0] & 15 >= 5 and (data[0] & 15) * 4 <= total <= length <= total + TRAILER
    if len(data) >= 40 and data[0] >> 4 == 6:
        payload = data[4] << 8 | data[5]
        return payload > 0 and 40 + payload <= length <= 40 + payload + TRAILER
    return False
