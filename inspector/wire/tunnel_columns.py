"""The tunnels that networks of today mirror and carry their traffic in, opened in columns: VXLAN, Geneve, GRE, ERSPAN
and IP in IP.

A tunnel holds a frame or a packet. Here it becomes a row of another ``FrameBatch`` in the same buffer, whose headers
are read as those of any frame, and that may hold a tunnel again. Only what is plain is opened: what ``tunnels`` would
hold against something first, or pass over, or count, is left to it. Walking stays the truth; tests hold one way against
the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.capture.frames import I64, U8, FrameBatch, Rows, gather
from inspector.capture.link_types import LinkType
from inspector.wire.encapsulations import TRAILER
from inspector.wire.headers import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    Carried,
    Network,
    is_one_of,
)
from inspector.wire.udp_tunnels import UDP_PORTS, geneve, vxlan

UDP, GRE, IP_IN_IP, IPV6_IN_IP = 17, 47, 4, 41
VXLAN_PORTS = tuple(port for port, known in UDP_PORTS.items() if known.opens is vxlan)
GENEVE_PORTS = tuple(port for port, known in UDP_PORTS.items() if known.opens is geneve)
BRIDGED, ERSPAN, ERSPAN3 = 0x6558, 0x88BE, 0x22EB
LINK_TYPES = {BRIDGED: LinkType.ETHERNET, ETHERTYPE_IPV4: LinkType.IPV4, ETHERTYPE_IPV6: LinkType.IPV6}
"""Of what stands behind an EtherType."""
NEEDED = 16
"""Bytes of a tunnel's payload that are looked at, about: less is left to who walks."""


class InnerFrames(NamedTuple):
    """What tunnels hold. ``frames``: it. ``rows``: int64, of the frames that the tunnels are in. ``must_prove``: bool,
    rows of which the IP header must agree with the frame's length for there to be a tunnel at all.
    """

    frames: FrameBatch
    rows: I64
    must_prove: Rows


class _Begins(NamedTuple):
    """Of some tunnels: which they are, where what they hold begins (from their own start), and its link type."""

    chosen: I64
    skip: I64
    link_type: I64


def opened(frames: FrameBatch, carried: Carried) -> InnerFrames | None:
    """What the plain ones of some tunnels hold; None where there is none of them."""
    enough = carried.captured >= NEEDED
    if not enough.any():
        return None
    carried = Carried(*(column[enough] for column in carried))
    length, captured = carried.length.copy(), carried.captured.copy()
    begins = [_ip_in_ip(carried), _gre(frames.data, carried), *_udp(frames.data, carried, length, captured)]
    chosen, skip, link_type = (np.concatenate(column) for column in zip(*begins, strict=True))
    length, captured = length[chosen] - skip, captured[chosen] - skip
    at = carried.at[chosen] + skip
    fine = captured > 0
    version = frames.data[np.where(fine, at, 0)] >> 4  # the EtherType says which it must be
    fine &= (link_type == LinkType.ETHERNET) | (version == np.where(link_type == LinkType.IPV6, 6, 4))
    rows = carried.rows[chosen]
    must_prove = (carried.protocol[chosen] == UDP) & (link_type == LinkType.ETHERNET) & (length == captured)
    if not fine.any():
        return None
    rows, at, length, captured, link_type = rows[fine], at[fine], length[fine], captured[fine], link_type[fine]
    inner = FrameBatch(
        data=frames.data,
        time_ns=frames.time_ns[rows],
        offset=at,
        captured=captured,
        original=length,
        link_type=link_type,
        number=frames.number[rows],
        capture=frames.capture,
    )
    return InnerFrames(inner, rows, must_prove[fine])


