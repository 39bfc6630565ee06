"""Incidents, and the other findings below them: each opens as a story."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from inspector.reports import overview
from inspector.tui.finding_rows import FindingRow, cells, finding_rows, list_columns
from inspector.tui.page import Area, Page
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.story import story_of


def open_story(page: Page, rows: list[FindingRow], index: int, at_remedies: bool = False) -> None:
    """Show a story, or a finding."""
    page.app.push_screen(story_of(page.state, rows, index, at_remedies))


class IncidentsScreen(Area):
    """A row for each incident, then one for each other finding."""

    AREA: ClassVar[str] = "incidents"

    def body(self) -> ComposeResult:
        self._incident_rows: list[FindingRow] = []
        yield Rows(self._listed("what"), 0, self._row, "No incident, and nothing else that is wrong.", id="findings")

    def renew(self) -> None:
        """The findings as they are now; the cursor stays on its finding."""
        super().renew()
        rows = self.query_one(Rows)
        service = None if self.state.everything else self.state.in_view
        self._incident_rows = self.state.kept(
            ("findings", service.id if service else None),
            lambda: finding_rows(self.state.document, service, self.state.zone, newest_first=self.state.is_live),
        )
        incidents = sum(f.incident is not None for f in self._incident_rows)
        rows.columns = self._listed(
            f"{overview.counted(incidents, 'incident').upper()},"
            f" {overview.counted(len(self._incident_rows) - incidents, 'other finding').upper()}"
        )
        rows.renew([f.id for f in self._incident_rows])

    def _listed(self, title: str) -> list[Column]:
        return [*list_columns(self._incident_rows, title), Column("verdict", 9, 2), Column("grade", 11, 1)]

    def _row(self, index: int) -> list[Cell]:
        row = self._incident_rows[index]
        shown = cells(row, self.query_one(Rows).columns)
        return [*shown, (row.finding.verdict, "dim"), (overview.WORDS[row.finding.grade], "dim")]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        open_story(self, self._incident_rows, message.index)

    def step(self, step: int) -> bool:
        return self.query_one(Rows).seek(step)

    def to_copy(self) -> tuple[str, str]:
        columns = self.query_one(Rows).columns
        return "the list of incidents and findings", "".join(
            " ".join(text for text, _ in cells(f, columns)).rstrip() + "\n" for f in self._incident_rows
        )
