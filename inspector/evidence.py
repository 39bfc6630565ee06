"""The frames of some connections, read again from their captures: for the bytes behind a message (``contents``), and for slices that another person opens.

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
from inspector.wire.segments import SegmentBatch, SegmentDecoder


class Flow(NamedTuple):
    """Which frames: those between two endpoints from one frame reference to another, in each capture that holds any."""

    ends: tuple[Endpoint, Endpoint]
    places: tuple[tuple[int, int], ...]

    def holds(self, reference: int) -> bool:
        """Whether a frame between the endpoints is one of them."""
        return any(first <= reference <= last for first, last in self.places)


def flow_of(connection: ConnectionFacts) -> Flow:
    """All frames of a connection, or of one leg of it."""
    return Flow((connection.client, connection.server), connection.places)


def frames(
    paths: Sequence[str], flows: Iterable[Flow], is_stopped: Callable[[], bool] = lambda: False, decoder: SegmentDecoder | None = None
) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
    """The frames of some flows with their segments, batch by batch. ``decoder``: one whose numbers for addresses are known already. Raises
    UnreadableError where a capture cannot be read again.
    """
    yield from among(story_again(paths).batches(), flows, is_stopped, decoder)


def story_again(paths: Sequence[str]) -> Story:
    """The captures, to be read a second time. Raises UnreadableError where that cannot be."""
    if "-" in paths:
        raise UnreadableError("standard input cannot be read a second time", "save the capture to a file and open that")
    if not paths:
        raise UnreadableError("no packets were kept", "inspector live -w FILE keeps them")
    return Story(paths)


def among(
    batches: Iterable[FrameBatch], flows: Iterable[Flow], is_stopped: Callable[[], bool] = lambda: False, decoder: SegmentDecoder | None = None
) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
    """Those of some frames that belong to some flows, with their segments."""
    wanted = list(flows)
    if not wanted:
        return
    decoder = decoder or SegmentDecoder()
    low, high = min(first for f in wanted for first, _ in f.places), max(last for f in wanted for _, last in f.places)
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
            rows[row] = any(f.holds(reference) for f in keys.get(pair, ()))
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
