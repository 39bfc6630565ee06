"""FrameBatch to SegmentBatch: link, IP and TCP headers of a whole batch decoded as numpy columns.

Ethernet with up to two VLAN tags, Linux cooked capture v1 and v2, raw IP and BSD loopback stand here; IPv4 with options
and IPv6 without extension headers. Every other frame that the table of encapsulations knows goes one by one through
``tunnels``; what it does not know is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.capture.frames import U8, FrameBatch, gather
from inspector.wire.addresses import AddressTable
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
from inspector.wire.fragments import Key, Waiting
from inspector.wire.table import DATAGRAM, HEADER, LOST, OPENED, PROTOCOL, TUNNEL_PORT, entry
from inspector.wire.tunnels import Stop, Tunnels, carries

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.bool_]

NULL, ETHERNET, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 101, 108, 113, 228, 229, 276
BY_VERSION = -1
COLUMNS = {
    ETHERNET: (14, 12),
    SLL: (16, 14),
    SLL2: (20, 0),
    NULL: (4, BY_VERSION),
    LOOP: (4, BY_VERSION),
    **dict.fromkeys((RAW, 12, 14, IPV4, IPV6), (0, BY_VERSION)),
}
"""Link types whose headers are read in columns: how long they are, and where the EtherType stands in them."""

ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_LLC = 0x0800, 0x86DD, 4
NOTHING = -1
FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(slots=True)
class SegmentBatch:
    """TCP segments of one FrameBatch.

    ``source``, ``target``: uint64, address number << 16 | port. ``seq``: int64, raw sequence number. ``flags``: int64,
    TCP flags.
    ``start``: int64, where the payload begins in ``data``. ``captured``: int64, payload bytes in ``data``; ``length``:
    int64, payload bytes on the wire (more than held where the frame was cut). ``time_ns``, ``number``: int64, of the
    frame. ``ack``: int64, raw acknowledgement number.
    ``stops``: frames that were not opened.
    """

    data: U8
    source: U64
    target: U64
    seq: I64
    flags: I64
    start: I64
    captured: I64
    length: I64
    time_ns: I64
    number: I64
    ack: I64
    capture: int
    stops: Counter[Stop] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.seq)

    def select(self, rows: Rows) -> SegmentBatch:
        """The same buffer with only some rows."""
        return SegmentBatch(
            data=self.data,
            source=self.source[rows],
            target=self.target[rows],
            seq=self.seq[rows],
            flags=self.flags[rows],
            start=self.start[rows],
            captured=self.captured[rows],
            length=self.length[rows],
            time_ns=self.time_ns[rows],
            number=self.number[rows],
            ack=self.ack[rows],
            capture=self.capture,
            stops=self.stops,
        )


class SegmentDecoder:
    """Decodes batches; keeps the addresses and the IP fragments that wait for their rest."""

    def __init__(self) -> None:
        self.addresses = AddressTable()
        self._tunnels = Tunnels(self.addresses)

    def decode(self, batch: FrameBatch) -> SegmentBatch:
        """The TCP segments of a batch, in file order."""
        data = batch.data
        stops: Counter[Stop] = Counter()
        network, ethertype, rare = _link(batch, stops)
        end = batch.offset + batch.captured
        parts: list[tuple[I64, ...]] = []
        for version, wanted in ((4, ETHERTYPE_IPV4), (6, ETHERTYPE_IPV6)):
            rows = np.flatnonzero((ethertype == wanted) & ~rare)
            if len(rows):
                decode = self._ipv4 if version == 4 else self._ipv6
                part, odd = decode(batch, rows, network[rows], end[rows], stops)
                parts.append(part)
                rare[odd] = True
        slow = np.flatnonzero(rare)
        if len(slow):
            data, part, more = self._tunnels.decode(batch, slow)
            stops += more
            if len(part[0]):
                parts.append(part)
        if not parts:
            parts.append(tuple(np.zeros(0, np.int64) for _ in range(9)))
        columns = [np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True)]
        if len(parts) > 1:
            order = np.argsort(columns[0], kind="stable")
            columns = [column[order] for column in columns]
        rows, source, target, seq, flags, start, captured, length, ack = columns
        return SegmentBatch(
            data=data,
            source=source.astype(np.uint64),
            target=target.astype(np.uint64),
            seq=seq,
            flags=flags,
            start=start,
            captured=captured,
            length=length,
            time_ns=batch.time_ns[rows],
            number=batch.number[rows],
            ack=ack,
            capture=batch.capture,
            stops=stops,
        )

    def given_up(self) -> list[Waiting]:
        """Fragments of datagrams that were put away unfinished since this was asked last, and that matter."""
        return [fragment for fragment in self._tunnels.given_up() if carries(fragment)]

    def parted(self) -> frozenset[Key]:
        """All datagrams that are not whole yet: the next fragment may show that they matter."""
        return frozenset(self._tunnels.waiting())

    def waiting(self) -> dict[Key, Waiting]:
        """Fragments that matter of datagrams that are not whole yet."""
        return {key: fragment for key, fragment in self._tunnels.waiting().items() if carries(fragment)}

    def _ipv4(
        self, batch: FrameBatch, rows: I64, at: I64, end: I64, stops: Counter[Stop]
    ) -> tuple[tuple[I64, ...], I64]:
        data = batch.data
        whole = at + 20 <= end
        _count_short(stops, IPV4_LAYER, batch, rows, whole)
        rows, at, end = rows[whole], at[whole], end[whole]
        head = gather(data, at, 20)
        words = head.view(">u2").astype(np.int64)
        header = (head[:, 0] & 15).astype(np.int64) * 4
        valid = (head[:, 0] >> 4 == 4) & (header >= 20)
        meaning = PROTOCOL.take(head[:, 9])
        fragment = (words[:, 3] & 0x3FFF) != 0
        odd = valid & (fragment | (meaning == OPENED))
        odd |= _tunnelled(batch, rows, valid & ~fragment & (meaning == DATAGRAM), at + header, end, stops)
        _count_lost(stops, IPV4_LAYER, head[:, 9], valid, valid & ~fragment & (meaning == LOST))
        keep = valid & ~odd & (meaning == HEADER)
        addresses = head[:, 12:20].copy().view(">u4").astype(np.int64)
        total = words[:, 1]
        on_wire = batch.original[rows] - (at - batch.offset[rows])
        total = np.where(total == 0, on_wire, total)
        return _tcp(
            batch=batch,
            rows=rows[keep],
            at=(at + header)[keep],
            end=end[keep],
            length=(total - header)[keep],
            source=addresses[keep, 0],
            target=addresses[keep, 1],
            stops=stops,
        ), rows[odd]

    def _ipv6(
        self, batch: FrameBatch, rows: I64, at: I64, end: I64, stops: Counter[Stop]
    ) -> tuple[tuple[I64, ...], I64]:
        data = batch.data
        whole = at + 40 <= end
        _count_short(stops, IPV6_LAYER, batch, rows, whole)
        rows, at, end = rows[whole], at[whole], end[whole]
        head = gather(data, at, 40)
        valid = head[:, 0] >> 4 == 6
        meaning = PROTOCOL.take(head[:, 6])
        odd = valid & (meaning == OPENED)
        odd |= _tunnelled(batch, rows, valid & (meaning == DATAGRAM), at + 40, end, stops)
        _count_lost(stops, IPV6_LAYER, head[:, 6], valid, valid & (meaning == LOST))
        keep = valid & ~odd & (meaning == HEADER)
        total = head[:, 4].astype(np.int64) << 8 | head[:, 5]
        total = np.where(total == 0, batch.original[rows] - (at - batch.offset[rows]) - 40, total)
        kept = head[keep]
        source = np.array([self.addresses.number(a.tobytes()) for a in kept[:, 8:24]], np.int64)
        target = np.array([self.addresses.number(a.tobytes()) for a in kept[:, 24:40]], np.int64)
        return _tcp(
            batch=batch,
            rows=rows[keep],
            at=(at + 40)[keep],
            end=end[keep],
            length=total[keep],
            source=source,
            target=target,
            stops=stops,
        ), rows[odd]


def _link(batch: FrameBatch, stops: Counter[Stop]) -> tuple[I64, I64, Rows]:
    """Where the network header begins, the EtherType (``NOTHING`` where there is nothing more to do), and which frames
    are rare.
    """
    data, offset, end = batch.data, batch.offset, batch.offset + batch.captured
    count = len(batch)
    network = offset.copy()
    ethertype = np.full(count, NOTHING, np.int64)
    rare = np.zeros(count, np.bool_)
    kinds = batch.link_types()
    for kind in kinds:
        rows = np.flatnonzero(batch.link_type == kind) if len(kinds) > 1 else np.arange(count)
        layer = (Space.LINK_TYPE, kind)
        if kind not in COLUMNS:
            if entry(layer).opens:
                rare[rows] = True
            else:
                stops[Stop(layer, "unknown")] += len(rows)
            continue
        length, kinds_at = COLUMNS[kind]
        at = offset[rows]
        here = at + length
        encapsulated = here + 1 <= end[rows]
        _count_short(stops, layer, batch, rows, encapsulated)
        if kinds_at != BY_VERSION:
            value = _u16(data, at + kinds_at)
            for _ in range(2):
                tagged = _is_one_of(value, VLAN_TAGS) & (here + 4 <= end[rows])
                if not tagged.any():
                    break
                inner = _u16(data, here + 2)
                here = np.where(tagged, here + 4, here)
                value = np.where(tagged, inner, value)
            if kind == ETHERNET and (value < LENGTHS).any():
                value = np.where(value < LENGTHS, ETHERTYPE_LLC, value)
        else:
            nibble = data[np.minimum(here, len(data) - 1)] >> 4
            value = np.where(nibble == 4, ETHERTYPE_IPV4, np.where(nibble == 6, ETHERTYPE_IPV6, ETHERTYPE_LLC))
        network[rows] = here
        ethertype[rows] = np.where(encapsulated, value, NOTHING)
    others = ~_is_one_of(ethertype, (ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOTHING))
    if others.any():
        for value, frames in zip(
            *(column.tolist() for column in np.unique(ethertype[others], return_counts=True)), strict=True
        ):
            known = entry((Space.ETHERTYPE, value))
            if known.opens:
                rare |= ethertype == value
            elif not known.is_plain:
                stops[Stop((Space.ETHERTYPE, value), "unknown")] += frames
    return network, ethertype, rare


def _count_short(stops: Counter[Stop], layer: Layer, batch: FrameBatch, rows: I64, whole: Rows) -> None:
    """Frames that end inside a header: cut while capturing, or never longer."""
    if whole.all():
        return
    short = rows[~whole]
    cut = int(np.count_nonzero(batch.captured[short] < batch.original[short]))
    for why, frames in (("cut", cut), ("malformed", len(short) - cut)):
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
    """Which UDP datagrams are worth a walk: by a tunnel's port, or by what GTP-U, VXLAN and Geneve begin with. ``at``:
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
    geneve = (first < 64) & (flags & 0x3F == 0) & _is_one_of(words[:, 5], (0x6558, ETHERTYPE_IPV4, ETHERTYPE_IPV6))
    mask[places] = (
        TUNNEL_PORT[words[:, 0]]
        | TUNNEL_PORT[words[:, 1]]
        | ((gtp | (reserved & (vxlan | geneve))) & (at[places] + 16 <= end[places]))
    )
    return mask


