"""What every screen shares: what it can copy and export, how it steps to the next finding, and the line of areas on
top.
"""

from __future__ import annotations

from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

from inspector.reports import overview
from inspector.reports.lines import Kind, Line
from inspector.text.cells import cell_count, cut
from inspector.text.safe import safe_text
from inspector.tui.app_state import AppState
from inspector.tui.areas import AREAS
from inspector.tui.keybar import KeyBar
from inspector.tui.shell import Shell
from inspector.tui.styles import StillText, content

STATE_KINDS: dict[str, Kind] = {
    "confirmed": "bad",
    "exposed": "warn",
    "unknown": "warn",
    "protected": "good",
    "not_this": "",
}


class Page(Screen[None]):
    """A screen over the analysis."""

    def __init__(self, state: AppState) -> None:
        super().__init__()
        self.state = state

    @property
    def inspector(self) -> Shell:
        """The app, as far as screens need it."""
        return cast("Shell", self.app)

    def to_copy(self) -> tuple[str, str]:
        """What ``y`` copies: its name, and the text."""
        return "the assessment", "\n".join(overview.sentence(s) for s in overview.ordered(self.state.document)) + "\n"

    def step(self, step: int) -> bool:
        """To the next (1) or the previous (-1) finding of this screen; False where there is none."""
        return False


class AreaBar(Widget):
    """The areas by their keys, and at the right what goes on: reading, a frozen view, a filter."""

    DEFAULT_CSS = "AreaBar { height: 1; padding: 0 1; background: $panel; color: $foreground; }"

    def __init__(self, area: str) -> None:
        super().__init__()
        self._area = area
        self._shown_heading = ""

    @property
    def _inspector(self) -> Shell:
        return cast("Shell", self.app)

    def _names(self, status: str) -> list[tuple[str, str]]:
        short = len("".join(AREAS)) + 4 * len(AREAS) + len(status) + 1 > self.size.width
        return [
            (area, f"{number} {area.title()[:4] if short else area.title()}") for number, area in enumerate(AREAS, 1)
        ]

    def look(self) -> None:
        """Paint it anew where there is other news: this is asked many times a second, perhaps at the far end of a slow
        line.
        """
        if self._inspector.status() != self._shown_heading:
            self.refresh()

    def render(self) -> Content:
        status = self._shown_heading = self._inspector.status()
        line: Line = []
        for area, name in self._names(status):
            line += [(name, "head" if area == self._area else "dim"), ("  ", "")]
        room = max(self.size.width - sum(len(text) for text, _ in line) - 1, 0)
        line.append((status[-room:].rjust(room) if room else "", "warn"))
        return content([line])

    def on_click(self, event: Click) -> None:
        """A click on a name opens its area."""
        at = 1
        for area, name in self._names(self._inspector.status()):
            if at <= event.x < at + len(name):
                self._inspector.action_area(area)
            at += len(name) + 2


class Area(Page):
    """One of the six areas: a screen that stays, keeps its place, and is told when there is more to show."""

    AREA: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "up", "Back", show=False, tooltip="To the services", id="up_area"),
        Binding(
            "a",
            "everything",
            "All services",
            show=False,
            tooltip="All services together, or only the one in view",
            id="everything",
        ),
        Binding(
            "P",
            "probe",
            "Probe",
            show=False,
            tooltip="Propose a probe of the service; nothing is sent before a yes",
            id="probe",
        ),
    ]

    def compose(self) -> ComposeResult:
        """The line of areas, a heading, what the area shows, the keys."""
        yield AreaBar(self.AREA)
        yield StillText(id="heading")
        yield from self.body()
        yield KeyBar()

    def body(self) -> ComposeResult:
        """What stands between heading and keys."""
        raise NotImplementedError

    _filled: object = None

    def fill(self) -> None:
        """Renew, where anything has changed since."""
        stamp = (self.state.stamp, self.size)
        if self.is_mounted and self.size and stamp != self._filled:
            self._filled = stamp
            self.renew()

    def on_resize(self) -> None:
        self.fill()

    def on_screen_resume(self) -> None:
        """Another area may have changed what is in view."""
        self.fill()
        self.query_one(AreaBar).refresh()

    def renew(self) -> None:
        """Show what the state holds now; the cursor stays on what it stood on."""
        width = self.size.width or self.app.size.width
        self.query_one("#heading", StillText).show([self.heading(width - 2)])
        self.query_one(AreaBar).look()

    def heading(self, width: int) -> Line:
        """The service in view, or all."""
        remembered = f"   {self.state.remembered}" if self.state.remembered else ""
        width -= cell_count(remembered)
        return [*self.subject(width), (remembered, "warn")]

    def subject(self, width: int) -> Line:
        """The same without what was forgotten."""
        times = f"   {overview.times(self.state.document, self.state.zone)}"
        name = f"   {self.state.zone.heading(0, 0)}"
        service = self.state.in_view
        if service is None:
            return [("no service", "head"), (times, "dim")]
        if self.state.everything:
            return [
                (f"all {overview.counted(len(self.state.document.services), 'service')}", "head"),
                (times, "dim"),
            ]
        text = overview.heading(self.state.document, service, self.state.zone)
        if cell_count(text) > width - 2:
            text = f"{overview.title(service)}   {overview.counted(service.connections, 'connection')}"
        mark = overview.MARKS[service.assessment.state]
        return [
            (f"{mark} ", STATE_KINDS[service.assessment.state]),
            (cut(safe_text(text, 400), max(width - 2, 10)), "head"),
            (next((shown for shown in (times, name) if cell_count(text) + cell_count(shown) + 4 < width), ""), "dim"),
        ]

    def action_up(self) -> None:
        """To the services."""
        if self.AREA != "services":
            self.inspector.action_area("services")

    def action_everything(self) -> None:
        """All services, or the one in view."""
        self.state.everything = not self.state.everything
        self.renew()

    def action_probe(self) -> None:
        """Propose a probe of the service in view."""
        self.inspector.propose_probe(self.state.in_view)
