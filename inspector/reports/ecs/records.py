"""Whatever is told beside connections as events of the Elastic Common Schema. A finding and an incident are alerts; the
record as it is otherwise told stands in ``inspector``, below its kind.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from inspector.reports.ecs.event import Fields, event_line, known, observer
from inspector.reports.named_lines import FindingLine, IncidentLine

KINDS = {"finding": "alert", "incident": "alert", "statistics": "metric", "assessment": "state"}
"""``event.kind`` of records; of any other it is ``event``."""

SEVERITIES = {"high": 73, "medium": 47, "low": 21, "info": 0}
"""``event.severity``: as Elastic's detection rules count."""


class TimedLine(Struct):
    """What a record of any kind may have."""

    at: str = ""


def record_line(record: str, encoded: bytes, at: str) -> bytes:
    """A record as a line. ``encoded``: its JSON; ``at``: when it was told, which counts where it has no time of its
    own.
    """
    ours: Fields = {"observer": observer(""), "inspector": {record: msgspec.Raw(encoded)}}
    if record == "finding":
        return _finding(msgspec.json.decode(encoded, type=FindingLine), ours, at)
    if record == "incident":
        return _incident(msgspec.json.decode(encoded, type=IncidentLine), ours)
    when = msgspec.json.decode(encoded, type=TimedLine).at or at
    return event_line(when, KINDS.get(record, "event"), record, {}, ours)


def _finding(finding: FindingLine, ours: Fields, at: str) -> bytes:
    categorization = {
        "category": ["network"],
        "type": ["info"],
        "id": finding.id,
        "reason": finding.explanation or None,
        "severity": SEVERITIES[finding.severity],
        "start": finding.first,
        "end": finding.last,
    }
    fields = {"message": finding.title, "rule": known({"name": finding.rule, "category": finding.matter or None})}
    if finding.names.clients:
        fields["related"] = {"ip": finding.names.clients}
    return event_line(finding.first or at, KINDS["finding"], "finding", categorization, {**fields, **ours})


def _incident(incident: IncidentLine, ours: Fields) -> bytes:
    categorization = {"category": ["network"], "type": ["info"], "id": incident.id}
    fields = {"message": incident.summary, **ours}
    return event_line(incident.at, KINDS["incident"], "incident", categorization, fields)
