"""A part is written: its tables first, then the manifest that makes them count."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from inspector.capture.inputs import FACTS, is_facts
from inspector.errors import OutputError, UnwritableError
from inspector.extract.tables.columns import ROWS, Row, connection_rows, numbers_by_day
from inspector.extract.tables.manifest import (
    PARTS,
    SCHEMA,
    SUFFIX,
    InputFile,
    PartManifest,
    TableFile,
    directory_of,
    file_digest,
)
from inspector.extract.tables.parquet import COLUMNS, COMPRESSION, pyarrow, schema
from inspector.facts import Facts
from inspector.text.version import VERSION

ROWS_AT_ONCE = 8_192
"""In memory, and in a group of a file's rows."""

DIRECTORY_MODE = 0o700
"""Who connects where is nobody else's business."""


class PartWriter:
    """Writes parts into a directory, which is made where it is missing."""

    def __init__(self, directory: str) -> None:
        """Raises UsageError without PyArrow, OutputError where that is no place for facts."""
        self._arrow = pyarrow()
        self._root = Path(directory)
        try:
            if is_facts(directory):
                return
            if self._root.exists() and any(self._root.iterdir()):
                raise OutputError(f"{directory}: holds something else than facts", "name a new or an empty directory")
            (self._root / PARTS).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            (self._root / FACTS).touch()
        except OSError as error:
            raise UnwritableError(f"{directory}: {error.strerror or error}") from None

    def write(self, name: str, facts: Facts, vantage: str, inputs: tuple[InputFile, ...]) -> PartManifest:
        """One part; one of the same ``name`` is replaced. Raises OutputError."""
        try:
            files = list(self._write_connections(facts, vantage, name))
            for table, rows_of in ROWS.items():
                with self._table(name, table) as written:
                    written.extend(rows_of(facts, vantage))
                files.append(written.file())
            manifest = PartManifest(SCHEMA, VERSION, name, vantage, inputs, tuple(files))
            self._write_whole(f"{PARTS}/{name}{SUFFIX}", msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        except OSError as error:
            raise UnwritableError(f"{self._root}: {error.strerror or error}") from None
        return manifest

    def remove(self, manifest: PartManifest) -> None:
        """A part that another one replaces: first it no longer counts, then its files go. Raises OutputError."""
        try:
            (self._root / PARTS / f"{manifest.name}{SUFFIX}").unlink(missing_ok=True)
            for file in manifest.files:
                (self._root / file.path).unlink(missing_ok=True)
        except OSError as error:
            raise UnwritableError(f"{self._root}: {error.strerror or error}") from None

    def _write_connections(self, facts: Facts, vantage: str, name: str) -> Iterator[TableFile]:
        paths = [capture.path for capture in facts.captures]
        for of_day, numbers in numbers_by_day(facts).items():
            with self._table(name, "connections", vantage, of_day) as written:
                written.extend(connection_rows(facts, numbers, paths))
            yield written.file()

    def _table(self, name: str, table: str, vantage: str = "", of_day: str = "") -> _TableWriter:
        folder = directory_of(table, vantage, of_day)
        (self._root / folder).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        return _TableWriter(self._arrow, self._root, f"{folder}/{name}.parquet", table, name)

    def _write_whole(self, path: str, octets: bytes) -> None:
        """Under another name first, and on the disk before it bears its own. Raises OSError."""
        target = self._root / path
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        with open(unfinished, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)


class _TableWriter:
    """A file of a table while it is written; it has its name when it is whole."""

    def __init__(self, arrow: Any, root: Path, path: str, table: str, part: str) -> None:
        self._arrow = arrow
        self._path = path
        self._target = root / path
        self._unfinished = self._target.with_name(f".{self._target.name}.{os.getpid()}")
        self._names = list(COLUMNS[table])
        self._schema = schema(table)
        self._part = part
        self._rows: list[Row] = []
        self._count = 0
        self._writer = arrow.parquet.ParquetWriter(str(self._unfinished), self._schema, compression=COMPRESSION)

    def __enter__(self) -> _TableWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()
        if kind is None:
            os.replace(self._unfinished, self._target)
        else:
            self._unfinished.unlink(missing_ok=True)

    def extend(self, rows: Iterable[Row]) -> None:
        rest = iter(rows)
        while some := list(islice(rest, ROWS_AT_ONCE)):
            self._rows += some
            self._flush()

    def file(self) -> TableFile:
        """What it has become."""
        return TableFile(self._path, self._count, file_digest(self._target))

    def _flush(self) -> None:
        if not self._rows:
            return
        part, *others = self._names
        columns = {part: [self._part] * len(self._rows)}
        columns |= {name: list(values) for name, values in zip(others, zip(*self._rows, strict=True), strict=True)}
        self._writer.write_table(self._arrow.Table.from_pydict(columns, schema=self._schema))
        self._count += len(self._rows)
        self._rows = []
