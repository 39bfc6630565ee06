"""A directory of facts as facts again. Its parts may come from anywhere: each is what was written, or is named and left
out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from inspector import bounds
from inspector.errors import UnreadableError
from inspector.errors.captures import PartAltered
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.journal import values
from inspector.extract.journal.database import DamagedError
from inspector.extract.merging import merge
from inspector.extract.tables.manifest import SUFFIX, PartManifest, PartProblem, TableFile, parts_of
from inspector.extract.tables.parquet import GROUP_BYTES, GROUP_ROWS, PACKED, pyarrow, schema
from inspector.extract.tables.unfinished import PARTS
from inspector.facts import Facts
from inspector.facts.spool import ConnectionSpool, SpooledConnections, selected
from inspector.text.plain_file import open_plain, sha256_of
from inspector.text.safe import path_text

BATCH_ROWS = 1_024
MOST_RATIO, LEAST_BYTES = 200, 1 << 16
"""Columns are compressed so far at most, but for small ones."""

MOST_GROUP_BYTES = 512 << 20
LOOKS = 3
"""So often is a directory listed in which parts go meanwhile, for others that replace them."""


Read = TypeVar("Read")


class WholeParts(NamedTuple):
    """The parts of which every file is as it was written, and what is wrong with the others."""

    manifests: list[PartManifest]
    problems: list[PartProblem]


def whole_parts(directory: str) -> WholeParts:
    """Raises UnreadableError, UsageError without PyArrow."""
    arrow = pyarrow()

    def checked(manifest: PartManifest) -> PartManifest:
        for file in manifest.files:
            with _checked(arrow, Path(directory), file):
                pass
        return manifest

    return WholeParts(*_each_part(arrow, directory, lambda _: checked))


def read_tables(directory: str) -> Facts:
    """All that a directory holds. What cannot be read is among the facts' problems. Raises UnreadableError where it
    holds no part at all, UsageError without PyArrow.
    """
    arrow = pyarrow()

    def reader(manifests: Sequence[PartManifest]) -> Callable[[PartManifest], Facts]:
        rows = sum(file.rows for manifest in manifests for file in manifest.of("connections"))
        spool = ConnectionSpool() if rows > bounds.CORE_CONNECTIONS else None

        def part(manifest: PartManifest) -> Facts:
            connections = [] if spool is None else SpooledConnections(spool=spool)
            return _facts(arrow, Path(directory), manifest, connections)

        return part

    parts, problems = _each_part(arrow, directory, reader)
    if not parts and not problems:
        raise UnreadableError(f"{directory}: holds no facts yet", "inspector extract FILE… -o DIRECTORY writes some")
    facts = merge(parts)
    facts.problems += problems
    return facts


def _each_part(
    arrow: Any, directory: str, reader: Callable[[Sequence[PartManifest]], Callable[[PartManifest], Read]]
) -> tuple[list[Read], list[PartProblem]]:
    """What is made of each part, and what is wrong with those of which nothing is. ``reader``: of all that are there.
    A part that goes meanwhile was replaced by another: the directory is looked at once more, by another reader.
    """
    for _ in range(LOOKS):
        listed = parts_of(directory)
        made, problems = list[Read](), list(listed.problems)
        has_gone = False
        read = reader(listed.manifests)
        for manifest in listed.manifests:
            try:
                made.append(read(manifest))
            except (OSError, ValueError, TypeError, MemoryError, DamagedError, arrow.ArrowException) as error:
                problems.append(_altered(directory, manifest, error))
                manifest_path = Path(directory) / PARTS / f"{manifest.name}{SUFFIX}"
                has_gone |= isinstance(error, FileNotFoundError) and not manifest_path.exists()
        if not has_gone:
            break
    return made, problems


def _altered(directory: str, manifest: PartManifest, error: BaseException) -> PartAltered:
    what = str(error) or type(error).__name__
    return PartAltered(PathText(path_text(directory)), ForeignText(manifest.name), ForeignText(what[:300]))


def _facts(arrow: Any, root: Path, manifest: PartManifest, connections: MutableSequence[bytes]) -> Facts:
    """One part. ``connections``: where its own go. Raises OSError, ValueError, TypeError, DamagedError or Arrow's
    errors where it is not as it was written.
    """

    def rows(table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
        for file in manifest.of(table):
            with _checked(arrow, root, file) as opened:
                for batch in opened.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                    yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)

    for file in manifest.of("clock_offsets"):  # its rows stand in the captures too
        with _checked(arrow, root, file):
            pass
    remainder = [packed for (packed,) in rows("remainder", "packed")]
    if len(remainder) != 1:
        raise ValueError("it has not one remainder")
    facts = values.remainder(remainder[0])
    facts.captures = values.captures(packed for (packed,) in rows("captures", "packed"))
    for capture in facts.captures:
        capture.extracted_on = "" if capture.host else manifest.vantage
    for side, packed in rows("shapes", "side", "packed"):
        values.named_shape(side == "client", packed, facts)
    for digest, der in rows("certificates", "sha256", "der"):
        facts.certificates.update((values.certificate(bytes.fromhex(digest or ""), der),))
    runs = len(facts.captures)
    numbers = array("q")
    for number, packed in rows("connections", "number", "packed"):
        numbers.append(number)
        connections.append(values.connection(str(number), packed, facts, runs))
    order = np.argsort(np.array(numbers, np.int64))
    if not np.array_equal(np.array(numbers, np.int64)[order], np.arange(len(order))):
        raise ValueError("its connections are not numbered one by one")
    facts.connections = selected(connections, order.tolist())
    return facts


@contextmanager
def _checked(arrow: Any, root: Path, file: TableFile) -> Iterator[Any]:
    """A file of a table, which is what its manifest says and takes no more memory than one of ours. Raises OSError,
    ValueError and Arrow's errors.
    """
    with open_plain(root / file.path) as source:
        if sha256_of(source).hexdigest() != file.sha256:
            raise ValueError(f"{file.path} has another hash")
        source.seek(0)
        opened = arrow.parquet.ParquetFile(source)
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
