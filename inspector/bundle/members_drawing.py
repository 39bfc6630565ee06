"""Each back end over time as shapes, for a template to write as SVG: how many handshakes in each step, how many of them
failed, and from when on it shows another value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.bundle.figures import BARS, WIDTH
from inspector.findings.case import Case
from inspector.text.times import DAY_NS, STEPS, bar_step, span
from inspector.text.zones import TimeZone
from inspector.tracking.observed import Observed

NAMES, ROW, TALLEST = 190, 30, 22
"""Room for names, height of a line, of its highest block."""


@dataclass(frozen=True, slots=True)
class MemberBlock:
    """One step of one back end. ``kind``: ``aborted`` or ``full``, as the chart has them."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class MemberMark:
    """Where a back end changed: from ``y`` on, ``height`` high."""

    x: float
    y: float
    height: float
    title: str


@dataclass(slots=True)
class MembersDrawing:
    """``names``: where each stands. ``changes``: the changes as lines of text."""

    height: int
    step: str
    first: str
    last: str
    names: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[MemberBlock] = field(default_factory=list)
    marks: list[MemberMark] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def members_drawing(
    case: Case,
    members: Sequence[Observed],
    names: Sequence[tuple[str, str]],
    changes: Mapping[str, Sequence[tuple[int, str]]],
    zone: TimeZone,
    lost: Collection[int] = (),
) -> MembersDrawing | None:
    """Of one service. ``names``: id and name of each back end that is shown, in order; ``changes``: when (ns) each
    began to show what; ``lost``: connections, by index, that failed after their handshake. None where fewer than two
    lines would stand there.
    """
    lines: list[tuple[str, str]] = [*names]
    if any(observed.backend < 0 for observed in members):
        lines.append(("", "back end not visible"))
    if len(lines) < 2 or not names:
        return None
    low, high = min(o.hello_ns for o in members), max(o.hello_ns for o in members)
    step = bar_step(low, high, BARS, (*STEPS, 7 * DAY_NS))
    wide = (WIDTH - NAMES) / ((high - low) // step + 1)
    counts: dict[str, dict[int, list[int]]] = {id_: {} for id_, _ in lines}
    for observed in members:
        id_ = case.backends[observed.backend].id if observed.backend >= 0 else ""
        if id_ in counts:
            pair = counts[id_].setdefault((observed.hello_ns - low) // step, [0, 0])
            pair[0] += 1
            pair[1] += observed.outcome == "aborted" or observed.index in lost
    most = max(count for of_member in counts.values() for count, _ in of_member.values())
    drawing = MembersDrawing(
        height=ROW * len(lines) + 20,
        step=span(step).replace(".0 ", " "),
        first=zone.moment(low),
        last=zone.moment(high),
    )
    for number, (id_, name) in enumerate(lines):
        bottom = ROW * (number + 1)
        drawing.names.append((bottom, name))
        for index, (count, failed) in counts[id_].items():
            title = f"{name}, {zone.clock(low + index * step)}: {failed} of {count} failed"
            y = float(bottom)
            for part, kind in ((failed, "aborted"), (count - failed, "full")):
                if part:
                    tall = max(part / most * TALLEST, 2)
                    y -= tall
                    x = round(NAMES + index * wide, 1)
                    block = MemberBlock(x, round(y, 1), round(max(wide - 1, 1), 1), round(tall, 1), kind, title)
                    drawing.blocks.append(block)
        for at, text in changes.get(id_, ()):
            x = round(NAMES + min(max(at - low, 0), high - low) / step * wide, 1)
            drawing.marks.append(MemberMark(x, bottom - ROW + 4, ROW - 4, f"{name}, since {zone.clock(at)}: {text}"))
            drawing.changes.append(f"{name} since {zone.moment(at)}: {text}")
    return drawing
