"""Headers around packets, opener by opener: what stands inside, or why that cannot be told."""

from __future__ import annotations

import struct

import pytest

from inspector.capture.link_types import LinkType
from inspector.wire import ethertypes, ip_tunnels, link_types, udp_tunnels
from inspector.wire.encapsulations import (
    ETHERNET,
    IEEE80211,
    IPV4,
    IPV6,
    LLC,
    MPLS,
    PPP_FRAME,
    Layer,
    Opener,
    Packet,
    Piece,
    Space,
    Unread,
)
from inspector.wire.link_types import AVS, C_HDLC, PRISM
from tests.build import CLIENT, Flow, ethernet
from tests.encapsulations import ipv4, ipv6, udp

FRAME = ethernet(Flow(1, 0, CLIENT).open().segments[0])
IP4 = FRAME[14:]
IP6 = ipv6(6, IP4[20:])
ANY: Layer = (Space.OTHER, 0)
BRIDGED: Layer = (Space.ETHERTYPE, 0x6558)
SNAP = b"\xaa\xaa\x03"
NSH: Layer = (Space.ETHERTYPE, 0x894F)
GTP, GTP_EXTENDED = b"\x30\xff", b"\x34\xff"
DATA80211 = b"\x88\x01" + bytes(22)
Found = list[tuple[Layer, bytes]] | str
"""The layers inside with their bytes; or why they cannot be told."""


def found(opener: Opener, data: bytes, missing: int = 0) -> Found:
    try:
        return [(packet.layer, packet.data) for packet in opener(Packet(ANY, data, missing))]
    except Unread as stopped:
        return stopped.why


def gtp(head: bytes, body: bytes) -> bytes:
    return head + struct.pack(">H", len(body)) + bytes(4) + body


def aggregate(*bodies: bytes, is_protected: bool = False) -> bytes:
    """Frames in one of IEEE 802.11, each filled up to four bytes."""
    flags = b"\x41" if is_protected else b"\x01"
    frames = b"".join(
        (frame := bytes(12) + len(body).to_bytes(2, "big") + body) + bytes(-len(frame) % 4) for body in bodies
    )
    return b"\x88" + flags + bytes(22) + b"\x80\0" + frames


def attribute(kind: int, body: bytes) -> bytes:
    length = len(body) + 4
    return struct.pack("<HH", length, kind) + body + bytes(-length % 4)


