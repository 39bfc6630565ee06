"""What connections of a batch say in clear, flow by flow: handshake messages of which facts are made, and alerts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.capture.frames import I64, Rows, gather
from inspector.extract.alerts import AlertNote
from inspector.extract.handshakes import SPEAKING
from inspector.extract.lockstep import MESSAGE_HEADER, Messages, RecordColumns
from inspector.tls.messages import CURVE_BYTES
from inspector.tls.sink import Mark
from inspector.tls.types import NAMED_CURVE, HandshakeType
from inspector.wire.regular import RegularFlows

SPEAKS: Rows = np.zeros(256, np.bool_)
SPEAKS[list(SPEAKING - {HandshakeType.SERVER_KEY_EXCHANGE})] = True

Speaking = tuple[int, int, bytes, Mark, int]
"""A message: lane, handshake type, body, mark, and which event it is. A plain tuple: there are many."""


class SpeakingMessages:
    """The messages that say something, in the order in which they show. To be read while the batch is there."""

    def __init__(self, messages: Messages, flows: RegularFlows, event: I64) -> None:
        """``event``: where each message stands among all events."""
        line = self._line = flows.line
        self._octets = line.data.data
        speaking = np.flatnonzero(SPEAKS[messages.kind])
        speaking = speaking[np.argsort(event[speaking])]
        lane, row = messages.lane[speaking], messages.row[speaking]
        body, size = messages.start[speaking] + MESSAGE_HEADER, messages.size[speaking]
        first = np.minimum(line.row(body), len(line.end) - 1)
        start = np.where(body + size <= line.end[first], body + line.shift[first], -1)
        at = flows.order[row]
        columns = (
            lane & 1,
            messages.kind[speaking],
            start,
            body,
            size,
            line.begin[row] - flows.low[lane],
            flows.frame[at],
            flows.ns[at],
            event[speaking],
        )
        self._heads: list[int] = np.searchsorted(lane >> 1, np.arange(len(flows) + 1)).tolist()
        self._rows = list(zip(*(column.tolist() for column in columns), strict=True))

    def of(self, index: int) -> list[Speaking]:
        """Those of one flow."""
        octets, pieces = self._octets, self._line.pieces
        return [
            (
                lane,
                kind,
                octets[start : start + size].tobytes() if start >= 0 else pieces(body, size),
                (chunk, frame, ns),
                event,
            )
            for lane, kind, start, body, size, chunk, frame, ns, event in self._rows[
                self._heads[index] : self._heads[index + 1]
            ]
        ]


def curve_column(messages: Messages, flows: RegularFlows, client: I64) -> list[int]:
    """Of each flow the first three bytes of its ServerKeyExchange, where they may name a group; else 0. Of several the
    server's last one behind its hello counts. ``client``: which lane of a flow is the client's.
    """
    line, beginnings = flows.line, np.zeros(len(flows), np.int64)
    lane, start = messages.lane, messages.start
    is_servers = lane & 1 != client[lane >> 1]
    hello_at = np.full(len(flows), np.iinfo(np.int64).max)
    hellos = np.flatnonzero((messages.kind == HandshakeType.SERVER_HELLO) & is_servers)[::-1]
    hello_at[lane[hellos] >> 1] = start[hellos]
    chosen = np.flatnonzero(
        (messages.kind == HandshakeType.SERVER_KEY_EXCHANGE)
        & (messages.size >= CURVE_BYTES)
        & is_servers
        & (start > hello_at[lane >> 1])
        & (start + MESSAGE_HEADER + CURVE_BYTES <= flows.high[lane])  # of an odd one less may be there than it says
    )
    body = start[chosen] + MESSAGE_HEADER
    row = line.row(body)
    octets = gather(line.data, body + line.shift[row], CURVE_BYTES).astype(np.int64)
    for at in np.flatnonzero(line.end[row] - body < CURVE_BYTES).tolist():  # in more than one segment
        octets[at] = list(line.pieces(int(body[at]), CURVE_BYTES))
    is_curve = octets[:, 0] == NAMED_CURVE
    beginnings[messages.lane[chosen[is_curve]] >> 1] = octets[is_curve] @ (1 << 16, 1 << 8, 1)
    return beginnings.tolist()


class AlertColumns:
    """The alerts, in the order in which they show."""

    def __init__(self, records: RecordColumns, flows: RegularFlows) -> None:
        alerts = np.flatnonzero(records.is_alert)
        alerts = alerts[np.argsort(flows.order[records.record_index[alerts]], kind="stable")]
        lane, row = records.lane[alerts], flows.order[records.row[alerts]]
        columns: Sequence[I64] = (
            lane & 1,
            np.where(records.is_clear[alerts], 1, -1) * records.head[alerts, 5],
            records.head[alerts, 6].astype(np.int64),
            records.start[alerts] - flows.low[lane],
            flows.frame[row],
            flows.ns[row],
        )
        self._heads: list[int] = np.searchsorted(lane >> 1, np.arange(len(flows) + 1)).tolist()
        self._rows = list(zip(*(column.tolist() for column in columns), strict=True))

    def of(self, index: int) -> list[AlertNote]:
        """Those of one flow."""
        rows = self._rows[self._heads[index] : self._heads[index + 1]]
        return [AlertNote(lane, level, code, (offset, frame, ns)) for lane, level, code, offset, frame, ns in rows]
