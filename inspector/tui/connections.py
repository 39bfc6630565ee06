"""The connections, one a line: sorted by any column, filtered, marked, compared, saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from inspector.document import Connection
from inspector.facts import FRAME_BITS
from inspector.findings.judge import Analysis
from inspector.query.filter_tokens import FilterError
from inspector.reports import overview
from inspector.reports.difference import handshake_fields
from inspector.reports.lines import Kind
from inspector.reports.wireshark import display_filter
from inspector.text.safe import safe_text
from inspector.text.zones import UTC, TimeZone
from inspector.tls.types import FATAL
from inspector.tracking.observed import Observed
from inspector.tui.connection import ConnectionScreen
from inspector.tui.dialogs.choice import Choice, Option
from inspector.tui.difference import DifferenceScreen
from inspector.tui.page import Area
from inspector.tui.rows import Cell, Column, Rows

OUTCOMES: dict[str, tuple[str, Kind]] = {
    "aborted": ("✖", "bad"),
    "established": ("●", "good"),
    "incomplete": ("◌", "warn"),
}


def _text(value: str | None, kind: Kind = "") -> Cell:
    return (safe_text(value, 200) if value else "–", kind)


def _outcome(c: Connection) -> Cell:
    if c.health_check:
        return ("○ health check", "dim")
    mark, kind = OUTCOMES[c.outcome]
    return (f"{mark} {c.outcome}", kind)


def handshake(c: Connection) -> Cell:
    """How the first handshake was made."""
    first = c.handshakes[0]
    if first.kind is None:
        return ("–", "dim")
    if first.kind == "full":
        return ("◇ full, declined", "warn") if first.declined else ("○ full", "")
    return (f"● resumed {'id' if first.kind == 'session_id' else first.kind}", "good")


def _frame(c: Connection) -> Cell:
    frame = c.handshakes[0].frames.client_hello or c.frames.first
    return (f"{frame[1]:,}" if not frame[0] else f"{frame[0]}:{frame[1]}", "dim")


def _session(c: Connection) -> Cell:
    session = c.handshakes[0].session
    return ((session.answered_id or session.issued_ticket or session.offered_ticket or "")[:8], "dim")


def _ems(c: Connection) -> Cell:
    negotiated = c.handshakes[0].ems.negotiated
    return ("–" if negotiated is None else "yes" if negotiated else "no", "")


def _hosts(analysis: Analysis, observed: Observed) -> Cell:
    """Where its frames were captured, those of its further legs too."""
    captures = analysis.document.captures
    indexes = dict.fromkeys(first >> FRAME_BITS for first, _ in observed.frame_ranges)
    return _text(", ".join(dict.fromkeys(captures[index].host or "" for index in indexes if index < len(captures))))


Shown = Callable[[Analysis, Observed, Connection], Cell]


def timed(zone: TimeZone) -> tuple[Column, Shown]:
    """The column of times."""
    return (
        Column("time", zone.clock_width, 0, False, "time"),
        lambda a, s, c: (zone.clock(s.hello_ns or s.first_ns), "dim"),
    )


COLUMNS: dict[str, tuple[Column, Shown]] = {
    "time": timed(UTC),
    "client": (Column("client", 16, 6, False, "client"), lambda a, s, c: (c.client_endpoint.ip, "")),
    "port": (Column("port", 5, 8, True, "port"), lambda a, s, c: (str(c.client_endpoint.port), "")),
    "backend": (Column("back end", 8, 0, False, "backend"), lambda a, s, c: (a.case.label(s), "")),
    "outcome": (Column("outcome", 14, 0, False, "outcome"), lambda a, s, c: _outcome(c)),
    "kind": (Column("handshake", 16, 0, False, "kind"), lambda a, s, c: handshake(c)),
    "session": (Column("session", 8, 4, False, "session"), lambda a, s, c: _session(c)),
    "ems": (Column("EMS", 4, 3, False, "ems"), lambda a, s, c: _ems(c)),
    "version": (Column("TLS", 7, 2, False, "version"), lambda a, s, c: _text(c.handshakes[0].version)),
    "frame": (Column("frame", 8, 5, True, "frame"), lambda a, s, c: _frame(c)),
    "alert": (
        Column("alert", 14, 1, False, "alert"),
        lambda a, s, c: (next((a.name or "encrypted" for a in c.alerts if a.level == FATAL), ""), "warn"),
    ),
    "rtt": (
        Column("rtt ms", 8, 9, True, "rtt"),
        lambda a, s, c: (f"{c.rtt / 1e6:,.2f}" if c.rtt is not None else "–", ""),
    ),
    "bytes": (Column("bytes", 11, 10, True, "bytes"), lambda a, s, c: (f"{c.bytes.client + c.bytes.server:,}", "")),
    "service": (
        Column("service", 26, 11, False, "service"),
        lambda a, s, c: (overview.title(a.document.services[s.service]), ""),
    ),
    "server": (Column("server", 22, 12, False, "server"), lambda a, s, c: (c.server_endpoint.ip, "")),
    "host": (Column("host", 20, 7, False, "host"), lambda a, s, c: _hosts(a, s)),
    "stack": (Column("stack", 8, 13, False, "stack"), lambda a, s, c: _text(a.case.clients[s.client].stack.name)),
    "sni": (Column("server name", 26, 14, False, "sni"), lambda a, s, c: _text(c.handshakes[0].server_name)),
    "cipher": (
        Column("cipher suite", 30, 15, False, "cipher"),
        lambda a, s, c: _text(c.handshakes[0].cipher.name if c.handshakes[0].cipher else None),
    ),
    "id": (Column("id", 12, 16, False, "id"), lambda a, s, c: (c.id, "dim")),
}
"""By the name in settings, which is also the field of the filter language that sorts."""

HOST_BEFORE = "client"
USUAL = ("time", "client", "port", "backend", "outcome", "kind", "session", "ems", "version", "frame", "alert")
MARK = Column("", 1)


class ConnectionsScreen(Area):
    """A row for each connection that scope and filter leave, in the order of the column that sorts."""

    AREA: ClassVar[str] = "connections"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", tooltip="Mark the connection, or take the mark away", id="mark"),
        Binding("u", "unmark", "Unmark all", show=False, tooltip="Take all marks away", id="unmark"),
        Binding(
            "d",
            "difference",
            "Difference",
            show=False,
            tooltip="Two marked handshakes side by side, changed fields first",
            id="difference",
        ),
        Binding(
            "w",
            "save",
            "Save pcapng",
            tooltip="Write the marked connections, or the one under the cursor, to a pcapng file",
            id="save",
        ),
        Binding(
            "W",
            "wireshark",
            "Wireshark",
            show=False,
            tooltip="Open its first frame in Wireshark, or copy the command that does",
            id="wireshark",
        ),
        Binding("s", "sort", "Sort", tooltip="Choose the column to sort by", id="sort"),
        Binding("S", "reverse", "Reverse", show=False, tooltip="The other way round", id="reverse"),
    ]

    def body(self) -> ComposeResult:
        self._names = list(self.state.settings.columns or self._usual())
        self._order: list[int] = []
        self._columns = {**COLUMNS}
        yield Rows(
            [MARK, *(self._columns[n][0] for n in self._names)], 0, self._row, "No connection.", id="connections"
        )

    def _usual(self) -> list[str]:
        """With the host, where captures of several are told apart."""
        at = USUAL.index(HOST_BEFORE)
        captures = self.state.now.document.captures
        return [*USUAL[:at], "host", *USUAL[at:]] if any(c.host for c in captures) else list(USUAL)

    def renew(self) -> None:
        """The connections that scope, filter and sort leave. The cursor stays on its connection, or at the end where it
        stood there.
        """
        super().renew()
        state, rows = self.state, self.query_one(Rows)
        self._columns["time"] = timed(state.zone)
        rows.resize("time", state.zone.clock_width)
        at_end = bool(rows.count) and rows.cursor == rows.count - 1 and not state.view.sort
        grows = len(self._order)
        try:
            self._order = state.indexes()
        except FilterError as error:
            self._order = []
            rows.renew([], empty=safe_text(str(error)))
            return
        follows = at_end and len(self._order) > grows > 1
        rows.sorted_by = (state.view.sort.removeprefix("-") or "time", state.view.sort.startswith("-"))
        ids = list(map(state.now.case.columns.id, self._order))
        rows.renew(ids, len(self._order) - 1 if follows else None, self._empty())

    def place_of(self, index: int) -> int:
        """Where a connection stands in the table; 0 where it does not."""
        try:
            return self._order.index(index)
        except ValueError:
            return 0

    def _empty(self) -> str:
        if self.state.view.filter:
            return f"No connection matches {safe_text(self.state.view.filter, 100)}   (/ changes the filter)"
        return "No connection." if self.state.document.services else overview.nothing_found(self.state.now)

    def _row(self, index: int) -> list[Cell]:
        analysis = self.state.now
        observed = analysis.case.observed[self._order[index]]
        c = analysis.connection(observed.index)
        mark: Cell = ("*", "head") if c.id in self.state.marks else ("", "")
        return [mark, *(self._columns[n][1](analysis, observed, c) for n in self._names)]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        self.app.push_screen(ConnectionScreen(self.state, self._order[message.index]))

    def on_rows_head_clicked(self, message: Rows.HeadClicked) -> None:
        """Sort by a column; a second click turns it round."""
        if message.column.name:
            self._sort_by(message.column.name, message.column.name == (self.state.view.sort or "time"))

    def action_sort(self) -> None:
        options = [
            Option(n, COLUMNS[n][0].title)
            for n in COLUMNS
            if n in self._names or n in ("rtt", "bytes", "service", "stack")
        ]
        self.app.push_screen(
            Choice("Sort by", options, self.state.view.sort.removeprefix("-") or "time"),
            lambda name: self._sort_by(name, False) if name else None,
        )

    def action_reverse(self) -> None:
        """The largest first, or last."""
        sort = self.state.view.sort or "time"
        self._sort_by(sort.removeprefix("-"), not sort.startswith("-"))

    def _sort_by(self, name: str, descending: bool) -> None:
        self.state.view.sort = f"-{name}" if descending else "" if name == "time" else name
        if self.state.columns is None:
            self.notify("Sorted as soon as all is read.")
        self.renew()

    def _under_cursor(self) -> int | None:
        rows = self.query_one(Rows)
        return self._order[rows.cursor] if rows.count else None

    def marked(self) -> list[int]:
        """The marked connections, else the one under the cursor."""
        if self.state.marks:
            return sorted(self.state.marks.values())
        index = self._under_cursor()
        return [] if index is None else [index]

    def action_mark(self) -> None:
        """Mark, and go on to the next."""
        index = self._under_cursor()
        if index is None:
            return
        observed = self.state.now.case.observed[index]
        if self.state.marks.pop(observed.id, None) is None:
            self.state.marks[observed.id] = index
        rows = self.query_one(Rows)
        rows.cursor += 1
        rows.refresh()

    def action_unmark(self) -> None:
        self.state.marks.clear()
        self.query_one(Rows).refresh()

    def action_difference(self) -> None:
        """The two that were marked last."""
        indexes = list(self.state.marks.values())[-2:]
        if len(indexes) < 2:
            self.notify("Mark two connections with Space first.")
            return
        analysis = self.state.now
        pair = [analysis.connection(i) for i in sorted(indexes)]
        titles = [
            f"{self.state.zone.clock(overview.nanoseconds(c.first_seen))} port {c.client_endpoint.port}"
            f" {analysis.case.label(analysis.case.observed[i])}"
            for c, i in zip(pair, sorted(indexes), strict=True)
        ]
        fields = [handshake_fields(analysis.document, c.handshakes[0]) for c in pair]
        self.app.push_screen(DifferenceScreen(self.state, "Two handshakes", titles, fields))

    def action_wireshark(self) -> None:
        """At the first frame of the connection under the cursor."""
        index = self._under_cursor()
        if index is not None:
            self.inspector.go_on_in_wireshark(self.state.now.case.observed[index].client_leg.first_frame)

    def action_save(self) -> None:
        indexes = self.marked()
        if indexes:
            self.inspector.save_connections(indexes)

    def step(self, step: int) -> bool:
        """To the next connection that a finding names."""
        state = self.state
        named = state.kept(
            "named", lambda: {c for f in state.document.findings if f.severity != "info" for c in f.connections}
        )
        return self.query_one(Rows).seek(step, lambda i: state.now.case.columns.id(self._order[i]) in named)

    def go(self, index: int) -> None:
        """The cursor onto a connection; scope and filter give way where they hide it."""
        if index not in self._order:
            self.state.view.filter = ""
            self.state.everything = (
                self.state.now.case.observed[index].service != self.state.service or self.state.everything
            )
            self.renew()
        self.query_one(Rows).cursor = self.place_of(index)

    def to_copy(self) -> tuple[str, str]:
        """The marked connections for Wireshark."""
        observed = self.state.now.case.observed
        mains = [leg for i in self.marked()[:200] for leg in (observed[i].client_leg, *observed[i].legs)]
        return "the Wireshark display filter", display_filter(mains)
