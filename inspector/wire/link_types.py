"""Link types (https://www.tcpdump.org/linktypes.html): what a capture's frames begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable

from inspector.capture.link_types import LinkType
from inspector.wire.encapsulations import (
    ETHERNET,
    IEEE80211,
    LENGTHS,
    LLC,
    MPLS,
    PPP_FRAME,
    Encapsulation,
    Layer,
    Packet,
    Space,
    Unread,
    ethertyped,
    fixed,
    ip,
    typed,
    versioned,
)

SNAP = b"\xaa\xaa\x03"
RAW, C_HDLC = (Space.LINK_TYPE, LinkType.RAW), (Space.LINK_TYPE, LinkType.C_HDLC)
PRISM, AVS, SLIP = (
    (Space.LINK_TYPE, LinkType.IEEE802_11_PRISM),
    (Space.LINK_TYPE, LinkType.IEEE802_11_AVS),
    (Space.LINK_TYPE, LinkType.SLIP),
)
IP_FAMILIES = (2, 10, 24, 26, 28, 30)
"""AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, Solaris, FreeBSD, macOS."""

ISL = (b"\x01\x00\x0c\x00\x00", b"\x03\x00\x0c\x00\x00")
"""Where frames in Cisco's ISL are sent to."""


def ethernet(packet: Packet) -> Iterable[Packet]:
    """IEEE 802.3: an EtherType, or a length with LLC behind it."""
    kind = packet.u16(12)
    if kind < LENGTHS and packet.data[:5] in ISL:
        return (packet.inner(ETHERNET, 26),)
    return (typed(packet, 12, 14),)


def loopback(packet: Packet) -> Iterable[Packet]:
    """BSD: an address family in the byte order of some host."""
    family = packet.data[:4]
    if not any(int.from_bytes(family, order) in IP_FAMILIES for order in ("little", "big")) and len(packet.data) >= 4:
        return ()
    return (ip(packet, 4),)


def ppp(packet: Packet) -> Iterable[Packet]:
    """RFC 1661 and 1662: address and control may be left out, and so may the first byte of the protocol."""
    data = packet.data
    skip = 2 if data[:2] == b"\xff\x03" else 0
    if data[skip] & 1:
        return (packet.inner((Space.PPP, data[skip]), skip + 1),)
    return (packet.inner((Space.PPP, packet.u16(skip)), skip + 2),)


def ppp_or_hdlc(packet: Packet) -> Iterable[Packet]:
    """RFC 1547, section 4.3.1: Cisco's HDLC has other addresses."""
    return (packet.inner(C_HDLC if packet.data[0] in (0x0F, 0x8F) else PPP_FRAME, 0),)


def pppd(packet: Packet) -> Iterable[Packet]:
    """A direction stands where the address was."""
    return (packet.inner(PPP_FRAME, 2 if packet.data[0] in (0, 1) and packet.data[1] == 3 else 0),)


def frame_relay(packet: Packet) -> Iterable[Packet]:
    """RFC 2427: an NLPID behind the address; Cisco puts an EtherType there."""
    skip = 2
    while not packet.data[skip - 1] & 1:
        skip += 1
    if packet.data[skip] != 3:
        return (typed(packet, skip, skip + 2),)
    skip += 2 if packet.data[skip + 1] == 0 else 1
    nlpid = packet.data[skip]
    if nlpid == 0x80:
        return (packet._replace(data=SNAP + packet.inner(LLC, skip + 1).data, layer=LLC),)
    return (ip(packet, skip + 1),) if nlpid in (0xCC, 0x8E) else ()


def token_ring(packet: Packet) -> Iterable[Packet]:
    """IEEE 802.5, with source routing."""
    data = packet.data
    if data[1] & 0xC0 != 0x40:
        return ()  # its own management
    return (packet.inner(LLC, 14 + (data[14] & 31 if data[8] & 0x80 else 0)),)


def fddi(packet: Packet) -> Iterable[Packet]:
    """ISO 9314-2; tokens and management carry nothing."""
    return (packet.inner(LLC, 13),) if packet.data[0] & 0x30 == 0x10 else ()


