"""The balancer's own log joined with the wire, by the client's address and port and the time: ports repeat within
seconds.

Of one client address and port only one connection is open at a time, and HAProxy writes its line when it is over: lines
and connections of one client port stand in the same order. So they are paired in that order, each within the time that
clocks and the log's resolution leave open. A pair is taken where pairing from the first and from the last come to the
same; what cannot be told apart is left, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from inspector.logs.entries import LogFacts, Proxied
from inspector.tracking.clock_steps import LogClock, clock_of
from inspector.tracking.log_clocks import Offset, early
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text

EARLY_NS, LATE_NS = 2_000_000, 50_000_000
"""When a connection's line says that it was accepted, against its SYN: milliseconds are cut off, and a busy balancer is
late.
"""

APART_NS = 500_000_000
"""A line and a SYN further apart than this are of two connections."""

Reason = Literal["ambiguous", "no_connection", "outside", "clock_unknown", "other_client", "unreadable_time"]
"""Why a line was joined with no connection."""


class BalancerChoice(NamedTuple):
    """What the balancer wrote of a connection. ``log``: the index of its file."""

    log: int
    entry: Proxied


class Balanced(NamedTuple):
    """``chosen``: by the index of a connection. ``clocks``: by the index of a log; only logs that fit are in it.
    ``unjoined``: by the index of a log, lines by the reason.
    """

    chosen: dict[int, BalancerChoice]
    clocks: dict[int, LogClock]
    unjoined: dict[int, Counter[Reason]]

    def offset(self, log: int) -> Offset | None:
        """The offset of a log's clock, where it begins with that; None where it is not known."""
        clock = self.clocks.get(log)
        return (clock.segments[0].offset if clock.segments else clock.offsets[0]) if clock is not None else None


Key = tuple[str, int]


class Start(NamedTuple):
    """A moment of a connection that a line may name, and the connection's index."""

    ns: int
    connection: int


def balanced(observed: Sequence[Observed], logs: Sequence[LogFacts]) -> Balanced:
    """Which server each connection was sent to, as far as a log says so."""
    result = Balanced({}, {}, {})
    if not any(log.proxied or log.others or log.untimed for log in logs):
        return result
    from inspector.logs.formats import gives_connections  # there are logs, so the readers are loaded

    starts: dict[Key, list[Start]] = {}
    for member in observed:
        for end in {leg.client for leg in (member.client_leg, *member.legs)}:
            starts.setdefault((ip_text(end.address), end.port), []).append(Start(member.first_ns, member.index))
    for index, log in enumerate(logs):
        if not (log.proxied or gives_connections(log)):
            continue
        reasons = result.unjoined.setdefault(index, Counter())
        reasons.update(other_client=log.others, unreadable_time=log.untimed)
        for has_zone, is_end in ((True, False), (False, False), (True, True), (False, True)):
            entries = [entry for entry in log.proxied if entry.has_zone == has_zone and entry.is_end == is_end]
            if entries:
                _join(result, index, entries, _ends(observed, starts) if is_end else starts)
    return result


def _ends(observed: Sequence[Observed], starts: dict[Key, list[Start]]) -> dict[Key, list[Start]]:
    """When each connection ended."""
    last_ns = {member.index: member.client_leg.last_ns for member in observed}
    return {
        key: [Start(last_ns[start.connection], start.connection) for start in flow_starts]
        for key, flow_starts in starts.items()
    }


