"""Captures that are read one after the other by runs of their own, as one process would read them together.

A run puts its engine away as it is behind its last frame, with the flows that are open (``LeftOff``), and says what
became of all others. The next run takes it up and goes on. What the open flows would be, were there no more frames, is
told apart, for as long as nobody goes on. The last frames, of a second at most, are kept as they are: where the files
of two runs overlap a little, they are read together, as one process reads them.

Captures have the numbers that they would have in one process: connections of a later run may have frames in captures of
runs before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from inspector import bounds
from inspector.capture.files import Progress, Story
from inspector.capture.frames import CaptureInfo
from inspector.extract.continuing_engine import ContinuingEngine
from inspector.extract.engine import capture_facts
from inspector.extract.last_frames import LastFrames, Window, by_capture
from inspector.extract.merging import renumber
from inspector.extract.processes import late_clocks
from inspector.extract.put_away import TooLargeError, put_away, taken_up
from inspector.extract.shard import ShardFacts, clocks_apart, finish, unreadable
from inspector.extract.tables.digests import CaptureDigests
from inspector.facts import Facts
from inspector.wire.losses import Losses


class KnownCapture(Struct):
    """A capture that was read, known by the SHA-256 of its bytes."""

    sha256: str
    info: CaptureInfo


class LeftOff(Struct):
    """Where a run left off. ``engine``: before the ``last`` frames of all. ``captures``: those that
    open flows have frames in, by number; ``count``: how many were read in all; ``last_ns``: when the last frame was
    captured.
    """

    engine: ContinuingEngine
    last: list[Window]
    captures: dict[int, KnownCapture]
    count: int
    last_ns: int


class RunFacts(NamedTuple):
    """``digests``: of the captures of the facts, those of runs before behind those of this one."""

    facts: Facts
    digests: CaptureDigests


class ExtractionRun(NamedTuple):
    """What a run says: of flows that are ``over``, and of those that are ``still_open``. ``left_off``: put away; None
    where that took more than ``bounds.OPEN_FLOWS_BYTES``. ``last_ns``: when the last frame was captured. ``flows``: how
    many are open.
    """

    over: RunFacts
    still_open: RunFacts
    left_off: bytes | None
    last_ns: int
    flows: int


def read_on(
    story: Story,
    sha256s: Mapping[str, str],
    before: bytes | None = None,
    progress: Progress | None = None,
    begun: Callable[[int], None] | None = None,
) -> ExtractionRun | None:
    """Captures that come behind those of the run that left off ``before``; None where they must be read by themselves,
    for their clocks are apart or they bring secrets. ``story``: them, before any of their frames was read; ``sha256s``:
    of each path. Raises ValueError where what was left off is damaged.
    """
    left = taken_up(before) if before is not None else LeftOff(ContinuingEngine(), [], {}, 0, 0)
    if not isinstance(left, LeftOff):
        raise ValueError("it is no run's")
    engine = left.engine
    story.first_capture = left.count
    story.before = by_capture(left.last)
    if begun is not None:
        begun(story.bytes)
    if len(story.captures) > 1:
        engine.compare_clocks()
    last = LastFrames()
    for window in story.windows(progress):
        for frames in last.passed(window):
            engine.feed(*frames)
    if cut := last.cut():
        engine.feed(*cut)
    infos = [file.info for file in story.captures]
    new = {number: KnownCapture(sha256s[info.path], info) for number, info in enumerate(infos, left.count)}
    over = engine.take_facts()
    over.problems = unreadable(story)
    engine.keep_only_open()
    first = min([engine.first_capture(), *last.captures])
    kept = {number: capture for number, capture in (left.captures | new).items() if number >= first}
    last_ns = max([left.last_ns, *(info.last_ns for info in infos if info.last_ns is not None)])
    openings, engine.openings = engine.openings, None
    left_off = _put_away(LeftOff(engine, last.windows, kept, left.count + len(new), last_ns))
    engine.openings = openings
    for frames in last.windows:
        engine.feed(*frames)
    if any(info.has_secrets for info in infos) or _has_late_clocks(engine, infos, left.count):
        return None
    flows = engine.open_count
    part = ShardFacts(engine.facts, engine.losses)
    finish(engine, part)
    over_facts = _run_facts(over, new | left.captures, part.losses, len(new))
    for fragments in part.waiting.values():
        part.losses.setdefault(fragments.capture, Losses()).fragments([fragments])
    return ExtractionRun(over_facts, _run_facts(part.facts, kept, part.losses, 0), left_off, last_ns, flows)


def _has_late_clocks(engine: ContinuingEngine, infos: Sequence[CaptureInfo], count: int) -> bool:
    """Whether captures that were read side by side hold copies by clocks that are apart. ``count``: how many stand
    before them.
    """
    if engine.openings is None:
        return False
    every = [*(CaptureInfo("") for _ in range(count)), *infos]
    part = ShardFacts(engine.facts, engine.losses, openings=engine.openings.by_capture())
    return bool(late_clocks(clocks_apart([part], every), [info.path for info in every]))


def _put_away(left: LeftOff) -> bytes | None:
    try:
        return put_away(left, bounds.OPEN_FLOWS_BYTES)
    except TooLargeError:
        return None


def _run_facts(facts: Facts, captures: Mapping[int, KnownCapture], losses: Mapping[int, Losses], new: int) -> RunFacts:
    """``captures``: by the numbers that connections have for them, in the order that they are to have."""
    facts.captures = [capture_facts(capture.info, losses.get(number, Losses())) for number, capture in captures.items()]
    renumber(facts, [*captures], range(len(captures)))
    facts.connections = sorted(facts.connections)  # whichever ended first
    sha256s = tuple(capture.sha256 for capture in captures.values())
    return RunFacts(facts, CaptureDigests(sha256s[:new], sha256s[new:]))
