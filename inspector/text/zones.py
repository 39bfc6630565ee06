"""Time zones: where a time becomes words for people, and what people write becomes a time again. Nanoseconds since the
epoch in and out.

Whoever writes for people is handed a ``TimeZone``; what programs read (JSON, CSV, logs) is RFC 3339 in UTC, and the
sentences of the document name UTC. In any zone but UTC the offset stands behind each time, for it may change from one
line to the next. Days of which a certificate is valid are of UTC everywhere, as it has them (RFC 5280, section
4.1.2.5), and say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from inspector.errors import UsageError
from inspector.text.safe import safe_text
from inspector.text.times import EPOCH, LATEST_NS, SECOND_NS, rfc3339, rfc3339_signed

LOCAL = "local"
"""What the zone of this system is called."""

MILLISECONDS = 3
MINUTE, DAY = 60, 86_400
LAST_SECOND = LATEST_NS // SECOND_NS - 2 * DAY
"""Behind it an offset may lead into a year that ``datetime`` does not have."""

YEAR_LETTERS, DAY_LETTERS = len("2026-"), len("2026-11-23 ")
"""Of a moment as it is shown, so many stand before its month, and before its time of day."""

SHOWN = re.compile(
    r"(?:(?:([0-9]{4})-)?([0-9]{2}-[0-9]{2})[T ])?([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?: ?(?:(Z|UTC)|([+-][0-9]{2}:[0-9]{2})))?"
)
"""Year, month and day; hour, minute, second, its fraction; UTC, or an offset."""


class TimeZone(NamedTuple):
    """``name``: as people write it. By the second since the epoch ``offset_at``: seconds east of UTC;
    ``abbreviation_at``: what such a time is called, as ``CET``. ``left_out``: so many letters of a moment, where only
    the rest differs.
    """

    name: str
    offset_at: Callable[[int], int]
    abbreviation_at: Callable[[int], str]
    left_out: int = DAY_LETTERS

    @property
    def is_utc(self) -> bool:
        """Whether times stand without an offset."""
        return self.name == "UTC"

    def over(self, first_ns: int, last_ns: int) -> TimeZone:
        """The same zone, in which a ``clock`` tells all times from one to another apart."""
        first, last = self.day(first_ns), self.day(last_ns)
        is_of_one_year = first[:YEAR_LETTERS] == last[:YEAR_LETTERS]
        return self._replace(left_out=DAY_LETTERS if first == last else YEAR_LETTERS if is_of_one_year else 0)

    @property
    def is_of_one_day(self) -> bool:
        """Whether a ``clock`` shows no day."""
        return self.left_out == DAY_LETTERS

    def heading(self, first_ns: int, last_ns: int) -> str:
        """What is said once over many times from one to another, 0 for none: ``all times local (CET +01:00)``; where
        clocks were set in between, what they show at both ends.
        """
        ends = [] if self.is_utc else [self._named_offset(ns) for ns in (first_ns, last_ns) if ns]
        shown = f" ({', '.join(dict.fromkeys(ends))})" if ends else ""
        return f"all times {safe_text(f'{self.name}{shown}', 100)}"

    @property
    def clock_width(self) -> int:
        """Characters of ``clock``."""
        return len(self.clock(0))

    def clock(self, ns: int, digits: int = MILLISECONDS) -> str:
        """``18:10:17.080 +01:00``: its day too where times of several stand together (``over``). In UTC
        without an offset. ``digits``: of the second's fraction.
        """
        return self._shown(ns, self.left_out, digits)

    def moment(self, ns: int, digits: int = MILLISECONDS) -> str:
        """``2026-11-23 18:10:17.080 +01:00``: day and time; in UTC without an offset."""
        return self._shown(ns, 0, digits)

    def day(self, ns: int) -> str:
        """``2026-11-23``: which day it was there."""
        return self.moment(ns)[:10]

    def stamp(self, ns: int) -> str:
        """``2026-11-23 17:10:17.080 UTC``: as ``moment``, where nothing else may say of what zone it is."""
        return self.moment(ns) + (f" {self.name}" if self.is_utc else "")

    def rfc3339(self, ns: int) -> str:
        """``2026-11-23T18:10:17.080123456+01:00``; in UTC with ``Z``."""
        return rfc3339(ns) if self.is_utc else self._moved(ns)[:-1] + _offset_text(self._offset(ns))

    def nanoseconds(self, text: str, near_ns: int, days: int = 0) -> int | None:
        """A time as it is shown, or as ISO 8601 writes it; None where it is none. Without an offset it is of this zone,
        and where clocks are set back and it comes twice, the first. Without a day it is of that of ``near_ns``, or so
        many ``days`` later; without a year of that one's.
        """
        try:
            shown = SHOWN.fullmatch(text.strip())
            if shown is None:
                other = datetime.fromisoformat(text.strip())
                return self._instant(other, other.utcoffset()) + other.microsecond * 1000
            year, on, hour, minute, second, fraction, utc, offset_text = shown.groups()
            offset = timedelta() if utc else None
            if offset_text:
                offset = datetime.strptime(offset_text, "%z").utcoffset()
            zone = self if offset is None else fixed(offset // timedelta(seconds=1))
            near = zone.day(near_ns)
            wall = datetime.fromisoformat(f"{year or near[:4]}-{on or near[YEAR_LETTERS:]}")
            wall = wall.replace(hour=int(hour), minute=int(minute), second=int(second or 0))
            wall += timedelta(days=0 if on else days)
            return self._instant(wall, offset) + int((fraction or "").ljust(9, "0"))
        except (ValueError, OverflowError):
            return None

    def _instant(self, wall: datetime, offset: timedelta | None) -> int:
        """The whole second at which clocks that are so far from UTC showed ``wall``; those of this zone where it is
        None. Where they passed over it, as if they had not been set yet.
        """
        second = (wall.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // timedelta(seconds=1)
        if offset is not None:
            return (second - offset // timedelta(seconds=1)) * SECOND_NS
        around = [self._offset((second + shift) * SECOND_NS) for shift in (-DAY, DAY)]
        first = next(
            (o for o in sorted(around, reverse=True) if self._offset((second - o) * SECOND_NS) == o), around[0]
        )
        return (second - first) * SECOND_NS

    def _shown(self, ns: int, begin: int, digits: int) -> str:
        stamp = (rfc3339(ns) if self.is_utc else self._moved(ns)).replace("T", " ")
        offset = "" if self.is_utc else f" {_offset_text(self._offset(ns))}"
        return stamp[begin : 20 + digits if digits else 19] + offset

    def _moved(self, ns: int) -> str:
        """What clocks of the zone show, as if they were of UTC."""
        return rfc3339_signed(min(max(ns, 0), LATEST_NS) + self._offset(ns) * SECOND_NS)

    def _offset(self, ns: int) -> int:
        """In whole minutes, as it can be shown: the time beside it is right then, too, where clocks had others."""
        return self.offset_at(_second(ns)) // MINUTE * MINUTE

    def _named_offset(self, ns: int) -> str:
        """``CET +01:00``; many zones have a number for such a name, which is left out."""
        name = self.abbreviation_at(_second(ns))
        return (f"{name} " if name.isalpha() else "") + _offset_text(self._offset(ns))


def _second(ns: int) -> int:
    """As near as ``datetime`` comes to it."""
    return min(max(ns // SECOND_NS, 0), LAST_SECOND)


def _offset_text(offset: int) -> str:
    hours, minutes = divmod(abs(offset) // MINUTE, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def fixed(offset: int) -> TimeZone:
    """So many seconds east of UTC at all times."""
    return TimeZone(_offset_text(offset), lambda second: offset, lambda second: "")


UTC = TimeZone("UTC", lambda second: 0, lambda second: "UTC")


def zone_named(name: str) -> TimeZone:
    """``local``, ``UTC``, or a zone of the IANA database as this system has it. Raises UsageError."""
    if name.upper() == UTC.name:
        return UTC
    if name.lower() == LOCAL:
        return _of(LOCAL, None)
    from zoneinfo import ZoneInfo, available_timezones  # most times are shown in UTC

    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # also ZoneInfoNotFoundError; names that could be no file's
        if available_timezones():
            hint = "names are those of the IANA database, such as Europe/Berlin; also local, and UTC"
        else:
            hint = "this system has no database of time zones (tzdata): local and UTC are known without it"
        raise UsageError(f"{safe_text(name, 60)}: no time zone that can be loaded", hint) from None
    return _of(name, zone)


def _of(name: str, zone: tzinfo | None) -> TimeZone:
    """``zone``: None for that of the system."""

    def shown(second: int) -> datetime:
        return (EPOCH + timedelta(seconds=second)).astimezone(zone)

    return TimeZone(
        name,
        lambda second: (shown(second).utcoffset() or timedelta()) // timedelta(seconds=1),
        lambda second: shown(second).tzname() or "",
    )
