"""FrameBatch to SegmentBatch: link, IP and TCP headers of a whole batch decoded as numpy columns.

Ethernet with up to two VLAN tags, Linux cooked capture v1 and v2, raw IP and BSD loopback stand here; IPv4 with options and
IPv6 without extension headers. Every other frame goes one by one through ``tunnels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.capture.frames import U8, FrameBatch, gather
from inspector.wire.tunnels import Tunnels

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.bool_]

NULL, ETHERNET, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 101, 108, 113, 228, 229, 276
RAW_TYPES = (RAW, 12, 14, IPV4, IPV6)
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
TUNNEL_ETHERTYPES = (0x8847, 0x8848, 0x8864, 0x8909, 0x6558, 0x88BE)
TUNNEL_PROTOCOLS = (4, 41, 47)
EXTENSION_HEADERS = (0, 43, 44, 60, 51)
TUNNEL_PORTS = (4789, 8472, 6081, 2152)
TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16


class AddressTable:
    """IP addresses as numbers: IPv4 as itself, IPv6 as 2**32 plus the order of its first appearance."""

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self._address: list[bytes] = []

    def number(self, address: bytes) -> int:
        """The number of a packed address of 4 or 16 bytes."""
        if len(address) == 4:
            return int.from_bytes(address, "big")
        found = self._number.get(address)
        if found is None:
            found = self._number[address] = (1 << 32) + len(self._address)
            self._address.append(address)
        return found

    def address(self, number: int) -> bytes:
        """The packed address of a number."""
        return number.to_bytes(4, "big") if number < 1 << 32 else self._address[number - (1 << 32)]


@dataclass(slots=True)
class SegmentBatch:
    """TCP segments of one FrameBatch.

    ``source``, ``target``: uint64, address number << 16 | port. ``seq``: int64, raw sequence number. ``flags``: int64, TCP flags.
    ``start``: int64, where the payload begins in ``data``. ``held``: int64, payload bytes in ``data``; ``length``: int64, payload
    bytes on the wire (more than held where the frame was cut). ``time_ns``, ``number``: int64, of the frame. ``ack``: int64, raw acknowledgement number.
    """

    data: U8
    source: U64
    target: U64
    seq: I64
    flags: I64
    start: I64
    held: I64
    length: I64
    time_ns: I64
    number: I64
    ack: I64
    capture: int
    undecoded: int = 0

    def __len__(self) -> int:
        return len(self.seq)

    def select(self, rows: Rows) -> SegmentBatch:
        """The same buffer with only some rows."""
        return SegmentBatch(
            self.data,
            self.source[rows],
            self.target[rows],
            self.seq[rows],
            self.flags[rows],
            self.start[rows],
            self.held[rows],
            self.length[rows],
            self.time_ns[rows],
            self.number[rows],
            self.ack[rows],
            self.capture,
            self.undecoded,
        )


class SegmentDecoder:
    """Decodes batches; keeps the addresses and the IP fragments that wait for their rest."""

    def __init__(self) -> None:
        self.addresses = AddressTable()
        self._tunnels = Tunnels(self.addresses)

    def decode(self, batch: FrameBatch) -> SegmentBatch:
        """The TCP segments of a batch, in file order."""
        data = batch.data
        network, ethertype, rare = _link(batch)
        end = batch.offset + batch.captured
        parts: list[tuple[I64, ...]] = []
        undecoded = int(np.count_nonzero(ethertype < 0))
        for version, wanted in ((4, ETHERTYPE_IPV4), (6, ETHERTYPE_IPV6)):
            rows = np.flatnonzero((ethertype == wanted) & ~rare)
            if len(rows):
                part, odd, bad = self._ipv4(batch, rows, network[rows], end[rows]) if version == 4 else self._ipv6(batch, rows, network[rows], end[rows])
                parts.append(part)
                rare[odd] = True
                undecoded += bad
        slow = np.flatnonzero(rare)
        if len(slow):
            data, part, bad = self._tunnels.decode(batch, slow)
            undecoded += bad
            if len(part[0]):
                parts.append(part)
        if not parts:
            parts.append(tuple(np.zeros(0, np.int64) for _ in range(9)))
        columns = [np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True)]
        if len(parts) > 1:
            order = np.argsort(columns[0], kind="stable")
            columns = [column[order] for column in columns]
        rows, source, target, seq, flags, start, held, length, ack = columns
        return SegmentBatch(
            data, source.astype(np.uint64), target.astype(np.uint64), seq, flags, start, held, length, batch.time_ns[rows], batch.number[rows], ack, batch.capture, undecoded
        )

    def _ipv4(self, batch: FrameBatch, rows: I64, at: I64, end: I64) -> tuple[tuple[I64, ...], I64, int]:
        data = batch.data
        whole = at + 20 <= end
        bad = int(np.count_nonzero(~whole))
        rows, at, end = rows[whole], at[whole], end[whole]
        head = gather(data, at, 20)
        words = head.view(">u2").astype(np.int64)
        header = (head[:, 0] & 15).astype(np.int64) * 4
        protocol = head[:, 9]
        valid = (head[:, 0] >> 4 == 4) & (header >= 20)
        fragment = (words[:, 3] & 0x3FFF) != 0
        odd = valid & (fragment | _among(protocol, TUNNEL_PROTOCOLS))
        odd |= self._tunnelled(data, valid & (protocol == UDP), at + header, end)
        keep = valid & ~odd & (protocol == TCP)
        addresses = head[:, 12:20].copy().view(">u4").astype(np.int64)
        total = words[:, 1]
        on_wire = batch.original[rows] - (at - batch.offset[rows])
        total = np.where(total == 0, on_wire, total)
        part, cut = _tcp(data, rows[keep], (at + header)[keep], end[keep], (total - header)[keep], addresses[keep, 0], addresses[keep, 1])
        return part, rows[odd], bad + cut

    def _ipv6(self, batch: FrameBatch, rows: I64, at: I64, end: I64) -> tuple[tuple[I64, ...], I64, int]:
        data = batch.data
        whole = at + 40 <= end
        bad = int(np.count_nonzero(~whole))
        rows, at, end = rows[whole], at[whole], end[whole]
        head = gather(data, at, 40)
        protocol = head[:, 6]
        valid = head[:, 0] >> 4 == 6
        odd = valid & (_among(protocol, TUNNEL_PROTOCOLS) | _among(protocol, EXTENSION_HEADERS))
        odd |= self._tunnelled(data, valid & (protocol == UDP), at + 40, end)
        keep = valid & ~odd & (protocol == TCP)
        total = head[:, 4].astype(np.int64) << 8 | head[:, 5]
        total = np.where(total == 0, batch.original[rows] - (at - batch.offset[rows]) - 40, total)
        kept = head[keep]
        source = np.array([self.addresses.number(a.tobytes()) for a in kept[:, 8:24]], np.int64)
        target = np.array([self.addresses.number(a.tobytes()) for a in kept[:, 24:40]], np.int64)
        part, cut = _tcp(data, rows[keep], (at + 40)[keep], end[keep], total[keep], source, target)
        return part, rows[odd], bad + cut

    @staticmethod
    def _tunnelled(data: U8, datagrams: Rows, at: I64, end: I64) -> Rows:
        """Which UDP datagrams go to the port of a tunnel. ``at``: where the UDP headers begin."""
        if not datagrams.any():
            return datagrams
        return datagrams & _among(_u16(data, at + 2), TUNNEL_PORTS) & (at + 8 <= end)


def _link(batch: FrameBatch) -> tuple[I64, I64, Rows]:
    """Where the network header begins, the ethertype (-1 where the frame is cut or its link type unknown), and which frames are rare."""
    data, offset, end = batch.data, batch.offset, batch.offset + batch.captured
    count = len(batch)
    network = offset.copy()
    ethertype = np.full(count, -1, np.int64)
    kinds = batch.link_type[:1] if count and (batch.link_type == batch.link_type[0]).all() else np.unique(batch.link_type)
    for kind in kinds.tolist():
        rows = np.flatnonzero(batch.link_type == kind) if len(kinds) > 1 else np.arange(count)
        at = offset[rows]
        if kind == ETHERNET:
            length, kinds_at = 14, 12
        elif kind == SLL:
            length, kinds_at = 16, 14
        elif kind == SLL2:
            length, kinds_at = 20, 0
        elif kind in RAW_TYPES:
            length, kinds_at = 0, -1
        elif kind in (NULL, LOOP):
            length, kinds_at = 4, -1
        else:
            continue
        here = at + length
        inside = here + 1 <= end[rows]
        if kinds_at >= 0:
            value = _u16(data, at + kinds_at)
            for _ in range(2):
                tagged = _among(value, VLAN_TAGS) & (here + 4 <= end[rows])
                if not tagged.any():
                    break
                inner = _u16(data, here + 2)
                here = np.where(tagged, here + 4, here)
                value = np.where(tagged, inner, value)
        else:
            nibble = data[np.minimum(here, len(data) - 1)] >> 4
            value = np.where(nibble == 4, ETHERTYPE_IPV4, np.where(nibble == 6, ETHERTYPE_IPV6, 0))
        network[rows] = here
        ethertype[rows] = np.where(inside, value, -1)
    return network, ethertype, _among(ethertype, TUNNEL_ETHERTYPES + VLAN_TAGS)


def _tcp(data: U8, rows: I64, at: I64, end: I64, length: I64, source: I64, target: I64) -> tuple[tuple[I64, ...], int]:
    whole = at + 20 <= end
    cut = int(np.count_nonzero(~whole))
    if cut:
        rows, at, end, length, source, target = rows[whole], at[whole], end[whole], length[whole], source[whole], target[whole]
    head = gather(data, at, 16)
    ports = head.view(">u2").astype(np.int64)
    words = head.view(">u4")
    seq, ack = words[:, 1].astype(np.int64), words[:, 2].astype(np.int64)
    header = (head[:, 12] >> 4).astype(np.int64) * 4
    payload = length - header
    fine = (header >= 20) & (payload >= 0)
    start = at + header
    held = np.clip(np.minimum(payload, end - start), 0, None)
    part = (rows, source << 16 | ports[:, 0], target << 16 | ports[:, 1], seq, head[:, 13].astype(np.int64), start, held, payload, ack)
    return (part if fine.all() else tuple(column[fine] for column in part)), cut


def _among(values: npt.NDArray[np.integer[Any]], wanted: tuple[int, ...]) -> Rows:
    """``np.isin`` for a few values, several times as fast."""
    found: Rows = values == wanted[0]
    for value in wanted[1:]:
        found |= values == value
    return found


def _u16(data: U8, at: I64) -> I64:
    at = np.minimum(at, len(data) - 2)
    return gather(data, at, 2).view(">u2")[:, 0].astype(np.int64)
