"""The stretches of a sequence as one: open flows are followed from each into those behind it, in what these have kept
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.capture.frames import CaptureInfo
from inspector.extract.continuing_engine import ContinuingEngine, taken_up
from inspector.extract.shard import ShardFacts, finish
from inspector.fleet.stretches import INFINITE, CaptureStretch, Followed, FollowTask, StretchFacts
from inspector.wire.continued import ContinuedBorder, border
from inspector.wire.flow import FlowKey

FollowBy = Callable[[FollowTask], Followed | None]
"""Has a task done; None where it could not be."""


def shards(
    stretches: Sequence[CaptureStretch], results: Sequence[StretchFacts | None], follow_by: FollowBy
) -> list[ShardFacts]:
    """What each stretch has found, its flows followed to their ends; None in ``results`` for what was not extracted."""
    parts: list[ShardFacts] = []
    followed: dict[FlowKey, int] = {}
    borders = [
        border_between(result, later) if result is not None else None
        for result, later in zip(results, [*results[1:], None], strict=True)
    ]
    for index, result in enumerate(results):
        if result is None:
            continue
        flows = _OpenFlows(taken_up(result.engine), followed, follow_by)
        for position in range(index, len(results)):
            following = stretches[position + 1] if position + 1 < len(stretches) else None
            later = results[position + 1] if following is not None else None
            flows.follow(borders[position], following, later)
            if flows.engine.is_empty:
                break
        engine = flows.engine
        part = ShardFacts(engine.facts, engine.losses, counted=result.counted, captures=result.captures)
        part.is_restamped = any(info.is_restamped for info in result.captures)
        finish(engine, part)
        parts.append(part)
        followed.update(part.followed)
    return parts


def border_between(result: StretchFacts, later: StretchFacts | None) -> ContinuedBorder | None:
    """Where a stretch ends behind the beginning of the next; None where it does not."""
    return border(result.tail, later.continued if later is not None else None) if result.tail is not None else None


class _OpenFlows:
    """Those of one stretch, on their way through those behind it."""

    def __init__(self, engine: ContinuingEngine, followed: dict[FlowKey, int], follow_by: FollowBy) -> None:
        """``followed``: the flows of earlier stretches, which need not be followed again."""
        self.engine = engine
        self._followed = followed
        self._follow_by = follow_by
        self._is_begun = False
        self._behind = 0
        """The reference of the last frame that was read for them."""

    def follow(
        self, between: ContinuedBorder | None, stretch: CaptureStretch | None, later: StretchFacts | None
    ) -> None:
        """Through one stretch, and what lies between it and the one before it. ``later``: what was found there."""
        continued = later.continued if later is not None else None
        if stretch is None or continued is None:
            self._cross(between)
            return
        tail = between.tail if between is not None and not self._is_begun else None
        again = self.engine.sent_again(continued, tail) if continued.is_whole else None
        if again is None or again:
            self._cross(border(between.tail, None) if between is not None else None)
            self._read(stretch, None if again is None else again)
        else:
            self._cross(between)
            if between is not None and between.rest is not None:
                continued = between.rest
        self.engine.follow_continued(continued, self._behind)

    def _read(self, stretch: CaptureStretch, flows: Sequence[tuple[int, int]] | None) -> None:
        """Have the stretch read, as far as it takes."""
        read = self._follow_by(FollowTask(self.engine.put_away(), stretch, None if flows is None else tuple(flows)))
        if read is not None:
            self.engine, self._behind = taken_up(read.engine), read.behind

    def _cross(self, between: ContinuedBorder | None) -> None:
        if not self._is_begun:
            if between is not None:
                self.engine.follow_tail(between.of_tail)
            self.engine.drain()
            self.engine.forget(self._followed)
            self._is_begun = True
        elif between is not None:
            self.engine.follow_continued(between.of_tail, self._behind)
        if between is not None:
            self.engine.follow_continued(between.others, self._behind)


def captures(
    paths: Sequence[str], stretches: Sequence[CaptureStretch], results: Sequence[StretchFacts | None]
) -> list[CaptureInfo]:
    """What is known of each file of a sequence; of one that was not extracted its name alone."""
    infos: dict[int, CaptureInfo] = {}
    for stretch, result in zip(stretches, results, strict=True):
        if result is None:
            continue
        ends_early = bool(result.counted) and stretch.end < INFINITE
        for index, info in enumerate(result.counted if ends_early else result.captures, stretch.first_capture):
            if info.passed and index in infos:
                info.add_passed(infos[index])
            infos[index] = info
    return [infos.get(index, CaptureInfo(path)) for index, path in enumerate(paths)]
