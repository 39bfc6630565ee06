"""Time stamps of logs as nanoseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND_NS = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ISO = rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?"
"""Logback's: ``2026-11-23T17:10:17.080Z``, ``2014-11-20 22:04:03,392``."""

COMMON = rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-]\d\d:?\d\d))?"
"""HAProxy's and Apache's: ``23/Nov/2026:17:28:10.259``."""

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


@lru_cache(maxsize=4096)
def _minute(year: int, month: int, day: int, hour: int, minute: int) -> int:
    """Raises ValueError for a date that does not exist."""
    return int((datetime(year, month, day, hour, minute, tzinfo=UTC) - EPOCH) / timedelta(seconds=1)) * SECOND_NS


def _zone_ns(zone: bytes | None) -> int:
    if not zone or zone == b"Z":
        return 0
    digits = zone[1:].replace(b":", b"")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return (-seconds if zone[:1] == b"-" else seconds) * SECOND_NS


def _ns(minute: int, second: bytes, fraction: bytes | None, zone: bytes | None) -> int:
    return minute + int(second) * SECOND_NS + int((fraction or b"0").ljust(9, b"0")) - _zone_ns(zone)


def iso(match: re.Match[bytes]) -> tuple[int, bool]:
    """The moment that the first eight groups name, and whether they name a zone. Raises ValueError."""
    year, month, day, hour, minute, second, fraction, zone = match.groups()[:8]
    return _ns(_minute(int(year), int(month), int(day), int(hour), int(minute)), second, fraction, zone), zone is not None


def common(groups: tuple[bytes | None, ...]) -> tuple[int, bool]:
    """The same for the eight groups of ``COMMON``. Raises ValueError."""
    day, month, year, hour, minute, second, fraction, zone = groups
    date = (int(year or 0), MONTHS.index(month or b"") + 1, int(day or 0))
    return _ns(_minute(*date, int(hour or 0), int(minute or 0)), second or b"0", fraction, zone), zone is not None
