"""What a person can see of an app, in values that a test compares."""

from __future__ import annotations

from dataclasses import dataclass, fields

from textual.widget import Widget
from textual.widgets import Input, OptionList, Static, Tree

from inspector.tui.app import InspectorApp
from inspector.tui.lines import LineView
from inspector.tui.rows import Rows


@dataclass(frozen=True, slots=True)
class Observed:
    """``screen``: the name of its class. ``stack``: the screens of the mode, the one on top last. ``place``: of cursor
    and page in what has the focus.
    ``text``: what stands in fields. ``sorted_by``: of tables. ``words``: headings and hints. ``panes``: what is
    displayed. ``hand``: marks and picks.
    """

    screen: str
    stack: tuple[int, ...]
    mode: str
    focus: str
    place: tuple[int, ...]
    text: str
    sorted_by: tuple[tuple[str, bool], ...]
    words: tuple[str, ...]
    panes: tuple[str, ...]
    notified: tuple[str, ...]
    clipboard: str
    filter: str
    everything: bool
    marks: tuple[str, ...]
    picks: tuple[str, ...]
    is_frozen: bool
    reading: int

    def changed(self, before: Observed) -> set[str]:
        """The names of what is other than before."""
        return {field.name for field in fields(self) if getattr(self, field.name) != getattr(before, field.name)}


def observed(app: InspectorApp, notified: list[str]) -> Observed:
    screen, state = app.screen, app.state
    named = [widget for widget in screen.query("*") if widget.id]
    return Observed(
        screen=type(screen).__name__,
        stack=tuple(map(id, app.screen_stack)),
        mode=app.current_mode,
        focus=f"{type(screen.focused).__name__}#{screen.focused.id}" if screen.focused is not None else "",
        place=place(screen.focused),
        text="\n".join(field.value for field in screen.query(Input)),
        sorted_by=tuple(rows.sorted_by for rows in screen.query(Rows)),
        words=tuple(str(words.content) for words in screen.query(Static)),
        panes=tuple(widget.id or "" for widget in named if widget.display),
        notified=tuple(notified),
        clipboard=app.clipboard,
        filter=state.view.filter,
        everything=state.everything,
        marks=tuple(state.marks),
        picks=tuple(picked.title for picked in state.picked),
        is_frozen=app.feed.is_frozen,
        reading=id(app.feed.loading),
    )


def place(widget: Widget | None) -> tuple[int, ...]:
    match widget:
        case Rows() | LineView():
            return widget.cursor, round(widget.scroll_offset.y)
        case OptionList():
            return (-1 if widget.highlighted is None else widget.highlighted,)
        case Tree():
            return widget.cursor_line, round(widget.scroll_offset.y), round(widget.scroll_offset.x), widget.last_line
        case Input():
            return widget.cursor_position, len(widget.selected_text)
        case None:
            return ()
        case _:
            return round(widget.scroll_offset.x), round(widget.scroll_offset.y)
