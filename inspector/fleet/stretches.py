"""A *stretch*: what one task reads, mostly one file of a sequence. It needs nothing of the others: what may belong to
flows from before it is handed over with what was found, and whoever joins the stretches follows it.

Tasks and their results are plain data, for any process.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

from msgspec import Struct

from inspector import bounds
from inspector.capture.files import Story
from inspector.capture.frames import CaptureInfo
from inspector.capture.references import frame_reference
from inspector.errors import UnreadableError
from inspector.extract.continuing_engine import ContinuingEngine
from inspector.extract.put_away import put_away, taken_up
from inspector.extract.shard import frame_bytes
from inspector.wire.addresses import Ends
from inspector.wire.continued import Continued
from inspector.wire.fragments import Key as DatagramKey

INFINITE = float("inf")
MOST_NS = (1 << 63) - 1


class CaptureStretch(NamedTuple):
    """``paths``: one file, or several whose frames must be read together. ``first_capture``: how many files of the
    sequence stand before them. ``begin``, ``end``: which part of the file, in bytes of its frames and the headers
    before them. ``is_first``: nothing stands before it in its sequence. ``until_ns``: when the first frame behind it
    was captured, as far as is known. ``compares``: whether there are other captures that may be copies of it.
    ``is_passing``: what lies before ``begin`` may be passed over.
    """

    paths: tuple[str, ...]
    first_capture: int
    begin: float = 0
    end: float = INFINITE
    is_first: bool = True
    until_ns: int = MOST_NS
    compares: bool = False
    is_passing: bool = True

    @property
    def is_part(self) -> bool:
        """Of its file; not all of it."""
        return self.begin > 0 or self.end < INFINITE


class StretchFacts(Struct):
    """What one task found. ``engine``: put away at the end of the stretch. ``continued``: what may belong to flows from
    before it, and was not followed. ``tail``: its last frames, from ``until_ns`` on; ``is_mixed``: others stand behind
    them, or they are so many that they were not kept. ``captures``, ``counted``: as in ``ShardFacts``, of its files
    alone. ``unfinished``: datagrams of which fragments are missing. ``bytes_read``: of its files, as they lie there.
    """

    engine: bytes
    continued: Continued | None
    captures: list[CaptureInfo]
    counted: list[CaptureInfo]
    unfinished: frozenset[DatagramKey]
    tail: Continued | None
    is_mixed: bool
    bytes_read: int


class FollowTask(NamedTuple):
    """A task: read once more of a stretch what was followed there of some flows, as long as they are open in another
    engine. ``engine``: that one, put away; ``handed``: the references of segments of these flows that were not followed
    there.
    """

    engine: bytes
    stretch: CaptureStretch
    flows: tuple[Ends, ...]
    handed: frozenset[int]


class Followed(Struct):
    """``continued``: these segments. ``behind``: the reference of the last frame that was read."""

    continued: Continued
    behind: int
    bytes_read: int


class _ReadBytes:
    """Counts what is read of files."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> None:
        self.count += count


def _story(stretch: CaptureStretch) -> Story:
    """Raises UnreadableError where not all of its files can be opened."""
    story = Story(stretch.paths, first_capture=stretch.first_capture)
    for _, error in story.problems:
        raise error
    if [file.info.path for file in story.captures] != [*stretch.paths]:
        raise UnreadableError(f"{stretch.paths[0]}: the captures are no longer what they were")
    if stretch.is_passing:
        story.pass_over(stretch.begin)
    return story


def read_stretch(stretch: CaptureStretch) -> StretchFacts:
    """The flows that begin in a stretch, as far as it goes. Raises UnreadableError."""
    story = _story(stretch)
    engine = ContinuingEngine(from_middle=not stretch.is_first)
    if stretch.compares:
        engine.compare_clocks()
    counted: list[CaptureInfo] = []
    read = _ReadBytes()
    index = 0
    tail = engine.kept_flows()
    is_mixed = False
    for window in story.windows(read):
        index = max(index, story.passed)
        if index >= stretch.end:
            break
        if index >= stretch.begin:
            is_mixed |= tail.bytes > 0
            if max(int(batch.time_ns.max()) for batch in window) < stretch.until_ns:
                engine.feed(*window)
            else:
                engine.feed(*(batch.select(batch.time_ns < stretch.until_ns) for batch in window))
                engine.read_tail(tail, *(batch.select(batch.time_ns >= stretch.until_ns) for batch in window))
            counted = [copy(file.info) for file in story.captures]
            if tail.bytes > bounds.BATCH_BYTES:  # all of it must be read with what comes behind it
                is_mixed = True
                break
        index += sum(map(frame_bytes, window))
    continued = engine.take_continued()
    captures = [file.info for file in story.captures]
    for info in (*captures, *counted):
        info.take_secrets()  # they stay where they were read
    return StretchFacts(
        engine=put_away(engine),
        continued=continued,
        captures=captures,
        counted=counted,
        unfinished=engine.unfinished(),
        tail=tail.segments() if 0 < tail.bytes <= bounds.BATCH_BYTES else None,
        is_mixed=is_mixed,
        bytes_read=read.count,
    )


def follow(task: FollowTask) -> Followed:
    """What was followed of some flows in the stretch that comes next. Raises UnreadableError."""
    engine: ContinuingEngine = taken_up(task.engine)
    stretch = task.stretch
    story = _story(stretch)
    read = _ReadBytes()
    kept = engine.kept_flows()
    last_handed = max(task.handed, default=0)
    behind = index = 0
    for window in story.windows(read):
        index = max(index, story.passed)
        if index >= stretch.end:
            break
        if index >= stretch.begin:
            before_tail = (batch.select(batch.time_ns < stretch.until_ns) for batch in window)
            goes_on = engine.follow_and_keep(kept, task.flows, task.handed, *before_tail)
            behind = max(frame_reference(batch.capture, int(batch.number.max())) for batch in window)
            if not goes_on and behind >= last_handed and len(story.captures) == 1:
                break
        index += sum(map(frame_bytes, window))
    if len(story.captures) > 1:  # all of them were read
        behind = frame_reference(stretch.first_capture + len(story.captures), 0) - 1
    return Followed(kept.segments(), behind, read.count)
