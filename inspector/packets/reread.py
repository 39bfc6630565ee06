"""The frames of some connections, read again from their captures: for the bytes behind a message (``contents``), and
for slices that another person opens.

Facts hold no bytes of messages, so that millions of connections fit; whoever wants to see them reads the capture once
more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from inspector.capture.files import Story
from inspector.capture.frames import FrameBatch
from inspector.capture.probe_marks import ProbeTurn, client_at, interface_of
from inspector.capture.writer import PcapngWriter
from inspector.errors import UnreadableError
from inspector.facts import FRAME_BITS, CaptureFacts, ConnectionFacts, PackedEndpoint
from inspector.wire.segments import SegmentBatch, SegmentDecoder


class FlowFrames(NamedTuple):
    """Which frames: those between two endpoints from one frame reference to another, in each capture that has any."""

    ends: tuple[PackedEndpoint, PackedEndpoint]
    extents: tuple[tuple[int, int], ...]

    def covers(self, reference: int) -> bool:
        """Whether a frame between the endpoints is one of them."""
        return any(first <= reference <= last for first, last in self.extents)


def flow_of(connection: ConnectionFacts) -> FlowFrames:
    """All frames of a connection, or of one leg of it."""
    return FlowFrames((connection.client, connection.server), connection.frame_ranges)


def frames(
    paths: Sequence[str],
    flows: Iterable[FlowFrames],
    is_stopped: Callable[[], bool] = lambda: False,
    decoder: SegmentDecoder | None = None,
    late: Mapping[int, int] | None = None,
) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
    """The frames of some flows with their segments, batch by batch. ``decoder``: one whose numbers for addresses are
    known already. ``late``: as in
    ``Story``. Raises UnreadableError where a capture cannot be read again.
    """
    yield from frames_of(story_again(paths, late).batches(), flows, is_stopped, decoder)


def clocks_late(captures: Sequence[CaptureFacts]) -> dict[int, int]:
    """By how much the clocks of captures are later than that which is believed: what was taken out of the times of all
    their frames.
    """
    late = {
        index: sum(clock.ns for clock in capture.clocks if clock.other != index)
        for index, capture in enumerate(captures)
    }
    return {index: ns for index, ns in late.items() if ns}


def story_again(paths: Sequence[str], late: Mapping[int, int] | None = None) -> Story:
    """The captures, to be read a second time. ``late``: as in ``Story``. Raises UnreadableError where
    that cannot be.
    """
    if "-" in paths:
        raise UnreadableError("standard input cannot be read a second time", "save the capture to a file and open that")
    if not paths:
        raise UnreadableError("no packets were kept", "inspector live -w FILE keeps them")
    return Story(paths, late)


def frames_of(
    batches: Iterable[FrameBatch],
    flows: Iterable[FlowFrames],
    is_stopped: Callable[[], bool] = lambda: False,
    decoder: SegmentDecoder | None = None,
) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
    """Those of some frames that belong to some flows, with their segments."""
    selections = list(flows)
    if not selections:
        return
    decoder = decoder or SegmentDecoder()
    extents = [extent for flow in selections for extent in flow.extents]
    low, high = min(first for first, _ in extents), max(last for _, last in extents)
    keys: dict[frozenset[int], list[FlowFrames]] = {}
    for flow in selections:
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
            rows[row] = any(f.covers(reference) for f in keys.get(pair, ()))
        if rows.any():
            chosen = segments.select(rows)
            yield batch.select(np.isin(batch.number, chosen.number)), chosen


def end_number(decoder: SegmentDecoder, end: PackedEndpoint) -> int:
    """An endpoint as the decoder's segments write it."""
    return decoder.addresses.number(end.address) << 16 | end.port


def save(
    paths: Sequence[str],
    flows: Iterable[FlowFrames],
    out: BinaryIO,
    comments: dict[int, str],
    late: Mapping[int, int] | None = None,
) -> int:
    """Write the frames of some flows as pcapng, in the order of time; how many. ``comments``: by frame reference.
    ``late``: as in ``Story``: one file has one clock. What a probe made goes on to say so.
    """
    writer = PcapngWriter(out)
    story, selections = story_again(paths, late), list(flows)
    decoder = SegmentDecoder()
    for window in story.windows() if len(story.captures) > 1 else [story.batches()]:
        batches = (batch for batch, _ in frames_of(window, selections, decoder=decoder))
        for batch in _interleaved(list(batches)) if len(story.captures) > 1 else batches:
            if all(file.info.probe.is_probe for file in story.captures):
                for client, part in by_client(batch, story.captures[batch.capture].info.probe.turns):
                    writer.write(part, comments_on(batch, comments), name=interface_of(client))
            else:
                writer.write(batch, comments_on(batch, comments))
    return writer.count


def by_client(batch: FrameBatch, turns: Sequence[ProbeTurn]) -> Iterator[tuple[str, FrameBatch]]:
    """The frames of a probe in their order, parted where those of another of its clients begin."""
    turn = np.searchsorted(np.array([turn.frame for turn in turns], np.int64), batch.number, side="right")
    borders = [0, *(np.flatnonzero(np.diff(turn)) + 1).tolist(), len(batch)]
    for start, stop in itertools.pairwise(borders):
        yield client_at(turns, int(batch.number[start])), batch.select(slice(start, stop))


def _interleaved(batches: Sequence[FrameBatch]) -> Iterator[FrameBatch]:
    """The frames of several captures in the order of time."""
    if len(batches) < 2:
        yield from batches
        return
    sizes = [len(batch) for batch in batches]
    order = np.argsort(np.concatenate([batch.time_ns for batch in batches]), kind="stable")
    owner, row = (
        np.repeat(np.arange(len(batches)), sizes)[order],
        np.concatenate([np.arange(size) for size in sizes])[order],
    )
    for rows in np.split(np.arange(len(order)), np.flatnonzero(np.diff(owner)) + 1):
        yield batches[int(owner[rows[0]])].select(row[rows])


def comments_on(batch: FrameBatch, comments: dict[int, str]) -> dict[int, str]:
    """Comments by frame reference, as those of one capture by frame number."""
    return {
        reference & (1 << FRAME_BITS) - 1: text
        for reference, text in comments.items()
        if reference >> FRAME_BITS == batch.capture
    }
