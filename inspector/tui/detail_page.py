"""A page that is read from top to bottom: a title that stays, lines below it, some of which can be chosen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize

from inspector.reports.lines import Line
from inspector.reports.story import Ladder, lane_names
from inspector.tui.app_state import AppState
from inspector.tui.keybar import KeyBar
from inspector.tui.ladder import drawn
from inspector.tui.lines import LineView
from inspector.tui.page import Page
from inspector.tui.shell import Target
from inspector.tui.styles import StillText
from inspector.tui.wireshark import WIRESHARK_KEY


class DetailPage(Page):
    """``targets``: the rungs on the page that can be decoded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", tooltip="To where you came from", id="back"),
        Binding(
            "space",
            "pick",
            "Pick",
            tooltip="Pick this message; a second pick shows the difference of the two",
            id="pick",
        ),
        WIRESHARK_KEY,
    ]

    def __init__(self, state: AppState) -> None:
        super().__init__(state)
        self.analysis = state.now
        self.targets: list[Target] = []

    def compose(self) -> ComposeResult:
        """A title that stays and a page below it."""
        yield StillText(id="heading")
        yield LineView(id="text")
        yield KeyBar()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for the width that there is."""
        self.lay_out(event.size.width - 4)

    def lay_out(self, width: int) -> None:
        """Everything for a width."""
        self.query_one("#heading", StillText).show(self.title_lines(width))
        self.targets = []
        self._places: list[int] = []
        lines = self.lines(width)
        self.query_one(LineView).show(lines, self._places)

    def on_mount(self) -> None:
        self.query_one(LineView).focus()

    def title_lines(self, width: int) -> list[Line]:
        """What the page is about."""
        raise NotImplementedError

    def lines(self, width: int) -> list[Line]:
        """The page."""
        raise NotImplementedError

    def ladder_at(self, steps: Ladder, width: int) -> list[Line]:
        """A ladder drawn as the first lines of the page; its rungs can be chosen."""
        lines = drawn(steps, lane_names(self.analysis.document, steps), width)
        line = 1
        for chapter in steps.chapters:
            for number, rung in enumerate(chapter.rungs, line + 1):
                self.targets.append(Target(chapter.legs[rung.leg], chapter.title, rung))
                self._places.append(number)
            line += 1 + len(chapter.rungs) + len(chapter.notes)
        return lines

    def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        self.inspector.open_message(self.targets, message.target)

    def action_pick(self) -> None:
        """Pick the messages under the cursor; with two picked, show their difference."""
        if self.targets:
            self.inspector.pick(self.targets[self.query_one(LineView).cursor])

    def action_wireshark(self) -> None:
        """At the rung under the cursor."""
        if self.targets:
            self.inspector.go_on_in_wireshark(self.targets[self.query_one(LineView).cursor].frame)

    def to_copy(self) -> tuple[str, str]:
        """The page as text."""
        lines = [*self.title_lines(100), [], *self.query_one(LineView).lines]
        return "this page", "\n".join("".join(text for text, _ in line).rstrip() for line in lines) + "\n"
