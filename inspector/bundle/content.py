"""What a report says, as values that HTML and Markdown are written from: assessment first, then the story, the pool,
what to do, what was not seen.

All numbers are those of the analysis document. Every statement about packets says where it stands: in the original, in
the evidence, and as a line for Wireshark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.bundle.costs import Costs, costs
from inspector.bundle.figures import Chart, chart
from inspector.bundle.members_drawing import MembersDrawing, members_drawing
from inspector.bundle.scope import Scope
from inspector.bundle.slices import Slice
from inspector.bundle.statements import EvidenceFrames, Location, Statement, evidence_of
from inspector.bundle.stories import FailureStory, IncidentStory, failure_story, incident_story, ladder_text
from inspector.document import Client, Finding, Incident, Limit, LogFile, Remedy, Service
from inspector.findings.case import Case
from inspector.findings.change import ABORT
from inspector.findings.failures import RULE as FAILED
from inspector.findings.judge import Analysis
from inspector.reports import attributes, overview, probed, what_if
from inspector.reports.changes import lost, moments
from inspector.reports.lines import Cell, plain
from inspector.text.times import span
from inspector.text.zones import TimeZone

STORIES = 3
"""Incidents, and failures of each service, that are described in full; one of each kind is among the first."""

SERVICES, MORE_SERVICES = 12, 100
"""Services that are described in full, and in a line."""

LISTED = 300
FINDINGS = 40
CLIENTS = 20
NAME_WIDTH = 60
SEARCHED = 500


@dataclass(frozen=True, slots=True)
class LadderLine:
    """An incident in a line."""

    incident: Incident
    text: str
    verdict: str
    client: str
    where: Location | None
    log: str


@dataclass(frozen=True, slots=True)
class ReportPart:
    """A service."""

    service: Service
    title: str
    heading: str
    sentence: str
    standing: str
    since: str
    clients_line: str
    impact: str
    probed: list[str]
    would_have_helped: list[list[str]]
    more_harmful: int
    weighing: Sequence[str]
    """What the weighing of the remedies assumes."""
    differing: list[list[str]]
    """Attributes in which back ends differ, and a head; empty where they do not."""
    alike: list[str]
    measured: list[str]
    pool: list[list[str]]
    more_backends: int
    shown: list[Statement]
    """Where each back end shows itself."""
    matrix: list[list[str]]
    matrix_note: str
    chart: Chart | None
    members: MembersDrawing | None
    """Each back end over time."""
    costs: Costs
    lost: str
    clients: list[Client]
    more_clients: int
    stories: list[IncidentStory]
    failures: list[FailureStory]
    lines: list[LadderLine]
    more_lines: int


@dataclass(frozen=True, slots=True)
class Other:
    """A finding that is told in short. ``lines``: the ladder of its connection, and what a renegotiation's certificate
    was, as text.
    """

    finding: Finding
    evidence: list[Statement]
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Advice:
    """What one audience can do, best first. ``number``: of each in the whole list."""

    audience: str
    remedies: list[tuple[int, Remedy]]


@dataclass(frozen=True, slots=True)
class Content:
    """A report. ``kind``: what of."""

    kind: str
    title: str
    parts: list[ReportPart]
    more: list[str]
    """Further services, a line each."""
    others: list[Other]
    more_others: int
    advice: list[Advice]
    references: list[str]
    limits: list[Limit]
    logs: list[LogFile]
    scope: str
    times: str
    """In which zone they are shown."""

    incidents: int
    left_out: int
    nothing: str
    """What is said where there is no service."""


def content_of(analysis: Analysis, scope: Scope, cut: Slice, evidence: dict[int, int], zone: TimeZone) -> Content:
    """``evidence``: frame numbers there, by original reference. ``zone``: of all times."""
    document = analysis.document
    zone = overview.zone_over(document, zone)
    frames = EvidenceFrames(analysis, evidence)
    services = [s for s in overview.ordered(document) if s.id in scope.services]
    parts = [_part(analysis, service, scope, frames, set(cut.incidents), zone) for service in services[:SERVICES]]
    more = [f"{overview.title(s)}: {overview.sentence(s)}" for s in services[SERVICES : SERVICES + MORE_SERVICES]]
    if len(services) > SERVICES + MORE_SERVICES:
        more.append(f"and {len(services) - SERVICES - MORE_SERVICES} more; analysis.json has all")
    in_stories = {failure.finding.id for part in parts for failure in part.failures}
    others = [f for f in scope.findings if f.rule != ABORT and f.id not in in_stories]
    title = (
        overview.title(services[0])
        + (f" and {overview.counted(len(services) - 1, 'more service')}" if len(services) > 1 else "")
        if services
        else "no TLS found"
    )
    is_probe = bool(document.captures) and all(capture.source == "probe" for capture in document.captures)
    return Content(
        kind="Probe report" if is_probe else "Incident report",
        title=title,
        parts=parts,
        more=more,
        others=[Other(f, evidence_of(frames, f), ladder_text(analysis, f, zone)) for f in others[:FINDINGS]],
        more_others=max(len(others) - FINDINGS, 0),
        advice=_advice(scope.findings),
        references=list(
            dict.fromkeys(r for f in scope.findings if f.remedies for r in f.references)
        ),  # what needs no remedy is not what the report is about
        limits=document.limits,
        logs=document.logs,
        scope=scope.text,
        times=overview.times(document, zone),
        incidents=len(scope.incidents),
        left_out=len(scope.incidents) - len(cut.incidents),
        nothing=overview.nothing_found(analysis),
    )


def _part(
    analysis: Analysis, service: Service, scope: Scope, frames: EvidenceFrames, proven: set[str], zone: TimeZone
) -> ReportPart:
    document, case = analysis.document, analysis.case
    members = case.members(next(s for s in case.services if s.id == service.id))
    incidents = [i for i in scope.incidents if i.service == service.id]
    clients = sorted(
        (c for c in document.clients if c.id in set(service.clients)), key=lambda c: (-c.aborted, -c.connections)
    )
    ladders = _ladders(analysis, [i for i in incidents if i.id in proven])
    by_id = {f.id: f for f in scope.findings}
    named = {c.id: f"{c.ip} ({overview.stack_name(c)})" for c in document.clients}
    members_by_id = {s.id: s for s in members}
    spent = costs(members)
    lines = []
    for incident in incidents[:LISTED]:
        finding = by_id[incident.findings[0]]
        declined = next((e for e in finding.evidence if e.role == "declined"), None)
        connection = members_by_id.get(incident.connections[-1])
        log = _logged(case, connection.index) if connection is not None else ""
        lines.append(
            LadderLine(
                incident,
                overview.incident_line(incident, zone),
                finding.verdict,
                named.get(finding.clients[0], ""),
                frames.location_of(declined.frames) if declined else None,
                log,
            )
        )
    return ReportPart(
        service=service,
        title=overview.title(service),
        heading=overview.heading(document, service, zone),
        sentence=overview.sentence(service),
        standing=overview.standing(service),
        since="   ".join(overview.since(document, service, zone)),
        clients_line=overview.clients(document, service),
        impact=overview.impact(service),
        probed=probed.lines_of(document, service),
        would_have_helped=what_if.rows(document, service),
        more_harmful=what_if.more(service),
        weighing=what_if.NOTES,
        differing=_plain_rows(attributes.table_rows(document, service, zone)),
        alike=attributes.equal(service),
        measured=attributes.measured(document, service),
        pool=_plain_rows(overview.pool_rows(document, service, NAME_WIDTH)),
        more_backends=max(len(service.backends) - overview.MOST_BACKENDS, 0),
        shown=_shown(analysis, service, frames),
        matrix=_plain_rows(overview.matrix_rows(document, service)) if service.matrix else [],
        matrix_note=plain(overview.matrix_note(service)),
        chart=chart(case, members, zone),
        members=members_drawing(
            case,
            members,
            overview.member_names(document, service),
            moments(case, service),
            zone,
            lost(case, document, service),
        ),
        costs=spent,
        lost=span(int(spent.lost_ms * 1e6)) if spent.lost_ms is not None else "",
        clients=clients[:CLIENTS],
        more_clients=max(len(clients) - CLIENTS, 0),
        stories=[incident_story(analysis, incident, by_id[incident.findings[0]], frames, zone) for incident in ladders],
        failures=[
            failure_story(analysis, finding, frames, zone)
            for finding in [f for f in scope.findings if f.rule == FAILED and f.service == service.id][:STORIES]
        ],
        lines=lines,
        more_lines=max(len(incidents) - LISTED, 0),
    )


def _plain_rows(rows: list[list[Cell]]) -> list[list[str]]:
    return [[plain(cell) for cell in row] for row in rows]


def _logged(case: Case, index: int) -> str:
    """The log line of an abort; with a question mark where it may be another's."""
    joined = [line for line in case.logged.lines.get(index, ()) if line.failure.kind == "certificate_change"]
    return ", ".join(
        case.log_place(line.log, line.failure.line) + ("" if line.is_certain else " ?") for line in joined[:3]
    )


