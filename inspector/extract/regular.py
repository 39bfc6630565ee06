"""Flows that open in a batch and go by the book, brought to where they stand at its end without a look at each segment
and each record.

Most connections are alike: both sides send their SYN once, every byte comes once and in order, nothing is cut, records
are read without a doubt. What reading segment after segment leaves behind of such a flow is known from columns over all
of them: sequence numbers must equal the sum of the lengths before them, the records come from ``lockstep``, the rungs
of all ladders are sorted and packed in one go. Python wakes for handshake messages that say something, and to put a
``Flow`` together in the very state in which ``FlowTable`` would have left it. So it does not matter what comes
afterwards: it is followed as ever.

Reading segment by segment stays the truth. A flow is ``odd``, and left to it, for anything that makes a difference
there: a SYN sent again or with data, other sequence numbers than the next, a frame that was cut, frames long behind the
end of a flow, records that ``lockstep`` does not read. Tests hold one way against the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from inspector import bounds
from inspector.capture.frames import I64, U8
from inspector.extract.connection import AlertNote, new_connection
from inspector.extract.handshakes import SPEAKING
from inspector.extract.lockstep import MESSAGE_HEADER, Line, Messages, RecordColumns, Rows
from inspector.extract.store import Store
from inspector.facts import EVENT_BYTES, LETTER_AT
from inspector.tls.history import Letter
from inspector.tls.records import Mode
from inspector.tls.types import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HANDSHAKE, SERVER_HELLO
from inspector.wire.flow import Ending, Flow
from inspector.wire.runs import Grouped
from inspector.wire.segments import ACK, FIN, RST, SYN

BEHIND = 1 << 20
"""How far behind the end of a direction a RST may lie."""

EVENT = np.dtype([("ns", "<i8"), ("frame", "<u8"), ("size", "<u4"), ("letter", "u1"), ("side", "u1")])
"""``facts.pack_event`` as a column."""
SPEAKS: Rows = np.isin(np.arange(256), list(SPEAKING))

Piece = tuple[I64, int, I64, I64, I64, I64 | int, U8 | int]
"""Events: the rows that show them, their order within a row, their places on the line, the rows whose time and frame
they have, their directions, sizes and letters.
"""


class Regular:
    """The regular flows of a batch. ``chosen``: int64, which of the grouped flows open in it; ``odd``: bool beside it,
    which of those are not regular after all.

    Rows are segments of these flows, in the order of ``Grouped``; directions have the number ``2 * flow + lane``.
    """

    def __init__(self, grouped: Grouped, chosen: I64, store: Store) -> None:
        """``chosen``: flows whose first segment is a SYN without ACK, and that are not open yet; of one capture."""
        self._store = store
        count = len(chosen)
        self.chosen = chosen
        self.odd: Rows = np.zeros(count, np.bool_)
        number = np.full(len(grouped), -1, np.int64)
        number[chosen] = np.arange(count)
        flow = number[grouped.group]
        rows = np.flatnonzero(flow >= 0)
        self._data, self._base = grouped.data, grouped.frame
        self._flow = flow = flow[rows]
        self._lane = 2 * flow + grouped.lane[rows]
        self._control, self._flags, self._length = grouped.control[rows], grouped.flags[rows], grouped.length[rows]
        self._seq, self._ack, self._ns, self._frame = (
            grouped.seq[rows],
            grouped.ack[rows],
            grouped.time_ns[rows],
            grouped.number[rows] + grouped.frame,
        )
        self._heads = np.searchsorted(flow, np.arange(count + 1))
        self.opener = self._lane[self._heads[:-1]] & 1
        self._last_ns, self._last_frame = grouped.last_ns[chosen], grouped.last_number[chosen] + grouped.frame
        control = self._control
        self.odd[
            flow[
                (grouped.captured[rows] != self._length)
                | (control & (control - 1) != 0)
                | ((control & (SYN | RST) != 0) & (self._length > 0))
            ]
        ] = True
        self._order = np.argsort(self._lane, kind="stable")
        length = np.where(self.odd[flow], 0, self._length)  # what a frame that was cut claims may be any number
        self._line = Line(grouped.data, grouped.start[rows][self._order], length[self._order])
        self._sequences()
        spans = np.flatnonzero(grouped.begins[rows])
        self._ends(spans)
        self._acks = np.full(2 * count, -1, np.int64)
        answers = spans[self._flags[spans] & ACK != 0]
        self._acks[self._lane[answers]] = self._ack[answers]
        self._records()
        self._prepare(grouped)

    def _sequences(self) -> None:
        """Sequence numbers, direction by direction."""
        order, line = self._order, self._line
        lane, control, length = self._lane[order], self._control[order], self._length[order]
        counts = np.bincount(lane, minlength=2 * len(self.chosen))
        self._packets = counts > 0
        last = np.cumsum(counts) - 1
        first = np.minimum(last + 1 - counts, len(order) - 1)
        self._low = np.where(self._packets, line.begin[first], 0)
        self._high = np.where(self._packets, line.end[last], 0)
        self._isn = self._seq[order[first]]
        is_head = np.ones(len(lane), np.bool_)
        is_head[1:] = lane[1:] != lane[:-1]
        offset = line.begin - self._low[lane]
        ahead = (self._seq[order] - self._isn[lane] - 1 - offset + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        is_fin = control == FIN
        counted = (length > 0) | is_fin
        fins = np.cumsum(is_fin) - is_fin
        odd = (
            (is_head != (control == SYN))
            | (counted & ((ahead != 0) | (fins > fins[first][lane])))
            | ((control == RST) & ((ahead > 1) | (ahead < -BEHIND)))
        )
        is_answer = is_head & (lane & 1 != self.opener[lane >> 1])
        odd |= is_answer & (self._flags[order] & ACK == 0)
        self.odd[lane[odd] >> 1] = True
        self._offset = np.empty_like(offset)
        self._offset[order] = offset
        answer = order[is_answer]
        self._rtt = np.full(len(self.chosen), -1, np.int64)
        behind = answer[answer + 1 < len(order)] + 1
        server = self._lane[behind - 1]
        is_opening = (
            (self._lane[behind] == server ^ 1)
            & (self._length[behind] == 0)
            & (self._control[behind] == 0)
            & (self._offset[behind] == 0)
        )
        behind = behind[is_opening & (self._ack[behind] == self._isn[server] + 1 & 0xFFFFFFFF)]
        self._rtt[self._flow[behind]] = self._ns[behind] - self._ns[self._heads[self._flow[behind]]]

    def _ends(self, spans: I64) -> None:
        """Which segments close a flow. What comes long behind that belongs to another, and the last of several frames
        at one time is told by the spans.
        """
        count = len(self.chosen)
        never = len(self._flow)
        self._fin, self._rst = np.full(2 * count, never, np.int64), np.full(2 * count, never, np.int64)
        for control, bit in ((self._fin, FIN), (self._rst, RST)):
            rows = np.flatnonzero(self._control == bit)[::-1]
            control[self._lane[rows]] = rows  # the first of several stays
        closing = np.minimum(self._fin.reshape(-1, 2).max(axis=1), self._rst.reshape(-1, 2).min(axis=1))
        self._closed = closing < never
        last = np.zeros(count, np.int64)
        last[self._flow[spans]] = spans
        before = spans[np.maximum(np.searchsorted(spans, last) - 1, 0)]
        at_once = (self._ns[last] == self._last_ns) & (
            (self._frame[last] != self._last_frame) | (self._ns[before] == self._last_ns)
        )
        late = self._last_ns - self._ns[np.minimum(closing, never - 1)] > bounds.CLOSED_NS
        self.odd |= self._closed & (late | at_once)

    def _records(self) -> None:
        """The records, what they leave behind of each direction, and the events."""
        line, low = self._line, self._low
        lanes = np.flatnonzero((self._high > low) & ~np.repeat(self.odd, 2))
        records = RecordColumns(line, lanes, low, self._high)
        wrong = records.head[records.firsts, 5] != np.where(
            records.lane[records.firsts] & 1 == self.opener[records.lane[records.firsts] >> 1],
            CLIENT_HELLO,
            SERVER_HELLO,
        )
        records.odd[records.lane[records.firsts[wrong]]] = True
        messages = Messages(line, records)
        self.odd |= records.odd.reshape(-1, 2).any(axis=1)
        lane, kind, size = records.lane, records.kind, records.size
        total = len(low)
        self._reads = np.zeros(total, np.bool_)
        self._want, self._position = np.zeros(total, np.int64), np.zeros(total, np.int64)
        final = records.lasts
        at = lane[final]
        self._reads[at] = True
        self._want[at] = records.behind[final] - low[at]
        self._position[at] = records.start[final] - low[at]
        last_told = np.full(total, -1, np.int64)
        last_told[at] = np.where(
            (kind[final] == HANDSHAKE) & ~records.is_sealed[final], records.record_index[final], -1
        )
        mixed = lane[
            records.is_clear & (records.row < records.record_index) & (records.record_index == last_told[lane])
        ]  # then the place behind the message was looked at, too
        self._position[mixed] = self._want[mixed]
        is_data = kind == APPLICATION_DATA
        is_change = kind == CHANGE_CIPHER_SPEC
        is_alert = kind == ALERT
        is_sealed = records.is_sealed & ~is_data & ~records.is_clear
        self._sealed = np.zeros(total, np.int64)
        self._sealed[lane[is_change]] = 1
        self._sealed[lane[is_sealed]] = 2
        data = np.flatnonzero(is_data)
        self._counts = np.bincount(lane[data], minlength=total)
        self._sizes = np.bincount(lane[data], size[data], minlength=total).astype(np.int64)
        behind = np.cumsum(self._counts)
        has, twice = self._counts > 0, self._counts > 1
        self._tail, self._tail_before = np.full(total, -1, np.int64), np.full(total, -1, np.int64)
        order = self._order
        self._tail[has] = order[records.row[data[behind[has] - 1]]]
        self._tail_size = np.zeros(total, np.int64)
        self._tail_size[has] = size[data[behind[has] - 1]]
        self._tail_before[twice] = order[records.row[data[behind[twice] - 2]]]
        greets = data[(behind - self._counts)[has]]
        where = order[messages.row]
        pieces: list[Piece] = [
            (
                order[messages.record_index],
                1,
                messages.start,
                where,
                messages.lane,
                messages.size + MESSAGE_HEADER,
                messages.letter,
            )
        ]
        for at_rows, letter, sizes in (
            (np.flatnonzero(is_change), Letter.CHANGE_CIPHER_SPEC.byte, 1),
            (np.flatnonzero(is_alert & records.is_clear), Letter.ALERT.byte, records.head[:, 6]),
            (np.flatnonzero(is_alert & is_sealed), Letter.ENCRYPTED_ALERT.byte, size),
            (np.flatnonzero(is_sealed & ~is_alert), Letter.ENCRYPTED_HANDSHAKE.byte, size),
            (greets, Letter.APPLICATION_DATA.byte, size),
        ):
            pieces.append(
                (
                    order[records.record_index[at_rows]],
                    1,
                    records.start[at_rows],
                    order[records.row[at_rows]],
                    lane[at_rows],
                    sizes if isinstance(sizes, int) else sizes[at_rows],
                    letter[0],
                )
            )
        for rows, sub, letter in (
            (np.flatnonzero(self._control == SYN), 0, Letter.SYN.byte),
            (self._fin[self._fin < len(order)], 2, Letter.FIN.byte),
            (self._rst[self._rst < len(order)], 2, Letter.RST.byte),
        ):
            pieces.append((rows, sub, np.zeros(len(rows), np.int64), rows, self._lane[rows], 0, letter[0]))
        self._pack(pieces)
        alerts = np.flatnonzero(is_alert)
        alerts = alerts[np.argsort(order[records.record_index[alerts]], kind="stable")]
        level = np.where(records.is_clear[alerts], 1, -1) * records.head[alerts, 5]
        self._alert_bounds = np.searchsorted(lane[alerts] >> 1, np.arange(len(self.chosen) + 1)).tolist()
        row = order[records.row[alerts]]
        alert_columns = (
            lane[alerts] & 1,
            level,
            records.head[alerts, 6],
            records.start[alerts] - low[lane[alerts]],
            self._frame[row],
            self._ns[row],
        )
        self._alerts = list(zip(*(column.tolist() for column in alert_columns), strict=True))
        self._speak(messages)

    def _pack(self, pieces: list[Piece]) -> None:
        """All events, flow by flow in the order in which they show."""
        shown = np.concatenate([piece[0] for piece in pieces])
        key = np.concatenate([piece[0] << 34 | piece[1] << 32 | piece[2] for piece in pieces])
        row = np.concatenate([piece[3] for piece in pieces])
        events = np.empty(len(shown), EVENT)
        at = 0
        for piece in pieces:
            part = events[at : at + len(piece[0])]
            part["size"], part["letter"], part["side"] = piece[5], piece[6], piece[4] & 1
            at += len(part)
        events["ns"], events["frame"] = self._ns[row], self._frame[row]
        order = np.argsort(key, kind="stable")
        events = events[order]
        flow = self._flow[shown[order]]
        self._event_at = np.empty(len(order), np.int64)
        self._event_at[order] = np.arange(len(order))
        bounds_of = np.searchsorted(flow, np.arange(len(self.chosen) + 1))
        self.odd |= np.diff(bounds_of) > bounds.EVENTS
        ns = events["ns"]
        self._disorderly = np.zeros(len(self.chosen), np.bool_)
        self._disorderly[flow[1:][(ns[1:] < ns[:-1]) & (flow[1:] == flow[:-1])]] = True
        self._latest = ns[bounds_of[1:] - 1]
        self._event_bounds = bounds_of.tolist()
        self._events = events.tobytes()

    def _speak(self, messages: Messages) -> None:
        """The messages that say something, in the order in which they show."""
        speaking = np.flatnonzero(SPEAKS[messages.kind])
        speaking = speaking[np.argsort(self._event_at[speaking])]
        line, lane, row = self._line, messages.lane[speaking], messages.row[speaking]
        body, size = messages.start[speaking] + MESSAGE_HEADER, messages.size[speaking]
        first = np.minimum(line.row(body), len(line.end) - 1)
        start = np.where(body + size <= line.end[first], body + line.shift[first], -1)
        self._spoken_bounds = np.searchsorted(lane >> 1, np.arange(len(self.chosen) + 1)).tolist()
        at = self._order[row]
        columns = (
            lane & 1,
            messages.kind[speaking],
            start,
            body,
            size,
            line.begin[row] - self._low[lane],
            self._frame[at],
            self._ns[at],
            self._event_at[speaking],
        )
        self._spoken = list(zip(*(column.tolist() for column in columns), strict=True))

    def _prepare(self, grouped: Grouped) -> None:
        """What a flow is put together from, as lists."""
        never = len(self._flow)
        ends: list[list[Ending | None]] = []
        for control in (self._fin, self._rst):
            rows = np.flatnonzero(control < never)
            at = control[rows]
            after = self._seq[at] + self._length[at] + (self._control[at] & FIN) & 0xFFFFFFFF
            column: list[Ending | None] = [None] * len(control)
            has_ack = self._flags[at] & ACK != 0
            for lane, ns, frame, behind, is_acknowledged, ack in zip(
                *(c.tolist() for c in (rows, self._ns[at], self._frame[at], after, has_ack, self._ack[at])), strict=True
            ):
                column[lane] = Ending(ns, frame, behind, ack if is_acknowledged else None)
            ends.append(column)
        lanes: list[npt.NDArray[Any]] = [
            self._packets,
            self._isn,
            self._high - self._low,
            self._acks,
            self._reads,
            self._want,
            self._position,
            self._sealed,
        ]
        lanes += [self._counts, self._sizes, self._tail_size]
        for tail in (self._tail, self._tail_before):
            lanes += [np.where(tail < 0, 0, column[tail]) for column in (self._frame, self._ns)]
        self._lanes = list(zip(*(column.tolist() for column in lanes), *ends, strict=True))
        heads = self._heads[:-1]
        is_still = self._last_ns <= self._ns[heads]
        flows: tuple[npt.NDArray[Any], ...] = (
            grouped.low[self.chosen],
            grouped.high[self.chosen],
            self.opener,
            self._ns[heads],
            self._frame[heads],
            np.where(is_still, self._ns[heads], self._last_ns),
            np.where(is_still, self._frame[heads], self._last_frame),
            self._rtt,
            self._closed,
            self._disorderly,
            self._latest,
        )
        self._flows = list(zip(*(column.tolist() for column in flows), strict=True))

    def flow(self, index: int) -> Flow | None:
        """One of them as it stands at the end of the batch; None where its messages show that it is not regular after
        all.
        """
        low, high, opener, ns, frame, last_ns, last_frame, rtt, closed, disorderly, latest = self._flows[index]
        connection = new_connection(self._store)
        flow = Flow((low, high), connection, ns, frame)
        connection.client_lane = opener
        first, end = self._event_bounds[index], self._event_bounds[index + 1]
        events = bytearray(self._events[first * EVENT_BYTES : end * EVENT_BYTES])
        for lane, kind, start, body, size, chunk, frame, ns, event in self._spoken[
            self._spoken_bounds[index] : self._spoken_bounds[index + 1]
        ]:
            payload = self._data[start : start + size].tobytes() if start >= 0 else self._line.pieces(body, size)
            letter = connection.read(lane, kind, payload, (chunk, frame, ns))
            events[(event - first) * EVENT_BYTES + LETTER_AT] = letter[0]
        if connection.anomalies:
            return None
        for lane in (0, 1):
            (
                packets,
                isn,
                length,
                ack,
                reads,
                want,
                position,
                sealed,
                count,
                size,
                tail_size,
                tail_frame,
                tail_ns,
                before_frame,
                before_ns,
                fin,
                rst,
            ) = self._lanes[2 * index + lane]
            if not packets:
                continue
            flow.packets[lane] = True
            flow.isns[lane] = isn
            flow.acks[lane] = ack if ack >= 0 else None
            flow.fins[lane], flow.resets[lane] = fin, rst
            stream = flow.streams[lane]
            stream.stand(isn + 1 & 0xFFFFFFFF, length)
            if reads:
                reader = connection.reader(lane)
                if reader.is_tls13:
                    if sealed == 2:
                        return None
                    sealed = 0
                reader.mode, reader.want, reader.position, reader.sealed, reader.flowing = (
                    Mode.READING,
                    want,
                    position,
                    sealed,
                    count > 0,
                )
                connection.tls = True
            if count:
                connection.flowed(
                    lane, count, size, (tail_size, (0, tail_frame, tail_ns), (0, before_frame, before_ns))
                )
        connection.events, connection.last_ns, connection.is_orderly = events, latest, not disorderly
        for lane, level, code, offset, frame, ns in self._alerts[
            self._alert_bounds[index] : self._alert_bounds[index + 1]
        ]:
            connection.alerts.append(AlertNote(lane, level, code, (offset, frame, ns)))
        flow.syn_ns, flow.rtt = flow.first[0], rtt if rtt >= 0 else None
        flow.closed, flow.last = closed, (last_ns, last_frame)
        return flow
