"""Findings and incidents of an analysis as records with names, as whoever reads lines wants them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.findings.judge import Analysis
from inspector.reports.named_lines import NamedLines


class NamedRecord(NamedTuple):
    """``record``: ``finding`` or ``incident``. ``encoded``: its JSON, as a line has it."""

    record: str
    encoded: bytes


def named_records(analysis: Analysis) -> Iterator[NamedRecord]:
    """All of them: findings, then incidents."""
    document = analysis.document
    named = NamedLines(analysis.case)
    by_id = {finding.id: finding for finding in document.findings}
    for finding in document.findings:
        yield NamedRecord("finding", named.encoded(finding, finding))
    for incident in document.incidents:
        about = by_id.get(next(iter(incident.findings), incident.id))
        if about is not None:
            yield NamedRecord("incident", named.encoded(incident, about))
