"""Bytes in hex and as text, some of them marked. Pure functions."""

from __future__ import annotations

from inspector.reports.lines import Kind, Line

MOST = 1 << 16


def hexdump(data: bytes, first: int, length: int, width: int) -> tuple[list[Line], int]:
    """Lines of 16 bytes, 8 or 4 where it is narrow, with ``length`` bytes from ``first`` marked; and the number of the
    first line that has any of them.
    """
    per_line = 16 if width >= 74 else 8 if width >= 40 else 4
    lines: list[Line] = []
    for at in range(0, min(len(data), MOST), per_line):
        piece = data[at : at + per_line]
        line: Line = [(f"{at:05x}  ", "dim")]
        for i, byte in enumerate(piece):
            kind: Kind = "head" if first <= at + i < first + length else ""
            line.append((f"{byte:02x} ", kind))
        line.append(("   " * (per_line - len(piece)) + " ", ""))
        line += [
            (chr(b) if 32 <= b < 127 else ".", "head" if first <= at + i < first + length else "dim")
            for i, b in enumerate(piece)
        ]
        lines.append(line)
    if len(data) > MOST:
        lines.append([(f"{len(data) - MOST:,} bytes more", "dim")])
    return lines, first // per_line