def ieee80211(packet: Packet) -> Iterable[Packet]:
    """Data frames of IEEE 802.11. LLC is looked for behind what may be there: alignment, and what is left of encryption
    where it was taken off.
    """
    data = packet.data
    kind, flags = data[0], data[1]
    if kind & 3:
        raise Unread("malformed")
    if kind & 0x0C != 8 or kind & 0x40:
        return ()  # management, control, and data frames without data
    at = 30 if flags & 3 == 3 else 24
    is_aggregate = False
    if kind & 0x80:
        is_aggregate = bool(packet.inner(LLC, at).data[0] & 0x80)
        at += 6 if flags & 0x80 else 2
    if flags & 4 or data[22] & 15:
        raise Unread("fragment")
    if is_aggregate:
        return _subframes(packet, at, bool(flags & 0x40))
    places = (at, at + 3 & ~3) if not flags & 0x40 else (at, at + 4, at + 8)
    snap_at = next((offset for offset in places if data[offset : offset + 3] == SNAP), -1)
    if snap_at < 0 and flags & 0x40:
        raise Unread("encrypted")
    return (packet.inner(LLC, snap_at if snap_at >= 0 else at),)


def _subframes(packet: Packet, at: int, is_protected: bool) -> Iterable[Packet]:
    """An aggregate of frames (IEEE 802.11, 9.3.2.2.2)."""
    data = packet.data
    frames: list[Packet] = []
    end = at
    while at + 14 < len(data):
        length = packet.u16(at + 12)
        if is_protected and not SNAP.startswith(data[at + 14 : at + 17]):
            raise Unread("encrypted")
        end = at + 14 + length
        frames.append(
            packet._replace(
                layer=LLC, data=data[at + 14 : end], missing=max(0, end - len(data)) if packet.missing else 0
            )
        )
        at += 14 + length + 3 & ~3  # each is filled up by its own length
    if packet.missing and end + 16 < packet.length:
        frames.append(packet._replace(layer=LLC, data=b""))  # the frames that were cut away
    return frames


def swapped_80211(packet: Packet) -> Iterable[Packet]:
    """Perhaps as Cisco's access points hand it on, the first two bytes changed over: then the bits for the version say
    where the frame goes.
    """
    data = packet.data
    return ieee80211(packet if data[0] & 3 == 0 else packet._replace(data=data[1:2] + data[:1] + data[2:]))


def radiotap(packet: Packet) -> Iterable[Packet]:
    """https://www.radiotap.org: its length is all that is needed."""
    return (packet.inner(IEEE80211, _little(packet, 2, 2)),)


def prism(packet: Packet) -> Iterable[Packet]:
    """Prism's header has a length in the byte order of some host; AVS's stands where some drivers say Prism."""
    if packet.data[:3] == b"\x80\x21\x10":
        return avs(packet)
    length = _little(packet, 4, 4)
    return (packet.inner(IEEE80211, length if length < 1 << 16 else int.from_bytes(packet.data[4:8], "big")),)


def avs(packet: Packet) -> Iterable[Packet]:
    """The header of the AVS capture format, big-endian."""
    packet.need(8)
    return (packet.inner(IEEE80211, int.from_bytes(packet.data[4:8], "big")),)


def ppi(packet: Packet) -> Iterable[Packet]:
    """Per-Packet Information: any link type behind its length."""
    return (packet.inner((Space.LINK_TYPE, _little(packet, 4, 4)), _little(packet, 2, 2)),)


def pktap(packet: Packet) -> Iterable[Packet]:
    """Apple's tap on all interfaces: any link type behind its length."""
    return (packet.inner((Space.LINK_TYPE, _little(packet, 8, 4)), _little(packet, 0, 4)),)


def pflog(packet: Packet) -> Iterable[Packet]:
    """OpenBSD's packet filter: its length stands first, and is filled up to four bytes."""
    if packet.data[1] not in IP_FAMILIES:
        raise Unread("malformed")
    return (ip(packet, packet.data[0] + 3 & ~3),)


