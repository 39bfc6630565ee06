"""EtherTypes (IANA, IEEE), LLC (IEEE 802.2), protocols of PPP (IANA): the tags and shims between a link and IP."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from inspector.capture.link_types import LinkType
from inspector.wire.encapsulations import (
    ETHERNET,
    IPV4,
    IPV6,
    LABELS,
    LENGTHS,
    LLC,
    MPLS,
    NSH,
    PPP_FRAME,
    Encapsulation,
    Packet,
    Piece,
    Space,
    Unread,
    ethertyped,
    fixed,
    ip,
    is_ip,
    typed,
)

IPV4_HEADER = struct.Struct(">BxHHHxB2x4s4s")
VLAN_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
SERVICE_POINTS = (b"\xaa\xaa\x03", b"\x42\x42\x03", b"\xe0\xe0\x03", b"\xf0\xf0\x03", b"\xfe\xfe\x03", b"\xff\xff\x00")
NSH_PROTOCOLS = {1: IPV4, 2: IPV6, 3: ETHERNET, 4: NSH, 5: MPLS}
EXTENSION_HEADERS = (0, 43, 60, 135, 139, 140)


def is_ethernet(data: bytes, missing: int) -> bool:
    """Whether this is an Ethernet frame, by what it says of its contents."""
    at = 12
    for _ in range(4):
        kind = int.from_bytes(data[at : at + 2], "big")
        if kind not in VLAN_TAGS:
            break
        at += 4
    if len(data) < at + 2:
        return False
    if kind in (0x0800, 0x86DD):
        return is_ip(data[at + 2 :], missing)
    if kind < LENGTHS:
        return 3 <= kind <= len(data) + missing - at - 2 and data[at + 2 : at + 5] in SERVICE_POINTS
    return kind in ETHERTYPES


def ipv4(packet: Packet) -> Iterable[Packet]:
    """RFC 791. A length of 0 is what offloading leaves: the frame says how long the packet is."""
    packet.need(20)
    first, total, ident, position, protocol, source, target = IPV4_HEADER.unpack_from(packet.data)
    header = (first & 15) * 4
    total = total or packet.length
    if first >> 4 != 4 or header < 20 or total < header:
        raise Unread("malformed")
    piece = Piece(ident, (position & 0x1FFF) * 8, bool(position & 0x2000)) if position & 0x3FFF else None
    return (
        Packet(
            (Space.IP_PROTOCOL, protocol),
            packet.data[header:total],
            max(0, total - max(len(packet.data), header)),
            (source, target),
            piece,
        ),
    )


def ipv6(packet: Packet) -> Iterable[Packet]:
    """RFC 8200, with its extension headers; Authentication Headers (RFC 4302) are a protocol of their own."""
    body = packet.inner(packet.layer, 40).data
    if packet.data[0] >> 4 != 6:
        raise Unread("malformed")
    total = packet.u16(4) or packet.length - 40
    missing = max(0, total - len(body))
    inner = Packet((Space.IP_PROTOCOL, packet.data[6]), body[:total], missing, (packet.data[8:24], packet.data[24:40]))
    return (extended(inner),)


def extended(packet: Packet) -> Packet:
    """What stands behind the extension headers, if this is one."""
    ends = packet.ends
    for _ in range(LABELS):
        kind, data = packet.layer[1], packet.data
        if kind == 44:
            position = packet.u16(2)
            packet = packet.inner((Space.IP_PROTOCOL, data[0]), 8)
            if position & 0xFFF9:
                return packet._replace(
                    piece=Piece(int.from_bytes(data[4:8], "big"), position & 0xFFF8, bool(position & 1))
                )
        elif kind in EXTENSION_HEADERS:
            packet = packet.inner((Space.IP_PROTOCOL, packet.u16(0) >> 8), (data[1] + 1) * 8)._replace(ends=ends)
        else:
            return packet
    raise Unread("malformed")


def llc(packet: Packet) -> Iterable[Packet]:
    """SNAP, and IP on a service access point of its own (RFC 1042, RFC 948). The other access points carry no IP."""
    data = packet.data
    if data[:3] == b"\xaa\xaa\x03":
        kind, owner = packet.u16(6), data[3:6]
        if owner in (b"\0\0\0", b"\0\0\xf8"):
            return (packet.inner((Space.ETHERTYPE, kind), 8),)
        if owner == b"\0\x80\xc2" and kind in (1, 7):  # bridged Ethernet (RFC 2684), filled up in ATM
            return (packet.inner(ETHERNET, 8 if is_ethernet(data[8:], packet.missing) else 10),)
        return ()
    packet.need(3)
    return (packet.inner(IPV4, 3),) if data[0] == 6 else ()


def mpls(packet: Packet) -> Iterable[Packet]:
    """RFC 3032. What follows the labels is not said: IP, or Ethernet, perhaps behind a control word (RFC 4448), or the
    associated channel (RFC 4385).
    """
    at = 0
    for _ in range(LABELS):
        at += 4
        packet.need(at + 1)
        if packet.data[at - 2] & 1:
            break
    else:
        raise Unread("malformed")
    data, missing = packet.data[at:], packet.missing
    nibble = data[0] >> 4
    if nibble in (4, 6) and is_ip(data, missing):
        return (ip(packet, at),)
    if nibble == 1:
        return ()
    if nibble == 0 and is_ethernet(data[4:], missing):
        return (packet.inner(ETHERNET, at + 4),)
    if is_ethernet(data, missing):
        return (packet.inner(ETHERNET, at),)
    raise Unread("cut" if missing else "unknown")


def pppoe(packet: Packet) -> Iterable[Packet]:
    """A session of PPPoE (RFC 2516)."""
    packet.need(6)
    return () if packet.data[1] else (packet.inner(PPP_FRAME, 6),)


def macsec(packet: Packet) -> Iterable[Packet]:
    """IEEE 802.1AE; the check value behind it is not looked at."""
    packet.need(6)
    tag = packet.data[0]
    if tag & 0x0C:
        raise Unread("encrypted")
    skip = 14 if tag & 0x20 else 6
    return (typed(packet, skip, skip + 2),)


def trill(packet: Packet) -> Iterable[Packet]:
    """RFC 6325, with its options."""
    return (packet.inner(ETHERNET, 6 + (packet.u16(0) >> 6 & 31) * 4),)


def nsh(packet: Packet) -> Iterable[Packet]:
    """Network Service Header (RFC 8300)."""
    packet.need(8)
    layer = NSH_PROTOCOLS.get(packet.data[3])
    if layer is None:
        raise Unread("unknown")
    return (packet.inner(layer, (packet.data[1] & 63) * 4),)


def cisco_metadata(packet: Packet) -> Iterable[Packet]:
    """Security group tags of Cisco."""
    length = packet.u16(0) & 0xFF
    return (typed(packet, length * 8 - 2, length * 8),)


def multilink(packet: Packet) -> Iterable[Packet]:
    """RFC 1990: a packet that is not divided."""
    if packet.data[0] & 0xC0 != 0xC0:
        raise Unread("fragment")
    return (packet.inner(PPP_FRAME, 4),)


def bridged(packet: Packet) -> Iterable[Packet]:
    """RFC 3518: Ethernet behind flags, perhaps with the LAN's number."""
    if packet.u16(0) & 0xFF != 1:
        raise Unread("unknown")
    return (packet.inner(ETHERNET, 6 if packet.data[0] & 0x40 else 2),)


