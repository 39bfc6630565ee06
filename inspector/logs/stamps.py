"""Time stamps of logs as nanoseconds since the epoch, with what they say of themselves: whether they name a zone, and
how coarse they are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

SECOND_NS = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ISO = rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?"
"""Logback's: ``2026-11-23T17:10:17.080Z``, ``2014-11-20 22:04:03,392``."""

COMMON = rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-]\d\d:?\d\d))?"
"""HAProxy's and Apache's: ``23/Nov/2026:17:28:10.259``."""

SYSLOG = rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
"""RFC 3164, section 4.1.2: local time without a year. journald's ``short-precise`` adds microseconds."""

INTERNET = rb"(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)() (GMT|UTC|Z|[+-]\d{4})"
"""RFC 5322, section 3.3, as HTTP writes it: ``Mon, 23 Nov 2026 17:28:10 GMT``."""

UNIX = rb"(?<![\w.:/-])([12]\d{9})(?:[.,](\d{1,9})|(\d{3}|\d{6}|\d{9}))?(?![\w.:/-])"
"""Seconds since the epoch, perhaps with a fraction; or milliseconds, microseconds, nanoseconds."""

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
ISO_ANYWHERE, COMMON_ANYWHERE, SYSLOG_ANYWHERE, INTERNET_ANYWHERE, UNIX_ANYWHERE = (
    re.compile(form) for form in (ISO, COMMON, SYSLOG, INTERNET, UNIX)
)
FIRST_NS, LAST_NS = -62_135_596_800 * SECOND_NS, 253_402_300_799 * SECOND_NS
"""The years 1 to 9999."""


class Stamp(NamedTuple):
    """A moment. ``has_zone``: whether the stamp names it; else ``ns`` is as if it named UTC. ``resolution_ns``: of its
    last digit; what follows was cut off.
    """

    ns: int
    has_zone: bool
    resolution_ns: int


@lru_cache(maxsize=4096)
def _minute(year: int, month: int, day: int, hour: int, minute: int) -> int:
    """Raises ValueError for a date that does not exist."""
    return int((datetime(year, month, day, hour, minute, tzinfo=UTC) - EPOCH) / timedelta(seconds=1)) * SECOND_NS


def _zone_ns(zone: bytes | None) -> int:
    if not zone or not zone[1:2].isdigit():
        return 0
    digits = zone[1:].replace(b":", b"")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return (-seconds if zone[:1] == b"-" else seconds) * SECOND_NS


RESOLUTIONS = tuple(SECOND_NS // 10**digits for digits in range(10))


def _stamp(minute: int, second: bytes, fraction: bytes | None, zone: bytes | None) -> Stamp:
    ns = minute + int(second) * SECOND_NS + int((fraction or b"0").ljust(9, b"0")) - _zone_ns(zone)
    return Stamp(ns, zone is not None, RESOLUTIONS[len(fraction or b"")])


def iso(groups: tuple[bytes | None, ...]) -> Stamp:
    """The moment that the eight groups of ``ISO`` name. Raises ValueError."""
    year, month, day, hour, minute, second, fraction, zone = groups
    return _stamp(
        _minute(int(year or 0), int(month or 0), int(day or 0), int(hour or 0), int(minute or 0)),
        second or b"0",
        fraction,
        zone,
    )


def common(groups: tuple[bytes | None, ...]) -> Stamp:
    """The same for the eight groups of ``COMMON``, or of ``INTERNET``. Raises ValueError."""
    day, month, year, hour, minute, second, fraction, zone = groups
    date = (int(year or 0), MONTHS.index(month or b"") + 1, int(day or 0))
    return _stamp(_minute(*date, int(hour or 0), int(minute or 0)), second or b"0", fraction, zone)


def syslog(groups: tuple[bytes | None, ...], near_ns: int) -> Stamp:
    """The same for the six groups of ``SYSLOG``. ``near_ns``: a moment of about that time, which tells the year. Raises
    ValueError.
    """
    month, day, hour, minute, second, fraction = groups
    month_number = MONTHS.index(month or b"") + 1
    this = (EPOCH + timedelta(seconds=near_ns // SECOND_NS)).year
    stamps: list[Stamp] = []
    for year in (this - 1, this, this + 1):
        try:
            stamps.append(
                _stamp(
                    _minute(year, month_number, int(day or 0), int(hour or 0), int(minute or 0)),
                    second or b"0",
                    fraction,
                    None,
                )
            )
        except ValueError:  # 29 February
            continue
    if not stamps:
        raise ValueError(f"no such day: {month_number}-{day!r}")
    return min(stamps, key=lambda stamp: abs(stamp.ns - near_ns))


def unix(number: float | str) -> Stamp | None:
    """A number of seconds, milliseconds, microseconds or nanoseconds since the epoch, told by its size; None where it
    is of no such size.
    """
    text = f"{number:.6f}".rstrip("0") if isinstance(number, float) else str(number)
    match = UNIX_ANYWHERE.fullmatch(text.encode("ascii", "replace").rstrip(b"."))
    return _unix(match) if match is not None else None


def _unix(match: re.Match[bytes]) -> Stamp:
    fraction = match[2] or match[3] or b""
    return Stamp(int(match[1]) * SECOND_NS + int(fraction.ljust(9, b"0")), True, RESOLUTIONS[len(fraction)])


def stamp_in(text: bytes, near_ns: int | None = None) -> Stamp | None:
    """The first stamp in a text, the more telling forms first. ``near_ns``: as in ``syslog``; without it those of
    syslog are none.
    """
    try:
        match = COMMON_ANYWHERE.search(text)
        if match is not None:
            return common(match.groups())
        match = ISO_ANYWHERE.search(text)
        if match is not None:
            return iso(match.groups())
        match = INTERNET_ANYWHERE.search(text)
        if match is not None:
            return common(match.groups())
        match = UNIX_ANYWHERE.search(text)
        if match is not None:
            return _unix(match)
        match = SYSLOG_ANYWHERE.search(text) if near_ns is not None else None
        return syslog(match.groups(), near_ns) if match is not None and near_ns is not None else None
    except (ValueError, OverflowError):
        return None


def zoned(stamp: Stamp) -> bytes:
    """As ``ISO``, in UTC, with its zone where it has one; a time that has no four digits of a year, as the nearest that
    has.
    """
    whole, rest = divmod(min(max(stamp.ns, FIRST_NS), LAST_NS), SECOND_NS)
    digits = RESOLUTIONS.index(stamp.resolution_ns)
    fraction = f".{rest:09d}"[: digits + 1] if digits else ""
    at = (EPOCH + timedelta(seconds=whole)).replace(tzinfo=None)  # strftime leaves out the zeros of early years
    return f"{at.isoformat()}{fraction}{'Z' if stamp.has_zone else ''}".encode()
