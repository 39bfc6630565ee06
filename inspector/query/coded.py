"""A field of all connections as one column: an integer for each connection that points into the list of different
values. What is asked of a value is asked once, however many connections have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from inspector.findings.judge import Analysis
from inspector.query.fields import Field, FieldLookup, Value, Values

STEP = 2_000
"""After so many connections ``advance`` is called."""


class CodedColumn:
    """A field of all connections: ``codes`` (int32, one a connection) point into ``values``, each
    different value once.
    """

    def __init__(self, codes: npt.NDArray[np.int32], values: list[Values]) -> None:
        self.codes = codes
        self.values = values

    @cached_property
    def texts(self) -> list[str]:
        """Each value as one text to look into, its parts set apart by NUL."""
        return ["\0".join([text_of(v) for v in value if v is not None]) for value in self.values]


def coded(
    analysis: Analysis, fields: Sequence[Field], advance: Callable[[int], None] | None = None
) -> dict[str, CodedColumn]:
    """The columns of some fields by their names, in one pass: a connection's facts are unpacked once. ``advance`` is
    told how many connections are done; it may raise to stop.
    """
    lookup = FieldLookup(analysis)
    observed = analysis.case.observed
    codes = [np.zeros(len(observed), np.int32) for _ in fields]
    tables: list[dict[Values, int]] = [{} for _ in fields]
    readers = [(field.read, table, column) for field, table, column in zip(fields, tables, codes, strict=True)]
    for index, connection in enumerate(observed):
        client_leg = connection.client_leg
        for read, table, column in readers:
            value = read(lookup, connection, client_leg)
            code = table.get(value)
            if code is None:
                code = table[value] = len(table)
            if code:
                column[index] = code
        if advance and index % STEP == 0:
            advance(index)
    return {
        field.name: CodedColumn(column, list(table)) for field, column, table in zip(fields, codes, tables, strict=True)
    }


def text_of(value: Value) -> str:
    """A value as it is compared with what somebody typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return (value or "none").lower() if value is not None else "none"
