"""A service at a glance: sentence and remedy first, then the pool, the matrix, and its incidents."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from inspector.document import Finding, Incident, Service
from inspector.findings.judge import Analysis
from inspector.reports import overview
from inspector.safe import safe_text
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.marks import Kind, Line, coloured, content, paragraph
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.story import FindingScreen, StoryScreen

SENTENCE_KINDS: dict[str, Kind] = {"confirmed": "bad", "exposed": "warn", "unknown": "warn", "protected": "good", "not_this": "head"}
SEVERITY_KINDS: dict[str, Kind] = {"high": "bad", "medium": "warn", "low": "", "info": "dim"}
TALL = 34
"""From this height on there is room for pool and matrix together."""


class OverviewScreen(Screen[None]):
    """One service."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", tooltip="To the services"),
        Binding("c", "connections", "Connections", tooltip="All connections of this service"),
        Binding("m", "matrix", "Matrix", tooltip="Who issued sessions and who was offered them, in place of the pool"),
        Binding("q", "app.quit", "Quit", tooltip="Leave the program"),
        Binding("question_mark", "app.keys", "Keys"),
    ]

    def __init__(self, analysis: Analysis, service: Service) -> None:
        super().__init__()
        self._analysis = analysis
        self._service = service
        document = analysis.document
        self._incidents: list[Incident] = [i for i in document.incidents if i.service == service.id]
        told = {f for i in self._incidents for f in i.findings}
        self._findings: list[Finding] = [f for f in document.findings if f.id not in told and f.service in (service.id, None)]
        self._with_matrix = False

    def compose(self) -> ComposeResult:
        """From the first thing to know to the last."""
        yield Static(id="heading")
        yield Static(id="verdict")
        with VerticalScroll(id="tables", can_focus=False):
            yield Static(id="pool")
            yield Static(id="matrix")
        columns = [Column("", 1), Column(f"INCIDENTS {len(self._incidents)}, OTHER FINDINGS {len(self._findings)}", 0), Column("log", 12, 1)]
        yield Rows(columns[:2], len(self._incidents) + len(self._findings), self._row, "No incident, and nothing else that is wrong.", id="incidents")
        yield Footer()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for the width that there is."""
        self._lay_out(event.size.width, event.size.height)

    def _lay_out(self, width: int, height: int) -> None:
        document, service = self._analysis.document, self._service
        self.query_one("#heading", Static).update(content([[(overview.heading(document, service), "head"), ("   all times UTC", "dim")]]))
        self.query_one("#verdict", Static).update(content(self._verdict(width - 2)))
        self.query_one("#pool", Static).update(content([coloured(line[2:]) for line in overview.pool(document, service, width)]))
        self.query_one("#matrix", Static).update(content([coloured(line[2:]) for line in overview.matrix(document, service)]))
        both = height >= TALL
        self.set_class(both, "-tall")
        self.query_one("#pool").display = both or not self._with_matrix
        self.query_one("#matrix").display = both or self._with_matrix

    def _verdict(self, width: int) -> list[Line]:
        document, service = self._analysis.document, self._service
        assessment = service.assessment
        kind = SENTENCE_KINDS[assessment.state]
        first = overview.wrap(overview.sentence(service), "", "  ", width)
        lines: list[Line] = [[(line, kind)] for line in first]
        lines[-1].append((f"   {overview.standing(service)}", "dim"))
        if assessment.state != "confirmed" and assessment.because:
            lines += paragraph(safe_text("; ".join(assessment.because)), "  ", "  ", width)
        details = "   ".join(filter(None, (overview.clients(document, service), overview.since(document, service))))
        lines += paragraph(details, "  ", "  ", width, "dim")
        if service.health_checks:
            lines.append([(f"  {overview.counted(service.health_checks, 'health check')} left out of all rates", "dim")])
        if assessment.do and assessment.do != "nothing":
            lines += [[(line, "head" if number == 0 else "")] for number, line in enumerate(overview.wrap(safe_text(f"Do: {assessment.do}"), "  ", "      ", width))]
        elif assessment.breaks_if:
            lines += paragraph(safe_text(f"It returns if {' or if '.join(assessment.breaks_if)}."), "  ", "  ", width)
        return lines

    def _row(self, index: int) -> list[Cell]:
        if index < len(self._incidents):
            return [("✖", "bad"), (safe_text(self._incidents[index].summary), "")]
        finding = self._findings[index - len(self._incidents)]
        return [("▲" if finding.severity in ("high", "medium") else "○", SEVERITY_KINDS[finding.severity]), (f"{finding.severity}: {safe_text(finding.title)}", "")]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        """Open a story, or a finding."""
        if message.index < len(self._incidents):
            self.app.push_screen(StoryScreen(self._analysis, self._incidents[message.index]))
        else:
            self.app.push_screen(FindingScreen(self._analysis, self._findings[message.index - len(self._incidents)]))

    def action_back(self) -> None:
        """To the services, where there are several."""
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()

    def action_connections(self) -> None:
        """All connections of the service."""
        self.app.push_screen(ConnectionsScreen(self._analysis, self._service))

    def action_matrix(self) -> None:
        """The matrix in place of the pool, and back."""
        self._with_matrix = not self._with_matrix
        self._lay_out(self.size.width, self.size.height)
