"""Times of certificates (RFC 5280, section 4.1.2.5), as lax as Java reads them: without seconds, with an offset, with
fractions.
"""

from __future__ import annotations

import datetime as dt
import re

from inspector.tls.x509 import der

FRACTION = rb"(?:[.,](?P<fraction>\d+))?"
BEHIND_YEAR = (
    rb"(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?:(?P<second>\d{2})%s)?"
    rb"(?:Z|(?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>\d{2}))"
)
UTC_TIME = re.compile(rb"(?P<year>\d{2})" + BEHIND_YEAR % rb"(?P<fraction>(?!))?")
GENERALIZED_TIME = re.compile(rb"(?P<year>\d{4})" + BEHIND_YEAR % FRACTION)
EPOCH = dt.date(1970, 1, 1).toordinal()
SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000


def read_time(value: der.Value) -> int:
    """A UTCTime or GeneralizedTime in nanoseconds since the epoch, whole milliseconds as in Java. Raises DerError."""
    is_short = value.tag == der.UTC_TIME
    match = (UTC_TIME if is_short else GENERALIZED_TIME).fullmatch(value.content)
    if match is None or value.tag not in (der.UTC_TIME, der.GENERALIZED_TIME):
        raise der.DerError
    *date, seconds_text, fraction, sign, hours_text, minutes_text = match.groups()
    year, month, day, hour, minute = map(int, date)
    second = int(seconds_text or 0)
    if is_short:
        year += 2000 if year < 50 else 1900
    if not (year and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise der.DerError
    seconds = ((dt.date(year, month, 1).toordinal() - EPOCH + day - 1) * 24 + hour) * 3600 + minute * 60 + second
    if sign:
        hours, minutes = int(hours_text), int(minutes_text)
        if hours >= 24 or minutes >= 60:
            raise der.DerError
        seconds -= (hours * 60 + minutes) * (60 if sign == b"+" else -60)
    milliseconds = int(fraction[:3].ljust(3, b"0")) if fraction else 0
    return seconds * SECOND_NS + milliseconds * MILLISECOND_NS
