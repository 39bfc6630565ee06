"""The frames of some connections, read again from their captures: for the bytes behind a message, and for slices that another person opens.

Facts hold no bytes of messages, so that millions of connections fit; whoever wants to see them reads the capture once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from inspector.capture.files import Story
from inspector.capture.frames import FrameBatch
from inspector.capture.writer import PcapngWriter
from inspector.errors import UnreadableError
from inspector.facts import FRAME_BITS, ConnectionFacts, Endpoint
from inspector.tls import messages
from inspector.tls.reader import Malformed
from inspector.tls.records import Mark, RecordReader
from inspector.tls.registry import SERVER_HELLO
from inspector.tls.tree import Node, alert_tree, handshake_tree
from inspector.wire.segments import SYN, SegmentBatch, SegmentDecoder
from inspector.wire.streams import Stream

CHANGE = Node("ChangeCipherSpec", "1 byte", 0, 1, (Node("type", "change_cipher_spec (1)", 0, 1),))
SEALED = {20: "ChangeCipherSpec", 21: "Alert", 22: "Handshake", 24: "Heartbeat"}


class Flow(NamedTuple):
    """Which frames: those between two endpoints from one frame reference to another."""

    ends: tuple[Endpoint, Endpoint]
    first: int
    last: int


class RawMessage(NamedTuple):
    """A message with its bytes. ``frame``: reference. ``data``: empty where it was encrypted. ``letter``: as in ``facts.Event``."""

    letter: str
    from_client: bool
    frame: int
    ns: int
    data: bytes
    tree: Node


def flow_of(connection: ConnectionFacts) -> Flow:
    """All frames of a connection, or of one leg of it."""
    return Flow((connection.client, connection.server), connection.first_frame, connection.last_frame)


def frames(
    paths: Sequence[str], flows: Iterable[Flow], is_stopped: Callable[[], bool] = lambda: False, decoder: SegmentDecoder | None = None
) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
    """The frames of some flows with their segments, batch by batch. ``decoder``: one whose numbers for addresses are known already. Raises
    UnreadableError where a capture cannot be read again.
    """
    if "-" in paths:
        raise UnreadableError("standard input cannot be read a second time", "save the capture to a file and open that")
    if not paths:
        raise UnreadableError("no packets were kept", "inspector live -w FILE keeps them")
    yield from among(Story(paths).batches(), flows, is_stopped, decoder)


def among(
    batches: Iterable[FrameBatch], flows: Iterable[Flow], is_stopped: Callable[[], bool] = lambda: False, decoder: SegmentDecoder | None = None
) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
    """Those of some frames that belong to some flows, with their segments."""
    wanted = list(flows)
    if not wanted:
        return
    decoder = decoder or SegmentDecoder()
    low, high = min(f.first for f in wanted), max(f.last for f in wanted)
    keys: dict[frozenset[int], list[Flow]] = {}
    for flow in wanted:
        key = frozenset(end_number(decoder, end) for end in flow.ends)
        keys.setdefault(key, []).append(flow)
    ends = np.array(sorted({e for key in keys for e in key}), np.uint64)
    captures = high >> FRAME_BITS
    for batch in batches:
        if is_stopped():
            return
        base = batch.capture << FRAME_BITS
        first, last = base | int(batch.number[0]), base | int(batch.number[-1])
        if last < low or first > high:
            if captures == 0 and batch.capture == 0 and first > high:
                return
            continue
        segments = decoder.decode(batch)
        rows = np.isin(segments.source, ends) & np.isin(segments.target, ends)
        for row in np.flatnonzero(rows).tolist():
            reference = base | int(segments.number[row])
            pair = frozenset((int(segments.source[row]), int(segments.target[row])))
            rows[row] = any(f.first <= reference <= f.last for f in keys.get(pair, ()))
        if rows.any():
            found = segments.select(rows)
            yield batch.select(np.isin(batch.number, found.number)), found


def end_number(decoder: SegmentDecoder, end: Endpoint) -> int:
    """An endpoint as the decoder's segments write it."""
    return decoder.addresses.number(end.address) << 16 | end.port


