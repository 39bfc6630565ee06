"""An Ethernet frame put into every encapsulation that is read: what the table in the program is held against. Checked
with tshark, which reads all of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

Wrap = Callable[[bytes], bytes]
MACS = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02"


def u16(*values: int) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)


def ip_of(frame: bytes) -> bytes:
    """The IP packet of an Ethernet frame."""
    return frame[14:]


def version(frame: bytes) -> int:
    return frame[14] >> 4


def kind(frame: bytes) -> bytes:
    return frame[12:14]


def ethernet(ethertype: int, body: bytes) -> bytes:
    return MACS + u16(ethertype) + body


def ipv4(protocol: int, body: bytes, ident: int = 7, position: int = 0) -> bytes:
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), ident, position, 64, protocol, 0, b"\xc0\0\x02\x01", b"\xc0\0\x02\x02"
    )
    return head + body


def ipv6(protocol: int, body: bytes) -> bytes:
    return (
        struct.pack(
            ">IHBB16s16s", 6 << 28, len(body), protocol, 64, b"\xfd" + bytes(14) + b"\1", b"\xfd" + bytes(14) + b"\2"
        )
        + body
    )


def udp(port: int, body: bytes, source: int = 50_000) -> bytes:
    return u16(source, port, 8 + len(body), 0) + body


def over_ip(protocol: int, make: Wrap) -> Wrap:
    return lambda frame: ethernet(0x0800, ipv4(protocol, make(frame)))


def over_udp(port: int, make: Wrap, source: int = 50_000) -> Wrap:
    return over_ip(17, lambda frame: udp(port, make(frame), source))


def tagged(ethertype: int, tag: bytes) -> Wrap:
    """A tag between the addresses and the frame's own EtherType."""
    return lambda frame: MACS + u16(ethertype) + tag + kind(frame) + ip_of(frame)


def before(head: bytes) -> Wrap:
    return lambda frame: head + ip_of(frame)


def framed(head: bytes) -> Wrap:
    return lambda frame: head + frame


def snap(frame: bytes) -> bytes:
    return b"\xaa\xaa\x03\0\0\0" + kind(frame) + ip_of(frame)


def wlan(frame: bytes, control: bytes = b"\x08\x01", behind: bytes = b"") -> bytes:
    return control + b"\0\0" + MACS + b"\x02\0\0\0\0\x03" + b"\x10\0" + behind + snap(frame)


def aggregate(frame: bytes) -> bytes:
    """Two frames in one of 802.11: some other protocol, then ours."""
    inner = [b"\xaa\xaa\x03\0\0\0\x08\x06" + bytes(28), snap(frame)]
    parts = [MACS + u16(len(body)) + body for body in inner]
    parts[0] += bytes(-len(parts[0]) % 4)
    return wlan(frame, b"\x88\x01", b"\x80\0")[:26] + b"".join(parts)


def radiotap(frame: bytes) -> bytes:
    return b"\0\0\x0c\0\x04\0\0\0\x02\0\0\0" + wlan(frame)


def prism(frame: bytes) -> bytes:
    return struct.pack("<II", 0x44, 144) + b"wlan0".ljust(16, b"\0") + bytes(120) + wlan(frame)


def avs(frame: bytes) -> bytes:
    return b"\x80\x21\x10\x01" + struct.pack(">I", 64) + bytes(56) + wlan(frame)


def ppp(frame: bytes) -> bytes:
    return (b"\0\x21" if version(frame) == 4 else b"\0\x57") + ip_of(frame)


def nflog(frame: bytes) -> bytes:
    def attribute(number: int, value: bytes) -> bytes:
        return struct.pack("<HH", 4 + len(value), number) + value + bytes(-len(value) % 4)

    family = b"\x02" if version(frame) == 4 else b"\x0a"
    return family + b"\0\0\0" + attribute(10, b"log\0") + attribute(1, b"\x08\0\x01\0") + attribute(9, ip_of(frame))


def pktap(frame: bytes) -> bytes:
    head = struct.pack("<III", 108, 1, 1) + b"en0".ljust(24, b"\0")
    return head.ljust(108, b"\0") + frame


