"""The journal: facts and findings of a capture that goes on for days, in SQLite. A restart knows from it who issued
what; the app opens it without packets.

It is written in one transaction a second, in the write-ahead log: what was committed survives a kill at any moment.
Beyond its size the oldest connections go. Whoever reads it never waits for whoever writes it, nor the other way round.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import msgspec

from inspector import bounds
from inspector.errors import InspectorError
from inspector.errors.bounds import JournalSetAside
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.journal import values
from inspector.extract.journal.database import (
    ADDED,
    AUTHORITIES,
    BUSY_MS,
    TABLES,
    VERSION,
    DamagedError,
    NotOursError,
    is_damage,
    require_sound,
    to_be_written,
)
from inspector.extract.journal.files import APPLICATION, ClaimedError, JournalClaim, RefusedError
from inspector.extract.journal.reading import connections, shared
from inspector.extract.journal.retention import MARK_ALL, drop_oldest, note_used
from inspector.facts import CaptureFacts, ConnectionFacts, Facts
from inspector.text.safe import path_text
from inspector.tls.extensions import AnswerShape, HelloShape

ELSEWHERE = "--journal FILE names another place, --no-journal goes without"
AWAY = f"move it away to begin a new one; {ELSEWHERE}"
KNOWN = 50_000
"""Shapes, certificates and lists of authorities that are known to be in the journal, so that they are not written
again.
"""

EARLIEST = """INSERT INTO sessions VALUES (?, 1, ?, ?)
ON CONFLICT DO UPDATE SET connection = excluded.connection, answer_ns = excluded.answer_ns
WHERE excluded.answer_ns < answer_ns"""


class JournalRow(NamedTuple):
    """A connection to be kept. ``issued``: sessions that it was issued; ``resumed``: those that it resumed.
    ``certificates``: digests of its chains;
    ``authorities``: of the lists of those that its server accepts.
    """

    id: str
    hello_ns: int
    answer_ns: int
    is_final: bool
    packed: bytes
    issued: tuple[bytes, ...]
    resumed: tuple[bytes, ...]
    offer: HelloShape | None
    answer: AnswerShape | None
    certificates: tuple[bytes, ...]
    authorities: tuple[bytes, ...] = ()


class JournalRecord(NamedTuple):
    """A finding, an incident, statistics or a limit, as the JSON that was told."""

    at_ns: int
    kind: str
    id: str
    json: bytes


class Journal:
    """A journal that is written. Raises InspectorError where it cannot be opened; what it keeps of runs before is read
    here, and ``write`` raises sqlite3.Error where it cannot be written. ``trouble``: what could not be read since,
    empty where all could. ``set_aside``: that what stood here was damaged, and is a file by another name now.
    """

    def __init__(self, path: str, most_bytes: int, capture_name: str) -> None:
        """``most_bytes``: how large it may become. ``capture_name``: what this run captures from."""
        self.path = path
        self.most_bytes = most_bytes
        self.trouble = ""
        self.set_aside: JournalSetAside | None = None
        self.before: list[CaptureFacts] = []
        """What was captured by each run before this one."""
        self._name = capture_name
        self._known: set[bytes] = set()
        self._claim = _claimed(path)
        is_open, db = False, None
        try:
            db = self._db = to_be_written(path)
            self._open()
            is_open = True
        except (sqlite3.Error, OSError) as error:
            self._claim.release(is_none=isinstance(error, NotOursError))
            raise _refusal(path, error) from None
        finally:
            if not is_open:
                if db is not None:
                    self._db.close()
                self._claim.release()

    def _open(self) -> None:
        """What is there, or where that is damaged a new one. Raises sqlite3.Error or OSError."""
        try:
            require_sound(self._claim.header)
            self._prepare()
            self.before = values.captures(row[0] for row in self._db.rows("SELECT facts FROM captures ORDER BY id"))
            if self._db.one("SELECT coalesce(max(id) + 1, 0) FROM captures") != len(self.before):
                self.before = []
                raise DamagedError("damaged: runs are missing in it")
            self._serial = self._db.one("SELECT coalesce(max(serial), 0) FROM connections")
            if not 0 <= self._serial <= values.MOST:
                raise DamagedError("damaged: its connections are numbered beyond all bounds")
            shared(self._db, VERSION, Facts())  # what cannot be read is not written on: nobody could read that either
            self._add_captures([_nothing(self._name)], len(self.before))
        except sqlite3.Error as error:
            self._begin_anew(error)
        self.capture = len(self.before)
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Set aside what is damaged, once. The runs that are known stand in the new one too, for frames are told by
        their numbers. Raises the error where it is none of damage, or the file not known to be a journal; OSError.
        """
        if not is_damage(error) or not self._claim.is_known or self.set_aside is not None:
            raise error
        self._db.close()
        other = self._claim.set_aside()
        self.set_aside = JournalSetAside(
            PathText(path_text(self.path)), PathText(path_text(other)), ForeignText(str(error))
        )
        self._known.clear()
        self._serial = 0
        self._db = to_be_written(self.path)
        self._prepare()
        self._add_captures([*self.before, _nothing(self._name)], 0)
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def _add_captures(self, captures: list[CaptureFacts], first: int) -> None:
        for number, capture in enumerate(captures, first):
            self._db.execute(
                "INSERT INTO captures VALUES (?, ?, ?)", (number, capture.path, msgspec.msgpack.encode(capture))
            )

    def _prepare(self) -> None:
        is_new = self._db.is_empty()
        version = VERSION if is_new else self._db.check()
        self._claim.keep_from_others()
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -4096")
        if is_new:
            self._db.executescript(
                f"BEGIN; {TABLES} {ADDED[VERSION]} PRAGMA application_id = {APPLICATION}; PRAGMA user_version ="
                f" {VERSION}; COMMIT;"
            )
        elif version < VERSION:
            self._db.executescript(
                f"BEGIN; {AUTHORITIES if version < 2 else ''} {MARK_ALL} PRAGMA user_version = {VERSION}; COMMIT;"
            )

    def write(
        self, rows: Collection[JournalRow], records: Collection[JournalRecord], facts: Facts, capture: CaptureFacts
    ) -> None:
        """All of it or, where it raises, nothing. ``facts``: where the certificates and authorities of
        the rows stand. Where the journal turns out to be damaged, it is set aside. Raises sqlite3.Error or OSError.
        """
        try:
            self._write(rows, records, facts, capture)
        except sqlite3.Error as error:
            self._begin_anew(error)
            self._write(rows, records, facts, capture)

    def _write(
        self, rows: Collection[JournalRow], records: Collection[JournalRecord], facts: Facts, capture: CaptureFacts
    ) -> None:
        known: list[bytes] = []
        used: dict[bytes, int] = {}
        certificates: dict[bytes, bytes] = {}
        self._db.refresh()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self._row(row, facts, known)
                for digest in row.certificates:
                    if digest not in self._known and digest in facts.certificates:
                        certificates[digest] = facts.certificates[digest]
                shapes = (shape.key for shape in (row.offer, row.answer) if shape is not None)
                for key in (*shapes, *row.certificates, *row.authorities):
                    used[key] = max(row.hello_ns, used.get(key, row.hello_ns))
            # by their keys: what stands side by side is looked for once, where they are many
            self._db.executemany("INSERT OR IGNORE INTO certificates VALUES (?, ?)", sorted(certificates.items()))
            note_used(self._db, used)
            known += certificates
            self._db.executemany("INSERT INTO records (at_ns, kind, id, json) VALUES (?, ?, ?, ?)", records)
            self._db.execute(
                "UPDATE captures SET facts = ? WHERE id = ?", (msgspec.msgpack.encode(capture), self.capture)
            )
            if self._shrink():
                self._known.clear()
                known.clear()
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
        if len(self._known) > KNOWN:
            self._known.clear()
        self._known.update(known)

    def _row(self, row: JournalRow, facts: Facts, known: list[bytes]) -> None:
        execute = self._db.execute
        self._serial += 1
        execute(
            "INSERT OR REPLACE INTO connections VALUES (?, ?, ?, ?, ?)",
            (row.id, row.hello_ns, row.is_final, row.packed, self._serial),
        )
        for key in row.issued:
            execute("INSERT OR REPLACE INTO sessions VALUES (?, 0, ?, ?)", (key, row.id, row.answer_ns))
        for key in row.resumed:
            execute(EARLIEST, (key, row.id, row.answer_ns))
        for is_offer, shape in ((1, row.offer), (0, row.answer)):
            if shape is not None and shape.key not in self._known:
                execute(
                    "INSERT OR IGNORE INTO shapes VALUES (?, ?, ?)",
                    (shape.key, is_offer, msgspec.msgpack.encode(shape)),
                )
                known.append(shape.key)
        for digest in row.authorities:
            names = facts.authorities.get(digest)
            if digest not in self._known and names is not None:
                count, size = self._db.rows("SELECT count(*), coalesce(sum(length(names)), 0) FROM authorities")[0]
                if count < bounds.AUTHORITY_LISTS and size + len(names) <= bounds.AUTHORITY_BYTES:
                    execute("INSERT OR IGNORE INTO authorities VALUES (?, ?)", (digest, names))
                known.append(digest)

    def leave_to_parent(self) -> None:
        """Of a copy of this process (fork(2)): it shares the lock, which must not outlive whoever writes."""
        self._claim.release()

    def size(self) -> int:
        """How much of the file is used; 0 where that cannot be told."""
        try:
            size = self._db.size()
            return size - size // max(self._db.one("PRAGMA page_count"), 1) * self._db.one("PRAGMA freelist_count")
        except sqlite3.Error as error:
            self.trouble = str(error)
            return 0

    def _shrink(self) -> bool:
        """The oldest go while it is too full. Whether any went."""
        has_cut = False
        while self.size() > self.most_bytes and drop_oldest(self._db):
            has_cut = True
        return has_cut

    def session(self, key: bytes) -> list[ConnectionFacts]:
        """The connections that were issued a session, and the first one that resumed it, as far as the
        journal reaches.
        """
        try:
            return connections(
                self._db,
                "JOIN sessions ON sessions.connection = connections.id WHERE sessions.key = ?",
                (key,),
                self.capture + 1,
            )
        except sqlite3.Error as error:
            self.trouble = str(error)
            return []

    def certificates(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of some certificates that stand in it, by SHA-256."""
        return self._of_digests("SELECT sha256, der FROM certificates", digests, values.certificate)

    def authorities(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The same of lists of authorities."""
        return self._of_digests("SELECT sha256, names FROM authorities", digests, values.authorities)

    def _of_digests(
        self, query: str, digests: Sequence[bytes], sound: Callable[[object, object], tuple[bytes, bytes]]
    ) -> dict[bytes, bytes]:
        by_digest: dict[bytes, bytes] = {}
        try:
            for digest, value in self._db.rows(f"{query} WHERE sha256 IN ({', '.join('?' * len(digests))})", *digests):
                try:
                    by_digest.update((sound(digest, value),))
                except DamagedError as error:
                    self.trouble = str(error)
        except sqlite3.Error as error:
            self.trouble = str(error)
        return by_digest

    def latest(self, count: int) -> list[ConnectionFacts]:
        """The last connections of the runs before this one, oldest first. None where the journal turns out to be
        damaged, and is set aside. Raises InspectorError.
        """
        where = (
            "WHERE hello_ns >= (SELECT coalesce(min(hello_ns), 0) FROM (SELECT hello_ns FROM connections ORDER BY"
            " hello_ns DESC LIMIT ?))"
        )
        try:
            return connections(self._db, where, (count,), self.capture)
        except sqlite3.Error as error:
            try:
                self._begin_anew(error)
            except (sqlite3.Error, OSError) as trouble:
                raise _refusal(self.path, trouble) from None
            return []

    def settle(self) -> None:
        """Everything that was committed is in the file itself then, as far as nobody who reads stands in the way."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """The same, and no more of it."""
        self.settle()
        self._db.close()
        self._claim.release()


def _claimed(path: str) -> JournalClaim:
    """A journal has one writer. Raises InspectorError."""
    try:
        return JournalClaim(path)
    except (sqlite3.Error, OSError) as error:
        raise _refusal(path, error) from None


def _refusal(path: str, error: sqlite3.Error | OSError) -> InspectorError:
    """Why a journal is not written, with what helps."""
    if isinstance(error, OSError):
        return InspectorError(f"{path}: {error.strerror or error}", ELSEWHERE)
    if isinstance(error, ClaimedError):
        return InspectorError(f"{path}: {error}", "--journal FILE names another one; inspector open shows this one")
    if isinstance(error, RefusedError):
        return InspectorError(f"{path}: {error}", ELSEWHERE)
    if isinstance(error, NotOursError) or is_damage(error):
        return InspectorError(f"{path}: {error}", AWAY)
    return InspectorError(f"{path}: the journal cannot be written: {error}", ELSEWHERE)


def _nothing(name: str) -> CaptureFacts:
    """A run that has captured nothing yet."""
    return CaptureFacts(
        path=name,
        packets=0,
        bytes=0,
        first_ns=None,
        last_ns=None,
        link_types=(),
        truncated=False,
        undecoded=0,
        snapped=0,
        drops=None,
        damage=None,
    )
