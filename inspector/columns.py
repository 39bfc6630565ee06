"""The connections of an analysis as columns: what sorting and filtering work on, so that a hundred thousand take a moment.

Each field of the filter language is one column: an integer for each connection that points into a list of the different values.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inspector.filters import FIELDS, Coded, Names, Test, Value, Values
from inspector.findings.judge import Analysis

Indexes = npt.NDArray[np.int64]
STEP = 2_000
"""After so many connections ``advance`` is called."""

DIGITS = re.compile(r"(\d+)")
NATURAL = ("client", "server", "backend", "service")
RESULTS = ("full", "resumed", "aborted", "other")


class Columns:
    """``by_name``: a column for each field of ``filters.FIELDS``. ``service``: int32, a service's place for each connection. ``time_ns``: int64, of the
    ClientHello. ``result``: uint8, place in ``RESULTS``, or 4 for health checks.
    """

    def __init__(self, analysis: Analysis, advance: Callable[[int], None] | None = None) -> None:
        """``advance`` is told how many connections are done; it may raise to stop."""
        names = Names(analysis)
        observed = analysis.case.observed
        count = len(observed)
        self.count = count
        self.service = np.fromiter((s.service for s in observed), np.int32, count)
        self.time_ns = np.fromiter((s.hello_ns or s.first_ns for s in observed), np.int64, count)
        self.result = np.zeros(count, np.uint8)
        codes = [np.zeros(count, np.int32) for _ in FIELDS]
        tables: list[dict[Values, int]] = [{} for _ in FIELDS]
        readers = [(field.read, table, column) for field, table, column in zip(FIELDS, tables, codes, strict=True)]
        for index, seen in enumerate(observed):
            main = seen.main
            for read, table, column in readers:
                value = read(names, seen, main)
                code = table.get(value)
                if code is None:
                    code = table[value] = len(table)
                if code:
                    column[index] = code
            if seen.health_check:
                self.result[index] = 4
            elif seen.outcome == "aborted":
                self.result[index] = 2
            elif seen.outcome == "established" and seen.kind is not None:
                self.result[index] = 0 if seen.kind == "full" else 1
            else:
                self.result[index] = 3
            if advance and index % STEP == 0:
                advance(index)
        self.by_name = {field.name: Coded(column, list(table)) for field, column, table in zip(FIELDS, codes, tables, strict=True)}

    def matching(self, test: Test | None, service: int | None = None) -> Indexes:
        """The connections that match, in the order of their ClientHellos. ``service``: of this one alone."""
        mask = np.ones(self.count, np.bool_) if test is None else test.select(self.by_name)
        if service is not None:
            mask &= self.service == service
        return np.flatnonzero(mask)

    def ordered(self, indexes: Indexes, field: str, descending: bool) -> Indexes:
        """The connections sorted by a field, stable; unknown values come last."""
        if field == "time":
            return indexes[::-1] if descending else indexes
        codes, values = self.by_name[field]
        natural = field in NATURAL
        places = sorted(range(len(values)), key=lambda i: _key(values[i], natural))
        rank = np.empty(len(values), np.int64)
        rank[places] = np.arange(len(values))
        if descending:
            unknown = np.array([not v or v[0] in (None, "") for v in values], np.bool_)
            rank = np.where(unknown, len(values), -rank)
        return indexes[np.argsort(rank[codes[indexes]], kind="stable")]


def _key(values: Values, natural: bool) -> tuple[object, ...]:
    first: Value = values[0] if values else None
    if first is None or first == "":
        return (2,)
    if isinstance(first, str):
        if natural:
            return (1, len(first) if first.isalpha() else 0, *((0, int(p), "") if p.isdigit() else (1, 0, p) for p in DIGITS.split(first) if p))
        return (1, first)
    return (0, float(first))
