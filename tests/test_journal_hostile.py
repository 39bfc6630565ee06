"""Journals that are damaged, of another schema, or made to hold up whoever reads them: facts or an error that is named,
soon, and never a traceback.
"""

from __future__ import annotations

import io
import os
import random
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from inspector.errors import InspectorError, UnreadableError
from inspector.extract.journal import Journal, JournalReader, read_facts
from inspector.facts import PREFIX_BYTES
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.live.keeping import Keeping
from inspector.query.arrays import Columns
from inspector.reports.text import write_text
from tests.build import Pool, capture, certificate, numbered
from tests.conftest import CAPTURES
from tests.live import listened
from tests.waiting import COMMAND_SECONDS
from tests.work import Work

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x"
MOST_CALLS = 500_000
PROCESSOR_SECONDS, KIB = 60.0, 300_000
"""What a file may take of time and memory that says it is larger than any."""

SELF = ("-Z", "root") if os.geteuid() == 0 else ()
"""Who watches stays who runs the tests."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with an abort in it, closed as it should be."""
    return closed_journal(tmp_path_factory.mktemp("honest"), 30)


def closed_journal(folder: Path, sessions: int) -> Path:
    """A journal of sessions that were resumed, and an abort."""
    path = folder / "j.sqlite"
    pool = Pool()
    for n in range(sessions):
        pool.full(A, numbered(n + 1))
        pool.resumed(numbered(n + 1))
    pool.given_up(B, numbered(1000), numbered(1))
    listened(capture(pool.flows), Keeping(journal=Journal(str(path), 1 << 30, "test")))
    assert not Path(f"{path}-wal").exists()
    return path


@pytest.fixture
def journal(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(honest, tmp_path / "j.sqlite"))


def changed(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement, values if "?" in statement else ())
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def read(path: Path) -> str:
    """What is said of a journal by whoever reads it and by whoever goes on writing it; ``""`` where both can. Soon.
    Whoever writes it does so in any case, where it is a journal at all.
    """
    with Work() as work:
        said = ""
        try:
            analysis = judge(read_facts(str(path)), Options())
            Columns(analysis)
            write_text(analysis, analysis.complete().connections, io.StringIO())
        except UnreadableError as error:
            said = str(error)
        kept = None
        try:
            kept = Journal(str(path), 1 << 30, "again")
            kept.latest(5_000)
            kept.session(numbered(1))
            listened(capture([]), Keeping(journal=kept))
            said = said or worded(kept.set_aside)
        except InspectorError as error:
            said = said or str(error)
        finally:
            if kept is not None:
                kept.close()
    assert work.calls < MOST_CALLS
    return said


SCHEMAS: dict[str, tuple[str, ...]] = {
    "a view in place of a table": (
        "DROP TABLE captures",
        f"CREATE VIEW captures AS SELECT x AS id, 'a' AS name, x'00' AS facts FROM ({ENDLESS} FROM c)",
    ),
    "another view": (f"CREATE VIEW more AS {ENDLESS} FROM c",),
    "a trigger": (
        (
            "CREATE TRIGGER t AFTER INSERT ON captures BEGIN INSERT INTO records SELECT NULL, 1, 'a', 'b', x FROM"
            f" ({ENDLESS} FROM c); END"
        ),
    ),
    "another table": ("CREATE TABLE more (x)",),
    "another index": ("CREATE INDEX more ON records (abs(at_ns))",),
    "a column more": ("ALTER TABLE certificates ADD COLUMN more",),
    "a generated column": ("ALTER TABLE connections ADD COLUMN more AS (hex(zeroblob(100000000)))",),
    "a table renamed": ("ALTER TABLE sessions RENAME TO meetings",),
    "a table fewer": ("DROP TABLE records",),
    "an index fewer": ("DROP INDEX records_by_id",),
    "a check": (
        "DROP TABLE captures",
        (
            "CREATE TABLE captures (id INTEGER PRIMARY KEY, name TEXT NOT NULL, facts BLOB NOT NULL CHECK"
            " (length(hex(zeroblob(1000000))) > 0))"
        ),
    ),
    "another application": ("PRAGMA application_id = 7",),
    "a later version": ("PRAGMA user_version = 99",),
    "an earlier version": ("PRAGMA user_version = 0",),
    "a temporary name": (
        "DROP TABLE captures",
        "CREATE TABLE 'captures ' (id INTEGER PRIMARY KEY, name TEXT NOT NULL, facts BLOB NOT NULL)",
    ),
}


@pytest.mark.parametrize("statements", SCHEMAS.values(), ids=SCHEMAS)
def test_another_schema_is_named_and_nothing_of_it_runs(journal: Path, statements: tuple[str, ...]) -> None:
    changed(journal, *statements)
    before = journal.read_bytes()
    said = read(journal)
    assert str(journal) in said
    aside = journal.with_name(f"{journal.name}.damaged-1")
    assert (aside if aside.exists() else journal).read_bytes() == before
    assert aside.exists() == (journal.read_bytes() != before)


