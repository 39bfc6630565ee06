"""Tables as columns with names and kinds, and rows read in chunks; Arrow is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Literal, Protocol, TypeVar

ColumnKind = Literal["string", "category", "strings", "bool", "integer", "port", "moment", "second", "duration"]
"""``category``: texts of which few differ. ``moment``: a time as the document has it, ``second``: one of a certificate,
which may lie further away than nanoseconds reach. ``duration``: nanoseconds.
"""

CHUNK_ROWS = 8_192
Row = TypeVar("Row")
R = TypeVar("R", contravariant=True)


@dataclass(frozen=True, slots=True)
class ArrowColumn(Generic[R]):
    """``read``: its value of a row; None where it is not known."""

    name: str
    kind: ColumnKind
    read: Callable[[R], object]


class ArrowRows(Protocol):
    """A table, whatever its rows are."""

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """Of each column, by name, in their order."""

    def chunks(self) -> Iterator[list[list[object]]]:
        """The values of each column, of some rows at once."""


class RowTable(Generic[Row]):
    """``rows``: gone through once for each time that the table is read."""

    def __init__(self, columns: Iterable[ArrowColumn[Row]], rows: Callable[[], Iterable[Row]]) -> None:
        self._columns = tuple(columns)
        self._rows = rows

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """As in ``ArrowRows``."""
        return {column.name: column.kind for column in self._columns}

    def chunks(self) -> Iterator[list[list[object]]]:
        """As in ``ArrowRows``."""
        rows = iter(self._rows())
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield [[column.read(row) for row in chunk] for column in self._columns]
