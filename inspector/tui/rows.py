"""A table that asks for a row only when it is painted: a hundred thousand rows cost what a screenful costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from inspector.reports.lines import Kind, Line
from inspector.tui.painted import Painted

Cell = tuple[str, Kind] | Line
"""A text of one kind, or pieces of several."""


class Column(NamedTuple):
    """``width`` in columns, 0 for what is left: ``least``, or others go. ``leaves``: the order in which columns go
    where there is no room, 0 stays. ``name``: what it is called in settings and where it can be sorted by it, the
    field of the filter language; empty where it cannot.
    """

    title: str
    width: int
    leaves: int = 0
    right: bool = False
    name: str = ""
    least: int = 20


class Rows(Painted):
    """The rows of something. The cursor is an index; ``Selected`` is posted on enter and on a click on the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Open", tooltip="Open what the cursor is on", id="open"),
        Binding("up,k", "move(-1)", "Up", show=False, id="up", tooltip="A row up"),
        Binding("down,j", "move(1)", "Down", show=False, id="down", tooltip="A row down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="page_up", tooltip="A screenful up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="page_down", tooltip="A screenful down"),
        Binding("home", "edge(0)", "First", show=False, id="first", tooltip="To the first row"),
        Binding("end", "edge(1)", "Last", show=False, id="last", tooltip="To the last row"),
    ]

    cursor: reactive[int] = reactive(0)

    class Touched(Message):
        """Something happened to a row."""

        def __init__(self, rows: Rows, index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> Rows:
            return self.rows

    class Selected(Touched):
        """The person wants to see a row."""

    class Moved(Touched):
        """The cursor stands on another row."""

    class HeadClicked(Message):
        """The person clicked on a column's title."""

        def __init__(self, column: Column) -> None:
            super().__init__()
            self.column = column

    def __init__(
        self,
        columns: list[Column],
        count: int,
        row: Callable[[int], list[Cell]],
        empty: str,
        *,
        id: str | None = None,  # noqa: A002 - as Textual's widgets call it
    ) -> None:
        """``row(index)`` gives a row's cells, one a column. ``empty`` is said where there are none."""
        super().__init__(id=id)
        self.columns = columns
        self.count = count
        self.sorted_by = ("", False)
        """The name of the column by which the rows are sorted, and whether the largest comes first."""
        self._row = row
        self._empty = empty
        self._keys: Sequence[object] = ()
        self._is_moved = False
        """Somebody has moved the cursor; until then it stays on the first row, whatever comes before
        what stood there.
        """

    def on_mount(self) -> None:
        """The height is known from the start."""
        self.virtual_size = Size(0, self.count + 1)

    def renew(self, keys: Sequence[object], cursor: int | None = None, empty: str | None = None) -> None:
        """The rows are others now. ``keys``: what each is known by; a cursor that was moved stays on its key, unless
        ``cursor`` says where it goes.
        """
        current = self._keys[self.cursor] if self._is_moved and self.cursor < len(self._keys) else None
        is_moved = cursor is not None or (current is not None and current in keys)
        self._keys = keys
        self.count = len(keys)
        self._empty = self._empty if empty is None else empty
        self.virtual_size = Size(0, self.count + 1)
        if cursor is None:
            cursor = keys.index(current) if is_moved else 0
        wanted = self.validate_cursor(cursor)
        if wanted == self.cursor:
            self._keep_in_sight(wanted)
        self.cursor = wanted
        self._is_moved = is_moved
        self.refresh_changed()

    def resize(self, title: str, width: int) -> None:
        """Give the columns of a title another width."""
        self.columns = [column._replace(width=width) if column.title == title else column for column in self.columns]

    def shown(self, width: int) -> list[tuple[int, int]]:
        """The columns that have room, with their widths."""
        indexes = list(range(len(self.columns)))
        leaving = sorted((i for i in indexes if self.columns[i].leaves), key=lambda i: self.columns[i].leaves)
        while leaving and sum((self.columns[i].width or self.columns[i].least) + 2 for i in indexes) > width:
            indexes.remove(leaving.pop(0))
        flexible = [i for i in indexes if not self.columns[i].width]
        rest = max((width - sum(self.columns[i].width + 2 for i in indexes)) // max(len(flexible), 1), 8)
        return [(i, self.columns[i].width or rest) for i in indexes]

    def line(self, y: int) -> Strip:
        """Line 0 is the heading and stays; the others scroll under it."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self._strip(
                [(self._titled(c), "") for c in self.columns],
                width,
                self.get_component_rich_style("painted--head"),
                False,
            )
        index = y - 1 + round(self.scroll_offset.y)
        if index >= self.count:
            return self.painted([(f"  {self._empty}", "")], width) if self.count == 0 and y == 1 else self.blank(width)
        is_cursor = index == self.cursor
        style = self.get_component_rich_style("painted--cursor") if is_cursor else self.rich_style
        return self._strip(self._row(index), width, style, is_cursor and self.has_focus)

    def _titled(self, column: Column) -> str:
        name, descending = self.sorted_by
        if not name or column.name != name:
            return column.title
        return f"{column.title}{'▼' if descending else '▲'}"

    def _strip(self, cells: list[Cell], width: int, style: Style, plain: bool) -> Strip:
        segments: list[Segment] = []
        for i, room in self.shown(width):
            cell = cells[i]
            if isinstance(cell, list):
                pieces = Strip(
                    [Segment(text, style if plain else self.styled(kind, style)) for text, kind in cell]
                ).adjust_cell_length(room, style)
                segments += [*pieces, Segment("  ", style)]
                continue
            text, kind = cell
            segments += [
                Segment(self.fitted(text, room, self.columns[i].right), style if plain else self.styled(kind, style)),
                Segment("  ", style),
            ]
        return Strip(segments).adjust_cell_length(width, style)

    def watch_cursor(self, old: int, new: int) -> None:
        """Keep the cursor in sight."""
        self._keep_in_sight(new)
        self.refresh()
        if old != new:
            self._is_moved = True
            self.post_message(self.Moved(self, new))

    def _keep_in_sight(self, new: int) -> None:
        height = max(self.size.height - 1, 1)
        top = round(self.scroll_offset.y)
        if new < top:
            self.scroll_to(y=new, animate=False)
        elif new >= top + height:
            self.scroll_to(y=new - height + 1, animate=False)

    def on_resize(self) -> None:
        """A smaller table still shows its cursor."""
        self.watch_cursor(self.cursor, self.cursor)

    def validate_cursor(self, value: int) -> int:
        """Stay among the rows."""
        return max(0, min(value, self.count - 1))

    def seek(self, step: int, is_wanted: Callable[[int], bool] = lambda index: True) -> bool:
        """The cursor onto the next row (1), or the one before (-1), that is wanted; whether there is one."""
        for index in range(self.cursor + step, self.count if step > 0 else -1, step):
            if is_wanted(index):
                self.cursor = index
                return True
        return False

    def action_move(self, step: int) -> None:
        self.cursor += step

    def action_page(self, step: int) -> None:
        self.cursor += step * max(self.size.height - 2, 1)

    def action_edge(self, last: int) -> None:
        self.cursor = self.count - 1 if last else 0

    def action_select(self) -> None:
        if self.count:
            self.post_message(self.Selected(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; one on the cursor opens; one on a title says which."""
        if event.y < 1:
            at = 0
            for i, room in self.shown(self.scrollable_content_region.width):
                at += room + 2
                if event.x < at:
                    self.post_message(self.HeadClicked(self.columns[i]))
                    return
            return
        index = event.y - 1 + round(self.scroll_offset.y)
        if index >= self.count:
            return
        if index == self.cursor:
            self.action_select()
        self.cursor = index
