"""One direction of a flow put in order: overlap, retransmission, reordering, gaps. Bytes that nobody will read are
counted, not touched.

The first byte of the stream has offset 0. Where the SYN was not captured the start is not known: segments wait (a few)
for an earlier one before the lowest becomes offset 0.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from operator import itemgetter

from inspector import bounds
from inspector.wire.checksums import HEADERS_BYTES
from inspector.wire.consumer import ByteConsumer
from inspector.wire.overlaps import KeptSegment, Overlaps, kept
from inspector.wire.runs import Run

PLAUSIBLE_START = 1 << 20
"""What lies further away than this from where a direction stands, and is how one begins, is of another connection."""
PLAUSIBLE_TAIL = 1 << 24
"""A FIN further behind the last byte is damage, not a tail that was not captured."""

Piece = tuple[int, bytes, int, int, int, bytes]
"""offset, bytes held, length on the wire, frame, ns, headers (empty where the bytes are not the whole payload)"""


class Stream:
    """Orders segments for one consumer. Counts ``received`` payload bytes, each once."""

    __slots__ = (
        "_base",
        "_holes",
        "_pending",
        "_waiting",
        "anchored",
        "conflicts_of_waiting",
        "is_compared",
        "next",
        "overlaps",
        "reader",
        "received",
        "sequence_jump",
        "top",
        "urgent",
    )

    def __init__(self, reader: ByteConsumer) -> None:
        self.reader = reader
        self.anchored = False
        self.next = 0
        """Everything before this offset was handed on, skipped or given up."""
        self.top = 0
        """The highest offset seen plus one: how long the stream is."""
        self.received = 0
        self.sequence_jump = False
        """A segment lay further away than any window reaches."""
        self.is_compared = True
        """Segments are compared with what came before; not once nothing is taken any more."""
        self.overlaps: Overlaps | None = None
        """What they are compared with, where anything is kept."""
        self.conflicts_of_waiting = 0
        """How many conflicts were known when the first of the stream was: what was acknowledged when the segments came
        that had waited for it, nobody knows any more.
        """
        self.urgent: tuple[int, int] | None = None
        """Where the first urgent data begins among the first bytes, and its frame: receivers leave a byte of it out of
        what they read, or do not (RFC 6093, section 2.2).
        """
        self._base = 0
        self._holes: list[list[int]] = []
        self._pending: list[Piece] = []
        self._waiting = 0

    def anchor(self, seq: int) -> None:
        """The sequence number of the first byte is known."""
        if self.anchored:
            return
        waiting, self._pending, self._waiting = self._pending, [], 0
        shift = self._base - seq
        shift = (shift + (1 << 31)) % (1 << 32) - (1 << 31) if waiting else 0
        self._base = seq
        self.anchored = True
        for offset, piece, length, frame, ns, headers in waiting:
            self.insert(offset + shift, piece, length, frame, ns, headers)
        self.conflicts_of_waiting = self.conflict_count

    def stand(self, seq: int, length: int) -> None:
        """Be where so many bytes lead that came in order and were read elsewhere. ``seq``: of the first byte."""
        self._base = seq
        self.anchored = True
        self.next = self.top = self.received = length

    @property
    def is_placed(self) -> bool:
        """Whether anything tells where the stream lies among the sequence numbers."""
        return self.anchored or bool(self._pending)

    def offset(self, seq: int) -> int:
        """The stream offset of a sequence number, near to where the stream stands (RFC 9293, section 3.4)."""
        if not self.anchored and not self._pending:
            self._base = seq
        return self.next + (seq - self._base - self.next + (1 << 31)) % (1 << 32) - (1 << 31)

    def initial_sequence(self) -> int:
        """The initial sequence number, or the first seen less one."""
        return (self._base - 1) & 0xFFFFFFFF

    def is_next(self, seq: int) -> bool:
        """Whether bytes with this sequence number simply come next."""
        return self.anchored and (self._base + self.next) & 0xFFFFFFFF == seq and not self._pending

    def begins_anew(self, seq: int, rows: Run, row: int, *, is_over: bool) -> bool:
        """Whether a segment is of another connection between the same ports, whose SYN was not captured: it lies where
        nothing of this one can, and begins as a direction does although this one has begun, or this connection is over.
        """
        if not self.anchored and not self._pending:
            return False
        distance = self._distance(seq)
        if not distance:
            return False
        has_opening = self.reader.opens(rows.head(row), at_start=False)
        if is_over:
            return has_opening or distance > PLAUSIBLE_TAIL
        has_begun = not self.anchored or self.reader.has_begun
        return has_opening and has_begun and distance > PLAUSIBLE_START

    def _distance(self, seq: int) -> int:
        """How far a sequence number lies from all that was seen of the stream."""
        offset = self.offset(seq)
        low, high = (
            (0, self.top) if self.anchored else (self._pending[0][0], self._pending[-1][0] + self._pending[-1][2])
        )
        return max(low - offset, offset - high, 0)

    def insert_run(self, rows: Run, first: int, end: int, seq: int) -> None:
        """A span of segments that does not simply come next, one by one."""
        for row in range(first, end):
            start = rows.start[row]
            if rows.extent is not None:
                rows.extent[row] = rows.captured[row]
            piece = rows.data[start : start + rows.captured[row]].tobytes()
            headers = rows.data[max(start - HEADERS_BYTES, 0) : start].tobytes()
            frame, ns = rows.frame + rows.number[row], rows.time_ns[row]
            self.insert(self.offset(seq), piece, rows.length[row], frame, ns, headers)
            seq = seq + rows.length[row] & 0xFFFFFFFF

    def insert(self, offset: int, piece: bytes, length: int, frame: int, ns: int, headers: bytes = b"") -> None:
        """A segment in any order. ``piece`` may be shorter than ``length`` where the frame was cut. ``headers``: what
        stands before it.
        """
        if len(piece) < length:
            headers = b""
        if not self.anchored:
            self._hold(offset, piece, length, frame, ns, headers)
            return
        end = offset + length
        if offset < bounds.COMPARED_BYTES and self.is_compared:
            self._compare(KeptSegment(offset, piece, frame, ns, headers))
        self.sequence_jump = self.sequence_jump or offset - self.top > PLAUSIBLE_TAIL or offset < -PLAUSIBLE_TAIL
        self.top = max(self.top, end)
        if offset < self.next:
            if self._holes:
                self._fill(offset, end)
            skip = self.next - offset
            if skip >= length:
                return
            offset, piece, length, headers = self.next, piece[skip:], length - skip, b""
        if offset > self.next:
            if self.reader.want < offset:
                self._pend(offset, piece, length, frame, ns, headers)
                return
            self._open_hole(self.next, offset)
        self._deliver(offset, piece, length, frame, ns, headers)
        if self._pending:
            self._drain()

    def _compare(self, segment: KeptSegment) -> None:
        """With what was handed on, and with what waits beside it."""
        if self.overlaps is not None and (self._pending or segment.offset < self.overlaps.end):
            self.overlaps.compare(segment, self._waiting_at(segment))
        elif self._pending:
            overlaps = Overlaps()
            overlaps.compare(segment, self._waiting_at(segment))
            if overlaps.conflicts:
                self.overlaps = overlaps

    def _waiting_at(self, segment: KeptSegment) -> list[KeptSegment]:
        """What waits where a segment lies, or next to it."""
        pending = self._pending
        middle = bisect_right(pending, segment.offset, key=itemgetter(0))
        near = pending[max(middle - bounds.COMPARED_SEGMENTS, 0) : middle + bounds.COMPARED_SEGMENTS]
        return [KeptSegment(offset, piece, frame, ns, headers) for offset, piece, _, frame, ns, headers in near]

    def note_urgent(self, seq: int, frame: int) -> None:
        """A segment holds urgent data."""
        offset = self.offset(seq) if self.anchored else 0
        if self.urgent is None and self.is_compared and offset < bounds.COMPARED_BYTES:
            self.urgent = offset, frame

    @property
    def conflict_count(self) -> int:
        """How many conflicts were found."""
        return len(self.overlaps.conflicts) if self.overlaps is not None else 0

    def keep(self, segment: KeptSegment) -> None:
        """A segment of the first bytes was handed on."""
        if self.overlaps is None:
            self.overlaps = Overlaps()
        self.overlaps.keep(segment)

    def compares_beyond(self, number: int | None) -> bool:
        """Whether segments are yet compared with what lies behind a sequence number that was acknowledged."""
        if not self.is_compared:
            return False
        end = self.overlaps.end if self.overlaps is not None else 0
        if self.next < bounds.COMPARED_BYTES:
            end = bounds.COMPARED_BYTES
        return end > 0 and (number is None or not self.anchored or self.offset(number) < end)

    def forget(self, now: int) -> None:
        """Keep nothing that is too old to be sent again."""
        if self.overlaps is not None and self.overlaps.is_old(now):
            self.overlaps = None

    def _hold(self, offset: int, piece: bytes, length: int, frame: int, ns: int, headers: bytes) -> None:
        """A direction whose start is unknown waits for an earlier segment, unless one begins with this segment."""
        insort(self._pending, (offset, piece, length, frame, ns, headers))
        first = self._pending[0]
        if self.reader.opens(first[1], at_start=True) or len(self._pending) >= bounds.UNANCHORED_SEGMENTS:
            self.settle()

    def settle(self) -> None:
        """Begin at the lowest segment held, whatever it is."""
        if self.anchored or not self._pending:
            return
        first = self._pending[0]
        start = (self._base + first[0]) & 0xFFFFFFFF
        if not self.reader.opens(first[1], at_start=True):
            self.reader.begin_midstream()
        self.anchor(start)

    def _pend(self, offset: int, piece: bytes, length: int, frame: int, ns: int, headers: bytes) -> None:
        insort(self._pending, (offset, piece, length, frame, ns, headers))
        self._waiting += len(piece)
        while self._waiting > bounds.REORDER_BYTES or len(self._pending) > bounds.REORDER_SEGMENTS:
            self._give_up()

    def _drain(self) -> None:
        pending = self._pending
        while pending:
            offset, piece, length, frame, ns, headers = pending[0]
            if offset > self.next and self.reader.want < offset:
                return
            del pending[0]
            self._waiting -= len(piece)
            if offset > self.next:
                self._open_hole(self.next, offset)
            skip = max(self.next - offset, 0)
            if skip < length:
                rest, before = (piece[skip:], b"") if skip else (piece, headers)
                self._deliver(offset + skip, rest, length - skip, frame, ns, before)

    def _give_up(self) -> None:
        """The bytes before the first waiting segment will not come."""
        offset = self._pending[0][0]
        self._open_hole(self.next, offset)
        self.next = offset
        self.reader.gap(offset)
        self._drain()

    def ends_at(self, offset: int) -> None:
        """A FIN, a RST or an acknowledgement tells how long the stream is, also where its last bytes
        were not captured.
        """
        if self.anchored and 0 < offset - self.top < PLAUSIBLE_TAIL:
            self.top = offset

    def finish(self) -> None:
        """Nothing more will come: hand on what waits, with its gaps."""
        self.settle()
        while self._pending:
            self._give_up()
        if self.top > self.next:
            self.reader.gap(self.top)
        self.reader.end()

    def _deliver(self, offset: int, piece: bytes, length: int, frame: int, ns: int, headers: bytes) -> None:
        reader = self.reader
        if offset < bounds.COMPARED_BYTES and self.is_compared and piece:
            self.keep(KeptSegment(offset, piece, frame, ns, headers))
        self.next = offset + length
        self.received += len(piece)
        if piece and piece[0] == reader.OPENING and reader.want >= self.next:
            reader.wake(offset)
        while True:
            want = reader.want
            if want >= self.next:
                return
            if want >= offset + len(piece):
                reader.gap(self.next)
                return
            start = max(0, want - offset)
            reader.feed(offset + start, piece[start:] if start else piece, frame, ns)

    def _open_hole(self, start: int, end: int) -> None:
        if len(self._holes) < bounds.HOLES:
            self._holes.append([start, end])

    def _fill(self, start: int, end: int) -> None:
        """Late bytes of skipped data: count them once."""
        for hole in list(self._holes):
            low, high = max(start, hole[0]), min(end, hole[1])
            if low < high:
                self.received += high - low
                self._holes.remove(hole)
                self._holes += [part for part in ([hole[0], low], [high, hole[1]]) if part[0] < part[1]]

    def run(self, rows: Run, first: int, last: int, length: int, captured: int) -> None:
        """Uncut segments that follow each other, rows ``first`` to ``last`` (exclusive), beginning where the stream
        stands.
        """
        reader = self.reader
        offset = self.next
        if offset < bounds.COMPARED_BYTES and self.is_compared:
            self._keep_rows(rows, first, last)
        self.next = end = offset + length
        if end > self.top:
            self.top = end
        self.received += captured
        if reader.want >= end and rows.captured[first] and rows.data[rows.start[first]] == reader.OPENING:
            reader.wake(offset)
        if last - first == 1:
            self._single(rows, first, offset, end)
            return
        before = rows.before
        origin = before[first] - offset
        while reader.want < end:
            if rows.extent is None and reader.skip_records(rows, first, last, origin):
                continue
            row = bisect_right(before, reader.want + origin, first, last) - 1
            at = before[row] - origin
            self._single(rows, row, at, at + rows.length[row])

    def _keep_rows(self, rows: Run, first: int, last: int) -> None:
        """Those that begin where the stream stands, as far as they are to be compared with."""
        offset = self.next
        for row in range(first, last):
            if offset >= bounds.COMPARED_BYTES:
                return
            start, captured, frame = rows.start[row], rows.captured[row], rows.frame + rows.number[row]
            if captured:
                segment = kept(offset, rows.data, start, captured, frame, rows.time_ns[row])
                self.keep(segment if captured == rows.length[row] else segment._replace(headers=b""))
            offset += rows.length[row]

    def _single(self, rows: Run, row: int, offset: int, end: int) -> None:
        """One segment, as far as the reader wants it."""
        reader = self.reader
        start, captured, frame, ns = (
            rows.start[row],
            rows.captured[row],
            rows.frame + rows.number[row],
            rows.time_ns[row],
        )
        while (want := reader.want) < end:
            skip = want - offset if want > offset else 0
            if skip >= captured:
                reader.gap(end)
                return
            at = start + skip
            if (reader.sealed or rows.data[at] == reader.SKIPPED) and reader.skip_record(
                rows.data, at, captured - skip, frame, ns
            ):
                if rows.extent is not None:
                    rows.extent[row] = min(skip + reader.SKIPPED_BYTES, captured)
                continue
            reader.feed(offset + skip, rows.data[at : start + captured].tobytes(), frame, ns)
            if rows.extent is not None:
                rows.extent[row] = captured
