"""The client's own log joined with the wire: which connection each logged failure was, by time, kind and service.

The log line is written from 0.7 ms before to 30 ms behind the FIN, RST or alert with which the client gave up. The offset between both clocks is
estimated from what fits. What cannot be told apart stays a set.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct, field

from inspector.findings.pairing import paired
from inspector.logs.entries import Failure, Kind, LogFacts
from inspector.tls.registry import ALERTS, FATAL, alert_name
from inspector.tracking.clocks import Offset, Times, offsets
from inspector.tracking.observed import Observed
from inspector.tracking.services import Service

ROTATED = re.compile(r"[-.]\d{4}-\d\d-\d\d|\.log|\.gz|\.zst|\.\d")
"""Where the part of a name begins that tells a rotated log from its siblings."""

SERVICES = 50
"""A log names few services as a rule; an attacker may have made it name many."""

EARLY_NS, LATE_NS = 1_500_000, 32_000_000
"""When a failure is logged, against the moment on the wire; what was measured, and a little more for milliseconds that are cut off."""


class Line(NamedTuple):
    """A log line of a connection. ``log``: the place of its file. ``among``: the places of the connections that it may belong to."""

    log: int
    failure: Failure
    among: tuple[int, ...]
    is_certain: bool


class Joined(Struct):
    """``lines``: by the place of a connection. ``unpaired``: failures without a connection, by the place of a log, each with the likely reason.

    ``offsets``: by the place of a log; several where they fit equally well.
    """

    lines: dict[int, list[Line]] = field(default_factory=dict)
    unpaired: dict[int, list[tuple[Failure, str]]] = field(default_factory=dict)
    offsets: dict[int, list[Offset]] = field(default_factory=dict)

    def certain(self, index: int, kind: Kind) -> Line | None:
        """The line that says for certain that this connection failed in this way."""
        return next((line for line in self.lines.get(index, ()) if line.is_certain and line.failure.kind == kind), None)


def moment(seen: Observed) -> int:
    """When the connection failed on the wire: the first fatal alert or close."""
    main = seen.main
    times = [a.ns for a in main.alerts if a.level == FATAL]
    times += [close.ns for lane in (main.from_client, main.from_server) for close in (lane.fin, lane.rst) if close is not None]
    return min(times, default=seen.main.last_ns)


def joined(observed: list[Observed], services: list[Service], logs: list[LogFacts], may_change: Callable[[Observed], bool], *, has_losses: bool = False) -> Joined:
    """Pair each log's failures. ``may_change``: whether a connection ended as Java ends it when the certificate changed. ``has_losses``: of the capture."""
    elsewhere = "of another host, or among what the capture lost" if has_losses else "of another host, or not captured"
    result = Joined()
    if not any(log.failures for log in logs):
        return result
    failed = sorted(((moment(s), s) for s in observed if s.outcome == "aborted" or _closed_unused(s)), key=lambda item: item[0])
    families: dict[tuple[str, bool], list[Logged]] = {}
    for place, log in enumerate(logs):
        members = [Logged(place, failure) for failure in log.failures]
        if members:
            families.setdefault((_family(log.path), log.has_zone), []).extend(members)
    for (_, has_zone), entries in families.items():
        _join(result, entries, has_zone, failed, services, may_change, elsewhere)
    return result


class Logged(NamedTuple):
    """A failure and the place of its log."""

    log: int
    failure: Failure


def _family(path: str) -> str:
    """What a log has in common with those that it was rotated to: they were written by one clock."""
    folder, name = os.path.split(path)
    return os.path.join(folder, ROTATED.split(name)[0])


