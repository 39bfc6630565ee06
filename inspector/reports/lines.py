"""Lines of a report as pieces of text, each with the kind of what it says. ``plain`` is the text alone; whoever shows
the lines may add colour.

A kind is a meaning, not a colour: colour only repeats what glyph and word say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from inspector.text.cells import cell_count, wrapped

Kind = Literal["", "bad", "warn", "good", "dim", "head"]
Piece = tuple[str, Kind]
Line = list[Piece]
Cell = str | Line
"""Of a table: a text of no kind, or pieces."""


def plain(cell: Cell) -> str:
    """The text alone."""
    return cell if isinstance(cell, str) else "".join(text for text, _ in cell)


def wrap(text: str, first: str, following: str, width: int = 100) -> list[str]:
    """Lines of at most ``width`` columns."""
    return wrapped(text, first, following, width) or [first]


def marked(mark: Piece, text: str, first: str, following: str, width: int = 100) -> list[Line]:
    """A text behind its mark, wrapped; ``mark`` alone has a kind."""
    glyph, kind = mark
    head, *rest = wrap(f"{glyph} {text}", first, following, width)
    first_line = _joined([(first, ""), (glyph, kind), (head[len(first) + len(glyph) :], "")])
    return [first_line, *uniform(rest)]


def uniform(texts: Iterable[str], kind: Kind = "") -> list[Line]:
    """Lines of one kind."""
    return [[(text, kind)] for text in texts]


def columns(rows: Iterable[Sequence[Cell]], right: Iterable[int] = (), indent: str = "") -> list[Line]:
    """Columns as wide as their widest cell, two spaces between them. ``right``: those that end together."""
    listed = list(rows)
    widths = [max(cell_count(plain(row[i])) for row in listed) for i in range(len(listed[0]))]
    aligned = set(right)
    lines: list[Line] = []
    for row in listed:
        line: Line = [(indent, "")]
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            pieces: Line = [(cell, "")] if isinstance(cell, str) else cell
            padding: Line = [(" " * (width - cell_count(plain(cell))), "")]
            line += [("  " if i else "", ""), *([*padding, *pieces] if i in aligned else [*pieces, *padding])]
        lines.append(_joined(line))
    return lines


def table(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Columns as text, two spaces before them."""
    return [plain(line) for line in columns(rows, right, "  ")]


def flowing(parts: Iterable[str], indent: str, width: int) -> list[str]:
    """Parts side by side as far as they go; none is broken unless it is longer than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_count(lines[-1]) + 3 + cell_count(part) <= width:
            lines[-1] += f"   {part}"
        else:
            lines += wrap(part, indent, indent, width)
    return lines


def merged(line: Iterable[Piece]) -> Line:
    """Pieces of one kind that stand beside each other as one."""
    pieces: Line = []
    for text, kind in line:
        if pieces and pieces[-1][1] == kind:
            pieces[-1] = (pieces[-1][0] + text, kind)
        elif text:
            pieces.append((text, kind))
    return pieces


def _joined(line: Line) -> Line:
    """The same, no spaces at the end."""
    pieces = merged(line)
    if pieces and not pieces[-1][1]:
        pieces[-1] = (pieces[-1][0].rstrip(), "")
    return pieces
