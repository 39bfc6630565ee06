"""The connections of an analysis as columns: what sorting and filtering work on, so that a hundred thousand take a
moment.

Each field of the filter language is one column: an integer for each connection that points into a list of the different
values.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inspector.findings.into_document.connection import result
from inspector.findings.judge import Analysis
from inspector.query.coded import coded
from inspector.query.fields import FIELDS, TEXT_FIELDS, Value
from inspector.query.language import Predicate
from inspector.query.session_columns import SessionColumns

Indexes = npt.NDArray[np.int64]
DIGITS = re.compile(r"(\d+)")
NATURAL = ("client", "server", "backend", "service")
RESULTS = ("full", "resumed", "aborted", "other")


class Columns:
    """``by_name``: a column for each field of ``filters.FIELDS``. ``service``: int32, a service's place for each
    connection. ``time_ns``: int64, of the ClientHello. ``result``: uint8, place in ``RESULTS``, or 4 for health checks.
    ``leaf``: int32, place in ``leaves`` (digests), or -1. ``backend``: int32, or -1. ``sessions``: those of all.
    """

    def __init__(self, analysis: Analysis, advance: Callable[[int], None] | None = None) -> None:
        """``advance`` is told how many connections are done; it may raise to stop."""
        columns = analysis.case.columns
        count = len(columns)
        self.count = count
        self.service = np.array(columns.service[:count], np.int32)
        self.time_ns = np.array(columns.hello_ns[:count], np.int64)
        self.backend = np.array(columns.backend[:count], np.int32)
        leaves: dict[bytes, int] = {}
        codes = [leaves.setdefault(s.leaf, len(leaves)) if s.leaf is not None else -1 for s in columns.shapes]
        results = [RESULTS.index(result(shape.traits)) for shape in columns.shapes]
        shapes = np.array(columns.shape[:count], np.int64)
        self.leaf = np.array(codes, np.int32)[shapes]
        self.leaves = list(leaves)
        self.result = np.array(results, np.uint8)[shapes]
        self.result[np.array(columns.health_check[:count], np.bool_)] = len(RESULTS)
        self.sessions = SessionColumns(analysis.case, advance)
        self.by_name = coded(analysis, FIELDS, advance)
        for name in TEXT_FIELDS:
            if advance:
                advance(count)
            self.by_name[name].texts  # noqa: B018 - made here, not while somebody types

    def matching(self, test: Predicate | None, service: int | None = None) -> Indexes:
        """The connections that match, in the order of their ClientHellos. ``service``: of this one alone."""
        mask = np.ones(self.count, np.bool_) if test is None else test.select(self.by_name)
        if service is not None:
            mask &= self.service == service
        return np.flatnonzero(mask)

    def ordered(self, indexes: Indexes, field: str, descending: bool) -> Indexes:
        """The connections sorted by a field, stable; unknown values come last."""
        if field == "time":
            return indexes[::-1] if descending else indexes
        codes, values = self.by_name[field].codes, self.by_name[field].values
        rank = np.empty(len(values), np.int64)
        rank[_sorted([v[0] if v else None for v in values], field in NATURAL)] = np.arange(len(values))
        if descending:
            unknown = np.array([not v or v[0] in (None, "") for v in values], np.bool_)
            rank = np.where(unknown, len(values), -rank)
        return indexes[np.argsort(rank[codes[indexes]], kind="stable")]


def _sorted(firsts: list[Value], is_natural: bool) -> list[int]:
    """The places of values in ascending order; unknown ones last. Plain texts and numbers, the usual case, are compared
    as they are.
    """
    known = [i for i, v in enumerate(firsts) if v is not None and v != ""]
    unknown = [i for i, v in enumerate(firsts) if v is None or v == ""]
    texts = [v for i in known if isinstance(v := firsts[i], str)]
    if len(texts) == len(known) and not is_natural:
        return [known[i] for i in sorted(range(len(texts)), key=texts.__getitem__)] + unknown
    return sorted(known, key=lambda i: _key(firsts[i])) + unknown


def _key(value: Value) -> tuple[object, ...]:
    if isinstance(value, str):
        return (
            1,
            len(value) if value.isalpha() else 0,
            *((0, int(p), "") if p.isdigit() else (1, 0, p) for p in DIGITS.split(value) if p),
        )
    return (0, value or 0)
