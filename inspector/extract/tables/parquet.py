"""The tables' columns, as Arrow's types. PyArrow is loaded here alone: it comes with the extra ``fleet``.

Times are nanoseconds since the epoch, UTC. Digests, session ids and randoms are lower-case hexadecimal. What is not
known is null. ``packed`` is MessagePack of this program.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from inspector.errors import UsageError

COMPRESSION = "zstd"
GROUP_ROWS, GROUP_BYTES = 8_192, 64 << 20
"""Of a file are so many rows in memory at once, at most; and so many bytes of them, but for a row that is larger."""

PACKED = ("packed", "der")
"""Columns of which no value is like another: they have no dictionary."""

COLUMNS: dict[str, dict[str, str]] = {
    "connections": {
        "part": "string",
        "vantage": "string",
        "day": "string",
        "number": "int64",
        "time": "moment",
        "duration_ns": "int64",
        "client": "string",
        "client_port": "int32",
        "server": "string",
        "server_port": "int32",
        "server_name": "string",
        "version": "string",
        "cipher_suite": "string",
        "kind": "string",
        "outcome": "string",
        "stack": "string",
        "offered_session": "string",
        "session": "string",
        "offered_ticket": "string",
        "issued_ticket": "string",
        "certificate": "string",
        "alert": "string",
        "alert_from": "string",
        "closed_by": "string",
        "closed_how": "string",
        "answer_ns": "int64",
        "rtt_ns": "int64",
        "client_bytes": "int64",
        "server_bytes": "int64",
        "gap_bytes": "int64",
        "is_lost": "bool",
        "is_one_sided": "bool",
        "capture": "string",
        "capture_number": "int64",
        "first_frame": "int64",
        "last_frame": "int64",
        "client_random": "string",
        "packed": "binary",
    },
    "certificates": {
        "part": "string",
        "sha256": "string",
        "subject": "string",
        "issuer": "string",
        "serial": "string",
        "not_before": "moment",
        "not_after": "moment",
        "dns_names": "strings",
        "ip_addresses": "strings",
        "key": "string",
        "signature": "string",
        "der": "binary",
    },
    "shapes": {
        "part": "string",
        "side": "string",
        "server_name": "string",
        "ja3": "string",
        "ja4": "string",
        "packed": "binary",
    },
    "captures": {
        "part": "string",
        "vantage": "string",
        "number": "int64",
        "path": "string",
        "packets": "int64",
        "bytes": "int64",
        "first": "moment",
        "last": "moment",
        "drops": "int64",
        "is_truncated": "bool",
        "packed": "binary",
    },
    "clock_offsets": {
        "part": "string",
        "capture": "int64",
        "other": "int64",
        "offset_ns": "int64",
        "uncertainty_ns": "int64",
        "connections": "int64",
    },
    "remainder": {"part": "string", "packed": "binary"},
}
"""Of each table its columns with their types, as ``_type`` knows them."""


def pyarrow() -> ModuleType:
    """PyArrow with its Parquet. Raises UsageError where it is not installed."""
    try:
        module = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError(
            "facts as tables need PyArrow, which is not installed", "pip install 'vip-inspector[fleet]'"
        ) from None
    return module


@cache
def schema(table: str) -> Any:
    """A table's schema as Arrow has it. Raises UsageError."""
    arrow = pyarrow()
    kinds = {
        "string": arrow.string(),
        "strings": arrow.list_(arrow.string()),
        "int32": arrow.int32(),
        "int64": arrow.int64(),
        "bool": arrow.bool_(),
        "binary": arrow.large_binary(),
        "moment": arrow.timestamp("ns", tz="UTC"),
    }
    return arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS[table].items()])
