"""One direction of a connection: ordered bytes in, records and handshake messages out (RFC 8446, section 5; RFC 5246,
section 6.2).

The reader says which byte it wants next (``want``) and is fed only chunks that hold it. Application data and encrypted
records are skipped by their length without being looked at, so most bytes of a capture never come here. Records may be
cut at any segment boundary (``receive_buffer``) and handshake messages at any record boundary (``reassembly``).

A direction is in one of four *modes*::

    SEEKING ───a hello───► READING ───a gap, no record───► LOST
       │                      ▲                           │  │
       └──in vain──► DONE     └───a record, confirmed─────┘  └──in vain──► DONE

It begins SEEKING, for something else may stand before the first hello: a PROXY header, SOCKS, HTTP CONNECT, STARTTLS.
READING, each record begins where the one before ends. Where bytes are missing, or were before the capture began, the
direction is LOST until a record header is confirmed by what stands behind it. DONE, no byte is wanted; only a flight
that begins with a hello wakes a direction that never had one.

Beside that, a direction that is read has a *state of encryption*, of which records say only the half. Up to TLS 1.2 the
type of a record stays in clear, so CLEAR becomes CHANGED with a ChangeCipherSpec and ENCRYPTED with the record behind
it, for good. Back from CHANGED to CLEAR leads only a further hello: in TLS 1.3 a ChangeCipherSpec means nothing, and a
second ClientHello may stand behind it (RFC 8446, section 5 and appendix D.4). What TLS 1.3 encrypts is of type
application data, and so never changes the state. An alert of two bytes is in clear whatever the state: an encrypted one
is longer, but for cipher suites without encryption. Behind a gap the state is a guess: records of type handshake count
as encrypted where they cannot be messages.

Whoever opens encrypted records asks for them whole (``wants_encrypted``), and gets them in the same order beside all
that; the first gap ends that.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from typing import ClassVar, Protocol

from inspector import bounds
from inspector.tls.anomalies import NoRecord, RecordVersion
from inspector.tls.preamble import GIVE_UP, LATEST_MINOR, find_hello, is_hello, looks_like_hello
from inspector.tls.reassembly import HandshakeReassembly
from inspector.tls.receive_buffer import ReceiveBuffer
from inspector.tls.search import HelloAt, RecordSearch, Sslv2Hello
from inspector.tls.sink import Mark, Sink
from inspector.tls.types import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    CHANGED,
    CLEAR,
    DRAFT_MAJOR,
    ENCRYPTED,
    HANDSHAKE,
    HEARTBEAT,
    MAJOR,
    AlertLevel,
)

NEVER = 1 << 62
HEADER = 5
"""Type, version and length of a record."""
PASSED_BYTES = HEADER + 2
"""What ``skip_record`` looks at: a record header, and the two bytes of an alert."""
KNOWN_AT_END = 3
"""Records of which more than the length is kept where many are skipped."""
SHORTEST_HELLO = 4 + 2 + 32 + 1 + 2 + 2 + 1
"""A ClientHello with nothing in it (RFC 8446, section 4.1.2)."""
LEVELS = tuple(bytes((level,)) for level in AlertLevel)
VERSION = MAJOR << 8
"""Of a record, without its minor part."""
HEADER_AT = struct.Struct(">BBxH").unpack_from
"""Type, major version and length."""


class Segments(Protocol):
    """Of segments that follow each other, and of others around them, an entry each: where its payload begins in
    ``data``, its bytes there, those of all segments before it, and its frame, counted from ``frame``.
    """

    data: memoryview
    start: Sequence[int]
    captured: Sequence[int]
    before: Sequence[int]
    number: Sequence[int]
    time_ns: Sequence[int]
    frame: int


class Mode(Enum):
    """What the reader is doing."""

    SEEKING = 0
    READING = 1
    LOST = 2
    DONE = 3


READING = Mode.READING


class RecordReader(ReceiveBuffer):
    """Reads one direction, out of the bytes that it holds."""

    __slots__ = (
        *("_reassembly", "_search", "_sink", "lost_encrypted", "data_bytes", "flowing", "is_tls13", "lane", "mode"),
        *("sealed", "torn", "wants_encrypted"),
    )

    OPENING: ClassVar[int] = HANDSHAKE
    SKIPPED: ClassVar[int] = APPLICATION_DATA
    SKIPPED_BYTES: ClassVar[int] = PASSED_BYTES

    def __init__(self, lane: int, sink: Sink) -> None:
        super().__init__()
        self.lane = lane
        self.mode = Mode.SEEKING
        self.sealed = CLEAR
        """The ``EncryptionState``."""
        self.flowing = False
        """A record of type application data was read."""
        self.torn = self.lost_encrypted = False
        """Bytes are missing where the direction was in clear; records are missing where it was encrypted."""
        self.is_tls13 = False
        """TLS 1.3 was chosen in this direction: a ChangeCipherSpec means nothing (RFC 8446, section 5)."""
        self.wants_encrypted = False
        """Somebody opens encrypted records: they are handed on whole as ``protected``, and it is said where bytes of
        them are missing.
        """
        self.data_bytes = 0
        """Where ``wants_encrypted``: records of type application data up to this length are handed on whole, longer
        ones without their body.
        """
        self._sink = sink
        self._reassembly = HandshakeReassembly(lane, sink)
        self._search: RecordSearch | None = None

    @property
    def searched_bytes(self) -> int:
        """So many bytes were looked through for a hello in vain; only a flight that begins with one is read still."""
        return self._search.searched_bytes if self._search is not None else 0

    def stand(self, want: int, position: int, sealed: int, is_flowing: bool) -> None:
        """As if all records before ``want`` had been read here."""
        self.mode, self.want, self.position, self.sealed, self.flowing = READING, want, position, sealed, is_flowing

    def offset_in_message(self, at: int) -> int:
        """Where in the stream a byte of the message stands that is being handed on, counted from its header on."""
        return self._reassembly.offset(at)

    @property
    def has_begun(self) -> bool:
        """Records were recognised."""
        return self.mode in (READING, Mode.LOST)

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
        self.add(offset, chunk, frame, ns)
        mode = self.mode
        if mode is READING:
            self._read()
        elif mode is not Mode.DONE:
            self._seek() if mode is Mode.SEEKING else self._resync()

    def skip_record(self, data: memoryview, at: int, left: int, frame: int, ns: int) -> bool:
        """Take the record whose header stands at ``at``, where ``want`` is, without a copy, where its header says all:
        application data, encrypted records. ``left``: bytes captured from there on. False where it takes more; then it
        must be fed.
        """
        if left < PASSED_BYTES or self.data or self.mode is not READING:
            return False
        kind, length, sealed = data[at], data[at + 3] << 8 | data[at + 4], self.sealed
        if data[at + 1] != MAJOR or length > bounds.RECORD_BYTES:
            return False
        if self.wants_encrypted and (kind != APPLICATION_DATA or length <= self.data_bytes):
            return False
        before, self.position = self.position, self.want
        if kind == APPLICATION_DATA:
            self.flowing = True
            self._sink.application_data(self.lane, length, (self.want, frame, ns))
            if self.wants_encrypted:
                self._hand_on(kind, data[at + 2], None, (self.want, frame, ns))
        elif (kind == HANDSHAKE and (sealed == ENCRYPTED or (sealed == CHANGED and length < SHORTEST_HELLO))) or (
            kind == ALERT and sealed and length > 2
        ):
            self.sealed = ENCRYPTED
            head = bytes(data[at + HEADER : at + PASSED_BYTES]) if kind == ALERT else b""
            self._sink.sealed(self.lane, kind, length, (self.want, frame, ns), head)
        else:
            self.position = before
            return False
        self.want += HEADER + length
        return True

    def skip_records(self, segments: Segments, first: int, last: int, origin: int) -> bool:
        """The same for all application data that comes next, behind other such, in rows ``first`` to ``last``
        (exclusive) of segments. ``origin``: what stands in ``before`` for the first byte of the stream.
        """
        if not self.flowing or self.wants_encrypted or self.data or self.mode is not READING:
            return False
        data, start, captured, before = segments.data, segments.start, segments.captured, segments.before
        end, row, at = before[last], first, self.want + origin
        records: list[tuple[int, int, int]] = []
        while at < end:
            row = bisect_right(before, at, row, last) - 1
            within = at - before[row]
            if captured[row] - within < PASSED_BYTES:
                break
            kind, major, length = HEADER_AT(data, start[row] + within)
            if kind != APPLICATION_DATA or major != MAJOR or length > bounds.RECORD_BYTES:
                break
            records.append((at, row, length))
            at += HEADER + length
        if not records:
            return False
        self._sink.skipped(self.lane, [length for _, _, length in records[:-KNOWN_AT_END]])
        for begins, row, length in records[-KNOWN_AT_END:]:
            self.position = begins - origin
            mark = (self.position, segments.frame + segments.number[row], segments.time_ns[row])
            self._sink.application_data(self.lane, length, mark)
        self.want = at - origin
        return True

    def gap(self, offset: int) -> None:
        """Bytes from ``want`` up to ``offset`` will never come."""
        if offset <= self.want or (self.wants_encrypted and self._passes_over(offset)):
            return
        self.end()
        self.clear()
        self.want = offset
        if self.mode in (READING, Mode.SEEKING):
            self._lose()

    def end(self) -> None:
        """The rest is missing. What there is of a record in clear: its whole messages, and the beginning of one."""
        if self.mode is not READING or not self.is_clear:
            return
        data = self.data
        if len(data) > HEADER and data[0] == HANDSHAKE:
            body = bytes(data[HEADER:])
            self._messages(body, 0, len(body), self.mark(0))
        self._reassembly.end()

    def wake(self, offset: int) -> None:
        """A hello was looked for in vain, and what begins a flight at ``offset`` may be one after all, behind a
        preamble of any length.
        """
        if self.mode is Mode.DONE and self.searched_bytes:
            self.mode, self.want = Mode.SEEKING, offset
            self._searching().last_hello()

    def begin_midstream(self) -> None:
        """The first byte of the stream is not known: look for the next record."""
        if self.mode is Mode.SEEKING:
            self._lose()

    def _passes_over(self, offset: int) -> bool:
        """Whether the missing bytes lie within a record of application data whose header is known: only that record is
        lost then.
        """
        data = self.data
        if self.mode is not READING or len(data) < HEADER or data[0] != APPLICATION_DATA:
            return False
        length = data[3] << 8 | data[4]
        if self.start + HEADER + length < offset:
            return False
        mark = self.mark(0)
        self._sink.application_data(self.lane, length, mark)
        self._hand_on(APPLICATION_DATA, data[2], None, mark)
        self.drop(HEADER + length)
        return True

    def _hand_on(self, kind: int, minor: int, body: bytes | None, mark: Mark) -> None:
        """An encrypted record, for whoever opens it."""
        self._sink.protected(self.lane, kind, VERSION | minor, body, mark)

    def _lose(self) -> None:
        """Bytes are missing, or are none of TLS."""
        if self.is_clear:
            self.torn = True
            self._sink.missing(self.lane)
        else:
            self.lost_encrypted = True
        self._searching().begin_record(is_seeking=self.mode is Mode.SEEKING)
        self.mode = Mode.LOST
        self._reassembly.lose()
        if self.wants_encrypted:
            self.wants_encrypted = False
            self._sink.broken(self.lane)

    def _searching(self) -> RecordSearch:
        """The search, made where it is needed: most directions begin with a hello."""
        if self._search is None:
            self._search = RecordSearch(self.lane, self._sink)
        return self._search

    def _seek(self) -> None:
        """Find the first hello."""
        if self._search is None and is_hello(self.data):
            self._begin(0)
            return
        step = self._searching().hello(self)
        if isinstance(step, HelloAt):
            self._begin(step.offset)
        elif isinstance(step, Sslv2Hello):
            self._begin_sslv2(step.length)
        elif step is GIVE_UP:
            self._give_up()

    def _resync(self) -> None:
        """Find the next record behind a gap."""
        at = self._searching().record(self)
        if isinstance(at, int):
            self.mode = READING
            self.drop(at)
            self._read()
        elif at is GIVE_UP:
            self._give_up()

    def _begin(self, at: int) -> None:
        """TLS begins."""
        data = self.data
        minor = data[at + 2] if len(data) > at + 2 else 0
        if self._search is not None:
            self._search.searched_bytes = 0
        self.mode = READING
        self._sink.started(self.lane)
        if at:
            self.drop(at)
        if minor > LATEST_MINOR:
            mark = self.mark(0)
            self._sink.anomaly(self.lane, RecordVersion(minor), mark, "record.legacy_record_version", self.position + 1)
        self._read()

    def _begin_sslv2(self, length: int) -> None:
        """TLS begins with a hello in SSLv2 framing."""
        self.mode = READING
        self._sink.started(self.lane)
        self._sink.sslv2_hello(self.lane, bytes(self.data[2:length]), self.mark(0))
        self.drop(length)
        self._read()

    def _give_up(self) -> None:
        """No byte is wanted any more."""
        self.mode, self.want = Mode.DONE, NEVER
        self.clear()

    def _read(self) -> None:
        """All records that are whole; encrypted ones need only their header."""
        data, at = self.data, 0
        end = len(data)
        while at + HEADER <= end:
            kind = data[at]
            length = data[at + 3] << 8 | data[at + 4]
            following = at + HEADER + length
            if (
                (data[at + 1] != MAJOR and data[at + 1] != DRAFT_MAJOR)
                or length > bounds.RECORD_BYTES
                or not CHANGE_CIPHER_SPEC <= kind <= HEARTBEAT
            ):
                self._derail(at)
                return
            if kind == APPLICATION_DATA:
                self.flowing = True
                is_whole = self.wants_encrypted and length <= self.data_bytes
                if is_whole and following > end:
                    break
                mark = self.mark(at)
                self._sink.application_data(self.lane, length, mark)
                if self.wants_encrypted:
                    body = bytes(data[at + HEADER : following]) if is_whole else None
                    self._hand_on(kind, data[at + 2], body, mark)
            elif self.sealed and not (kind == ALERT and length == 2):
                needed = self._encrypted(kind, length, at)
                if needed is None:
                    continue
                if needed > end:
                    break
            elif following > end:
                break
            elif kind == HANDSHAKE:
                self._messages(data, at + HEADER, following, self.mark(at))
            else:
                self._record(kind, bytes(data[at + HEADER : following]), self.mark(at))
            at = following
        self.drop(at)

    def _encrypted(self, kind: int, length: int, at: int) -> int | None:
        """An encrypted record at ``at``: the end of the bytes that it takes to tell (beyond those held: come again), or
        None where it is in clear after all.
        """
        data = self.data
        head = b""
        if self.sealed == CHANGED and kind == HANDSHAKE and length >= SHORTEST_HELLO:
            if at + 14 > len(data):
                return at + 14
            if looks_like_hello(data, at + HEADER, length):
                self.sealed = CLEAR
                return None
        if kind == ALERT and length > 2:  # its first bytes are kept, for a cipher suite without encryption
            if at + PASSED_BYTES > len(data):
                return at + PASSED_BYTES
            head = bytes(data[at + HEADER : at + PASSED_BYTES])
        following = at + HEADER + length
        if self.wants_encrypted and following > len(data):
            return following
        if kind != CHANGE_CIPHER_SPEC:
            self.sealed = ENCRYPTED
        mark = self.mark(at)
        self._sink.sealed(self.lane, kind, length, mark, head)
        if self.wants_encrypted:
            self._hand_on(kind, data[at + 2], bytes(data[at + HEADER : following]), mark)
        return at

    def _record(self, kind: int, body: bytes, mark: Mark) -> None:
        """A record in clear that holds no handshake message."""
        if kind == CHANGE_CIPHER_SPEC:
            self._sink.change_cipher_spec(self.lane, mark)
            if not self.is_tls13:
                self.sealed = CHANGED
        elif kind == ALERT:
            if len(body) % 2 or len(body) > 8 or body[:1] not in LEVELS:
                self.sealed = ENCRYPTED  # and the ChangeCipherSpec before it was not captured
                self._sink.sealed(self.lane, kind, len(body), mark)
                return
            for i in range(0, len(body), 2):
                self._sink.alert(self.lane, body[i], body[i + 1], mark)

    def _messages(self, data: bytes | bytearray, at: int, end: int, mark: Mark) -> None:
        """The body of a record of type handshake, between two places in ``data``. Where it cannot be in clear, the rest
        of the direction counts as encrypted.
        """
        if self._reassembly.is_partial:
            left = self._reassembly.go_on(self, bytes(data[at:end]))
        else:
            left = self._reassembly.read(self, data, at, end, mark)
        if left:
            self.sealed = ENCRYPTED
            self._sink.sealed(self.lane, HANDSHAKE, left, mark)

    def _derail(self, at: int) -> None:
        """Not a record where one must stand."""
        self._sink.anomaly(self.lane, NoRecord(), self.mark(at), "record", self.start + at)
        self.clear()
        self.want = max(self.want, self.position + 1)
        self._lose()
