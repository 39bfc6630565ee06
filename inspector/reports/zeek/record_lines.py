"""What Zeek has no log for, as lines of logs of ours, ``inspector_statistics`` for one."""

from __future__ import annotations

import msgspec

from inspector.reports.zeek.json_log import seconds
from inspector.text.terminal import terminal_json


def other_line(record: str, encoded: bytes, at_ns: int) -> bytes:
    """A record as it is otherwise told, behind the name of its log and the time at which it was. ``encoded``: its
    JSON.
    """
    head = msgspec.json.encode({"_path": f"inspector_{record}", "ts": seconds(at_ns)})
    return terminal_json(head[:-1] + b"," + encoded[1:]) + b"\n"
