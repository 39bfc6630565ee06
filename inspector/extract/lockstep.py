"""The records of many directions at once: the first record of each in one step over columns, then the second of each,
and so on.

A direction whose bytes all came, in order and uncut, is a line of bytes that lies in pieces, its segments, in the
buffer of the batch. All are laid end to end (``wire.regular.Line``); a place on this one line is a number, and a binary
search over the ends of the segments tells in which of them, and so where in the buffer, a place is. One step reads the
record header of each direction that still has one, and moves all on by the lengths that stand there. Handshake records
in clear are then gone through in the same way, message by message. So the interpreter is woken once a step and not once
a record: a dozen steps for a hundred connections.

Only what is plain is read here. Whatever would make ``RecordReader`` think twice makes the direction ``odd``, and that
is left to it: a header that lies in two segments, a message that goes on in the next record, another first message than
a hello, a record that is cut off in clear, bytes that are no record, more than ``STEPS`` records.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, U8, Rows, gather
from inspector.extract.handshakes import LETTERS
from inspector.tls.preamble import LATEST_MINOR
from inspector.tls.records import PASSED_BYTES, SHORTEST_HELLO
from inspector.tls.types import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    HANDSHAKE,
    MAJOR,
    SERVER_HELLO,
)
from inspector.wire.regular import Line

STEPS = 40
"""Records of one direction, or messages of one record, that are followed."""
HEAD_BYTES = 14
"""A record header, the header of the first message in it and one byte more: all that anybody looks at."""
FIRST_BYTES = 11
"""So much of its first record must lie in a direction's first segment for it to be told without a search."""
SHORTEST_BODY = SHORTEST_HELLO - 4
MESSAGE_HEADER = 4

LETTER: U8 = np.zeros(256, np.uint8)
"""The letters of handshake messages by their types; 0 where it has none."""
for _kind, _letter in LETTERS.items():
    LETTER[_kind] = _letter[0]


class RecordColumns:
    """The records of some directions, by place. Columns: int64 but where they say so.

    ``lane``: which direction. ``start``: on the line. ``row``: the segment that holds the header; ``record_index``:
    that with which it is known what the record is.
    ``kind``, ``size``: content type and length.
    ``head``: uint8, rows of ``HEAD_BYTES``. Bool: ``is_sealed``, behind a ChangeCipherSpec; ``is_change``,
    ``is_alert``, ``is_data``, by content type; ``is_clear``; ``is_encrypted``, an alert or handshake message that is.
    ``firsts``, ``lasts``: the first and last record of each direction. ``odd``: bool, an entry for each direction.
    """

    def __init__(self, line: Line, lanes: I64, low: I64, high: I64) -> None:
        """``lanes``: the directions that hold anything; ``low``, ``high``: of each direction where it begins and ends
        on the line.
        """
        self.odd: Rows = np.zeros(len(low), np.bool_)
        steps = list(self._steps(line, lanes, low, high))
        lane, start, row, left, head = (np.concatenate(column) for column in zip(*steps, strict=True))
        order = np.argsort(start)
        lane, start, row, left, head = lane[order], start[order], row[order], left[order], head[order]
        kind, size = head[:, 0].astype(np.int64), head[:, 3].astype(np.int64) << 8 | head[:, 4]
        self.lane, self.start, self.row, self.kind, self.size, self.head = lane, start, row, kind, size, head
        self.behind = start + 5 + size
        is_first = np.ones(len(lane), np.bool_)
        is_first[1:] = lane[1:] != lane[:-1]
        self.firsts = np.flatnonzero(is_first)
        self.lasts = np.append(self.firsts, len(lane))[1:] - 1
        self.is_change, self.is_alert, self.is_data = (
            kind == CHANGE_CIPHER_SPEC,
            kind == ALERT,
            kind == APPLICATION_DATA,
        )
        self.is_sealed = self._are_behind(self.is_change)
        is_handshake = kind == HANDSHAKE
        self.is_clear = self.is_change | (is_handshake & ~self.is_sealed) | (self.is_alert & (size == 2))
        self.is_encrypted = self.is_sealed & ~self.is_data & ~self.is_clear
        odd = self._odd_records(is_handshake, left) | (is_first & ~self._greet(left))
        odd |= self.is_clear & (self.behind > high[lane])
        self.odd[lane[odd]] = True
        self.record_index = row.copy()
        clear = np.flatnonzero(self.is_clear & ~odd)
        self.record_index[clear] = line.row(self.behind[clear] - 1)

    def looked(self, line: Line) -> I64:
        """int64, of each segment of the line, payload bytes up to the last one that was looked at, where its direction
        is not odd: headers; of what is in clear, or may be, the segments.
        """
        count, length = len(line.end), line.end - line.begin
        looked = np.zeros(count, np.int64)
        looked[self.row] = self.start - line.begin[self.row] + PASSED_BYTES  # the last of several in a segment stays
        fed = np.flatnonzero(
            self.is_clear | (self.is_sealed & (self.kind == HANDSHAKE) & (self.size >= SHORTEST_HELLO))
        )
        first = np.bincount(self.row[fed], minlength=count + 1)
        behind = np.bincount(self.record_index[fed] + 1, minlength=count + 1)
        is_fed = np.cumsum(first - behind)[:count] > 0
        return np.where(is_fed, length, np.minimum(looked, length))

    def _are_behind(self, mask: Rows) -> Rows:
        """Which records come behind one of some in their direction."""
        before: I64 = np.cumsum(mask) - mask
        behind: Rows = before > np.repeat(before[self.firsts], self.lasts - self.firsts + 1)
        return behind

    def _odd_records(self, is_handshake: Rows, left: I64) -> Rows:
        """Which records make their direction odd. ``left``: bytes from their start to the end of the segment."""
        size, head = self.size, self.head
        odd: Rows = (self.is_change & (self.is_sealed | (size != 1))) | ((size == 0) & ~self.is_data)
        odd |= self.is_alert & np.where(size == 2, (head[:, 5] < 1) | (head[:, 5] > 2), ~self.is_sealed | (size < 2))
        again = (
            is_handshake & self.is_sealed & (size >= SHORTEST_HELLO)
        )  # TLS 1.3: a second ClientHello may stand behind a ChangeCipherSpec
        is_hello = (head[:, 5] == CLIENT_HELLO) & (_length(head[:, 5:]) == size - MESSAGE_HEADER)
        odd |= again & ((left < HEAD_BYTES) | is_hello)
        odd |= (
            is_handshake & ~self.is_sealed & self._are_behind(self.is_data)
        )  # its segment may not be looked at from its start
        return odd

    def _greet(self, left: I64) -> Rows:
        """Which records are a hello without a doubt."""
        head = self.head
        greets: Rows = (
            (head[:, 0] == HANDSHAKE)
            & (left >= FIRST_BYTES)
            & (self.size >= SHORTEST_HELLO)
            & (_length(head[:, 5:]) >= SHORTEST_BODY)
            & (head[:, 9] == MAJOR)
            & (head[:, 2] <= LATEST_MINOR)
            & ((head[:, 5] == CLIENT_HELLO) | (head[:, 5] == SERVER_HELLO))
        )
        return greets

    def _steps(self, line: Line, lane: I64, low: I64, high: I64) -> Iterator[tuple[I64, I64, I64, I64, U8]]:
        """A record of each direction. Directions that do not hold what makes a record are odd."""
        start, limit = low[lane], high[lane]
        for _ in range(STEPS):
            row = line.row(start)
            left = line.end[row] - start
            head = gather(line.data, line.shift[row] + start, HEAD_BYTES)
            size = head[:, 3].astype(np.int64) << 8 | head[:, 4]
            fine = (
                (head[:, 1] == MAJOR)
                & (head[:, 0] >= CHANGE_CIPHER_SPEC)
                & (head[:, 0] <= APPLICATION_DATA)
                & (size <= bounds.RECORD_BYTES)
                & (left >= np.minimum(size + 5, PASSED_BYTES))
            )
            yield lane, start, row, left, head
            if not fine.all():
                self.odd[lane[~fine]] = True
            start = start + size + 5
            more = np.flatnonzero(fine & (start < limit))
            if not len(more):
                return
            lane, start, limit = lane[more], start[more], limit[more]
        self.odd[lane] = True


