"""Each back end of a service as a line over the time of the capture: how many handshakes, where some failed, and from
when on it shows another value of an attribute. Pure functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.reports.lines import Kind, Line, merged, uniform, wrap
from inspector.text.cells import cell_count, cut, left_aligned, right_aligned
from inspector.text.times import bar_step
from inspector.text.zones import TimeZone
from inspector.tui.chart import spoken
from inspector.tui.uncaptured import GLYPH, KIND, WORDS, Stretch, unknown_bars

FAILED_ALL, FAILED_SOME, CHANGED = "✖", "×", "▲"
LEVELS = "░▒▓█"
"""Few handshakes to many, of the most that any back end has in one step."""

ABORTED, COUNTED = 2, 4
"""Place in ``columns.RESULTS`` of an abort; how many indexes there are."""

NARROWEST_NAME, FEWEST_STEPS = 18, 8


class TimedMember(NamedTuple):
    """A line. ``backend``: its index in the case, -1 for connections whose back end is not visible. ``changes``:
    when it began to show another value (ns), and which.
    """

    backend: int
    name: str
    changes: Sequence[tuple[int, str]] = ()


class MemberTimes(NamedTuple):
    """Of some connections: when (ns), what became of each (place in ``columns.RESULTS``), at which back end, and
    which it is, by index.
    """

    time_ns: npt.NDArray[np.int64]
    result: npt.NDArray[np.uint8]
    backend: npt.NDArray[np.int32]
    connection: npt.NDArray[np.int64]


def timeline(
    times: MemberTimes,
    members: Sequence[TimedMember],
    width: int,
    zone: TimeZone,
    lost: Collection[int] = (),
    unknown: Sequence[Stretch] = (),
) -> list[Line]:
    """A title, a line for each back end, one below for each change, an axis and a legend; of at most ``width`` columns.
    Empty where there are no connections. ``lost``: connections, by index, that failed after their handshake.
    ``unknown``: when nobody saw what went on.
    """
    counted = times.result < COUNTED
    time_ns, result, backend = times.time_ns[counted], times.result[counted], times.backend[counted]
    if not len(time_ns):
        return []
    is_failed = (result == ABORTED) | np.isin(times.connection[counted], list(lost))
    low, high = int(time_ns.min()), int(time_ns.max())
    name_width = min(max(cell_count(member.name) for member in members), max(width // 4, NARROWEST_NAME))
    margin = name_width + 2
    most_steps = max(width - margin, FEWEST_STEPS)
    step = bar_step(low, high, most_steps)
    steps = min(most_steps, (high - low) // step + 1)
    indexes = np.minimum((time_ns - low) // step, steps - 1)
    counts: Mapping[int, npt.NDArray[np.int64]] = {
        m.backend: np.bincount(indexes[backend == m.backend], minlength=steps) for m in members
    }
    most = max(max(int(count.max()) for count in counts.values()), 1)
    is_unknown = unknown_bars(unknown, low, step, steps)
    lines: list[Line] = [[(f"BACK ENDS PER {spoken(step)}", "head")]]
    for member in members:
        count = counts[member.backend]
        failed = np.bincount(indexes[(backend == member.backend) & is_failed], minlength=steps)
        cells = [_cell(int(n), int(f), most, bool(u)) for n, f, u in zip(count, failed, is_unknown, strict=True)]
        lines.append([(left_aligned(cut(member.name, name_width), margin), ""), *merged(cells)])
        for at, text in member.changes:
            lines += _change(min(max((at - low) // step, 0), steps - 1), f"{zone.clock(at)} {text}", margin, width)
    first, last = zone.clock(low, 0), zone.clock(high, 0)
    between = steps - len(first) - len(last)
    lines.append([(" " * margin + (first + " " * between + last if between > 0 else first), "dim")])
    lines.append(_legend(any(member.changes for member in members), bool(is_failed.any()), bool(is_unknown.any())))
    return lines


def _cell(count: int, failed: int, most: int, is_unknown: bool) -> tuple[str, Kind]:
    if failed:
        return (FAILED_ALL, "bad") if failed == count else (FAILED_SOME, "warn")
    if count:
        return LEVELS[-(-count * len(LEVELS) // most) - 1], "good"
    return (GLYPH, KIND) if is_unknown else (" ", "")


def _change(step: int, text: str, margin: int, width: int) -> list[Line]:
    """A mark below its step, and what changed to its right, or to its left where that has more room."""
    at, room = margin + step, width - margin - step - 2
    if room >= cell_count(text) or room >= at - 1:
        mark, *rest = wrap(f"{CHANGED} {text}", "", "  ", max(room + 2, NARROWEST_NAME))
        return uniform((" " * at + line for line in [mark, *rest]), "warn")
    return [[(right_aligned(f"{cut(text, at - 1)} {CHANGED}", at + 1), "warn")]]


def _legend(has_changes: bool, has_failures: bool, has_unknown: bool) -> Line:
    legend: Line = [(LEVELS, "good"), (" handshakes, few to many  ", "")]
    if has_failures:
        legend += [(FAILED_ALL, "bad"), (" all failed  ", ""), (FAILED_SOME, "warn"), (" some failed  ", "")]
    if has_changes:
        legend += [(CHANGED, "warn"), (" changed", "")]
    if has_unknown:
        legend.append((f"{'  ' if has_changes else ''}{GLYPH} {WORDS}", KIND))
    return legend
