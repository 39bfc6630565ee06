"""``query``: a directory of facts, asked in SQL."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from inspector.cli.options import format_option

if TYPE_CHECKING:
    from inspector.query.sql import Answer

WIDEST = 60
MOST_IN_TEXT = 1_000
"""Rows that are laid out; of more the rest is counted."""


@click.command("query", short_help="Ask these tables, in SQL.")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@click.argument("question", metavar="SQL", default="")
@format_option("text", "csv", "jsonl")
def query_command(directory: str, question: str, form: str) -> None:
    """Ask the facts that extract wrote, in SQL. Without a question, tables and columns are listed. See
    docs/fleet.md.
    """
    from inspector.findings.wording import worded
    from inspector.query.sql import Questions
    from inspector.text.safe import safe_text

    questions = Questions(directory)
    for problem in questions.parts.problems:
        click.echo(f"inspector: {safe_text(worded(problem), 1_000)}", err=True)
    if not question:
        for table, columns in questions.tables():
            click.echo(f"{table}\n  " + "\n  ".join(f"{name:<16} {kind}" for name, kind in columns))
        return
    answer = questions.ask(question)
    if form == "csv":
        _write_csv(answer)
    elif form == "jsonl":
        _write_json(answer)
    else:
        _write_text(answer)


def _shown(value: object) -> str:
    from inspector.text.safe import safe_text

    if value is None:
        return ""
    return safe_text(str(value), 2_000)


def _write_text(answer: Answer) -> None:
    from inspector.text.cells import cell_count, left_aligned, right_aligned

    rows: list[tuple[object, ...]] = []
    left = 0
    for row in answer.rows:
        if len(rows) < MOST_IN_TEXT:
            rows.append(row)
        else:
            left += 1
    cells = [[_shown(value) for value in row] for row in rows]
    names = [_shown(name) for name in answer.columns]
    widths = [min(max(map(cell_count, column)), WIDEST) for column in zip(names, *cells, strict=True)]
    is_number = [
        any(row[at] is not None for row in rows) and all(isinstance(row[at], int | float | None) for row in rows)
        for at in range(len(names))
    ]
    for line in (names, *cells):
        laid_out = (
            (right_aligned if number else left_aligned)(cell, width)
            for cell, width, number in zip(line, widths, is_number, strict=True)
        )
        click.echo("  ".join(laid_out).rstrip())
    if left:
        click.echo(f"… and {left:,} more rows: -T csv prints all", err=True)


def _write_csv(answer: Answer) -> None:
    from inspector.text.safe import csv_cell

    def line(values: Iterable[object]) -> str:
        text = io.StringIO()
        csv.writer(text).writerow(csv_cell(value) for value in values)
        return text.getvalue()

    sys.stdout.write(line(answer.columns))
    for row in answer.rows:
        sys.stdout.write(line(row))


def _write_json(answer: Answer) -> None:
    import msgspec

    from inspector.text.terminal import terminal_json

    encoder = msgspec.json.Encoder(enc_hook=str)
    for row in answer.rows:
        line = encoder.encode(dict(zip(answer.columns, row, strict=True)))
        sys.stdout.buffer.write(terminal_json(line) + b"\n")
