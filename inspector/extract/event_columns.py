"""The events of many connections at once, packed as ``facts.pack_event`` packs one, and as facts hold them: their side
is 1 from the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, U8, Rows
from inspector.facts import EVENT_BYTES
from inspector.wire.regular import RegularFlows

EVENT = np.dtype([("ns", "<i8"), ("frame", "<u8"), ("size", "<u4"), ("letter", "u1"), ("side", "u1")])
"""``facts.pack_event`` as a column."""


class EventPiece(NamedTuple):
    """Events of a kind, by columns of int64; a number stands for a column of it. ``shown``: the rows with which they
    show; ``rank``: their order within a row; ``position``: theirs on the line. ``row``: whose time and frame they have.
    ``lane``: the number of their direction. ``letter``: uint8.
    """

    shown: I64
    rank: int
    position: I64 | int
    row: I64
    lane: I64
    size: I64 | int
    letter: U8 | int


class PackedEvents:
    """All events, flow by flow in the order in which they show. ``at``: int64, where each came to stand, in the order
    of the pieces. An entry for each flow: ``is_orderly``, bool, its events came in the order of time; ``latest``:
    int64, the time of the last one; ``is_full``, bool, they are more than are kept.
    """

    def __init__(self, pieces: Sequence[EventPiece], flows: RegularFlows) -> None:
        shown = np.concatenate([piece.shown for piece in pieces])
        key = np.concatenate([piece.shown << 34 | piece.rank << 32 | piece.position for piece in pieces])
        row = np.concatenate([piece.row for piece in pieces])
        events = np.empty(len(shown), EVENT)
        begin = 0
        for piece in pieces:
            part = events[begin : begin + len(piece.shown)]
            part["size"], part["letter"] = piece.size, piece.letter
            part["side"] = piece.lane & 1 == flows.opener[piece.lane >> 1]
            begin += len(part)
        events["ns"], events["frame"] = flows.ns[row], flows.frame[row]
        order = np.argsort(key, kind="stable")
        events = events[order]
        flow = flows.flow_number[shown[order]]
        self.at: I64 = np.empty(len(order), np.int64)
        self.at[order] = np.arange(len(order))
        heads = np.searchsorted(flow, np.arange(len(flows) + 1))
        self.is_full: Rows = np.diff(heads) > bounds.EVENTS
        ns = events["ns"]
        self.is_orderly: Rows = np.ones(len(flows), np.bool_)
        self.is_orderly[flow[1:][(ns[1:] < ns[:-1]) & (flow[1:] == flow[:-1])]] = False
        self.latest: I64 = ns[heads[1:] - 1]
        self._heads: list[int] = heads.tolist()
        self._packed = events.tobytes()

    def first(self, index: int) -> int:
        """Where the first event of a flow stands among all."""
        return self._heads[index]

    def of(self, index: int) -> bytes:
        """The events of a flow, packed."""
        return self._packed[self._heads[index] * EVENT_BYTES : self._heads[index + 1] * EVENT_BYTES]