VALUES: dict[str, str] = {
    "a capture of garbage": "UPDATE captures SET facts = x'c1'",
    "a capture that is a number": "UPDATE captures SET facts = 7",
    "no connection": "UPDATE connections SET packed = x''",
    "a connection that is a text": "UPDATE connections SET packed = 'text'",
    "a connection of garbage": "UPDATE connections SET packed = randomblob(800)",
    "a connection that is long": "UPDATE connections SET packed = zeroblob(17000000) WHERE serial = 1",
    "connections of half their bytes": "UPDATE connections SET packed = substr(packed, 1, length(packed) / 2)",
    "connections of another time": "UPDATE connections SET packed = x'ffffffffffffffff' || substr(packed, 9)",
    "a serial that is a text": "UPDATE connections SET serial = 'x'",
    "a serial without end": "UPDATE connections SET serial = 9e999",
    "a time without end": "UPDATE connections SET hello_ns = 9e999",
    "a name that is bytes": "UPDATE connections SET id = CAST(x'ff' || rowid AS BLOB)",
    "a shape of garbage": "UPDATE shapes SET shape = x'9f'",
    "a shape that is a text": "UPDATE shapes SET shape = 'x'",
    "another certificate": "UPDATE certificates SET der = randomblob(900)",
    "a certificate that is a number": "UPDATE certificates SET der = 7",
    "runs that are missing": "UPDATE captures SET id = 4000000000000",
    "the last run that there can be": "UPDATE captures SET id = 9223372036854775807",
}


@pytest.mark.parametrize("statement", VALUES.values(), ids=VALUES)
def test_values_that_cannot_be_are_named(journal: Path, statement: str) -> None:
    changed(journal, statement)
    said = read(journal)
    is_only_looked_up = "hello_ns" in statement or "SET id = 4" in statement
    assert is_only_looked_up or str(journal) in said, said


def test_values_that_are_not_needed_do_no_harm(journal: Path) -> None:
    changed(
        journal,
        "UPDATE records SET json = randomblob(90), at_ns = 9e999",
        "UPDATE sessions SET answer_ns = 'never', connection = x'00'",
    )
    assert read(journal) == ""


LARGE: tuple[object, ...] = (-1, 1 << 40, 1 << 62, (1 << 63) - 1, (1 << 64) - 1, -(1 << 63))
STRANGE: tuple[object, ...] = (
    *LARGE,
    0,
    7,
    None,
    True,
    1.5,
    float("inf"),
    b"",
    b"\xff" * 7,
    "",
    "\x1b[2J",
    [],
    [[]] * 9,
    {},
    msgspec.msgpack.Ext(5, b"\x00"),
)


