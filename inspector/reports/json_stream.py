"""The analysis document as JSON, written as a stream: memory does not grow with the number of connections."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import BinaryIO

import msgspec

from inspector.document import LISTS, Connection
from inspector.findings.judge import Analysis

CHUNK = 512


def write_json(analysis: Analysis, connections: Iterable[Connection], out: BinaryIO) -> None:
    """One JSON object. ``connections``: those to show."""
    encode = msgspec.json.encode
    document = analysis.document
    head = {"schema": document.schema, "generator": document.generator}
    out.write(encode(head)[:-1])
    for name in LISTS:
        if name not in ("connections", "sessions"):
            out.write(b',\n"%s":' % name.encode() + encode(getattr(document, name)))
    _write_list("sessions", analysis.sessions(), out)
    _write_list("connections", connections, out)
    out.write(b"}\n")


def _write_list(name: str, rows: Iterable[object], out: BinaryIO) -> None:
    out.write(b',\n"%s":[' % name.encode())
    remaining = iter(rows)
    separator = b"\n"
    while chunk := list(islice(remaining, CHUNK)):
        out.write(separator + msgspec.json.encode(chunk)[1:-1])
        separator = b",\n"
    out.write(b"]")


def write_jsonl(analysis: Analysis, connections: Iterable[Connection], out: BinaryIO) -> None:
    """The same objects one a line, each with a ``record`` that names its list."""
    document = analysis.document
    encode = msgspec.json.encode
    out.write(encode({"record": "analysis", "schema": document.schema, "generator": document.generator}) + b"\n")
    for name in LISTS:
        rows = connections if name == "connections" else analysis.sessions() if name == "sessions" else getattr(document, name)
        for row in rows:
            out.write(b'{"record":"%s",' % name.encode() + encode(row)[1:] + b"\n")
