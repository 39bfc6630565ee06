"""The frames of some connections, kept in memory with their TCP payloads apart: what evidence is cut from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from inspector.capture.frames import FrameBatch
from inspector.facts import FRAME_BITS, PackedEndpoint
from inspector.packets import reread as evidence
from inspector.packets.reread import FlowFrames
from inspector.wire.segments import SegmentBatch, SegmentDecoder

LANE_BYTES = 8 << 20
"""Of each direction of a connection so much is kept; behind it only that frames were there."""

BUFFER_BYTES = 256 << 20


class BufferedFrame(Struct):
    """One TCP segment. ``frame``: reference. ``data``: the whole frame as captured; ``payload_at``: where the payload
    begins in it, -1 where a tunnel hides it.

    ``payload``: what was captured of it; ``length``: its length on the wire. ``is_client``: from the flow's first end.
    """

    frame: int
    ns: int
    link_type: int
    original: int
    data: bytes
    payload_at: int
    payload: bytes
    length: int
    seq: int
    flags: int
    is_client: bool
    ack: int = 0


class BufferedFlow(Struct):
    """The frames of one flow in the order of their capture. ``ends``: client and server."""

    ends: tuple[PackedEndpoint, PackedEndpoint]
    frames: list[BufferedFrame]
    bytes: list[int]
    """Kept of each direction, server first."""


class FrameBuffer:
    """``flows``: parallel to ``selections``. ``is_full``: memory ran out, and later frames are missing."""

    def __init__(self, selections: Sequence[FlowFrames]) -> None:
        self.flows = [BufferedFlow(flow.ends, [], [0, 0]) for flow in selections]
        self.bytes = 0
        self.is_full = False
        self._selections = selections
        self._decoder = SegmentDecoder()
        self._by_pair: dict[frozenset[int], list[int]] = {}
        self._number = {end: evidence.end_number(self._decoder, end) for flow in selections for end in flow.ends}
        for index, flow in enumerate(selections):
            self._by_pair.setdefault(frozenset(self._number[end] for end in flow.ends), []).append(index)

    def read(self, paths: Sequence[str], late: Mapping[int, int] | None = None) -> None:
        """Read the captures once more. ``late``: as in ``Story``. Raises UnreadableError."""
        self.take(evidence.frames(paths, self._selections, decoder=self._decoder, late=late))

    def take(self, batches: Iterable[tuple[FrameBatch, SegmentBatch]]) -> None:
        """Frames with their segments."""
        for batch, segments in batches:
            rows = {number: row for row, number in enumerate(batch.number.tolist())}
            for at in range(len(segments)):
                if self.bytes > BUFFER_BYTES:
                    self.is_full = True
                    return
                self._add(batch, rows[int(segments.number[at])], segments, at)

    def _add(self, batch: FrameBatch, row: int, segments: SegmentBatch, at: int) -> None:
        source = int(segments.source[at])
        frame = batch.capture << FRAME_BITS | int(segments.number[at])
        pair = frozenset((source, int(segments.target[at])))
        index = next((p for p in self._by_pair.get(pair, ()) if self._selections[p].covers(frame)), None)
        if index is None:
            return
        flow = self.flows[index]
        is_client = source == self._number[flow.ends[0]]
        offset, captured = int(batch.offset[row]), int(batch.captured[row])
        start, captured_bytes = int(segments.start[at]), int(segments.captured[at])
        payload = segments.data[start : start + captured_bytes].tobytes()
        is_plain = segments.data is batch.data and offset <= start <= offset + captured
        if flow.bytes[is_client] > LANE_BYTES:
            payload = b""
            captured = min(captured, start - offset) if is_plain else captured
        flow.bytes[is_client] += len(payload)
        data = batch.data[offset : offset + captured].tobytes()
        self.bytes += len(data) + len(payload)
        flow.frames.append(
            BufferedFrame(
                frame=frame,
                ns=int(batch.time_ns[row]),
                link_type=int(batch.link_type[row]),
                original=int(batch.original[row]),
                data=data,
                payload_at=start - offset if is_plain else data.rfind(payload) if payload else -1,
                payload=payload,
                length=int(segments.length[at]),
                seq=int(segments.seq[at]),
                flags=int(segments.flags[at]),
                is_client=is_client,
                ack=int(segments.ack[at]),
            )
        )
