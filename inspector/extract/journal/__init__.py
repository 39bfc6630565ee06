"""The journal: facts and findings of a capture that goes on for days, in SQLite. A restart knows from it who issued
what; the app opens it without packets.
"""

from __future__ import annotations

from inspector.extract.journal.database import VERSION, is_held
from inspector.extract.journal.files import APPLICATION
from inspector.extract.journal.reading import JournalReader, read_facts
from inspector.extract.journal.writing import Journal, JournalRecord, JournalRow

__all__ = ["APPLICATION", "VERSION", "Journal", "JournalReader", "JournalRecord", "JournalRow", "is_held", "read_facts"]
