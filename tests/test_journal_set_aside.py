"""Journals that are damaged, by the generator and ten of each kind: whoever reads one names it or gives its facts, and
whoever writes one sets it aside and begins anew, and is as well served as by none.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.errors import InspectorError, UnreadableError
from inspector.errors.bounds import JournalNotWritten, JournalSetAside
from inspector.extract.journal import VERSION, Journal, read_facts
from inspector.extract.journal.files import APPLICATION_AT, SET_ASIDE
from inspector.findings.case import Options
from inspector.findings.change import ABORT
from inspector.findings.judge import judge
from inspector.live.keeping import Keeping
from tests.build import Pool, capture, certificate, numbered
from tests.conftest import CAPTURES
from tests.live import listened, of_kind
from tests.test_journal_hostile import ENDLESS, SELF, changed, closed_journal
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
PROCESSOR_SECONDS = 60.0
"""What a variant may take; most take a tenth of a second."""

Damage = Callable[[Path, random.Random], None]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with many pages and an abort in it, closed as it should be."""
    return closed_journal(tmp_path_factory.mktemp("honest"), 120)


def flip(path: Path, chance: random.Random) -> None:
    """Bits of one page, but not those that say whose file it is, and of which version."""
    data = bytearray(path.read_bytes())
    page = chance.randrange(len(data) // 4096) * 4096
    for _ in range(chance.choice((1, 8, 200))):
        at = page + chance.randrange(4096)
        if not 60 <= at < APPLICATION_AT + 4:
            data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def truncate(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    os.truncate(path, chance.choice((chance.randrange(1, 100), chance.randrange(size), size // 4096 // 2 * 4096)))


def zero(path: Path, chance: random.Random) -> None:
    """What a file system may leave after the power went: the length, and zeros from somewhere on."""
    size = path.stat().st_size
    start = chance.choice((0, 0, chance.randrange(size)))
    os.truncate(path, start)
    os.truncate(path, size)


def garbage_rows(path: Path, chance: random.Random) -> None:
    """Of the right types, and decodable where they are packed."""
    packed = msgspec.msgpack.encode(
        chance.choice(([[1, 2], {}, "x"], [b"", b"", [1] * 30], {"path": 7}, [None] * 40, chance.randbytes(90)))
    )
    number = chance.choice((-1, 0, 7, 1 << 40, (1 << 63) - 1, -(1 << 63)))
    statement, values = chance.choice(
        (
            ("INSERT OR REPLACE INTO captures VALUES (?, 'x', ?)", (number, packed)),
            ("INSERT OR REPLACE INTO connections VALUES ('x', ?, 1, ?, ?)", (number, packed, number)),
            ("INSERT OR REPLACE INTO connections VALUES ('x', ?, 1, ?, 4)", (number, bytes(8) + packed)),
            ("INSERT OR REPLACE INTO shapes VALUES (x'00', 1, ?)", (packed,)),
            ("INSERT OR REPLACE INTO certificates VALUES (randomblob(32), ?)", (packed,)),
            ("INSERT OR REPLACE INTO authorities VALUES (randomblob(32), ?)", (packed,)),
            ("INSERT OR REPLACE INTO records VALUES (?, ?, 'limit', 'journal', ?)", (number, number, packed)),
            ("UPDATE connections SET packed = ? WHERE serial % 7 = 3", (packed,)),
            ("UPDATE connections SET packed = substr(packed, 1, 8) || ?", (packed,)),
            ("UPDATE connections SET serial = ?, hello_ns = ?", (number, number)),
        )
    )
    changed(path, statement, values=values)


NAMES = ("captures", "connections", "sessions", "shapes", "certificates", "records", "authorities")


def foreign_schema(path: Path, chance: random.Random) -> None:
    """A view or trigger that bears a table's name, or nearly, and never ends."""
    name = chance.choice(NAMES)
    endless = f"{ENDLESS} FROM c"
    statements = chance.choice(
        (
            (f"DROP TABLE {name}", f"CREATE VIEW {name} AS {endless}"),
            (f"ALTER TABLE {name} RENAME TO other", f"CREATE VIEW {name} AS SELECT * FROM other, ({endless})"),
            (f"CREATE VIEW '{name} ' AS {endless}",),
            *(
                (f"CREATE TRIGGER '{name}_{when}' {when} {what} ON {name} BEGIN SELECT max(x) FROM ({endless}); END",)
                for when, what in (("AFTER", "INSERT"), ("BEFORE", "INSERT"), ("AFTER", "UPDATE"), ("BEFORE", "DELETE"))
            ),
        )
    )
    changed(path, *statements)


def huge_blobs(path: Path, chance: random.Random) -> None:
    size = chance.choice((200_000, 5 << 20, 15 << 20, (16 << 20) + 1))
    table, column = chance.choice(
        (
            ("captures", "facts"),
            ("connections", "packed"),
            ("connections", "id"),
            ("certificates", "der"),
            ("shapes", "shape"),
        )
    )
    rowid = {"shapes": "key", "certificates": "sha256"}.get(table, "rowid")
    changed(path, f"UPDATE {table} SET {column} = zeroblob({size}) WHERE {rowid} = (SELECT min({rowid}) FROM {table})")


def wrong_version(path: Path, chance: random.Random) -> None:
    changed(path, f"PRAGMA user_version = {chance.choice((0, -1, -chance.randrange(1 << 30)))}")


def headers(path: Path, chance: random.Random) -> None:
    """Of versions of SQLite that there are not yet, of other page sizes and encodings."""
    data = bytearray(path.read_bytes())
    at, size = chance.choice(((0, 16), (16, 2), (18, 1), (19, 1), (20, 1), (21, 3), (44, 4), (56, 4)))
    data[at : at + size] = chance.randbytes(size)
    path.write_bytes(data)


KINDS: dict[str, Damage] = {
    "bits flipped in a page": flip,
    "truncated": truncate,
    "zeros": zero,
    "garbage rows of the right types": garbage_rows,
    "views and triggers by the names of tables": foreign_schema,
    "huge blobs": huge_blobs,
    "versions that were never written": wrong_version,
    "headers": headers,
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("damage", KINDS.values(), ids=KINDS)
def test_ten_of_each_kind(honest: Path, tmp_path: Path, damage: Damage, seed: int) -> None:
    path = Path(shutil.copy(honest, tmp_path / "j.sqlite"))
    Path(f"{path}.lock").touch()
    damage(path, random.Random(f"{damage.__name__} {seed}"))
    path.chmod(0o644)
    damaged, began = path.read_bytes(), time.process_time()
    said = ""
    try:
        judge(read_facts(str(path)), Options())
    except UnreadableError as error:
        said = str(error)
    assert path.read_bytes() == damaged, "reading changes nothing"
    journal = Journal(str(path), 1 << 30, "again")
    pool = Pool()
    pool.ns, pool.port = pool.ns + 10**12, pool.port + 5000
    pool.full(A, numbered(5001))
    pool.resumed(numbered(5001))
    pool.given_up(B, numbered(5002), numbered(5001))
    _, heard = listened(capture(pool.flows), Keeping(journal=journal))
    assert time.process_time() - began < PROCESSOR_SECONDS
    assert [finding.rule for finding in heard.findings.values()] == [ABORT]
    aside = Path(f"{path}.damaged-1")
    assert aside.exists() == (journal.set_aside is not None)
    told = [text for kind, text in heard.told if kind == "journal"]
    if aside.exists():
        assert any("a new journal is begun" in text for text in told)
        assert judge(read_facts(str(path)), Options()).count == 3
        assert {one.stat().st_mode & 0o777 for one in (path, aside)} == {0o600}
    elif said:  # it is met where all of it is read, and whoever writes it does not read all of it
        assert damage is flip, said


@pytest.mark.parametrize("version", [VERSION + 1, VERSION + 100, 1 << 30])
def test_a_journal_of_a_later_version_is_no_damage(honest: Path, tmp_path: Path, version: int) -> None:
    path = Path(shutil.copy(honest, tmp_path / "j.sqlite"))
    changed(path, f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(InspectorError, match="later version"):
        Journal(str(path), 1 << 30, "test")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["j.sqlite"]


@pytest.mark.parametrize("content", [b"root:x:0:0::/root:/bin/sh\n", bytes(5000), b"\xd4\xc3\xb2\xa1" + bytes(20)])
def test_what_was_never_a_journal_stays_where_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(InspectorError, match="not a journal"):
        Journal(str(path), 1 << 30, "test")
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_so_many_are_kept_beside_it(honest: Path, tmp_path: Path) -> None:
    """The first ones, which hold most, and the last."""
    path = tmp_path / "j.sqlite"
    for number in range(SET_ASIDE + 3):
        data = bytearray(honest.read_bytes())
        data[4096 : 4096 + 100] = bytes([number]) * 100
        data[100:200] = bytes([number]) * 100
        path.write_bytes(data)
        Journal(str(path), 1 << 30, "test").close()
    kept = sorted(tmp_path.glob("j.sqlite.damaged-*"))
    assert [one.read_bytes()[4096] for one in kept] == [0, 1, SET_ASIDE + 2]


def test_the_log_of_a_damaged_journal_goes_with_it(honest: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(honest, tmp_path / "j.sqlite"))
    changed(path, "CREATE TABLE more (x)")
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO more VALUES (1)")
        db.commit()
        shutil.copy(f"{path}-wal", tmp_path / "wal")
    shutil.copy(tmp_path / "wal", f"{path}-wal")
    Path(f"{path}.damaged-1-shm").touch()
    Journal(str(path), 1 << 30, "test").close()
    with closing(sqlite3.connect(f"{path}.damaged-1")) as db:
        assert db.execute("SELECT x FROM more").fetchall() == [(1,)]
    assert judge(read_facts(str(path)), Options()).count == 0


def test_a_journal_that_is_damaged_while_it_is_written(tmp_path: Path) -> None:
    """It is set aside, once; what comes is written to the new one. Frames keep the number of their run."""
    path = tmp_path / "j.sqlite"
    Journal(str(path), 1 << 30, "the run before").close()
    pool = Pool()
    for n in range(40):
        pool.full(A, numbered(n + 1))
    journal = Journal(str(path), 1 << 30, "test")
    journal._db.execute("PRAGMA cache_size = 1")
    watching, heard = listened(b"", Keeping(journal=journal))
    watching.keeping.journal = journal = Journal(str(path), 1 << 30, "test")
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    journal._db.execute("PRAGMA shrink_memory")
    watching._commit(heard)
    assert isinstance(journal.set_aside, JournalSetAside)
    assert [loss for loss in watching.losses if isinstance(loss, JournalNotWritten)] == []
    assert any("a new journal is begun" in text for _, text in heard.told)
    journal.close()
    assert [run.path for run in read_facts(str(path)).captures] == ["the run before", "test", "test"]


def test_what_cannot_be_looked_up_is_set_aside_too(honest: Path, tmp_path: Path) -> None:
    """What the window wants of runs before is read behind the opening."""
    path = Path(shutil.copy(honest, tmp_path / "j.sqlite"))
    changed(path, "UPDATE connections SET packed = randomblob(300)")
    journal = Journal(str(path), 1 << 30, "test")
    watching, heard = listened(capture(fault().flows), Keeping(journal=journal))
    assert isinstance(journal.set_aside, JournalSetAside)
    assert len(heard.findings) == 1
    assert [run.path for run in read_facts(str(path)).captures] == ["test", "test"]
    assert watching.losses == [journal.set_aside]


def watch(path: Path, *options: str) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[bytes]]:
    command = [sys.executable, "-m", "inspector", "watch", "-", *SELF, "--journal", str(path), *options]
    done = subprocess.run(
        command,
        input=capture(fault().flows),
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()], done


def test_watch_says_so_and_goes_on(honest: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(honest, tmp_path / "j.sqlite"))
    changed(path, "UPDATE captures SET facts = x'c1'")
    lines, done = watch(path)
    assert done.returncode == 0
    assert f"set aside as {path}.damaged-1" in done.stderr.decode()
    [news] = of_kind(lines, "news", kind="journal")
    assert f"set aside as {path}.damaged-1" in news["text"]
    assert news["text"] in of_kind(lines, "statistics")[-1]["limits"]
    assert of_kind(lines, "finding", rule=ABORT)
    lines, done = watch(path)
    assert b"set aside" not in done.stderr
