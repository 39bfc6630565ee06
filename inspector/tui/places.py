"""Where ``g`` goes: a frame, a time, or a connection by the beginning of its id."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import datetime

from inspector.facts import frame_reference, unpack_events
from inspector.findings.judge import Analysis
from inspector.text.times import DAY_NS, SECOND_NS, rfc3339

FRAME = re.compile(r"(?:frame\s+)?(?:([0-9]{1,9}):)?([0-9]{1,12})", re.IGNORECASE)
TIME = re.compile(r"(?:(\d{4}-\d\d-\d\d)[T ])?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?Z?")
ID = re.compile(r"[0-9a-f]{4,12}")


def find(analysis: Analysis, text: str) -> int | str:
    """The place of a connection, or what is wrong with the text."""
    text = text.strip()
    observed = analysis.case.observed
    if not observed:
        return "there is no connection"
    frame, time = FRAME.fullmatch(text), TIME.fullmatch(text)
    if frame:
        return _by_frame(analysis, frame_reference(int(frame[1] or 0), int(frame[2])), text)
    if time:
        stamps = [s.hello_ns or s.first_ns for s in observed]
        try:
            start = datetime.fromisoformat((time[1] or rfc3339(stamps[0])[:10]) + "T00:00:00+00:00")
        except ValueError:
            return f"{time[1]} is no date"
        of_day = (int(time[2]) * 3600 + int(time[3]) * 60 + int(time[4] or 0)) * SECOND_NS + int(
            (time[5] or "0").ljust(9, "0")
        )
        wanted = int(start.timestamp()) * SECOND_NS + of_day
        if not time[1] and wanted < stamps[0] and wanted + DAY_NS <= stamps[-1]:
            wanted += DAY_NS
        return min(bisect_left(stamps, wanted), len(observed) - 1)
    if ID.fullmatch(text.lower()):
        index = next((s.index for s in observed if s.id.startswith(text.lower())), None)
        return index if index is not None else f"no connection has an id that begins with {text}"
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
