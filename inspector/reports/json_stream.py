"""The analysis document as JSON, written as a stream: memory does not grow with the number of connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import BinaryIO

import msgspec

from inspector.document import LISTS, SCHEMA, Connection, Document
from inspector.errors import UnreadableError
from inspector.findings.judge import Analysis
from inspector.reports.forked_job import ForkedJob

CHUNK = 512
SHARE_HERE = 0.15
"""Of the connections that two cores write: this one makes the findings and writes the sessions meanwhile."""

SEPARATOR = b",\n"
SHARED_FROM, SHARED_UP_TO = 4_000, 40_000
"""So many connections are written by two cores: fewer are not worth a process, and more would take too much memory
twice.
"""


Rows = Callable[[int, int], Iterable[Connection]]
"""Connections from one place in the order of ClientHellos up to another."""


def write_json(analysis: Analysis, connections: Rows, out: BinaryIO) -> None:
    """One JSON object. ``connections``: those to show."""
    encode = msgspec.json.encode
    count = analysis.count
    here = int(count * SHARE_HERE) if SHARED_FROM <= count <= SHARED_UP_TO and ForkedJob.is_worthwhile() else count
    out.flush()
    rest = ForkedJob(lambda target: _write_rows(connections(here, count), target)) if here < count else None
    document = analysis.document
    head = {"schema": document.schema, "generator": document.generator}
    out.write(encode(head)[:-1])
    for name in LISTS:
        if name not in ("connections", "sessions"):
            out.write(b',\n"%s":' % name.encode() + encode(getattr(document, name)))
    out.write(b',\n"sessions":[')
    _write_rows(analysis.sessions(), out, is_first=True)
    out.write(b'],\n"connections":[')
    has_rows = _write_rows(connections(0, here), out, is_first=True)
    if rest is not None and rest.has_succeeded():
        rest.append_to(out, skip=0 if has_rows else len(SEPARATOR) - 1)
    elif rest is not None:
        rest.drop()
        _write_rows(connections(here, count), out, is_first=not has_rows)
    out.write(b"]}\n")


def _write_rows(rows: Iterable[object], out: BinaryIO, is_first: bool = False) -> bool:
    """Each row behind a comma, but for the first one of a list; whether there was any."""
    separator = SEPARATOR[1:] if is_first else SEPARATOR
    remaining = iter(rows)
    encoder = msgspec.json.Encoder()
    buffer = bytearray()
    while chunk := list(islice(remaining, CHUNK)):
        encoder.encode_into(chunk, buffer)
        out.write(separator)
        separator = SEPARATOR
        with memoryview(buffer) as encoded:
            out.write(encoded[1:-1])
    return not is_first or separator is SEPARATOR


def read_json(path: str) -> Document:
    """An analysis that was written as JSON. Raises UnreadableError."""
    try:
        with open(path, "rb") as file:
            document = msgspec.json.decode(file.read(), type=Document)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    except msgspec.DecodeError as error:
        raise UnreadableError(f"{path}: no analysis: {error}") from None
    if document.schema != SCHEMA:
        raise UnreadableError(f"{path}: an analysis of another schema: {document.schema}")
    return document


def write_jsonl(analysis: Analysis, connections: Iterable[Connection], out: BinaryIO) -> None:
    """The same objects one a line, each with a ``record`` that names its list."""
    document = analysis.document
    encode = msgspec.json.encode
    out.write(encode({"record": "analysis", "schema": document.schema, "generator": document.generator}) + b"\n")
    for name in LISTS:
        rows = (
            connections
            if name == "connections"
            else analysis.sessions()
            if name == "sessions"
            else getattr(document, name)
        )
        for row in rows:
            out.write(b'{"record":"%s",' % name.encode() + encode(row)[1:] + b"\n")
