"""A journal stays within its size, whatever fills it, and whoever follows it holds no more than it does."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from inspector.extract.journal import Journal, JournalReader, JournalRecord, JournalRow, read_facts
from inspector.facts import CaptureFacts, Facts
from inspector.live.window_entry import entry_of, row_of
from tests.build import Pool, certificate, facts_of, numbered, written

NOTHING = CaptureFacts("test", 0, 0, None, None, (), False, 0, 0, None, None)
MOST = 600_000
AT_ONCE = 50


def rows_of(tmp_path: Path, count: int, own: int) -> tuple[list[JournalRow], Facts]:
    """Connections one after the other; each ``own``-th has a hello and a certificate that no other has."""
    pool = Pool()
    pool.full(certificate("puppetdb1", ("puppetdb1.example.com",)), numbered(1))
    facts = facts_of(written(tmp_path, pool.flows))
    (first,) = (facts.unpack(packed) for packed in facts.connections)
    offer, rows = first.handshake.offer, []
    assert offer is not None
    for n in range(count):
        handshake = replace(first.handshake, client_random=numbered(n), hello_ns=first.first_ns + n)
        if not n % own:
            digest = numbered(n + (1 << 20))
            facts.certificates[digest] = bytes(300)
            handshake = replace(handshake, offer=offer._replace(key=digest[-8:]), chain=(digest,))
        connection = replace(first, handshake=handshake, initial_sequence=n, first_ns=first.first_ns + n)
        rows.append(row_of(f"c{n}", entry_of(connection, facts, True), connection))
    return rows, facts


def count(path: Path, what: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"SELECT count(*) FROM {what}").fetchone()[0])


def own_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of this test are none."""
    monkeypatch.setattr("inspector.extract.journal.values.certificate", lambda digest, der: (digest, der))


def test_what_only_the_oldest_used_goes_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chrome orders its extensions anew for each connection."""
    own_facts(monkeypatch)
    path = tmp_path / "j.sqlite"
    rows, facts = rows_of(tmp_path, 2_000, own=1)
    journal = Journal(str(path), MOST, "test")
    reader = JournalReader(str(path))
    for start in range(0, len(rows), AT_ONCE):
        journal.write(rows[start : start + AT_ONCE], [], facts, NOTHING)
        assert journal.size() <= MOST
        seen = reader.more()
        assert seen is not None
        left = count(path, "connections")
        assert count(path, "shapes WHERE is_offer") == count(path, "certificates") == left
        assert count(path, "sessions WHERE connection = ''") == 2 * left + 1
        assert len(seen.connections) == len(seen.offers) == len(seen.certificates) == left
    assert 0 < left < len(rows)
    reader.close()
    journal.close()
    found = read_facts(str(path))
    assert seen is not None
    assert sorted(found.connections) == sorted(seen.connections)
    assert (found.offers, found.answers) == (seen.offers, seen.answers)


def test_what_others_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the last one that is written began long before others, and where what went comes again."""
    own_facts(monkeypatch)
    path = tmp_path / "j.sqlite"
    rows, facts = rows_of(tmp_path, 1_200, own=3)
    random.Random(1).shuffle(rows)
    journal = Journal(str(path), MOST // 3, "test")
    for start in range(0, len(rows), AT_ONCE):
        journal.write([*rows[start : start + AT_ONCE], *rows[:AT_ONCE]], [], facts, NOTHING)
        found = read_facts(str(path))
        assert len(found.connections) == count(path, "connections")
        chains = [found.unpack(packed).handshake.chain for packed in found.connections]
        assert {digest for chain in chains for digest in chain} == found.certificates.keys()
    assert len(found.connections) < len(rows)
    journal.close()


def test_records_alone_stay_within_it_too(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(str(path), MOST, "test")
    for n in range(100):
        journal.write([], [JournalRecord(n, "statistics", "", bytes(10_000))], Facts(), NOTHING)
        assert journal.size() <= MOST
    journal.close()
    assert 0 < count(path, "records") < 100


def test_a_journal_of_before_loses_nothing_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It did not say who uses what: that is kept until all of its connections have gone."""
    own_facts(monkeypatch)
    path = tmp_path / "j.sqlite"
    rows, facts = rows_of(tmp_path, 1_500, own=2)
    with closing(Journal(str(path), 1 << 30, "test")) as journal:
        journal.write(rows[:500], [], facts, NOTHING)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM sessions WHERE connection = ''")
        db.execute("PRAGMA user_version = 2")
    assert len(read_facts(str(path)).connections) == 500
    with closing(Journal(str(path), MOST, "test")) as journal:
        for start in range(500, len(rows), AT_ONCE):
            journal.write(rows[start : start + AT_ONCE], [], facts, NOTHING)
            assert journal.size() <= MOST
            found = read_facts(str(path))
            assert len(found.connections) == count(path, "connections")
    assert len(found.connections) < 1_000
    assert len(found.offers) < 750
