"""The journal: facts and findings of a capture that goes on for days, in SQLite. A restart knows from it who issued what; the app opens it without packets.

It is written in one transaction a second, in the write-ahead log: what was committed survives a kill at any moment. Beyond its size the oldest connections
go. Whoever reads it never waits for whoever writes it, nor the other way round.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from inspector.errors import InspectorError, UnreadableError
from inspector.facts import CaptureFacts, ConnectionFacts, Facts
from inspector.tls.messages import AnswerShape, HelloShape

APPLICATION = 0x496E7370
"""``Insp``: how SQLite files of ours are told from others (PRAGMA application_id)."""

VERSION = 1
OLDEST_SHARE = 0.05
"""So much of the connections goes at once when the journal is full."""

KNOWN = 50_000
"""Shapes and certificates that are known to be in the journal, so that they are not written again."""

BUSY_SECONDS = 5.0

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
"""


EARLIEST = """INSERT INTO sessions VALUES (?, 1, ?, ?)
ON CONFLICT DO UPDATE SET connection = excluded.connection, answer_ns = excluded.answer_ns WHERE excluded.answer_ns < answer_ns"""


class Row(NamedTuple):
    """A connection to be kept. ``given``: sessions that it was issued; ``resumed``: those that it resumed. ``certificates``: digests of its chains."""

    id: str
    hello_ns: int
    answer_ns: int
    is_final: bool
    packed: bytes
    given: tuple[bytes, ...]
    resumed: tuple[bytes, ...]
    offer: HelloShape | None
    answer: AnswerShape | None
    certificates: tuple[bytes, ...]


class Record(NamedTuple):
    """A finding, an incident, statistics or a limit, as the JSON that was told."""

    at_ns: int
    kind: str
    id: str
    json: bytes


