"""A service at a glance: sentence and remedy first, then pool, matrix and chart, and its incidents."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from inspector.document import Service
from inspector.reports import overview
from inspector.reports.lines import Kind, Line, flowing, plain, wrap
from inspector.text.safe import safe_text
from inspector.tui.chart import chart
from inspector.tui.finding_rows import FindingRow, cells, finding_rows
from inspector.tui.incidents import open_story
from inspector.tui.marks import content, paragraph
from inspector.tui.page import STATE_KINDS, Area
from inspector.tui.rows import Cell, Column, Rows

SENTENCE_KINDS: dict[str, Kind] = {**STATE_KINDS, "not_this": "head"}
TALL, TALLEST, WIDE = 32, 46, 112
"""From these heights on there is room for two and for all of pool, matrix and chart; from this width on matrix and
chart stand side by side.
"""
OTHER_LINES = 8
"""Bar, heading, gaps, keys, and at least three lines of incidents."""

MOST_LIMITS = 3
"""Lines on what was forgotten."""

PANES = ("pool", "matrix", "chart")
CHART_WIDTH = 44


class OverviewScreen(Area):
    """The service in view, from the first thing to know to the last."""

    AREA: ClassVar[str] = "overview"
    DEFAULT_CSS = """
    OverviewScreen {
        #verdict { height: auto; padding: 0 1; margin-bottom: 1; }
        #tables { height: auto; padding: 0 1; margin-bottom: 1; scrollbar-size-vertical: 1; }
        #pair { height: auto; layout: vertical; }
        #pool, #matrix, #chart { height: auto; width: auto; }
        &.-beside #pair { layout: horizontal; margin-top: 1; }
        &.-beside #chart { margin-left: 3; }
    }
    """
    AUTO_FOCUS = "Rows"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "m",
            "pane",
            "Matrix, chart",
            tooltip="Pool, issuer × responder matrix and chart in turn, where not all have room",
            id="pane",
        ),
        Binding(
            "r", "remedies", "Remedies", tooltip="All that can be done, for whom, and how to check it", id="remedies"
        ),
    ]

    def body(self) -> ComposeResult:
        self._pane = 0
        self._incident_rows: list[FindingRow] = []
        yield Static(id="verdict")
        with VerticalScroll(id="tables"):
            yield Static(id="pool")
            with Container(id="pair"):
                yield Static(id="matrix")
                yield Static(id="chart")
        columns = [Column("", 1), Column("INCIDENTS AND FINDINGS", 0)]
        yield Rows(columns, 0, self._row, "No incident, and nothing else that is wrong.", id="incidents")

    def renew(self) -> None:
        """The service in view; the cursor stays on its finding."""
        super().renew()
        state, rows = self.state, self.query_one(Rows)
        service = state.in_view
        if service is None:
            self.query_one("#verdict", Static).update(content([[(overview.nothing_found(state.document), "warn")]]))
            return
        self._incident_rows = state.kept(("findings", service.id), lambda: finding_rows(state.document, service))
        chosen = [
            f"INCIDENTS {sum(f.incident is not None for f in self._incident_rows)}",
            f"OTHER FINDINGS {sum(f.incident is None for f in self._incident_rows)}",
        ]
        rows.columns[1] = Column(", ".join(chosen), 0)
        rows.renew([f.id for f in self._incident_rows])
        self._lay_out(service, self.size.width or 80, self.size.height or 24)

    def _lay_out(self, service: Service, width: int, height: int) -> None:
        document = self.state.document
        beside = width >= WIDE and height >= TALL
        verdict = self._verdict(service, width - 2)
        self.query_one("#verdict", Static).update(content(verdict))
        self.query_one("#tables").styles.max_height = max(height - OTHER_LINES - len(verdict), 4)
        self.query_one("#pool", Static).update(content(overview.pool(document, service, width - 2)))
        matrix = overview.matrix(document, service)
        self.query_one("#matrix", Static).update(content(matrix))
        matrix_width = max(len(plain(line)) for line in matrix)
        room = min(CHART_WIDTH if beside else width - 2, width - matrix_width - 7 if beside else width)
        beside = beside and room >= 24
        self.query_one("#chart", Static).update(
            content(self._chart(service, room if beside else width - 2, max(min(height // 4, 9), 7)))
        )
        panes = 3 if beside or height >= TALLEST else 2 if height >= TALL else 1
        shown = {PANES[(self._pane + i) % 3] for i in range(panes)}
        self.set_class(beside, "-beside")
        for pane in PANES:
            self.query_one(f"#{pane}").display = pane in shown
        self.query_one("#pair").display = bool(shown - {"pool"})

    def _chart(self, service: Service, width: int, height: int) -> list[Line]:
        analysis = self.state.now
        members = analysis.case.services[self.state.service or 0].connections
        columns = self.state.columns
        document = self.state.document
        incidents = self.state.kept(
            ("at", service.id),
            lambda: [overview.nanoseconds(i.at) for i in document.incidents if i.service == service.id],
        )
        if columns is None:
            return [[("HANDSHAKES OVER TIME", "head")], [("  counted once all is read", "dim")]]
        places = np.asarray(members, np.int64)
        places = places[
            columns.time_ns[places] > self.state.whole_from_ns
        ]  # before that, what was forgotten would look like a pause
        return chart(columns.time_ns[places], columns.result[places], incidents, width, height)

    def _verdict(self, service: Service, width: int) -> list[Line]:
        document = self.state.document
        assessment = service.assessment
        first = wrap(overview.sentence(service), "", "  ", width)
        lines: list[Line] = [[(line, SENTENCE_KINDS[assessment.state])] for line in first]
        standing = f"   {overview.standing(service)}"
        if len(first[-1]) + len(standing) <= width:
            lines[-1].append((standing, "dim"))
        else:
            lines.append([(standing[1:], "dim")])
        if assessment.state not in ("confirmed", "not_this") and assessment.because:
            lines += paragraph(safe_text("; ".join(assessment.because)), "  ", "  ", width)
        details = [
            overview.clients(document, service),
            *overview.since(document, service),
            overview.impact(service),
        ]
        lines += [[(line, "dim")] for line in flowing(filter(None, details), "  ", width)]
        lines += [
            line
            for limit in document.limits
            if limit.kind == "bounded"
            for line in paragraph(safe_text(limit.text), "  ▲ ", "    ", width, "warn")
        ][:MOST_LIMITS]
        lines += [line for text in overview.checks(service) for line in paragraph(text, "  ", "    ", width, "dim")]
        if assessment.is_actionable:
            lines += [
                [(line, "head" if number == 0 else "")]
                for number, line in enumerate(wrap(safe_text(f"Do: {assessment.do}"), "  ", "      ", width))
            ]
        elif assessment.breaks_if:
            lines += paragraph(safe_text(f"It returns if {' or if '.join(assessment.breaks_if)}."), "  ", "  ", width)
        return lines

    def _row(self, index: int) -> list[Cell]:
        return list(cells(self._incident_rows[index]))

    def on_rows_selected(self, message: Rows.Selected) -> None:
        open_story(self, self._incident_rows, message.index)

    def action_pane(self) -> None:
        self._pane = (self._pane + 1) % 3
        self.renew()

    def action_remedies(self) -> None:
        """All remedies of what matters most."""
        if self._incident_rows:
            open_story(self, self._incident_rows, 0, at_remedies=True)

    def step(self, step: int) -> bool:
        return self.query_one(Rows).seek(step)

    def to_copy(self) -> tuple[str, str]:
        """Sentence, remedy, pool and matrix as text."""
        service = self.state.in_view
        if service is None:
            return super().to_copy()
        document = self.state.document
        tables = [*overview.pool(document, service), [], *overview.matrix(document, service)]
        texts = [
            overview.heading(document, service),
            *map(plain, self._verdict(service, 100)),
            "",
            *(f"  {plain(line)}".rstrip() for line in tables),
        ]
        return "this overview", "\n".join(texts) + "\n"