def nflog(packet: Packet) -> Iterable[Packet]:
    """Linux's netfilter: attributes, one of which is the packet."""
    at = 4
    while True:
        length, kind = _little(packet, at, 2), _little(packet, at + 2, 2) & 0x7FFF
        if kind == 9:
            return (ip(packet, at + 4),) if packet.data[0] in IP_FAMILIES else ()
        if length < 4:
            raise Unread("malformed")
        at += length + 3 & ~3


def erf(packet: Packet) -> Iterable[Packet]:
    """Endace's record header with its extensions (tcpdump.org/linktypes/LINKTYPE_ERF)."""
    kind, at = packet.data[8], 16
    more = kind & 0x80
    while more:
        more = packet.data[at] & 0x80
        at += 8
    layer, skip = ERF_KINDS.get(kind & 0x7F, (None, 0))
    if layer is None:
        raise Unread("unknown")
    return (packet.inner(layer, at + skip),)


def docsis(packet: Packet) -> Iterable[Packet]:
    """DOCSIS: a packet behind a MAC header of some length; what keeps the modem running carries nothing."""
    control, length = packet.data[0], packet.data[1]
    if control >> 6 == 0:
        return (packet.inner(ETHERNET, 6 + (length if control & 1 else 0)),)
    if control >> 6 == 3 and control >> 1 & 31 == 28:
        raise Unread("fragment")
    return ()


def sun_atm(packet: Packet) -> Iterable[Packet]:
    """Sun's ATM: LLC, or Ethernet of LAN emulation."""
    kind = packet.data[0] & 15
    return (packet.inner(LLC, 4),) if kind == 2 else (packet.inner(ETHERNET, 6),) if kind == 1 else ()


def llc_or_ip(packet: Packet) -> Iterable[Packet]:
    """Classical IP over ATM (RFC 2225), with LLC or without."""
    return (packet.inner(LLC, 0) if packet.data[:3] == SNAP else ip(packet),)


def _little(packet: Packet, at: int, width: int) -> int:
    packet.need(at + width)
    return int.from_bytes(packet.data[at : at + width], "little")


ERF_KINDS: dict[int, tuple[Layer, int]] = {
    **dict.fromkeys((1, 10, 15), ((Space.LINK_TYPE, LinkType.PPP_HDLC), 0)),
    **dict.fromkeys((2, 11, 16, 20), (ETHERNET, 2)),
    22: (RAW, 0),
    23: (RAW, 0),
}

