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

import numpy as np

from inspector.capture.frames import I64, U8, Rows
from inspector.extract.alerts import AlertNotes
from inspector.extract.assembly import flip_sides
from inspector.extract.completed_connections import CompletedConnections, are_whole
from inspector.extract.connection import new_connection
from inspector.extract.event_columns import EventPiece, PackedEvents
from inspector.extract.event_ladder import EventLadder
from inspector.extract.handshakes import PlainReading, read_curve, read_plain
from inspector.extract.lockstep import MESSAGE_HEADER, Messages, RecordColumns
from inspector.extract.message_columns import AlertColumns, SpeakingMessages, curve_column
from inspector.extract.reader_state import ReaderState, is_misread, stand
from inspector.extract.store import ConnectionStore
from inspector.facts import EVENT_BYTES, LETTER_AT, SIDE_AT, HandshakeFacts, message_bits
from inspector.tls.handshake import unexpected
from inspector.tls.history import Letter
from inspector.tls.types import CHANGED, CLIENT_HELLO, ENCRYPTED, HANDSHAKE, SERVER_HELLO
from inspector.wire.completed import CompletedBatch
from inspector.wire.flow import Flow
from inspector.wire.grouping import Grouped
from inspector.wire.regular import DirectionState, FlowState, RegularFlows, row_of

NEVER = np.iinfo(np.int64).max


