"""Lines as pieces of text with a kind each; never markup.

A kind is a meaning, not a colour; colour only repeats what glyph and word say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from textual.content import Content

from inspector.reports.overview import wrap
from inspector.text.safe import safe_text

Kind = Literal["", "bad", "warn", "good", "dim", "head"]
Line = list[tuple[str, Kind]]

STYLES: dict[Kind, str] = {
    "": "",
    "bad": "bold $text-error",
    "warn": "$text-warning",
    "good": "$text-success",
    "dim": "$text-muted",
    "head": "bold $text-accent",
}
GLYPHS: dict[str, Kind] = {
    "✖": "bad",
    "▲": "warn",
    "◇": "warn",
    "●": "good",
    "✔": "good",
    "○": "dim",
    "◌": "warn",
    "≠": "warn",
}
MARKED = re.compile(r"[✖▲◇●✔◌≠](?: \d[\d,]*)?")
HEADING = re.compile(r"[A-Z]{3,}(?: [A-Z]{2,})*(?:  |$)")


def coloured(text: str) -> Line:
    """A line of a report with kinds for its marks; a heading as a whole."""
    if HEADING.match(text):
        return [(text, "head")]
    pieces: Line = []
    at = 0
    for match in MARKED.finditer(text):
        if match.start() > at:
            pieces.append((text[at : match.start()], ""))
        pieces.append((match[0], GLYPHS[match[0][0]]))
        at = match.end()
    pieces.append((text[at:], ""))
    return pieces


def paragraph(text: str, first: str, following: str, width: int, kind: Kind = "") -> list[Line]:
    """Text wrapped to lines of one kind."""
    return [[(line, kind)] for line in wrap(text, first, following, width)]


def listed(texts: Iterable[str], kind: Kind = "") -> list[Line]:
    """A line for each text, indented. Control characters are escaped."""
    return [[(f"  {safe_text(text)}", kind)] for text in texts]


def content(lines: list[Line]) -> Content:
    """Lines as something a widget shows. Text is never read as markup."""
    parts: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if number:
            parts.append(("\n", ""))
        parts += [(text, STYLES[kind]) for text, kind in line]
    return Content.assemble(*parts)