def _join(result: Balanced, index: int, entries: list[Proxied], starts: dict[Key, list[Start]]) -> None:
    """Lines of one log whose times mean the same."""
    reasons = result.unjoined[index]
    ours = [entry for entry in entries if (entry.client, entry.port) in starts]
    reasons["other_client"] += len(entries) - len(ours)
    if not ours:
        return
    resolution_ns = max(entry.resolution_ns for entry in ours)
    wire = {key: sorted(start.ns for start in flow_starts) for key, flow_starts in starts.items()}
    clock = clock_of(
        [(entry.ns, (entry.client, entry.port)) for entry in ours],
        wire,
        EARLY_NS,
        LATE_NS,
        ours[0].has_zone,
        resolution_ns,
    )
    if not clock.segments and len(clock.offsets) != 1:
        reasons["clock_unknown"] += len(ours)
        return
    result.clocks.setdefault(index, clock)
    by_key: dict[Key, list[BalancerLine]] = {}
    for number, entry in enumerate(ours):
        [offset] = clock.at(number)
        by_key.setdefault((entry.client, entry.port), []).append(BalancerLine(entry, offset))
    first, last = min(ns[0] for ns in wire.values()), max(ns[-1] for ns in wire.values())
    others = dict.fromkeys(segment.offset for segment in clock.segments)
    for key, lines in by_key.items():
        lines.sort(key=lambda line: line.entry.ns - line.offset.ns)
        free = sorted(start for start in starts[key] if start.connection not in result.chosen)
        tight_ns, wide_ns = early(EARLY_NS, resolution_ns), early(max(APART_NS, EARLY_NS), resolution_ns)
        ways = [(tight_ns, LATE_NS, None), *((tight_ns, LATE_NS, other) for other in others), (wide_ns, APART_NS, None)]
        for (
            before_ns,
            after_ns,
            other,
        ) in ways:  # a connection that was open when the clock was set was accepted by the clock before
            tried = lines if other is None else [line._replace(offset=other) for line in lines]
            pairs, left, free, doubtful = _in_order(tried, free, before_ns, after_ns)
            result.chosen.update((start.connection, BalancerChoice(index, line.entry)) for line, start in pairs)
            reasons["ambiguous"] += doubtful
            kept = {line.entry.line for line in left}
            lines = [line for line in lines if line.entry.line in kept]
        for line in lines:
            at = line.entry.ns - line.offset.ns
            reasons["no_connection" if first - wide_ns <= at <= last + wide_ns else "outside"] += 1


class BalancerLine(NamedTuple):
    """A line, and the offset of its clock."""

    entry: Proxied
    offset: Offset


Paired = tuple[list[tuple[BalancerLine, Start]], list[BalancerLine], list[Start], int]


def _in_order(lines: list[BalancerLine], starts: list[Start], early_ns: int, late_ns: int) -> Paired:
    """Lines and connections of one client port, in order: the pairs, what is left of both, and how many lines could be
    of several connections.
    """
    windows = [line.offset.window(line.entry.ns, early_ns, late_ns) for line in lines]
    forward = _matched([(low, high) for low, high in windows], [start.ns for start in starts])
    mirrored = _matched([(-high, -low) for low, high in reversed(windows)], [-start.ns for start in reversed(starts)])
    backward = {len(lines) - 1 - i: len(starts) - 1 - j for i, j in mirrored.items()}
    pairs = [(lines[i], starts[j]) for i, j in forward.items() if backward.get(i) == j]
    doubtful = {i for i in forward.keys() | backward.keys() if forward.get(i) != backward.get(i)}
    claimed = {j for i in doubtful for j in (forward.get(i), backward.get(i)) if j is not None}
    used = {start for _, start in pairs}
    rest = [line for i, line in enumerate(lines) if i not in forward and i not in backward]
    return (
        pairs,
        rest,
        [start for j, start in enumerate(starts) if start not in used and j not in claimed],
        len(doubtful),
    )


def _matched(windows: list[tuple[int, int]], moments: list[int]) -> dict[int, int]:
    """As many pairs of windows and the moments in them as there can be without crossing, each as early as it can be."""
    matches: dict[int, int] = {}
    i = j = 0
    while i < len(windows) and j < len(moments):
        low, high = windows[i]
        if moments[j] < low:
            j += 1
        elif moments[j] > high:
            i += 1
        else:
            matches[i] = j
            i += 1
            j += 1
    return matches
