"""A service at a glance: sentence and remedy first, then in what its back ends differ, pool, matrix, charts and what
would have helped, as many of these as there is room for, and its incidents.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from inspector.document import Service
from inspector.findings.gate import CERTIFICATE_CHANGE
from inspector.reports import attributes, overview, probed, what_if
from inspector.reports.changes import lost, moments
from inspector.reports.lines import Kind, Line, flowing, plain, wrap
from inspector.text.cells import cell_count
from inspector.text.safe import safe_text
from inspector.tui.chart import chart
from inspector.tui.finding_rows import FindingRow, cells, finding_rows, list_columns
from inspector.tui.incidents import open_story
from inspector.tui.page import STATE_KINDS, Area
from inspector.tui.rows import Cell, Rows
from inspector.tui.styles import StillText, paragraph
from inspector.tui.timeline import MemberTimes, TimedMember, timeline

SENTENCE_KINDS: dict[str, Kind] = {**STATE_KINDS, "not_this": "head"}
TALL, WIDE = 32, 112
"""From this size on matrix and chart stand side by side."""

OTHER_LINES = 5
"""Bar, heading, gaps, keys."""

FEWEST_ROWS = 2
"""Lines of incidents, their heading among them; up to a quarter of the screen where there are more."""

MOST_LIMITS = 3
"""Lines on what was forgotten."""

CHART_WIDTH, NARROWEST_CHART, APART = 44, 24, 3


class OverviewScreen(Area):
    """The service in view, from the first thing to know to the last."""

    AREA: ClassVar[str] = "overview"
    DEFAULT_CSS = """
    OverviewScreen {
        #verdict { height: auto; padding: 0 1; margin-bottom: 1; }
        #tables { height: auto; padding: 0 1; margin-bottom: 1; scrollbar-size-vertical: 1; }
        #panes { height: auto; width: auto; }
    }
    """
    AUTO_FOCUS = "Rows"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "m",
            "pane",
            "Next table",
            tooltip="What differs, pool, issuer × responder matrix, charts and what would have helped, in turn",
            id="pane",
        ),
        Binding(
            "r", "remedies", "Remedies", tooltip="All that can be done, for whom, and how to check it", id="remedies"
        ),
    ]

    def body(self) -> ComposeResult:
        self._pane = 0
        self._incident_rows: list[FindingRow] = []
        yield StillText(id="verdict")
        with VerticalScroll(id="tables"):
            yield StillText(id="panes")
        yield Rows(
            list_columns([], "INCIDENTS AND FINDINGS"),
            0,
            self._row,
            "No incident, and nothing else that is wrong.",
            id="incidents",
        )

    def renew(self) -> None:
        """The service in view; the cursor stays on its finding."""
        super().renew()
        state, rows = self.state, self.query_one(Rows)
        service = state.in_view
        if service is None:
            self.query_one("#verdict", StillText).show([[(overview.nothing_found(state.now), "warn")]])
            return
        self._incident_rows = state.kept(
            ("findings", service.id),
            lambda: finding_rows(state.document, service, state.zone, newest_first=state.is_live),
        )
        chosen = [
            f"INCIDENTS {sum(f.incident is not None for f in self._incident_rows)}",
            f"OTHER FINDINGS {sum(f.incident is None for f in self._incident_rows)}",
        ]
        rows.columns = list_columns(self._incident_rows, ", ".join(chosen))
        rows.renew([f.id for f in self._incident_rows])
        self._lay_out(service, self.size.width or 80, self.size.height or 24)

    def _lay_out(self, service: Service, width: int, height: int) -> None:
        verdict = self._verdict(service, width - 2)
        self.query_one("#verdict", StillText).show(verdict)
        listed = max(min(len(self._incident_rows) + 1, height // 4), FEWEST_ROWS)
        room = max(height - OTHER_LINES - len(verdict) - listed, 4)
        self.query_one("#tables").styles.max_height = room
        panes = self._panes(service, width - 2, height)
        first = self._pane % len(panes)
        shown: list[Line] = []
        for pane in panes[first:] + panes[:first]:
            if shown and len(shown) + 1 + len(pane) > room:
                break
            shown += [[], *pane] if shown else pane
        self.query_one("#panes", StillText).show(shown)

    def _panes(self, service: Service, width: int, height: int) -> list[list[Line]]:
        """The tables and charts, what matters most first."""
        document = self.state.document
        differing = attributes.table_lines(document, service, self.state.zone, width)
        alike = attributes.alike_lines(document, service, width)
        pool = overview.pool(document, service, width)
        weighed = what_if.weighed_lines(document, service, width)
        lines_of_members = self._timeline(service, width)
        pair = self._matrix_and_chart(service, width, height)
        panes = (
            [differing, pool, lines_of_members, *pair, weighed, alike]
            if attributes.is_first(document, service)
            else [pool, *pair, weighed, differing, lines_of_members, alike]
        )
        return [pane for pane in panes if pane]

    def _matrix_and_chart(self, service: Service, width: int, height: int) -> list[list[Line]]:
        """One pane where they have room beside each other."""
        matrix = overview.matrix(self.state.document, service)
        tall = max(min(height // 4, 9), 7)
        across = max(cell_count(plain(line)) for line in matrix)
        room = min(CHART_WIDTH, width - across - APART - 2)
        if width < WIDE - 2 or height < TALL or room < NARROWEST_CHART:
            return [matrix, self._chart(service, width, tall)]
        drawn = self._chart(service, room, tall)
        side_by_side: list[Line] = []
        for number in range(max(len(matrix), len(drawn))):
            left: Line = matrix[number] if number < len(matrix) else []
            right: Line = drawn[number] if number < len(drawn) else []
            side_by_side.append([*left, (" " * (across + APART - cell_count(plain(left))), ""), *right])
        return [side_by_side]

    def _times(self, service: int) -> MemberTimes | None:
        """Of a service's connections; None until they are counted. Of those before some were forgotten, what is left
        would look like a pause.
        """
        columns = self.state.columns
        if columns is None:
            return None
        places = np.asarray(self.state.now.case.services[service].connections, np.int64)
        places = places[columns.time_ns[places] > self.state.whole_from_ns]
        return MemberTimes(columns.time_ns[places], columns.result[places], columns.backend[places], places)

    def _chart(self, service: Service, width: int, height: int) -> list[Line]:
        document = self.state.document
        incidents = self.state.kept(
            ("at", service.id),
            lambda: [overview.nanoseconds(i.at) for i in document.incidents if i.service == service.id],
        )
        times = self._times(self.state.service or 0)
        if times is None:
            return [[("HANDSHAKES OVER TIME", "head")], [("  counted once all is read", "dim")]]
        is_forgotten = self.state.whole_from_ns > 0
        return chart(
            times.time_ns,
            times.result,
            incidents,
            width,
            height,
            self.state.zone,
            unknown=self.state.unknown,
            is_forgotten=is_forgotten,
        )

    def _timeline(self, service: Service, width: int) -> list[Line]:
        """A line for each back end; nothing where there is only one, or none is visible."""
        times, case = self._times(self.state.service or 0), self.state.now.case
        members = {b.id: b for b in case.pools[self.state.service or 0]}
        if times is None or not members or (len(members) == 1 and bool((times.backend >= 0).all())):
            return []
        names = overview.member_names(self.state.document, service)
        changed = self.state.kept(("changes", service.id), lambda: moments(case, service))
        failed = self.state.kept(("lost", service.id), lambda: lost(case, self.state.document, service))
        drawn = [TimedMember(members[id_].index, name, changed[id_]) for id_, name in names]
        if (times.backend < 0).any():
            drawn.append(TimedMember(-1, "?"))
        return timeline(times, drawn, width, self.state.zone, failed, self.state.unknown)

    def _verdict(self, service: Service, width: int) -> list[Line]:
        document = self.state.document
        assessment = service.assessment
        first = wrap(overview.sentence(service), "", "  ", width)
        lines: list[Line] = [[(line, SENTENCE_KINDS[assessment.state])] for line in first]
        standing = f"   {overview.standing(service)}"
        if cell_count(first[-1]) + cell_count(standing) <= width:
            lines[-1].append((standing, "dim"))
        else:
            lines.append([(standing[1:], "dim")])
        if assessment.state not in ("confirmed", "not_this") and assessment.because:
            lines += paragraph(safe_text("; ".join(assessment.because)), "  ", "  ", width)
        details = [
            overview.clients(document, service),
            *overview.since(document, service, self.state.zone),
            overview.impact(service),
        ]
        lines += [[(line, "dim")] for line in flowing(filter(None, details), "  ", width)]
        lines += [
            line
            for limit in document.limits
            if limit.kind in ("bounded", "packets_left")
            for line in paragraph(safe_text(limit.text), "  ▲ ", "    ", width, "warn")
        ][:MOST_LIMITS]
        for text in (*overview.checks(service), *probed.lines_of(document, service)):
            lines += paragraph(text, "  ", "    ", width, "dim")
        if assessment.is_actionable:
            best = what_if.best(document, service)
            lines += [
                [(line, "head" if number == 0 else "")]
                for number, line in enumerate(wrap(safe_text(f"Do: {assessment.do}"), "  ", "      ", width))
            ]
            lines += [[(f"  {best}", "dim")]] if best and cell_count(best) + 2 <= width else []
        elif assessment.breaks_if:
            lines += paragraph(
                safe_text(f"{CERTIFICATE_CHANGE} returns if {' or if '.join(assessment.breaks_if)}."), "  ", "  ", width
            )
        return lines

    def _row(self, index: int) -> list[Cell]:
        return list(cells(self._incident_rows[index], self.query_one(Rows).columns))

    def on_rows_selected(self, message: Rows.Selected) -> None:
        open_story(self, self._incident_rows, message.index)

    def action_pane(self) -> None:
        self._pane += 1
        self.renew()

    def action_remedies(self) -> None:
        """All remedies of what matters most."""
        if self._incident_rows:
            open_story(self, self._incident_rows, 0, at_remedies=True)

    def step(self, step: int) -> bool:
        return self.query_one(Rows).seek(step)

    def to_copy(self) -> tuple[str, str]:
        """Sentence, remedy, what differs, pool and matrix as text."""
        service = self.state.in_view
        if service is None:
            return super().to_copy()
        document = self.state.document
        differing = attributes.table_lines(document, service, self.state.zone)
        tables = [
            *([*differing, []] if differing else []),
            *overview.pool(document, service),
            [],
            *overview.matrix(document, service),
        ]
        texts = [
            overview.heading(document, service, self.state.zone),
            *map(plain, self._verdict(service, 100)),
            "",
            *(f"  {plain(line)}".rstrip() for line in tables),
        ]
        return "this overview", "\n".join(texts) + "\n"