class Messages:
    """The handshake messages in clear of some records, by place. Columns: int64. ``lane``, ``start``: as in
    ``RecordColumns``. ``row``: the segment that holds the first byte of its header, ``record_index``: that with which
    its record is whole. ``kind``, ``size``: handshake type, and length without the header.
    """

    def __init__(self, line: Line, records: RecordColumns) -> None:
        """Directions that hold anything but whole messages in such records become odd."""
        chosen = np.flatnonzero((records.kind == HANDSHAKE) & ~records.is_sealed & ~records.odd[records.lane])
        steps = list(self._steps(line, records, chosen))
        record, start, row, head = (np.concatenate(column) for column in zip(*steps, strict=True))
        order = np.argsort(start)
        record, self.start, self.row, head = record[order], start[order], row[order], head[order]
        self.lane, self.record_index = records.lane[record], records.record_index[record]
        self.kind, self.size = head[:, 0].astype(np.int64), _length(head)
        self.letter: U8 = LETTER[head[:, 0]]
        records.odd[self.lane[self.letter == 0]] = True

    @staticmethod
    def _steps(line: Line, records: RecordColumns, record: I64) -> Iterator[tuple[I64, I64, I64, U8]]:
        record_at = records.start[record] + 5
        row = records.row[record]
        for step in range(STEPS):
            at = line.row(record_at)
            head = gather(line.data, line.shift[at] + record_at, MESSAGE_HEADER)
            behind, limit = record_at + MESSAGE_HEADER + _length(head), records.behind[record]
            fine = (line.end[at] - record_at >= MESSAGE_HEADER) & (behind <= limit)
            if not fine.all():
                records.odd[records.lane[record[~fine]]] = True
            yield record, record_at, at if step else row, head
            more = np.flatnonzero(fine & (behind < limit))
            if not len(more):
                return
            record, record_at = record[more], behind[more]
        records.odd[records.lane[record]] = True


def _length(head: U8) -> I64:
    """The length that handshake messages name."""
    return head[:, 1].astype(np.int64) << 16 | head[:, 2].astype(np.int64) << 8 | head[:, 3]
