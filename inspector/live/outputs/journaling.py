"""What goes into the journal, gathered for a moment: a transaction costs as much for one row as for a thousand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice

from inspector.errors.bounds import Bound, JournalNotRead, JournalNotWritten
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.journal import Journal, JournalRecord, JournalRow, is_held
from inspector.facts import CaptureFacts, Facts

COMMIT_SECONDS = 0.4
"""How often it is written: with what comes before that, less than a second is lost in a crash."""

MOST_KEPT = 5_000
"""Rows and records that wait for a journal that another process holds."""

AGAIN = 1_000
"""Those that are tried again where it cannot be written for another reason: a disk is full for a moment."""


class Journaling:
    """Rows of connections, the last word on each, and records in their order."""

    def __init__(self) -> None:
        self._rows: dict[str, JournalRow] = {}
        self._records: list[JournalRecord] = []
        self._is_failing = False

    def __len__(self) -> int:
        return len(self._rows) + len(self._records)

    def keep(self, row: JournalRow) -> None:
        """A connection, in the place of an earlier row of it."""
        self._rows[row.id] = row

    def record(self, record: JournalRecord) -> None:
        """Something beside the connections."""
        self._records.append(record)

    def commit(
        self, journal: Journal, facts: Facts, capture: CaptureFacts, *, is_last: bool = False
    ) -> Iterator[Bound]:
        """Write what was gathered, as ``write`` does; what is lost of the journal, each as often as it is met. Whoever
        records the first ones meanwhile has them written as well.
        """
        path = PathText(journal.path)
        if journal.trouble:
            yield JournalNotRead(path, ForeignText(journal.trouble))
        trouble = self.write(journal, facts, capture, is_last=is_last)
        if trouble:
            yield JournalNotWritten(path, ForeignText(trouble))
        if journal.set_aside is not None:
            yield journal.set_aside

    def write(self, journal: Journal, facts: Facts, capture: CaptureFacts, *, is_last: bool = False) -> str:
        """Write what was gathered; why that is not possible, once until it is again, else nothing. While another
        process holds the journal it is kept for the next time, as far as there is room, unless this ``is_last``; of
        what could not be written otherwise the last is tried again with what comes, the rest is given up.
        """
        try:
            journal.write(self._rows.values(), self._records, facts, capture)
        except (sqlite3.Error, OSError) as error:
            if is_held(error) and not is_last and len(self) <= MOST_KEPT:
                return ""
            for name in list(islice(self._rows, max(len(self._rows) - AGAIN, 0))):
                del self._rows[name]
            del self._records[:-AGAIN]
            trouble = "" if self._is_failing else str(error)
            self._is_failing = True
            return trouble
        self._rows, self._records = {}, []
        self._is_failing = False
        return ""
