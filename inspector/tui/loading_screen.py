"""What is shown before there is anything to show: what is being read, and how far."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Middle
from textual.content import Content
from textual.screen import Screen
from textual.widgets import ProgressBar, Static

from inspector.reports.lines import Line
from inspector.tui.keybar import KeyBar
from inspector.tui.loading import Loading
from inspector.tui.styles import content


class LoadingScreen(Screen[None]):
    """Names, a bar, a line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.quit", "Quit", tooltip="Stop reading and leave", id="stop")
    ]

    def __init__(self, loading: Loading) -> None:
        super().__init__()
        self._loading = loading
        self._shown: dict[str, Content] = {}

    def compose(self) -> ComposeResult:
        with Middle():
            yield Static(self._doing(), id="doing")
            if self._loading.is_repeatable:
                yield ProgressBar(total=None, show_eta=True, id="progress")
            yield Static(id="stage")
        yield KeyBar()

    def _doing(self) -> Content:
        doing: list[Line] = [[(line, "")] for line in self._loading.doing()]
        return content([[("Inspector", "head")], *doing])

    def look(self) -> None:
        """Show how far the reading is."""
        loading, stage = self._loading, self._loading.stage
        if not loading.is_repeatable:  # sources come and go
            self._show("#doing", self._doing())
        for bar in self.query(ProgressBar):
            if stage.total:
                bar.update(total=stage.total, progress=min(stage.done, stage.total))
        self._show("#stage", content([[(f"{stage.name}   {stage.amount}", "dim")]]))

    def _show(self, where: str, what: Content) -> None:
        """Where it is not what stands there already."""
        if self._shown.get(where) != what:
            self._shown[where] = what
            self.query_one(where, Static).update(what)