def places(value: object, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Where values stand in lists of lists."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield (*path, place)
            yield from places(item, (*path, place))


def with_value(value: object, path: tuple[int, ...], new: object) -> object:
    if not path:
        return new
    assert isinstance(value, list)
    return [with_value(item, path[1:], new) if place == path[0] else item for place, item in enumerate(value)]


@pytest.mark.parametrize("seed", range(6))
def test_any_value_of_a_connection_may_be_any_other(honest: Path, tmp_path: Path, seed: int) -> None:
    """Each place of a packed connection, a capture and a shape, with values that it does not expect."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(honest)) as db:
        rows = db.execute("SELECT id, packed FROM connections").fetchall()
        shapes = db.execute("SELECT key, shape FROM shapes").fetchall()
        captures = db.execute("SELECT id, facts FROM captures").fetchall()
    kinds: list[tuple[str, str, list[tuple[object, bytes]]]] = [
        ("connections", "packed", rows),
        ("shapes", "shape", shapes),
        ("captures", "facts", captures),
    ]
    for turn in range(60):
        path = Path(shutil.copy(honest, tmp_path / f"{turn}.sqlite"))
        table, column, found = kinds[chance.choice((0, 0, 0, 0, 1, 2))]
        name, packed = chance.choice(found)
        start = PREFIX_BYTES if table == "connections" else 0
        content = msgspec.msgpack.decode(packed[start:])
        if isinstance(content, dict):
            content[chance.choice(list(content))] = chance.choice(STRANGE)
        else:
            for _ in range(chance.choice((1, 1, 2))):
                content = with_value(content, chance.choice(list(places(content))), chance.choice(STRANGE))
        key = {"connections": "id", "shapes": "key", "captures": "id"}[table]
        changed(
            path,
            f"UPDATE {table} SET {column} = ? WHERE {key} = ?",
            values=(packed[:start] + msgspec.msgpack.encode(content), name),
        )
        read(path)


@pytest.mark.parametrize("seed", range(8))
def test_any_byte_of_the_file_may_be_any_other(honest: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    whole = honest.read_bytes()
    for turn in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 20))):
            at = chance.choice(
                (
                    chance.randrange(len(data)),
                    chance.randrange(100),
                    chance.randrange(len(data) // 4096) * 4096 + chance.randrange(16),
                )
            )
            data[at] = chance.choice((0, 255, chance.randrange(256)))
        if turn % 5 == 4:
            del data[chance.randrange(len(data)) :]
        path = tmp_path / f"{turn}.sqlite"
        path.write_bytes(data)
        read(path)


def tree(page_bytes: int, children: list[int], kind: int) -> bytes:
    """An inner page of a b-tree (https://www.sqlite.org/fileformat.html, section 1.6) with these children."""
    cells = [struct.pack(">I", child) + b"\x01" for child in children[:-1]]
    page = bytearray(page_bytes)
    page[:12] = struct.pack(">BHHHBI", kind, 0, len(cells), page_bytes - 5 * len(cells), 0, children[-1])
    for number, cell in enumerate(cells):
        at = page_bytes - 5 * (number + 1)
        page[12 + 2 * number : 14 + 2 * number] = struct.pack(">H", at)
        page[at : at + 5] = cell
    return bytes(page)


def grown_tree(path: Path, table: str, total_pages: int = 0) -> int:
    """Put eight levels of pages, whose children are all the same next page, in place of a table: more rows than there
    are atoms. The file's pages, of which there may be holes.
    """
    with closing(sqlite3.connect(path)) as db:
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    data = bytearray(path.read_bytes())
    pages = len(data) // page_bytes
    leaf = data[(root - 1) * page_bytes : root * page_bytes]
    added = [bytes(leaf)] + [tree(page_bytes, [pages + 1 + level] * 500, 5) for level in range(8)]
    data[(root - 1) * page_bytes : root * page_bytes] = tree(page_bytes, [pages + len(added)] * 500, 5)
    data += b"".join(added)
    total_pages = max(total_pages, pages + len(added))
    data[28:32] = struct.pack(">I", total_pages)
    path.write_bytes(data)
    os.truncate(path, total_pages * page_bytes)
    return total_pages


@pytest.mark.parametrize("table", ["captures", "connections", "records"])
def test_pages_that_stand_in_a_tree_many_times_take_no_longer(journal: Path, table: str) -> None:
    grown_tree(journal, table)
    assert (str(journal) in read(journal)) == (table == "captures")  # the others are looked up by an index


def test_holes_in_a_file_count_for_nothing(journal: Path) -> None:
    """The same in a file that says it is 400 GB long, and of which the disk holds some pages."""
    pages = grown_tree(journal, "captures", 100_000_000)
    assert journal.stat().st_blocks * 512 < 1 << 20 < pages * 4096
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UnreadableError, match="gives more than it can hold"):
        read_facts(str(journal))
    with closing(Journal(str(journal), 1 << 30, "again")) as kept:
        assert kept.set_aside is not None
    assert time.process_time() - began < PROCESSOR_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KIB


def test_a_damaged_log_beside_it(journal: Path) -> None:
    Path(f"{journal}-wal").write_bytes(random.Random(1).randbytes(50_000))
    assert read(journal) == ""


def test_who_reads_once_leaves_nothing_behind(journal: Path) -> None:
    before = {path.name for path in journal.parent.iterdir()}
    judge(read_facts(str(journal)), Options())
    assert {path.name for path in journal.parent.iterdir()} == before


@pytest.mark.parametrize(
    "command", [("analyze",), ("report", "-o", "out"), ("diff", "j.sqlite"), ("watch", "-", *SELF, "--journal")]
)
def test_every_command_names_a_journal_that_is_none_of_ours(journal: Path, command: tuple[str, ...]) -> None:
    changed(journal, *SCHEMAS["a trigger"])
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CAPTURES.parent), "HOME": str(journal.parent)}
    journal.chmod(0o666)
    done = subprocess.run(
        [sys.executable, "-m", "inspector", *command, "j.sqlite"],
        input=capture([]),
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=journal.parent,
        env=env,
    )
    assert done.returncode == (0 if "watch" in command else 2)
    assert b"Traceback" not in done.stderr
    assert b"j.sqlite" in done.stderr
    assert (b"set aside as j.sqlite.damaged-1" in done.stderr) == ("watch" in command)


def test_a_journal_of_fewer_fields_is_read(honest: Path, tmp_path: Path) -> None:
    """Fields that are added at the end have defaults: what was written before them can be read."""
    path = Path(shutil.copy(honest, tmp_path / "old.sqlite"))
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT id, packed FROM connections").fetchall()
        for name, packed in rows:
            offer, answer, connection = msgspec.msgpack.decode(packed[PREFIX_BYTES:])
            db.execute(
                "UPDATE connections SET packed = ? WHERE id = ?",
                (packed[:PREFIX_BYTES] + msgspec.msgpack.encode([offer, answer, connection[:16]]), name),
            )
        db.commit()
    assert len(read_facts(str(path)).connections) == len(rows)


def test_a_reader_that_follows_sees_a_writer_that_comes_later(journal: Path) -> None:
    reader = JournalReader(str(journal))
    first = reader.more()
    assert first is not None
    pool = Pool()
    pool.port += 5000
    pool.full(A, numbered(900))
    listened(capture(pool.flows), Keeping(journal=Journal(str(journal), 1 << 30, "later")))
    more = reader.more()
    reader.close()
    assert more is not None
    assert len(more.connections) == len(first.connections) + 1
