"""Incidents, and the other findings below them: each opens as a story."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual.app import ComposeResult

from inspector.document import Document, Finding, Incident, Service
from inspector.reports import overview
from inspector.safe import safe_text
from inspector.tui.marks import Kind
from inspector.tui.page import Area, Page
from inspector.tui.rows import Cell, Column, Rows

SEVERITY_KINDS: dict[str, Kind] = {"high": "bad", "medium": "warn", "low": "", "info": "dim"}


class Found(NamedTuple):
    """An incident with its finding, or a finding that is no incident. ``at``: when, as a list shows it."""

    id: str
    incident: Incident | None
    finding: Finding
    at: str = ""


def found_of(document: Document, service: Service | None) -> list[Found]:
    """Incidents first, then what else was found, what matters first. ``service``: of this one, and of none."""
    by_id = {f.id: f for f in document.findings}
    own = [i for i in document.incidents if service is None or i.service == service.id]
    shown = slice(11, 23) if len({i.at[:10] for i in own}) < 2 else slice(5, 19)  # the day is said where there are several
    incidents = [Found(i.id, i, by_id[i.findings[0]], i.at[shown].replace("T", " ")) for i in own]
    told = {f.finding.id for f in incidents} | {f for i in document.incidents for f in i.findings}
    return incidents + [Found(f.id, None, f) for f in document.findings if f.id not in told and (service is None or f.service in (service.id, None))]


def cells(found: Found) -> list[tuple[str, Kind]]:
    """A mark and a line."""
    finding = found.finding
    mark: tuple[str, Kind]
    if found.incident is not None:
        mark = ("✖", "bad") if finding.verdict == "confirmed" else ("◌", "warn")
        return [mark, (f"{found.at} {safe_text(found.incident.path)}", "")]
    mark = ("▲" if finding.severity in ("high", "medium") else "○", SEVERITY_KINDS[finding.severity])
    return [mark, (f"{finding.severity}: {safe_text(finding.title)}", "")]


def open_found(page: Page, found: list[Found], index: int, at_remedies: bool = False) -> None:
    """Show a story, or a finding."""
    from inspector.tui.story import story_of

    page.app.push_screen(story_of(page.desk, found, index, at_remedies))


class IncidentsScreen(Area):
    """The last area."""

    AREA: ClassVar[str] = "incidents"

    def body(self) -> ComposeResult:
        """The table."""
        self._found: list[Found] = []
        columns = [Column("", 1), Column("what", 0), Column("verdict", 9, 2), Column("grade", 11, 1)]
        yield Rows(columns, 0, self._row, "No incident, and nothing else that is wrong.", id="found")

    def renew(self) -> None:
        """The findings as they are now; the cursor stays on its finding."""
        super().renew()
        rows = self.query_one(Rows)
        service = None if self.desk.everything else self.desk.in_view
        self._found = self.desk.kept(("found", service.id if service else None), lambda: found_of(self.desk.document, service))
        incidents = sum(f.incident is not None for f in self._found)
        rows.columns[1] = Column(f"{overview.counted(incidents, 'incident').upper()}, {overview.counted(len(self._found) - incidents, 'other finding').upper()}", 0)
        rows.renew([f.id for f in self._found])

    def _row(self, index: int) -> list[Cell]:
        found = self._found[index]
        return [*cells(found), (found.finding.verdict, "dim"), (overview.WORDS[found.finding.grade], "dim")]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        """Open it."""
        open_found(self, self._found, message.index)

    def step(self, step: int) -> bool:
        """To the next finding."""
        return self.query_one(Rows).seek(step)

    def to_copy(self) -> tuple[str, str]:
        """All lines."""
        return "the list of incidents and findings", "".join(" ".join(text for text, _ in cells(f)) + "\n" for f in self._found)
