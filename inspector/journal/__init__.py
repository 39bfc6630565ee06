"""The journal: facts and findings of a capture that goes on for days, in SQLite. A restart knows from it who issued what; the app opens it without packets."""

from __future__ import annotations

from inspector.journal.database import APPLICATION, VERSION
from inspector.journal.reading import Reader, read_facts
from inspector.journal.writing import Journal, Record, Row

__all__ = ["APPLICATION", "VERSION", "Journal", "Reader", "Record", "Row", "read_facts"]