NAMES = """
2 EXP_ETHERNET, 3 AX25, 7 ARCNET_BSD, 15 SLIP_BSDOS, 16 PPP_BSDOS, 18 PPP_MULTI, 99 SYMANTEC_FIREWALL, 114 LTALK, 129
ARCNET_LINUX, 130 JUNIPER_MLPPP, 131 JUNIPER_MLFR, 132 JUNIPER_ES, 133 JUNIPER_GGSN, 134 JUNIPER_MFR, 135
JUNIPER_ATM2, 136 JUNIPER_SERVICES, 137 JUNIPER_ATM1, 139 MTP2_WITH_PHDR, 140 MTP2, 141 MTP3, 142 SCCP, 144
LINUX_IRDA, 147 USER0, 148 USER1, 150 USER3, 151 USER4, 152 USER5, 153 USER6, 154 USER7, 155 USER8, 156 USER9, 157
USER10, 158 USER11, 159 USER12, 160 USER13, 161 USER14, 162 USER15, 164 JUNIPER_MONITOR, 165 BACNET_MS_TP, 167
JUNIPER_PPPOE, 168 JUNIPER_PPPOE_ATM, 169 GPRS_LLC, 170 GPF_T, 171 GPF_F, 174 JUNIPER_PIC_PEER, 177 LINUX_LAPD, 178
JUNIPER_ETHER, 179 JUNIPER_PPP, 180 JUNIPER_FRELAY, 181 JUNIPER_CHDLC, 182 MFR, 183 JUNIPER_VP, 184 A429, 185
A653_ICM, 186 USB_FREEBSD, 187 BLUETOOTH_HCI_H4, 188 IEEE802_16_MAC_CPS, 189 USB_LINUX, 190 CAN20B, 191
IEEE802_15_4_LINUX, 193 IEEE802_16_MAC_CPS_RADIO, 194 JUNIPER_ISM, 195 IEEE802_15_4_WITHFCS, 196 SITA, 198 RAIF1, 199
IPMB_KONTRON, 200 JUNIPER_ST, 201 BLUETOOTH_HCI_H4_WITH_PHDR, 202 AX25_KISS, 203 LAPD, 209 IPMB_LINUX, 210 FLEXRAY,
211 MOST, 212 LIN, 213 X2E_SERIAL, 214 X2E_XORAYA, 215 IEEE802_15_4_NONASK_PHY, 216 LINUX_EVDEV, 217 GSMTAP_UM, 218
GSMTAP_ABIS, 220 USB_LINUX_MMAPPED, 221 DECT, 222 AOS, 223 WIHART, 224 FC_2, 225 FC_2_WITH_FRAME_DELIMS, 227
CAN_SOCKETCAN, 230 IEEE802_15_4_NOFCS, 231 DBUS, 232 JUNIPER_VS, 233 JUNIPER_SRX_E2E, 234 JUNIPER_FIBRECHANNEL, 235
DVB_CI, 236 MUX27010, 237 STANAG_5066_D_PDU, 238 JUNIPER_ATM_CEMIC, 243 MPEG_2_TS, 244 NG40, 245 NFC_LLCP, 246 PFSYNC,
247 INFINIBAND, 248 SCTP, 249 USBPCAP, 250 RTAC_SERIAL, 251 BLUETOOTH_LE_LL, 252 WIRESHARK_UPPER_PDU, 253 NETLINK, 254
BLUETOOTH_LINUX_MONITOR, 255 BLUETOOTH_BREDR_BB, 256 BLUETOOTH_LE_LL_WITH_PHDR, 257 PROFIBUS_DL, 259 EPON, 260
IPMI_HPM_2, 261 ZWAVE_R1_R2, 262 ZWAVE_R3, 263 WATTSTOPPER_DLM, 264 ISO_14443, 265 RDS, 266 USB_DARWIN, 267 OPENFLOW,
268 SDLC, 270 LORATAP, 271 VSOCK, 272 NORDIC_BLE, 273 DOCSIS31_XRA31, 274 ETHERNET_MPACKET, 275 DISPLAYPORT_AUX, 278
OPENVIZSLA, 279 EBHSCR, 280 VPP_DISPATCH, 283 IEEE802_15_4_TAP, 286 ELEE, 287 Z_WAVE_SERIAL, 288 USB_2_0, 289
ATSC_ALP, 290 ETW, 291 NETANALYZER_NG, 292 ZBOSS_NCP, 293 USB_2_0_LOW_SPEED, 294 USB_2_0_FULL_SPEED, 295
USB_2_0_HIGH_SPEED, 296 AUERSWALD_LOG, 297 ZWAVE_TAP, 298 SILABS_DEBUG_CHANNEL, 299 FIRA_UCI
"""
"""Those that are known and not opened."""

