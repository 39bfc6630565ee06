"""A journal as facts again: all of it, or more of it as it grows."""

from __future__ import annotations

import os
import sqlite3

from inspector import bounds
from inspector.errors import UnreadableError
from inspector.errors.bounds import Bound, JournalLost
from inspector.errors.internal import Border
from inspector.errors.notice import PathText
from inspector.extract.journal import values
from inspector.extract.journal.database import VERSION, DamagedError, Database, to_be_read
from inspector.extract.journal.files import identity
from inspector.facts import ConnectionFacts, Facts
from inspector.text.safe import path_text


class JournalReader:
    """A journal that is read, also while somebody else writes it. Raises UnreadableError where it is
    none, or damaged.
    """

    def __init__(self, path: str, follows: bool = True) -> None:
        """``follows``: it is read again and again, as it grows."""
        self.path = path
        self._identity = identity(path)
        try:
            self._db, self._unread = to_be_read(path, follows)
        except sqlite3.Error as error:
            raise UnreadableError(f"{path}: {error}") from None
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror or error}") from None
        try:
            self._version = self._db.check()
        except sqlite3.Error as error:
            self._db.close()
            raise UnreadableError(f"{path}: {error}") from None
        self._serial = 0
        self._packed: dict[str, bytes] = {}
        self._border = Border(sqlite3.Error)
        self.facts = Facts()

    def anew(self) -> JournalReader | None:
        """A reader of the file that bears the name now, where that is another one which can be read: whoever writes it
        sets aside what is damaged.
        """
        if identity(self.path) in (None, self._identity):
            return None
        try:
            return JournalReader(self.path)
        except UnreadableError:  # it is only being made
            return None

    def more(self) -> Facts | None:
        """All facts, if there are more than when this was last asked; a connection that was open then is replaced.
        Raises UnreadableError.
        """
        try:
            self._db.execute("BEGIN")  # all of it at one moment: whoever writes it may delete what is read next
            try:
                return self._more()
            finally:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise UnreadableError(f"{self.path}: {error}") from None

    def _more(self) -> Facts | None:
        rows = self._db.rows(
            "SELECT serial, id, packed FROM connections WHERE serial > ? ORDER BY serial", self._serial
        )
        if not rows and self._serial:
            return None
        facts = self._shared()
        captures = values.captures(row[0] for row in self._db.rows("SELECT facts FROM captures ORDER BY id"))
        for serial, name, packed in rows:
            if not isinstance(serial, int):
                raise DamagedError("damaged: a connection has no number")
            with self._border:
                self._packed[name] = values.connection(name, packed, facts, len(captures))
        self._serial = max([self._serial, 1, *(row[0] for row in rows)])
        if self._db.one("SELECT count(*) FROM connections") != len(self._packed):  # the oldest went
            left = {row[0] for row in self._db.rows("SELECT id FROM connections")}
            self._packed = {name: packed for name, packed in self._packed.items() if name in left}
        self.facts = facts
        return Facts(
            captures=captures,
            connections=list(self._packed.values()),
            offers=facts.offers,
            answers=facts.answers,
            certificates=facts.certificates,
            authorities=facts.authorities,
            bounded=self._lost(),
        )

    def _shared(self) -> Facts:
        if self._version < VERSION:  # whoever writes it may have brought it up to date since
            self._version = self._db.check()
        return shared(self._db, self._version, self.facts)

    def _lost(self) -> list[Bound]:
        times = self._db.one("SELECT count(*) FROM records WHERE kind = 'limit' AND id = 'journal'")
        return [
            *([JournalLost(PathText(path_text(self.path)), times)] if times else []),
            *([self._unread] if self._unread is not None else []),
            *self._border.notices(),
        ]

    def records(self, kind: str) -> list[bytes]:
        """The JSON of all records of a kind, oldest first."""
        return [row[0] for row in self._db.rows("SELECT json FROM records WHERE kind = ? ORDER BY serial", kind)]

    def close(self) -> None:
        """No more reading."""
        self._db.close()


def read_facts(path: str) -> Facts:
    """All that a journal holds. Nothing is left beside it. Raises UnreadableError."""
    log = f"{path}-wal"
    had_log = os.path.exists(log)
    reader = JournalReader(path, follows=False)
    try:
        facts = reader.more() or Facts()
    finally:
        reader.close()
    if not had_log and os.path.exists(
        log
    ):  # somebody began to write while the file was taken for one that nobody writes
        return read_facts(path)
    return facts


def shared(db: Database, version: int, before: Facts) -> Facts:
    """The shapes, certificates and authorities that are there now; those that were there ``before`` are not checked
    again. Raises sqlite3.Error.
    """
    facts = Facts()
    for key, is_offer, shape in db.rows("SELECT key, is_offer, shape FROM shapes"):
        if is_offer == 1 and key in before.offers:
            facts.offers[key] = before.offers[key]
        elif is_offer != 1 and key in before.answers:
            facts.answers[key] = before.answers[key]
        else:
            values.shape(key, is_offer, shape, facts)
    for digest, der in db.rows("SELECT sha256, der FROM certificates"):
        is_known = digest in before.certificates and before.certificates[digest] == der
        facts.certificates[digest] = der if is_known else values.certificate(digest, der)[1]
    if version >= 2:
        for digest, names in db.rows("SELECT sha256, names FROM authorities LIMIT ?", bounds.AUTHORITY_LISTS):
            if digest in before.authorities:
                facts.authorities[digest] = before.authorities[digest]
            else:
                facts.authorities.update((values.authorities(digest, names),))
    return facts


def connections(db: Database, where: str, wanted: tuple[object, ...], runs: int) -> list[ConnectionFacts]:
    """Some connections of a journal of so many runs, oldest first. Raises sqlite3.Error."""
    shapes = Facts()
    listed = []
    for name, packed in db.rows(f"SELECT id, packed FROM connections {where} ORDER BY hello_ns", *wanted):
        for key, is_offer in zip(values.shape_keys(packed), (1, 0), strict=True):
            if key and key not in (shapes.offers if is_offer else shapes.answers):
                for (shape,) in db.rows("SELECT shape FROM shapes WHERE key = ? AND is_offer = ?", key, is_offer):
                    values.shape(key, is_offer, shape, shapes)
        listed.append(shapes.unpack(values.connection(name, packed, shapes, runs)))
    return listed
