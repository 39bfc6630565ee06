"""Times of packets as text. Nanoseconds since the epoch in, UTC out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
STEPS = [
    *(n * SECOND_NS // 1000 for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * SECOND_NS for n in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21_600, 43_200, 86_400)),
]
"""Nanoseconds that a bar of a chart may stand for."""


def bar_step(low_ns: int, high_ns: int, most: int, steps: Sequence[int] = STEPS) -> int:
    """The shortest of ``steps`` with which so many bars hold all from one time to another; where none is as long, what
    they need.
    """
    least = max((high_ns - low_ns) // most + 1, 1)
    return next((step for step in steps if step >= least), least)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_NS = 253_402_300_799 * 1_000_000_000

EPOCH_ORDINAL = EPOCH.toordinal()

_second = (-1, "")


@lru_cache(maxsize=512)
def _date(days: int) -> str:
    """``2026-11-23``, so many days after the epoch."""
    return date.fromordinal(EPOCH_ORDINAL + days).isoformat()


def rfc3339(ns: int) -> str:
    """``2026-11-23T17:10:17.080123456Z``."""
    global _second
    if not 0 <= ns <= LATEST_NS:
        ns = min(max(ns, 0), LATEST_NS)
    whole, rest = divmod(ns, 1_000_000_000)
    known = _second
    if known[0] != whole:
        days, seconds = divmod(whole, 86_400)
        minutes, seconds = divmod(seconds, 60)
        known = _second = (whole, f"{_date(days)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}")
    return f"{known[1]}.{rest:09d}Z"


def rfc3339_signed(ns: int) -> str:
    """The same for what may lie before 1970, as dates of certificates do."""
    if ns >= 0:
        return rfc3339(ns)
    try:
        moment = EPOCH + timedelta(seconds=ns // 1_000_000_000)
    except OverflowError:
        return "0001-01-01T00:00:00.000000000Z"
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}.{ns % 1_000_000_000:09d}Z"


def day(ns: int) -> str:
    """``2026-11-23``."""
    return rfc3339(ns)[:10]


def utc_day(ns: int | None) -> str:
    """``2026-11-23 UTC``, in whatever zone times are shown beside it: days of a certificate's validity are of UTC (RFC
    5280, section 4.1.2.5). ``?`` where it cannot be read.
    """
    return "?" if ns is None else f"{rfc3339_signed(ns)[:10]} UTC"


def span(ns: int) -> str:
    """A duration for people: ``0.4 ms``, ``38.9 s``, ``2 h 05 min``, ``6 d 4 h``."""
    seconds = ns / 1_000_000_000
    if seconds < 0:
        return f"-{span(-ns)}"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
