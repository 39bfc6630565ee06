"""A directory of facts as facts again. Its parts may come from anywhere: each is what was written, or is named and left
out; so is each value in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from inspector.errors import UnreadableError
from inspector.errors.captures import PartAltered
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.journal import values
from inspector.extract.journal.database import DamagedError
from inspector.extract.merging import merge
from inspector.extract.tables.manifest import PartManifest, file_digest, parts_of
from inspector.extract.tables.parquet import pyarrow, schema
from inspector.facts import Facts
from inspector.text.safe import path_text

BATCH_ROWS = 8_192


def read_tables(directory: str) -> Facts:
    """All that a directory holds. What cannot be read is among the facts' problems. Raises UnreadableError where it
    holds no part at all, UsageError without PyArrow.
    """
    arrow = pyarrow()
    listed = parts_of(directory)
    if not listed.manifests and not listed.problems:
        raise UnreadableError(f"{directory}: holds no facts yet", "inspector extract FILE… -o DIRECTORY writes some")
    parts = []
    problems = list(listed.problems)
    for manifest in listed.manifests:
        try:
            parts.append(_Part(arrow, Path(directory), manifest).facts())
        except (OSError, ValueError, DamagedError, arrow.ArrowException) as error:
            problems.append(
                PartAltered(PathText(path_text(directory)), ForeignText(manifest.name), ForeignText(str(error)))
            )
    facts = merge(parts) if len(parts) != 1 else parts[0]
    facts.problems += problems
    return facts


class _Part:
    """One part, which is read once."""

    def __init__(self, arrow: Any, root: Path, manifest: PartManifest) -> None:
        self._arrow = arrow
        self._root = root
        self._manifest = manifest

    def facts(self) -> Facts:
        """Raises OSError, ValueError, DamagedError or Arrow's errors where it is not as it was written."""
        for file in self._manifest.files:
            if file_digest(self._root / file.path) != file.sha256:
                raise ValueError(f"{file.path} has another hash")
        remainder = [packed for (packed,) in self._rows("remainder", "packed")]
        if len(remainder) != 1:
            raise ValueError("it has not one remainder")
        facts = msgspec.msgpack.decode(remainder[0], type=Facts)
        if facts.captures or facts.connections or facts.offers or facts.answers or facts.certificates:
            raise ValueError("its remainder holds what stands in other tables")
        facts.captures = values.captures(packed for (packed,) in self._rows("captures", "packed"))
        for side, packed in self._rows("shapes", "side", "packed"):
            values.named_shape(side == "client", packed, facts)
        for digest, der in self._rows("certificates", "sha256", "der"):
            facts.certificates.update((values.certificate(bytes.fromhex(digest or ""), der),))
        for digest, names in facts.authorities.items():
            values.authorities(digest, names)
        runs = len(facts.captures)
        numbered = [
            (number, values.connection(str(number), packed, facts, runs))
            for number, packed in self._rows("connections", "number", "packed")
        ]
        facts.connections = [packed for _, packed in sorted(numbered)]
        return facts

    def _rows(self, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Some columns of a table, row by row."""
        for file in self._manifest.of(table):
            with self._arrow.parquet.ParquetFile(self._root / file.path) as opened:
                if not opened.schema_arrow.equals(schema(table)):
                    raise ValueError(f"{file.path} has other columns")
                for batch in opened.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                    yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
