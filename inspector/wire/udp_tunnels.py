"""UDP: tunnels by their port (IANA), and on any port where the content proves one.

A port alone proves little, for any client may have it for a moment. So each opener holds what it reads against its own
header strictly. A datagram to a tunnel's port that is none of its kind counts as not opened only where the other port
is no service's either.
"""

from __future__ import annotations

from collections.abc import Iterable

from inspector.wire.encapsulations import (
    ETHERNET,
    IEEE80211,
    IPV4,
    IPV6,
    MPLS,
    NSH,
    PPP_FRAME,
    SWAPPED,
    Encapsulation,
    Packet,
    Piece,
    Space,
    Unread,
    fixed,
    ip,
    is_ip,
    typed,
)
from inspector.wire.ethertypes import is_ethernet, mpls
from inspector.wire.ip_tunnels import session
from inspector.wire.link_types import AVS, PRISM

WELL_KNOWN = 1024
MIDDLE = 16_384
"""From here on ports are taken by anybody for a moment: what is no tunnel there is none."""

PROTOCOLS = {1: IPV4, 2: IPV6, 3: ETHERNET, 4: NSH, 5: MPLS}
"""Of VXLAN-GPE and LISP-GPE."""

BRIDGED = (Space.ETHERTYPE, 0x6558)
TZSP_PROTOCOLS = {1: ETHERNET, 18: IEEE80211, 119: PRISM, 127: AVS}


def udp(packet: Packet) -> Iterable[Packet]:
    """RFC 768. Nothing, where this is no tunnel."""
    packet.need(8)
    source, target, length = packet.u16(0), packet.u16(2), packet.u16(4)
    body = packet.inner((Space.UDP_PORT, target), 8)
    if 8 <= length < packet.length:
        body = body._replace(data=body.data[: length - 8], missing=max(0, length - 8 - len(body.data)))
    failed: Unread | None = None
    for port, other in ((target, source), (source, target)):
        entry = UDP_PORTS.get(port)
        if entry is None or entry.opens is None:
            continue
        try:
            return entry.opens(body._replace(layer=(Space.UDP_PORT, port)))
        except (Unread, IndexError) as error:
            why = error.why if isinstance(error, Unread) else "cut" if body.missing else "malformed"
            is_service = other < WELL_KNOWN and other != port
            if not is_service and (
                why in ("encrypted", "cut") or (port == target and (why != "malformed" or port < MIDDLE))
            ):
                failed = failed or Unread(why, (Space.UDP_PORT, port))
    for opens in (gtp, vxlan, geneve):
        try:
            packets = tuple(opens(body))
        except (Unread, IndexError):
            continue
        if packets and all(_proves_itself(inner) for inner in packets):
            return packets
    if failed is not None and body.length:
        raise failed
    return ()


def _proves_itself(inner: Packet) -> bool:
    if inner.layer in (ETHERNET, BRIDGED):
        return is_ethernet(inner.data, inner.missing)
    return inner.layer in (IPV4, IPV6) and is_ip(inner.data, inner.missing)


def vxlan(packet: Packet) -> Iterable[Packet]:
    """RFC 7348; with a group policy or a tenant of others the flags are more."""
    packet.need(9)
    if not packet.data[0] & 0x08 or packet.data[7]:
        raise Unread("malformed")
    return (_ethernet(packet, 8),)


def vxlan_gpe(packet: Packet) -> Iterable[Packet]:
    """draft-ietf-nvo3-vxlan-gpe."""
    packet.need(9)
    if not packet.data[0] & 0x08:
        raise Unread("malformed")
    if not packet.data[0] & 0x04:
        return (_ethernet(packet, 8),)
    layer = PROTOCOLS.get(packet.data[3])
    if layer is None:
        raise Unread("unknown")
    return (packet.inner(layer, 8),)


def geneve(packet: Packet) -> Iterable[Packet]:
    """RFC 8926."""
    packet.need(8)
    if packet.data[0] >> 6 or packet.data[7]:
        raise Unread("malformed")
    if packet.data[1] & 0x80:
        return ()  # control
    return (typed(packet, 2, 8 + (packet.data[0] & 63) * 4),)


def gtp(packet: Packet) -> Iterable[Packet]:
    """GTP-U (3GPP TS 29.281): a packet of a user, behind extension headers."""
    packet.need(8)
    data = packet.data
    if data[0] >> 4 != 3 or packet.u16(2) + 8 != packet.length:
        raise Unread("malformed")
    if data[1] != 255:
        return ()  # asks, answers, errors
    at = 12 if data[0] & 7 else 8
    if data[0] & 4:
        following = data[11]
        while following:
            length = data[at] * 4
            if not length:
                raise Unread("malformed")
            following = data[at + length - 1]
            at += length
    return (packet.inner(ETHERNET, at),) if is_ethernet(data[at:], packet.missing) else (ip(packet, at),)


def l2tp(packet: Packet) -> Iterable[Packet]:
    """L2TPv2 (RFC 2661) and v3 (RFC 3931)."""
    flags, at = packet.u16(0), 2
    version = flags & 15
    if version not in (2, 3):
        raise Unread("malformed")
    if flags & 0x8000:
        return ()
    if version == 3:
        return session(packet, 8)
    at += 4 + (2 if flags & 0x4000 else 0) + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        at += 2 + packet.u16(at)
    return (packet.inner(PPP_FRAME, at),)


def lisp(packet: Packet) -> Iterable[Packet]:
    """RFC 9300, and RFC 9305 where its protocol is said."""
    packet.need(9)
    if packet.data[0] & 0x04:
        layer = PROTOCOLS.get(packet.data[3])
        if layer is None:
            raise Unread("unknown")
        return (packet.inner(layer, 8),)
    return (_proven(packet, 8),)


