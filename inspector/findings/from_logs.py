"""What the logs say, as the document's types: lines of connections, logs with their clocks, what failures cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from inspector import document as doc
from inspector.findings.case import Case
from inspector.findings.logged import LATE_NS, moment
from inspector.findings.reasons import UNJOINED, UNPAIRED
from inspector.findings.wording import worded
from inspector.logs.entries import LogFacts
from inspector.text.times import SECOND_NS, rfc3339, span
from inspector.tracking.clock_steps import LogClock
from inspector.tracking.log_clocks import Offset
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

MOST_UNPAIRED = 50
"""Failures without a connection that a log names one by one."""

NODES = 1000


def lines_of(case: Case, observed: Observed) -> list[doc.LogLine]:
    """The log lines of a connection, in order."""
    chosen = case.balancer.chosen.get(observed.index)
    if chosen is None:
        return failures_of(case, observed)
    entry = chosen.entry
    proxied = doc.LogLine(
        file=case.facts.logs[chosen.log].path,
        line=entry.line,
        at=rfc3339(entry.ns),
        text=entry.text,
        offset=entry.ns - observed.first_ns,
        form=entry.form,
        certain=True,
        among=[observed.id],
    )
    return [proxied, *failures_of(case, observed)]


def failures_of(case: Case, observed: Observed) -> list[doc.LogLine]:
    """The log lines of a connection that tell of its failure."""
    log_lines: list[doc.LogLine] = []
    for line in case.logged.lines.get(observed.index, ()):
        f = line.failure
        candidates = [case.observed[index].id for index in line.candidates]
        log_lines.append(
            doc.LogLine(
                file=case.facts.logs[line.log].path,
                line=f.line,
                at=rfc3339(f.ns),
                text=f.text,
                offset=f.ns - moment(observed),
                form=f.form,
                certain=line.is_certain,
                among=candidates,
            )
        )
    return log_lines


def logs(case: Case) -> list[doc.LogFile]:
    """Every log that was given, and how it fits."""
    files = []
    for index, log in enumerate(case.facts.logs):
        lines = {line.failure.line: line for lines in case.logged.lines.values() for line in lines if line.log == index}
        unpaired = [
            doc.UnpairedLine(f.line, rfc3339(f.ns), f.text, UNPAIRED[reason])
            for f, reason in case.logged.unpaired.get(index, [])
        ]
        chosen = sum(c.log == index for c in case.balancer.chosen.values())
        offset = offset_of(case, index)
        files.append(
            doc.LogFile(
                path=log.path,
                form=log.form,
                lines=log.lines,
                first=rfc3339(log.first_ns) if log.first_ns is not None else None,
                last=rfc3339(log.last_ns) if log.last_ns is not None else None,
                zone=log.has_zone,
                problem=worded(log.problem) or None,
                offset=offset.ns if offset is not None else None,
                uncertainty=offset.uncertainty_ns if offset is not None else None,
                failures=len(log.failures),
                paired=sum(line.is_certain for line in lines.values()),
                ambiguous=sum(not line.is_certain for line in lines.values()),
                unpaired=unpaired[:MOST_UNPAIRED],
                connections=chosen,
            )
        )
    return files


def offset_of(case: Case, log: int) -> Offset | None:
    """How far a log's clock is from the capture's; None where that cannot be said."""
    offset = case.balancer.offset(log)
    if offset is not None:
        return offset
    clock = case.logged.clocks.get(log)
    return clock.at(0)[0] if clock is not None and (clock.segments or len(clock.offsets) == 1) else None


def limits(case: Case) -> list[doc.Limit]:
    """What of the logs is not used, and why."""
    return [
        doc.Limit(kind, f"{log.path}: {text}", None, [])
        for index, log in enumerate(case.facts.logs)
        for kind, text in _limits(case, index, log)
    ]


def _limits(case: Case, index: int, log: LogFacts) -> Iterator[tuple[str, str]]:
    """Of one log: kinds and texts."""
    from inspector.logs.formats import gives_connections  # there are logs, so the readers are loaded

    if log.problem:
        yield "log_unreadable", worded(log.problem)
    for unpaired, count in Counter(reason for _, reason in case.logged.unpaired.get(index, [])).most_common():
        failures = _failures(len(log.failures))
        yield "log_unpaired", f"{count} of {failures} belong to no connection here: {UNPAIRED[unpaired]}"
    aborted, silent = _without_a_line(case, index, log)
    if silent:
        yield (
            "log_fewer",
            f"from its first abort to its last the capture shows {aborted}, of which {silent} have no line in it",
        )
    if gives_connections(log) and case.observed and index not in case.balancer.clocks:
        yield "log_not_joined", "no line fits a connection of the capture by client address, port and time"
    for reason, words in UNJOINED.items():
        count = case.balancer.unjoined.get(index, Counter())[reason]
        if count and (reason != "other_client" or log.proxied):
            yield "log_unjoined", f"{count} line{'s' if count > 1 else ''} joined with no connection: {words}"
    if log.untimed and index not in case.balancer.unjoined:
        failures = _failures(log.untimed)
        yield "log_unjoined", f"{failures} joined with no connection: {UNJOINED['unreadable_time']}"
    for clock in (case.balancer.clocks.get(index), case.logged.clocks.get(index)):
        if clock is not None:
            yield from (("log_clock", text) for text in _clock(clock))


def _without_a_line(case: Case, index: int, log: LogFacts) -> tuple[int, int]:
    """Of the time in which a log tells of aborts because of the certificate change: how many connections ended so on
    the wire, and how many of them no line is about.
    """
    times = [failure.ns for failure in log.failures if failure.kind == "certificate_change"]
    offset = offset_of(case, index)
    if not times or offset is None or not case.logged.lines:
        return 0, 0
    low, high = min(times) - offset.ns - LATE_NS, max(times) - offset.ns
    aborted = [o.index for o in case.observed if low <= moment(o) <= high and case.may_change(o)]
    return len(aborted), sum(index not in case.logged.lines for index in aborted)


def _clock(clock: LogClock) -> list[str]:
    """What is to be said of a log's clock."""
    if clock.segments:
        steps = ", then ".join(
            f"{_signed(segment.offset.ns)} (±{span(segment.offset.uncertainty_ns)})" for segment in clock.segments
        )
        return [f"its clock was set while it was written: against the capture's it is at {steps}"]
    if len(clock.offsets) > 1:
        return [f"its clock fits the capture's equally well at {len(clock.offsets)} offsets, so its lines are sets"]
    if clock.offsets and clock.offsets[0].is_weak:
        return [f"its clock was set by one line ({span(clock.offsets[0].ns)}), which may be chance"]
    return []


def _signed(ns: int) -> str:
    """An offset for people, to the second where it is long."""
    rounded = ns if abs(ns) < 120 * SECOND_NS else round(ns / SECOND_NS) * SECOND_NS
    return f"{'-' if rounded < 0 else '+'}{span(abs(rounded))}"


def _failures(count: int) -> str:
    return f"{count} logged failure{'' if count == 1 else 's'}"


def impact(case: Case, service: ServiceGroup) -> doc.Impact | None:
    """What the aborts of a service cost, where a log says so."""
    impacts = {
        (line.log, line.failure.line): line.failure
        for index in service.connections
        for line in case.logged.lines.get(index, ())
        if line.failure.kind == "certificate_change"
    }
    if not impacts:
        return None
    nodes = sorted({f.node for f in impacts.values() if f.node and f.impact})
    return doc.Impact(
        len(impacts),
        sum(f.impact == "catalog" for f in impacts.values()),
        sum(f.impact == "report" for f in impacts.values()),
        nodes[:NODES],
    )
