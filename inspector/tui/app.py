"""The app: reads in the background, then shows what matters first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Middle
from textual.screen import Screen
from textual.widgets import Footer, HelpPanel, ProgressBar, Static

from inspector.document import Limit
from inspector.findings.case import Options
from inspector.findings.judge import Analysis
from inspector.reports import overview
from inspector.safe import safe_text
from inspector.tui import marks
from inspector.tui.loading import Loading
from inspector.tui.marks import content
from inspector.tui.overview import OverviewScreen
from inspector.tui.services import ServicesScreen

LOOKS_PER_SECOND = 10


class LoadingScreen(Screen[None]):
    """What is being read, and how far."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,escape", "app.quit", "Quit", tooltip="Stop reading and leave")]

    def __init__(self, loading: Loading) -> None:
        super().__init__()
        self._loading = loading

    def compose(self) -> ComposeResult:
        """Names, a bar, a line."""
        names = ", ".join(safe_text(p, 60) for p in self._loading.paths[:3])
        with Middle():
            yield Static(content([[("Inspector", "head")], [(f"reading {names}", "")]]))
            yield ProgressBar(total=None, show_eta=True, id="progress")
            yield Static(id="stage")
        yield Footer()

    def look(self) -> None:
        """Show how far the reading is."""
        loading = self._loading
        bar = self.query_one("#progress", ProgressBar)
        if loading.total:
            bar.update(total=loading.total, progress=min(loading.read, loading.total))
        megabytes = f"{loading.read / 1e6:,.0f} MB read" if loading.read else ""
        self.query_one("#stage", Static).update(content([[(f"{loading.stage}   {megabytes}", "dim")]]))


class InspectorApp(App[int]):
    """Captures as a story. Returns the exit status."""

    CSS_PATH = "app.tcss"
    TITLE = "Inspector"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "Quit", show=False, priority=True)]

    def __init__(self, paths: Sequence[str], options: Options, limits: Sequence[Limit] = (), ascii_wanted: bool = False) -> None:
        super().__init__()
        marks.choose(ascii_wanted)
        self._loading = Loading(paths, options, limits)
        self.problem = ""
        """Why nothing could be shown, for whoever started the app."""

    def on_mount(self) -> None:
        """Begin to read at once."""
        self.push_screen(LoadingScreen(self._loading))
        self._loading.start()
        self._looking = self.set_interval(1 / LOOKS_PER_SECOND, self._look)

    def _look(self) -> None:
        loading = self._loading
        if isinstance(self.screen, LoadingScreen) and self.screen.is_mounted:
            self.screen.look()
        if not loading.is_done:
            return
        self._looking.stop()
        if loading.problem is not None:
            self.problem = str(loading.problem)
            self.exit(2)
        elif loading.analysis is not None:
            self.show(loading.analysis)

    def show(self, analysis: Analysis) -> None:
        """The services; where there is only one, its overview at once."""
        services = overview.ordered(analysis.document)
        self.switch_screen(ServicesScreen(analysis))
        if len(services) == 1:
            self.push_screen(OverviewScreen(analysis, services[0]))

    def action_keys(self) -> None:
        """All keys of this screen, beside it."""
        if self.screen.query(HelpPanel):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    async def action_quit(self) -> None:
        """Leave at once, whatever is going on."""
        self._loading.stop()
        self.exit(0)