def teredo(packet: Packet) -> Iterable[Packet]:
    """RFC 4380: IPv6 behind an authentication and an origin."""
    at = 0
    if packet.u16(at) == 1:
        at += 13 + packet.data[2] + packet.data[3]
    if packet.u16(at) == 0:
        at += 8
    return (ip(packet, at),)


def capwap(packet: Packet) -> Iterable[Packet]:
    """Data of CAPWAP (RFC 5415, section 4.3): IEEE 802.3 or 802.11, perhaps in fragments; DTLS encrypts."""
    packet.need(8)
    head = int.from_bytes(packet.data[:4], "big")
    if head >> 24 == 1:
        raise Unread("encrypted")
    if head >> 24 or head & 8:
        if head >> 24:
            raise Unread("malformed")
        return ()  # keeps the channel alive
    inner = packet.inner(SWAPPED if head & 0x100 else ETHERNET, (head >> 19 & 31) * 4)
    if head & 0x80:
        position = packet.u16(6)
        inner = inner._replace(piece=Piece(packet.u16(4), position >> 3 << 3, not head & 0x40))
    return (inner,)


def lwapp(packet: Packet) -> Iterable[Packet]:
    """Data of LWAPP (RFC 5412)."""
    packet.need(6)
    if packet.data[0] & 4:
        return ()
    if packet.data[0] & 3 == 2 or packet.data[0] & 3 == 3:
        raise Unread("fragment")
    return (packet.inner(SWAPPED, 6),)


def tzsp(packet: Packet) -> Iterable[Packet]:
    """TaZmen Sniffer Protocol: a frame behind tagged fields."""
    packet.need(4)
    if packet.data[0] != 1 or packet.data[1] > 5:
        raise Unread("malformed")
    if packet.data[1] > 1:
        return ()
    layer = TZSP_PROTOCOLS.get(packet.u16(2))
    if layer is None:
        raise Unread("unknown")
    at = 4
    while packet.data[at] != 1:
        at += 2 + packet.data[at + 1] if packet.data[at] else 1
    return (packet.inner(layer, at + 1),)


def gue(packet: Packet) -> Iterable[Packet]:
    """Generic UDP Encapsulation (draft-ietf-intarea-gue)."""
    packet.need(4)
    version = packet.data[0] >> 6
    if version == 1 and is_ip(packet.data, packet.missing):
        return (ip(packet),)
    if version or packet.data[0] & 0x20:
        raise Unread("malformed")
    return (packet.inner((Space.IP_PROTOCOL, packet.data[1]), 4 + (packet.data[0] & 31) * 4),)


def esp(packet: Packet) -> Iterable[Packet]:
    """RFC 3948: IKE begins with zeros, and a single byte keeps a translation alive."""
    if packet.missing:
        packet.need(4)
    if packet.data[:4] in (b"\xff", b"\0\0\0\0") or packet.length < 16:
        return ()
    raise Unread("encrypted")


def mirrored(packet: Packet) -> Iterable[Packet]:
    """Juniper's packet mirroring."""
    return (_proven(packet, 8),)


def wireguard(packet: Packet) -> Iterable[Packet]:
    """Its transport data; handshakes carry nothing."""
    if packet.data[:4] == b"\4\0\0\0":
        raise Unread("encrypted")
    return ()


def openvpn(packet: Packet) -> Iterable[Packet]:
    """Its data packets, by their operation code."""
    if packet.data and packet.data[0] >> 3 in (6, 9):
        raise Unread("encrypted")
    return ()


def _ethernet(packet: Packet, skip: int) -> Packet:
    """An Ethernet frame that looks like one; what is cut short cannot be held to that."""
    if not packet.missing and not is_ethernet(packet.data[skip:], 0):
        raise Unread("malformed")
    return packet.inner(ETHERNET, skip)


def _proven(packet: Packet, skip: int) -> Packet:
    """An IP packet whose lengths hold."""
    if not is_ip(packet.data[skip:], packet.missing):
        raise Unread("cut" if packet.missing and len(packet.data) < skip + 40 else "malformed")
    return ip(packet, skip)


def dtls(packet: Packet) -> Iterable[Packet]:
    """Whatever stands in it."""
    packet.need(2)
    raise Unread("encrypted" if packet.data[0] in range(20, 26) and packet.data[1] == 0xFE else "malformed")


UDP_PORTS: dict[int, Encapsulation] = {
    1194: Encapsulation("OpenVPN", openvpn),
    1701: Encapsulation("L2TP", l2tp),
    2152: Encapsulation("GTP-U", gtp),
    3544: Encapsulation("Teredo", teredo),
    4341: Encapsulation("LISP", lisp),
    4500: Encapsulation("ESP in UDP", esp),
    4754: Encapsulation("GRE in UDP", fixed((Space.IP_PROTOCOL, 47), 0)),
    4755: Encapsulation("GRE in UDP with DTLS", dtls),
    4789: Encapsulation("VXLAN", vxlan),
    4790: Encapsulation("VXLAN-GPE", vxlan_gpe),
    5247: Encapsulation("CAPWAP", capwap),
    6080: Encapsulation("GUE", gue),
    6081: Encapsulation("Geneve", geneve),
    6635: Encapsulation("MPLS in UDP", mpls),
    6636: Encapsulation("MPLS in UDP with DTLS", dtls),
    8472: Encapsulation("VXLAN", vxlan),
    12222: Encapsulation("LWAPP", lwapp),
    30030: Encapsulation("Juniper mirroring", mirrored),
    37008: Encapsulation("TZSP", tzsp),
    48879: Encapsulation("VXLAN", vxlan),
    51820: Encapsulation("WireGuard", wireguard),
}
