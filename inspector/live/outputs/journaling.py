"""What goes into the journal, gathered for a second: a transaction costs as much for one row as for a thousand."""

from __future__ import annotations

import sqlite3
from itertools import islice

from inspector.extract.journal import Journal, JournalRecord, JournalRow
from inspector.facts import CaptureFacts, Facts

AGAIN = 1_000
"""Rows, and records, that could not be written and are tried again: a disk is full for a moment, somebody holds a lock.
"""


class Journaling:
    """Rows of connections, the last word on each, and records in their order."""

    def __init__(self) -> None:
        self._rows: dict[str, JournalRow] = {}
        self._records: list[JournalRecord] = []
        self._is_failing = False

    def keep(self, row: JournalRow) -> None:
        """A connection, in the place of an earlier row of it."""
        self._rows[row.id] = row

    def record(self, record: JournalRecord) -> None:
        """Something beside the connections."""
        self._records.append(record)

    def write(self, journal: Journal, facts: Facts, capture: CaptureFacts) -> str:
        """Write what was gathered; why that is not possible, once until it is again, else nothing. Of what could not
        be written the last is tried again with what comes, the rest is given up.
        """
        rows, records = self._rows, self._records
        try:
            journal.write(rows.values(), records, facts, capture)
        except (sqlite3.Error, OSError) as error:
            for name in list(islice(rows, max(len(rows) - AGAIN, 0))):
                del rows[name]
            del records[:-AGAIN]
            trouble = "" if self._is_failing else str(error)
            self._is_failing = True
            return trouble
        self._rows, self._records = {}, []
        self._is_failing = False
        return ""
