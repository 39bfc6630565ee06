"""One direction of a connection: ordered bytes in, records and handshake messages out.

The reader says which byte it wants next (``want``) and is fed only chunks that hold it. Application data and encrypted
records are skipped by their length without being looked at, so most bytes of a capture never come here. Handshake
messages may be cut at any record boundary and records at any segment boundary.

A stream begins in one of three ways: with a TLS record; with something else before the first hello (a PROXY header,
SOCKS, HTTP CONNECT, STARTTLS); or, where the capture began later or bytes are lost, in the middle, and then the next
record header that is confirmed by what stands behind it is taken.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from operator import itemgetter
from typing import ClassVar

from inspector import bounds
from inspector.tls.anomalies import ImplausibleLength, NoRecord, RecordVersion
from inspector.tls.preamble import (
    LATEST_MINOR,
    PREAMBLE_BYTES,
    Search,
    SearchStep,
    find_hello,
    find_record,
    is_hello,
    looks_like_hello,
)
from inspector.tls.registry import MESSAGES
from inspector.tls.sink import Mark, Sink
from inspector.tls.types import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HANDSHAKE, ContentType

NEVER = 1 << 62
OFFSET = itemgetter(0)
PASSED_BYTES = 7
"""What ``skip_record`` looks at: a record header, and the two bytes of an alert."""
SHORTEST_HELLO = 4 + 2 + 32 + 1 + 2 + 2 + 1
"""A ClientHello with nothing in it (RFC 8446, section 4.1.2)."""


class Mode(Enum):
    """What the reader is doing."""

    SEEKING = 0
    READING = 1
    LOST = 2
    DONE = 3


READING = Mode.READING


class RecordReader:
    """Reads one direction. ``anchored``: the first byte of the stream is known to be its first byte."""

    __slots__ = (
        *("_buffer", "_marks", "_message", "_message_mark", "_search", "_sink", "_skipped", "_start"),
        *(
            "blind",
            "data_bytes",
            "flowing",
            "wants_encrypted",
            "lane",
            "mode",
            "is_tls13",
            "position",
            "sealed",
            "searched",
            "torn",
            "uncertain",
            "want",
        ),
    )

    OPENING: ClassVar[int] = HANDSHAKE
    SKIPPED: ClassVar[int] = APPLICATION_DATA
    SKIPPED_BYTES: ClassVar[int] = PASSED_BYTES

    def __init__(self, lane: int, sink: Sink) -> None:
        self.lane = lane
        self.mode = Mode.SEEKING
        self.want = 0
        self.position = 0
        """Where the record that is being read begins in the stream."""
        self.sealed = 0
        """0 in clear; 1 behind a ChangeCipherSpec; 2 once an encrypted record was seen."""
        self.flowing = False
        """A record of type application data was seen."""
        self.torn = self.blind = False
        """Bytes are missing where the direction was in clear; records are missing where it was encrypted."""
        self.searched = 0
        """So many bytes were looked through for a hello in vain; from then on only a flight that begins with one is
        taken.
        """
        self.is_tls13 = False
        """TLS 1.3 was chosen in this direction: a ChangeCipherSpec means nothing (RFC 8446, section 5)."""
        self.uncertain = False
        """Bytes before this point are unknown, so that records of type handshake may be encrypted."""
        self.wants_encrypted = False
        """Somebody opens encrypted records: they are handed on whole as ``protected``, and told where bytes of them are
        missing.
        """
        self.data_bytes = 0
        """Where ``wants_encrypted``: records of type application data up to this length are handed on whole, longer
        ones without their body.
        """
        self._sink = sink
        self._buffer: bytes | bytearray = b""
        self._start = 0
        self._marks: list[Mark] = []
        self._message: bytearray | None = None
        self._message_mark = (0, 0, 0)
        self._skipped = 0
        self._search: Search | None = None

    @property
    def has_begun(self) -> bool:
        """Records were recognised."""
        return self.mode in (Mode.READING, Mode.LOST)

    @staticmethod
    def opens(head: bytes, *, at_start: bool) -> bool:
        """Whether bytes begin with a hello."""
        return find_hello(head, at_start=at_start) == 0

    @property
    def is_clear(self) -> bool:
        """Nothing encrypted was seen."""
        return not self.sealed and not self.flowing

    def feed(self, offset: int, chunk: bytes, frame: int, ns: int) -> None:
        """Take the chunk that holds the byte ``want``; chunks follow each other without gaps while bytes are kept."""
        if not self._buffer:
            self._buffer = chunk
            self._start = offset
            self._marks = [(offset, frame, ns)]
        else:
            if not isinstance(self._buffer, bytearray):
                self._buffer = bytearray(self._buffer)
            self._buffer += chunk
            self._marks.append((offset, frame, ns))
        self.want = offset + len(chunk)
        mode = self.mode
        if mode is READING:
            self._read()
        elif mode is not Mode.DONE:
            self._seek() if mode is Mode.SEEKING else self._resync()

    def skip_record(self, data: memoryview, at: int, left: int, frame: int, ns: int) -> bool:
        """Take the record whose header stands at ``at``, where ``want`` is, without a copy, where its header says all:
        application data, encrypted records, a ChangeCipherSpec. ``left``: bytes held from there on. False where it
        takes more; then it must be fed.
        """
        if left < PASSED_BYTES or self._buffer or self.mode is not READING:
            return False
        kind, length, sealed = data[at], data[at + 3] << 8 | data[at + 4], self.sealed
        if data[at + 1] != 3 or length > bounds.RECORD_BYTES:
            return False
        if self.wants_encrypted and (kind != APPLICATION_DATA or length <= self.data_bytes):
            return False
        if kind == APPLICATION_DATA:
            self.flowing = True
            self._sink.application_data(self.lane, length, (self.want, frame, ns))
            if self.wants_encrypted:
                self._sink.protected(self.lane, kind, 0x300 | data[at + 2], None, (self.want, frame, ns))
        elif (kind == HANDSHAKE and (sealed == 2 or (sealed == 1 and length < SHORTEST_HELLO))) or (
            kind == ALERT and sealed and length > 2
        ):
            self.sealed = 2
            self._sink.sealed(
                self.lane, kind, length, (self.want, frame, ns), bytes(data[at + 5 : at + 7]) if kind == ALERT else b""
            )
        else:
            return False
        self.position = self.want
        self.want += 5 + length
        return True

    def gap(self, offset: int) -> None:
        """Bytes from ``want`` up to ``offset`` will never come."""
        if offset <= self.want or (self.wants_encrypted and self._passes_over(offset)):
            return
        self.end()
        self._buffer = b""
        self.want = offset
        if self.mode in (Mode.READING, Mode.SEEKING):
            self._lose()

    def end(self) -> None:
        """The rest is missing. What is held of a record in clear: its whole messages, and the beginning of one."""
        if self.mode is not READING or not self.is_clear:
            return
        if len(self._buffer) > 5 and self._buffer[0] == HANDSHAKE:
            head, mark = bytes(self._buffer[5:]), self._mark(self._start)
            if self._message is None:
                self._messages(head, 0, len(head), mark)
            else:
                self._continue(head)
        message, self._message = self._message, None
        if message is not None and len(message) >= 4:
            self._sink.beginning(self.lane, message[0], bytes(message[4:]), self._message_mark)

    def wake(self, offset: int) -> None:
        """A hello was looked for in vain, and what begins a flight at ``offset`` may be one after all, behind a
        preamble of any length.
        """
        if self.mode is Mode.DONE and self.searched:
            self.mode, self.want, self._search = Mode.SEEKING, offset, Search(is_last=True)

    def _passes_over(self, offset: int) -> bool:
        """Whether the missing bytes lie within a record of application data whose header is known: only that record is
        lost then.
        """
        buffer = self._buffer
        if self.mode is not READING or len(buffer) < 5 or buffer[0] != APPLICATION_DATA:
            return False
        length = buffer[3] << 8 | buffer[4]
        if self._start + 5 + length < offset:
            return False
        mark = self._mark(self._start)
        self._sink.application_data(self.lane, length, mark)
        self._sink.protected(self.lane, APPLICATION_DATA, 0x300 | buffer[2], None, mark)
        self._drop(5 + length)
        return True

    def begin_midstream(self) -> None:
        """The first byte of the stream is not known: look for the next record."""
        if self.mode is Mode.SEEKING:
            self._lose()

    def _lose(self) -> None:
        if self.is_clear:
            self.torn = True
            self._sink.missing(self.lane)
        else:
            self.blind = True
        is_no_tls = self.mode is Mode.SEEKING and self._search is not None and not self._search.is_start
        self._skipped = bounds.RESYNC_BYTES - bounds.SEARCH_BYTES if is_no_tls else 0
        self.mode, self.uncertain, self._message = Mode.LOST, True, None
        if self.wants_encrypted:
            self.wants_encrypted = False
            self._sink.broken(self.lane)

    def _mark(self, offset: int) -> Mark:
        """The chunk that holds an offset; the offset is kept as ``position`` for whoever must name it."""
        self.position = offset
        marks = self._marks
        if len(marks) == 1:
            return marks[0]
        return marks[max(bisect_right(marks, offset, key=OFFSET) - 1, 0)]

    def _seek(self) -> None:
        """Find the first hello."""
        search = self._search
        if search is None:
            if is_hello(self._buffer):
                self._begin(0)
                return
            search = self._search = Search()
        while self._buffer:
            step, count = search.look(self._buffer, self._start)
            if step is SearchStep.MORE:
                return
            if step is SearchStep.SSLV2:
                self.mode = Mode.READING
                self._sink.started(self.lane)
                self._sink.sslv2_hello(self.lane, bytes(self._buffer[2:count]), self._mark(self._start))
                self._drop(count)
                self._read()
                return
            if search.is_start and (count or step is SearchStep.STOP):
                self._sink.preceded(self.lane, bytes(self._buffer[:PREAMBLE_BYTES]))
            search.is_start = False
            if step is SearchStep.HELLO:
                self._begin(count)
            elif step is SearchStep.STOP:
                self._give_up()
            else:
                self._drop(count)
            if step is not SearchStep.PASS or not count:
                return

    def _begin(self, at: int) -> None:
        """TLS begins."""
        minor = self._buffer[at + 2] if len(self._buffer) > at + 2 else 0
        self.searched, self.mode = 0, Mode.READING
        self._sink.started(self.lane)
        if at:
            self._drop(at)
        if minor > LATEST_MINOR:
            self._sink.anomaly(
                self.lane,
                RecordVersion(minor),
                self._mark(self._start),
                "record.legacy_record_version",
                1,
            )
        self._read()

    def _give_up(self) -> None:
        self.searched = self.searched or self._start + len(self._buffer)
        self.mode = Mode.DONE
        self._buffer = b""
        self._marks = []
        self.want = NEVER

    def _resync(self) -> None:
        """Behind a gap: a chunk that begins with a record, confirmed by the next one or by the end of the chunk."""
        at = find_record(bytes(self._buffer))
        if at is None:
            self._skipped += len(self._buffer)
            self._buffer = b""
            if self._skipped > bounds.RESYNC_BYTES:
                self._give_up()
            return
        self.mode = Mode.READING
        self._drop(at)
        self._read()

    def _drop(self, count: int) -> None:
        """Forget the first bytes of the buffer; those behind its end are skipped when they come."""
        if count >= len(self._buffer):
            self.want = self._start = self._start + count
            self._buffer = b""
            return
        self._buffer = self._buffer[count:]
        self._start += count
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= self._start:
            del marks[0]

    def _read(self) -> None:
        """All records that are whole in the buffer; encrypted ones need only their header."""
        buffer = self._buffer
        end = len(buffer)
        at = 0
        while at + 5 <= end:
            kind = buffer[at]
            length = buffer[at + 3] << 8 | buffer[at + 4]
            following = at + 5 + length
            if (
                (buffer[at + 1] != 3 and buffer[at + 1] != 0x7F)
                or length > bounds.RECORD_BYTES
                or not CHANGE_CIPHER_SPEC <= kind <= ContentType.HEARTBEAT
            ):
                self._derail(at)
                return
            if kind == APPLICATION_DATA:
                self.flowing = True
                is_whole = self.wants_encrypted and length <= self.data_bytes
                if is_whole and following > end:
                    break
                mark = self._mark(self._start + at)
                self._sink.application_data(self.lane, length, mark)
                if self.wants_encrypted:
                    self._sink.protected(
                        self.lane,
                        kind,
                        0x300 | buffer[at + 2],
                        bytes(buffer[at + 5 : following]) if is_whole else None,
                        mark,
                    )
            elif self.sealed and not (kind == ALERT and length == 2):
                needed = self._sealed(kind, length, at)
                if needed is None:
                    continue
                if needed > end:
                    break
            elif following > end:
                break
            elif kind == HANDSHAKE and self._message is None:
                self._messages(buffer, at + 5, following, self._mark(self._start + at))
            else:
                self._record(kind, bytes(buffer[at + 5 : following]), self._mark(self._start + at))
            at = following
        self._drop(at)

    def _sealed(self, kind: int, length: int, at: int) -> int | None:
        """An encrypted record at ``at``: the end of the bytes that it takes to tell (beyond the buffer: come again), or
        None where it is in clear after all.
        """
        buffer = self._buffer
        head = b""
        if self.sealed == 1 and kind == HANDSHAKE and length >= SHORTEST_HELLO:
            if at + 14 > len(buffer):
                return at + 14
            if looks_like_hello(buffer, at + 5, length):
                self.sealed = 0
                return None
        if kind == ALERT and length > 2:  # its first bytes are kept, for a cipher suite without encryption
            if at + 7 > len(buffer):
                return at + 7
            head = bytes(buffer[at + 5 : at + 7])
        following = at + 5 + length
        if self.wants_encrypted and following > len(buffer):
            return following
        if kind != CHANGE_CIPHER_SPEC:
            self.sealed = 2
        mark = self._mark(self._start + at)
        self._sink.sealed(self.lane, kind, length, mark, head)
        if self.wants_encrypted:
            self._sink.protected(self.lane, kind, 0x300 | buffer[at + 2], bytes(buffer[at + 5 : following]), mark)
        return at

    def _record(self, kind: int, body: bytes, mark: Mark) -> None:
        """A record in clear that is no handshake message of its own."""
        if kind == HANDSHAKE:
            self._continue(body)
        elif kind == CHANGE_CIPHER_SPEC:
            self._sink.change_cipher_spec(self.lane, mark)
            if not self.is_tls13:
                self.sealed = 1
        elif kind == ALERT:
            if len(body) % 2 or len(body) > 8 or body[:1] not in (b"\1", b"\2"):
                self.sealed = 2  # encrypted, and the ChangeCipherSpec before it was not captured
                self._sink.sealed(self.lane, kind, len(body), mark)
                return
            for i in range(0, len(body), 2):
                self._sink.alert(self.lane, body[i], body[i + 1], mark)

    def _messages(self, data: bytes | bytearray, at: int, end: int, mark: Mark) -> None:
        """Handshake messages between two offsets; what is left of the last one is kept. ``mark``: where the first one
        begins.
        """
        while at + 4 <= end:
            kind = data[at]
            length = data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            if (self.uncertain or length > bounds.MESSAGE_BYTES) and self._implausible(kind, length, end - at):
                return
            start = at + 4
            if start + length > end:
                break
            at = start + length
            self._sink.message(self.lane, kind, bytes(data[start:at]), mark)
            if len(self._marks) > 1 and data is self._buffer:
                mark = self._mark(self._start + at)
        if at < end:
            self._message = bytearray(data[at:end])
            self._message_mark = mark

    def _continue(self, body: bytes) -> None:
        """The next record of a handshake message that did not end with its record."""
        message = self._message
        assert message is not None
        message += body
        if len(message) < 4 or bounds.MESSAGE_BYTES >= int.from_bytes(message[1:4], "big") > len(message) - 4:
            return
        self._message = None
        self._messages(bytes(message), 0, len(message), self._message_mark)

    def _implausible(self, kind: int, length: int, left: int) -> bool:
        """Whether this cannot be a handshake message in clear; then the rest of the direction counts as encrypted."""
        if length <= bounds.MESSAGE_BYTES and (
            not self.uncertain or (kind in MESSAGES and length + 4 <= max(left, bounds.RECORD_BYTES))
        ):
            self.uncertain = False
            return False
        if not self.uncertain:
            self._sink.anomaly(self.lane, ImplausibleLength(length), self._marks[0], "handshake.length")
        self.sealed = 2
        self._message = None
        self._sink.sealed(self.lane, HANDSHAKE, left, self._marks[0])
        return True

    def _derail(self, at: int) -> None:
        """Not a record where one must stand."""
        mark = self._mark(self._start + at)
        self._sink.anomaly(self.lane, NoRecord(), mark, "record")
        self._drop(at)
        self._buffer = b""
        self.want = max(self.want, self.position + 1)
        self._lose()


__all__ = ["CLIENT_HELLO", "NEVER", "Mark", "Mode", "RecordReader", "Sink"]
