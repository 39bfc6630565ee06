"""A part is written: its tables under other names, then by their own, and last the manifest that makes them count."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from inspector.capture.inputs import FACTS, is_facts
from inspector.errors import OutputError, UnwritableError
from inspector.extract.tables.columns import PART_ROWS, Row, connection_rows, numbers_by_day, packed_capture, utf8
from inspector.extract.tables.digests import CaptureDigests
from inspector.extract.tables.inputs import Origin, PartPlan, part_name
from inspector.extract.tables.manifest import (
    CONTINUED,
    SCHEMA,
    SUFFIX,
    EarlierCapture,
    PartManifest,
    TableFile,
    directory_of,
    located,
)
from inspector.extract.tables.parquet import COLUMNS, COMPRESSION, GROUP_BYTES, GROUP_ROWS, PACKED, pyarrow, schema
from inspector.extract.tables.unfinished import FILE_MODE, PARTS, UnfinishedFile, remove_left
from inspector.facts import Facts
from inspector.system.plain_file import make_own_folder, sha256_of
from inspector.text.version import VERSION

MOST_REPLACED = 1_000
"""Names of parts that a part has replaced, one after the other, that it tells."""


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

    def write(
        self,
        facts: Facts,
        plan: PartPlan,
        origin: Origin,
        digests: CaptureDigests | None = None,
        *,
        still_open: str = "",
        open_of: str = "",
    ) -> PartManifest:
        """One part, in place of those that it replaces. ``digests``: of the captures of the facts, where connections
        have frames in captures of other parts, or others may in these. ``still_open``, ``open_of``: as in
        ``PartManifest``. Raises OutputError.
        """
        vantage = origin.vantage
        name = part_name(origin, plan.inputs, plan.continues, open_of)
        earlier = digests.earlier if digests is not None else ()
        new = len(facts.captures) - len(earlier)
        inputs = tuple(msgspec.structs.replace(each, path=utf8(each.path)) for each in plan.inputs)
        tables: list[_TableFile] = []
        try:
            its_own = msgspec.structs.replace(facts, captures=facts.captures[:new])
            with contextlib.ExitStack() as opened:
                for of_day, numbers in numbers_by_day(facts).items():
                    table = self._table(name, "connections", open_of or name, vantage, of_day)
                    tables.append(opened.enter_context(table))
                    table.write(connection_rows(facts, numbers, (vantage, of_day)))
                for each, rows_of in PART_ROWS.items():
                    table = self._table(name, each, open_of or name)
                    tables.append(opened.enter_context(table))
                    table.write(rows_of(its_own, vantage))
                manifest = PartManifest(
                    schema=SCHEMA,
                    engine=VERSION,
                    name=name,
                    vantage=vantage,
                    inputs=inputs,
                    files=tuple(table.named() for table in tables),
                    is_named=origin.is_named,
                    redaction=origin.redaction,
                    captures=digests.new if digests is not None else (),
                    earlier=tuple(
                        EarlierCapture(sha256, packed_capture(capture))
                        for sha256, capture in zip(earlier, facts.captures[new:], strict=True)
                    ),
                    continues=plan.continues,
                    still_open=still_open,
                    open_of=open_of,
                    replaces=_replaced(plan),
                )
                self._write_manifest(manifest)
            for older in plan.replaced:
                if older.name not in (name, still_open):  # which were written over
                    self._remove(older)
            for older in plan.continued:
                self._set_aside(older)
            remove_left(self._root)
        except OSError as error:
            raise UnwritableError(f"{self._root}: {error.strerror or error}") from None
        return manifest

    def _remove(self, manifest: PartManifest) -> None:
        """First it no longer counts, then its files go. Raises OSError."""
        (self._root / PARTS / f"{manifest.name}{SUFFIX}").unlink(missing_ok=True)
        for file in manifest.files:
            located(self._root, file).unlink(missing_ok=True)

    def _set_aside(self, manifest: PartManifest) -> None:
        """Its files go where nobody takes them for rows of the tables: another part has followed its flows. Raises
        OSError.
        """
        for file in manifest.files:
            aside = self._root / CONTINUED / file.path
            make_own_folder(aside.parent)
            with contextlib.suppress(FileNotFoundError):
                (self._root / file.path).replace(aside)

    def _table(self, name: str, table: str, part: str, vantage: str = "", of_day: str = "") -> _TableFile:
        """``part``: what its rows call the part."""
        folder = directory_of(table, vantage, of_day)
        return _TableFile(self._arrow, self._root, f"{folder}/{name}.parquet", table, part)

    def _write_manifest(self, manifest: PartManifest) -> None:
        """Raises OSError."""
        with UnfinishedFile(self._root, f"{PARTS}/{manifest.name}{SUFFIX}") as unfinished:
            unfinished.file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            unfinished.settle()


def _replaced(plan: PartPlan) -> tuple[str, ...]:
    """The names of all parts in whose place the new one is, those of which others were first."""
    names = [name for part in plan.replaced if not part.open_of for name in (*part.replaces, part.name)]
    return tuple(dict.fromkeys(names))[-MOST_REPLACED:]


class _TableFile:
    """A file of a table while it is written. What is not ``named`` goes when its context ends."""

    def __init__(self, arrow: Any, root: Path, path: str, table: str, part: str) -> None:
        """Raises OSError."""
        self._arrow = arrow
        self._path = path
        self._names = list(COLUMNS[table])
        self._schema = schema(table)
        self._part = part
        self._count = 0
        self._unfinished = UnfinishedFile(root, path)
        self._writer = arrow.parquet.ParquetWriter(
            self._unfinished.file,
            self._schema,
            compression=COMPRESSION,
            use_dictionary=[name for name in self._names if name not in PACKED],
        )

    def __enter__(self) -> _TableFile:
        return self

    def __exit__(self, *of: object) -> None:
        self._unfinished.__exit__(*of)

    def write(self, rows: Iterable[Row]) -> None:
        """All its rows. Raises OSError."""
        part, *others = self._names
        rest = iter(rows)
        while some := list(islice(rest, GROUP_ROWS)):
            columns = {part: (self._part,) * len(some)} | dict(zip(others, zip(*some, strict=True), strict=True))
            for group in _groups([columns[name] for name in PACKED if name in columns], len(some)):
                self._write_group({name: values[group] for name, values in columns.items()})
            self._count += len(some)
        self._writer.close()

    def named(self) -> TableFile:
        """It gets its name. Raises OSError."""
        file = self._unfinished.file
        file.seek(0)
        digest = sha256_of(file).hexdigest()
        self._unfinished.settle()
        return TableFile(self._path, self._count, digest)

    def _write_group(self, columns: dict[str, tuple[object, ...]]) -> None:
        self._writer.write_table(self._arrow.Table.from_pydict(columns, schema=self._schema), GROUP_ROWS)


def _groups(packed: Sequence[Sequence[Any]], count: int) -> Iterator[slice]:
    """Of so many rows those that are read at once, so that no group takes much more memory than others. ``packed``: the
    columns that hold bytes.
    """
    first = size = 0
    for at, values in enumerate(zip(*packed, strict=True)):
        length = sum(map(len, values))
        size += length
        if size > GROUP_BYTES // 2 and at > first:
            yield slice(first, at)
            first, size = at, length
    yield slice(first, count)
