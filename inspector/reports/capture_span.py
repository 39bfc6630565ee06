"""The time that captures cover."""

from __future__ import annotations

from typing import NamedTuple

from inspector.findings.case import Case


class CaptureSpan(NamedTuple):
    """Nanoseconds since the epoch; 0 where there is no packet."""

    first_ns: int
    last_ns: int


def capture_span(case: Case) -> CaptureSpan:
    """Of all captures of a case."""
    captures = case.facts.captures
    return CaptureSpan(
        min((c.first_ns for c in captures if c.first_ns is not None), default=0),
        max((c.last_ns for c in captures if c.last_ns is not None), default=0),
    )
