"""How lines of pieces are shown: a style for each kind; never markup. What stands there is not painted again."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from inspector.reports.lines import Kind, Line, uniform, wrap
from inspector.text.safe import safe_text

STYLES: dict[Kind, str] = {
    "": "",
    "bad": "bold $text-error",
    "warn": "$text-warning",
    "good": "$text-success",
    "dim": "$text-muted",
    "head": "bold $text-accent",
}


def paragraph(text: str, first: str, following: str, width: int, kind: Kind = "") -> list[Line]:
    """Text wrapped to lines of one kind."""
    return uniform(wrap(text, first, following, width), kind)


def listed(texts: Iterable[str], kind: Kind = "") -> list[Line]:
    """A line for each text, indented. Control characters are escaped."""
    return uniform((f"  {safe_text(text)}" for text in texts), kind)


def content(lines: list[Line]) -> Content:
    """Lines as something a widget shows. Text is never read as markup."""
    parts: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if number:
            parts.append(("\n", ""))
        parts += [(text, STYLES[kind]) for text, kind in line]
    return Content.assemble(*parts)


class StillText(Static):
    """Lines that may be shown again and again."""

    _shown: list[Line] | None = None

    def show(self, lines: list[Line]) -> None:
        """Paint them, where they are others than those that stand there."""
        if lines != self._shown:
            self._shown = lines
            self.update(content(lines))
