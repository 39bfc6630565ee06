"""IP protocols (IANA) and what GRE carries: tunnels straight on IP."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.wire.encapsulations import (
    ETHERNET,
    IPV4,
    IPV6,
    PPP_FRAME,
    Encapsulation,
    Packet,
    Space,
    Unread,
    fixed,
    ip,
    is_ip,
    versioned,
)
from inspector.wire.ethertypes import EXTENSION_HEADERS, extended, is_ethernet, mpls
from inspector.wire.link_types import C_HDLC

PPP_HEADS = (b"\xff\x03\x00\x21", b"\xff\x03\x00\x57", b"\xff\x03\xc0\x21", b"\x00\x21\x45", b"\x00\x57\x60")
HDLC_HEADS = (b"\x0f\x00\x08\x00", b"\x0f\x00\x86\xdd", b"\x8f\x00\x80\x35", b"\x0f\x00\x80\x35")


def authentication(packet: Packet) -> Iterable[Packet]:
    """An Authentication Header (RFC 4302): it encrypts nothing."""
    kind = packet.u16(0)
    return (extended(packet.inner((Space.IP_PROTOCOL, kind >> 8), ((kind & 255) + 2) * 4)),)


def ether_ip(packet: Packet) -> Iterable[Packet]:
    """RFC 3378; some write the version into the other half of the first byte."""
    if packet.u16(0) not in (0x3000, 0x0300):
        raise Unread("malformed")
    return (packet.inner(ETHERNET, 2),)


def gre(packet: Packet) -> Iterable[Packet]:
    """RFC 2784 and 2890, routing of RFC 1701, version 1 of RFC 2637."""
    flags, kind = packet.u16(0), packet.u16(2)
    if flags & 7 == 1 and kind == 0x6400:  # MikroTik's Ethernet over IP
        return (packet.inner(ETHERNET, 8),)
    if flags & 7 == 1:  # a key always, an acknowledgement where bit 0x80 is set
        return (
            (packet.inner((Space.GRE, kind), 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)),)
            if flags & 0x1000
            else ()
        )
    skip = 4 + sum(4 for bits in (0xC000, 0x2000, 0x1000) if flags & bits)
    if flags & 0x4000:
        while packet.u16(skip + 2) & 255 or packet.u16(skip):
            skip += 4 + (packet.u16(skip + 2) & 255)
        skip += 4
    if kind == 0x88BE and not flags & 0x1000:  # ERSPAN type I has no header of its own
        return (packet.inner(ETHERNET, skip),)
    if kind == 0:
        return ()  # asks whether the other end is alive
    return (packet.inner((Space.GRE, kind), skip),)


def erspan3(packet: Packet) -> Iterable[Packet]:
    """ERSPAN type III (draft-foschiano-erspan), with a subheader where its last bit says so."""
    packet.need(12)
    return (packet.inner(ETHERNET, 20 if packet.data[11] & 1 else 12),)


def wccp(packet: Packet) -> Iterable[Packet]:
    """Redirected packets of WCCP: version 2 puts four bytes before them."""
    return (ip(packet, 0 if packet.data[0] >> 4 in (4, 6) else 4),)


def l2tp3(packet: Packet) -> Iterable[Packet]:
    """L2TPv3 (RFC 3931): session 0 is control. How long cookie and sublayer are was agreed upon elsewhere, so what
    follows must prove itself.
    """
    packet.need(4)
    return () if packet.data[:4] == b"\0\0\0\0" else session(packet, 4)


def session(packet: Packet, at: int) -> Iterable[Packet]:
    """What a session carries, behind a cookie of 0, 4 or 8 bytes and perhaps a sublayer of 4. Raises Unread where it
    cannot be told.
    """
    data, missing = packet.data, packet.missing
    places = (at, at + 4, at + 8, at + 12)
    for skip in places:
        if is_ethernet(data[skip:], missing):
            return (packet.inner(ETHERNET, skip),)
    for skip in places:
        if is_ip(data[skip:], missing):
            return (ip(packet, skip),)
        if data[skip:].startswith(PPP_HEADS):
            return (packet.inner(PPP_FRAME, skip),)
        if data[skip:].startswith(HDLC_HEADS):
            return (packet.inner(C_HDLC, skip),)
    raise Unread("cut" if missing and len(data) < at + 32 else "unknown")


def ethernet_over_ip(packet: Packet) -> Iterable[Packet]:
    """Protocol 143 (RFC 8986, section 9.1): the number of a header of its own, too, where hosts are old."""
    return (packet.inner(ETHERNET, 0),)


def _esp(packet: Packet) -> Iterable[Packet]:
    raise Unread("encrypted")


def _compressed(packet: Packet) -> Iterable[Packet]:
    raise Unread("compressed")


def _extension(packet: Packet) -> Iterable[Packet]:
    return (extended(packet),)


IP_PROTOCOLS: dict[int, Encapsulation] = {
    6: Encapsulation("TCP", lambda packet: (packet,)),
    4: Encapsulation("IPv4", fixed(IPV4, 0)),
    41: Encapsulation("IPv6", fixed(IPV6, 0)),
    47: Encapsulation("GRE", gre),
    50: Encapsulation("ESP", _esp),
    51: Encapsulation("AH", authentication),
    94: Encapsulation("IPIP", versioned(0)),
    97: Encapsulation("EtherIP", ether_ip),
    108: Encapsulation("IPComp", _compressed),
    115: Encapsulation("L2TPv3", l2tp3),
    137: Encapsulation("MPLS", mpls),
    143: Encapsulation("Ethernet", ethernet_over_ip),
    **{
        number: Encapsulation(name, _extension)
        for number, name in zip(
            (*EXTENSION_HEADERS, 44),
            ("Hop-by-Hop", "Route", "Opts", "Mobility", "HIP", "Shim6", "Fragment"),
            strict=True,
        )
    },
    **{
        number: Encapsulation(name, is_plain=True)
        for number, name in (
            *(
                (1, "ICMP"),
                (2, "IGMP"),
                (3, "GGP"),
                (8, "EGP"),
                (9, "IGP"),
                (20, "HMP"),
                (27, "RDP"),
                (33, "DCCP"),
                (46, "RSVP"),
                (54, "NARP"),
                (58, "ICMPv6"),
            ),
            *(
                (59, "no next header"),
                (80, "ISO-IP"),
                (88, "EIGRP"),
                (89, "OSPF"),
                (102, "PNNI"),
                (103, "PIM"),
                (112, "VRRP"),
                (113, "PGM"),
                (121, "SMP"),
            ),
            *(
                (124, "IS-IS"),
                (127, "CRUDP"),
                (132, "SCTP"),
                (133, "FC"),
                (134, "RSVP-E2E-IGNORE"),
                (136, "UDPLite"),
                (138, "manet"),
                (240, "pfsync"),
            ),
        )
    },
}

GRE: dict[int, Encapsulation] = {
    0x88BE: Encapsulation("ERSPAN type II", fixed(ETHERNET, 8)),
    0x22EB: Encapsulation("ERSPAN type III", erspan3),
    0x883E: Encapsulation("WCCP", wccp),
    0x00FE: Encapsulation("OSI", is_plain=True),
    0x0001: Encapsulation("Cisco", is_plain=True),
}
"""Protocols that GRE has for itself; the others are EtherTypes."""
