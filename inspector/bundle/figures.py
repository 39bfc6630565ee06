"""Drawings of the report as shapes, for a template to write as SVG: an incident's ladder with a lane for each back end,
and handshakes over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.findings.case import Case
from inspector.findings.into_document.connection import result
from inspector.reports.story import BALANCER, Chapter, Ladder, Rung, lanes
from inspector.text.safe import safe_cell, safe_text
from inspector.text.times import DAY_NS, STEPS, bar_step, span
from inspector.text.zones import TimeZone
from inspector.tracking.observed import Observed

WIDTH = 960
TIME, FRAME = 96, 70
ROW, HEAD = 26, 34
LANE = 190
LETTER = 6.3
"""How wide a letter of the drawing's text is, about."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One rung. Coordinates in the drawing. ``kind``: bad, clear, encrypted or warn."""

    y: int
    start: int
    end: int
    text_at: int
    text: str
    full: str
    time: str
    frame: str
    kind: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text of its own: a chapter's title, or a log line."""

    y: int
    text: str
    kind: str


@dataclass(slots=True)
class LadderDrawing:
    """``lanes``: where each stands and what it is called."""

    width: int
    height: int
    lanes: list[tuple[int, str]]
    arrows: list[Arrow] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


def ladder_drawing(ladder: Ladder, names: dict[str, str], evidence: dict[int, int]) -> LadderDrawing:
    """``names``: what stands over each lane. ``evidence``: frame numbers there, by original reference."""
    order = lanes(ladder)
    left, right = TIME + 20, WIDTH - FRAME - 60
    apart = min(LANE, (right - left) // (len(order) + 1)) if BALANCER not in order else (right - left) // len(order)
    positions = {label: right - apart * (len(order) - 1 - i) for i, label in enumerate(order)}
    drawing = LadderDrawing(
        WIDTH, 0, [(left, "client"), *((x, safe_cell(names.get(label, label), 24)) for label, x in positions.items())]
    )
    y = HEAD + 14
    for chapter in ladder.chapters:
        drawing.words.append(Words(y, safe_text(chapter.title), chapter.role))
        y += ROW
        for rung in chapter.rungs:
            drawing.arrows.append(_arrow(chapter, rung, positions, left, y, evidence))
            y += ROW
        for note in chapter.notes:
            drawing.words.append(Words(y, _fit(safe_text(note, 400), WIDTH - TIME), "log"))
            y += ROW
    drawing.height = y
    return drawing


def _arrow(
    chapter: Chapter, rung: Rung, positions: dict[str, int], left: int, y: int, evidence: dict[int, int]
) -> Arrow:
    near, far = left, positions[chapter.backend]
    if BALANCER in positions:
        near, far = (positions[BALANCER], far) if rung.leg else (left, positions[BALANCER])
    text = safe_text(rung.text)
    kind = "bad" if rung.bad else "warn" if rung.has_alert else rung.visibility
    room = far - near - 12 if BALANCER in positions else WIDTH - FRAME - near - 20
    numbers = [evidence[e.frame] for e in rung.events if e.frame in evidence]
    frame = rung.frame + (f" ({numbers[0]})" if numbers else "")
    start, end = (near, far) if rung.from_client else (far, near)
    return Arrow(
        y=y,
        start=start,
        end=end,
        text_at=near + 10,
        text=_fit(text, room),
        full=text,
        time=rung.offset,
        frame=frame,
        kind=kind,
    )


def _fit(text: str, room: int) -> str:
    most = max(int(room / LETTER), 8)
    return text if len(text) <= most else text[: most - 1] + "…"


BARS = 60
RESULTS = ("aborted", "full", "resumed", "other")


@dataclass(frozen=True, slots=True)
class Bar:
    """What happened in one step of time."""

    label: str
    counts: tuple[int, ...]
    """As in ``RESULTS``."""

    @property
    def total(self) -> int:
        """Connections in this step."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Chart:
    """``step``: how long a bar is, in words. ``blocks``: x, y, width, height and result of what is drawn."""

    step: str
    first: str
    last: str
    most: int
    blocks: list[tuple[float, float, float, float, str, str]]
    line: str
    """The aborts as a line of text."""


TALL, MARGIN = 110, 40
SPARKS = " ▁▂▃▄▅▆▇█"


def chart(case: Case, members: Sequence[Observed], zone: TimeZone) -> Chart | None:
    """Handshakes over time, by what became of them; None where there are none."""
    if not members:
        return None
    low, high = min(s.hello_ns for s in members), max(s.hello_ns for s in members)
    step = bar_step(low, high, BARS, (*STEPS, 7 * DAY_NS))
    count = (high - low) // step + 1
    counts = [[0] * len(RESULTS) for _ in range(count)]
    for observed in members:
        counts[(observed.hello_ns - low) // step][RESULTS.index(result(observed))] += 1
    labels = [zone.moment(low + i * step) for i in range(count)]
    bars = [Bar(label, tuple(numbers)) for label, numbers in zip(labels, counts, strict=True)]
    most = max(bar.total for bar in bars)
    wide = (WIDTH - MARGIN) / count
    blocks = []
    for i, bar in enumerate(bars):
        y = float(TALL)
        for number, name in zip(bar.counts, RESULTS, strict=True):
            if number:
                tall = number / most * TALL
                y -= tall
                blocks.append(
                    (
                        round(MARGIN + i * wide, 1),
                        round(y, 1),
                        round(max(wide - 1, 1), 1),
                        round(tall, 1),
                        name,
                        f"{bar.label}: {number} {name}",
                    )
                )
    peak = max((bar.counts[0] for bar in bars), default=0)
    line = "".join(SPARKS[-(-bar.counts[0] * 8 // peak)] if peak else " " for bar in bars)
    return Chart(span(step).replace(".0 ", " "), labels[0], zone.moment(high), most, blocks, line)
