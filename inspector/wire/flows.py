"""Flows: which segments belong together, which side is the client, when a connection begins and ends.

A batch is sorted by flow (and by time within it); segments of one direction that follow each other become one run, so that Python is woken
once a run and not once a segment.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from inspector import bounds, facts
from inspector.facts import Close, ConnectionFacts, Endpoint
from inspector.tls.records import RecordReader
from inspector.tracking.connections import CertificateStore, Connection
from inspector.wire.segments import ACK, FIN, RST, SYN, AddressTable, SegmentBatch
from inspector.wire.streams import Run, Stream

CONTROL = SYN | FIN | RST
SWEEP_NS = 10 * 1_000_000_000
PLAUSIBLE_START = 1 << 20

Span = tuple[int, int, int, int, int, int, int, int]
"""First row, end row, lane, sequence number, FIN SYN RST bits, flags, payload bytes on the wire, payload bytes held."""


class Ended(Protocol):
    """Who takes finished flows."""

    def connection(self, found: ConnectionFacts) -> None: ...

    def other(self, server: Endpoint) -> None: ...


class Flow:
    """One 5-tuple and its lifetime. Lane 0 runs from the lower endpoint to the higher, lane 1 back."""

    __slots__ = ("closed", "connection", "fins", "first", "isns", "key", "last", "packets", "resets", "rtt", "streams", "syn_ns")

    def __init__(self, key: tuple[int, int], store: CertificateStore, ns: int, frame: int) -> None:
        self.key = key
        self.connection = Connection(store)
        readers = [RecordReader(0, self.connection), RecordReader(1, self.connection)]
        self.connection.attach(readers)
        self.streams = (Stream(readers[0]), Stream(readers[1]))
        self.isns: list[int | None] = [None, None]
        self.fins: list[Close | None] = [None, None]
        self.resets: list[Close | None] = [None, None]
        self.packets = [False, False]
        self.closed = False
        """Both sides said FIN, or one reset."""
        self.first = (ns, frame)
        self.last = (ns, frame)
        self.syn_ns: int | None = None
        self.rtt: int | None = None

    def client_lane(self) -> int:
        """The side that is the client: by the hello, else by the SYN, else the one with the higher port."""
        if self.connection.client_lane is not None:
            return self.connection.client_lane
        return 0 if self.key[0] & 0xFFFF > self.key[1] & 0xFFFF else 1

    def restarts(self, lane: int, seq: int) -> bool:
        """Whether a SYN begins a new connection on this pair of endpoints, rather than being sent or captured again."""
        known = self.isns[lane]
        if known is not None:
            return known != seq
        stream = self.streams[lane]
        if not self.packets[lane]:
            return self.closed
        start = stream.offset(seq + 1)
        return start != 0 if stream.anchored else abs(start) > PLAUSIBLE_START


class FlowTable:
    """Open flows by their endpoints."""

    def __init__(self, addresses: AddressTable, store: CertificateStore, ended: Ended, share: int = 0, shares: int = 1) -> None:
        self._share, self._shares = np.uint64(share), np.uint64(shares)
        self._addresses = addresses
        self._store = store
        self._ended = ended
        self._flows: dict[tuple[int, int], Flow] = {}
        self._swept = 0
        self.evicted = 0

    def feed(self, batch: SegmentBatch) -> None:
        """Take a batch."""
        now = int(batch.time_ns.max()) if len(batch) else 0
        low = np.minimum(batch.source, batch.target)
        high = np.maximum(batch.source, batch.target)
        mixed = low * np.uint64(0x9E3779B97F4A7C15) ^ high * np.uint64(0xC2B2AE3D27D4EB4F)
        if self._shares > 1:
            mine = (mixed >> np.uint64(40)) % self._shares == self._share
            batch, low, high, mixed = batch.select(mine), low[mine], high[mine], mixed[mine]
        if not len(batch):
            return
        lane = (batch.source != low).astype(np.int64)
        in_time = bool((np.diff(batch.time_ns) >= 0).all())
        order = np.argsort(mixed, kind="stable") if in_time else np.lexsort((batch.number, batch.time_ns, mixed))
        low, high, lane = low[order], high[order], lane[order]
        flags, seq, length, held = batch.flags[order], batch.seq[order], batch.length[order], batch.held[order]
        time_ns, number = batch.time_ns[order], batch.number[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        group_last = np.append(np.flatnonzero(fresh)[1:] - 1, len(order) - 1)
        group = np.cumsum(fresh) - 1
        control = flags & CONTROL
        answered = np.zeros(len(order), np.bool_)
        answered[1:] = (flags[:-1] & (SYN | ACK) == SYN | ACK) & ~fresh[1:]
        rows = np.flatnonzero((length > 0) | (control != 0) | answered)
        if not len(rows):
            return
        group, lane, seq, length, held, control = group[rows], lane[rows], seq[rows], length[rows], held[rows], control[rows]
        follows = np.zeros(len(rows), np.bool_)
        plain = (control == 0) & (length > 0)
        follows[1:] = (
            (group[1:] == group[:-1])
            & (lane[1:] == lane[:-1])
            & plain[1:]
            & plain[:-1]
            & (held[:-1] == length[:-1])
            & ((seq[:-1] + length[:-1]) & 0xFFFFFFFF == seq[1:])
        )
        before = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(length, out=before[1:])
        held_before = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(held, out=held_before[1:])
        firsts = np.flatnonzero(~follows)
        run = Run(
            memoryview(batch.data),
            batch.start[order][rows].tolist(),
            held.tolist(),
            length.tolist(),
            before.tolist(),
            number[rows].tolist(),
            time_ns[rows].tolist(),
            facts.frame_reference(batch.capture, 0),
        )
        ends = np.append(firsts[1:], len(rows))
        where = rows[firsts]
        spans = list(
            zip(
                firsts.tolist(),
                ends.tolist(),
                lane[firsts].tolist(),
                seq[firsts].tolist(),
                control[firsts].tolist(),
                flags[where].tolist(),
                (before[ends] - before[firsts]).tolist(),
                (held_before[ends] - held_before[firsts]).tolist(),
                strict=True,
            )
        )
        group_first = np.flatnonzero(np.append(True, np.diff(group[firsts]) != 0))
        head = where[group_first]
        tail = group_last[group[firsts[group_first]]]
        groups = zip(
            low[head].tolist(),
            high[head].tolist(),
            group_first.tolist(),
            np.append(group_first[1:], len(spans)).tolist(),
            time_ns[tail].tolist(),
            number[tail].tolist(),
            strict=True,
        )
        for low_end, high_end, first_span, last_span, last_ns, last_number in groups:
            self._follow((low_end, high_end), spans[first_span:last_span], run, last_ns, run.frame + last_number)
        if now - self._swept > SWEEP_NS or len(self._flows) > bounds.FLOWS:
            self._sweep(now)

    def _follow(self, key: tuple[int, int], spans: list[Span], run: Run, last_ns: int, last_frame: int) -> None:
        """The spans of one pair of endpoints, in the order of their first segments."""
        flow = self._flows.get(key)
        frame_base = run.frame
        for first, end, lane, seq, control, flags, length, held in spans:
            ns = run.time_ns[first]
            if control & SYN:
                if flow is not None and flow.restarts(lane, seq):
                    self._end(flow)
                    flow = None
            elif flow is None:
                if not length or control & RST:
                    continue
            elif flow.closed and length and not control and ns - flow.last[0] > bounds.CLOSED_NS:
                self._end(flow)
                flow = None
            if flow is None:
                flow = self._flows[key] = Flow(key, self._store, ns, frame_base + run.number[first])
            flow.packets[lane] = True
            stream = flow.streams[lane]
            if control & SYN:
                self._syn(flow, lane, seq, flags, ns, frame_base + run.number[first])
                seq = seq + 1 & 0xFFFFFFFF
            elif not length and flow.syn_ns is not None and flow.rtt is None and lane == flow.connection.client_lane:
                flow.rtt = ns - flow.syn_ns
            if length:
                if stream.is_next(seq):
                    stream.run(run, first, end, length, held)
                else:
                    self._insert(stream, run, first, end, seq)
            if control & (FIN | RST):
                self._close(flow, lane, control, ns, frame_base + run.number[first])
        if flow is not None:
            if last_ns > flow.last[0]:
                flow.last = (last_ns, last_frame)
            ns = run.time_ns[spans[0][0]]
            if ns < flow.first[0]:
                flow.first = (ns, frame_base + run.number[spans[0][0]])

    @staticmethod
    def _insert(stream: Stream, run: Run, first: int, end: int, seq: int) -> None:
        """A span that does not simply come next, segment by segment."""
        for row in range(first, end):
            start = run.start[row]
            piece = run.data[start : start + run.held[row]].tobytes()
            stream.insert(stream.offset(seq), piece, run.length[row], run.frame + run.number[row], run.time_ns[row])
            seq = seq + run.length[row] & 0xFFFFFFFF

    @staticmethod
    def _syn(flow: Flow, lane: int, seq: int, flags: int, ns: int, frame: int) -> None:
        connection = flow.connection
        if flow.isns[lane] is None:
            flow.isns[lane] = seq
            connection.event(lane, b"s", 0, (0, frame, ns))
        flow.streams[lane].anchor(seq + 1 & 0xFFFFFFFF)
        if not flags & ACK:
            flow.syn_ns = flow.syn_ns or ns
            if connection.client_lane is None:
                connection.client_lane = lane

    @staticmethod
    def _close(flow: Flow, lane: int, control: int, ns: int, frame: int) -> None:
        connection = flow.connection
        if control & FIN and flow.fins[lane] is None:
            flow.fins[lane] = Close(ns, frame)
            connection.event(lane, b".", 0, (0, frame, ns))
        if control & RST and flow.resets[lane] is None:
            flow.resets[lane] = Close(ns, frame)
            connection.event(lane, b"!", 0, (0, frame, ns))
        flow.closed = flow.fins[0] is not None and flow.fins[1] is not None or any(flow.resets)

    def _sweep(self, now: int) -> None:
        """Close what is over or idle; beyond the bound also the longest idle ones."""
        self._swept = now
        for flow in list(self._flows.values()):
            quiet = now - flow.last[0]
            if quiet > bounds.IDLE_NS or (quiet > bounds.CLOSED_NS and flow.closed):
                del self._flows[flow.key]
                self._end(flow)
        surplus = len(self._flows) - bounds.FLOWS
        if surplus > 0:
            self.evicted += surplus
            for flow in sorted(self._flows.values(), key=lambda f: f.last)[: surplus + bounds.FLOWS // 10]:
                del self._flows[flow.key]
                self._end(flow)

    def finish(self) -> None:
        """End all flows."""
        for flow in self._flows.values():
            self._end(flow)
        self._flows.clear()

    def _end(self, flow: Flow) -> None:
        for stream in flow.streams:
            stream.finish()
        connection = flow.connection
        client = flow.client_lane()
        ends = [Endpoint(self._addresses.address(end >> 16), end & 0xFFFF) for end in flow.key]
        connection.attach([])  # the readers hold the connection: leave no cycle behind
        if not connection.tls:
            self._ended.other(ends[1 - client])
            return
        lanes = []
        for lane in (client, 1 - client):
            stream = flow.streams[lane]
            found = connection.lane_facts(lane)
            found.bytes = stream.received
            found.gap = max(0, stream.top - stream.received)
            found.fin, found.rst = flow.fins[lane], flow.resets[lane]
            found.lost = stream.lost or stream.reader.uncertain
            found.packets = flow.packets[lane]
            lanes.append(found)
        events = connection.event_facts(client)
        connection.handshake.seen = facts.seen_bits(events[facts.LETTER_AT :: facts.EVENT_BYTES], events[facts.SIDE_AT :: facts.EVENT_BYTES])
        self._ended.connection(
            ConnectionFacts(
                client=ends[client],
                server=ends[1 - client],
                initial_sequence=flow.streams[client].initial_sequence(),
                syn=flow.isns[client] is not None,
                first_ns=flow.first[0],
                last_ns=flow.last[0],
                first_frame=flow.first[1],
                last_frame=flow.last[1],
                rtt=flow.rtt,
                preamble=connection.preamble,
                handshake=connection.handshake,
                from_client=lanes[0],
                from_server=lanes[1],
                alerts=connection.alert_facts(client),
                anomalies=connection.anomaly_facts(client, events),
                events=events,
            )
        )
