"""A table of the document as Arrow's or Polars': read in batches, so that beside the document it alone is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from inspector import document as doc
from inspector.errors import UsageError
from inspector.reports.arrow.columns import ArrowRows, ColumnKind
from inspector.reports.arrow.connection_tables import connection_table, handshake_table
from inspector.reports.arrow.finding_tables import finding_table, incident_table
from inspector.reports.arrow.pool_tables import (
    backend_table,
    certificate_table,
    client_table,
    service_table,
    session_table,
    session_use_table,
)

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

TableName = Literal[
    "connections",
    "handshakes",
    "sessions",
    "session_uses",
    "findings",
    "incidents",
    "services",
    "backends",
    "clients",
    "certificates",
]
TABLES: dict[TableName, Callable[[doc.Document], ArrowRows]] = {
    "connections": connection_table,
    "handshakes": handshake_table,
    "sessions": session_table,
    "session_uses": session_use_table,
    "findings": finding_table,
    "incidents": incident_table,
    "services": service_table,
    "backends": backend_table,
    "clients": client_table,
    "certificates": certificate_table,
}
SECONDS = slice(0, 19)
"""Of a time as the document has it."""


def to_batches(document: doc.Document, table: TableName = "connections") -> pa.RecordBatchReader:
    """The rows of a table as Arrow's record batches, each made when it is asked for. Raises UsageError without PyArrow,
    and where there is no such table.
    """
    arrow = _library("pyarrow", "PyArrow")
    rows = _rows(document, table)
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in rows.kinds.items()])
    return arrow.RecordBatchReader.from_batches(schema, _batches(arrow, rows, schema))


def to_arrow(document: doc.Document, table: TableName = "connections") -> pa.Table:
    """A table of the document as Arrow's: times in nanoseconds and UTC, texts of which few differ as dictionaries, what
    is not known as null. Raises UsageError without PyArrow, and where there is no such table.
    """
    return to_batches(document, table).read_all().unify_dictionaries()


def to_polars(document: doc.Document, table: TableName = "connections") -> pl.DataFrame:
    """The same as a data frame of Polars, with categories in place of dictionaries. Raises UsageError without Polars
    and PyArrow, and where there is no such table.
    """
    frames = _library("polars", "Polars")
    frame: pl.DataFrame = frames.DataFrame(to_arrow(document, table))
    return frame


def _library(name: str, spoken: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(
            f"tables for notebooks need {spoken}, which is not installed", "pip install 'vip-inspector[notebook]'"
        ) from None


def _rows(document: doc.Document, table: TableName) -> ArrowRows:
    make = TABLES.get(table)
    if make is None:
        raise UsageError(f"there is no table {table}", f"there are {', '.join(TABLES)}")
    return make(document)


def _type(arrow: ModuleType, kind: ColumnKind) -> pa.DataType:
    types: dict[ColumnKind, Callable[[], pa.DataType]] = {
        "string": arrow.string,
        "category": lambda: arrow.dictionary(arrow.int32(), arrow.string()),
        "strings": lambda: arrow.list_(arrow.string()),
        "bool": arrow.bool_,
        "integer": arrow.int64,
        "port": arrow.uint16,
        "moment": lambda: arrow.timestamp("ns", tz="UTC"),
        "second": lambda: arrow.timestamp("s", tz="UTC"),
        "duration": lambda: arrow.duration("ns"),
    }
    return types[kind]()


def _batches(arrow: ModuleType, rows: ArrowRows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    kinds = list(rows.kinds.values())
    for columns in rows.chunks():
        arrays = [_array(arrow, values, kind) for values, kind in zip(columns, kinds, strict=True)]
        yield arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _array(arrow: ModuleType, values: list[object], kind: ColumnKind) -> pa.Array:
    if kind == "category":
        return arrow.array(values, arrow.string()).dictionary_encode()
    if kind in ("moment", "second"):
        texts = values if kind == "moment" else [value and f"{value}"[SECONDS] + "Z" for value in values]
        return arrow.array(texts, arrow.string()).cast(_type(arrow, kind))
    return arrow.array(values, _type(arrow, kind))
