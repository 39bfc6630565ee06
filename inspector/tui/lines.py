"""A page of lines that scrolls; some lines can be chosen, as the rungs of a ladder."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from inspector.reports.lines import Line
from inspector.tui.painted import Painted


class LineView(Painted):
    """``targets``: the numbers of the lines that can be chosen, ascending. The cursor steps from one to the next; where
    none is near, the page scrolls.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "select",
            "Decode",
            tooltip="Open the message under the cursor as a tree with its bytes",
            id="decode",
        ),
        Binding("up,k", "step(-1)", "Up", show=False, id="line_up", tooltip="To the message above, or a line up"),
        Binding(
            "down,j", "step(1)", "Down", show=False, id="line_down", tooltip="To the message below, or a line down"
        ),
        Binding("pageup", "leap(-1)", "Page up", show=False, id="lines_page_up", tooltip="A screenful up"),
        Binding("pagedown", "leap(1)", "Page down", show=False, id="lines_page_down", tooltip="A screenful down"),
        Binding("home", "edge(0)", "Top", show=False, id="top", tooltip="To the top"),
        Binding("end", "edge(1)", "Bottom", show=False, id="bottom", tooltip="To the bottom"),
    ]

    class RowChosen(Message):
        """The person wants to see what stands on a line. ``target``: its place among the targets."""

        def __init__(self, target: int) -> None:
            super().__init__()
            self.target = target

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.lines: list[Line] = []
        self.targets: list[int] = []
        self.cursor = 0

    def show(self, lines: list[Line], targets: list[int] | None = None) -> None:
        """Other lines, laid out for another width; the cursor keeps its place among the targets."""
        self.lines = lines
        self.targets = targets or []
        self.cursor = min(self.cursor, max(len(self.targets) - 1, 0))
        self.virtual_size = Size(0, len(lines))
        self.refresh_changed()

    def line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        number = y + round(self.scroll_offset.y)
        if number >= len(self.lines):
            return self.blank(width)
        return self.painted(self.lines[number], width, bool(self.targets) and number == self.targets[self.cursor])

    def action_step(self, step: int) -> None:
        """To the next target if it is in sight or next to what is; else a line on."""
        top, height = round(self.scroll_offset.y), self.size.height
        wanted = self.cursor + step
        if 0 <= wanted < len(self.targets):
            target = self.targets[wanted]
            if top - 1 <= target <= top + height:
                self.cursor = wanted
                if target < top:
                    self.scroll_to(y=target, animate=False)
                elif target >= top + height:
                    self.scroll_to(y=target - height + 1, animate=False)
                self.refresh()
                return
        self.scroll_relative(y=step, animate=False)

    def action_leap(self, step: int) -> None:
        """A screenful; the cursor comes along."""
        top = max(0, round(self.scroll_offset.y) + step * max(self.size.height - 1, 1))
        self._go(min(top, max(len(self.lines) - self.size.height, 0)))

    def action_edge(self, last: int) -> None:
        self._go(max(len(self.lines) - self.size.height, 0) if last else 0)

    def _go(self, top: int) -> None:
        self.scroll_to(y=top, animate=False)
        visible = [i for i, target in enumerate(self.targets) if top <= target < top + self.size.height]
        if visible and self.cursor not in visible:
            self.cursor = visible[0] if self.cursor < visible[0] else visible[-1]
        self.refresh()

    def action_select(self) -> None:
        if self.targets:
            self.post_message(self.RowChosen(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; one on the cursor opens."""
        number = event.y + round(self.scroll_offset.y)
        if number in self.targets:
            target = self.targets.index(number)
            if target == self.cursor:
                self.action_select()
            self.cursor = target
            self.refresh()