def _encrypted(packet: Packet) -> Iterable[Packet]:
    raise Unread("encrypted")


def _compressed(packet: Packet) -> Iterable[Packet]:
    raise Unread("compressed")


_TAG = ethertyped(2, 4)
ETHERTYPES: dict[int, Encapsulation] = {
    0x0800: Encapsulation("IPv4", ipv4),
    0x86DD: Encapsulation("IPv6", ipv6),
    0x8100: Encapsulation("802.1Q", _TAG),
    0x88A8: Encapsulation("802.1ad", _TAG),
    0x9100: Encapsulation("QinQ", _TAG),
    0x9200: Encapsulation("QinQ", _TAG),
    0x9300: Encapsulation("QinQ", _TAG),
    0x0004: Encapsulation("802.2 LLC", fixed(LLC, 0)),
    0x22F3: Encapsulation("TRILL", trill),
    0x6558: Encapsulation("Transparent Ethernet Bridging", fixed(ETHERNET, 0)),
    0x6559: Encapsulation("raw Frame Relay", fixed((Space.LINK_TYPE, LinkType.FRELAY), 0)),
    0x8847: Encapsulation("MPLS", mpls),
    0x8848: Encapsulation("MPLS multicast", mpls),
    0x8864: Encapsulation("PPPoE session", pppoe),
    0x880B: Encapsulation("PPP", fixed(PPP_FRAME, 0)),
    0x88E5: Encapsulation("MACsec", macsec),
    0x88E7: Encapsulation("PBB", fixed(ETHERNET, 4)),
    0x8903: Encapsulation("FabricPath", fixed(ETHERNET, 2)),
    0x8909: Encapsulation("Cisco MetaData", cisco_metadata),
    0x8926: Encapsulation("VN-Tag", ethertyped(4, 6)),
    0x892F: Encapsulation("HSR", ethertyped(4, 6)),
    0x893F: Encapsulation("802.1BR E-Tag", ethertyped(6, 8)),
    0x894F: Encapsulation("NSH", nsh),
    0xDADA: Encapsulation("EDSA", ethertyped(6, 8)),
    0x0BAD: Encapsulation("VINES", is_plain=True),
    0x0806: Encapsulation("ARP", is_plain=True),
    0x0842: Encapsulation("Wake-on-LAN", is_plain=True),
    0x2000: Encapsulation("CDP", is_plain=True),
    0x2001: Encapsulation("NHRP", is_plain=True),
    0x22EA: Encapsulation("SRP", is_plain=True),
    0x22F4: Encapsulation("L2-IS-IS", is_plain=True),
    0x6002: Encapsulation("DEC MOP", is_plain=True),
    0x6003: Encapsulation("DECnet", is_plain=True),
    0x6004: Encapsulation("DEC LAT", is_plain=True),
    0x8035: Encapsulation("RARP", is_plain=True),
    0x809B: Encapsulation("AppleTalk", is_plain=True),
    0x80F3: Encapsulation("AARP", is_plain=True),
    0x8102: Encapsulation("SLPP", is_plain=True),
    0x8137: Encapsulation("IPX", is_plain=True),
    0x8138: Encapsulation("IPX", is_plain=True),
    0x8204: Encapsulation("QNX", is_plain=True),
    0x8808: Encapsulation("Ethernet flow control", is_plain=True),
    0x8809: Encapsulation("slow protocols", is_plain=True),
    0x8819: Encapsulation("CobraNet", is_plain=True),
    0x8861: Encapsulation("MCAP", is_plain=True),
    0x8863: Encapsulation("PPPoE discovery", is_plain=True),
    0x8874: Encapsulation("Broadcom", is_plain=True),
    0x887B: Encapsulation("HomePlug", is_plain=True),
    0x888E: Encapsulation("EAPOL", is_plain=True),
    0x8892: Encapsulation("PROFINET", is_plain=True),
    0x8899: Encapsulation("Realtek", is_plain=True),
    0x889A: Encapsulation("HyperSCSI", is_plain=True),
    0x88A2: Encapsulation("ATA over Ethernet", is_plain=True),
    0x88A4: Encapsulation("EtherCAT", is_plain=True),
    0x88AB: Encapsulation("Ethernet Powerlink", is_plain=True),
    0x88B8: Encapsulation("GOOSE", is_plain=True),
    0x88B9: Encapsulation("GSE", is_plain=True),
    0x88BA: Encapsulation("Sampled Values", is_plain=True),
    0x88BF: Encapsulation("MikroTik RoMON", is_plain=True),
    0x88C7: Encapsulation("802.11 pre-authentication", is_plain=True),
    0x88CA: Encapsulation("TIPC", is_plain=True),
    0x88CC: Encapsulation("LLDP", is_plain=True),
    0x88CD: Encapsulation("SERCOS III", is_plain=True),
    0x88D9: Encapsulation("LLTD", is_plain=True),
    0x88E1: Encapsulation("HomePlug AV", is_plain=True),
    0x88E3: Encapsulation("MRP", is_plain=True),
    0x88F5: Encapsulation("MVRP", is_plain=True),
    0x88F6: Encapsulation("MMRP", is_plain=True),
    0x88F7: Encapsulation("PTP", is_plain=True),
    0x88FB: Encapsulation("PRP supervision", is_plain=True),
    0x8902: Encapsulation("CFM", is_plain=True),
    0x8906: Encapsulation("FCoE", is_plain=True),
    0x890D: Encapsulation("802.11 management", is_plain=True),
    0x8914: Encapsulation("FIP", is_plain=True),
    0x8915: Encapsulation("RoCE", is_plain=True),
    0x891D: Encapsulation("TTEthernet", is_plain=True),
    0x893A: Encapsulation("IEEE 1905", is_plain=True),
    0x8940: Encapsulation("ECP", is_plain=True),
    0x9000: Encapsulation("loopback test", is_plain=True),
    0x9003: Encapsulation("loop detection", is_plain=True),
}

