"""Questions in SQL to a directory of facts, by DuckDB: each table is a view over the files of those parts that are
whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inspector.errors import UsageError
from inspector.extract.tables.manifest import TABLES
from inspector.extract.tables.parquet import schema
from inspector.extract.tables.reading import WholeParts, whole_parts
from inspector.text.times import rfc3339_signed

ROWS_AT_ONCE = 1_024


class Answer(NamedTuple):
    """``columns``: their names. ``rows``: read as they are asked for, bytes as hexadecimal, times to the nanosecond as
    RFC 3339 writes them; reading them may raise UsageError.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[object, ...]]


class Questions:
    """A directory of facts that is asked. ``parts``: what it holds, and what of it cannot be read."""

    def __init__(self, directory: str) -> None:
        """Raises UsageError without DuckDB, UnreadableError where there are no facts."""
        try:
            import duckdb
        except ImportError:
            raise UsageError(
                "questions in SQL need DuckDB, which is not installed", "pip install 'vip-inspector[query]'"
            ) from None
        self._error: type[Exception] = duckdb.Error
        self.parts: WholeParts = whole_parts(directory)
        # nothing is fetched from elsewhere, and no file of settings is read
        self._database = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        self._database.execute("SET TimeZone = 'UTC'")
        root = Path(directory)
        for table in TABLES:
            paths = [str(root / file.path) for manifest in self.parts.manifests for file in manifest.of(table)]
            self._view(table, paths)

    def ask(self, question: str) -> Answer:
        """Raises UsageError where it cannot be answered."""
        try:
            result = self._database.execute(question)
            if result is None or not result.description:
                raise UsageError("no question: it has no answer")
            columns = _distinct([str(column[0]) for column in result.description])
            kinds = [str(column[1]) for column in result.description]
            if any(kind in MOMENTS for kind in kinds):
                result = self._exactly(question, kinds)
        except self._error as error:
            raise UsageError(
                str(error), "inspector query DIRECTORY without a question lists tables and columns"
            ) from None
        return Answer(columns, self._rows(result, [MOMENTS.get(kind, _plain) for kind in kinds]))

    def tables(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Each table with the names and types of its columns."""
        return [
            (table, [(name, kind) for name, kind, *_ in self._database.execute(f"DESCRIBE {table}").fetchall()])
            for table in TABLES
        ]

    def _view(self, table: str, paths: Sequence[str]) -> None:
        source = f"empty_{table}"
        try:
            if paths:
                listed = ", ".join(map(_quoted, paths))
                source = f"read_parquet([{listed}], hive_partitioning = false)"
            else:
                self._database.register(source, schema(table).empty_table())
            self._database.execute(f"CREATE VIEW {table} AS SELECT * FROM {source}")
        except self._error as error:
            raise UsageError(str(error)) from None

    def _exactly(self, question: str, kinds: Sequence[str]) -> Any:
        """The result with its times as numbers. Raises DuckDB's errors."""
        if hasattr(self._database, "abort"):  # from DuckDB 2 on an answer that is not read holds up all others
            self._database.abort()
        last = self._database.extract_statements(question)[-1]
        self._database.sql(last.query).create_view("exactly", replace=True)
        return self._database.execute(f"SELECT {', '.join(map(_exact, range(1, len(kinds) + 1), kinds))} FROM exactly")

    def _rows(self, result: Any, forms: Sequence[Callable[[Any], object]]) -> Iterator[tuple[object, ...]]:
        try:
            while rows := result.fetchmany(ROWS_AT_ONCE):
                yield from (tuple(form(value) for form, value in zip(forms, row, strict=True)) for row in rows)
        except self._error as error:
            raise UsageError(str(error)) from None


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _moment(ns: int | None) -> str | None:
    return None if ns is None else rfc3339_signed(ns)


def _moments(listed: Sequence[int | None] | None) -> list[str | None] | None:
    return None if listed is None else [_moment(ns) for ns in listed]


MOMENTS: dict[str, Callable[[Any], object]] = {
    **dict.fromkeys(("TIMESTAMP_NS", "TIMESTAMPTZ_NS"), _moment),
    **dict.fromkeys(("TIMESTAMP_NS[]", "TIMESTAMPTZ_NS[]"), _moments),
}
"""DuckDB's types of times to the nanosecond, which Python's own would cut: they are asked for as numbers."""


def _exact(number: int, kind: str) -> str:
    """A column of a result, by its number from 1, as it is to be asked for."""
    if kind not in MOMENTS:
        return f"#{number}"
    return f"[epoch_ns(t) FOR t IN #{number}]" if kind.endswith("[]") else f"epoch_ns(#{number})"


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Each name once: DuckDB calls two columns alike where the question does."""
    columns: dict[str, None] = {}
    for name in names:
        number = 1
        unlike = name
        while unlike in columns:
            unlike = f"{name}_{number}"
            number += 1
        columns[unlike] = None
    return tuple(columns)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
