"""One direction of a flow laid out in order: its bytes as one image, the records in it, and which bytes are evidence.

Evidence are handshake messages, alerts and ChangeCipherSpecs whole, of application data the record headers. In TLS 1.3,
where encrypted handshake messages look like application data, whole are also the server's records before the client's
Finished, and that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import NamedTuple

from inspector import bounds
from inspector.facts import Event
from inspector.packets.buffer import LANE_BYTES, BufferedFlow, BufferedFrame
from inspector.tls.history import Letter
from inspector.tls.preamble import find_hello, sslv2_hello_length
from inspector.tls.types import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEARTBEAT, MAJOR
from inspector.wire.segments import SYN

HEADER = 5
ALERT_BYTES = 2
TAGS = (16, 8)
"""Bytes of an authentication tag (RFC 8446, section 5.2, and CCM_8)."""

Interval = tuple[int, int]


class RecordSpan(NamedTuple):
    """``at``: of its header in the image. ``length``: of its fragment. ``is_clear``: not behind a ChangeCipherSpec.
    ``ns``: of the frame that begins it.
    """

    at: int
    kind: int
    length: int
    is_clear: bool
    ns: int


class StreamImage:
    """One direction. ``image``: bytes in order, zero where none were captured. ``start``: of the first record, -1 where
    there is none.

    ``offsets``: of the frames in it. ``records``: those that could be walked through; ``end``: behind the last of them.
    ``sslv2``: length of a hello in SSLv2 framing at ``start``.
    """

    def __init__(self, frames: Sequence[BufferedFrame], is_tls13: bool) -> None:
        self.frames = frames
        base = _base(frames)
        self.offsets = [_offset_of(frame, base) for frame in frames]
        size = min(max([0, *(at + len(f.payload) for at, f in zip(self.offsets, frames, strict=True))]), 2 * LANE_BYTES)
        self.image = bytearray(size)
        self._known = bytearray(size)
        begun: dict[int, int] = {}
        for at, frame in sorted(zip(self.offsets, frames, strict=True), key=lambda item: item[1].frame):
            self._write(at, frame, begun)
        self._begun = sorted(begun.items())
        self.sslv2 = 0
        self.start = self._find_start()
        self.records, self.end = self._walk(is_tls13) if self.start >= 0 else ([], 0)

    def _write(self, at: int, frame: BufferedFrame, begun: dict[int, int]) -> None:
        """The first copy of a byte counts."""
        low, high = max(at, 0), min(at + len(frame.payload), len(self.image))
        if low >= high:
            return
        begun.setdefault(low, frame.ns)
        piece = frame.payload[low - at : high - at]
        known = self._known[low:high]
        if not any(known):
            self.image[low:high] = piece
        else:
            for i, is_known in enumerate(known):
                if not is_known:
                    self.image[low + i] = piece[i]
        self._known[low:high] = b"\1" * (high - low)

    def _find_start(self) -> int:
        head = bytes(self.image)
        if not head:
            return -1
        sslv2_length = sslv2_hello_length(head)
        if isinstance(sslv2_length, int):
            self.sslv2 = sslv2_length
            return 0
        hello_at = find_hello(head, at_start=True)
        if isinstance(hello_at, int):
            return hello_at
        return 0 if len(head) >= HEADER and CHANGE_CIPHER_SPEC <= head[0] <= HEARTBEAT and head[1] == MAJOR else -1

    def _walk(self, is_tls13: bool) -> tuple[list[RecordSpan], int]:
        spans: list[RecordSpan] = []
        at, is_clear = self.start + self.sslv2, True
        image = self.image
        while at + HEADER <= len(image) and all(self._known[at : at + HEADER]):
            kind, length = image[at], image[at + 3] << 8 | image[at + 4]
            if not CHANGE_CIPHER_SPEC <= kind <= HEARTBEAT or image[at + 1] != MAJOR or length > bounds.RECORD_BYTES:
                break
            spans.append(RecordSpan(at, kind, length, is_clear, self._time(at)))
            if kind == CHANGE_CIPHER_SPEC and not is_tls13:
                is_clear = False
            at += HEADER + length
        return spans, min(at, len(image))

    def _time(self, at: int) -> int:
        index = bisect_right(self._begun, (at, 1 << 63)) - 1
        return self._begun[index][1] if index >= 0 else 0

    def kept(self, whole: Collection[RecordSpan] = ()) -> list[Interval]:
        """Which bytes of the image are evidence. ``whole``: records of application data that are handshake."""
        if self.start < 0:
            return [(0, len(self.image))]
        ranges = [(0, self.start + self.sslv2)] if self.start + self.sslv2 else []
        for record in self.records:
            is_whole = record.kind != APPLICATION_DATA or record in whole
            ranges.append((record.at, record.at + HEADER + (record.length if is_whole else 0)))
        if self.end < len(self.image):
            ranges.append((self.end, len(self.image)))  # not understood: nothing is taken from it
        return ranges

    def clear_handshake(self) -> list[Interval]:
        """Where the bytes of handshake messages in clear stand."""
        return [
            (r.at + HEADER, min(r.at + HEADER + r.length, len(self.image)))
            for r in self.records
            if r.kind == HANDSHAKE and r.is_clear
        ]


def lanes(flow: BufferedFlow, is_tls13: bool) -> tuple[StreamImage, StreamImage]:
    """Client's and server's direction."""
    return StreamImage([f for f in flow.frames if f.is_client], is_tls13), StreamImage(
        [f for f in flow.frames if not f.is_client], is_tls13
    )


def encrypted_handshake(
    client: StreamImage, server: StreamImage, answer_ns: int, events: Sequence[Event] = ()
) -> tuple[list[RecordSpan], list[RecordSpan]]:
    """In TLS 1.3 the records of both that are handshake or alert although their type is application data.
    ``answer_ns``: when the ServerHello came.
    ``events``: of the connection, among them what was decrypted.
    """
    ours = [r for r in client.records if r.kind == APPLICATION_DATA and r.ns >= answer_ns][:1]
    until = ours[0].ns if ours else 1 << 62
    theirs = [r for r in server.records if r.kind == APPLICATION_DATA and r.ns <= until]
    return [*ours, *_decrypted(client, events, True)], [*theirs, *_decrypted(server, events, False)]


def _decrypted(lane: StreamImage, events: Sequence[Event], from_client: bool) -> list[RecordSpan]:
    """Records that hold decrypted messages, by when they begin and how long they are: another record in the same frame
    may be application data.
    """
    sizes: dict[int, list[int]] = {}
    for event in events:
        if event.decrypted and event.from_client == from_client and event.letter != Letter.APPLICATION_DATA:
            sizes.setdefault(event.ns, []).append(ALERT_BYTES if event.letter == Letter.ALERT else event.size)
    spans = []
    for record in lane.records:
        lengths = sizes.get(record.ns)
        if (
            lengths
            and record.kind == APPLICATION_DATA
            and any(record.length == size + 1 + tag for size in (*lengths, sum(lengths)) for tag in TAGS)
        ):
            spans.append(record)
    return spans


def _base(frames: Sequence[BufferedFrame]) -> int:
    """The sequence number of the first byte."""
    syn = next((f for f in frames if f.flags & SYN), None)
    if syn is not None:
        return (syn.seq + 1) & 0xFFFFFFFF
    with_data = [f.seq for f in frames if f.length] or [0]
    first = with_data[0]
    return (first + min((((seq - first + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)) for seq in with_data)) & 0xFFFFFFFF


def _offset_of(frame: BufferedFrame, base: int) -> int:
    """A segment's offset in the stream."""
    seq = frame.seq + (1 if frame.flags & SYN else 0)
    return ((seq - base + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