OPENED: dict[str, tuple[Opener, bytes, Found]] = {
    "VXLAN": (udp_tunnels.vxlan, b"\x08\0\0\0\0\0\5\0" + FRAME, [(ETHERNET, FRAME)]),
    "VXLAN without a network": (udp_tunnels.vxlan, b"\0\0\0\0\0\0\5\0" + FRAME, "malformed"),
    "VXLAN of something else": (udp_tunnels.vxlan, b"\x08\0\0\0\0\0\5\0" + IP4, "malformed"),
    "VXLAN-GPE without a network": (udp_tunnels.vxlan_gpe, b"\x04\0\0\1\0\0\5\0" + IP4, "malformed"),
    "VXLAN-GPE, plain": (udp_tunnels.vxlan_gpe, b"\x08\0\0\0\0\0\5\0" + FRAME, [(ETHERNET, FRAME)]),
    "VXLAN-GPE, IPv4": (udp_tunnels.vxlan_gpe, b"\x0c\0\0\1\0\0\5\0" + IP4, [(IPV4, IP4)]),
    "VXLAN-GPE, NSH": (udp_tunnels.vxlan_gpe, b"\x0c\0\0\4\0\0\5\0" + IP4, [(NSH, IP4)]),
    "VXLAN-GPE, a number of nobody": (udp_tunnels.vxlan_gpe, b"\x0c\0\0\x63\0\0\5\0" + IP4, "unknown"),
    "Geneve, options": (udp_tunnels.geneve, b"\1\0\x65\x58\0\0\5\0opt." + FRAME, [(BRIDGED, FRAME)]),
    "Geneve, control": (udp_tunnels.geneve, b"\0\x80\x65\x58\0\0\5\0" + FRAME, []),
    "Geneve of another version": (udp_tunnels.geneve, b"\x40\0\x65\x58\0\0\5\0" + FRAME, "malformed"),
    "GTP-U": (udp_tunnels.gtp, gtp(GTP, IP4), [(IPV4, IP4)]),
    "GTP-U, IPv6": (udp_tunnels.gtp, gtp(GTP, IP6), [(IPV6, IP6)]),
    "GTP-U, a frame": (udp_tunnels.gtp, gtp(GTP, FRAME), [(ETHERNET, FRAME)]),
    "GTP-U, sequence": (udp_tunnels.gtp, gtp(b"\x32\xff", b"\0\1\0\0" + IP4), [(IPV4, IP4)]),
    "GTP-U, extensions": (
        udp_tunnels.gtp,
        gtp(GTP_EXTENDED, b"\0\0\0\x85" + b"\1\0\0\xc0" + b"\2" + bytes(6) + b"\0" + IP4),
        [(IPV4, IP4)],
    ),
    "GTP-U, an extension without end": (
        udp_tunnels.gtp,
        gtp(GTP_EXTENDED, b"\0\0\0\x85" + b"\0\0\0\x85" + IP4),
        "malformed",
    ),
    "GTP-U, echo": (udp_tunnels.gtp, gtp(b"\x32\1", b"\0\1\0\0"), []),
    "GTP-U of another length": (udp_tunnels.gtp, gtp(GTP, IP4) + b"more", "malformed"),
    "LISP": (udp_tunnels.lisp, b"\x80" + bytes(7) + IP4, [(IPV4, IP4)]),
    "LISP-GPE": (udp_tunnels.lisp, b"\x84\0\0\2" + bytes(4) + IP6, [(IPV6, IP6)]),
    "LISP-GPE, a number of nobody": (udp_tunnels.lisp, b"\x84\0\0\x63" + bytes(4) + IP6, "unknown"),
    "LISP of something else": (udp_tunnels.lisp, b"\x80" + bytes(7) + b"x" * 60, "malformed"),
    "Teredo": (udp_tunnels.teredo, IP6, [(IPV6, IP6)]),
    "Teredo, origin": (udp_tunnels.teredo, bytes(8) + IP6, [(IPV6, IP6)]),
    "Teredo, authentication": (udp_tunnels.teredo, b"\0\1\3\4" + b"abcdefg" + bytes(9) + IP6, [(IPV6, IP6)]),
    "Teredo, both": (udp_tunnels.teredo, b"\0\1\0\0" + bytes(9) + bytes(8) + IP6, [(IPV6, IP6)]),
    "CAPWAP, control": (udp_tunnels.capwap, b"\0\0\0\x08" + bytes(8), []),
    "CAPWAP, encrypted": (udp_tunnels.capwap, b"\1\0\0\0" + bytes(8), "encrypted"),
    "CAPWAP of another version": (udp_tunnels.capwap, b"\x10\0\0\0" + bytes(8), "malformed"),
    "LWAPP, control": (udp_tunnels.lwapp, b"\4\0\0\0\0\0" + IP4, []),
    "LWAPP, in pieces": (udp_tunnels.lwapp, b"\2\0\0\0\0\0" + IP4, "fragment"),
    "LWAPP, the last piece": (udp_tunnels.lwapp, b"\3\0\0\0\0\0" + IP4, "fragment"),
    "TZSP": (udp_tunnels.tzsp, b"\1\0\0\1\1" + FRAME, [(ETHERNET, FRAME)]),
    "TZSP, fields": (udp_tunnels.tzsp, b"\1\0\0\x7f" + b"\0\x0a\1x\1" + FRAME, [(AVS, FRAME)]),
    "TZSP, Prism": (udp_tunnels.tzsp, b"\1\0\0\x77\1" + FRAME, [(PRISM, FRAME)]),
    "TZSP, keepalive": (udp_tunnels.tzsp, b"\1\4\0\0", []),
    "TZSP of another version": (udp_tunnels.tzsp, b"\2\0\0\1\1" + FRAME, "malformed"),
    "TZSP, a number of nobody": (udp_tunnels.tzsp, b"\1\0\0\x63\1" + FRAME, "unknown"),
    "GUE": (udp_tunnels.gue, b"\0\4\0\0" + IP4, [((Space.IP_PROTOCOL, 4), IP4)]),
    "GUE, bare IP": (udp_tunnels.gue, IP4, [(IPV4, IP4)]),
    "GUE, bare IPv6": (udp_tunnels.gue, IP6, [(IPV6, IP6)]),
    "GUE, bare IP of another length": (udp_tunnels.gue, IP4[:-4], "malformed"),
    "GUE, control": (udp_tunnels.gue, b"\x20\4\0\0" + IP4, "malformed"),
    "ESP": (udp_tunnels.esp, b"\0\0\0\1" + bytes(20), "encrypted"),
    "ESP, IKE": (udp_tunnels.esp, bytes(24), []),
    "ESP, keepalive": (udp_tunnels.esp, b"\xff", []),
    "WireGuard": (udp_tunnels.wireguard, b"\4\0\0\0" + bytes(28), "encrypted"),
    "WireGuard, handshake": (udp_tunnels.wireguard, b"\1\0\0\0" + bytes(28), []),
    "OpenVPN": (udp_tunnels.openvpn, b"\x30" + bytes(20), "encrypted"),
    "OpenVPN, control": (udp_tunnels.openvpn, b"\x38" + bytes(20), []),
    "DTLS": (udp_tunnels.dtls, b"\x17\xfe\xfd", "encrypted"),
    "no DTLS": (udp_tunnels.dtls, b"\x17\3\3", "malformed"),
    "L2TP, control": (udp_tunnels.l2tp, b"\xc8\2\0\0", []),
    "L2TP, all fields": (
        udp_tunnels.l2tp,
        b"\x4a\2\0\0\0\1\0\2" + b"\0\3\0\4" + b"\0\2pd" + b"\0\x21" + IP4,
        [(PPP_FRAME, b"\0\x21" + IP4)],
    ),
    "L2TP of another version": (udp_tunnels.l2tp, b"\0\1\0\0", "malformed"),
    "Juniper mirroring": (udp_tunnels.mirrored, bytes(8) + IP6, [(IPV6, IP6)]),
    "Juniper mirroring of something else": (udp_tunnels.mirrored, bytes(8) + FRAME, "malformed"),
    "session, a frame": (ip_tunnels.l2tp3, b"\0\0\0\5" + b"cook" + FRAME, [(ETHERNET, FRAME)]),
    "session, IP": (ip_tunnels.l2tp3, b"\0\0\0\5" + b"cookies." + IP4, [(IPV4, IP4)]),
    "session, PPP": (ip_tunnels.l2tp3, b"\0\0\0\5\xff\3\0\x21" + IP4, [(PPP_FRAME, b"\xff\3\0\x21" + IP4)]),
    "session, HDLC": (ip_tunnels.l2tp3, b"\0\0\0\5\x0f\0\x08\0" + IP4, [(C_HDLC, b"\x0f\0\x08\0" + IP4)]),
    "session of something": (ip_tunnels.l2tp3, b"\0\0\0\5" + b"x" * 60, "unknown"),
    "session 0": (ip_tunnels.l2tp3, b"\0\0\0\0" + IP4, []),
    "GRE, alive?": (ip_tunnels.gre, b"\0\0\0\0", []),
    "GRE 1, acknowledgement alone": (ip_tunnels.gre, b"\x20\x81\x88\x0b\0\0\0\5\0\0\0\1", []),
    "GRE, routing": (
        ip_tunnels.gre,
        b"\x40\0\x08\0\0\0\0\0" + b"\0\1\0\4way." + bytes(4) + IP4,
        [((Space.GRE, 0x0800), IP4)],
    ),
    "EtherIP of another version": (ip_tunnels.ether_ip, b"\x40\0" + FRAME, "malformed"),
    "bridged ATM": (ethertypes.llc, SNAP + b"\0\x80\xc2\0\7" + FRAME, [(ETHERNET, FRAME)]),
    "bridged ATM, filled up": (ethertypes.llc, SNAP + b"\0\x80\xc2\0\1\0\0" + FRAME, [(ETHERNET, FRAME)]),
    "bridged ATM of something else": (ethertypes.llc, SNAP + b"\0\x80\xc2\0\2" + FRAME, []),
    "SNAP of somebody": (ethertypes.llc, SNAP + b"\0\0\x0c\x20\0" + FRAME, []),
    "LLC, IP": (ethertypes.llc, b"\6\6\3" + IP4, [(IPV4, IP4)]),
    "LLC, spanning tree": (ethertypes.llc, b"\x42\x42\3", []),
    "MPLS, channel": (ethertypes.mpls, b"\0\0\x11\xff" + b"\x10\0\0\x21", []),
    "MPLS, without end": (ethertypes.mpls, b"\0\0\x10\xff" * 20, "malformed"),
    "MPLS of something else": (ethertypes.mpls, b"\0\0\x11\xff" + b"x" * 60, "unknown"),
    "MACsec, encrypted": (ethertypes.macsec, b"\x0c" + bytes(20), "encrypted"),
    "PPPoE, a code": (ethertypes.pppoe, b"\x11\7\0\1\0\2\0\x21" + IP4, []),
    "NSH, a number of nobody": (ethertypes.nsh, b"\0\2\0\x63" + bytes(4) + IP4, "unknown"),
    "multilink, in pieces": (ethertypes.multilink, b"\x80" + bytes(30), "fragment"),
    "bridged PPP of something else": (ethertypes.bridged, b"\0\2" + FRAME, "unknown"),
    "aggregate": (
        link_types.ieee80211,
        aggregate(SNAP + b"one", SNAP + b"two"),
        [(LLC, SNAP + b"one"), (LLC, SNAP + b"two")],
    ),
    "aggregate, encryption taken off": (
        link_types.ieee80211,
        aggregate(SNAP + b"one", is_protected=True),
        [(LLC, SNAP + b"one")],
    ),
    "aggregate, encrypted": (link_types.ieee80211, aggregate(b"sealed up", is_protected=True), "encrypted"),
    "802.11, encrypted": (link_types.ieee80211, b"\x08\x41" + bytes(22) + b"sealed up, and so on", "encrypted"),
    "802.11, in pieces": (link_types.ieee80211, b"\x08\x05" + bytes(22) + SNAP, "fragment"),
    "802.11, management": (link_types.ieee80211, b"\x80\0" + bytes(22), []),
    "802.11 of another version": (link_types.ieee80211, b"\x09\0" + bytes(22), "malformed"),
    "Prism": (link_types.prism, b"\0\0\0\x44" + struct.pack("<I", 8) + DATA80211, [(IEEE80211, DATA80211)]),
    "Prism, big-endian": (link_types.prism, b"\0\0\0\x44" + struct.pack(">I", 8) + DATA80211, [(IEEE80211, DATA80211)]),
    "AVS that says Prism": (link_types.prism, b"\x80\x21\x10\1\0\0\0\x08" + DATA80211, [(IEEE80211, DATA80211)]),
    "NFLOG": (link_types.nflog, b"\2\0\0\0" + attribute(1, b"abc") + attribute(9, IP4), [(IPV4, IP4)]),
    "NFLOG of another family": (link_types.nflog, b"\7\0\0\0" + attribute(9, b"x"), []),
    "NFLOG without a packet": (link_types.nflog, b"\2\0\0\0" + attribute(1, b"abc"), "malformed"),
    "NFLOG, an attribute without length": (link_types.nflog, b"\2\0\0\0" + bytes(8), "malformed"),
    "PF of another family": (link_types.pflog, b"\x30\x63" + bytes(60), "malformed"),
    "loopback of another family": (link_types.loopback, b"\x63\0\0\0" + IP4, []),
    "DOCSIS, in pieces": (link_types.docsis, b"\xf8\0" + bytes(20), "fragment"),
    "DOCSIS, management": (link_types.docsis, b"\xc2\0" + bytes(20), []),
    "Token Ring, management": (link_types.token_ring, bytes(30), []),
    "FDDI, a token": (link_types.fddi, b"\x80" + bytes(30), []),
    "ERF, a number of nobody": (link_types.erf, bytes(8) + b"\x63" + bytes(30), "unknown"),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_stands_inside(name: str) -> None:
    opener, data, expected = OPENED[name]
    assert found(opener, data) == expected


@pytest.mark.parametrize("name", OPENED)
def test_what_was_cut_is_no_other_packet(name: str) -> None:
    """What is not there is not claimed to be encrypted, and what is held inside is what the whole holds, cut."""
    opener, data, expected = OPENED[name]
    if isinstance(expected, str):
        return
    for length in range(len(data)):
        try:
            inside = found(opener, data[:length], len(data) - length)
        except IndexError:  # whoever walks calls it cut
            continue
        if isinstance(inside, str):
            assert inside in ("cut", "unknown", "malformed")
        else:
            assert all(data[:length].endswith(held) for _, held in inside[-1:]), length


def fragment(position: int, more: bool, ident: int = 7) -> bytes:
    """The extension header of a fragment of IPv6, before TCP."""
    return struct.pack(">BBHI", 6, 0, position | more, ident)


@pytest.mark.parametrize(
    ("headers", "piece"),
    [
        ([(44, fragment(0, False))], None),
        ([(0, b"\x2c\0" + bytes(6)), (44, fragment(0, False))], None),
        ([(44, fragment(0, True))], Piece(7, 0, True)),
        ([(44, fragment(16, False))], Piece(7, 16, False)),
        ([(60, b"\x3c\0" + bytes(6)), (60, b"\6\1" + bytes(14))], None),
    ],
)
def test_extension_headers(headers: list[tuple[int, bytes]], piece: Piece | None) -> None:
    packet = Packet((Space.IP_PROTOCOL, headers[0][0]), b"".join(body for _, body in headers) + b"segment", 0)
    behind = ethertypes.extended(packet)
    assert (behind.layer, behind.data, behind.piece) == ((Space.IP_PROTOCOL, 6), b"segment", piece)


def test_extension_headers_end() -> None:
    with pytest.raises(Unread, match="malformed"):
        ethertypes.extended(Packet((Space.IP_PROTOCOL, 60), (b"\x3c\0" + bytes(6)) * 40, 0))


def test_a_tunnel_on_any_port_must_prove_itself() -> None:
    """And one that fails at a port of a service is none."""
    inside = b"\x08\0\0\0\0\0\5\0" + FRAME
    for source, target in ((5000, 5001), (4789, 5001), (5000, 4789), (53, 4789)):
        assert found(udp_tunnels.udp, udp(target, inside, source)) == [(ETHERNET, FRAME)]
    assert found(udp_tunnels.udp, udp(5001, inside[:-20], 5000)) == []
    assert found(udp_tunnels.udp, udp(4789, b"\x08" + bytes(30), 5000)) == "malformed"
    assert found(udp_tunnels.udp, udp(4789, b"\x08" + bytes(30), 53)) == []
    assert found(udp_tunnels.udp, udp(51820, b"\4\0\0\0" + bytes(28), 5000)) == "encrypted"
    assert found(udp_tunnels.udp, udp(5000, b"\4\0\0\0" + bytes(28), 51820)) == "encrypted"
    assert found(udp_tunnels.udp, udp(4790, b"\x0c\0\0\x63" + bytes(30), 5000)) == "unknown"
    padded = udp(4789, inside, 5000) + bytes(6)
    assert found(udp_tunnels.udp, padded) == [(ETHERNET, FRAME)]
    assert found(udp_tunnels.udp, udp(4754, ipv4(47, b"")[:0], 5000)) == [((Space.IP_PROTOCOL, 47), b"")]


def test_link_types_that_carry_others() -> None:
    head = struct.pack("<BBHI", 0, 0, 8, LinkType.ETHERNET)
    assert found(link_types.ppi, head + FRAME) == [(ETHERNET, FRAME)]
    with pytest.raises(IndexError):
        link_types.ppp(Packet(ANY, b"\xff\3", 0))
    assert found(ethertypes.mpls, b"\0\0\x11\xff" + IP4) == [(IPV4, IP4)]
    assert found(ethertypes.ETHERTYPES[MPLS[1]].opens or udp_tunnels.udp, b"\0\0\x11\xff\0\0\0\0" + FRAME) == [
        (ETHERNET, FRAME)
    ]