PPP: dict[int, Encapsulation] = {
    0x21: Encapsulation("IPv4", fixed(IPV4, 0)),
    0x57: Encapsulation("IPv6", fixed(IPV6, 0)),
    0x31: Encapsulation("bridging", bridged),
    0x3D: Encapsulation("multilink", multilink),
    0x281: Encapsulation("MPLS", fixed(MPLS, 0)),
    0x283: Encapsulation("MPLS multicast", fixed(MPLS, 0)),
    0x2D: Encapsulation("Van Jacobson compressed TCP/IP", _compressed),
    0x2F: Encapsulation("Van Jacobson uncompressed TCP/IP", _compressed),
    0x53: Encapsulation("encryption", _encrypted),
    0x55: Encapsulation("encryption of a link", _encrypted),
    0xFB: Encapsulation("compression of a link", _compressed),
    0xFD: Encapsulation("compressed datagram", _compressed),
    **{
        number: Encapsulation(name, is_plain=True)
        for number, name in (
            (0x23, "OSI"),
            (0x25, "XNS"),
            (0x27, "DECnet"),
            (0x29, "AppleTalk"),
            (0x2B, "IPX"),
            (0x35, "VINES"),
            (0x3F, "NetBIOS"),
        )
    },
}
PPP_CONTROL = 0x4000
"""From here on protocols of PPP negotiate and carry nothing (RFC 1661, section 2)."""
