"""What a report is about: all incidents, one, or those of a time range, and the findings beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from inspector.document import Finding, Incident
from inspector.document.rules import BESIDE
from inspector.errors import UsageError
from inspector.findings.change import ABORT
from inspector.findings.judge import Analysis
from inspector.text.safe import safe_text
from inspector.text.times import rfc3339


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """``incident``: the start of an id. ``since``, ``until``: RFC 3339, or a time of the captures' first
    day; all UTC.
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


def scope_of(analysis: Analysis, request: ScopeRequest) -> Scope:
    """Raises UsageError where nothing fits the request."""
    document = analysis.document
    everything = document.incidents
    if not (request.incident or request.since or request.until):
        return Scope(list(everything), list(document.findings), [s.id for s in document.services], "")
    low, high = _moment(analysis, request.since, "0"), _moment(analysis, request.until, "9")
    chosen = [i for i in everything if i.id.startswith(request.incident) and low <= i.at <= high]
    if request.incident and len({i.id for i in chosen}) != 1:
        few = ", ".join(i.id for i in everything[:5])
        how_many = "no incident" if not chosen else "more than one incident"
        raise UsageError(
            f"{how_many} begins with {safe_text(request.incident, 40)}",
            f"there are {few}" if few else "there are none",
        )
    named = {name for incident in chosen for name in incident.findings}
    services = list(dict.fromkeys(i.service for i in chosen))
    findings = [
        f
        for f in document.findings
        if f.id in named or (f.rule != ABORT and _is_beside(f, services, low, high, bool(request.incident)))
    ]
    if not findings:
        raise UsageError("nothing was found in this time range", _range(analysis))
    services += [f.service for f in findings if f.service and f.service not in services]
    return Scope(
        chosen,
        findings,
        list(dict.fromkeys(services)),
        f"about {len(chosen)} of {len(everything)} incidents"
        + (f", {_words(request)}" if request.since or request.until else ""),
    )


def _is_beside(finding: Finding, services: list[str], low: str, high: str, is_one: bool) -> bool:
    if finding.service in services and finding.rule in BESIDE:
        return True
    return not is_one and finding.first is not None and low <= finding.first <= high


def _moment(analysis: Analysis, text: str, missing: str) -> str:
    """A bound that compares with the document's times. Raises UsageError."""
    if not text:
        return missing
    day = next((c.first[:10] for c in analysis.document.captures if c.first), "1970-01-01")
    if re.fullmatch(r"\d\d:\d\d(:\d\d(\.\d+)?)?", text):
        text = f"{day}T{text}Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{safe_text(text, 40)}: no time such as 17:28:21 or 2026-11-23T17:28:21Z") from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return rfc3339(int(moment.timestamp() * 1_000_000) * 1000)


def _words(request: ScopeRequest) -> str:
    return " ".join(
        filter(None, (f"from {request.since}" if request.since else "", f"to {request.until}" if request.until else ""))
    )


def _range(analysis: Analysis) -> str:
    times = sorted(i.at for i in analysis.document.incidents)
    return f"incidents lie between {times[0]} and {times[-1]}" if times else "there are no incidents"