def _join(
    result: Joined,
    entries: list[Logged],
    has_zone: bool,
    failed: list[tuple[int, Observed]],
    services: list[Service],
    may_change: Callable[[Observed], bool],
    elsewhere: str,
) -> None:
    """Pair the failures of one clock. ``elsewhere``: where those may be that have no connection."""
    keys = _classes(entries)
    logged: dict[Class, list[int]] = {}
    for entry, key in zip(entries, keys, strict=True):
        logged.setdefault(key, []).append(entry.failure.ns)
    members = {key: [(ns, s) for ns, s in failed if _suits(key, s, services, may_change)] for key in logged}
    times = {key: Times(sorted(logged[key]), [ns for ns, _ in found]) for key, found in members.items()}
    best = offsets(list(times.values()), EARLY_NS, LATE_NS, has_zone)
    result.offsets.update((entry.log, best) for entry in entries)
    possible: dict[int, list[int]] = {}
    for number, (entry, key) in enumerate(zip(entries, keys, strict=True)):
        fitting: dict[int, None] = {}
        for offset in best:
            low = bisect_left(times[key].wire, entry.failure.ns - offset.high_ns - LATE_NS)
            high = bisect_right(times[key].wire, entry.failure.ns - offset.low_ns + EARLY_NS)
            fitting.update(dict.fromkeys(s.index for _, s in members[key][low:high]))
        possible[number] = list(fitting)
    for number, partners in paired(possible).items():
        if not partners.among:
            possible[number] = []
            continue
        line = Line(*entries[number], partners.among, partners.is_certain and len(best) == 1 and not best[0].is_weak)
        for index in partners.among:
            result.lines.setdefault(index, []).append(line)
    for number, among in possible.items():
        if not among:
            place, failure = entries[number]
            result.unpaired.setdefault(place, []).append((failure, _reason(failure, best, failed, elsewhere)))


Class = tuple[Kind, str, str, int]


def _classes(entries: list[Logged]) -> list[Class]:
    """For each failure what tells which connections it may be: its kind, the alert's name, the service; where very many services are named, not that."""
    failures = [entry.failure for entry in entries]
    is_told = len({(f.host, f.port) for f in failures}) <= SERVICES
    return [(f.kind, _alert(f), f.host.lower() if is_told else "", f.port if is_told else 0) for f in failures]


def _alert(failure: Failure) -> str:
    """The alert that was received, by its name; empty where it is none."""
    name = failure.detail.rsplit(": ", 1)[-1] if failure.kind == "alert_received" else ""
    return name if name in ALERTS.values() else ""


def _suits(key: Class, seen: Observed, services: list[Service], may_change: Callable[[Observed], bool]) -> bool:
    """Whether a failure of this kind may be this connection."""
    kind, alert, host, port = key
    if port and seen.server.port != port:
        return False
    service = services[seen.service]
    if host and service.named and service.name != host:
        return False
    if kind == "certificate_change":
        return may_change(seen)
    fatal = seen.fatal_alert
    if kind == "alert_received":
        return fatal is not None and not fatal.from_client and fatal.code is not None and alert_name(fatal.code) == alert
    if kind == "host_name" and _closed_unused(seen):
        return True
    if kind in ("untrusted", "invalid_path", "host_name"):
        return seen.gave_up
    if kind == "peer_vanished":
        return seen.outcome == "aborted" and seen.closed_by == "server"
    return seen.outcome == "aborted"


def _closed_unused(seen: Observed) -> bool:
    """A complete handshake that the client left without a word, as it does where the name does not fit (Apache's verifier)."""
    return seen.outcome == "established" and seen.closed_by == "client" and not seen.main.from_client.application_records and not seen.health_check


def _reason(failure: Failure, best: list[Offset], failed: list[tuple[int, Observed]], elsewhere: str) -> str:
    """Why a failure may have no connection."""
    if not failed:
        return "no connection of the capture failed"
    at = failure.ns - (best[0].ns if best else 0)
    if at < failed[0][0] - LATE_NS:
        return "it lies before the first failure in the capture"
    if at > failed[-1][0] + LATE_NS:
        return "it lies behind the last failure in the capture"
    return f"no connection of the capture failed in this way at that time: {elsewhere}"
