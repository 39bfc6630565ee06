"""The open flows of live capture: besides following them, who asks is told what has ended and what is decided.

Packets come by one clock, in the order in which they were sent, and somebody waits for the result. So a connection ends
as soon as another one begins on its endpoints, and one that was closed when nothing of it can come any more, by packet
time that goes on where no packets come. A flow is *young* until it was told what becomes of it. Those that open and
close within one batch are told when it was read: of them only late segments are waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector import bounds
from inspector.wire.addresses import AddressTable, Key
from inspector.wire.flow import Ending, Flow
from inspector.wire.flow_owner import FlowOwner
from inspector.wire.flows import FlowTable
from inspector.wire.parsed_extent import ParsedExtent
from inspector.wire.segments import SegmentBatch


class LiveFlowTable(FlowTable):
    """Open flows, asked for several times a second. ``extent`` is that of the last batch, where it is noted."""

    def __init__(
        self, addresses: AddressTable, owner: FlowOwner, *, most_flows: int, most_half_open: int, notes_extent: bool
    ) -> None:
        super().__init__(addresses, owner, most_flows=most_flows, most_half_open=most_half_open, is_one_clock=True)
        self._notes_extent = notes_extent
        self._settled_ns = 0
        self._young: dict[Key, Flow] = {}
        self._closing: dict[Key, Flow] = {}
        self._addresses_kept = 0
        """As many were in use when the others were forgotten: while most still are, that is not worth another look."""

    def feed(self, batch: SegmentBatch) -> None:
        """Take a batch."""
        self.extent = ParsedExtent() if self._notes_extent else None
        super().feed(batch)
        if len(self._completed) > self._most_flows:
            self._completed.end_all()

    def settle(self, now_ns: int) -> None:
        """End the flows that were closed long enough ago. ``now_ns``: packet time, which goes on where no packets
        come.
        """
        if now_ns < self._settled_ns - bounds.APART_NS:  # the clock was set back
            self._completed.end_all()
        self._settled_ns = now_ns
        self._completed.end_over(now_ns)
        for key, flow in list(self._closing.items()):
            if self._flows.get(key) is not flow:
                del self._closing[key]
            elif abs(now_ns - flow.last[0]) > bounds.CLOSED_NS:  # long enough ago, or the clock was set back
                del self._flows[key]
                self._end(flow)
        if len(self._addresses) > max(bounds.ADDRESSES, 2 * self._addresses_kept):
            self._addresses.keep(self._half_open.addresses() | {end >> 16 for key in self._keys() for end in key})
            self._addresses_kept = len(self._addresses)

    def _keys(self) -> Iterator[Key]:
        yield from self._flows
        yield from self._completed.keys()

    @property
    def undecided(self) -> int:
        """How many flows may be handed out by ``decided``."""
        return len(self._young)

    def decided(self, at_once: Callable[[Flow], bool] | None = None) -> Iterator[Flow]:
        """Open flows of which is decided what becomes of them, each once. They must be looked at before the next frames
        come.

        Those that were established are handed out when they are asked for again, or left to ``settle`` where they were
        closed since; where it is said which are wanted ``at_once``, those.
        """
        for key, flow in list(self._young.items()):
            if self._flows.get(key) is not flow or flow.consumer.is_hopeless:
                del self._young[key]
            elif flow.is_decided:
                if flow.consumer.is_established:
                    if at_once is not None:
                        if not at_once(flow):
                            continue
                    elif flow.closed or not flow.was_established:
                        flow.was_established = True
                        continue
                del self._young[key]
                if flow.consumer.is_recognised:
                    yield flow

    def _open(self, key: Key, ns: int, frame: int, by_syn: int, seq: int) -> Flow:
        flow = self._young[key] = super()._open(key, ns, frame, by_syn, seq)
        return flow

    def _add(self, flow: Flow) -> None:
        super()._add(flow)
        self._young[flow.key] = flow
        if flow.closed:
            self._closing[flow.key] = flow

    def _note_control(self, flow: Flow, lane: int, control: int, seq: int, length: int, ending: Ending) -> None:
        super()._note_control(flow, lane, control, seq, length, ending)
        if flow.closed:
            self._closing[flow.key] = flow

    def _end(self, flow: Flow) -> None:
        super()._end(flow)
        for kept in (self._young, self._closing):
            if kept.get(flow.key) is flow:
                del kept[flow.key]