def _shown(analysis: Analysis, service: Service, frames: EvidenceFrames) -> list[Statement]:
    """The first handshake of each back end that is among the evidence, else the first of all."""
    case = analysis.case
    statements = []
    for backend in [b for b in case.backends if case.services[b.service].id == service.id][: overview.MOST_BACKENDS]:
        handshakes = [case.observed[i].client_leg.handshake for i in backend.connections[:SEARCHED]]
        full = [h for h in handshakes if h.certificate_frame] or handshakes
        best = next((h for h in full if h.answer_frame in frames.numbers), full[0] if full else None)
        if best is not None:
            words = "its certificate" if best.certificate_frame else "an answer of it"
            statements.append(
                Statement(
                    backend.label,
                    words,
                    "observed",
                    frames.location((best.hello_frame, best.answer_frame, best.certificate_frame)),
                )
            )
    return statements


def _ladders(analysis: Analysis, incidents: list[Incident]) -> list[Incident]:
    """Those described in full: confirmed ones first, each with another pair of back ends."""
    kinds: dict[object, Incident] = {}
    verdicts = {f.id: f for f in analysis.document.findings}
    for incident in sorted(incidents, key=lambda i: verdicts[i.findings[0]].verdict != "confirmed"):
        kinds.setdefault(tuple(verdicts[incident.findings[0]].backends), incident)
    ordered = list(dict.fromkeys([i.id for i in kinds.values()] + [i.id for i in incidents]))[:STORIES]
    return [i for i in incidents if i.id in ordered]


def _advice(findings: Sequence[Finding]) -> list[Advice]:
    """All remedies, each once, by audience in the order of the best one for each."""
    remedies = list(dict.fromkeys(r for f in findings for r in f.remedies))
    advice: dict[str, list[tuple[int, Remedy]]] = {}
    for number, remedy in enumerate(remedies, 1):
        advice.setdefault(remedy.audience, []).append((number, remedy))
    return [Advice(audience, listed) for audience, listed in advice.items()]
