"""The last door before the terminal, for whatever any widget paints: ASCII where only that can be shown, and never a
character that moves something, or of which terminals do not agree how many cells it takes.

Names from the wire are escaped where they come in (``safe_text``); here a mistake of ours, or of a library, is caught,
and what a person types.
"""

from __future__ import annotations

import locale
from functools import lru_cache

from rich.cells import cell_len, split_graphemes
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from inspector.text.cells import is_settled

GLYPHS = {
    "✖": "X",
    "▲": "^",
    "●": "*",
    "○": "o",
    "◇": "<",
    "◌": "?",
    "✔": "+",
    "≠": "!",
    "━": "=",
    "┅": "~",
    "┄": "-",
    "─": "-",
    "│": "|",
    "┃": "|",
    "▶": ">",
    "◀": "<",
    "▼": "v",
    "→": ">",
    "·": ".",
    "…": ".",
    "–": "-",
    "×": "x",
    "█": "#",
    "▓": "%",
    "▒": "+",
    "░": ".",
    "└": "`",
    "├": "|",
    "⏎": "^",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
}
BLOCKS = frozenset("▁▂▃▄▅▆▇▉▊▋▌▍▎▏▔▕")


def ascii_wanted(is_asked: bool) -> bool:
    """Whether only ASCII may be shown: asked for, or no other locale."""
    return is_asked or "utf" not in locale.getpreferredencoding(False).lower()


@lru_cache(maxsize=4096)
def _is_settled(text: str) -> bool:
    return text.isprintable() and (text.isascii() or all(map(is_settled, text)))


def _settled(text: str) -> str:
    """As many cells as Textual counts; of several characters that it takes for one, all go."""
    spans, _ = split_graphemes(text)
    pieces = ((text[start:end], cells) for start, end, cells in spans)
    return "".join(piece if _is_settled(piece) else "?" * cells for piece, cells in pieces)


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """The same columns in ASCII."""
    return "".join(
        c if c.isascii() else GLYPHS.get(c, " " if c in BLOCKS else ".") * (cell_len(c) if c not in GLYPHS else 1)
        for c in text
    )


class OutputFilter(LineFilter):
    """Every line of the screen goes through it."""

    def __init__(self, only_ascii: bool) -> None:
        super().__init__()
        self.only_ascii = only_ascii

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments, those that may not pass replaced."""
        return [
            segment
            if segment.control or self._may_pass(segment.text)
            else Segment(self._passing(segment.text), segment.style)
            for segment in segments
        ]

    def _may_pass(self, text: str) -> bool:
        return _is_settled(text) and (not self.only_ascii or text.isascii())

    def _passing(self, text: str) -> str:
        text = _settled(text)
        return _plain(text) if self.only_ascii else text
