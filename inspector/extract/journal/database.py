"""A journal's file as SQLite sees it. It may be damaged, or made by somebody who wants to hold up whoever reads it.

A database is a program as much as a table: views, triggers and defaults run when it is read or written, a page may be
its own child, a value may claim to be a gigabyte long. So two things are held. Its schema must be ours word by word,
before anything else in it is looked at (https://www.sqlite.org/security.html). And a query may give no more bytes, and
take no more steps, than a file of this size can hold: in an honest one each value has pages of its own.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from inspector.errors.bounds import JournalUnsettled
from inspector.errors.notice import PathText
from inspector.extract.journal.files import (
    APPLICATION,
    FORMAT_AT,
    VERSIONS_AT,
    RefusedError,
    named,
    require_plain,
    stored_bytes,
)
from inspector.text.safe import path_text

VERSION = 3
BUSY_SECONDS = 5.0
"""How long another process that holds a journal is waited for when it is read."""

OPENING_SECONDS = 1.0
"""And when it is opened to be written, while a signal waits too."""

BUSY_MS = 100
"""And from then on: the loop of a capture must not stand still."""

VALUE_BYTES = 16 << 20
"""The longest value; what is written stays far below."""

STEPS = 2_000_000
"""Of SQLite's machine, a query may take so many, and ``STEPS_A_BYTE`` for each byte of the file. A row takes about ten,
and 30 bytes at least.
"""

STEPS_A_BYTE = 2
COMPRESSED, NOT_YET_STORED = 16, 64 << 20
"""So many times more than the disk holds of it a file may give, for file systems compress; and so many bytes more, for
some count only what they wrote down seconds later.
"""

STRIDE = 20_000
"""Steps between two looks at how many are left."""

SLACK_BYTES = 1 << 16
"""What a query may give beside what is stored: counts, pragmas, the schema of an empty file."""

TABLES = """
CREATE TABLE captures (id INTEGER PRIMARY KEY, name TEXT NOT NULL, facts BLOB NOT NULL);
CREATE TABLE connections (id TEXT PRIMARY KEY, hello_ns INTEGER NOT NULL, final INTEGER NOT NULL, packed BLOB NOT NULL, serial INTEGER NOT NULL);
CREATE INDEX connections_by_time ON connections (hello_ns);
CREATE INDEX connections_by_serial ON connections (serial);
CREATE TABLE sessions (key BLOB NOT NULL, role INTEGER NOT NULL, connection TEXT NOT NULL, answer_ns INTEGER NOT NULL, PRIMARY KEY (key, role)) WITHOUT ROWID;
CREATE INDEX sessions_by_connection ON sessions (connection);
CREATE TABLE shapes (key BLOB NOT NULL, is_offer INTEGER NOT NULL, shape BLOB NOT NULL, PRIMARY KEY (key, is_offer)) WITHOUT ROWID;
CREATE TABLE certificates (sha256 BLOB PRIMARY KEY, der BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE records (serial INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, json BLOB NOT NULL);
CREATE INDEX records_by_id ON records (kind, id);
"""  # noqa: E501 - SQLite keeps the words of a statement, and they are compared

AUTHORITIES = "CREATE TABLE authorities (sha256 BLOB PRIMARY KEY, names BLOB NOT NULL) WITHOUT ROWID;"
"""What came with the second version. A journal of the first is read as it is, and gets it when it is written again."""

ADDED = {1: "", 2: AUTHORITIES, 3: AUTHORITIES}
"""Behind ``TABLES``, by version. Since the third, ``sessions`` also says of each shape, certificate and list of
authorities when the last connection that uses it began.
"""

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master"
FOLLOWED, LEFT_ALONE = "mode=ro", "mode=ro&immutable=1"


DAMAGE = frozenset(
    (
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_TOOBIG),
        sqlite3.SQLITE_INTERRUPT,
    )
)
"""What SQLite says of a file that is not as it was written, or that takes more steps than it may."""

BUSY_CODES = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
"""What SQLite says where somebody else reads or writes in a way that shuts others out."""

PRIMARY = 0xFF
"""Of a code of SQLite: the bits that say what it is, without where it was met."""


class DamagedError(sqlite3.DatabaseError):
    """The text says what is wrong with a journal."""


class NotOursError(DamagedError):
    """A sound file, which another program or a later version of this one wrote."""


def require_sound(header: bytes) -> None:
    """Raises DamagedError where SQLite would take the first bytes of a file for one that may only be read, or for one
    of a later SQLite.
    """
    if not header:
        return
    schema_format = int.from_bytes(header[FORMAT_AT : FORMAT_AT + 4], "big")
    if any(version not in (1, 2) for version in header[VERSIONS_AT : VERSIONS_AT + 2]) or schema_format > 4:
        raise DamagedError("damaged: its header is of no format that SQLite writes")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file that is at fault, and not the disk, the rights, or somebody else who holds it."""
    if isinstance(error, DamagedError):
        return not isinstance(error, NotOursError)
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & PRIMARY in DAMAGE


def is_held(error: Exception) -> bool:
    """Whether only another process stands in the way, so that it may go better the next time."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & PRIMARY in BUSY_CODES


class Database:
    """A connection to a file that is not trusted. All methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._left = self._most = STEPS
        connection.set_progress_handler(self._is_tired, STRIDE)
        for limit, most in (
            (sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        ):
            connection.setlimit(limit, most)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            self.execute(f"PRAGMA {pragma}")

    def _is_tired(self) -> bool:
        self._left -= STRIDE
        return self._left < 0

    def size(self) -> int:
        """Bytes of all pages, with what stands in the write-ahead log."""
        self._left = STEPS
        pages: int = self.execute("PRAGMA page_count").fetchone()[0]
        page: int = self.execute("PRAGMA page_size").fetchone()[0]
        return pages * page

    def refresh(self) -> int:
        """Give what follows the steps that a file of this size may take; its size, without holes."""
        size = self.size()
        stored = stored_bytes(self._path)
        if stored:
            size = min(size, stored * COMPRESSED + NOT_YET_STORED)
        self._left = STEPS + STEPS_A_BYTE * size
        return size

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises DamagedError where it gives or takes more than the file can hold."""
        room = SLACK_BYTES + self.refresh()
        result: list[tuple[Any, ...]] = []
        try:
            for row in self.execute(query, values):
                room -= sum(1 + len(value) if isinstance(value, bytes | str) else 1 for value in row)
                if room < 0:
                    raise DamagedError("damaged: it gives more than it can hold")
                result.append(row)
        except sqlite3.OperationalError as error:
            if self._left < 0:
                raise DamagedError("damaged: it takes longer to read than its size allows") from error
            if not hasattr(error, "sqlite_errorcode"):  # Python's own
                raise DamagedError("damaged: a text in it is no UTF-8") from None
            raise
        return result

    def one(self, query: str, *values: object) -> int:
        """The number that a query gives. Raises DamagedError where it is none."""
        result = self.rows(query, *values)
        if not result or not isinstance(result[0][0], int):
            raise DamagedError(f"damaged: it gives no number for {query.partition(' FROM ')[2] or query}")
        return result[0][0]

    def execute(self, query: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        """A statement, within the steps that ``refresh`` gave."""
        try:
            return self._connection.execute(query, tuple(values))
        except UnicodeDecodeError:  # SQLite's own message, with a name in it
            raise DamagedError("damaged: a name in its schema is no text") from None

    def executemany(self, query: str, values: Iterable[tuple[object, ...]]) -> None:
        """The same for many."""
        self._connection.executemany(query, values)

    def executescript(self, script: str) -> None:
        """Several statements."""
        self._connection.executescript(script)

    @property
    def in_transaction(self) -> bool:
        """Whether something is neither committed nor taken back."""
        return self._connection.in_transaction

    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""
        return not self.rows(SCHEMA)

    def check(self) -> int:
        """The version of it, which this program knows. Raises DamagedError where this is no journal of ours."""
        result = self.rows(SCHEMA)
        application, version = self.one("PRAGMA application_id"), self.one("PRAGMA user_version")
        if application != APPLICATION:
            raise NotOursError("a SQLite file, but not a journal of inspector")
        if version > VERSION:
            raise NotOursError(f"written by a later version of inspector (schema {version}; this one knows {VERSION})")
        if version not in ADDED:
            raise DamagedError(f"its schema is {version}, which no version of inspector wrote")
        ours = _schema(version)
        for row in result:
            if row not in ours:
                raise DamagedError(
                    f"not as inspector writes it: the {row[0]} {str(row[1])[:60]!r} is not one of a journal's"
                )
        if len(result) != len(ours):
            missing = min({row[1] for row in ours} - {row[1] for row in result}, default="")
            raise DamagedError(
                f"not as inspector writes it: {missing} is missing"
                if missing
                else "not as inspector writes it: something stands twice in its schema"
            )
        return version

    def close(self) -> None:
        """No more of it."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()


@cache
def _schema(version: int) -> frozenset[tuple[Any, ...]]:
    """What ``sqlite_master`` holds of a journal."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES + ADDED[version])
        return frozenset(db.execute(SCHEMA))


def to_be_written(path: str) -> Database:
    """A journal, or a new file. Raises sqlite3.Error."""
    return _opened(sqlite3.connect(path, timeout=OPENING_SECONDS, isolation_level=None, check_same_thread=False), path)


def _opened(connection: sqlite3.Connection, path: str) -> Database:
    """Raises RefusedError where it was a link by the time that SQLite opened it: by any other name it opens none."""
    database = Database(connection, path)
    try:
        connection.text_factory = bytes
        (_, _, name), *_ = database.execute("PRAGMA database_list")
        connection.text_factory = str
        if named(os.fsdecode(name)) != named(path):
            raise RefusedError("it was replaced while it was opened")
    except sqlite3.Error:
        database.close()
        raise
    return database


def to_be_read(path: str, follows: bool) -> tuple[Database, JournalUnsettled | None]:
    """A journal, and what of it cannot be read, if there is such. Raises sqlite3.Error or OSError.

    Who ``follows`` shares the index of the log with whoever writes, and makes one where there is none yet. Others leave
    nothing behind: a file without a log is taken as it is.
    """
    require_plain(path)
    log = f"{path}-wal"
    if not follows and not os.path.exists(log):
        return _read_only(path, LEFT_ALONE), None
    try:
        return _read_only(path, FOLLOWED), None
    except sqlite3.OperationalError:  # a directory in which even a reader may not write the index of the log
        database = _read_only(path, LEFT_ALONE)
        unread = os.path.exists(log) and os.path.getsize(log) > 0
        return database, JournalUnsettled(PathText(path_text(log))) if unread else None


def _read_only(path: str, mode: str) -> Database:
    database = _opened(
        sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
        ),
        path,
    )
    try:
        database.execute("PRAGMA query_only = ON")
        database.rows(SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database
