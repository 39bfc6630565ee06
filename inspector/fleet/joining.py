"""The stretches of a sequence as one: open flows are followed from each into those behind it, in what these have kept
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.capture.frames import CaptureInfo
from inspector.extract.continuing_engine import ContinuingEngine, taken_up
from inspector.extract.shard import ShardFacts, finish
from inspector.fleet.stretches import INFINITE, CaptureStretch, Followed, FollowTask, StretchFacts
from inspector.wire.continued import Continued, ContinuedBorder, border, combined
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

    def follow(
        self, between: ContinuedBorder | None, stretch: CaptureStretch | None, later: StretchFacts | None
    ) -> None:
        """Through one stretch, and what lies between it and the one before it. ``later``: what it found."""
        continued = later.continued if later is not None else None
        if stretch is not None and continued is not None:
            tail = between.tail if between is not None and not self._is_begun else None
            again = self.engine.sent_again(continued, tail) if continued.is_whole else None
            if again is None or again:
                read = self._follow_by(FollowTask(self._copy(tail), stretch, None if again is None else tuple(again)))
                if read is not None:
                    continued = combined(continued, read.continued, read.behind)
                    between = border(between.tail, continued) if between is not None else None
        if not self._is_begun:
            if between is not None:
                self.engine.follow_tail(between.of_tail)
            self.engine.drain()
            self.engine.forget(self._followed)
            self._is_begun = True
        elif between is not None:
            self.engine.follow_continued(between.of_tail)
        if between is not None:
            self.engine.follow_continued(between.others)
            continued = between.rest
        if continued is not None:
            self.engine.follow_continued(continued)

    def _copy(self, tail: Continued | None) -> bytes:
        """The engine as it is behind a tail."""
        if self._is_begun:
            return self.engine.put_away()
        copy = taken_up(self.engine.put_away())
        if tail is not None:
            copy.follow_tail(tail)
        copy.drain()
        return copy.put_away()


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