def pflog(frame: bytes) -> bytes:
    head = bytes([61, 2 if version(frame) == 4 else 24, 0, 0]) + b"em0".ljust(16, b"\0")
    return head.ljust(64, b"\0") + ip_of(frame)


def token_ring(frame: bytes) -> bytes:
    return b"\x10\x40" + MACS[:6] + b"\x82" + MACS[7:] + b"\x06\x30\0\x11\0\x20" + snap(frame)


def fddi(frame: bytes) -> bytes:
    return b"\x50" + MACS + snap(frame)


def isl(frame: bytes) -> bytes:
    body = b"\xaa\xaa\x03\0\0\x0c" + u16(3, 0, 0) + frame + bytes(4)
    return b"\x01\0\x0c\0\0\0" + MACS[6:] + u16(len(body)) + body


def length_and_snap(frame: bytes) -> bytes:
    body = snap(frame)
    return MACS + u16(min(len(body), 1500)) + body


def pppoe(frame: bytes) -> bytes:
    body = ppp(frame)
    return b"\x11\0\0\x07" + u16(len(body)) + body


def nsh(next_protocol: int) -> bytes:
    return b"\0\x46\x01" + bytes([next_protocol]) + b"\0\0\x01\xff" + bytes(16)


def macsec(frame: bytes) -> bytes:
    return b"\x20\0\0\0\0\x09" + MACS[:6] + b"\0\x01" + kind(frame) + ip_of(frame) + bytes(16)


def l2tp2(frame: bytes) -> bytes:
    return b"\x40\x02" + u16(12 + len(ppp(frame)) - 2, 5, 6) + b"\xff\x03" + ppp(frame)


def l2tp3(frame: bytes) -> bytes:
    return struct.pack(">I", 77) + b"cookie!!" + frame


def gtp(frame: bytes) -> bytes:
    return b"\x30\xff" + u16(len(ip_of(frame))) + b"\0\0\0\x09" + ip_of(frame)


def gtp_extended(frame: bytes) -> bytes:
    body = b"\0\0\0\x85\x01\0\x05\0" + ip_of(frame)
    return b"\x34\xff" + u16(len(body)) + b"\0\0\0\x09" + body


def vxlan(frame: bytes) -> bytes:
    return b"\x08\0\0\0\0\0\x05\0" + frame


def gpe(frame: bytes) -> bytes:
    return b"\x0c\0\0" + (b"\x01" if version(frame) == 4 else b"\x02") + b"\0\0\x05\0" + ip_of(frame)


def geneve(frame: bytes) -> bytes:
    return b"\x01\0\x65\x58\0\0\x05\0" + b"\0\x01\x01\0" + frame


def mpls(frame: bytes) -> bytes:
    return b"\0\x01\0\x40\0\x02\x01\x40" + ip_of(frame)


def pseudowire(frame: bytes) -> bytes:
    return b"\0\x01\x01\x40" + b"\0\0\0\x09" + frame


def capwap(frame: bytes) -> bytes:
    return b"\0\x10\x02\0\0\0\0\0" + frame


def capwap_wlan(frame: bytes) -> bytes:
    return b"\0\x10\x43\0\0\0\0\0" + wlan(frame, b"\x01\x08")


def lisp(frame: bytes) -> bytes:
    return b"\x88" + b"\x12\x34\x56" + b"\0\0\0\1" + ip_of(frame)


def tzsp(frame: bytes) -> bytes:
    return b"\x01\0\0\x01" + b"\x0a\x01\x20" + b"\0" + b"\x01" + frame


def tzsp_wlan(frame: bytes) -> bytes:
    return b"\x01\0\0\x12" + b"\x01" + wlan(frame)


def teredo(frame: bytes) -> bytes:
    inner = ip_of(frame) if version(frame) == 6 else ipv6(4, ip_of(frame))
    return b"\0\0\x11\x22\x33\x44\x55\x66" + inner


def gre(flags: int, protocol: int | None, rest: bytes, body: Wrap) -> Wrap:
    return over_ip(
        47,
        lambda frame: (
            u16(flags, int.from_bytes(kind(frame), "big") if protocol is None else protocol) + rest + body(frame)
        ),
    )


