"""The open flows: which segments belong together, when a connection begins and ends (RFC 9293, section 3).

Two ends of a flow may hold many connections one after the other, and a capture may begin in the middle of one, lack
segments, or hold them twice, by two clocks. So each span asks: is this of the connection that is open, of the one
before it, or of a new one? A SYN with another sequence number begins one; so does a segment where nothing of the open
one can lie that begins as its protocol begins; what comes long after the end belongs to no one who is known. An older
connection is kept beside a newer one while frames of it may still come, for two taps need not agree on the time.

What TCP carries is the consumer's affair (``consumer``): the table hands it bytes in order, says when a side opened and
closed, and asks it what it needs to know of a flow: whether it is decided, and who of the two is the client.

Three ways lead through it. Files are fed batch by batch until ``finish``. An extraction of a shard of a story feeds its
shard, then ``drain``: only open flows are followed to their end, in frames that the next shard reads as well. Live
capture asks several times a second for what has ended and what is decided: that is ``live_flows``.

Where another table reads the same segments from some frame on, nothing opens here any more: what begins is the other
one's (``shared_flows``). Where the connection before it is still kept for late frames, the one that begins is followed
here as well, as a *foreign* one, until the older one can get no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, Rows
from inspector.wire import half_open
from inspector.wire.acknowledged import UnsettledFlows, weigh_conflicts
from inspector.wire.addresses import AddressTable, Key
from inspector.wire.beginnings import SYN_AGAIN_NS, FlowBeginnings
from inspector.wire.completed import CompletedFlows
from inspector.wire.flow import Ending, Flow, Moment
from inspector.wire.flow_extent import reached, went_on, widen
from inspector.wire.flow_owner import BatchReader, FlowOwner
from inspector.wire.grouping import Grouped, mask_of_flows
from inspector.wire.half_open import HalfOpenFlows, HalfOpenRows
from inspector.wire.parsed_extent import ParsedExtent
from inspector.wire.runs import FlowRuns, runs_of
from inspector.wire.segments import ACK, FIN, RST, SYN, URG, SegmentBatch
from inspector.wire.shared_flows import SharedFlows

SWEEP_NS = 10 * 1_000_000_000
"""How often flows that are over are looked for: whenever packet time passes a multiple of it, so that all tables that
read parts of a story do it at the same frames.
"""
LATE_NS = 1_000_000_000
"""Frames come in the order of time but for so much: only what is over for so long is given up."""


class FlowTable:
    """Open flows by their endpoints. ``from_middle``: frames went before the first one, so that flows may have begun
    before it. ``most_flows``: open at once; beyond it the longest idle ones are closed. ``most_half_open``: the same of
    flows that never opened; 0 to follow them as all others. ``is_one_clock``: all was captured by one, in the order in
    which it was sent, so that nothing of an older connection comes behind the SYN of a newer one.
    """

    def __init__(
        self,
        addresses: AddressTable,
        owner: FlowOwner,
        *,
        from_middle: bool = False,
        most_flows: int = bounds.FLOWS,
        most_half_open: int = bounds.HALF_OPEN,
        is_one_clock: bool = False,
    ) -> None:
        self._addresses = addresses
        self._owner = owner
        self._beginnings = FlowBeginnings(addresses, from_middle=from_middle)
        self._most_flows, self._crowd = most_flows, max(most_flows // bounds.CROWD_SHARE, bounds.SMALLEST_CROWD)
        self._is_one_clock = is_one_clock
        self._flows: dict[Key, Flow] = {}
        self._most_half_open = most_half_open
        self._half_open = HalfOpenFlows(most_half_open)
        self._completed = CompletedFlows()
        self._is_draining = False
        self.extent: ParsedExtent | None = None
        """Where somebody wants to know how far into each segment of a batch anybody looked: that of the last one."""
        self._now = 0
        self._may_open = True
        """Else what begins is read by another table."""
        self.shared = SharedFlows()
        """What is told of those that another table has pieces of."""
        self._unsettled = UnsettledFlows()
        self._swept = self._swept_half_open = 0
        self.closed_early: Counter[int] = Counter()
        """Flows that were closed because too many were open, by how many may be."""

    def feed(self, batch: SegmentBatch) -> None:
        """Take a batch; in pieces where it is of too many flows, and nobody asks for the extent of the whole."""
        grouped = self._grouped(batch)
        if grouped is None or len(grouped) <= min(bounds.CROWDED, self._crowd) or self.extent is not None:
            self._feed_piece(batch, grouped)
            return
        size = min(bounds.CROWDED_PIECE, self._crowd)
        for first in range(0, len(batch), size):
            piece = batch.select(slice(first, first + size))
            self._feed_piece(piece, self._grouped(piece))

    def _grouped(self, batch: SegmentBatch) -> Grouped | None:
        """By flow what is followed of a batch; None where nothing is."""
        if not self._may_open:
            batch = batch.select(
                mask_of_flows(batch, [*self._flows, *self._completed.keys()])
                | self._half_open.holds(half_open.keys(*batch.ends()))
            )
        return Grouped(batch, self._owner.opens, self.extent) if len(batch) else None

    def _feed_piece(self, batch: SegmentBatch, grouped: Grouped | None) -> None:
        if not len(batch):
            return
        now = int(batch.time_ns.max())
        self._beginnings.start(batch.time_ns)
        if grouped is not None:
            self._feed(grouped)
            self._unsettled.note_received(grouped)
        self._now = max(now, self._now)
        self._look_for_ends(now)

    def _look_for_ends(self, now: int) -> None:
        if now // SWEEP_NS != self._swept // SWEEP_NS or len(self._flows) > self._most_flows:
            self._sweep(now)
        elif self._is_draining:
            self._end_over(now)

    def _feed(self, grouped: Grouped) -> None:
        """Flow by flow: those that do no more than open are kept as they are, those that open here and go by the book
        are taken as a whole, and kept as they are where they close as well, the others span by span.
        """
        self._wake(grouped)
        is_followed = self._put_aside(grouped)
        regular = self._regular(grouped, is_followed)
        if regular is None:
            for group in runs_of(grouped, np.flatnonzero(is_followed)):
                self._follow(group)
            return
        if self.extent is not None:
            self.extent.note(*regular.looked())
        brought = np.full(len(grouped), -1, np.int64)
        brought[regular.chosen] = np.where(regular.odd, -1, np.arange(len(regular.chosen)))
        is_followed[regular.chosen[regular.is_completed]] = False
        self._completed.add(regular.completed, self._beginnings.early_ns)
        wanted = np.flatnonzero(is_followed)
        others = runs_of(grouped, wanted[brought[wanted] < 0])
        for index, number in zip(wanted.tolist(), brought[wanted].tolist(), strict=True):
            if number < 0:
                self._follow(next(others))
            elif not self._take(regular, number, index):
                self._follow(next(runs_of(grouped, np.array([index]))))

    def _wake(self, grouped: Grouped) -> None:
        """Follow what was put aside of flows of which more comes."""
        if self._completed:
            for key in zip(grouped.low.tolist(), grouped.high.tolist(), strict=True):
                with self._owner.border:
                    if (flow := self._completed.wake(key)) is not None:
                        self._add(flow)
        if len(self._half_open):
            woken = self._half_open.take(half_open.keys(grouped.low, grouped.high))
            may_open, self._may_open = self._may_open, True
            for index in range(len(woken)):
                self._follow(half_open.segments(woken[index : index + 1]))
            self._may_open = may_open

    def _put_aside(self, grouped: Grouped) -> Rows:
        """Keep the flows that do no more than open, as they are; gives which flows of the batch are to be followed."""
        followed = np.ones(len(grouped), np.bool_)
        if not self._most_half_open or grouped.spread or not self._may_open:
            return followed
        flow, rows = half_open.rows_of(grouped)
        if not len(flow):
            return followed
        is_new = ~self._are_open(grouped, flow)
        is_new &= rows["ns"][:, 0] >= self._beginnings.early_ns
        self._end_half_open(self._half_open.add(rows[is_new]), is_early=True)
        followed[flow[is_new]] = False
        return followed

    def _end_half_open(self, rows: HalfOpenRows, *, is_early: bool = False) -> None:
        """Flows that never opened are over. ``is_early``: because they were too many."""
        if len(rows):
            if is_early:
                self.closed_early[self._most_half_open] += len(rows)
            self._owner.never_opened(*half_open.ends(rows))

    def _regular(self, grouped: Grouped, is_followed: Rows) -> BatchReader | None:
        """The flows that may be taken as a whole, if there are such."""
        if not self._may_open or grouped.spread:
            return None
        opening = grouped.opening()
        opening = opening[is_followed[opening]]
        if not len(opening):
            return None
        return self._owner.read_batch(grouped, opening[~self._are_open(grouped, opening)])

    def _are_open(self, grouped: Grouped, chosen: I64) -> Rows:
        """Which of some flows of a batch are open, half open ones aside."""
        flows = self._flows
        keys = zip(grouped.low[chosen].tolist(), grouped.high[chosen].tolist(), strict=True)
        return np.array([key in flows for key in keys], np.bool_)

    def _take(self, regular: BatchReader, number: int, index: int) -> bool:
        """Go on from where a regular flow stands at the end of its batch; False where it must be followed after all.
        ``index``: which of the grouped flows it is.
        """
        with self._owner.border:
            flow = regular.flow(number)
            if flow is None or flow.key in self._flows:
                return False
            self._add(flow)
            self._unsettled.note(flow, index)
            return True
        return False

    def _add(self, flow: Flow) -> None:
        """Follow a flow that was read elsewhere, and began with a SYN."""
        self._flows[flow.key] = flow
        flow.began = self._beginnings.key(flow.key, flow.isns[flow.client_lane()] or 0, flow.first[0])

    def drain(self) -> None:
        """From now on follow only the flows that are open; what begins is read by another table from this frame on."""
        self._is_draining, self._may_open = True, False
        self.shared.noted_ns = self._now + SYN_AGAIN_NS - LATE_NS
        self._end_over(self._now)

    @property
    def open_flows(self) -> Iterator[Flow]:
        """Those that are followed, to be looked at before the next batch."""
        for flow in self._flows.values():
            older = flow.older
            while older is not None:
                yield older
                older = older.older
            yield flow

    @property
    def completed_flows(self) -> CompletedFlows:
        """Those that opened and closed within one batch, and may have late segments yet."""
        return self._completed

    @property
    def is_empty(self) -> bool:
        """No flow is open, or may have late segments."""
        return not self._flows and not len(self._half_open) and not self._completed

    def _follow(self, group: FlowRuns) -> None:
        """As ``_follow_spans``; where that fails, the connection is lost, and no other."""
        is_followed = False
        with self._owner.border:
            self._follow_spans(group)
            is_followed = True
        if not is_followed:
            self._flows.pop(group.key, None)

    def _follow_spans(self, group: FlowRuns) -> None:
        """The spans of one pair of endpoints, in the order of their first segments."""
        key, spans, run = group.key, group.spans, group.run
        newest = self._flows.get(key)
        frame_base = run.frame
        begin = spans[0][0]
        since_ns = newest.last[0] if newest is not None else run.time_ns[begin]
        may_pause = group.last_ns - since_ns > bounds.IDLE_NS
        for first, end, lane, seq, control, flags, length, captured, ack in spans:
            if not (length or control) and (newest is None or not newest.is_answered):
                continue  # it tells nothing, and is here because it is the first of the batch
            ns = run.time_ns[first]
            older = None
            may_give_way = newest is not None and (control & SYN or newest.closed or may_pause)
            if newest is not None and may_give_way and newest.gives_way(control, lane, seq, ns):
                moment = ns, frame_base + run.number[first]
                reached(newest, group, begin, moment[1])
                begin = first
                if newest.gives_way(control, lane, seq, ns):  # also where its last frame carried nothing
                    older = self._replaced(self._flows.pop(key), control & SYN, moment)
                    newest = None
            if newest is None:
                if not control & SYN and (not length or control & RST):
                    continue
                if not self._may_open and older is None:
                    return
                newest = self._open(key, ns, frame_base + run.number[first], control & SYN and not flags & ACK, seq)
                newest.older = older
                begin = first
                newest.is_foreign = not self._may_open
            flow = newest if newest.older is None else newest.owner(lane, seq, control)
            newest.is_answered &= flow is newest
            if not self._may_open:
                self.shared.note(newest, flow, flags, ns, says_something=bool(length or control))
            flow.packets[lane] = True
            stream = flow.streams[lane]
            if flags & ACK:
                flow.acks[lane] = ack
            if control & SYN:
                self._synchronise(flow, lane, seq, flags, (ns, frame_base + run.number[first]))
                seq = seq + 1 & 0xFFFFFFFF
            elif flow.is_answered and ns >= flow.last[0]:
                flow.note_round_trip(lane, ack, ns, is_empty=not length and not control)
            if length:
                if stream.is_next(seq):
                    stream.run(run, first, end, length, captured)
                else:
                    if flow is newest and stream.begins_anew(seq, run, first, is_over=flow.closed):
                        moment = ns, frame_base + run.number[first]
                        reached(newest, group, begin, moment[1])
                        self._replaced(self._flows.pop(key), 0, moment)
                        begin = first
                        if self._is_left(flow):
                            return
                        newest = flow = self._open(key, ns, frame_base + run.number[first], 0, seq)
                        stream = flow.streams[lane]
                        flow.packets[lane] = stream.sequence_jump = True
                    known = stream.conflict_count
                    stream.insert_run(run, first, end, seq)
                    if stream.conflict_count > known:
                        weigh_conflicts(flow, lane, known, group)
            if control & (FIN | RST | URG):
                after = seq + length + (control & FIN) & 0xFFFFFFFF
                ending = Ending(ns, frame_base + run.number[first], after, ack if flags & ACK else None)
                self._note_control(flow, lane, control, seq, length, ending)
            if group.spread and flow is not newest:
                widen(flow, (run.number[first], run.number[end - 1]))
            is_first = ns < flow.first[0] and bool(length or control)
            row = first if is_first else end - 1
            is_last = (flow.closed or flow is not newest) and run.time_ns[row] >= flow.last[0]
            if is_first or is_last:
                flow.extend((run.time_ns[row], frame_base + run.number[row]))
        self._leave_off(newest, group, begin)

    def _synchronise(self, flow: Flow, lane: int, seq: int, flags: int, moment: Moment) -> None:
        """A SYN came; behind those of both sides nothing of the connection before is waited for."""
        flow.synchronise(lane, seq, flags, *moment)
        if flow.older is not None and flow.isns[0] is not None and flow.isns[1] is not None:
            self._end(flow.older)
            flow.older = None

    def _is_left(self, flow: Flow) -> bool:
        """Whether what begins anew behind a flow is not followed here: it is the other table's, or not all is there."""
        if self._may_open or (self._is_draining and not flow.is_foreign):
            return False
        self.shared.is_undecided |= not flow.is_foreign
        return True

    def _leave_off(self, newest: Flow | None, group: FlowRuns, begin: int) -> None:
        """A flow is open behind a batch, or none. ``begin``: its first row there."""
        if newest is None:
            return
        if newest.is_foreign and newest.older is None:
            del self._flows[newest.key]
            newest.consumer.release()
            return
        went_on(newest, group, begin)
        self._unsettled.note(newest, group.index)

    def _replaced(self, flow: Flow, by_syn: int, until: Moment) -> Flow | None:
        """A connection is followed by another on the same endpoints: it is kept a while where frames of it may still
        come. ``until``: where the other one begins.
        """
        flow.until = until
        if flow.older is not None:
            self._end(flow.older)
            flow.older = None
        if by_syn and not self._is_one_clock and not flow.is_over(until[0]):
            return flow
        self._end(flow)
        return None

    def _open(self, key: Key, ns: int, frame: int, by_syn: int, seq: int) -> Flow:
        """A flow that begins."""
        flow = self._flows[key] = Flow(key, self._owner.consumer(), ns, frame)
        flow.began = self._beginnings.key(key, seq if by_syn else None, ns)
        return flow

    def _note_control(self, flow: Flow, lane: int, control: int, seq: int, length: int, ending: Ending) -> None:
        flow.note_control(lane, control, seq, length, ending)

    def _end_over(self, now: int) -> None:
        """End what is over."""
        self._completed.end_over(now - LATE_NS)
        for flow in [flow for flow in self._flows.values() if flow.is_over(now - LATE_NS)]:
            del self._flows[flow.key]
            self._end(flow)

    def _sweep(self, now: int) -> None:
        """Close what is over; beyond the bound also the longest idle ones."""
        if now // SWEEP_NS != self._swept_half_open // SWEEP_NS:
            self._swept_half_open = now
            self._end_half_open(self._half_open.take_over(now - LATE_NS, bounds.APART_NS, bounds.IDLE_NS))
        self._swept = now
        self._end_over(now)
        for flow in list(self._flows.values()):
            for stream in flow.streams:
                stream.forget(now)
        surplus = len(self._flows) - self._most_flows
        if surplus > 0:
            longest_idle = sorted(self._flows.values(), key=lambda f: f.last)[: surplus + self._most_flows // 10]
            self.closed_early[self._most_flows] += len(longest_idle)
            for flow in longest_idle:
                del self._flows[flow.key]
                flow.until = (flow.last[0] + 1, 0)
                self._end(flow)

    def finish(self) -> None:
        """End all flows."""
        self._end_half_open(self._half_open.take_all())
        self._completed.end_all()
        for flow in self._flows.values():
            self._end(flow)
        self._flows.clear()

    def _end(self, flow: Flow) -> None:
        if flow.older is not None:
            self._end(flow.older)
            flow.older = None
        if flow.is_foreign:
            flow.consumer.release()
            return
        if self._is_draining or flow.is_shared:
            self.shared.note_ended(flow, self._addresses.endpoints(flow.key))
        with self._owner.border:
            flow.settle_ends()
            for stream in flow.streams:
                stream.finish()
            self._owner.ended(flow)
        flow.consumer.release()
