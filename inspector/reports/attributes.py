"""A pool as attributes × back ends, as lines and rows: those attributes first in which one differs, the odd ones
marked, failures beside them; then what all have alike, and what was measured. Shared by the text report, the incident
report and the app.

Back ends that have the same in all that differs share a column, so that a large pool with one odd member takes two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.document import About, Backend, Document, MemberAttribute, MemberValue, Service
from inspector.document.rules import Rule
from inspector.reports.lines import Cell, Kind, Line, columns, plain, uniform, wrap
from inspector.reports.overview import common_name, counted, nanoseconds
from inspector.text.cells import cell_count, wrapped
from inspector.text.safe import safe_cell
from inspector.text.zones import TimeZone

NAMES: dict[str, str] = {
    "client_authorities": "client CAs",
    "versions": "version",
    "cipher": "cipher suite",
    "ems": "EMS",
    "alpn": "ALPN",
    "resumption": "sessions",
    "stale": "idle connections",
    "idle": "idle connections are",
    "offers": "offers",
    "latency": "first answer",
    "latency_connect": "TCP connect",
    "latency_reply": "first reply",
    "flight": "server's flight",
    "failures": "failed",
    "proxy": "PROXY header",
    "sni": "SNI",
}
"""What an attribute is called in a table, where not as in the document."""

SAYS_ITSELF = frozenset(
    ("validity", "names", "versions", "cipher", "group", "ems", "stapling", "resumption", "key", "signature")
)
"""Attributes whose values need no name before them."""

MEASURED = ("latency_connect", "latency", "latency_reply", "offers", "idle")
"""What is another number at each back end, and makes no difference by that."""

MIXED = "≠"
ODD: dict[bool, tuple[str, Kind]] = {True: ("✖", "bad"), False: ("▲", "warn")}
"""By whether connections fail because of it."""

OF_FAILURES = (Rule.HANDSHAKE_FAILED, Rule.CERTIFICATE_CHANGE_ABORT, Rule.STALE_CONNECTION_USED)
"""Rules that tell with which attribute failures go."""

NOT_SHOWN = "–"
MOST_COLUMNS, NARROWEST = 6, 12
MOST_LABELS = 4
"""Back ends that a column names."""

VALUE_WIDTH = 160
"""Letters of a value at most."""

SHORT_WIDTH = 60
"""Of a value that all have alike."""

MOST_VALUES = 3
"""That are named where they are another at each back end and make no difference."""


class MemberColumn(NamedTuple):
    """Back ends that have the same in all that differs. Without any: connections whose back end is not visible, those
    with an odd value or the others.
    """

    title: str
    backends: tuple[str, ...] = ()
    is_odd: bool = False


def name(row: MemberAttribute) -> str:
    """What a table calls an attribute."""
    return NAMES.get(row.attribute, row.attribute.replace("_", " "))


def differing(service: Service) -> list[MemberAttribute]:
    """The attributes in which its back ends differ."""
    return [row for row in service.attributes if row.differs]


def is_first(document: Document, service: Service) -> bool:
    """Whether it is the first thing to see: failures go with it, or one is the odd one and Java's rule explains nothing
    here.
    """
    rows = [row for row in differing(service) if any(value.odd for value in row.values)]
    explaining = {f.id for f in document.findings if f.rule in OF_FAILURES}
    return bool(rows) and (service.assessment.state != "confirmed" or any(row.finding in explaining for row in rows))


def table_lines(document: Document, service: Service, zone: TimeZone, width: int = 100) -> list[Line]:
    """The attributes that differ; empty where none does."""
    rows = table_rows(document, service, zone)
    if not rows:
        return []
    head, *body = _laid_out(rows, width)
    return [[(plain(head), "head")], *body]


def alike_lines(document: Document, service: Service, width: int = 100) -> list[Line]:
    """What all have alike, and what was measured; empty where nothing is held against another."""
    lines: list[Line] = []
    for word, parts in (("alike: ", equal(service)), ("measured: ", measured(document, service))):
        if parts:
            lines += uniform(wrap("; ".join(parts), word, "  ", width), "dim")
    return lines


def table_rows(document: Document, service: Service, zone: TimeZone) -> list[list[Cell]]:
    """A head, and a row for each attribute that differs; how many failed last, where no attribute says so. Empty where
    none differs.
    """
    rows = differing(service)
    if not rows:
        return []
    abouts = {f.id: f.about for f in document.findings if f.rule in OF_FAILURES}
    members = {b.id: b for b in document.backends if b.service == service.id}
    placed = _columns(document, service, rows)
    shown, left_out = placed[:MOST_COLUMNS], sum(len(column.backends) for column in placed[MOST_COLUMNS:])
    title = f"DIFFERS (and {counted(left_out, 'back end')} more)" if left_out else "DIFFERS"
    table: list[list[Cell]] = [[title, *(column.title for column in shown)]]
    harm = [abouts.get(row.finding or "") for row in rows]
    for row, failing in zip(rows, harm, strict=True):
        table.append([name(row), *(_cell(row, column, failing, zone) for column in shown)])
    if not any(failing is not None and failing.affected for failing in harm) and members:
        table.append(["failed", *(_failed([members[b] for b in column.backends]) for column in shown)])
    return table


def equal(service: Service) -> list[str]:
    """What all back ends have alike: ``chain: Intermediate``, ``TLSv1.2``."""
    listed = []
    for row in service.attributes:
        if not row.differs and row.attribute not in (*MEASURED, "failures"):
            words = " or ".join(safe_cell(value.value, SHORT_WIDTH) for value in row.values[:MOST_VALUES])
            listed.append(words if row.attribute in SAYS_ITSELF else f"{name(row)}: {words}")
    return listed


def measured(document: Document, service: Service) -> list[str]:
    """Times, and what became of offers and idle connections: of the first few back ends where they are not alike."""
    labels = {b.id: b.label for b in document.backends}
    listed = []
    for row in service.attributes:
        if row.differs or row.attribute not in MEASURED:
            continue
        parts = [
            (f"{', '.join([labels[b] for b in v.backends[:MOST_LABELS]] or ['?'])} " if len(row.values) > 1 else "")
            + safe_cell(v.value, SHORT_WIDTH)
            for v in row.values[:MOST_VALUES]
        ]
        more = len(row.values) - MOST_VALUES
        listed.append(f"{name(row)} {', '.join(parts)}" + (f" and {more} more" if more > 0 else ""))
    return listed


def _columns(document: Document, service: Service, rows: Sequence[MemberAttribute]) -> list[MemberColumn]:
    """The odd ones first."""
    members = {b.id: b for b in document.backends if b.service == service.id}
    certificates = {c.sha256: c for c in document.certificates}
    grouped: dict[tuple[int | None, ...], list[Backend]] = {}
    for backend in members.values():
        shows = tuple(next((i for i, v in enumerate(row.values) if backend.id in v.backends), None) for row in rows)
        grouped.setdefault(shows, []).append(backend)
    listed = []
    for shows, backends in grouped.items():
        is_odd = any(i is not None and row.values[i].odd for i, row in zip(shows, rows, strict=True))
        title = ", ".join(b.label for b in backends[:MOST_LABELS])
        if len(backends) == 1:
            leaf = certificates.get(backends[0].leaf or "")
            called = backends[0].named or backends[0].server or (common_name(leaf) if leaf is not None else "")
            title = f"{title} {safe_cell(called, 40)}".rstrip()
        elif len(backends) > MOST_LABELS:
            title += f" and {len(backends) - MOST_LABELS} more"
        listed.append(MemberColumn(title, tuple(b.id for b in backends), is_odd))
    for is_odd in (True, False):
        hidden = [v.unplaced for row in rows for v in row.values if v.unplaced and v.odd == is_odd]
        if hidden:
            listed.append(MemberColumn(f"? {counted(max(hidden), 'connection')}", (), is_odd))
    return sorted(listed, key=lambda column: not column.is_odd)


def _cell(row: MemberAttribute, column: MemberColumn, about: About | None, zone: TimeZone) -> Cell:
    """What the back ends of a column have; failures beside it where they go with it."""
    value = next((v for v in row.values if _is_of(v, column)), None)
    if value is None:
        return NOT_SHOWN
    words = safe_cell(value.value, VALUE_WIDTH)
    since = next((c.at for c in row.changes if c.backend in column.backends), None)
    words += f", since {zone.clock(nanoseconds(since), 0)}" if since is not None and value.odd else ""
    harms = about is not None and about.affected > 0
    if about is not None and harms:
        counts = (about.affected, about.reached) if value.odd else (about.elsewhere_affected, about.elsewhere)
        words += f": {counts[0]} of {counts[1]} failed"
    if value.odd:
        mark, kind = ODD[harms]
        return [(f"{mark} {words}", kind)]
    return f"{MIXED} {words}" if not any(v.odd for v in row.values) else words


def _is_of(value: MemberValue, column: MemberColumn) -> bool:
    if column.backends:
        return column.backends[0] in value.backends
    return value.unplaced > 0 and value.odd == column.is_odd


def _failed(members: Sequence[Backend]) -> Cell:
    if not members:
        return NOT_SHOWN
    reached, failed = sum(b.connections for b in members), sum(b.aborted for b in members)
    return [(f"✖ {failed} of {reached}", "bad")] if failed else f"{failed} of {reached}"


def _laid_out(rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """The rows as lines of at most ``width`` columns: cells that are too wide are wrapped, all alike."""
    widths = [max(cell_count(plain(row[i])) for row in rows) for i in range(len(rows[0]))]
    room = max(width - 2 * (len(widths) - 1), NARROWEST * len(widths))
    while sum(widths) > room:
        widths[widths.index(max(widths))] -= 1
    wrapped: list[list[Cell]] = []
    for row in rows:
        parts = [_wrapped(cell, most) for cell, most in zip(row, widths, strict=True)]
        wrapped += [
            [part[number] if number < len(part) else "" for part in parts] for number in range(max(map(len, parts)))
        ]
    return columns(wrapped)


def _wrapped(cell: Cell, width: int) -> list[Cell]:
    """A cell as lines; a word that is wider than a line is cut into several."""
    kind: Kind = "" if isinstance(cell, str) else cell[0][1]
    return [[(line, kind)] for line in wrapped(plain(cell), "", "  ", width, breaks_words=True)] or [""]
