"""The records of many directions at once: the first record of each in one step over columns, then the second of each,
and so on.

A direction whose bytes all came, in order and uncut, is a line of bytes that lies in pieces, its segments, in the
buffer of the batch. All lines are laid end to end; a place on this one line is a number, and a binary search over the
ends of the segments tells in which of them, and so where in the buffer, a place is. One step reads the record header of
each direction that still has one, and moves all on by the lengths that stand there. Handshake records in clear are then
gone through in the same way, message by message. So the interpreter is woken once a step and not once a record: a dozen
steps for a hundred connections.

Only what is plain is read here. Whatever would make ``RecordReader`` think twice makes the direction ``odd``, and that
is left to it: a header that lies in two segments, a message that goes on in the next record, another first message than
a hello, a record that is cut off in clear, bytes that are no record, more than ``STEPS`` records.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from inspector import bounds
from inspector.capture.frames import I64, U8, gather
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

Rows = npt.NDArray[np.bool_]

STEPS = 40
"""RecordColumns of one direction, or messages of one record, that are followed."""
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


class Line:
    """Directions laid end to end. ``start``: int64, where each segment's payload begins in ``data``, direction after
    direction; ``length``: int64, how long it is.
    ``low``, ``high``: int64, where each direction begins and ends on the line.
    """

    def __init__(self, data: U8, start: I64, length: I64) -> None:
        self.data = data
        self.end: I64 = np.cumsum(length)
        self.begin: I64 = self.end - length
        self.shift: I64 = start - self.begin

    def row(self, start: I64) -> I64:
        """In which segment places on the line are."""
        return np.searchsorted(self.end, start, "right")

    def pieces(self, start: int, length: int) -> bytes:
        """Bytes of the line, from however many segments."""
        joined = b""
        row = int(np.searchsorted(self.end, start, "right"))
        while length:
            at, count = start + int(self.shift[row]), min(length, int(self.end[row]) - start)
            joined += self.data[at : at + count].tobytes()
            row, start, length = row + 1, start + count, length - count
        return joined


class RecordColumns:
    """The records of some directions, by place. Columns: int64 but where they say so.

    ``lane``: which direction. ``start``: on the line. ``row``: the segment that holds the header; ``record_index``:
    that with which it is known what the record is.
    ``kind``, ``size``: content type and length.
    ``is_sealed``: bool, behind a ChangeCipherSpec. ``head``: uint8, rows of ``HEAD_BYTES``. ``odd``: bool, an entry for
    each direction.
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
        is_change = kind == CHANGE_CIPHER_SPEC
        changes = np.cumsum(is_change) - is_change
        firsts = np.flatnonzero(is_first)
        self.firsts, self.lasts = firsts, np.append(firsts, len(lane))[1:] - 1
        self.is_sealed = changes > np.repeat(changes[firsts], self.lasts - firsts + 1)
        is_handshake, is_alert = kind == HANDSHAKE, kind == ALERT
        self.is_clear = is_change | (is_handshake & ~self.is_sealed) | (is_alert & (size == 2))
        message = head[:, 6].astype(np.int64) << 16 | head[:, 7].astype(np.int64) << 8 | head[:, 8]
        odd = (is_change & (self.is_sealed | (size != 1))) | ((size == 0) & (kind != APPLICATION_DATA))
        odd |= is_alert & np.where(size == 2, (head[:, 5] < 1) | (head[:, 5] > 2), ~self.is_sealed | (size < 2))
        again = (
            is_handshake & self.is_sealed & (size >= SHORTEST_HELLO)
        )  # TLS 1.3: a second ClientHello may stand behind a ChangeCipherSpec
        odd |= again & ((left < HEAD_BYTES) | ((head[:, 5] == CLIENT_HELLO) & (message == size - MESSAGE_HEADER)))
        odd |= self.is_clear & (self.behind > high[lane])
        is_data = kind == APPLICATION_DATA
        data = np.cumsum(is_data)
        odd |= (
            is_handshake & ~self.is_sealed & (data > np.repeat((data - is_data)[firsts], self.lasts - firsts + 1))
        )  # its segment may not be looked at from its start
        greets = (
            is_handshake
            & (left >= FIRST_BYTES)
            & (size >= SHORTEST_HELLO)
            & (message >= SHORTEST_BODY)
            & (head[:, 9] == MAJOR)
            & (head[:, 2] <= LATEST_MINOR)
        )
        odd |= is_first & ~(greets & ((head[:, 5] == CLIENT_HELLO) | (head[:, 5] == SERVER_HELLO)))
        self.odd[lane[odd]] = True
        self.record_index = row.copy()
        clear = np.flatnonzero(self.is_clear & ~odd)
        self.record_index[clear] = line.row(self.behind[clear] - 1)

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
    return head[:, 1].astype(np.int64) << 16 | head[:, 2].astype(np.int64) << 8 | head[:, 3]
