"""A shard of a story: the frames that one process looks at, so that several can share the work of one extraction.

A flow belongs to the shard in which it begins. Its process follows it beyond the shard, to its end; the process of
the next shard takes it for a flow that was captured from the middle, and that piece is dropped when the parts are put
together (``borders``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from msgspec import Struct, field

from inspector.capture.files import Progress, Story
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.capture.pcap import RECORD_BYTES
from inspector.errors.captures import InputProblem, InputUnreadable
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.assembly import BegunBefore
from inspector.extract.borders import add_followed, drop_pieces
from inspector.extract.engine import Engine, capture_facts
from inspector.extract.openings import Opened, apart, together
from inspector.facts import Facts, absorb
from inspector.text.safe import path_text
from inspector.wire.flow import FlowKey, Moment
from inspector.wire.fragments import Key, Waiting
from inspector.wire.losses import Losses

if TYPE_CHECKING:
    from inspector.secrets.inputs import SecretInputs, Supply


class ShardFacts(Struct):
    """What one process found. ``followed``: flows that began in the shard and went on behind it. It and the others:
    as in ``Engine``.
    """

    facts: Facts
    losses: dict[int, Losses]
    followed: dict[FlowKey, Moment] = field(default_factory=dict)
    begun_before: list[BegunBefore] = field(default_factory=list)
    early: list[int] = field(default_factory=list)
    waiting: dict[Key, Waiting] = field(default_factory=dict)
    parted: frozenset[Key] = frozenset()
    is_undecided: bool = False
    openings: dict[int, Opened] = field(default_factory=dict)
    """By capture, where several were compared."""
    counted: list[CaptureInfo] = field(default_factory=list)
    """Of each capture, up to the end of the shard."""
    captures: list[CaptureInfo] = field(default_factory=list)
    """Of each capture, up to where this process stopped reading: for the last shard that is its end."""
    is_restamped: bool = False
    """Stamps were put right in the shard."""
    is_cut: bool = False
    """Reading ended behind so many packets as were asked for, and there are more."""


Watch = Callable[[Engine, Story], None]


def extract_shard(
    story: Story,
    begin: float,
    end: float,
    progress: Progress | None = None,
    watch: Watch | None = None,
    secrets: SecretInputs | None = None,
    *,
    beside: int = 0,
) -> ShardFacts:
    """The flows that begin between two places of a story, counted in bytes of its frames; ``begin`` 0 and ``end``
    infinite for all. What lies before may be passed over (``Story.pass_over``). ``watch`` is shown the engine
    behind each window, for ``so_far``. ``secrets``: to open encrypted records with, beside what the captures
    bring. ``beside``: so many others read other shards.
    """
    supply = supplied(story, secrets)
    engine = Engine(from_middle=begin > 0, secrets=supply.channels if supply else None, beside=beside)
    part = ShardFacts(engine.facts, engine.losses)
    if len(story.captures) > 1 and not story.late:
        engine.compare_clocks()
    index = 0
    is_behind = False
    for window in story.windows(progress):
        index = max(index, story.passed)
        if supply is not None or any(file.info.secrets for file in story.captures):
            supply = supplied(story, secrets, supply)
            engine.secrets = supply.channels if supply else None
        if index >= end:
            if not is_behind:
                is_behind = True
                engine.drain()
            if not engine.follow(*window):
                break
        elif index >= begin:
            engine.feed(*window)
            part.counted = [copy(file.info) for file in story.captures]
            if watch:
                watch(engine, story)
        index += sum(map(frame_bytes, window))
    finish(engine, part)
    part.captures = [file.info for file in story.captures]
    part.is_cut = story.is_cut
    part.is_restamped = any(file.info.is_restamped for file in story.captures)
    if supply is not None:
        part.facts.secrets += supply.problems()
    return part


def finish(engine: Engine, part: ShardFacts) -> None:
    """No more frames: what the engine says of its shard beside the facts."""
    engine.finish()
    part.followed, part.begun_before, part.early, part.waiting, part.parted, part.is_undecided = (
        engine.followed,
        engine.begun_before,
        engine.early,
        engine.waiting,
        engine.parted,
        engine.is_undecided,
    )
    if engine.openings is not None:
        part.openings = engine.openings.by_capture()


def clocks_apart(
    parts: Sequence[ShardFacts], captures: Sequence[CaptureInfo] | None = None
) -> Mapping[tuple[int, int], tuple[int, int, int]]:
    """Which captures hold copies of the same packets, and by how much their clocks are apart. Where a clock was set
    back that is not one number. ``captures``: as the last part says where they are not given.
    """
    captures = captures if captures is not None else parts[-1].captures
    by_capture: dict[int, list[Opened]] = {}
    for part in parts:
        for capture, opened in part.openings.items():
            if not captures[capture].steps:
                by_capture.setdefault(capture, []).append(opened)
    return apart({capture: together(openings) for capture, openings in by_capture.items()})


def supplied(story: Story, secrets: SecretInputs | None, known: Supply | None = None) -> Supply | None:
    """The secrets that are known by now; None, and nothing is loaded for it, where there are none."""
    if known is None:
        if secrets is None and not any(file.info.secrets for file in story.captures):
            return None
        from inspector.secrets.inputs import Supply

        known = Supply(secrets)
    for file in story.captures:
        known.take(*file.info.take_secrets(), file.info.path)
    return known


def so_far(engine: Engine, story: Story) -> Facts:
    """What is known by now; reading goes on."""
    facts = engine.so_far()
    facts.captures = [capture_facts(file.info, Losses()) for file in story.captures]
    return facts


def frame_bytes(batch: FrameBatch) -> int:
    """What the place in a story moves on by with a batch."""
    return int(batch.captured.sum()) + RECORD_BYTES * len(batch)


def joined(parts: list[ShardFacts], story: Story) -> Facts | None:
    """Parts in the order of their shards as one, the last read to the end of the story; None where one process must
    read it.
    """
    captures = parts[-1].captures
    if captures[0].passed:
        for part in parts[:-1]:
            for info, counted in zip(captures, part.counted, strict=False):  # an empty shard counted nothing
                info.add_passed(counted)
    whole = joined_facts(parts, captures)
    if whole is not None:
        whole.problems = unreadable(story)
    return whole


def unreadable(story: Story) -> list[InputProblem]:
    """The inputs of a story that could not be opened."""
    return [
        InputUnreadable(PathText(path_text(path)), ForeignText(path_text(str(error)))) for path, error in story.problems
    ]


def joined_facts(parts: Sequence[ShardFacts], captures: Sequence[CaptureInfo]) -> Facts | None:
    """As ``joined``. ``captures``: of each what is known of the whole."""
    whole = Facts()
    losses: dict[int, Losses] = {}
    parted: frozenset[Key] = frozenset()
    followed: dict[FlowKey, Moment] = {}
    for part in parts:
        if part.is_undecided and len(parts) > 1:
            return None
        if not drop_pieces(part.facts, part.begun_before, part.early, followed):
            return None
        add_followed(followed, part.followed)
        absorb(whole, part.facts)
        for capture, lost in part.losses.items():
            losses.setdefault(capture, Losses()).absorb(lost)
        for key, fragments in part.waiting.items():
            if key not in parted:  # else the part before had the other fragments, too
                losses.setdefault(fragments.capture, Losses()).fragments([fragments])
        parted = part.parted
    whole.connections = sorted(whole.connections)  # whichever ended first
    whole.captures = [capture_facts(info, losses.get(index, Losses())) for index, info in enumerate(captures)]
    return whole
