"""The connections of a service, one a line."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from inspector.document import Connection, Service
from inspector.findings.judge import Analysis
from inspector.reports import overview
from inspector.tui.marks import Kind, content
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.story import ConnectionScreen

COLUMNS = [
    Column("time", 12),
    Column("client", 22, 6),
    Column("port", 5, 8, True),
    Column("back end", 8),
    Column("", 1),
    Column("outcome", 11),
    Column("handshake", 19),
    Column("session", 10, 4),
    Column("EMS", 3, 3),
    Column("TLS", 7, 2),
    Column("frame", 9, 5, True),
    Column("alert", 20, 1),
]
OUTCOMES: dict[str, tuple[str, Kind]] = {"aborted": ("✖", "bad"), "established": ("●", "good"), "incomplete": ("◌", "warn")}


class ConnectionsScreen(Screen[None]):
    """All connections of one service in the order of their ClientHellos."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("q", "app.quit", "Quit", tooltip="Leave the program"),
        Binding("question_mark", "app.keys", "Keys"),
    ]

    def __init__(self, analysis: Analysis, service: Service) -> None:
        super().__init__()
        self._analysis = analysis
        self._service = service
        index = next(i for i, s in enumerate(analysis.document.services) if s.id == service.id)
        self._indexes = analysis.case.services[index].connections
        self._labels = {b.id: b.label for b in analysis.document.backends}

    def compose(self) -> ComposeResult:
        """The table."""
        yield Static(content([[(overview.heading(self._analysis.document, self._service), "head")]]), id="heading")
        yield Rows(COLUMNS, len(self._indexes), self._row, "No connection.", id="connections")
        yield Footer()

    def _row(self, index: int) -> list[Cell]:
        c = self._analysis.connection(self._indexes[index])
        h = c.handshakes[0]
        mark, kind = OUTCOMES[c.outcome]
        if c.health_check:
            mark, kind = "○", "dim"
        alert = next((a.name or "encrypted" for a in c.alerts if a.level == 2), "")
        frame = h.frames.client_hello or c.frames.first
        return [
            (c.first_seen[11:23], "dim"),
            (c.client_endpoint.ip, ""),
            (str(c.client_endpoint.port), ""),
            (self._labels.get(c.backend or "", "?"), ""),
            (mark, kind),
            ("health check" if c.health_check else c.outcome, kind),
            handshake(c),
            ((h.session.answered_id or "")[:8], "dim"),
            ("" if h.ems.negotiated is None else "yes" if h.ems.negotiated else "no", ""),
            (h.version or "–", ""),
            (f"{frame[1]:,}", "dim"),
            (alert, "warn"),
        ]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        """Open a connection."""
        self.app.push_screen(ConnectionScreen(self._analysis, self._indexes[message.index]))


def handshake(c: Connection) -> Cell:
    """How the first handshake was made."""
    first = c.handshakes[0]
    if first.kind is None:
        return ("–", "dim")
    if first.kind == "full":
        return ("◇ full, declined", "warn") if first.declined else ("○ full", "")
    return (f"● resumed {'id' if first.kind == 'session_id' else first.kind}", "good")
