"""What Zeek has no log for, as lines of logs of ours, ``inspector_statistics`` for one."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from inspector.reports.zeek.json_log import seconds
from inspector.text.terminal import terminal_json


def other_line(record: str, values: Mapping[str, object], at_ns: int) -> bytes:
    """A record as it is otherwise told, behind the name of its log and the time at which it was."""
    line = {"_path": f"inspector_{record}", "ts": seconds(at_ns), **values}
    return terminal_json(msgspec.json.encode(line)) + b"\n"
