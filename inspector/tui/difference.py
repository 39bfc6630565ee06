"""Two handshakes, messages or certificates side by side, changed fields first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from inspector.reports.difference import differences
from inspector.reports.lines import Kind, Line
from inspector.text.safe import safe_text
from inspector.tui.app_state import AppState
from inspector.tui.keybar import KeyBar
from inspector.tui.page import Page
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.styles import content


class DifferenceScreen(Page):
    """A table of fields. ``above``: lines before it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", tooltip="To where you came from", id="back")
    ]

    def __init__(
        self,
        state: AppState,
        title: str,
        titles: Sequence[str],
        fields: Sequence[Mapping[str, str]],
        above: Sequence[Line] = (),
    ) -> None:
        super().__init__(state)
        self._title = title
        self._titles = titles
        self._differences = differences(fields[0], fields[1])
        self._above = list(above)

    def compose(self) -> ComposeResult:
        changed = sum(not d.is_same for d in self._differences)
        heading: Line = [(self._title, "head"), (f"   {changed} of {len(self._differences)} fields differ", "dim")]
        yield Static(content([heading, *self._above]), id="heading")
        columns = [Column("", 1), Column("field", 26), Column(self._titles[0], 0), Column(self._titles[1], 0)]
        yield Rows(columns, len(self._differences), self._row, "Neither has a field.", id="fields")
        yield KeyBar()

    def _row(self, index: int) -> list[Cell]:
        d = self._differences[index]
        mark: Cell = ("=", "dim") if d.is_same else ("≠", "warn")
        kind: Kind = "dim" if d.is_same else ""
        path = d.path if len(d.path) <= 26 else "…" + d.path[-25:]
        sides: list[Cell] = [(safe_text(v, 400) if v is not None else "–", kind) for v in (d.first, d.second)]
        return [mark, (safe_text(path), kind), *sides]

    def on_rows_selected(self, message: Rows.Selected) -> None:
        d = self._differences[message.index]
        self.notify(
            f"{safe_text(d.path)}\n{safe_text(d.first or 'none', 2000)}\n{safe_text(d.second or 'none', 2000)}",
            markup=False,
            timeout=15,
        )

    def to_copy(self) -> tuple[str, str]:
        lines = [
            f"{'=' if d.is_same else '≠'} {safe_text(d.path)}\n    {safe_text(d.first or 'none', 4000)}\n   "
            f" {safe_text(d.second or 'none', 4000)}"
            for d in self._differences
        ]
        return "the difference", "\n".join([*self._titles, *lines]) + "\n"