class Journal:
    """A journal that is written. Raises InspectorError where it cannot be opened; the other methods raise sqlite3.Error where it cannot be written."""

    def __init__(self, path: str, most_bytes: int, capture_name: str) -> None:
        """``most_bytes``: how large it may become. ``capture_name``: what this run captures from."""
        self.path = path
        self.most_bytes = most_bytes
        self._known: set[bytes] = set()
        self._lock = self._locked(path)
        try:
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._prepare()
            self.capture = int(self._one("SELECT coalesce(max(id) + 1, 0) FROM captures"))
            self._serial = int(self._one("SELECT coalesce(max(serial), 0) FROM connections"))
            empty = CaptureFacts(capture_name, 0, 0, None, None, (), False, 0, 0, None, None)
            self._db.execute("INSERT INTO captures VALUES (?, ?, ?)", (self.capture, capture_name, msgspec.msgpack.encode(empty)))
        except sqlite3.Error as error:
            raise InspectorError(f"{path}: the journal cannot be written: {error}", "--journal FILE names another place, --no-journal goes without") from None

    @staticmethod
    def _locked(path: str) -> int:
        """A journal has one writer; the files of this are only for its owner. Raises InspectorError."""
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite gives its other files the mode of this one
            lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InspectorError(f"{path}: {error.strerror}", "--journal FILE names another place, --no-journal goes without") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise InspectorError(f"{path}: another inspector writes this journal", "--journal FILE names another one; inspector open shows this one") from None
        return lock

    def _prepare(self) -> None:
        version, application = int(self._one("PRAGMA user_version")), int(self._one("PRAGMA application_id"))
        is_new = not self._one("SELECT count(*) FROM sqlite_master")
        if not is_new and (application != APPLICATION or version > VERSION):
            raise InspectorError(f"{self.path}: {'written by a later version of inspector' if application == APPLICATION else 'not a journal of inspector'}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -4096")
        if is_new:
            self._db.executescript(f"BEGIN; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;")

    def _one(self, query: str, *values: object) -> int | str | bytes:
        found: int | str | bytes = self._db.execute(query, values).fetchone()[0]
        return found

    def write(self, rows: Iterable[Row], records: Iterable[Record], certificates: dict[bytes, bytes], capture: CaptureFacts) -> None:
        """All of it or, where it raises, nothing."""
        known: list[bytes] = []
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self._row(row, certificates, known)
            self._db.executemany("INSERT INTO records (at_ns, kind, id, json) VALUES (?, ?, ?, ?)", records)
            self._db.execute("UPDATE captures SET facts = ? WHERE id = ?", (msgspec.msgpack.encode(capture), self.capture))
            self._shrink()
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
        if len(self._known) > KNOWN:
            self._known.clear()
        self._known.update(known)

    def _row(self, row: Row, certificates: dict[bytes, bytes], known: list[bytes]) -> None:
        execute = self._db.execute
        self._serial += 1
        execute("INSERT OR REPLACE INTO connections VALUES (?, ?, ?, ?, ?)", (row.id, row.hello_ns, row.is_final, row.packed, self._serial))
        for key in row.given:
            execute("INSERT OR REPLACE INTO sessions VALUES (?, 0, ?, ?)", (key, row.id, row.answer_ns))
        for key in row.resumed:
            execute(EARLIEST, (key, row.id, row.answer_ns))
        for is_offer, shape in ((1, row.offer), (0, row.answer)):
            if shape is not None and shape.key not in self._known:
                execute("INSERT OR IGNORE INTO shapes VALUES (?, ?, ?)", (shape.key, is_offer, msgspec.msgpack.encode(shape)))
                known.append(shape.key)
        for digest in row.certificates:
            if digest not in self._known and digest in certificates:
                execute("INSERT OR IGNORE INTO certificates VALUES (?, ?)", (digest, certificates[digest]))
                known.append(digest)

    def size(self) -> int:
        """How much of the file is used."""
        return (int(self._one("PRAGMA page_count")) - int(self._one("PRAGMA freelist_count"))) * int(self._one("PRAGMA page_size"))

    def _shrink(self) -> None:
        """The oldest go where it is full; their pages are used again."""
        if self.size() <= self.most_bytes:
            return
        count = int(self._one("SELECT count(*) FROM connections"))
        last = self._db.execute("SELECT hello_ns FROM connections ORDER BY hello_ns LIMIT 1 OFFSET ?", (max(int(count * OLDEST_SHARE), 1) - 1,)).fetchone()
        if last is None:
            return
        self._db.execute("DELETE FROM sessions WHERE connection IN (SELECT id FROM connections WHERE hello_ns <= ?)", last)
        self._db.execute("DELETE FROM connections WHERE hello_ns <= ?", last)
        self._db.execute("DELETE FROM records WHERE at_ns <= ?", last)

    def session(self, key: bytes) -> list[ConnectionFacts]:
        """The connections that were issued a session, and the first one that resumed it, as far as the journal reaches."""
        try:
            return list(_connections(self._db, "JOIN sessions ON sessions.connection = connections.id WHERE sessions.key = ?", (key,)))
        except sqlite3.Error:
            return []

    def certificate(self, digest: bytes) -> bytes | None:
        """A certificate by its SHA-256."""
        try:
            found = self._db.execute("SELECT der FROM certificates WHERE sha256 = ?", (digest,)).fetchone()
        except sqlite3.Error:
            return None
        return bytes(found[0]) if found else None

    def latest(self, count: int) -> list[ConnectionFacts]:
        """The last connections of the runs before this one, oldest first."""
        return list(
            _connections(self._db, "WHERE hello_ns >= (SELECT coalesce(min(hello_ns), 0) FROM (SELECT hello_ns FROM connections ORDER BY hello_ns DESC LIMIT ?))", (count,))
        )

    def captures(self) -> list[CaptureFacts]:
        """What was captured by each run, this one last."""
        return _captures(self._db)

    def close(self) -> None:
        """Everything that was committed is in the file itself then."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
        os.close(self._lock)


def _connections(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> Iterator[ConnectionFacts]:
    shapes = Facts()
    for (packed,) in db.execute(f"SELECT packed FROM connections {where} ORDER BY hello_ns", values).fetchall():
        _load_shapes(db, shapes, packed)
        yield shapes.unpack(packed)


def _load_shapes(db: sqlite3.Connection, facts: Facts, packed: bytes) -> None:
    offer, answer = facts.shape_keys(packed)
    for key, is_offer in ((offer, 1), (answer, 0)):
        if key and key not in (facts.offers if is_offer else facts.answers):
            found = db.execute("SELECT shape FROM shapes WHERE key = ? AND is_offer = ?", (key, is_offer)).fetchone()
            if found and is_offer:
                facts.offers[key] = msgspec.msgpack.decode(found[0], type=HelloShape)
            elif found:
                facts.answers[key] = msgspec.msgpack.decode(found[0], type=AnswerShape)


def _captures(db: sqlite3.Connection) -> list[CaptureFacts]:
    return [msgspec.msgpack.decode(row[0], type=CaptureFacts) for row in db.execute("SELECT facts FROM captures ORDER BY id")]


class Reader:
    """A journal that is read, also while somebody else writes it. Raises UnreadableError where it is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._db = self._opened(path)
            application, version = self._db.execute("PRAGMA application_id").fetchone()[0], self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise UnreadableError(f"{path}: {error}") from None
        if application != APPLICATION:
            raise UnreadableError(f"{path}: a SQLite file, but not a journal of inspector")
        if version > VERSION:
            raise UnreadableError(f"{path}: written by a later version of inspector (schema {version}; this one knows {VERSION})")
        self._serial = 0
        self._held: dict[str, bytes] = {}
        self.facts = Facts()

    @staticmethod
    def _opened(path: str) -> sqlite3.Connection:
        place = Path(path).absolute().as_uri()
        db = sqlite3.connect(f"{place}?mode=ro", uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            db.execute("SELECT count(*) FROM captures").fetchone()
        except sqlite3.OperationalError:  # a directory in which even a reader may not write the index of the log
            db.close()
            db = sqlite3.connect(f"{place}?mode=ro&immutable=1", uri=True, check_same_thread=False)
            db.execute("SELECT count(*) FROM captures").fetchone()
        return db

    def more(self) -> Facts | None:
        """All facts, if there are more than when this was last asked; a connection that was open then is replaced. Raises UnreadableError."""
        try:
            return self._more()
        except sqlite3.Error as error:
            raise UnreadableError(f"{self.path}: {error}") from None

    def _more(self) -> Facts | None:
        rows = self._db.execute("SELECT serial, id, packed FROM connections WHERE serial > ? ORDER BY serial", (self._serial,)).fetchall()
        if not rows and self._serial:
            return None
        self._held.update((name, packed) for _, name, packed in rows)
        self._serial = max([self._serial, 1, *(row[0] for row in rows)])
        facts = self.facts
        for key, is_offer, shape in self._db.execute("SELECT key, is_offer, shape FROM shapes"):
            if key not in (facts.offers if is_offer else facts.answers):
                if is_offer:
                    facts.offers[key] = msgspec.msgpack.decode(shape, type=HelloShape)
                else:
                    facts.answers[key] = msgspec.msgpack.decode(shape, type=AnswerShape)
        facts.certificates = dict(self._db.execute("SELECT sha256, der FROM certificates"))
        return Facts(
            captures=_captures(self._db),
            connections=list(self._held.values()),
            offers=facts.offers,
            answers=facts.answers,
            certificates=facts.certificates,
            bounded=self._forgotten(),
        )

    def _forgotten(self) -> list[str]:
        found = self._db.execute("SELECT count(*) FROM records WHERE kind = 'limit' AND id = 'journal'").fetchone()[0]
        return [f"the journal {self.path} lost {found} times what was written to it"] if found else []

    def records(self, kind: str) -> list[bytes]:
        """The JSON of all records of a kind, oldest first."""
        return [row[0] for row in self._db.execute("SELECT json FROM records WHERE kind = ? ORDER BY serial", (kind,))]

    def close(self) -> None:
        """No more reading."""
        self._db.close()


def read_facts(path: str) -> Facts:
    """All that a journal holds. Raises UnreadableError."""
    reader = Reader(path)
    try:
        return reader.more() or Facts()
    finally:
        reader.close()