def proven(frames: FrameBatch, network: Network) -> Rows:
    """Which frames hold an IP packet that is as long as it says, as ``encapsulations.is_ip`` asks."""
    length = frames.captured - (network.at - frames.offset)
    head = gather(frames.data, np.minimum(network.at, len(frames.data) - 6), 6).astype(np.int64)
    total4, total6 = head[:, 2] << 8 | head[:, 3], (head[:, 4] << 8 | head[:, 5]) + 40
    header4 = (head[:, 0] & 15) * 4
    is_ipv4 = (network.ethertype == ETHERTYPE_IPV4) & (head[:, 0] >> 4 == 4) & (header4 >= 20) & (header4 <= total4)
    is_ipv6 = (network.ethertype == ETHERTYPE_IPV6) & (head[:, 0] >> 4 == 6) & (total6 > 40)
    total = np.where(is_ipv6, total6, total4)
    holds: Rows = (is_ipv4 | is_ipv6) & (total <= length) & (length <= total + TRAILER)
    return holds


def _ip_in_ip(carried: Carried) -> _Begins:
    chosen = np.flatnonzero(is_one_of(carried.protocol, (IP_IN_IP, IPV6_IN_IP)))
    return _Begins(
        chosen,
        np.zeros(len(chosen), np.int64),
        np.where(carried.protocol[chosen] == IPV6_IN_IP, LinkType.IPV6, LinkType.IPV4),
    )


def _gre(data: U8, carried: Carried) -> _Begins:
    """RFC 2784 and 2890 without routing, and ERSPAN of all types in it."""
    chosen = np.flatnonzero(carried.protocol == GRE)
    words = gather(data, carried.at[chosen], 4).view(">u2").astype(np.int64)
    flags, kind = words[:, 0], words[:, 1]
    has_sequence = flags & 0x1000 != 0
    skip = 4 + 4 * (flags & 0x8000 != 0) + 4 * (flags & 0x2000 != 0) + 4 * has_sequence
    is_plain = flags & 0x4007 == 0
    subheader = data[np.minimum(carried.at[chosen] + skip + 11, len(data) - 1)] & 1
    header = np.select([(kind == ERSPAN) & has_sequence, kind == ERSPAN3], [8, np.where(subheader, 20, 12)], 0)
    is_plain &= (kind != ERSPAN3) | (carried.captured[chosen] >= skip + 12)
    kind = np.where((kind == ERSPAN) | (kind == ERSPAN3), BRIDGED, kind)
    return _by_ethertype(chosen[is_plain], (skip + header)[is_plain], kind[is_plain])


def _udp(data: U8, carried: Carried, length: I64, captured: I64) -> list[_Begins]:
    """VXLAN (RFC 7348) and Geneve (RFC 8926) by the port they are sent to. Takes what stands behind the datagram off
    ``length`` and ``captured``.
    """
    chosen = np.flatnonzero(carried.protocol == UDP)
    head = gather(data, carried.at[chosen], 16)
    words = head.view(">u2").astype(np.int64)
    target, whole = words[:, 1], words[:, 2]
    length[chosen] = np.where((whole >= 8) & (whole < length[chosen]), whole, length[chosen])
    captured[chosen] = np.minimum(captured[chosen], length[chosen])
    first, second, is_current = head[:, 8], head[:, 9], head[:, 15] == 0
    of_vxlan = chosen[is_one_of(target, VXLAN_PORTS) & (first & 8 != 0) & is_current]
    is_geneve = is_one_of(target, GENEVE_PORTS) & (first < 64) & is_current & (second & 0x80 == 0)
    options = 4 * (first[is_geneve] & 63).astype(np.int64)
    return [
        _Begins(of_vxlan, np.full(len(of_vxlan), 16), np.full(len(of_vxlan), LinkType.ETHERNET)),
        _by_ethertype(chosen[is_geneve], 16 + options, words[is_geneve, 5]),
    ]


def _by_ethertype(chosen: I64, skip: I64, kind: I64) -> _Begins:
    known = is_one_of(kind, tuple(LINK_TYPES))
    link_type = np.select([kind == number for number in LINK_TYPES], list(LINK_TYPES.values()))
    return _Begins(chosen[known], skip[known], link_type[known])
