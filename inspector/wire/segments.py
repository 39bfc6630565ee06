"""FrameBatch in, SegmentBatch out: the TCP segments of a whole batch as numpy columns.

Headers are read in columns (``headers``), and so are the common tunnels (``tunnel_columns``). Every other frame that
the table of encapsulations knows goes one by one through ``tunnels``; what it does not know is counted.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field

from inspector.capture.frames import I64, U8, U64, FrameBatch, Rows
from inspector.wire import headers, tunnel_columns
from inspector.wire.addresses import AddressTable
from inspector.wire.fragments import Key, Waiting
from inspector.wire.headers import ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOTHING, Carried, Columns, Network
from inspector.wire.tunnels import Stop, Tunnels, carries

FIN, SYN, RST, ACK, URG = 1, 2, 4, 16, 32
CONTROL = SYN | FIN | RST | URG
"""What a segment says beside its bytes, or of them."""

DEPTH = 3
NONE_CARRIED = Carried(*(np.zeros(0, np.int64) for _ in Carried._fields))


class SegmentBatch(Struct):
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

    def ends(self) -> tuple[U64, U64]:
        """Of each segment both ends, the lower first."""
        return np.minimum(self.source, self.target), np.maximum(self.source, self.target)

    def select(self, rows: Rows | I64 | slice) -> SegmentBatch:
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


class _Headers(NamedTuple):
    """What headers say. ``carried``: what may be a tunnel. ``rare``: int64, the rows that have to be walked, those of
    ``carried`` among them.
    """

    segments: list[Columns]
    carried: Carried
    rare: I64


class SegmentDecoder:
    """Decodes batches; keeps the addresses and the IP fragments that wait for their rest."""

    def __init__(self, depth: int = DEPTH) -> None:
        """``depth``: tunnels in tunnels that are opened in columns; all others are walked."""
        self.addresses = AddressTable()
        self._tunnels = Tunnels(self.addresses)
        self._depth = depth

    def decode(self, batch: FrameBatch) -> SegmentBatch:
        """The TCP segments of a batch, in file order."""
        data = batch.data
        stops: Counter[Stop] = Counter()
        parts, slow = self._columns(batch, stops)
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

    def _columns(self, batch: FrameBatch, stops: Counter[Stop]) -> tuple[list[Columns], I64]:
        """The segments that columns find, and the rows that have to be walked."""
        is_rare = np.zeros(len(batch), np.bool_)
        read = self._headers(batch, headers.network(batch, stops), stops)
        is_rare[read.rare] = True
        parts = read.segments
        frames, rows, carried = batch, np.arange(len(batch)), read.carried
        for _ in range(self._depth):
            inner = tunnel_columns.opened(frames, carried) if len(carried.rows) else None
            if inner is None:
                break
            frames, rows = inner.frames, rows[inner.rows]
            uncounted: Counter[Stop] = Counter()  # a frame that is not opened to its end is walked, and counted there
            network = headers.network(frames, uncounted)
            holds = ~inner.must_prove | tunnel_columns.proven(frames, network)
            read = self._headers(
                frames, network._replace(ethertype=np.where(holds, network.ethertype, NOTHING)), uncounted
            )
            for columns in read.segments:
                is_rare[rows[columns[0]]] = False
                parts.append((rows[columns[0]], *columns[1:]))
            carried = read.carried
        return parts, np.flatnonzero(is_rare)

    def _headers(self, frames: FrameBatch, network: Network, stops: Counter[Stop]) -> _Headers:
        """What the headers of frames say."""
        segments: list[Columns] = []
        carried: list[Carried] = []
        for version, wanted in ((4, ETHERTYPE_IPV4), (6, ETHERTYPE_IPV6)):
            rows = np.flatnonzero((network.ethertype == wanted) & ~network.is_rare)
            if not len(rows):
                continue
            if version == 4:
                columns, others = headers.ipv4(frames, rows, network.at[rows], stops)
            else:
                columns, others = headers.ipv6(frames, rows, network.at[rows], self.addresses, stops)
            segments.append(columns)
            carried.append(others)
        every = Carried(*(np.concatenate(column) for column in zip(*carried, strict=True))) if carried else NONE_CARRIED
        return _Headers(segments, every, np.concatenate([np.flatnonzero(network.is_rare), every.rows]))

    def given_up(self) -> list[Waiting]:
        """Fragments of datagrams that were put away unfinished since this was asked last, and that matter."""
        return [fragment for fragment in self._tunnels.given_up() if carries(fragment)]

    def parted(self) -> frozenset[Key]:
        """All datagrams that are not whole yet: the next fragment may show that they matter."""
        return frozenset(self._tunnels.waiting())

    def waiting(self) -> dict[Key, Waiting]:
        """Fragments that matter of datagrams that are not whole yet."""
        return {key: fragment for key, fragment in self._tunnels.waiting().items() if carries(fragment)}
