"""What tables and pages share: lines painted one by one, with a style for each kind of text."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.reports.lines import Kind, Line
from inspector.text.cells import cell_count, cut, left_aligned, right_aligned


class Painted(ScrollView, can_focus=True):
    """Lines of pieces. A subclass says what stands on a ``line``; nothing is ever read as markup."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "painted--head",
        "painted--cursor",
        "painted--bad",
        "painted--warn",
        "painted--good",
        "painted--dim",
    }
    DEFAULT_CSS = """
    Painted {
        height: 1fr; min-height: 3; background: $background; color: $foreground;
        overflow-x: hidden; scrollbar-size-vertical: 1;
    }
    Painted .painted--head { color: $text-accent; text-style: bold; }
    Painted .painted--cursor { background: $block-cursor-blurred-background; }
    Painted:focus .painted--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    Painted .painted--bad { color: $text-error; text-style: bold; }
    Painted .painted--warn { color: $text-warning; }
    Painted .painted--good { color: $text-success; }
    Painted .painted--dim { color: $text-muted; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual's widgets call it
        super().__init__(id=id)
        self._painted: dict[int, Strip] = {}
        """What stands on the screen."""

    def line(self, y: int) -> Strip:
        """What stands on a line of those that are in view."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """The same, for Textual."""
        strip = self._painted[y] = self.line(y)
        return strip

    def refresh_changed(self) -> None:
        """Paint those lines anew that are others than those on the screen, perhaps none."""
        for y in range(self.size.height):
            if self.line(y) != self._painted.get(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def styled(self, kind: Kind, base: Style) -> Style:
        """The style of a kind of text on a background."""
        return base + self.get_component_rich_style(f"painted--{kind}", partial=True) if kind else base

    def blank(self, width: int) -> Strip:
        """A line with nothing on it."""
        return Strip([Segment(" " * width, self.rich_style)], width)

    def painted(self, line: Line, width: int, is_cursor: bool = False) -> Strip:
        """A line of pieces, cut to the width; what is cut ends in an ellipsis."""
        style = self.get_component_rich_style("painted--cursor") if is_cursor else self.rich_style
        segments = [
            Segment(text, style if is_cursor and self.has_focus else self.styled(kind, style)) for text, kind in line
        ]
        strip = Strip(segments)
        if strip.cell_length > width and cell_count(strip.text.rstrip()) > width:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", segments[-1].style)])
        return strip.adjust_cell_length(width, style)

    @staticmethod
    def fitted(text: str, room: int, right: bool = False) -> str:
        """The text at exactly so many columns; what is cut ends in an ellipsis."""
        text = cut(text, room)
        return right_aligned(text, room) if right else left_aligned(text, room)
