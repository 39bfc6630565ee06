"""An analysis as events of the Elastic Common Schema, one a line: findings, incidents, connections."""

from __future__ import annotations

from typing import BinaryIO

from inspector.findings.judge import Analysis, Wanted
from inspector.reports.capture_span import capture_span
from inspector.reports.ecs.connections import EcsConnections
from inspector.reports.ecs.records import record_line
from inspector.reports.named_records import named_records
from inspector.reports.pooled_lines import pooled_lines
from inspector.text.times import rfc3339


def write_ecs(analysis: Analysis, wanted: Wanted, out: BinaryIO, processes: int | None = None) -> None:
    """``processes``: how many write, as many as are worth it by default."""
    out.flush()
    case = analysis.case
    rows = analysis.observed(wanted)
    with pooled_lines(rows, EcsConnections(case).line, processes) as connections:
        at = rfc3339(capture_span(case).last_ns)
        out.writelines(record_line(record, encoded, at) for record, encoded in named_records(analysis))
        connections.write_to(out)
