"""Questions in SQL to a directory of facts, by DuckDB: each table is a view over the files of those parts that are
whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inspector.errors import UsageError
from inspector.extract.tables.manifest import TABLES, counting, located
from inspector.extract.tables.parquet import schema
from inspector.extract.tables.reading import WholeParts, whole_parts
from inspector.query.exact_times import Form, asked_for, form, holds_times, printed

ROWS_AT_ONCE = 1_024


class Answer(NamedTuple):
    """``columns``: their names. ``rows``: read as they are asked for, bytes as hexadecimal, times to the
    nanosecond where the question is a subquery, as RFC 3339 writes them; reading them may raise UsageError.
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
        self._tokens: Callable[[str], list[tuple[int, Any]]] = duckdb.tokenize
        self._comment = duckdb.token_type.comment
        self.parts: WholeParts = whole_parts(directory)
        # nothing is fetched from elsewhere, and no file of settings is read
        self._database = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        self._database.execute("SET TimeZone = 'UTC'")
        root = Path(directory)
        for table in TABLES:
            files = [file for manifest in counting(self.parts.manifests) for file in manifest.of(table)]
            paths = [str(located(root, file)) for file in files]
            self._view(table, paths)

    def ask(self, question: str) -> Answer:
        """Raises UsageError where it cannot be answered."""
        try:
            statements = self._database.extract_statements(question)
            for statement in statements[:-1]:
                self._do(statement)
            answer = (self._exactly(statements[-1]) or self._as_it_is(statements[-1])) if statements else None
        except self._error as error:
            raise UsageError(
                str(error), "inspector query DIRECTORY without a question lists tables and columns"
            ) from None
        if answer is None:
            raise UsageError("no question: it has no answer")
        return answer

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

    def _exactly(self, question: Any) -> Answer | None:
        """The answer to a question that does nothing but ask, where times are in it; None for any other. It is asked
        once: its types are known before. Raises DuckDB's errors.
        """
        source = f"(\n{self._without_end(question.query)}\n) AS answer"
        try:
            described = self._database.sql(f"SELECT * FROM {source} LIMIT 0")
        except self._error:  # it does something, and is no subquery; what else is wrong is told of the question itself
            return None
        kinds = described.types
        if not any(map(holds_times, kinds)):
            return None
        columns = ", ".join(asked_for(kind, f"#{number}") for number, kind in enumerate(kinds, 1))
        result = self._database.execute(f"SELECT {columns} FROM {source}")
        return Answer(_distinct(described.columns), self._rows(result, [form(kind) for kind in kinds]))

    def _without_end(self, statement: str) -> str:
        """A statement without the semicolons at its end, and what stands behind them."""
        octets = statement.encode()
        end = len(octets)
        for at, kind in reversed(self._tokens(statement)):  # they are counted in bytes
            if octets[at : at + 1] == b";":
                end = at
            elif kind != self._comment:
                break
        return octets[:end].decode()

    def _as_it_is(self, question: Any) -> Answer | None:
        """The answer as Python has it, times cut to the microsecond; None where there is none. Raises DuckDB's
        errors.
        """
        result = self._database.execute(question)
        if result is None or not result.description:
            return None
        columns = [str(column[0]) for column in result.description]
        return Answer(_distinct(columns), self._rows(result, [printed] * len(columns)))

    def _do(self, statement: Any) -> None:
        """What stands before the question. From DuckDB 2 on an answer that is not read holds up all others. Raises
        DuckDB's errors.
        """
        result = self._database.execute(statement)
        while result is not None and result.description and result.fetchmany(ROWS_AT_ONCE):
            pass

    def _rows(self, result: Any, forms: Sequence[Form]) -> Iterator[tuple[object, ...]]:
        try:
            while rows := result.fetchmany(ROWS_AT_ONCE):
                yield from (tuple(form(value) for form, value in zip(forms, row, strict=True)) for row in rows)
        except self._error as error:
            raise UsageError(str(error)) from None


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