LINK_TYPES: dict[int, Encapsulation] = {
    **{int(number): Encapsulation(name) for number, name in re.findall(r"(\d+) (\w+)", NAMES)},
    LinkType.NULL: Encapsulation("NULL", loopback),
    LinkType.ETHERNET: Encapsulation("ETHERNET", ethernet),
    LinkType.IEEE802_5: Encapsulation("IEEE802_5", token_ring),
    LinkType.SLIP: Encapsulation("SLIP", versioned(16)),
    LinkType.PPP: Encapsulation("PPP", ppp),
    LinkType.FDDI: Encapsulation("FDDI", fddi),
    LinkType.ATM_RFC1483_OF_BSD: Encapsulation("ATM_RFC1483", fixed(LLC, 0)),
    LinkType.RAW_OF_BSD: Encapsulation("RAW", versioned(0)),
    LinkType.RAW_OF_OPENBSD: Encapsulation("RAW", versioned(0)),
    LinkType.ATM_CLIP_OF_LINUX: Encapsulation("ATM_CLIP", llc_or_ip),
    LinkType.PPP_HDLC: Encapsulation("PPP_HDLC", ppp_or_hdlc),
    LinkType.PPP_ETHER: Encapsulation("PPP_ETHER", fixed((Space.ETHERTYPE, 0x8864), 0)),
    LinkType.ATM_RFC1483: Encapsulation("ATM_RFC1483", fixed(LLC, 0)),
    LinkType.RAW: Encapsulation("RAW", versioned(0)),
    LinkType.C_HDLC: Encapsulation("C_HDLC", ethertyped(2, 4)),
    LinkType.IEEE802_11: Encapsulation("IEEE802_11", ieee80211),
    LinkType.ATM_CLIP: Encapsulation("ATM_CLIP", llc_or_ip),
    LinkType.FRELAY: Encapsulation("FRELAY", frame_relay),
    LinkType.LOOP: Encapsulation("LOOP", loopback),
    LinkType.ENC: Encapsulation("ENC", versioned(12)),
    LinkType.LINUX_SLL: Encapsulation("LINUX_SLL", ethertyped(14, 16)),
    LinkType.PFLOG: Encapsulation("PFLOG", pflog),
    LinkType.IEEE802_11_PRISM: Encapsulation("IEEE802_11_PRISM", prism),
    LinkType.IP_OVER_FC: Encapsulation("IP_OVER_FC", fixed(LLC, 16)),
    LinkType.SUNATM: Encapsulation("SUNATM", sun_atm),
    LinkType.IEEE802_11_RADIOTAP: Encapsulation("IEEE802_11_RADIOTAP", radiotap),
    LinkType.APPLE_IP_OVER_IEEE1394: Encapsulation("APPLE_IP_OVER_IEEE1394", ethertyped(16, 18)),
    LinkType.DOCSIS: Encapsulation("DOCSIS", docsis),
    LinkType.USER2: Encapsulation("USER2, PKTAP", pktap),
    LinkType.IEEE802_11_AVS: Encapsulation("IEEE802_11_AVS", avs),
    LinkType.PPP_PPPD: Encapsulation("PPP_PPPD", pppd),
    LinkType.PPI: Encapsulation("PPI", ppi),
    LinkType.ERF: Encapsulation("ERF", erf),
    LinkType.PPP_WITH_DIR: Encapsulation("PPP_WITH_DIR", fixed(PPP_FRAME, 1)),
    LinkType.C_HDLC_WITH_DIR: Encapsulation("C_HDLC_WITH_DIR", fixed(C_HDLC, 1)),
    LinkType.FRELAY_WITH_DIR: Encapsulation("FRELAY_WITH_DIR", fixed((Space.LINK_TYPE, LinkType.FRELAY), 1)),
    LinkType.MPLS: Encapsulation("MPLS", fixed(MPLS, 0)),
    LinkType.IPNET: Encapsulation("IPNET", versioned(24)),
    LinkType.IPV4: Encapsulation("IPV4", versioned(0)),
    LinkType.IPV6: Encapsulation("IPV6", versioned(0)),
    LinkType.NFLOG: Encapsulation("NFLOG", nflog),
    LinkType.NETANALYZER: Encapsulation("NETANALYZER", fixed(ETHERNET, 4)),
    LinkType.NETANALYZER_TRANSPARENT: Encapsulation("NETANALYZER_TRANSPARENT", fixed(ETHERNET, 12)),
    LinkType.IPOIB: Encapsulation("IPOIB", ethertyped(40, 44)),
    LinkType.PKTAP: Encapsulation("PKTAP", pktap),
    LinkType.LINUX_SLL2: Encapsulation("LINUX_SLL2", ethertyped(0, 20)),
    LinkType.DSA_TAG_BRCM: Encapsulation("DSA_TAG_BRCM", ethertyped(16, 18)),
    LinkType.DSA_TAG_BRCM_PREPEND: Encapsulation("DSA_TAG_BRCM_PREPEND", fixed(ETHERNET, 4)),
    LinkType.DSA_TAG_DSA: Encapsulation("DSA_TAG_DSA", ethertyped(16, 18)),
    LinkType.DSA_TAG_EDSA: Encapsulation("DSA_TAG_EDSA", ethertyped(20, 22)),
}
