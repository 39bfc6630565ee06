"""The balancer's own log joined with the wire, by the client's address and port and the time: ports repeat within seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.logs.entries import LogFacts, Proxied
from inspector.tracking.clocks import Offset, Times, offsets
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text

EARLY_NS, LATE_NS = 2_000_000, 50_000_000
"""When a connection's line says that it was accepted, against its SYN: milliseconds are cut off, and a busy balancer is late."""

APART_NS = 500_000_000
"""A line and a SYN further apart than this are of two connections."""


class Chosen(NamedTuple):
    """What the balancer wrote of a connection. ``log``: the place of its file."""

    log: int
    entry: Proxied


class Balanced(NamedTuple):
    """``chosen``: by the place of a connection. ``offsets``: by the place of a log; only logs that fit are in it."""

    chosen: dict[int, Chosen]
    offsets: dict[int, Offset]


Key = tuple[str, int]


def balanced(observed: Sequence[Observed], logs: Sequence[LogFacts]) -> Balanced:
    """Which server each connection was sent to, as far as a log says so."""
    result = Balanced({}, {})
    if not any(log.proxied for log in logs):
        return result
    starts: dict[Key, list[tuple[int, int]]] = {}
    for seen in observed:
        for end in {leg.client for leg in (seen.main, *seen.legs)}:
            starts.setdefault((ip_text(end.address), end.port), []).append((seen.first_ns, seen.index))
    for place, log in enumerate(logs):
        entries: dict[Key, list[Proxied]] = {}
        for entry in log.proxied:
            key = (entry.client, entry.port)
            if key in starts:
                entries.setdefault(key, []).append(entry)
        classes = [Times(sorted(e.ns for e in found), sorted(ns for ns, _ in starts[key])) for key, found in entries.items()]
        best = offsets(classes, EARLY_NS, LATE_NS, log.has_zone)
        if len(best) != 1:
            continue
        result.offsets[place] = best[0]
        for key, found in entries.items():
            _nearest(result.chosen, place, found, starts[key], best[0].ns)
    return result


def _nearest(chosen: dict[int, Chosen], place: int, entries: list[Proxied], starts: list[tuple[int, int]], offset_ns: int) -> None:
    """Lines and connections of one client address and port, the closest ones first."""
    pairs = sorted((abs(entry.ns - offset_ns - ns), number, index) for number, entry in enumerate(entries) for ns, index in starts)
    used: set[int] = set()
    for apart, number, index in pairs:
        if apart > APART_NS:
            break
        if number not in used and index not in chosen:
            used.add(number)
            chosen[index] = Chosen(place, entries[number])
