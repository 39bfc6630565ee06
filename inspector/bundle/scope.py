"""What a report is about: all incidents, one, or those of a time range, and the findings beside them."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.document import Finding, Incident
from inspector.document.rules import BESIDE
from inspector.errors import UsageError
from inspector.findings.change import ABORT
from inspector.findings.judge import Analysis
from inspector.reports.overview import nanoseconds
from inspector.text.listing import listed
from inspector.text.safe import safe_text
from inspector.text.times import rfc3339
from inspector.text.zones import UTC, TimeZone


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """``incident``: the start of an id. ``since``, ``until``: times as they are shown, or as ISO 8601 writes them; of
    the captures' first day where they name none.
    """

    incident: str = ""
    since: str = ""
    until: str = ""


@dataclass(slots=True)
class Scope:
    """``text``: what is left out, in words; empty where nothing is."""

    incidents: list[Incident]
    findings: list[Finding]
    services: list[str]
    text: str


def scope_of(analysis: Analysis, request: ScopeRequest, zone: TimeZone = UTC) -> Scope:
    """``zone``: of times without an offset. Raises UsageError where nothing fits the request."""
    document = analysis.document
    everything = document.incidents
    if not (request.incident or request.since or request.until):
        return Scope(list(everything), list(document.findings), [s.id for s in document.services], "")
    since, until = _bound(analysis, request.since, zone), _bound(analysis, request.until, zone)
    low = rfc3339(since) if since is not None else "0"
    high = rfc3339(until) if until is not None else "9"
    chosen = [i for i in everything if i.id.startswith(request.incident) and low <= i.at <= high]
    if request.incident and len({i.id for i in chosen}) != 1:
        alike = chosen or everything
        how_many = "no incident" if not chosen else "more than one incident"
        raise UsageError(
            f"{how_many} begins with {safe_text(request.incident, 40)}",
            f"there are {listed([i.id for i in alike], 5)}" if alike else "there are none",
        )
    named = {name for incident in chosen for name in incident.findings}
    services = list(dict.fromkeys(i.service for i in chosen))
    findings = [
        f
        for f in document.findings
        if f.id in named or (f.rule != ABORT and _is_beside(f, services, low, high, bool(request.incident)))
    ]
    if not findings:
        raise UsageError("nothing was found in this time range", _range(analysis, zone))
    services += [f.service for f in findings if f.service and f.service not in services]
    return Scope(
        chosen,
        findings,
        list(dict.fromkeys(services)),
        f"about {len(chosen)} of {len(everything)} incidents"
        + (f", {_words(since, until, zone)}" if request.since or request.until else ""),
    )


def _is_beside(finding: Finding, services: list[str], low: str, high: str, is_one: bool) -> bool:
    if finding.service in services and finding.rule in BESIDE:
        return True
    return not is_one and finding.first is not None and low <= finding.first <= high


def _bound(analysis: Analysis, text: str, zone: TimeZone) -> int | None:
    """A bound; None where there is none. Raises UsageError."""
    if not text:
        return None
    first_ns = next((nanoseconds(c.first) for c in analysis.document.captures if c.first), 0)
    bound = zone.nanoseconds(text, first_ns)
    if bound is None:
        raise UsageError(f"{safe_text(text, 40)}: no time such as 17:28:21 or 2026-11-23T17:28:21Z")
    return bound


def _words(since: int | None, until: int | None, zone: TimeZone) -> str:
    bounds = (("from", since), ("to", until))
    return " ".join(f"{word} {zone.moment(bound)}" for word, bound in bounds if bound is not None)


def _range(analysis: Analysis, zone: TimeZone) -> str:
    times = sorted(nanoseconds(i.at) for i in analysis.document.incidents)
    return (
        f"incidents lie between {zone.rfc3339(times[0])} and {zone.rfc3339(times[-1])}"
        if times
        else "there are no incidents"
    )
