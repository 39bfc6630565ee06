"""The stretches of a sequence as one: what the flows of each go on with is followed through those behind it, in what
these have handed over.

An engine takes what is of its open flows out of what a stretch has handed over; what nobody took is the affair of the
one right before that stretch, for nobody else knew of these flows. So each segment is followed by one engine: by that
of its stretch where its flow began there with a SYN, else by one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy

from msgspec import Struct

from inspector.capture.frames import CaptureInfo
from inspector.extract.borders import add_followed
from inspector.extract.continuing_engine import ContinuingEngine
from inspector.extract.put_away import put_away, taken_up
from inspector.extract.shard import ShardFacts, finish
from inspector.fleet.stretches import INFINITE, CaptureStretch, Followed, FollowTask, StretchFacts
from inspector.wire.addresses import Ends, Key
from inspector.wire.continued import Continued, ContinuedBorder, border, combined
from inspector.wire.flow import FlowKey, Moment

FollowBy = Callable[[FollowTask], Followed | None]
"""Has a task done; None where it could not be."""


class _Passage(Struct):
    """From one stretch into the next. ``tail``: the last frames of the one; ``continued``: what the other has handed
    over; of both what nobody has taken yet. ``stretch``: the other one.
    """

    tail: Continued | None
    continued: Continued | None
    stretch: CaptureStretch | None


def shards(
    stretches: Sequence[CaptureStretch], results: Sequence[StretchFacts | None], follow_by: FollowBy
) -> list[ShardFacts]:
    """What each stretch has found, its flows followed to their ends; None in ``results`` for what was not extracted."""
    parts: list[ShardFacts] = []
    followed: dict[FlowKey, Moment] = {}
    passages = [
        _Passage(result.tail if result is not None else None, later.continued if later is not None else None, stretch)
        for result, later, stretch in zip(results, [*results[1:], None], [*stretches[1:], None], strict=True)
    ]
    if results and results[0] is None:  # what the first that was read has handed over begins there
        parts.append(_finished(_followed(ContinuingEngine(), passages, results[1:], follow_by)))
    for index, result in enumerate(results):
        if result is None:
            continue
        engine = taken_up(result.engine)
        engine.forget(followed)
        part = _finished(_followed(engine, passages[index:], results[index + 1 :], follow_by))
        part.counted, part.captures = result.counted, result.captures
        part.is_restamped = any(info.is_restamped for info in result.captures)
        parts.append(part)
        add_followed(followed, part.followed)
    return parts


def _finished(engine: ContinuingEngine) -> ShardFacts:
    part = ShardFacts(engine.facts, engine.losses)
    finish(engine, part)
    return part


def _followed(
    engine: ContinuingEngine,
    passages: Sequence[_Passage],
    results: Sequence[StretchFacts | None],
    follow_by: FollowBy,
) -> ContinuingEngine:
    """An engine behind all that follows it. ``results``: what the stretches behind it have found."""
    takes_all = True
    for passage, later in zip(passages, [*results, None], strict=True):
        if not takes_all and engine.is_empty:
            break
        engine = _passed(engine, passage, follow_by, takes_all=takes_all)
        takes_all &= later is None
    return engine


def _passed(engine: ContinuingEngine, passage: _Passage, follow_by: FollowBy, *, takes_all: bool) -> ContinuingEngine:
    """An engine behind the next stretch. ``takes_all``: it follows also what nobody knows."""
    tail, continued = passage.tail, passage.continued
    if takes_all:
        passage.tail = passage.continued = None
    else:
        tail = engine.open_part(tail) if tail is not None else None
        continued = engine.open_part(continued) if continued is not None else None
    withheld = engine.withheld_from(continued, tail) if continued is not None else []
    if continued is None or passage.stretch is None or not withheld:
        _follow_both(engine, tail, continued, ())
        return engine
    before = put_away(engine)
    _follow_both(engine, tail, continued, withheld)
    flows: frozenset[Ends] = frozenset()
    while missed := engine.missed:  # once more with what was missing
        engine = taken_up(before)
        flows |= missed
        handed = engine.references(continued, flows)
        read = follow_by(FollowTask(_behind(engine, tail), passage.stretch, tuple(sorted(flows)), handed))
        if read is None:
            break
        unread = {*withheld} - {*engine.keys(flows)}
        _follow_both(engine, tail, combined(continued, read.continued, read.behind), unread)
    return engine


def _follow_both(
    engine: ContinuingEngine, tail: Continued | None, continued: Continued | None, unread: Iterable[Key]
) -> None:
    """Follow the end of one stretch and what the next one handed over. ``unread``: of which flows there is more."""
    if continued is not None:
        engine.expect(continued, unread)
    between = border(tail, continued) if tail is not None else None
    if between is not None:
        engine.follow_tail(between.of_tail)
        engine.follow_continued(between.others)
        continued = between.rest
    if continued is not None:
        engine.follow_continued(continued)


def _behind(engine: ContinuingEngine, tail: Continued | None) -> bytes:
    """An engine as it is behind a tail, put away."""
    if tail is None:
        return put_away(engine)
    copy = taken_up(put_away(engine))
    copy.follow_tail(tail)
    return put_away(copy)


def border_between(result: StretchFacts, later: StretchFacts | None) -> ContinuedBorder | None:
    """Where a stretch ends behind the beginning of the next; None where it does not."""
    return border(result.tail, later.continued if later is not None else None) if result.tail is not None else None


def captures(
    paths: Sequence[str], stretches: Sequence[CaptureStretch], results: Sequence[StretchFacts | None]
) -> list[CaptureInfo]:
    """What is known of each file of a sequence; of one that was not extracted its name alone. None of what the results
    hold.
    """
    infos: dict[int, CaptureInfo] = {}
    for stretch, result in zip(stretches, results, strict=True):
        if result is None:
            continue
        ends_early = bool(result.counted) and stretch.end < INFINITE
        counted = deepcopy(result.counted if ends_early else result.captures)
        for index, info in enumerate(counted, stretch.first_capture):
            if info.passed and index in infos:
                info.add_passed(infos[index])
            infos[index] = info
    return [infos.get(index, CaptureInfo(path)) for index, path in enumerate(paths)]
