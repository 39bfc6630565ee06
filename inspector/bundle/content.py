"""What a report says, as values that HTML and Markdown are written from: assessment first, then the story, the pool,
what to do, what was not seen.

All numbers are those of the analysis document. Every statement about packets says where it stands: in the original, in
the evidence, and as a line for Wireshark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.bundle.costs import Costs, costs
from inspector.bundle.figures import Chart, LadderDrawing, chart, ladder_drawing
from inspector.bundle.members_drawing import MembersDrawing, members_drawing
from inspector.bundle.scope import Scope
from inspector.bundle.slices import Slice
from inspector.document import Client, Finding, FrameRef, Incident, Limit, LogFile, Remedy, Service
from inspector.facts import FRAME_BITS, frame_reference
from inspector.findings.case import Case
from inspector.findings.change import ABORT
from inspector.findings.failures import RULE as FAILED
from inspector.findings.judge import Analysis
from inspector.findings.renegotiation import CHANGED
from inspector.reports import attributes, overview, what_if, why, why_failed
from inspector.reports.changes import lost, moments
from inspector.reports.inside import renegotiation_lines
from inspector.reports.lines import Cell, plain
from inspector.reports.story import Ladder, chapters, ladder, lane_names
from inspector.reports.text import ladder_lines
from inspector.text.times import span

STORIES = 3
"""Incidents, and failures of each service, that are described in full; one of each kind is among the first."""

SERVICES, MORE_SERVICES = 12, 100
"""Services that are described in full, and in a line."""

LISTED = 300
FINDINGS = 40
EVIDENCE = 6
CLIENTS = 20
NAME_WIDTH = 60
SEARCHED = 500
SENTENCE_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Location:
    """``original``: as people count. ``evidence``: frame numbers there, empty where it is not among the evidence.
    ``filter``: for Wireshark.
    """

    original: str
    evidence: str
    filter: str


class EvidenceFrames:
    """From the frames of the input to those of the evidence."""

    def __init__(self, analysis: Analysis, evidence: dict[int, int]) -> None:
        self.numbers = evidence
        self._analysis = analysis

    def location(self, references: Sequence[int]) -> Location | None:
        """None where no frame is known."""
        known = [r for r in dict.fromkeys(references) if r]
        if not known:
            return None
        numbers = [self.numbers[r] for r in known if r in self.numbers]
        named = " || ".join(f"frame.number == {n}" for n in (numbers or [r & (1 << FRAME_BITS) - 1 for r in known]))
        return Location(why.frame_text(self._analysis, *known), ", ".join(map(str, numbers)), named)

    def location_of(self, frames: Sequence[FrameRef]) -> Location | None:
        """The same for references as the document writes them."""
        return self.location([frame_reference(capture, number) for capture, number in frames])


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim: its mark, what it says, how sure it is, where it stands."""

    mark: str
    text: str
    grade: str
    where: Location | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldStory:
    """A finding in full, told by one connection. ``lines``: the ladder as text. ``rows``: two certificates, one beside
    the other.
    """

    finding: Finding
    drawing: LadderDrawing
    lines: list[str]
    steps: list[Statement]
    evidence: list[Statement]
    rows: list[why.ReasonRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStory(ToldStory):
    """An incident. ``rows``: both certificates; ``decided``: by which step."""

    incident: Incident
    decided: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStory(ToldStory):
    """Failed handshakes, told by the first of them. ``rows``: the certificate that was accepted elsewhere beside the
    one that was not, below what they are ``called``.
    """

    called: tuple[str, str]


@dataclass(frozen=True, slots=True)
class LadderLine:
    """An incident in a line."""

    incident: Incident
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
    """A report."""

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
    incidents: int
    left_out: int
    nothing: str
    """What is said where there is no service."""


def content_of(analysis: Analysis, scope: Scope, cut: Slice, evidence: dict[int, int]) -> Content:
    """``evidence``: frame numbers there, by original reference."""
    document = analysis.document
    frames = EvidenceFrames(analysis, evidence)
    services = [s for s in overview.ordered(document) if s.id in scope.services]
    parts = [_part(analysis, service, scope, frames, set(cut.incidents)) for service in services[:SERVICES]]
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
    return Content(
        title=title,
        parts=parts,
        more=more,
        others=[Other(f, _evidence(frames, f), _ladder_lines(analysis, f)) for f in others[:FINDINGS]],
        more_others=max(len(others) - FINDINGS, 0),
        advice=_advice(scope.findings),
        references=list(
            dict.fromkeys(r for f in scope.findings if f.remedies for r in f.references)
        ),  # what needs no remedy is not what the report is about
        limits=document.limits,
        logs=document.logs,
        scope=scope.text,
        incidents=len(scope.incidents),
        left_out=len(scope.incidents) - len(cut.incidents),
        nothing=overview.nothing_found(document),
    )


def _part(analysis: Analysis, service: Service, scope: Scope, frames: EvidenceFrames, proven: set[str]) -> ReportPart:
    document, case = analysis.document, analysis.case
    members = case.members(next(s for s in case.services if s.id == service.id))
    incidents = [i for i in scope.incidents if i.service == service.id]
    clients = sorted(
        (c for c in document.clients if c.id in set(service.clients)), key=lambda c: (-c.aborted, -c.connections)
    )
    ladders = _ladders(analysis, [i for i in incidents if i.id in proven])
    by_id = {f.id: f for f in scope.findings}
    named = {c.id: f"{c.ip} ({'Java' if c.stack == 'jsse' else c.stack})" for c in document.clients}
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
                finding.verdict,
                named.get(finding.clients[0], ""),
                frames.location_of(declined.frames) if declined else None,
                log,
            )
        )
    return ReportPart(
        service=service,
        title=overview.title(service),
        heading=overview.heading(document, service),
        sentence=overview.sentence(service),
        standing=overview.standing(service),
        since="   ".join(overview.since(document, service)),
        clients_line=overview.clients(document, service),
        impact=overview.impact(service),
        probed=overview.probed(document, service),
        would_have_helped=what_if.rows(document, service),
        more_harmful=what_if.more(service),
        weighing=what_if.NOTES,
        differing=_plain_rows(attributes.table_rows(document, service)),
        alike=attributes.equal(service),
        measured=attributes.measured(document, service),
        pool=_plain_rows(overview.pool_rows(document, service, NAME_WIDTH)),
        more_backends=max(len(service.backends) - overview.MOST_BACKENDS, 0),
        shown=_shown(analysis, service, frames),
        matrix=_plain_rows(overview.matrix_rows(document, service)) if service.matrix else [],
        matrix_note=plain(overview.matrix_note(service)),
        chart=chart(case, members),
        members=members_drawing(
            case,
            members,
            overview.member_names(document, service),
            moments(case, service),
            lost(case, document, service),
        ),
        costs=spent,
        lost=span(int(spent.lost_ms * 1e6)) if spent.lost_ms is not None else "",
        clients=clients[:CLIENTS],
        more_clients=max(len(clients) - CLIENTS, 0),
        stories=[_story(analysis, incident, by_id[incident.findings[0]], frames) for incident in ladders],
        failures=[
            _failure(analysis, finding, frames)
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


def _story(analysis: Analysis, incident: Incident, finding: Finding, frames: EvidenceFrames) -> IncidentStory:
    ladder_of: Ladder = ladder(analysis, incident)
    steps = _statements(why.steps(analysis, incident), frames)
    rows, decided = why.certificates(analysis, incident)
    return IncidentStory(
        incident=incident,
        finding=finding,
        drawing=ladder_drawing(ladder_of, lane_names(analysis.document, ladder_of), frames.numbers),
        lines=ladder_lines(ladder_of),
        steps=steps,
        evidence=_evidence(frames, finding),
        rows=rows,
        decided=decided,
    )


def _statements(steps: Sequence[why.ReasonStep], frames: EvidenceFrames) -> list[Statement]:
    return [
        Statement(why.MARKS[s.holds], s.text, overview.WORDS[s.grade], frames.location(s.references)) for s in steps
    ]


def _failure(analysis: Analysis, finding: Finding, frames: EvidenceFrames) -> FailureStory:
    observed = next(s for s in analysis.case.observed if s.id == finding.connections[0])
    ladder_of = Ladder(finding.title, chapters(analysis, observed))
    rows, works, fails = why_failed.certificates(analysis, finding)
    return FailureStory(
        finding=finding,
        drawing=ladder_drawing(ladder_of, lane_names(analysis.document, ladder_of), frames.numbers),
        lines=ladder_lines(ladder_of),
        steps=_statements(why_failed.steps(analysis, finding), frames),
        evidence=_evidence(frames, finding),
        rows=rows,
        called=(works, fails),
    )


def _ladder_lines(analysis: Analysis, finding: Finding) -> list[str]:
    """The connection of a renegotiation that matters, or the first one of those that failed."""
    observed = (
        next((s for s in analysis.case.observed if s.id == finding.connections[0]), None)
        if finding.rule in (CHANGED, FAILED)
        else None
    )
    if observed is None:
        return []
    if finding.rule == FAILED:
        return ladder_lines(Ladder("", chapters(analysis, observed)))
    sentences = [
        line
        for number in range(len(observed.renegotiations))
        for line in ["", *map(plain, renegotiation_lines(analysis, observed, number, SENTENCE_WIDTH))]
    ]
    return [*ladder_lines(Ladder("", chapters(analysis, observed))), *sentences]


def _evidence(frames: EvidenceFrames, finding: Finding) -> list[Statement]:
    return [
        Statement(e.role.replace("_", " "), e.text, overview.WORDS[finding.grade], frames.location_of(e.frames))
        for e in finding.evidence[:EVIDENCE]
    ]


def _advice(findings: Sequence[Finding]) -> list[Advice]:
    """All remedies, each once, by audience in the order of the best one for each."""
    remedies = list(dict.fromkeys(r for f in findings for r in f.remedies))
    advice: dict[str, list[tuple[int, Remedy]]] = {}
    for number, remedy in enumerate(remedies, 1):
        advice.setdefault(remedy.audience, []).append((number, remedy))
    return [Advice(audience, listed) for audience, listed in advice.items()]
