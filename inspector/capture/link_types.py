"""Link types that are opened, under the names of https://www.tcpdump.org/linktypes.html."""

from __future__ import annotations

from enum import IntEnum


class LinkType(IntEnum):
    """LINKTYPE_ numbers of capture files. ``_OF_`` some system: the DLT_ numbers that its captures hold instead."""

    NULL = 0
    ETHERNET = 1
    IEEE802_5 = 6
    SLIP = 8
    PPP = 9
    FDDI = 10
    ATM_RFC1483_OF_BSD = 11
    RAW_OF_BSD = 12
    RAW_OF_OPENBSD = 14
    ATM_CLIP_OF_LINUX = 19
    PPP_HDLC = 50
    PPP_ETHER = 51
    ATM_RFC1483 = 100
    RAW = 101
    C_HDLC = 104
    IEEE802_11 = 105
    ATM_CLIP = 106
    FRELAY = 107
    LOOP = 108
    ENC = 109
    LINUX_SLL = 113
    PFLOG = 117
    IEEE802_11_PRISM = 119
    IP_OVER_FC = 122
    SUNATM = 123
    IEEE802_11_RADIOTAP = 127
    APPLE_IP_OVER_IEEE1394 = 138
    DOCSIS = 143
    USER2 = 149
    IEEE802_11_AVS = 163
    PPP_PPPD = 166
    PPI = 192
    ERF = 197
    PPP_WITH_DIR = 204
    C_HDLC_WITH_DIR = 205
    FRELAY_WITH_DIR = 206
    MPLS = 219
    IPNET = 226
    IPV4 = 228
    IPV6 = 229
    NFLOG = 239
    NETANALYZER = 240
    NETANALYZER_TRANSPARENT = 241
    IPOIB = 242
    PKTAP = 258
    LINUX_SLL2 = 276
    DSA_TAG_BRCM = 281
    DSA_TAG_BRCM_PREPEND = 282
    DSA_TAG_DSA = 284
    DSA_TAG_EDSA = 285
