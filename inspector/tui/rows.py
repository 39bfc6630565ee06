"""A table that asks for a row only when it is painted: a hundred thousand rows cost what a screenful costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.tui.marks import Kind, glyphs

Cell = tuple[str, Kind]


class Column(NamedTuple):
    """``width`` in columns, 0 for what is left. ``leaves``: the order in which columns go where there is no room, 0 stays."""

    title: str
    width: int
    leaves: int = 0
    right: bool = False


class Rows(ScrollView, can_focus=True):
    """The rows of something. The cursor is an index; ``Selected`` is posted on enter and on a click on the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Open", tooltip="Open what the cursor is on"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(0)", "First", show=False),
        Binding("end", "edge(1)", "Last", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--head", "rows--cursor", "rows--bad", "rows--warn", "rows--good", "rows--dim"}
    DEFAULT_CSS = """
    Rows { height: 1fr; min-height: 3; background: $background; color: $foreground; overflow-x: hidden; }
    Rows .rows--head { color: $text-accent; text-style: bold; }
    Rows .rows--cursor { background: $block-cursor-blurred-background; }
    Rows:focus .rows--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
    Rows .rows--bad { color: $text-error; text-style: bold; }
    Rows .rows--warn { color: $text-warning; }
    Rows .rows--good { color: $text-success; }
    Rows .rows--dim { color: $text-muted; }
    """

    cursor: reactive[int] = reactive(0)

    class Selected(Message):
        """The person wants to see a row."""

        def __init__(self, rows: Rows, index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> Rows:
            """The table."""
            return self.rows

    def __init__(self, columns: list[Column], count: int, row: Callable[[int], list[Cell]], empty: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """``row(index)`` gives a row's cells, one a column. ``empty`` is said where there are none."""
        super().__init__(id=id)
        self.columns = columns
        self.count = count
        self._row = row
        self._empty = empty

    def on_mount(self) -> None:
        """The height is known from the start."""
        self.virtual_size = Size(0, self.count + 1)

    def _shown(self, width: int) -> list[tuple[int, int]]:
        """The columns that have room, with their widths."""
        indexes = list(range(len(self.columns)))
        leaving = sorted((i for i in indexes if self.columns[i].leaves), key=lambda i: self.columns[i].leaves)
        while leaving and sum((self.columns[i].width or 20) + 2 for i in indexes) > width:
            indexes.remove(leaving.pop(0))
        rest = max(width - sum(self.columns[i].width + 2 for i in indexes), 8)
        return [(i, self.columns[i].width or rest) for i in indexes]

    def render_line(self, y: int) -> Strip:
        """Line 0 is the heading and stays; the others scroll under it."""
        width = self.scrollable_content_region.width
        if y == 0:
            cells: list[Cell] = [(c.title, "") for c in self.columns]
            return self._strip(cells, width, self.get_component_rich_style("rows--head"), False)
        index = y - 1 + round(self.scroll_offset.y)
        if index >= self.count:
            text = f"  {self._empty}" if self.count == 0 and y == 1 else ""
            return Strip([Segment(set_cell_size(glyphs(text), width), self.rich_style)], width)
        is_cursor = index == self.cursor
        style = self.get_component_rich_style("rows--cursor") if is_cursor else self.rich_style
        return self._strip(self._row(index), width, style, is_cursor and self.has_focus)

    def _strip(self, cells: list[Cell], width: int, style: Style, plain: bool) -> Strip:
        segments: list[Segment] = []
        for i, room in self._shown(width):
            text, kind = cells[i]
            text = glyphs(text)
            if cell_len(text) > room:
                text = set_cell_size(text, room - 1) + glyphs("…")
            padded = " " * (room - cell_len(text)) + text if self.columns[i].right else set_cell_size(text, room)
            own = style if plain or not kind or kind == "head" else style + self.get_component_rich_style(f"rows--{kind}", partial=True)
            segments += [Segment(padded, own), Segment("  ", style)]
        return Strip(segments).adjust_cell_length(width, style)

    def watch_cursor(self, old: int, new: int) -> None:
        """Keep the cursor in sight."""
        height = max(self.size.height - 1, 1)
        top = round(self.scroll_offset.y)
        if new < top:
            self.scroll_to(y=new, animate=False)
        elif new >= top + height:
            self.scroll_to(y=new - height + 1, animate=False)
        self.refresh()

    def validate_cursor(self, value: int) -> int:
        """Stay among the rows."""
        return max(0, min(value, self.count - 1))

    def action_move(self, step: int) -> None:
        """Up or down by rows."""
        self.cursor += step

    def action_page(self, step: int) -> None:
        """Up or down by screens."""
        self.cursor += step * max(self.size.height - 2, 1)

    def action_edge(self, last: int) -> None:
        """To the first or the last row."""
        self.cursor = self.count - 1 if last else 0

    def action_select(self) -> None:
        """Say that the row under the cursor was chosen."""
        if self.count:
            self.post_message(self.Selected(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; one on the cursor opens."""
        index = event.y - 1 + round(self.scroll_offset.y)
        if event.y < 1 or index >= self.count:
            return
        if index == self.cursor:
            self.action_select()
        self.cursor = index