class RegularConnections:
    """The regular connections of a batch. ``chosen``, ``odd``: as in ``RegularFlows``. ``completed``: those of which
    all is known, and ``is_completed``, bool, which they are.
    """

    def __init__(self, grouped: Grouped, opening: I64, store: ConnectionStore) -> None:
        """``opening``: flows whose first segment is a SYN without ACK, and that are not open yet; of one capture."""
        self._store = store
        self._flows = flows = RegularFlows(grouped, opening)
        self.chosen, self.odd, self._opener = flows.chosen, flows.odd, flows.opener
        lanes = np.flatnonzero((flows.high > flows.low) & ~np.repeat(self.odd, 2))
        self._records = records = RecordColumns(flows.line, lanes, flows.low, flows.high)
        self._greetings(records)
        messages = Messages(flows.line, records)
        self.odd |= records.odd.reshape(-1, 2).any(axis=1)
        data = np.flatnonzero(records.is_data)
        counts = np.bincount(records.lane[data], minlength=len(flows.low))
        self._readers = self._reader_states(records, data, counts)
        first_data = data[(np.cumsum(counts) - counts)[counts > 0]]
        self._events = PackedEvents(self._event_pieces(records, messages, first_data), flows)
        self.odd |= self._events.is_full
        self._alerts = AlertColumns(records, flows)
        self._messages = SpeakingMessages(messages, flows, self._events.at)
        self._curves = curve_column(messages, flows, self._opener)
        self.is_completed: Rows = np.zeros(len(flows), np.bool_)
        has_records = (self._readers.has_records > 0).reshape(-1, 2).any(axis=1)
        self.completed: CompletedBatch = self._complete(
            np.flatnonzero(~self.odd & has_records & self._events.is_orderly & are_whole(flows.flows, flows.directions))
        )

    def _greetings(self, records: RecordColumns) -> None:
        """Odd: directions that do not begin with the hello of their side."""
        firsts, lane = records.firsts, records.lane[records.firsts]
        is_client = lane & 1 == self._opener[lane >> 1]
        records.odd[lane[records.head[firsts, 5] != np.where(is_client, CLIENT_HELLO, SERVER_HELLO)]] = True

    def _reader_states(self, records: RecordColumns, data: I64, counts: I64) -> ReaderState[I64]:
        """Where the record reader of each direction stands. ``data``: records of application data; ``counts``: how many
        of them each direction has.
        """
        flows, lane = self._flows, records.lane
        total = len(flows.low)
        final = records.lasts
        at = lane[final]
        has_records, want, position, sealed = (np.zeros(total, np.int64) for _ in range(4))
        has_records[at] = 1
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
        flight = self._flights(records, data, counts)
        tail_size, tail_frame, tail_ns = self._from_end(records, data, counts, 1)
        before_size, before_frame, before_ns = self._from_end(records, data, counts, 2)
        earlier_ns = self._from_end(records, data, counts, 3)[2]
        return ReaderState(
            has_records=has_records,
            want=want,
            position=position,
            sealed=sealed,
            records=counts,
            bytes=sizes,
            tail_size=tail_size,
            tail_frame=tail_frame,
            tail_ns=tail_ns,
            before_size=before_size,
            before_frame=before_frame,
            before_ns=before_ns,
            earlier_ns=earlier_ns,
            flight_records=np.bincount(lane[flight], minlength=total),
            flight_bytes=np.bincount(lane[flight], records.size[flight], minlength=total).astype(np.int64),
        )

    def _flights(self, records: RecordColumns, data: I64, counts: I64) -> I64:
        """Those records of application data that show before the first one of the other direction."""
        shown = self._flows.order[records.row[data]]
        begun = np.full(len(counts), NEVER, np.int64)
        begun[counts > 0] = shown[(np.cumsum(counts) - counts)[counts > 0]]
        flight: I64 = data[shown < begun[records.lane[data] ^ 1]]
        return flight

    def _from_end(self, records: RecordColumns, data: I64, counts: I64, back: int) -> tuple[I64, I64, I64]:
        """Of each direction the size, frame and time of its last record of application data (``back`` 1), or of one
        before it (2, 3); 0 where there is none.
        """
        flows = self._flows
        size, frame, ns = (np.zeros(len(counts), np.int64) for _ in range(3))
        has = counts >= back
        record = data[np.cumsum(counts)[has] - back]
        row = flows.order[records.row[record]]
        size[has], frame[has], ns[has] = records.size[record], flows.frame[row], flows.ns[row]
        return size, frame, ns

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

    def looked(self) -> tuple[I64, I64]:
        """As in ``BatchReader``."""
        looked = np.empty(len(self._flows.rows), np.int64)
        looked[self._flows.order] = self._records.looked(self._flows.line)
        return self._flows.rows, looked

    def flow(self, index: int) -> Flow | None:
        """One of them as it stands at the end of the batch; None where its messages show that it is not regular after
        all.
        """
        connection = new_connection(self._store)
        connection.client_lane = client = int(self._opener[index])
        first, events = self._events.first(index), bytearray(self._events.of(index))
        for lane, kind, body, mark, event in self._messages.of(index):
            letter = connection.read(lane, kind, body, mark)
            events[(event - first) * EVENT_BYTES + LETTER_AT] = letter[0]
        read_curve(connection.handshake, self._curves[index])
        readers = [ReaderState(*row_of(self._readers, 2 * index + lane)) for lane in (0, 1)]
        if connection.anomalies or any(
            is_misread(state.sealed, is_tls13=connection.reader(lane).is_tls13) for lane, state in enumerate(readers)
        ):
            connection.release()
            return None
        stand(connection, readers)
        latest_ns, is_orderly = int(self._events.latest[index]), bool(self._events.is_orderly[index])
        connection.ladder = EventLadder(flip_sides(events, client), latest_ns, is_orderly=is_orderly)
        connection.alerts = AlertNotes(self._alerts.of(index))
        return self._flows.flow(index, connection)

    def _complete(self, candidates: I64) -> CompletedConnections:
        """Those of which all is known: they went by the book to their end, and their messages are in order."""
        handshakes: list[HandshakeFacts] = []
        events: list[bytes] = []
        chosen: list[int] = []
        client = self._opener[candidates]
        sealed = self._readers.sealed[2 * candidates + 1 - client]
        for index, lane, state in zip(candidates.tolist(), client.tolist(), sealed.tolist(), strict=True):
            handshake = self._read_handshake(index, lane, state)
            if handshake is None:
                continue
            rungs = self._events.of(index)
            letters, sides = rungs[LETTER_AT::EVENT_BYTES], rungs[SIDE_AT::EVENT_BYTES]
            if unexpected(letters, sides):
                continue
            handshake.messages = message_bits(letters, sides)
            chosen.append(index)
            handshakes.append(handshake)
            events.append(rungs)
        rows = np.array(chosen, np.int64)
        self.is_completed[rows] = True
        lanes = (2 * rows[:, None] + (0, 1)).ravel()
        return CompletedConnections(
            flows=FlowState(*(column[rows] for column in self._flows.flows)),
            directions=DirectionState(*(column[lanes] for column in self._flows.directions)),
            readers=ReaderState(*(column[lanes] for column in self._readers)),
            handshakes=handshakes,
            events=events,
            alerts=[self._alerts.of(index) for index in chosen],
            store=self._store,
        )

    def _read_handshake(self, index: int, client: int, sealed: int) -> HandshakeFacts | None:
        """What the messages of one say; None where that is not plain. ``sealed``: the state of its server's reader. It
        is odd where one cannot be read.
        """
        handshake = HandshakeFacts()
        for lane, kind, body, mark, _ in self._messages.of(index):
            reading = read_plain(handshake, lane == client, kind, body, mark, self._store)
            if reading is not PlainReading.PLAIN:
                self.odd[index] |= reading is PlainReading.MISREAD
                return None
        read_curve(handshake, self._curves[index])
        return None if is_misread(sealed, is_tls13=handshake.is_tls13) else handshake
