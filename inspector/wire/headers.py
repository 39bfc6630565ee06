"""Link, IP and TCP headers of many frames as numpy columns.

Ethernet with up to two VLAN tags, Linux cooked capture v1 and v2, raw IP and BSD loopback stand here; IPv4 with options
and IPv6 without extension headers. What may be a tunnel, or a piece of one, is handed on as ``Carried``. What the table
of encapsulations does not know is counted.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.frames import I64, U8, FrameBatch, Rows, gather
from inspector.capture.link_types import LinkType
from inspector.wire.addresses import AddressTable
from inspector.wire.encapsulation_table import DATAGRAM, HEADER, LOST, OPENED, PROTOCOL, TUNNEL_PORT, entry
from inspector.wire.encapsulations import (
    IPV4 as IPV4_LAYER,
    IPV6 as IPV6_LAYER,
    LENGTHS,
    TCP as TCP_LAYER,
    UDP as UDP_LAYER,
    Layer,
    Space,
)
from inspector.wire.ethertypes import VLAN_TAGS
from inspector.wire.tunnels import Stop

BY_VERSION = -1
COLUMNS: dict[int, tuple[int, int]] = {
    LinkType.ETHERNET: (14, 12),
    LinkType.LINUX_SLL: (16, 14),
    LinkType.LINUX_SLL2: (20, 0),
    LinkType.NULL: (4, BY_VERSION),
    LinkType.LOOP: (4, BY_VERSION),
    **dict.fromkeys(
        (LinkType.RAW, LinkType.RAW_OF_BSD, LinkType.RAW_OF_OPENBSD, LinkType.IPV4, LinkType.IPV6), (0, BY_VERSION)
    ),
}
"""Link types whose headers are read in columns: how long they are, and where the EtherType stands in them."""

BARE_IP: dict[int, int] = {4: LinkType.IPV4, 16: LinkType.IPV6}
"""Link types of packets without a link header, by the bytes of their addresses."""

ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_LLC = 0x0800, 0x86DD, 4
NOTHING = -1
FRAGMENT = -1


class Network(NamedTuple):
    """Where packets begin. ``at``: int64. ``ethertype``: int64, ``NOTHING`` where there is nothing more to do.
    ``is_rare``: bool, frames that have to be walked.
    """

    at: I64
    ethertype: I64
    is_rare: Rows


class Carried(NamedTuple):
    """What IP packets carry that may be a tunnel. ``rows``: int64, in which frames; ``protocol``: int64, or
    ``FRAGMENT``; ``at``: int64, where the payload begins; ``length``: int64, payload bytes on the wire, and
    ``captured``: int64, those that are there.
    """

    rows: I64
    protocol: I64
    at: I64
    length: I64
    captured: I64


Columns = tuple[I64, ...]
"""Of TCP segments: row, source, target, sequence number, flags, where the payload begins, its bytes that are there and
those on the wire, acknowledgement number.
"""


def network(batch: FrameBatch, stops: Counter[Stop]) -> Network:
    """The link headers of frames, with tags behind them."""
    data, offset, end = batch.data, batch.offset, batch.offset + batch.captured
    count = len(batch)
    places = np.empty(count, np.int64)
    ethertype = np.full(count, NOTHING, np.int64)
    rare = np.zeros(count, np.bool_)
    kinds = batch.link_types()
    for kind in kinds:
        rows = batch.link_type == kind if len(kinds) > 1 else EVERY
        layer = (Space.LINK_TYPE, kind)
        at, ends = offset[rows], end[rows]
        if kind not in COLUMNS:
            places[rows] = at
            if entry(layer).opens:
                rare[rows] = True
            else:
                stops[Stop(layer, "unknown")] += len(at)
            continue
        length, kinds_at = COLUMNS[kind]
        here = at + length
        encapsulated = here < ends
        _count_short(stops, layer, batch, rows, encapsulated)
        if kinds_at != BY_VERSION:
            value = _u16(data, at + kinds_at)
            for _ in range(2):
                tagged = is_one_of(value, VLAN_TAGS)
                if not tagged.any():
                    break
                tagged &= here + 4 <= ends
                if not tagged.any():
                    break
                inner = _u16(data, here + 2)
                here = np.where(tagged, here + 4, here)
                value = np.where(tagged, inner, value)
            if kind == LinkType.ETHERNET and (value < LENGTHS).any():
                value = np.where(value < LENGTHS, ETHERTYPE_LLC, value)
        else:
            nibble = data[np.minimum(here, len(data) - 1)] >> 4
            value = np.where(nibble == 4, ETHERTYPE_IPV4, np.where(nibble == 6, ETHERTYPE_IPV6, ETHERTYPE_LLC))
        places[rows] = here
        ethertype[rows] = np.where(encapsulated, value, NOTHING)
    others = ~is_one_of(ethertype, (ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOTHING))
    if others.any():
        for value, frames in zip(
            *(column.tolist() for column in np.unique(ethertype[others], return_counts=True)), strict=True
        ):
            known = entry((Space.ETHERTYPE, value))
            if known.opens:
                rare |= ethertype == value
            elif not known.is_plain:
                stops[Stop((Space.ETHERTYPE, value), "unknown")] += frames
    return Network(places, ethertype, rare)


def ipv4(batch: FrameBatch, rows: I64, at: I64, stops: Counter[Stop]) -> tuple[Columns, Carried]:
    """Packets of IPv4 that begin at some places: their segments, and what else they carry."""
    end = batch.offset[rows] + batch.captured[rows]
    whole = at + 20 <= end
    _count_short(stops, IPV4_LAYER, batch, rows, whole)
    some = chosen(whole)
    rows, at, end = rows[some], at[some], end[some]
    head = gather(batch.data, at, 20)
    header = (head[:, 0] & 15).astype(np.int64) * 4
    valid = (head[:, 0] >> 4 == 4) & (header >= 20)
    meaning = PROTOCOL.take(head[:, 9])
    fragment = (head[:, 6] & 0x3F | head[:, 7]) != 0
    odd = valid & (fragment | (meaning == OPENED))
    odd |= _tunnelled(batch, rows, valid & ~fragment & (meaning == DATAGRAM), at + header, end, stops)
    _count_lost(stops, IPV4_LAYER, head[:, 9], valid, valid & ~fragment & (meaning == LOST))
    keep = valid & ~odd & (meaning == HEADER)
    total = head.view(">u2")[:, 1].astype(np.int64)
    if not total.all():
        total = np.where(total == 0, batch.original[rows] - (at - batch.offset[rows]), total)
    payload, length = at + header, total - header
    addresses = head.view(">u4")
    some = chosen(keep)
    segments = _tcp(
        batch=batch,
        rows=rows[some],
        at=payload[some],
        end=end[some],
        length=length[some],
        source=addresses[some, 3].astype(np.int64),
        target=addresses[some, 4].astype(np.int64),
        stops=stops,
    )
    protocol = np.where(fragment[odd], FRAGMENT, head[odd, 9])
    return segments, _carried(rows[odd], protocol, payload[odd], length[odd], end[odd])


def ipv6(
    batch: FrameBatch, rows: I64, at: I64, addresses: AddressTable, stops: Counter[Stop]
) -> tuple[Columns, Carried]:
    """The same of IPv6."""
    end = batch.offset[rows] + batch.captured[rows]
    whole = at + 40 <= end
    _count_short(stops, IPV6_LAYER, batch, rows, whole)
    some = chosen(whole)
    rows, at, end = rows[some], at[some], end[some]
    head = gather(batch.data, at, 40)
    valid = head[:, 0] >> 4 == 6
    meaning = PROTOCOL.take(head[:, 6])
    odd = valid & (meaning == OPENED)
    odd |= _tunnelled(batch, rows, valid & (meaning == DATAGRAM), at + 40, end, stops)
    _count_lost(stops, IPV6_LAYER, head[:, 6], valid, valid & (meaning == LOST))
    keep = valid & ~odd & (meaning == HEADER)
    length = head.view(">u2")[:, 2].astype(np.int64)
    if not length.all():
        length = np.where(length == 0, batch.original[rows] - (at - batch.offset[rows]) - 40, length)
    some = chosen(keep)
    numbers = addresses.numbers(np.concatenate([head[some, 8:24], head[some, 24:40]]))
    count = len(numbers) // 2
    segments = _tcp(
        batch=batch,
        rows=rows[some],
        at=at[some] + 40,
        end=end[some],
        length=length[some],
        source=numbers[:count],
        target=numbers[count:],
        stops=stops,
    )
    return segments, _carried(rows[odd], head[odd, 6].astype(np.int64), at[odd] + 40, length[odd], end[odd])


def _carried(rows: I64, protocol: I64, at: I64, length: I64, end: I64) -> Carried:
    return Carried(rows, protocol, at, length, np.minimum(length, end - at))


def _count_short(stops: Counter[Stop], layer: Layer, batch: FrameBatch, rows: I64 | Rows | slice, whole: Rows) -> None:
    """Frames that end inside a header: cut while capturing, or never longer."""
    if whole.all():
        return
    captured, original = batch.captured[rows][~whole], batch.original[rows][~whole]
    cut = int(np.count_nonzero(captured < original))
    for why, frames in (("cut", cut), ("malformed", len(captured) - cut)):
        if frames:
            stops[Stop(layer, why)] += frames


def _count_lost(stops: Counter[Stop], layer: Layer, protocol: U8, valid: Rows, lost: Rows) -> None:
    """IP headers that are none, and protocols that may carry anything."""
    invalid = len(valid) - int(np.count_nonzero(valid))
    if invalid:
        stops[Stop(layer, "malformed")] += invalid
    if lost.any():
        for number, frames in enumerate(np.bincount(protocol[lost]).tolist()):
            if frames:
                stops[Stop((Space.IP_PROTOCOL, number), "unknown")] += frames


def _tunnelled(batch: FrameBatch, rows: I64, datagrams: Rows, at: I64, end: I64, stops: Counter[Stop]) -> Rows:
    """Which UDP datagrams are worth a look: by a tunnel's port, or by what GTP-U, VXLAN and Geneve begin with. ``at``:
    where the UDP headers begin.
    """
    mask = np.zeros(len(at), np.bool_)
    places = np.flatnonzero(datagrams)
    if not len(places):
        return mask
    whole = at[places] + 8 <= end[places]
    _count_short(stops, UDP_LAYER, batch, rows[places], whole)
    places = places[whole]
    head = gather(batch.data, at[places], 16)
    words = head.view(">u2")
    first, flags = head[:, 8], head[:, 9]
    gtp = (first >> 4 == 3) & (flags == 255) & (words[:, 5].astype(np.int64) + 16 == words[:, 2])
    reserved = head[:, 15] == 0
    vxlan = (first == 8) & (flags == 0) & (words[:, 5] == 0)
    geneve = (first < 64) & (flags & 0x3F == 0) & is_one_of(words[:, 5], (0x6558, ETHERTYPE_IPV4, ETHERTYPE_IPV6))
    mask[places] = (
        TUNNEL_PORT[words[:, 0]]
        | TUNNEL_PORT[words[:, 1]]
        | ((gtp | (reserved & (vxlan | geneve))) & (at[places] + 16 <= end[places]))
    )
    return mask


def _tcp(
    batch: FrameBatch, rows: I64, at: I64, end: I64, length: I64, source: I64, target: I64, stops: Counter[Stop]
) -> Columns:
    data = batch.data
    whole = at + 20 <= end
    if not whole.all():
        _count_short(stops, TCP_LAYER, batch, rows, whole)
        rows, at, end, length, source, target = (
            rows[whole],
            at[whole],
            end[whole],
            length[whole],
            source[whole],
            target[whole],
        )
    head = gather(data, at, 16)
    ports, words = head.view(">u2"), head.view(">u4")
    header = (head[:, 12] >> 4).astype(np.int64) * 4
    payload = length - header
    fine = (header >= 20) & (payload >= 0)
    start = at + header
    part = (
        rows,
        source << 16 | ports[:, 0],
        target << 16 | ports[:, 1],
        words[:, 1].astype(np.int64),
        head[:, 13].astype(np.int64),
        start,
        np.maximum(np.minimum(payload, end - start), 0),
        payload,
        words[:, 2].astype(np.int64),
    )
    if fine.all():
        return part
    stops[Stop(TCP_LAYER, "malformed")] += len(fine) - int(np.count_nonzero(fine))
    return tuple(column[fine] for column in part)


EVERY = slice(None)


def chosen(rows: Rows) -> Rows | slice:
    """What picks rows out of columns: where it is all of them, which it mostly is, nothing is copied."""
    return EVERY if rows.all() else rows


def is_one_of(values: npt.NDArray[np.integer[Any]], wanted: tuple[int, ...]) -> Rows:
    """``np.isin`` for a few values, several times as fast."""
    mask: Rows = values == wanted[0]
    for value in wanted[1:]:
        mask |= values == value
    return mask


def _u16(data: U8, at: I64) -> I64:
    return data[at].astype(np.int64) << 8 | data[at + 1]
