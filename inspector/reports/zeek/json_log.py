"""Rows as Zeek writes them in JSON: one object a line, what is unset left out, ``_path`` the name of the log."""

from __future__ import annotations

import msgspec

from inspector.reports.zeek.ascii_log import MICROSECOND_NS
from inspector.reports.zeek.columns import COLUMNS, Values
from inspector.text.terminal import terminal_json

MICROSECONDS = 1_000_000
TIMES = {
    path: frozenset(name for name, kind in columns if kind in ("time", "interval")) for path, columns in COLUMNS.items()
}


def line(path: str, values: Values) -> bytes:
    """A row of the log ``path``. Times are seconds, to the microsecond."""
    times = TIMES[path]
    shown: dict[str, object] = {"_path": path}
    for name, value in values.items():
        if value is not None:
            shown[name] = seconds(value) if name in times and isinstance(value, int) else value
    return terminal_json(msgspec.json.encode(shown)) + b"\n"


def seconds(ns: int) -> float:
    """Cut to the microsecond, as Zeek counts."""
    whole = abs(ns) // MICROSECOND_NS / MICROSECONDS
    return -whole if ns < 0 else whole
