"""Handshakes over time, stacked by outcome, incidents marked. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inspector.reports.lines import Kind, Line, merged
from inspector.text.cells import cut
from inspector.text.times import SECOND_NS, bar_step, span
from inspector.text.zones import TimeZone
from inspector.tui.uncaptured import GLYPH, KIND, WORDS, Stretch, unknown_bars

STACK: tuple[tuple[int, str, str, Kind], ...] = (
    (2, "█", "aborted", "bad"),
    (0, "▓", "full", ""),
    (1, "▒", "resumed", "good"),
    (3, "░", "other", "dim"),
)
"""Place in ``columns.RESULTS``, glyph, word, kind; what matters most stands at the bottom."""

MARGIN = 8
BEFORE = 2
"""Columns that stand for what was forgotten, however long it was."""


def chart(
    time_ns: npt.NDArray[np.int64],
    result: npt.NDArray[np.uint8],
    incidents: list[int],
    width: int,
    height: int,
    zone: TimeZone,
    unknown: Sequence[Stretch] = (),
    *,
    is_forgotten: bool = False,
) -> list[Line]:
    """``height`` lines of at most ``width`` columns: a title, bars, an axis, a legend. ``incidents``: nanoseconds.
    ``unknown``: when nobody saw what went on. ``is_forgotten``: what was before the first one.
    """
    counted = result < 4
    times, results = time_ns[counted], result[counted]
    if not len(times):
        return [[("HANDSHAKES OVER TIME", "head")], [("  none", "")]]
    low, high = int(times.min()), int(times.max())
    before = BEFORE if is_forgotten else 0
    bars = max(min(width - MARGIN - 1, 120) - before, 8)
    rows = max(height - 4, 2)
    step = bar_step(low, high, bars)
    bars = min(bars, (high - low) // step + 1)
    bins = ((times - low) // step).astype(np.int64)
    counts = {state_code: np.bincount(bins[results == state_code], minlength=bars)[:bars] for state_code, *_ in STACK}
    most = max(int(np.sum(list(counts.values()), axis=0).max()), 1)
    heights = [_stacked([int(counts[state_code][bar]) for state_code, *_ in STACK], most, rows) for bar in range(bars)]
    is_unknown = unknown_bars(unknown, low, step, bars)
    lines: list[Line] = [[(f"HANDSHAKES PER {spoken(step)}", "head")]]
    for row in range(rows - 1, -1, -1):
        label = (
            f"{most:>{MARGIN - 2}} " if row == rows - 1 else f"{0:>{MARGIN - 2}} " if row == 0 else " " * (MARGIN - 1)
        )
        lines.append(
            [
                (label + "│", "dim"),
                (GLYPH * before, KIND),
                *merged([_cell(heights[bar], row, bool(is_unknown[bar])) for bar in range(bars)]),
            ]
        )
    marked = {min((ns - low) // step, bars - 1) for ns in incidents if low <= ns <= high}
    lines.append(
        [
            (" " * MARGIN, ""),
            (GLYPH * before, KIND),
            ("".join("✖" if bar in marked else "─" for bar in range(bars)), "bad" if marked else "dim"),
        ]
    )
    first, last = zone.clock(low, 0), zone.clock(high, 0)
    ends = first + " " * max(bars - len(first) - len(last), 1) + last
    room = width - MARGIN - before
    lines.append([(" " * (MARGIN + before) + (ends if len(ends) <= room else cut(first, room)), "dim")])
    lines.append(
        [
            (" " * MARGIN, ""),
            *((f"{glyph} {word}  ", kind) for state_code, glyph, word, kind in STACK if counts[state_code].any()),
            (f"{GLYPH} {WORDS}" if before or is_unknown.any() else "", KIND),
        ]
    )
    return lines


def spoken(step: int) -> str:
    """How long a bar is, in words."""
    return (
        "SECOND"
        if step == SECOND_NS
        else "MINUTE"
        if step == 60 * SECOND_NS
        else "HOUR"
        if step == 3600 * SECOND_NS
        else span(step).replace(".0 ", " ")
    )


def _stacked(parts: list[int], most: int, rows: int) -> list[int]:
    """Which part of ``STACK`` stands in each cell of a bar, from the bottom. What is there has a cell where there is
    room, however small.
    """
    total = sum(parts)
    if not total:
        return []
    cells = max(round(total * rows / most), 1)
    present = [i for i, part in enumerate(parts) if part][:cells]
    shares = dict.fromkeys(present, 1)
    while sum(shares.values()) < cells:
        neediest = max(present, key=lambda i: parts[i] / total * cells - shares[i])
        shares[neediest] += 1
    return [i for i in present for _ in range(shares[i])]


def _cell(stack: list[int], row: int, is_unknown: bool) -> tuple[str, Kind]:
    """What stands in a row of a bar."""
    if row < len(stack):
        return STACK[stack[row]][1], STACK[stack[row]][3]
    return (GLYPH, KIND) if is_unknown else (" ", "")