def _tcp(
    batch: FrameBatch, rows: I64, at: I64, end: I64, length: I64, source: I64, target: I64, stops: Counter[Stop]
) -> tuple[I64, ...]:
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
    ports = head.view(">u2").astype(np.int64)
    words = head.view(">u4")
    seq, ack = words[:, 1].astype(np.int64), words[:, 2].astype(np.int64)
    header = (head[:, 12] >> 4).astype(np.int64) * 4
    payload = length - header
    fine = (header >= 20) & (payload >= 0)
    start = at + header
    captured = np.clip(np.minimum(payload, end - start), 0, None)
    part = (
        rows,
        source << 16 | ports[:, 0],
        target << 16 | ports[:, 1],
        seq,
        head[:, 13].astype(np.int64),
        start,
        captured,
        payload,
        ack,
    )
    if fine.all():
        return part
    stops[Stop(TCP_LAYER, "malformed")] += len(fine) - int(np.count_nonzero(fine))
    return tuple(column[fine] for column in part)


def _is_one_of(values: npt.NDArray[np.integer[Any]], wanted: tuple[int, ...]) -> Rows:
    """``np.isin`` for a few values, several times as fast."""
    mask: Rows = values == wanted[0]
    for value in wanted[1:]:
        mask |= values == value
    return mask


def _u16(data: U8, at: I64) -> I64:
    at = np.minimum(at, len(data) - 2)
    return gather(data, at, 2).view(">u2")[:, 0].astype(np.int64)
