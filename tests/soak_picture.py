"""The hours of a soak test, drawn: a strip for each thing that may not grow, all over the same days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

WIDTH, LEFT, RIGHT, STRIP, TOP = 880, 150, 90, 74, 46
PLOT = WIDTH - LEFT - RIGHT
INK, QUIET, LINE = "#1f2933", "#8795a1", "#2368a2"
MIB = 1 << 20


class Strip(NamedTuple):
    """``unit``: one of the numbers' units in what is drawn, which is called ``called``."""

    field: str
    text: str
    unit: int
    called: str


STRIPS = (
    Strip("rss", "memory", MIB, "MiB"),
    Strip("journal", "journal", MIB, "MiB"),
    Strip("kept", "other files", MIB, "MiB"),
    Strip("files", "open files", 1, ""),
    Strip("threads", "threads", 1, ""),
)


class Hour(Protocol):
    """What is drawn of."""

    @property
    def hour(self) -> int: ...


def drawn(samples: Sequence[Hour], title: str) -> str:
    """As SVG. ``samples``: with the fields of ``STRIPS``, at least two."""
    height = TOP + STRIP * len(STRIPS) + 34
    first, last = samples[0].hour, samples[-1].hour
    across = [LEFT + PLOT * (sample.hour - first) / max(last - first, 1) for sample in samples]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="24" font-size="14">{title}</text>',
    ]
    for number, strip in enumerate(STRIPS):
        base = TOP + STRIP * (number + 1) - 14
        values = [getattr(sample, strip.field) / strip.unit for sample in samples]
        top = max(values) or 1
        points = " ".join(
            f"{x:.1f},{base - (STRIP - 26) * value / top:.1f}" for x, value in zip(across, values, strict=True)
        )
        parts += [
            f'<text x="{LEFT - 12}" y="{base - 14}" text-anchor="end">{strip.text}</text>',
            f'<line x1="{LEFT}" y1="{base}" x2="{LEFT + PLOT}" y2="{base}" stroke="{QUIET}" stroke-width="0.5"/>',
            f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="1.5"/>',
            f'<text x="{LEFT + PLOT + 8}" y="{base - 14}">{values[-1]:,.0f} {strip.called}</text>',
            f'<text x="{LEFT + PLOT + 8}" y="{base}" fill="{QUIET}">most {top:,.0f}</text>',
        ]
    for day in range(first // 24, last // 24 + 1):
        if day % 5 == 0 or last - first <= 72:
            x = LEFT + PLOT * (max(day * 24, first) - first) / max(last - first, 1)
            parts.append(f'<text x="{x:.1f}" y="{height - 12}" fill="{QUIET}">day {day}</text>')
    return "\n".join([*parts, "</svg>", ""])
