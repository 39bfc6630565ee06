"""Sessions: each one's life as a lane, from its issue over every offer to its end."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from inspector.query.session_columns import SessionColumns
from inspector.reports import overview
from inspector.reports.lines import Line
from inspector.text.times import span
from inspector.tracking.ledger_session import LedgerSession
from inspector.tui.app_state import AppState
from inspector.tui.connection import ConnectionScreen
from inspector.tui.dialogs.choice import Choice, Option
from inspector.tui.keybar import KeyBar
from inspector.tui.lanes import lane, moments
from inspector.tui.page import Area, Page
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.styles import content

METHODS = {"session_id": "id", "ticket": "ticket", "psk": "PSK"}
SORTS = [
    Option("time", "time of issue"),
    Option("uses", "how often it was offered"),
    Option("aborted", "aborted offers first"),
]


class SessionsScreen(Area):
    """A lane for each session that was issued or offered in what is in view."""

    AREA: ClassVar[str] = "sessions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", tooltip="Choose what to sort by", id="sort"),
        Binding("S", "reverse", "Reverse", show=False, tooltip="The other way round", id="reverse"),
    ]

    def body(self) -> ComposeResult:
        self._order = np.empty(0, np.int64)
        self._sort, self._reversed = "time", False
        columns = [
            Column("session", 8),
            Column("how", 6, 1),
            Column("EMS", 3, 2),
            Column("issued", self.state.zone.clock_width, 3),
            Column("offers", 6, 4, True),
            Column("○ issued ● resumed ◇ declined ✖ aborted", 0),
        ]
        yield Rows(columns, 0, self._row, "No session.", id="sessions")

    def renew(self) -> None:
        """The sessions of what is in view; the cursor stays on its session."""
        super().renew()
        rows, scope, columns = self.query_one(Rows), self.state.scope, self._columns()
        order = np.arange(len(columns.service)) if scope is None else np.flatnonzero(columns.service == scope)
        if self._sort == "uses":
            order = order[np.argsort(-columns.offers[order], kind="stable")]
        elif self._sort == "aborted":
            order = order[np.argsort(~columns.is_aborted[order], kind="stable")]
        self._order = order[::-1] if self._reversed else order
        connections = (
            self.state.in_view.connections
            if self.state.in_view is not None and scope is not None
            else self.state.now.count
        )
        empty = f"No session was issued or offered in these {overview.counted(connections, 'connection')}."
        rows.resize("issued", self.state.zone.clock_width)
        rows.renew(columns.identity[self._order].tolist(), empty=empty)

    def _columns(self) -> SessionColumns:
        """Of all sessions; made here where those of the connections are not made yet, and few are shown."""
        if self.state.columns is not None:
            return self.state.columns.sessions
        return self.state.kept("sessions", lambda: SessionColumns(self.state.now.case))

    def _session(self, index: int) -> LedgerSession:
        """That of a row."""
        return self.state.now.case.sessions[int(self._order[index])]

    def _row(self, index: int) -> list[Cell]:
        session = self._session(index)
        rows = self.query_one(Rows)
        width = rows.shown(rows.scrollable_content_region.width)[-1][1]
        issued = self.state.zone.clock(session.issued_ns) if session.issued_ns is not None else "–"
        return [
            (session.key.hex()[:8], ""),
            (METHODS[session.method], "dim"),
            (overview.YES[session.ems], "dim"),
            (issued, "dim"),
            (f"{len(session.uses) + session.dropped:,}", "dim"),
            lane(self.state.now.case, session, width),
        ]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        self.app.push_screen(SessionScreen(self.state, self._session(message.index)))

    def action_sort(self) -> None:
        def chosen(name: str | None) -> None:
            if name:
                self._sort = name
                self.renew()

        self.app.push_screen(Choice("Sort by", SORTS, self._sort), chosen)

    def action_reverse(self) -> None:
        self._reversed = not self._reversed
        self.renew()

    def step(self, step: int) -> bool:
        """To the next session with an aborted offer."""
        is_aborted = self._columns().is_aborted[self._order]
        return self.query_one(Rows).seek(step, lambda i: bool(is_aborted[i]))

    def to_copy(self) -> tuple[str, str]:
        if not len(self._order):
            return super().to_copy()
        session = self._session(self.query_one(Rows).cursor)
        return (
            "the session",
            session.key.hex() + "  " + "".join(text for text, _ in lane(self.state.now.case, session, 120)) + "\n",
        )


class SessionScreen(Page):
    """One session: its issue and every offer, each of which opens."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", tooltip="To where you came from", id="back")
    ]

    def __init__(self, state: AppState, session: LedgerSession) -> None:
        super().__init__(state)
        self._session = session
        self._analysis = state.now
        self._moments = moments(state.now.case, session)
        self._zone = state.zone

    def compose(self) -> ComposeResult:
        session = self._session
        leaf = self._analysis.case.certificates.get(session.leaf or b"")
        hint = (
            f"{METHODS[session.method]}   EMS {overview.YES[session.ems]}   certificate"
            f" {leaf.short_name if leaf else 'not visible'}"
        )
        lines: list[Line] = [[(f"session {session.key.hex()}", "head")], [(hint, "dim")]]
        if session.issuer is None:
            lines.append([("issued before the capture began, or not visible", "warn")])
        elif not session.usable:
            lines.append([("issued in a handshake that was not completed: never usable", "warn")])
        yield Static(content(lines), id="heading")
        columns = [
            Column("", 1),
            Column("time", self._zone.clock_width),
            Column("since", 10, 1, True),
            Column("back end", 8),
            Column("what", 18),
            Column("port", 5, 2, True),
            Column("frame", 9, 3, True),
        ]
        yield Rows(columns, len(self._moments), self._row, "Never offered.", id="moments")
        yield KeyBar()

    def _row(self, index: int) -> list[Cell]:
        moment = self._moments[index]
        c = self._analysis.connection(moment.connection)
        frame = c.handshakes[0].frames.client_hello or c.frames.first
        since = f"+{span(moment.ns - self._moments[index - 1].ns)}" if index else ""
        return [
            (moment.glyph, moment.kind),
            (self._zone.clock(moment.ns), "dim"),
            (since, "dim"),
            (moment.label, ""),
            (moment.word, moment.kind),
            (str(c.client_endpoint.port), "dim"),
            (f"{frame[1]:,}", "dim"),
        ]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        self.app.push_screen(ConnectionScreen(self.state, self._moments[message.index].connection))

    def to_copy(self) -> tuple[str, str]:
        return "the session", "\n".join(f"{self._zone.clock(m.ns)} {m.label} {m.word}" for m in self._moments) + "\n"
