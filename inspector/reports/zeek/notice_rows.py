"""Rows of ``notice.log``: findings, as ``Inspector::`` and the name of the rule."""

from __future__ import annotations

from datetime import UTC, datetime

from inspector.reports.named_lines import FindingLine
from inspector.reports.zeek.columns import Values
from inspector.reports.zeek.flow_rows import uid_of
from inspector.text.times import SECOND_NS

SECONDS = slice(0, 19)
FRACTION = slice(20, 29)
"""Of a time as ``rfc3339`` writes it."""


def nanoseconds(text: str) -> int:
    """Since the epoch, of a time as ``rfc3339`` writes it."""
    second = datetime.fromisoformat(text[SECONDS]).replace(tzinfo=UTC)
    return int(second.timestamp()) * SECOND_NS + int(text[FRACTION])


def notice(finding: FindingLine, at: str) -> Values:
    """A row. ``at``: when it was told, for one that has no time."""
    connections, names = [uid_of(one) for one in finding.connections], finding.names
    return {
        "ts": nanoseconds(finding.first or at),
        "uid": connections[0] if len(connections) == 1 else None,
        "note": f"Inspector::{finding.rule.replace('-', '_').title()}",
        "msg": finding.title,
        "sub": finding.explanation or None,
        "n": finding.count,
        "inspector.finding": finding.id,
        "inspector.severity": finding.severity,
        "inspector.verdict": finding.verdict,
        "inspector.grade": finding.grade,
        "inspector.service": names.service or None,
        "inspector.backends": names.backends or None,
        "inspector.uids": connections or None,
        "inspector.last": nanoseconds(finding.last) if finding.last else None,
        "inspector.do": [remedy.text for remedy in finding.remedies] or None,
    }
