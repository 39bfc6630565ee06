"""A part is written: its tables under other names, then by their own, and last the manifest that makes them count."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from inspector.capture.inputs import FACTS, is_facts
from inspector.errors import OutputError, UnwritableError
from inspector.extract.tables.columns import PART_ROWS, Row, connection_rows, numbers_by_day, utf8
from inspector.extract.tables.inputs import Origin, PartPlan, part_name
from inspector.extract.tables.manifest import (
    PARTS,
    SCHEMA,
    SUFFIX,
    PartManifest,
    TableFile,
    directory_of,
    leftovers,
)
from inspector.extract.tables.parquet import COLUMNS, COMPRESSION, GROUP_BYTES, GROUP_ROWS, PACKED, pyarrow, schema
from inspector.facts import Facts
from inspector.text.plain_file import make_own_folder, sha256_of
from inspector.text.version import VERSION

FILE_MODE = 0o600
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
            make_own_folder(self._root)
            (self._root / FACTS).touch(FILE_MODE)
        except OSError as error:
            raise UnwritableError(f"{directory}: {error.strerror or error}") from None

    def write(self, facts: Facts, plan: PartPlan, origin: Origin) -> PartManifest:
        """One part, in place of those that it replaces. Raises OutputError."""
        vantage = origin.vantage
        name = part_name(origin, plan.inputs)
        inputs = tuple(msgspec.structs.replace(each, path=utf8(each.path)) for each in plan.inputs)
        tables: list[_TableFile] = []
        try:
            with contextlib.ExitStack() as opened:
                for of_day, numbers in numbers_by_day(facts).items():
                    table = self._table(name, "connections", vantage, of_day)
                    tables.append(opened.enter_context(table))
                    table.write(connection_rows(facts, numbers, (vantage, of_day)))
                for each, rows_of in PART_ROWS.items():
                    table = self._table(name, each)
                    tables.append(opened.enter_context(table))
                    table.write(rows_of(facts, vantage))
                files = tuple(table.named() for table in tables)
            manifest = PartManifest(
                schema=SCHEMA,
                engine=VERSION,
                name=name,
                vantage=vantage,
                inputs=inputs,
                files=files,
                is_named=origin.is_named,
                redaction=origin.redaction,
            )
            self._write_whole(f"{PARTS}/{name}{SUFFIX}", msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            for older in plan.replaced:
                self._remove(older)
            for path in leftovers(self._root):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UnwritableError(f"{self._root}: {error.strerror or error}") from None
        return manifest

    def _remove(self, manifest: PartManifest) -> None:
        """First it no longer counts, then its files go. Raises OSError."""
        (self._root / PARTS / f"{manifest.name}{SUFFIX}").unlink(missing_ok=True)
        for file in manifest.files:
            (self._root / file.path).unlink(missing_ok=True)

    def _table(self, name: str, table: str, vantage: str = "", of_day: str = "") -> _TableFile:
        folder = directory_of(table, vantage, of_day)
        make_own_folder(self._root / folder)
        return _TableFile(self._arrow, self._root, f"{folder}/{name}.parquet", table, name)

    def _write_whole(self, path: str, octets: bytes) -> None:
        """Raises OSError."""
        target = self._root / path
        make_own_folder(target.parent)
        unfinished = _unfinished(target)
        with _opened(unfinished) as file:
            file.write(octets)
            _settle(file, unfinished, target)


def _unfinished(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}")


def _opened(path: Path) -> BinaryIO:
    """A new file; one that a process of the same number left goes. Raises OSError."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return open(descriptor, "w+b")


def _settle(file: BinaryIO, unfinished: Path, target: Path) -> None:
    """On the disk first, then by its own name. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(unfinished, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _TableFile:
    """A file of a table while it is written. What is not ``named`` goes when its context ends."""

    def __init__(self, arrow: Any, root: Path, path: str, table: str, part: str) -> None:
        """Raises OSError."""
        self._arrow = arrow
        self._path = path
        self._target = root / path
        self._names = list(COLUMNS[table])
        self._schema = schema(table)
        self._part = part
        self._count = 0
        self._file = _opened(_unfinished(self._target))
        self._writer = arrow.parquet.ParquetWriter(
            self._file,
            self._schema,
            compression=COMPRESSION,
            use_dictionary=[name for name in self._names if name not in PACKED],
        )

    def __enter__(self) -> _TableFile:
        return self

    def __exit__(self, *of: object) -> None:
        self._file.close()
        _unfinished(self._target).unlink(missing_ok=True)

    def write(self, rows: Iterable[Row]) -> None:
        """All its rows. Raises OSError."""
        rest = iter(rows)
        while some := list(islice(rest, GROUP_ROWS)):
            for group in _groups(some):
                self._write_group(group)
        self._writer.close()

    def named(self) -> TableFile:
        """It gets its name. Raises OSError."""
        self._file.seek(0)
        digest = sha256_of(self._file).hexdigest()
        _settle(self._file, _unfinished(self._target), self._target)
        return TableFile(self._path, self._count, digest)

    def _write_group(self, rows: list[Row]) -> None:
        part, *others = self._names
        columns = {part: [self._part] * len(rows)}
        columns |= {name: list(values) for name, values in zip(others, zip(*rows, strict=True), strict=True)}
        self._writer.write_table(self._arrow.Table.from_pydict(columns, schema=self._schema), GROUP_ROWS)
        self._count += len(rows)


def _groups(rows: list[Row]) -> Iterable[list[Row]]:
    """Rows that are read at once, so that no group takes much more memory than others."""
    first = size = 0
    for at, row in enumerate(rows):
        size += sum(len(value) for value in row if isinstance(value, bytes))
        if size > GROUP_BYTES // 2 and at > first:
            yield rows[first:at]
            first = at
            size = sum(len(value) for value in row if isinstance(value, bytes))
    yield rows[first:]
