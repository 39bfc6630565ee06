"""The first screen of a story with several services, or none: what matters first, noise last."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from inspector.findings.judge import Analysis
from inspector.reports import overview
from inspector.safe import safe_text
from inspector.tui.marks import Kind, Line, content, glyphs, listed
from inspector.tui.overview import OverviewScreen
from inspector.tui.rows import Cell, Column, Rows

STATE_KINDS: dict[str, Kind] = {"confirmed": "bad", "exposed": "warn", "unknown": "warn", "protected": "good", "not_this": ""}


class ServicesScreen(Screen[None]):
    """All services with their assessments."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "app.quit", "Quit", tooltip="Leave the program"), Binding("question_mark", "app.keys", "Keys")]

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self._analysis = analysis
        self._services = overview.ordered(analysis.document)

    def compose(self) -> ComposeResult:
        """A heading, the services, what was not TLS."""
        document = self._analysis.document
        frames = sum(c.packets for c in document.captures)
        names = ", ".join(safe_text(c.path, 60) for c in document.captures[:2]) + (f" and {len(document.captures) - 2} more" if len(document.captures) > 2 else "")
        lines: list[Line] = [[(names, "head"), (f"   {frames:,} frames   {overview.length(document)}   all times UTC", "dim")]]
        yield Static(content(lines), id="heading")
        columns = [Column("SERVICE", 30), Column("", 1), Column("assessment", 0), Column("connections", 11, 2, True), Column("back ends", 9, 1, True)]
        empty = f"No TLS was found in {overview.counted(frames, 'frame')}."
        yield Rows(columns, len(self._services), self._row, empty, id="services")
        limits = [limit.text for limit in document.limits[:3]]
        if limits:
            text: list[Line] = [[("LIMITS", "head")], *listed(limits, "dim")]
            yield Static(content(text), id="limits")
        yield Footer()

    def _row(self, index: int) -> list[Cell]:
        service = self._services[index]
        state = service.assessment.state
        return [
            (overview.title(service), ""),
            (overview.MARKS[state], STATE_KINDS[state]),
            (safe_text(service.assessment.sentence), STATE_KINDS[state]),
            (f"{service.connections:,}", ""),
            (str(len(service.backends)), ""),
        ]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        """Open a service."""
        self.app.push_screen(OverviewScreen(self._analysis, self._services[message.index]))

    def on_mount(self) -> None:
        """The terminal's own title."""
        self.app.title = glyphs("Inspector")
