"""The analysis in one of its forms, written to a file or a pipe."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from inspector.document import Connection
from inspector.findings.judge import Analysis
from inspector.tracking.observed import Observed

FORMS = ("text", "json", "jsonl", "csv")


def write(analysis: Analysis, form: str, wanted: Callable[[Observed], bool] | None, target: BinaryIO) -> None:
    """``form``: one of ``FORMS``. ``wanted``: which connections, all by default. Raises OSError where it cannot be
    written.
    """

    def connections(start: int = 0, stop: int | None = None) -> Iterator[Connection]:
        return analysis.connections(start, stop, wanted)

    if form == "json":
        from inspector.reports.json_stream import write_json

        write_json(analysis, connections, target)
    elif form == "jsonl":
        from inspector.reports.json_stream import write_jsonl

        write_jsonl(analysis, connections(), target)
    else:
        text = io.TextIOWrapper(target, encoding="utf-8", errors="backslashreplace", write_through=False)
        if form == "csv":
            from inspector.reports.csv_table import write_csv

            write_csv(analysis, connections(), text)
        else:
            from inspector.reports.text import write_text

            write_text(analysis, connections() if wanted is not None else None, text)
        text.flush()
        text.detach()
    target.flush()
