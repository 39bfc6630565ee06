"""What every event of ours has in the Elastic Common Schema, and how it becomes a line.

Fields of the schema have the schema's names, types and values; what it has no field for stands in ``inspector``. What
is not known is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from inspector.text.terminal import terminal_json
from inspector.text.version import VERSION

ECS_VERSION = "8.11.0"

MODULE = "inspector"

encode = msgspec.json.encode

Fields = dict[str, object]


def known(fields: Mapping[str, object]) -> Fields:
    """Those that have a value: neither None nor an empty list."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


def event_line(
    at: str, kind: str, dataset: str, categorization: Mapping[str, object], fields: Mapping[str, object]
) -> bytes:
    """An event as a line. ``at``: when, RFC 3339. ``kind``: ``event.kind``; ``dataset``: what it is of ours.
    ``categorization``: further fields of ``event``; ``fields``: all others.
    """
    event = {"kind": kind, "module": MODULE, "dataset": f"{MODULE}.{dataset}", **known(categorization)}
    whole = {"@timestamp": at, "ecs": {"version": ECS_VERSION}, "event": event, **fields}
    return terminal_json(encode(whole)) + b"\n"


def observer(host: str) -> Fields:
    """Who saw it. ``host``: where it was captured, empty where nobody said."""
    return known({"product": MODULE, "type": "sensor", "version": VERSION, "hostname": host or None})
