"""The client's own log joined with the wire: which connection each logged failure was, by time, kind and service.

The log line is written from 0.7 ms before to 30 ms behind the FIN, RST or alert with which the client gave up; on a
busy host later: where more lines find a connection with more time, all lines of the log are given it, so that none is
certain that only seems to fit. The offset between both clocks is estimated from what fits. What cannot be told apart
stays a set.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import NamedTuple

from msgspec import Struct, field

from inspector.findings.pairing import paired
from inspector.logs.entries import Failure, Kind, LogFacts
from inspector.tls.registry import ALERTS, alert_name
from inspector.tls.types import FATAL
from inspector.tracking.clock_steps import LogClock, clock_of
from inspector.tracking.log_clocks import early
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

ROTATED = re.compile(r"[-.]\d{4}-\d\d-\d\d|\.log|\.gz|\.zst|\.\d")
"""Where the part of a name begins that tells a rotated log from its siblings."""

SERVICES = 50
"""A log names few services as a rule; an attacker may have made it name many."""

EARLY_NS, LATE_NS = 1_500_000, 32_000_000
"""When a failure is logged, against the moment on the wire; what was measured, and a little more for milliseconds that
are cut off.
"""

LATER_NS = (100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_000_000_000)
"""How late a busy host, or a JVM that collects garbage, may be."""

TOLD_NS = 2_000_000_000
"""Where lines may be later than this it is not certain whose they are."""

DENSE = 8
"""Connections that a line could belong to, on the average: with more of them, more time tells nothing."""


class Unpaired(Enum):
    """Why a failure may have no connection. ``ELSEWHERE``, ``LOST``: none failed in this way at that time, where the
    capture is whole, and where it has losses.
    """

    NONE_FAILED = auto()
    BEFORE = auto()
    BEHIND = auto()
    CLOCK_UNKNOWN = auto()
    ELSEWHERE = auto()
    LOST = auto()


class JoinedLine(NamedTuple):
    """A log line of a connection. ``log``: the place of its file. ``candidates``: the places of the connections that it
    may belong to.
    """

    log: int
    failure: Failure
    candidates: tuple[int, ...]
    is_certain: bool


class Joined(Struct):
    """``lines``: by the place of a connection. ``unpaired``: failures without a connection, by the place of a log, each
    with the likely reason.

    ``clocks``: by the place of a log.
    """

    lines: dict[int, list[JoinedLine]] = field(default_factory=dict)
    unpaired: dict[int, list[tuple[Failure, Unpaired]]] = field(default_factory=dict)
    clocks: dict[int, LogClock] = field(default_factory=dict)

    def certain(self, index: int, kind: Kind) -> JoinedLine | None:
        """The line that says for certain that this connection failed in this way."""
        lines = self.lines.get(index) if self.lines else None
        return next((line for line in lines or () if line.is_certain and line.failure.kind == kind), None)


def moment(observed: Observed) -> int:
    """When the connection failed on the wire: the first fatal alert or close."""
    client_leg = observed.client_leg
    times = [a.ns for a in client_leg.alerts if a.level == FATAL]
    times += [
        close.ns
        for lane in (client_leg.from_client, client_leg.from_server)
        for close in (lane.fin, lane.rst)
        if close is not None
    ]
    return min(times, default=observed.client_leg.last_ns)


def joined(
    observed: Sequence[Observed],
    services: list[ServiceGroup],
    logs: list[LogFacts],
    may_change: Callable[[Observed], bool],
    *,
    has_losses: bool = False,
) -> Joined:
    """Pair each log's failures. ``may_change``: whether a connection ended as Java ends it when the certificate
    changed. ``has_losses``: of the capture.
    """
    result = Joined()
    if not any(log.failures for log in logs):
        return result
    failed = sorted(
        ((moment(s), s) for s in observed if s.outcome == "aborted" or _closed_unused(s)), key=lambda item: item[0]
    )
    families: dict[tuple[str, bool], list[Logged]] = {}
    for index, log in enumerate(logs):
        for failure in log.failures:
            latest_ns = log.opened_ns if failure.line <= log.old_lines else None
            if latest_ns is not None and failed and failed[0][0] > latest_ns:
                result.unpaired.setdefault(index, []).append((failure, Unpaired.BEFORE))
                continue
            entry = Logged(index, failure, latest_ns)
            families.setdefault((_family(log.path), failure.has_zone), []).append(entry)
    for (_, has_zone), entries in families.items():
        _join(
            result=result,
            entries=_in_order(entries),
            has_zone=has_zone,
            failed=failed,
            services=services,
            may_change=may_change,
            has_losses=has_losses,
        )
    return result


Class = tuple[Kind, str, str, int]


class Logged(NamedTuple):
    """A failure and the place of its log. ``latest_ns``: it stood there at this time, before what failed later; None
    where nobody looked.
    """

    log: int
    failure: Failure
    latest_ns: int | None = None


def _family(path: str) -> str:
    """What a log has in common with those that it was rotated to: they were written by one clock."""
    folder, name = os.path.split(path)
    return os.path.join(folder, ROTATED.split(name)[0])


def _in_order(entries: list[Logged]) -> list[Logged]:
    """The files of one clock one after the other, as they were written; lines stay in their order, whatever their times
    say.
    """
    starts: dict[int, int] = {}
    for entry in entries:
        starts[entry.log] = min(starts.get(entry.log, entry.failure.ns), entry.failure.ns)
    return sorted(entries, key=lambda entry: (starts[entry.log], entry.log))


def _join(
    result: Joined,
    entries: list[Logged],
    has_zone: bool,
    failed: list[tuple[int, Observed]],
    services: list[ServiceGroup],
    may_change: Callable[[Observed], bool],
    has_losses: bool,
) -> None:
    """Pair the failures of one clock."""
    keys = _classes(entries)
    members = {
        key: [(ns, s) for ns, s in failed if _suits(key, s, services, may_change)] for key in dict.fromkeys(keys)
    }
    wire = {key: [ns for ns, _ in starts] for key, starts in members.items()}
    resolution_ns = max(entry.failure.resolution_ns for entry in entries)
    clock = clock_of(
        [(entry.failure.ns, key) for entry, key in zip(entries, keys, strict=True)],
        wire,
        EARLY_NS,
        LATE_NS,
        has_zone,
        resolution_ns,
    )
    for entry in entries:
        result.clocks.setdefault(entry.log, clock)
    windows = [
        [offset.window(entry.failure.ns, early(EARLY_NS, resolution_ns), 0) for offset in clock.at(number)]
        for number, entry in enumerate(entries)
    ]
    late_ns = _lateness(keys, windows, wire)
    possible: dict[int, list[int]] = {}
    close: dict[int, set[int]] = {}
    for number, key in enumerate(keys):
        fitting: dict[int, int] = {}
        latest_ns = entries[number].latest_ns
        for low, high in windows[number]:
            fitting.update(
                (s.index, ns)
                for ns, s in members[key][bisect_left(wire[key], low - late_ns) : bisect_right(wire[key], high)]
                if latest_ns is None or ns <= latest_ns
            )
        possible[number] = list(fitting)
        close[number] = {
            index for index, ns in fitting.items() if any(low - LATE_NS <= ns <= high for low, high in windows[number])
        }
    claimed = {index for candidates in possible.values() for index in candidates}
    is_even = all(possible.values()) and len(claimed) == len(possible) == len(
        {s.index for starts in members.values() for _, s in starts}
    )
    for number, partners in paired(possible).items():
        if not partners.candidates:
            possible[number] = []
            continue
        # a line that is late may be that of a connection that was not captured; unless every line has its connection,
        # and every connection its line
        is_told = late_ns == LATE_NS or (late_ns <= TOLD_NS and (is_even or close[number] == {*partners.candidates}))
        log, failure, _ = entries[number]
        line = JoinedLine(log, failure, partners.candidates, partners.is_certain and is_told and clock.is_certain)
        for index in partners.candidates:
            result.lines.setdefault(index, []).append(line)
    for number, candidates in possible.items():
        if not candidates:
            log, failure, _ = entries[number]
            result.unpaired.setdefault(log, []).append((failure, _unpaired(failure, clock, number, failed, has_losses)))


def _lateness(keys: list[Class], windows: list[list[tuple[int, int]]], wire: dict[Class, list[int]]) -> int:
    """How late lines may be: as measured, or, where more of them find a connection of their own then, so much more that
    this and as much again is allowed.
    """
    by_key: dict[Class, list[tuple[int, int]]] = {}
    for key, window in zip(keys, windows, strict=True):
        if len(window) == 1:
            by_key.setdefault(key, []).append(window[0])
    best, most = LATE_NS, -1
    for late_ns in (LATE_NS, *LATER_NS):
        fits = near = 0
        for key, some in by_key.items():
            moments = wire[key]
            some.sort()
            near += sum(bisect_right(moments, high) - bisect_left(moments, low - late_ns) for low, high in some)
            index = 0
            for low, high in some:
                index = max(index, bisect_left(moments, low - late_ns))
                if index < len(moments) and moments[index] <= high:
                    fits += 1
                    index += 1
        if most >= 0 and near > DENSE * len(keys):
            break
        if fits > most:
            best, most = late_ns, fits
    return best if best == LATE_NS else 2 * best


def _classes(entries: list[Logged]) -> list[Class]:
    """For each failure what tells which connections it may be: its kind, the alert's name, the service; where very many
    services are named, not that.
    """
    failures = [entry.failure for entry in entries]
    is_told = len({(f.host, f.port) for f in failures}) <= SERVICES
    return [
        (
            failure.kind,
            failure.alert if failure.alert in ALERTS.values() else "",
            failure.host.lower() if is_told else "",
            failure.port if is_told else 0,
        )
        for failure in failures
    ]


def _suits(
    key: Class, observed: Observed, services: list[ServiceGroup], may_change: Callable[[Observed], bool]
) -> bool:
    """Whether a failure of this kind may be this connection."""
    kind, alert, host, port = key
    if port and observed.server.port != port:
        return False
    service = services[observed.service]
    if host and service.named and service.name != host:
        return False
    if kind == "certificate_change":
        return may_change(observed)
    fatal = observed.fatal_alert
    if kind == "alert_received":
        return (
            fatal is not None and not fatal.from_client and fatal.code is not None and alert_name(fatal.code) == alert
        )
    if kind == "host_name" and _closed_unused(observed):
        return True
    if kind in ("untrusted", "invalid_path", "host_name"):
        return observed.gave_up
    if kind == "peer_vanished":
        return observed.outcome == "aborted" and observed.closed_by == "server"
    return observed.outcome == "aborted"


def _closed_unused(observed: Observed) -> bool:
    """A complete handshake that the client left without a word, as it does where the name does not fit (Apache's
    verifier).
    """
    return (
        observed.outcome == "established"
        and observed.closed_by == "client"
        and not observed.client_leg.from_client.application_records
        and not observed.health_check
    )


def _unpaired(
    failure: Failure, clock: LogClock, number: int, failed: list[tuple[int, Observed]], has_losses: bool
) -> Unpaired:
    """Why a failure may have no connection."""
    if not failed:
        return Unpaired.NONE_FAILED
    best = clock.at(number)
    at = failure.ns - (best[0].ns if best else 0)
    if at < failed[0][0] - LATE_NS:
        return Unpaired.BEFORE
    if at > failed[-1][0] + LATE_NS:
        return Unpaired.BEHIND
    if not best:
        return Unpaired.CLOCK_UNKNOWN
    return Unpaired.LOST if has_losses else Unpaired.ELSEWHERE
