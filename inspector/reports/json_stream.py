"""The analysis document as JSON, written as a stream: memory does not grow with the number of connections."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, TypeVar

import msgspec

from inspector.document import LISTS, SCHEMA, Document
from inspector.errors import UnreadableError
from inspector.findings.into_document.encoded import EncodedRows
from inspector.findings.judge import Analysis, Wanted
from inspector.reports.both_ends import MOST_PIECES, BothEnds, Piece
from inspector.reports.forked_job import ForkedJob
from inspector.text.plain_file import read_whole
from inspector.text.terminal import terminal_json

T = TypeVar("T")
Chunk = Callable[[], list[bytes]]
"""Some rows of a list, each as JSON."""

CHUNK = 512
"""Rows that are written at once."""

SHARED_FROM, SHARED_UP_TO = 4_000, 40_000
"""So many connections are written by two cores: fewer are not worth a process, and more would take too much memory
twice.
"""

MOST_BYTES = 2 << 30
"""Of an analysis that is read: a million connections."""

ANEW = 0.15
"""Behind so many of the connections that two cores write, chunks begin anew."""


class DocumentRows:
    """Sessions and connections, which are most of a document. Another core begins with them where that is worth it,
    while this one makes the findings, which stand before them; it is let go at the end of the context.
    """

    def __init__(
        self, analysis: Analysis, wanted: Wanted, pieces_of: Callable[[str, list[Chunk]], Iterator[Piece]]
    ) -> None:
        """``pieces_of``: what is written of a list, by its name."""
        case = analysis.case
        encoded = EncodedRows(case)
        is_large = SHARED_FROM <= analysis.count <= SHARED_UP_TO
        is_shared = is_large and ForkedJob.is_worthwhile()
        anew = int(analysis.count * ANEW) if is_large else 0  # whoever writes them, lines end in the same places
        parts = [case.observed[:anew], case.observed[anew:]] if anew else [case.observed]
        if wanted is not None:
            parts = [list(filter(wanted, rows)) for rows in parts]
        self._pieces = [
            *pieces_of("sessions", _chunks(encoded.session, [case.sessions])),
            *pieces_of("connections", _chunks(encoded.connection, parts)),
        ]
        self._shared: BothEnds | None = None
        if is_shared and len(self._pieces) <= MOST_PIECES:
            with contextlib.suppress(OSError):  # there can be no further process
                self._shared = BothEnds(self._pieces)

    def __enter__(self) -> DocumentRows:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._shared is not None:
            self._shared.drop()

    def write_to(self, out: BinaryIO) -> None:
        """All of them, in order."""
        if self._shared is not None:
            self._shared.write_to(out)
        else:
            for piece in self._pieces:
                out.write(piece())


def _chunks(encode: Callable[[T], bytes], parts: Sequence[Sequence[T]]) -> list[Chunk]:
    return [partial(_encoded, encode, rows, start) for rows in parts for start in range(0, len(rows), CHUNK)]


def _encoded(encode: Callable[[T], bytes], rows: Sequence[T], start: int) -> list[bytes]:
    return [encode(row) for row in rows[start : start + CHUNK]]


def write_json(analysis: Analysis, wanted: Wanted, out: BinaryIO) -> None:
    """One JSON object."""
    out.flush()
    encode = msgspec.json.encode
    with DocumentRows(analysis, wanted, _as_list) as rows:
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


def _as_list(name: str, chunks: list[Chunk]) -> Iterator[Piece]:
    """A member of the object; each chunk on a line."""
    yield lambda: b',\n"%b":[' % name.encode()
    for number, chunk in enumerate(chunks):
        yield partial(bytes, b",\n" if number else b"\n")
        yield partial(_joined, chunk)
    yield lambda: b"]"


def _joined(chunk: Chunk) -> bytes:
    return terminal_json(b",".join(chunk()))


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


def write_jsonl(analysis: Analysis, wanted: Wanted, out: BinaryIO) -> None:
    """The same objects one a line, each with a ``record`` that names its list."""
    out.flush()
    encode = msgspec.json.encode
    with DocumentRows(analysis, wanted, _as_lines) as rows:
        document = analysis.document
        head = {"record": "analysis", "schema": document.schema, "generator": document.generator}
        out.write(terminal_json(encode(head)) + b"\n")
        for name in LISTS:
            if name == "sessions":
                rows.write_to(out)
            elif name != "connections":
                out.writelines(_line(name, encode(row)) for row in getattr(document, name))


def _as_lines(name: str, chunks: list[Chunk]) -> Iterator[Piece]:
    for chunk in chunks:
        yield partial(_lines, name, chunk)


def _lines(name: str, chunk: Chunk) -> bytes:
    return b"".join([_line(name, row) for row in chunk()])


def _line(name: str, row: bytes) -> bytes:
    return b'{"record":"%b",%b\n' % (name.encode(), terminal_json(row)[1:])
