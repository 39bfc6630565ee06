"""The analysis document as JSON, written as a stream: memory does not grow with the number of connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec

from inspector.document import LISTS, SCHEMA, Document
from inspector.errors import UnreadableError
from inspector.findings.into_document.encoded import EncodedRows
from inspector.findings.judge import Analysis, Wanted
from inspector.reports.pooled_lines import CHUNK, PooledRows
from inspector.system.forked_pool import Task
from inspector.system.plain_file import read_whole
from inspector.text.terminal import terminal_json

T = TypeVar("T")

MOST_BYTES = 2 << 30
"""Of an analysis that is read: a million connections."""


class ListLayout(NamedTuple):
    """How a list stands in a document: ``before`` it, ``behind`` it, ``between`` chunks, and each chunk of rows."""

    before: bytes
    between: bytes
    behind: bytes
    chunk: Callable[[list[bytes]], bytes]


def document_rows(
    analysis: Analysis, wanted: Wanted, layout: Callable[[str], ListLayout], processes: int | None
) -> PooledRows:
    """Sessions and connections, which are most of a document: other cores begin with them while this one makes the
    findings, which stand before them. ``layout``: of a list, by its name. ``processes``: as in ``PooledRows``.
    """
    case = analysis.case
    encoded = EncodedRows(case)
    rows = analysis.observed(wanted)
    tasks = [
        *_tasks(layout("sessions"), encoded.session, case.sessions),
        *_tasks(layout("connections"), encoded.connection, rows),
    ]
    return PooledRows(tasks, len(rows), processes)


def _tasks(layout: ListLayout, encode: Callable[[T], bytes], rows: Sequence[T]) -> Iterator[Task]:
    """A list, a task for each chunk."""

    def chunk(start: int, out: BinaryIO) -> None:
        out.write(layout.between if start else layout.before)
        if rows:
            out.write(layout.chunk([encode(row) for row in rows[start : start + CHUNK]]))
        if start + CHUNK >= len(rows):
            out.write(layout.behind)

    return (partial(chunk, start) for start in range(0, max(len(rows), 1), CHUNK))


def write_json(analysis: Analysis, wanted: Wanted, out: BinaryIO, processes: int | None = None) -> None:
    """One JSON object. ``processes``: as in ``PooledRows``."""
    out.flush()
    encode = msgspec.json.encode
    with document_rows(analysis, wanted, _as_list, processes) as rows:
        document = analysis.document
        head = {"schema": document.schema, "generator": document.generator}
        out.write(terminal_json(encode(head))[:-1])
        for name in LISTS:
            if name not in ("connections", "sessions"):
                out.write(b',\n"%b":[' % name.encode())
                out.writelines(_in_pieces(getattr(document, name)))
                out.write(b"]")
        rows.write_to(out)
    out.write(b"}\n")


def _in_pieces(rows: Sequence[object]) -> Iterator[bytes]:
    """The members of a list: there may be a finding for every few connections."""
    encode = msgspec.json.encode
    for start in range(0, len(rows), CHUNK):
        yield terminal_json((b"," if start else b"") + encode(rows[start : start + CHUNK])[1:-1])


def _as_list(name: str) -> ListLayout:
    """A member of the object; each chunk on a line."""
    return ListLayout(b',\n"%b":[' % name.encode(), b",", b"]", lambda chunk: b"\n" + terminal_json(b",".join(chunk)))


def read_json(path: str) -> Document:
    """An analysis that was written as JSON. Raises UnreadableError."""
    try:
        document = msgspec.json.decode(read_whole(path, MOST_BYTES), type=Document)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # also msgspec.DecodeError
        raise UnreadableError(f"{path}: no analysis: {error}") from None
    if document.schema != SCHEMA:
        raise UnreadableError(f"{path}: an analysis of another schema: {document.schema}")
    return document


def write_jsonl(analysis: Analysis, wanted: Wanted, out: BinaryIO, processes: int | None = None) -> None:
    """The same objects one a line, each with a ``record`` that names its list. ``processes``: as in
    ``PooledRows``.
    """
    out.flush()
    encode = msgspec.json.encode
    with document_rows(analysis, wanted, _as_lines, processes) as rows:
        document = analysis.document
        head = {"record": "analysis", "schema": document.schema, "generator": document.generator}
        out.write(terminal_json(encode(head)) + b"\n")
        for name in LISTS:
            if name == "sessions":
                rows.write_to(out)
            elif name != "connections":
                out.writelines(_line(name, encode(row)) for row in getattr(document, name))


def _as_lines(name: str) -> ListLayout:
    return ListLayout(b"", b"", b"", lambda chunk: b"".join([_line(name, row) for row in chunk]))


def _line(name: str, row: bytes) -> bytes:
    return b'{"record":"%b",%b\n' % (name.encode(), terminal_json(row)[1:])