def authenticated(frame: bytes) -> bytes:
    return bytes([4 if version(frame) == 4 else 41, 4, 0, 0]) + struct.pack(">II", 256, 1) + bytes(12) + ip_of(frame)


def own_protocol(frame: bytes) -> int:
    return 4 if version(frame) == 4 else 41


def extended(frame: bytes) -> bytes:
    """Hop-by-hop options, routing, destination options, then IP in IP."""
    body = bytes([own_protocol(frame), 0]) + b"\1\4\0\0\0\0" + ip_of(frame)
    body = b"\x3c\0\0\0\0\0\0\0" + body
    return ethernet(0x86DD, ipv6(0, b"\x2b\0\1\4\0\0\0\0" + body))


def frame_relay_snap(frame: bytes) -> bytes:
    return b"\x18\x41\x03\0\x80\0\0\0" + kind(frame) + ip_of(frame)


def atm(frame: bytes) -> bytes:
    return b"\x02\x00\x00\x01" + snap(frame)


def erf(frame: bytes) -> bytes:
    return bytes(8) + b"\x82\x04" + u16(26 + len(frame), 0, len(frame)) + b"\x05" + bytes(7) + b"\0\0" + frame


SLL = b"\0\0\0\x01\0\x06" + MACS[:6] + b"\0\0"
ENCAPSULATIONS: dict[str, tuple[int, Wrap]] = {
    "Ethernet": (1, lambda frame: frame),
    "NULL": (0, lambda f: (b"\2\0\0\0" if version(f) == 4 else b"\x1e\0\0\0") + ip_of(f)),
    "LOOP": (108, lambda f: (b"\0\0\0\2" if version(f) == 4 else b"\0\0\0\x18") + ip_of(f)),
    "RAW": (101, ip_of),
    "IPV4": (228, ip_of),
    "SLL": (113, lambda f: SLL + kind(f) + ip_of(f)),
    "SLL2": (276, lambda f: kind(f) + b"\0\0\0\0\0\2\0\1\0\6" + MACS[:6] + b"\0\0" + ip_of(f)),
    "SLL with LLC": (113, lambda f: SLL + b"\0\4" + snap(f)),
    "Token Ring": (6, token_ring),
    "PPP": (9, lambda f: b"\xff\x03" + ppp(f)),
    "PPP without address": (9, ppp),
    "PPP short": (9, lambda f: ppp(f)[1:]),
    "PPP multilink": (9, lambda f: b"\xff\x03\0\x3d\xc0\0\0\x01" + ppp(f)),
    "PPP bridging": (9, lambda f: b"\xff\x03\0\x31\0\x01" + f),
    "PPP MPLS": (9, lambda f: b"\xff\x03\x02\x81" + mpls(f)),
    "FDDI": (10, fddi),
    "PPP_HDLC": (50, lambda f: b"\xff\x03" + ppp(f)),
    "PPP_HDLC of Cisco": (50, lambda f: b"\x0f\0" + kind(f) + ip_of(f)),
    "PPP_ETHER": (51, pppoe),
    "ATM_RFC1483": (100, snap),
    "C_HDLC": (104, lambda f: b"\x0f\0" + kind(f) + ip_of(f)),
    "802.11": (105, wlan),
    "802.11 QoS": (105, lambda f: wlan(f, b"\x88\x02", b"\0\0")),
    "802.11 between access points": (105, lambda f: wlan(f, b"\x88\x03", MACS[:6] + b"\0\0")),
    "802.11 aggregate": (105, aggregate),
    "FRELAY": (107, lambda f: b"\x18\x41\x03" + (b"\xcc" if version(f) == 4 else b"\x8e") + ip_of(f)),
    "FRELAY with SNAP": (107, frame_relay_snap),
    "ENC": (109, lambda f: struct.pack("<III", 2 if version(f) == 4 else 24, 1, 0) + ip_of(f)),
    "PFLOG": (117, pflog),
    "Prism": (119, prism),
    "IP over Fibre Channel": (122, lambda f: b"\0\0" + MACS[:6] + b"\0\0" + MACS[6:] + snap(f)),
    "SUNATM": (123, atm),
    "radiotap": (127, radiotap),
    "IEEE 1394": (138, lambda f: bytes(16) + kind(f) + ip_of(f)),
    "DOCSIS": (143, lambda f: b"\0\0" + u16(len(f)) + b"\0\0" + f),
    "PKTAP as USER2": (149, pktap),
    "AVS": (163, avs),
    "PPP_PPPD": (166, lambda f: b"\x01\x03" + ppp(f)),
    "PPI": (192, lambda f: b"\0\0\x08\0\1\0\0\0" + f),
    "PPI with 802.11": (192, lambda f: b"\0\0\x08\0\x69\0\0\0" + wlan(f)),
    "ERF": (197, erf),
    "PPP_WITH_DIR": (204, lambda f: b"\0\xff\x03" + ppp(f)),
    "C_HDLC_WITH_DIR": (205, lambda f: b"\0\x0f\0" + kind(f) + ip_of(f)),
    "FRELAY_WITH_DIR": (206, lambda f: b"\0" + frame_relay_snap(f)),
    "MPLS": (219, mpls),
    "IPNET": (226, lambda f: b"\1" + (b"\2" if version(f) == 4 else b"\x1a") + bytes(22) + ip_of(f)),
    "NFLOG": (239, nflog),
    "NETANALYZER": (240, lambda f: b"\0\x10\x40\0" + f + bytes(4)),
    "IPOIB": (242, lambda f: bytes(40) + kind(f) + b"\0\0" + ip_of(f)),
    "PKTAP": (258, pktap),
    "DSA of Broadcom": (281, lambda f: MACS + b"\0\0\0\1" + f[12:]),
    "DSA of Broadcom in front": (282, framed(b"\0\0\0\1")),
    "LLC and SNAP": (1, length_and_snap),
    "ISL": (1, isl),
    "802.1Q": (1, tagged(0x8100, b"\0\x07")),
    "three tags": (1, tagged(0x88A8, b"\0\x07\x81\0\0\x08\x81\0\0\x09")),
    "802.1Q and LLC": (1, lambda f: MACS + b"\x81\0\0\x07" + length_and_snap(f)[12:]),
    "VN-Tag": (1, tagged(0x8926, b"\x80\0\0\0")),
    "802.1BR": (1, tagged(0x893F, bytes(6))),
    "PBB": (1, lambda f: ethernet(0x88E7, b"\0\0\0\x64" + f)),
    "PBB behind 802.1ad": (1, lambda f: ethernet(0x88A8, b"\0\x07\x88\xe7\0\0\0\x64" + f)),
    "TRILL": (1, lambda f: ethernet(0x22F3, b"\0\x3e\0\1\0\2" + f)),
    "NSH with Ethernet": (1, lambda f: ethernet(0x894F, nsh(3) + f)),
    "NSH with IP": (1, lambda f: ethernet(0x894F, nsh(1 if version(f) == 4 else 2) + ip_of(f))),
    "MACsec": (1, lambda f: ethernet(0x88E5, macsec(f))),
    "HSR": (1, tagged(0x892F, b"\0\x40\0\1")),
    "PRP": (1, lambda f: f + u16(1, 0xA000 | len(f), 0x88FB)),
    "Cisco MetaData": (1, tagged(0x8909, b"\1\1\0\1\0\x09")),
    "PPPoE": (1, lambda f: ethernet(0x8864, pppoe(f))),
    "MPLS on Ethernet": (1, lambda f: ethernet(0x8847, mpls(f))),
    "pseudowire": (1, lambda f: ethernet(0x8847, pseudowire(f))),
    "FabricPath": (1, lambda f: ethernet(0x8903, b"\0\x41" + f)),
    "IP in IP": (1, lambda f: ethernet(0x0800, ipv4(own_protocol(f), ip_of(f)))),
    "6in6": (1, lambda f: ethernet(0x86DD, ipv6(own_protocol(f), ip_of(f)))),
    "extension headers": (1, extended),
    "AH": (1, over_ip(51, authenticated)),
    "AH of IPv6": (1, lambda f: ethernet(0x86DD, ipv6(51, authenticated(f)))),
    "EtherIP": (1, over_ip(97, framed(b"\x30\0"))),
    "L2TPv3": (1, over_ip(115, l2tp3)),
    "MPLS in IP": (1, over_ip(137, mpls)),
    "GRE": (1, gre(0, None, b"", ip_of)),
    "GRE with checksum, key and number": (1, gre(0xB000, None, bytes(12), ip_of)),
    "GRE with Ethernet": (1, gre(0x2000, 0x6558, b"\0\0\0\7", lambda f: f)),
    "ERSPAN I": (1, gre(0, 0x88BE, b"", lambda f: f)),
    "ERSPAN II": (1, gre(0x1000, 0x88BE, bytes(4) + b"\x10\x01\0\x01\0\0\0\0", lambda f: f)),
    "ERSPAN III": (1, gre(0x1000, 0x22EB, bytes(4) + b"\x20\x01\0\x01" + bytes(8), lambda f: f)),
    "NVGRE": (1, gre(0x2000, 0x6558, b"\0\x13\x88\1", lambda f: f)),
    "WCCP 1": (1, gre(0, 0x883E, b"", ip_of)),
    "WCCP 2": (1, gre(0, 0x883E, b"\0\1\0\0", ip_of)),
    "PPTP": (1, over_ip(47, lambda f: u16(0x3001, 0x880B, len(ppp(f)), 7) + b"\0\0\0\1" + ppp(f))),
    "EoIP": (1, over_ip(47, lambda f: u16(0x2001, 0x6400, len(f)) + b"\7\0" + f)),
    "L2TP": (1, over_udp(1701, l2tp2)),
    "L2TPv3 in UDP": (1, over_udp(1701, lambda f: b"\0\x03\0\0" + l2tp3(f))),
    "GTP-U": (1, over_udp(2152, gtp)),
    "GTP-U with extensions": (1, over_udp(2152, gtp_extended)),
    "GTP-U on another port": (1, over_udp(9999, gtp)),
    "Teredo": (1, over_udp(50_001, teredo, 3544)),
    "LISP": (1, over_udp(4341, lisp)),
    "GRE in UDP": (1, over_udp(4754, lambda f: b"\0\0" + kind(f) + ip_of(f))),
    "VXLAN": (1, over_udp(4789, vxlan)),
    "VXLAN on another port": (1, over_udp(14_789, vxlan)),
    "VXLAN-GPE": (1, over_udp(4790, gpe)),
    "VXLAN-GPE with NSH": (1, over_udp(4790, lambda f: b"\x0c\0\0\x04\0\0\x05\0" + nsh(3) + f)),
    "Geneve": (1, over_udp(6081, geneve)),
    "Geneve on another port": (1, over_udp(16_081, geneve)),
    "CAPWAP": (1, over_udp(5247, capwap)),
    "CAPWAP with 802.11": (1, over_udp(5247, capwap_wlan)),
    "GUE": (1, over_udp(6080, lambda f: b"\0" + bytes([own_protocol(f)]) + b"\0\0" + ip_of(f))),
    "MPLS in UDP": (1, over_udp(6635, mpls)),
    "VXLAN of Linux": (1, over_udp(8472, vxlan)),
    "LWAPP": (1, over_udp(12_222, lambda f: b"\0\0" + u16(len(wlan(f)), 0) + wlan(f, b"\x01\x08"))),
    "TZSP": (1, over_udp(37_008, tzsp)),
    "TZSP with 802.11": (1, over_udp(37_008, tzsp_wlan)),
    "VXLAN in GTP in GRE": (
        1,
        gre(0, 0x0800, b"", lambda f: ip_of(over_udp(2152, lambda g: gtp(over_udp(4789, vxlan)(g)))(f))),
    ),
}


def in_fragments(size: int, wrap: Wrap = lambda frame: frame) -> Callable[[bytes], list[bytes]]:
    """The frame's IP packet in pieces of so many bytes, the last first."""

    def make(frame: bytes) -> list[bytes]:
        outer = wrap(frame)
        head, body = outer[14:34], outer[34:]
        pieces = []
        ident = zlib.crc32(outer) & 0xFFFF
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            more = 0x2000 if at + size < len(body) else 0
            pieces.append(outer[:14] + head[:2] + u16(20 + len(piece), ident, more | at // 8) + head[8:] + piece)
        return pieces[::-1]

    return make
