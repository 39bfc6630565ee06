"""What goes when a journal is full: the oldest connections, with what only they used.

Connections share shapes, certificates and lists of authorities. Instead of counting who uses each, the journal notes
when the last connection that uses it began: when all that began until then have gone, it may.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.extract.journal.database import Database

OLDEST_SHARE = 0.05
"""So much of the connections goes at once."""

USED = 2
"""Instead of a session's role: the key is that of a shape, a certificate or a list of authorities. It is of no
connection, and its time is when the last of those that use it began.
"""

SHARED = {"shapes": "key", "certificates": "sha256", "authorities": "sha256"}
"""What connections share, with the names of its keys."""

MARK = f"""INSERT INTO sessions VALUES (?, {USED}, '', ?)
ON CONFLICT DO UPDATE SET answer_ns = excluded.answer_ns WHERE excluded.answer_ns > answer_ns"""

MARK_ALL = " ".join(
    f"INSERT OR IGNORE INTO sessions SELECT {key}, {USED}, '', (SELECT coalesce(max(hello_ns), 0) FROM connections)"
    f" FROM {table};"
    for table, key in SHARED.items()
)
"""Where who uses what was not noted: it goes when all connections of today have gone."""


def note_used(db: Database, last_used_ns: Mapping[bytes, int]) -> None:
    """What connections share, by key, and when the last of those that use it began. Raises sqlite3.Error."""
    db.executemany(MARK, sorted(last_used_ns.items()))


def drop_oldest(db: Database) -> bool:
    """The oldest connections go or, where there are none, records; their pages are used again. Whether there were any.
    Raises sqlite3.Error.
    """
    times = "hello_ns FROM connections"
    count = db.one("SELECT count(*) FROM connections")
    if not count:
        times = "at_ns FROM records"
        count = db.one("SELECT count(*) FROM records")
    if not count:
        return False
    last = db.one(f"SELECT {times} ORDER BY 1 LIMIT 1 OFFSET ?", max(int(count * OLDEST_SHARE), 1) - 1)
    for statement in (
        "DELETE FROM sessions WHERE connection IN (SELECT id FROM connections WHERE hello_ns <= ?)",
        "DELETE FROM connections WHERE hello_ns <= ?",
        "DELETE FROM records WHERE at_ns <= ?",
        f"DELETE FROM sessions WHERE connection = '' AND role = {USED} AND answer_ns <= ?",
    ):
        db.refresh()
        db.execute(statement, (last,))
    for table, key in SHARED.items():
        db.refresh()
        db.execute(
            f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE key = {table}.{key} AND role = {USED})"
        )
    return True