def save(paths: Sequence[str], flows: Iterable[Flow], out: BinaryIO, comments: dict[int, str], is_stopped: Callable[[], bool] = lambda: False) -> int:
    """Write the frames of some flows as pcapng; how many. ``comments``: by frame reference."""
    writer = PcapngWriter(out)
    for batch, _ in frames(paths, flows, is_stopped):
        writer.write(batch, comments_on(batch, comments))
    return writer.count


def comments_on(batch: FrameBatch, comments: dict[int, str]) -> dict[int, str]:
    """Comments by frame reference, as those of one capture by frame number."""
    return {reference & (1 << FRAME_BITS) - 1: text for reference, text in comments.items() if reference >> FRAME_BITS == batch.capture}


def raw_messages(paths: Sequence[str], connection: ConnectionFacts, is_stopped: Callable[[], bool] = lambda: False) -> list[RawMessage]:
    """The messages of a connection with their bytes, in the order of the wire. Raises UnreadableError."""
    gathered = _Gathered()
    streams = (Stream(gathered.readers[0]), Stream(gathered.readers[1]))
    decoder = SegmentDecoder()
    client = end_number(decoder, connection.client)
    for batch, segments in frames(paths, [flow_of(connection)], is_stopped, decoder):
        base = batch.capture << FRAME_BITS
        for row in range(len(segments)):
            stream, seq = streams[int(segments.source[row]) != client], int(segments.seq[row])
            if int(segments.flags[row]) & SYN:
                stream.anchor(seq + 1 & 0xFFFFFFFF)
                seq += 1
            length = int(segments.length[row])
            if length:
                start = int(segments.start[row])
                held = segments.data[start : start + int(segments.held[row])].tobytes()
                stream.insert(stream.offset(seq & 0xFFFFFFFF), held, length, base | int(segments.number[row]), int(segments.time_ns[row]))
    for stream in streams:
        stream.finish()
    return sorted(gathered.found, key=lambda m: (m.ns, m.frame))


class _Gathered:
    """The sink of both readers: keeps every message."""

    def __init__(self) -> None:
        self.readers = (RecordReader(0, self), RecordReader(1, self))
        self.found: list[RawMessage] = []

    def _add(self, letter: str, lane: int, mark: Mark, data: bytes, tree: Node) -> None:
        self.found.append(RawMessage(letter, lane == 0, mark[1], mark[2], data, tree))

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message in clear."""
        data = bytes((kind,)) + len(body).to_bytes(3, "big") + body
        self._add("message", lane, mark, data, handshake_tree(data))
        if kind == SERVER_HELLO:
            try:
                modern = messages.server_hello(body).shape.version >= 0x0304
            except Malformed:
                return
            for reader in self.readers:
                reader.modern = modern

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None:
        """A CLIENT-HELLO in SSLv2 framing."""
        self._add("message", lane, mark, record, Node("SSLv2 CLIENT-HELLO", f"{len(record)} bytes", 0, len(record)))

    def change_cipher_spec(self, lane: int, mark: Mark) -> None:
        """From here on the direction is encrypted."""
        self._add("I", lane, mark, b"\x01", CHANGE)

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert in clear."""
        self._add("L", lane, mark, bytes((level & 255, code & 255)), alert_tree(level, code))

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None:
        """An encrypted record: only its header says something."""
        name = SEALED.get(content_type, f"record type {content_type}")
        children = (Node("content type", f"{name} ({content_type})", 0, 0), Node("length", f"{length:,} bytes, encrypted", 0, 0))
        self._add({21: "l", 22: "f", 20: "i"}.get(content_type, "D"), lane, mark, b"", Node(f"{name} (encrypted)", f"{length:,} bytes", 0, 0, children))

    def application_data(self, lane: int, length: int, mark: Mark) -> None:
        """Only the first of each direction is kept, as on the ladder."""
        if not any(m.letter == "D" and m.from_client == (lane == 0) for m in self.found):
            self._add("D", lane, mark, b"", Node("application data (encrypted)", f"{length:,} bytes in its first record", 0, 0))

    def anomaly(self, lane: int, kind: str, text: str, mark: Mark, path: str = "", offset: int = 0) -> None:
        """Named by the analysis already."""

    def started(self, lane: int) -> None:
        """The first record was found."""

    def preceded(self, lane: int, head: bytes) -> None:
        """Something stood before the first hello."""
