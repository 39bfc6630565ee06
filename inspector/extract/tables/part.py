"""The tables of one part, read. Each file is what its manifest says, and takes no more memory than one of ours."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from inspector.extract.journal import values
from inspector.extract.merging import renumber
from inspector.extract.tables.manifest import PartManifest, TableFile, located
from inspector.extract.tables.parquet import GROUP_BYTES, GROUP_ROWS, PACKED, pyarrow, schema
from inspector.facts import Facts
from inspector.system.plain_file import open_plain, sha256_of

BATCH_ROWS = 1_024
MOST_RATIO, LEAST_BYTES = 200, 1 << 16
"""Columns are compressed so far at most, but for small ones."""

MOST_GROUP_BYTES = 512 << 20


class PartTables:
    """Whatever reads them raises OSError, ValueError, TypeError, DamagedError or Arrow's errors where the part is not
    as it was written.
    """

    def __init__(self, directory: Path, manifest: PartManifest) -> None:
        self._directory = directory
        self._manifest = manifest

    @property
    def connection_rows(self) -> int:
        """How many connections it has, as its manifest says."""
        return sum(file.rows for file in self._manifest.of("connections"))

    @property
    def connection_bytes(self) -> int:
        """Of the files that hold its connections; 0 where they are not there."""
        try:
            return sum(os.stat(located(self._directory, file)).st_size for file in self._manifest.of("connections"))
        except OSError:
            return 0

    def check(self) -> None:
        """Read the hashes of all files, and what they say of themselves."""
        for file in self._manifest.files:
            with _checked(self._directory, file):
                pass

    def facts(self) -> Facts:
        """All but its connections. Its captures are those that its connections have frames in: behind its own the
        earlier ones.
        """
        for file in self._manifest.of("clock_offsets"):  # its rows stand in the captures too
            with _checked(self._directory, file):
                pass
        remainder = [packed for (packed,) in self._rows("remainder", "packed")]
        if len(remainder) != 1:
            raise ValueError("it has not one remainder")
        facts = values.remainder(remainder[0])
        facts.captures = values.captures(packed for (packed,) in self._rows("captures", "packed"))
        if self._manifest.captures and len(self._manifest.captures) != len(facts.captures):
            raise ValueError("it has not one hash for each capture")
        facts.captures += values.captures(capture.packed for capture in self._manifest.earlier)
        for capture in facts.captures:
            capture.extracted_on = "" if capture.host else self._manifest.vantage
        for side, packed in self._rows("shapes", "side", "packed"):
            values.named_shape(side == "client", packed, facts)
        for digest, der in self._rows("certificates", "sha256", "der"):
            facts.certificates.update((values.certificate(bytes.fromhex(digest or ""), der),))
        return facts

    def connections(
        self, facts: Facts, numbers: Sequence[int], keep: Callable[[Sequence[bytes]], object]
    ) -> Sequence[int]:
        """Have its packed connections kept, some at a time; says in which order they belong, by index. ``facts``: the
        others of this part; ``numbers``: what connections are to call its captures.
        """
        runs = len(numbers)
        numbered = array("q")
        for batch in self._batches("connections", "number", "packed"):
            some = [values.connection(str(number), packed, facts, runs) for number, packed in batch]
            numbered.extend(number for number, _ in batch)
            moved = replace(facts, connections=some)
            renumber(moved, range(runs), numbers)
            keep(moved.connections)
        order = np.argsort(np.array(numbered, np.int64))
        if not np.array_equal(np.array(numbered, np.int64)[order], np.arange(len(order))):
            raise ValueError("its connections are not numbered one by one")
        indices: list[int] = order.tolist()
        return indices

    def _rows(self, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
        for batch in self._batches(table, *columns):
            yield from batch

    def _batches(self, table: str, *columns: str) -> Iterator[list[tuple[Any, ...]]]:
        for file in self._manifest.of(table):
            with _checked(self._directory, file) as opened:
                for batch in opened.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                    yield [*zip(*(batch.column(name).to_pylist() for name in columns), strict=True)]


@contextmanager
def _checked(directory: Path, file: TableFile) -> Iterator[Any]:
    """A file of a table, which is what its manifest says and takes no more memory than one of ours. Raises OSError,
    ValueError and Arrow's errors.
    """
    with open_plain(located(directory, file)) as source:
        if sha256_of(source).hexdigest() != file.sha256:
            raise ValueError(f"{file.path} has another hash")
        source.seek(0)
        opened = pyarrow().parquet.ParquetFile(source)
        if not opened.schema_arrow.equals(schema(file.path.partition("/")[0])):
            raise ValueError(f"{file.path} has other columns")
        metadata = opened.metadata
        if metadata.num_rows != file.rows:
            raise ValueError(f"{file.path} has another number of rows")
        for index in range(metadata.num_row_groups):
            _require_small(metadata.row_group(index), file.path)
        yield opened


def _require_small(group: Any, path: str) -> None:
    """Raises ValueError where what is packed is more than it seems."""
    is_large = group.num_rows > GROUP_ROWS or (group.num_rows > 1 and group.total_byte_size > 2 * GROUP_BYTES)
    for number in range(group.num_columns):
        column = group.column(number)
        name = column.path_in_schema.partition(".")[0]
        is_large |= name in PACKED and bool(column.has_dictionary_page)
        is_large |= column.total_uncompressed_size > MOST_RATIO * max(column.total_compressed_size, LEAST_BYTES)
    if is_large or group.total_byte_size > MOST_GROUP_BYTES:
        raise ValueError(f"{path} holds more than is ever written at once")
