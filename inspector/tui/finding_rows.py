"""Findings as the rows of a list: incidents first, then what else there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.document import Document, Finding, Incident, Service
from inspector.reports import overview
from inspector.reports.lines import Kind
from inspector.reports.overview import nanoseconds
from inspector.text.safe import safe_text
from inspector.text.zones import MILLISECONDS, TimeZone
from inspector.tui.rows import Column

SEVERITY_KINDS: dict[str, Kind] = {"high": "bad", "medium": "warn", "low": "", "info": "dim"}


PATH_WIDTH = 72
"""In which the story of an incident is told whole, mostly."""

CLIENT = Column("client", 16, 3)
"""It goes last: what else a list has of an incident is mostly the same in each line."""


class FindingRow(NamedTuple):
    """An incident with its finding, or a finding that is no incident. ``client``: whose it is; ``at``: when, as a list
    shows it.
    """

    id: str
    incident: Incident | None
    finding: Finding
    client: str = ""
    at: str = ""


def finding_rows(
    document: Document, service: Service | None, zone: TimeZone, *, newest_first: bool = False
) -> list[FindingRow]:
    """Incidents first, then what else was found, what matters first. ``service``: of this one, and of none.
    ``newest_first``: of the incidents, else the oldest one is.
    """
    by_id = {f.id: f for f in document.findings}
    listed = [i for i in document.incidents if service is None or i.service == service.id]
    client_of = overview.client_of(document)
    digits = MILLISECONDS if zone.is_of_one_day else 0
    incidents = [
        FindingRow(i.id, i, finding, client_of(finding), zone.clock(nanoseconds(i.at), digits))
        for i in listed
        for finding in (by_id[i.findings[0]],)
    ]
    if newest_first:
        incidents.reverse()
    named = {f.finding.id for f in incidents} | {f for i in document.incidents for f in i.findings}
    return incidents + [
        FindingRow(f.id, None, f, client_of(f))
        for f in document.findings
        if f.id not in named and (service is None or f.service in (service.id, None))
    ]


def list_columns(rows: Sequence[FindingRow], title: str) -> list[Column]:
    """A mark and a line, and whose each is where that differs. ``title``: of the lines."""
    if len({row.client for row in rows if row.incident is not None}) > 1:
        return [Column("", 1), Column(title, 0, least=PATH_WIDTH), CLIENT]
    return [Column("", 1), Column(title, 0)]


def cells(row: FindingRow, shown: Sequence[Column]) -> list[tuple[str, Kind]]:
    """As ``list_columns`` has them. ``shown``: the columns of the list."""
    finding = row.finding
    mark: tuple[str, Kind]
    if row.incident is not None:
        mark = ("✖", "bad") if finding.verdict == "confirmed" else ("◌", "warn")
        line = f"{row.at} {safe_text(row.incident.path)}"
    else:
        mark = ("▲" if finding.severity in ("high", "medium") else "○", SEVERITY_KINDS[finding.severity])
        line = f"{finding.severity}: {safe_text(finding.title)}"
    client: list[tuple[str, Kind]] = [(row.client, "dim")] if CLIENT in shown else []
    return [mark, (line, ""), *client]
