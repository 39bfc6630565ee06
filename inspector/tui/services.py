"""All services: what matters first, noise folded into a line; below the table, what the row under the cursor says in
full.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from inspector.document import Service
from inspector.reports import overview
from inspector.reports.lines import Line, wrap
from inspector.text.cells import cut
from inspector.text.safe import safe_text
from inspector.tui.page import STATE_KINDS, Area
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.styles import StillText, listed, paragraph

COLUMNS = [
    Column("SERVICE", 30),
    Column("", 1),
    Column("assessment", 0),
    Column("aborted", 7, 3, True),
    Column("connections", 11, 2, True),
    Column("back ends", 9, 1, True),
]


class ServicesScreen(Area):
    """A table of services; below it the one under the cursor in full, and what was not TLS."""

    AREA: ClassVar[str] = "services"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "P", "probe", "Probe", tooltip="Propose a probe of the service; nothing is sent before a yes", id="probe"
        )
    ]
    DEFAULT_CSS = """
    ServicesScreen {
        #verdict { height: auto; padding: 0 1; margin-bottom: 1; }
        #noise { height: auto; padding: 0 1; }
    }
    """

    def body(self) -> ComposeResult:
        self._services: list[Service] = []
        self._chosen: str | None = None
        yield Rows(COLUMNS, 0, self._row, "No TLS.", id="services")
        yield StillText(id="verdict")
        yield StillText(id="noise")

    def subject(self, width: int) -> Line:
        """What was read."""
        document = self.state.document
        frames = sum(c.packets for c in document.captures)
        names = ", ".join(safe_text(c.path, 60) for c in document.captures[:2]) + (
            f" and {len(document.captures) - 2} more" if len(document.captures) > 2 else ""
        )
        summary = f"   {frames:,} frames   {overview.length(document)}   {overview.times(document, self.state.zone)}"
        return [(cut(names, max(width - len(summary), 12)), "head"), (summary, "dim")]

    def renew(self) -> None:
        """The services as they are now; the cursor stays on its service, and goes to one that was chosen."""
        super().renew()
        document = self.state.document
        self._services = overview.ordered(document)
        in_view = self.state.in_view
        chosen = in_view.id if in_view is not None and self.state.is_chosen else None
        target = (
            next((i for i, s in enumerate(self._services) if s.id == chosen), None) if chosen != self._chosen else None
        )
        self._chosen = chosen
        rows = self.query_one(Rows)
        rows.renew([s.id for s in self._services], target, overview.nothing_found(self.state.now))
        self.query_one("#noise", StillText).show(self._noise())
        self._show_news(rows.cursor)

    def _noise(self) -> list[Line]:
        document = self.state.document
        lines: list[Line] = []
        checked = [s for s in document.services if s.health_checks]
        if checked:
            checked_services = "; ".join(f"{s.health_checks:,} to {overview.title(s)}" for s in checked[:3]) + (
                f" and {len(checked) - 3} services more" if len(checked) > 3 else ""
            )
            lines.append([(f"○ health checks: {checked_services}; hello and close, left out of all rates", "dim")])
        others = sum(s.other_flows for s in document.services)
        if others:
            lines.append([(f"○ {overview.counted(others, 'TCP flow')} without TLS on these ports", "dim")])
        limits = [limit.text for limit in document.limits[:3]]
        if limits:
            lines += [[("LIMITS", "head")], *listed(limits, "dim")]
        return lines

    def _show_news(self, index: int) -> None:
        if not self._services:
            self.query_one("#verdict", StillText).show([])
            return
        service = self._services[index]
        width = max(self.size.width - 2, 20)
        lines: list[Line] = [
            [(line, STATE_KINDS[service.assessment.state])]
            for line in wrap(overview.sentence(service), "", "  ", width)
        ]
        if service.assessment.is_actionable:
            lines += paragraph(safe_text(f"Do: {service.assessment.do}"), "  ", "      ", width, "head")
        self.query_one("#verdict", StillText).show(lines)

    def _row(self, index: int) -> list[Cell]:
        service = self._services[index]
        state = service.assessment.state
        return [
            (overview.title(service), ""),
            (overview.MARKS[state], STATE_KINDS[state]),
            (safe_text(service.assessment.sentence), STATE_KINDS[state]),
            (f"{service.aborted:,}", "bad" if service.aborted else "dim"),
            (f"{service.connections:,}", ""),
            (str(len(service.backends)), ""),
        ]

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._show_news(message.index)

    def on_rows_selected(self, message: Rows.Selected) -> None:
        self.state.choose(self._services[message.index].id)
        self.inspector.open_area("overview")

    def action_probe(self) -> None:
        """Propose a probe of the service under the cursor."""
        at = self.query_one(Rows).cursor
        self.inspector.propose_probe(self._services[at] if self._services else None)

    def step(self, step: int) -> bool:
        """To the next service in which something is wrong."""
        return self.query_one(Rows).seek(
            step, lambda i: self._services[i].assessment.state in ("confirmed", "exposed", "not_this")
        )
