"""ClientHellos that some server answers late, where no certificate says which server that is.

Times of a pool whose members are alike spread around one value. With one slow member they lie in two heaps: those of
the others, and those that waited as long as that member keeps everybody waiting. Only heaps that lie well apart, the
later one close together and no small part of all, and that take turns, tell of a member: a pool that stalls for a while
is slow in one stretch, and losses are rare. Each client's own way is taken off first. It remains an inference: what now
and then keeps a single server looks the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from inspector.pool.rates import FEWEST, middle
from inspector.pool.waits import LONGER_BY_NS, TIMES_AS_LONG, waits_of
from inspector.tracking.observed import Observed

MOST_LOOKED_AT = 600
"""Connections that are looked at: those of the smallest ids, which are as good as random."""

LEAST_SHARE = 0.15
"""Fewer late ones than that may have lost frames, all of which are sent again after the same time, or a server may have
stopped for a moment.
"""

CLOSE_TOGETHER, MOST = 1.5, 0.9
"""So near to their median, so many times as long at most, are most of the late answers; and most others far from it."""


class SlowAnswers(NamedTuple):
    """Medians of those that are answered late, and of the others, in ns. ``late``: in the order of their ClientHellos;
    ``measured``: all that were looked at.
    """

    median_ns: int
    others_ns: int
    late: tuple[Observed, ...]
    measured: int

    @property
    def slowest(self) -> Observed:
        """The one that waited longest."""
        return max(self.late, key=_wait)


Timed = list[tuple[Observed, int]]
"""Connections, and how long each waited in ns."""


def slow_answers(members: Iterable[Observed]) -> SlowAnswers | None:
    """Of full handshakes of one service, answered by nobody who is known; None where times do not tell two heaps."""
    full = (observed for observed in members if observed.kind == "full" and observed.answer is not None)
    some = heapq.nsmallest(MOST_LOOKED_AT, full, key=lambda observed: observed.id)
    candidates = sorted(some, key=lambda observed: observed.index)
    timed = [(observed, wait) for observed in candidates if (wait := _wait(observed)) >= 0]
    if len(timed) < 2 * FEWEST:
        return None
    usual: dict[int, int] = {}
    for observed, wait in timed:
        usual[observed.client] = min(wait, usual.get(observed.client, wait))
    waits = sorted(wait - usual[observed.client] for observed, wait in timed)
    for sooner, border in pairwise(waits):
        if border - sooner >= LONGER_BY_NS:
            late = [pair for pair in timed if pair[1] - usual[pair[0].client] >= border]
            early = [pair for pair in timed if pair[1] - usual[pair[0].client] < border]
            if _are_two_heaps(late, early) and _take_turns(late, early):
                ours, theirs = _usual(late), _usual(early)
                return SlowAnswers(ours, theirs, tuple(observed for observed, _ in late), len(timed))
    return None


def _wait(observed: Observed) -> int:
    """How long its ClientHello waited for an answer, in ns; -1 where that is not known."""
    return next((ns for wait, ns in waits_of(observed) if wait == "answer"), -1)


def _usual(timed: Timed) -> int:
    return int(middle(wait for _, wait in timed))


def _are_two_heaps(late: Timed, early: Timed) -> bool:
    """Whether both are enough, the late ones close together, and far from the others."""
    if len(early) < FEWEST or len(late) < max(FEWEST, LEAST_SHARE * (len(late) + len(early))):
        return False
    ours = _usual(late)
    near = sum(ours / CLOSE_TOGETHER <= wait <= ours * CLOSE_TOGETHER for _, wait in late)
    far = sum(ours >= max(TIMES_AS_LONG * wait, wait + LONGER_BY_NS) for _, wait in early)
    return near >= MOST * len(late) and far >= MOST * len(early)


def _take_turns(late: Timed, early: Timed) -> bool:
    """Whether others were answered at once between the late ones, at least half as often as all through."""
    moments = [observed.hello_ns for observed, _ in late]
    all_through = [observed.hello_ns for observed, _ in early] + moments
    first, last = min(moments), max(moments)
    within = sum(first <= observed.hello_ns <= last for observed, _ in early)
    stretch = (last - first) / (max(all_through) - min(all_through) or 1)
    return within >= max(FEWEST, len(early) * stretch / 2)
