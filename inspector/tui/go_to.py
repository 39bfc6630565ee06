"""Where ``g`` goes: a frame, a time, or a connection by the beginning of its id."""

from __future__ import annotations

import re
from bisect import bisect_left

from inspector.facts import frame_reference, unpack_events
from inspector.findings.judge import Analysis
from inspector.text.times import SECOND_NS
from inspector.text.zones import TimeZone

FRAME = re.compile(r"(?:frame\s+)?(?:([0-9]{1,9}):)?([0-9]{1,12})", re.IGNORECASE)
ID = re.compile(r"[0-9a-f]{4,12}")


def find(analysis: Analysis, text: str, zone: TimeZone) -> int | str:
    """The place of a connection, or what is wrong with the text. ``zone``: of times without an offset."""
    text = text.strip()
    columns = analysis.case.columns
    if not len(columns):
        return "there is no connection"
    frame = FRAME.fullmatch(text)
    if frame:
        return _by_frame(analysis, frame_reference(int(frame[1] or 0), int(frame[2])), text)
    if ID.fullmatch(text.lower()):
        index = next((i for i in range(len(columns)) if columns.id(i).startswith(text.lower())), None)
        return index if index is not None else f"no connection has an id that begins with {text}"
    stamps = columns.hello_ns[: len(columns)]
    wanted = zone.nanoseconds(text, stamps[0])
    if wanted is not None:
        of_next_day, of_last_year = zone.nanoseconds(text, stamps[0], days=1), zone.nanoseconds(text, stamps[-1])
        begin = stamps[0] - stamps[0] % SECOND_NS  # a time is shown cut
        times = [at for at in (wanted, of_next_day, of_last_year) if at is not None and begin <= at <= stamps[-1]]
        return min(bisect_left(stamps, times[0] if times else wanted), len(columns) - 1)
    return "a frame (470, or 1:470 in the second capture), a time (17:28:21.6) or the beginning of a connection's id"


def _by_frame(analysis: Analysis, reference: int, text: str) -> int | str:
    """The connection with a message in that frame; else the last one that had begun and not ended by then."""
    around: int | None = None
    for observed in analysis.case.observed:
        for leg in (observed.client_leg, *observed.legs):
            if any(first <= reference <= last for first, last in (*leg.frame_ranges, *leg.sightings)):
                if any(e.frame == reference for e in unpack_events(leg.events)):
                    return observed.index
                around = observed.index
    return around if around is not None else f"no connection was open at frame {text}"
