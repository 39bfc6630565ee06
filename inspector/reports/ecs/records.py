"""Whatever is told beside connections as events of the Elastic Common Schema. A finding and an incident are alerts; the
record as it is otherwise told stands in ``inspector``, below its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector.reports.ecs.event import Fields, event_line, known, observer

KINDS = {"finding": "alert", "incident": "alert", "statistics": "metric", "assessment": "state"}
"""``event.kind`` of records; of any other it is ``event``."""

SEVERITIES = {"high": 73, "medium": 47, "low": 21, "info": 0}
"""``event.severity``: as Elastic's detection rules count."""


def record_line(record: str, values: Mapping[str, Any], at: str) -> bytes:
    """A record as a line. ``values``: of its JSON; ``at``: when it was told, which counts where it has no time of its
    own.
    """
    when = values.get("first") or values.get("at") or at
    fields: Fields = {"observer": observer(""), "inspector": {record: values}}
    categorization: Fields = {}
    if record == "finding":
        fields = {"message": values["title"], "rule": _rule(values), **fields}
        categorization = {
            "category": ["network"],
            "type": ["info"],
            "id": values["id"],
            "reason": values["explanation"],
            "severity": SEVERITIES[values["severity"]],
            "start": values["first"],
            "end": values["last"],
        }
        addresses = values["names"]["clients"]
        if addresses:
            fields["related"] = {"ip": addresses}
    elif record == "incident":
        fields = {"message": values["summary"], **fields}
        categorization = {"category": ["network"], "type": ["info"], "id": values["id"]}
    return event_line(str(when), KINDS.get(record, "event"), record, categorization, fields)


def _rule(values: Mapping[str, Any]) -> Fields:
    return known({"name": values["rule"], "category": values.get("matter") or None})
