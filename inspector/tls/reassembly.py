"""Handshake messages out of the records that carry them: several may share a record, and one may go on in the next ones
(RFC 8446, section 5.1; RFC 5246, section 6.2.1).
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from operator import itemgetter

from inspector import bounds
from inspector.tls.anomalies import ImplausibleLength
from inspector.tls.receive_buffer import ReceiveBuffer
from inspector.tls.registry import MESSAGES
from inspector.tls.sink import Mark, Sink

RECORD_HEADER = 5
HEADER, LENGTH_AT = 4, 1
"""Type and length of a handshake message, and where in it the length stands (RFC 8446, section 4)."""

FIRST = itemgetter(0)


class HandshakeReassembly:
    """The messages of one direction. ``is_uncertain``: bytes before are unknown, so that what comes next may be
    encrypted although its record says that it is a handshake message.
    """

    __slots__ = ("_at", "_lane", "_mark", "_partial", "_pieces", "_sink", "is_uncertain")

    def __init__(self, lane: int, sink: Sink) -> None:
        self._lane = lane
        self._sink = sink
        self._partial: bytearray | None = None
        """A message that is not all there, with its header."""
        self._mark: Mark = (0, 0, 0)
        """Where it begins."""
        self._pieces: list[tuple[int, int]] = [(0, 0)]
        """Of what is read: from which byte on it is another record's, and where that byte stands in the stream."""
        self._at = 0
        """Where in it the message begins that is being handed on."""
        self.is_uncertain = False

    def offset(self, at: int) -> int:
        """Where in the stream a byte of the message stands that is being handed on, counted from its header on."""
        index = self._at + at
        first, offset = self._pieces[max(bisect_right(self._pieces, index, key=FIRST) - 1, 0)]
        return offset + index - first

    @property
    def is_partial(self) -> bool:
        """Whether a message goes on in the next record."""
        return self._partial is not None

    def read(self, received: ReceiveBuffer, data: bytes | bytearray, at: int, end: int, mark: Mark) -> int:
        """Messages between two places in ``data``, the body of the record that is being read; what is left of the last
        one is kept. ``mark``: where the first one begins. Gives how many bytes at the end are no messages in clear: 0
        where all may be.
        """
        self._pieces = [(at, received.position + RECORD_HEADER)]
        return self._read(received, data, at, end, mark)

    def _read(self, received: ReceiveBuffer, data: bytes | bytearray, at: int, end: int, mark: Mark) -> int:
        while at + HEADER <= end:
            kind = data[at]
            length = data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            self._at = at
            if (self.is_uncertain or length > bounds.MESSAGE_BYTES) and not self._is_plausible(
                kind, length, end - at, mark
            ):
                self._partial = None
                return end - at
            start = at + HEADER
            if start + length > end:
                break
            at = start + length
            self._sink.message(self._lane, kind, bytes(data[start:at]), mark)
            if data is received.data and received.is_of_several:
                mark = received.chunk(at)
        if at < end:
            self._partial = bytearray(data[at:end])
            self._mark = mark
            self._pieces = [
                (max(first - at, 0), offset + max(at - first, 0))
                for (first, offset), (behind, _) in pairwise((*self._pieces, (end, 0)))
                if behind > at
            ]
        return 0

    def go_on(self, received: ReceiveBuffer, body: bytes) -> int:
        """The next record of a message that did not end with its record. Gives the same as ``read``. A record without a
        byte leaves no trace: what is kept is bounded by the bytes of the message.
        """
        partial = self._partial
        assert partial is not None
        if not body:
            return 0
        self._pieces.append((len(partial), received.position + RECORD_HEADER))
        partial += body
        if len(partial) < HEADER or bounds.MESSAGE_BYTES >= int.from_bytes(partial[1:4], "big") > len(partial) - HEADER:
            return 0
        self._partial = None
        return self._read(received, bytes(partial), 0, len(partial), self._mark)

    def end(self) -> None:
        """The rest is missing: what there is of a message is its beginning."""
        partial, self._partial = self._partial, None
        if partial is not None and len(partial) >= HEADER:
            self._sink.beginning(self._lane, partial[0], bytes(partial[HEADER:]), self._mark)

    def lose(self) -> None:
        """Bytes are missing."""
        self._partial, self.is_uncertain = None, True

    def _is_plausible(self, kind: int, length: int, left: int, mark: Mark) -> bool:
        """Whether this can be a handshake message in clear. ``left``: bytes of the record from its header on."""
        if not self.is_uncertain:  # it is too long, then
            self._sink.anomaly(self._lane, ImplausibleLength(length), mark, "handshake.length", self.offset(LENGTH_AT))
            return False
        is_plausible = (
            length <= bounds.MESSAGE_BYTES and kind in MESSAGES and length + HEADER <= max(left, bounds.RECORD_BYTES)
        )
        self.is_uncertain = not is_plausible
        return is_plausible
