"""Connections that open in a batch and go by the book, brought to where they stand at its end without a look at each
segment and each record.

What TCP leaves behind of such flows is known in columns over all of them (``wire.regular``). So are their records
(``lockstep``) and the rungs of all ladders, which are sorted and packed in one go (``event_columns``). Python wakes for
handshake messages that say something, and to put a connection together in the very state in which its record readers
would have left it. So it does not matter what comes afterwards: it is followed as ever.

Reading record by record stays the truth. A flow is ``odd``, and left to it, where that would think twice: records that
``lockstep`` does not read, a message that does not follow the protocol. Tests hold one way against the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.capture.frames import I64, U8, Rows
from inspector.extract.alerts import AlertNote
from inspector.extract.connection import ConnectionAssembly, new_connection
from inspector.extract.event_columns import EventPiece, PackedEvents
from inspector.extract.handshakes import SPEAKING
from inspector.extract.lockstep import MESSAGE_HEADER, Messages, RecordColumns
from inspector.extract.store import Store
from inspector.facts import EVENT_BYTES, LETTER_AT
from inspector.tls.history import Letter
from inspector.tls.types import CHANGED, CLEAR, CLIENT_HELLO, ENCRYPTED, HANDSHAKE, SERVER_HELLO
from inspector.wire.flow import Flow
from inspector.wire.regular import RegularFlows
from inspector.wire.runs import Grouped

SPEAKS: Rows = np.zeros(256, np.bool_)
SPEAKS[list(SPEAKING)] = True


class RegularConnections:
    """The regular connections of a batch. ``chosen``, ``odd``, ``opener``: as in ``RegularFlows``."""

    def __init__(self, grouped: Grouped, opening: I64, store: Store) -> None:
        """``opening``: flows whose first segment is a SYN without ACK, and that are not open yet; of one capture."""
        self._store = store
        self._flows = flows = RegularFlows(grouped, opening)
        self.chosen, self.odd, self.opener = flows.chosen, flows.odd, flows.opener
        self._heads = np.arange(len(flows) + 1)
        lanes = np.flatnonzero((flows.high > flows.low) & ~np.repeat(self.odd, 2))
        records = RecordColumns(flows.line, lanes, flows.low, flows.high)
        self._greetings(records)
        messages = Messages(flows.line, records)
        self.odd |= records.odd.reshape(-1, 2).any(axis=1)
        data = np.flatnonzero(records.is_data)
        counts = np.bincount(records.lane[data], minlength=len(flows.low))
        self._lanes = self._lane_columns(records, data, counts)
        first_data = data[(np.cumsum(counts) - counts)[counts > 0]]
        self._events = PackedEvents(self._event_pieces(records, messages, first_data), flows)
        self.odd |= self._events.is_full
        self._latest, self._is_orderly = self._events.latest.tolist(), self._events.is_orderly.tolist()
        self._openers = self.opener.tolist()
        self._prepare_alerts(records)
        self._prepare_messages(messages)

    def _greetings(self, records: RecordColumns) -> None:
        """Odd: directions that do not begin with the hello of their side."""
        firsts, lane = records.firsts, records.lane[records.firsts]
        is_client = lane & 1 == self.opener[lane >> 1]
        records.odd[lane[records.head[firsts, 5] != np.where(is_client, CLIENT_HELLO, SERVER_HELLO)]] = True

    def _lane_columns(self, records: RecordColumns, data: I64, counts: I64) -> list[tuple[Any, ...]]:
        """What the record reader of each direction knows, and its application data. ``data``: its records; ``counts``:
        how many of them each direction has.
        """
        flows, lane = self._flows, records.lane
        total = len(flows.low)
        final = records.lasts
        at = lane[final]
        reads = np.zeros(total, np.bool_)
        want, position, sealed = (np.zeros(total, np.int64) for _ in range(3))
        reads[at] = True
        want[at] = records.behind[final] - flows.low[at]
        position[at] = records.start[final] - flows.low[at]
        last_clear = np.full(total, -1, np.int64)
        last_clear[at] = np.where(
            (records.kind[final] == HANDSHAKE) & ~records.is_sealed[final], records.record_index[final], -1
        )
        mixed = lane[
            records.is_clear & (records.row < records.record_index) & (records.record_index == last_clear[lane])
        ]  # then the place behind the message was looked at, too
        position[mixed] = want[mixed]
        sealed[lane[records.is_change]] = CHANGED
        sealed[lane[records.is_encrypted]] = ENCRYPTED
        sizes = np.bincount(lane[data], records.size[data], minlength=total).astype(np.int64)
        columns = [reads, want, position, sealed, counts, sizes, *self._tails(records, data, counts)]
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _tails(self, records: RecordColumns, data: I64, counts: I64) -> list[npt.NDArray[Any]]:
        """Of each direction the size, frame and time of its last record of application data, and the frame and time of
        the one before it; 0 where there is none.
        """
        flows = self._flows
        behind = np.cumsum(counts)
        size = np.zeros(len(counts), np.int64)
        size[counts > 0] = records.size[data[behind[counts > 0] - 1]]
        columns: list[npt.NDArray[Any]] = [size]
        for back in (1, 2):
            has = counts >= back
            row = flows.order[records.row[data[behind[has] - back]]]
            frame, ns = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
            frame[has], ns[has] = flows.frame[row], flows.ns[row]
            columns += [frame, ns]
        return columns

    def _event_pieces(self, records: RecordColumns, messages: Messages, first_data: I64) -> list[EventPiece]:
        """All events: first the messages, in their order. ``first_data``: the records of application data of which each
        is the first of its direction.
        """
        flows = self._flows
        order = flows.order
        pieces = [
            EventPiece(
                shown=order[messages.record_index],
                rank=1,
                position=messages.start,
                row=order[messages.row],
                lane=messages.lane,
                size=messages.size + MESSAGE_HEADER,
                letter=messages.letter,
            )
        ]
        encrypted_alert, is_alert = records.is_alert & records.is_encrypted, records.is_alert & records.is_clear
        kinds: tuple[tuple[I64, Letter, I64 | U8 | None], ...] = (
            (np.flatnonzero(records.is_change), Letter.CHANGE_CIPHER_SPEC, None),
            (np.flatnonzero(is_alert), Letter.ALERT, records.head[:, 6]),
            (np.flatnonzero(encrypted_alert), Letter.ENCRYPTED_ALERT, records.size),
            (np.flatnonzero(records.is_encrypted & ~records.is_alert), Letter.ENCRYPTED_HANDSHAKE, records.size),
            (first_data, Letter.APPLICATION_DATA, records.size),
        )
        for at, letter, sizes in kinds:
            pieces.append(
                EventPiece(
                    shown=order[records.record_index[at]],
                    rank=1,
                    position=records.start[at],
                    row=order[records.row[at]],
                    lane=records.lane[at],
                    size=1 if sizes is None else sizes[at].astype(np.int64),
                    letter=letter.byte[0],
                )
            )
        for rows, rank, letter in (
            (flows.syns, 0, Letter.SYN),
            (flows.fins, 2, Letter.FIN),
            (flows.resets, 2, Letter.RST),
        ):
            pieces.append(EventPiece(rows, rank, 0, rows, flows.lane[rows], size=0, letter=letter.byte[0]))
        return pieces

    def _prepare_alerts(self, records: RecordColumns) -> None:
        """The alerts, in the order in which they show."""
        flows = self._flows
        alerts = np.flatnonzero(records.is_alert)
        alerts = alerts[np.argsort(flows.order[records.record_index[alerts]], kind="stable")]
        lane, row = records.lane[alerts], flows.order[records.row[alerts]]
        self._alert_heads = np.searchsorted(lane >> 1, self._heads).tolist()
        columns = (
            lane & 1,
            np.where(records.is_clear[alerts], 1, -1) * records.head[alerts, 5],
            records.head[alerts, 6],
            records.start[alerts] - flows.low[lane],
            flows.frame[row],
            flows.ns[row],
        )
        self._alerts = list(zip(*(column.tolist() for column in columns), strict=True))

    def _prepare_messages(self, messages: Messages) -> None:
        """The messages that say something, in the order in which they show."""
        flows, line, event = self._flows, self._flows.line, self._events.at
        speaking = np.flatnonzero(SPEAKS[messages.kind])
        speaking = speaking[np.argsort(event[speaking])]
        lane, row = messages.lane[speaking], messages.row[speaking]
        body, size = messages.start[speaking] + MESSAGE_HEADER, messages.size[speaking]
        first = np.minimum(line.row(body), len(line.end) - 1)
        start = np.where(body + size <= line.end[first], body + line.shift[first], -1)
        self._message_heads = np.searchsorted(lane >> 1, self._heads).tolist()
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
        self._messages = list(zip(*(column.tolist() for column in columns), strict=True))

    def flow(self, index: int) -> Flow | None:
        """One of them as it stands at the end of the batch; None where its messages show that it is not regular after
        all.
        """
        connection = new_connection(self._store)
        connection.client_lane = self._openers[index]
        self._read_messages(index, connection)
        if connection.anomalies or not self._stand(index, connection):
            connection.release()
            return None
        for lane, level, code, offset, frame, ns in self._alerts[
            self._alert_heads[index] : self._alert_heads[index + 1]
        ]:
            connection.alerts.add(AlertNote(lane, level, code, (offset, frame, ns)))
        return self._flows.flow(index, connection)

    def _read_messages(self, index: int, connection: ConnectionAssembly) -> None:
        """What messages say, and all events."""
        line = self._flows.line
        first, events = self._events.of(index)
        for lane, kind, start, body, size, chunk, frame, ns, event in self._messages[
            self._message_heads[index] : self._message_heads[index + 1]
        ]:
            payload = line.data[start : start + size].tobytes() if start >= 0 else line.pieces(body, size)
            letter = connection.read(lane, kind, payload, (chunk, frame, ns))
            events[(event - first) * EVENT_BYTES + LETTER_AT] = letter[0]
        connection.events, connection.last_ns = events, self._latest[index]
        connection.is_orderly = self._is_orderly[index]

    def _stand(self, index: int, connection: ConnectionAssembly) -> bool:
        """Bring both record readers to where they stand at the end; False where a message says that records are of
        another kind than they seem.
        """
        for lane in (0, 1):
            reads, want, position, sealed, count, size, tail_size, tail_frame, tail_ns, before_frame, before_ns = (
                self._lanes[2 * index + lane]
            )
            if not reads:
                continue
            reader = connection.reader(lane)
            if reader.is_tls13:
                if sealed == ENCRYPTED:
                    return False
                sealed = CLEAR
            reader.stand(want, position, sealed, count > 0)
            connection.tls = True
            if count:
                connection.flowed(
                    lane, count, size, (tail_size, (0, tail_frame, tail_ns), (0, before_frame, before_ns))
                )
        return True
