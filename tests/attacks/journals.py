"""Journals of a live capture that somebody else wrote to: damaged, of garbage, of another schema, with statements that
have no end, beside logs that do not belong to them.
"""

from __future__ import annotations

import random
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from tests.attacks.attack import Given, frames_of_an_abort, table
from tests.build import pcap
from tests.test_journal_hostile import SCHEMAS, VALUES, changed, closed_journal, grown_tree

PAGE = 4096
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"


@lru_cache(maxsize=2)
def honest(sessions: int) -> bytes:
    """A journal of so many sessions."""
    with tempfile.TemporaryDirectory() as folder:
        return closed_journal(Path(folder), sessions).read_bytes()


Change = Callable[[Path], object]


def statements(*some: str) -> Change:
    return lambda path: changed(path, *some)


def pages(share: float, value: Callable[[random.Random], bytes], first: int = 1) -> Change:
    """A share of the pages is replaced, from one on."""

    def change(path: Path) -> None:
        dice, data = random.Random(1), bytearray(path.read_bytes())
        for at in range(first * PAGE, len(data), PAGE):
            if dice.random() < share:
                data[at : at + PAGE] = value(dice)
        path.write_bytes(data)

    return change


def noise(dice: random.Random) -> bytes:
    return dice.randbytes(PAGE)


def shuffled(path: Path) -> None:
    """The pages but the first in another order."""
    data = path.read_bytes()
    rest = [data[at : at + PAGE] for at in range(PAGE, len(data), PAGE)]
    random.Random(1).shuffle(rest)
    path.write_bytes(data[:PAGE] + b"".join(rest))


def bytes_changed(path: Path) -> None:
    dice, data = random.Random(1), bytearray(path.read_bytes())
    for at in range(100, len(data), 997):
        data[at] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


def cut(share: float) -> Change:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def header(at: int, value: bytes) -> Change:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at : at + len(value)] = value
        path.write_bytes(data)

    return change


def schema(text: str) -> Change:
    """A statement in the schema that SQLite itself would not have taken."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'captures'", (text,))

    return change


CHANGES: dict[str, Change] = {
    **{f"schema: {name}": statements(*some) for name, some in SCHEMAS.items()},
    **{f"values: {name}": statements(one) for name, one in VALUES.items()},
    "an endless index expression": statements("CREATE INDEX more ON captures (hex(zeroblob(length(facts) * 1000)))"),
    "an endless view by that name": statements("DROP TABLE records", f"CREATE VIEW records AS {ENDLESS}"),
    "a trigger on each table": statements(
        *(
            f"CREATE TRIGGER on_{name} BEFORE INSERT ON {name} BEGIN INSERT INTO {name} SELECT * FROM {name}; END"
            for name in ("captures", "connections", "certificates", "sessions", "records", "shapes")
        )
    ),
    "an endless default": schema(
        "CREATE TABLE captures (id INTEGER PRIMARY KEY, name TEXT NOT NULL, facts BLOB NOT NULL DEFAULT"
        " (hex(zeroblob(1000000000))))"
    ),
    "a virtual table": statements("CREATE VIRTUAL TABLE more USING fts5(x)"),
    "a schema of 100 KB": schema(
        f"CREATE TABLE captures (id INTEGER PRIMARY KEY, {', '.join(f'c{n}' for n in range(1_900))})"
    ),
    "a schema that is none": schema("SELECT 1"),
    "a page of noise in ten": pages(0.1, noise),
    "pages of noise": pages(1, noise),
    "pages of zeros": pages(1, lambda dice: bytes(PAGE)),
    "pages that say they are inner ones": pages(0.1, lambda dice: b"\x05" + dice.randbytes(PAGE - 1)),
    "pages in another order": shuffled,
    "the first page, noise": lambda path: path.write_bytes(random.Random(1).randbytes(PAGE) + path.read_bytes()[PAGE:]),
    "a bit in a thousand bytes": bytes_changed,
    "of no bytes": lambda path: path.write_bytes(b""),
    "of noise": lambda path: path.write_bytes(random.Random(1).randbytes(path.stat().st_size)),
    "of its magic alone": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "cut in half": cut(0.5),
    "cut in its first page": lambda path: path.write_bytes(path.read_bytes()[:1_000]),
    "a page size of 1": header(16, struct.pack(">H", 1)),
    "a page size of 512": header(16, struct.pack(">H", 512)),
    "more pages than there are": header(28, struct.pack(">I", 0x7FFFFFFF)),
    "a list of free pages without an end": header(32, struct.pack(">II", 2, 0x7FFFFFFF)),
    "an encoding that is none": header(56, struct.pack(">I", 9)),
    "a version of SQLite to come": header(18, b"\x09\x09"),
    "pages that stand in a tree many times": lambda path: grown_tree(path, "captures"),
    "connections that stand in a tree many times": lambda path: grown_tree(path, "connections"),
    "values of 17 MB": statements("UPDATE captures SET facts = zeroblob(17000000)"),
    "names of 10 MB": statements("UPDATE captures SET name = hex(zeroblob(5000000))"),
}
BESIDE: dict[str, Callable[[bytes], dict[str, bytes]]] = {
    "a log of noise": lambda data: {"-wal": random.Random(1).randbytes(len(data))},
    "a log that says that it is one": lambda data: {
        "-wal": struct.pack(">IIIIIIII", 0x377F0682, 3007000, PAGE, 1, 1, 1, 0, 0) + data
    },
    "an index of noise": lambda data: {"-shm": random.Random(1).randbytes(32_768), "-wal": b""},
    "a hot journal of noise": lambda data: {"-journal": random.Random(1).randbytes(len(data))},
    "a hot journal": lambda data: {
        "-journal": (bytes.fromhex("d9d505f920a163d7") + struct.pack(">iIIII", -1, 7, 1, 512, PAGE)).ljust(512, b"\0")
        + struct.pack(">I", 2)
        + bytes(PAGE)
        + struct.pack(">I", 7)
    },
    "a log of zeros": lambda data: {"-wal": bytes(len(data))},
}


def with_change(change: Change, sessions: int) -> Given:
    """A journal, changed, and an abort in the capture beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.sqlite"
        path.write_bytes(honest(sessions))
        change(path)
        return Given(pcap([]) + frames_of_an_abort(), journal={"": path.read_bytes()})


def with_files(beside: Callable[[bytes], dict[str, bytes]], sessions: int) -> Given:
    data = honest(sessions)
    return Given(pcap([]) + frames_of_an_abort(), journal={"": data, **beside(data)})


ATTACKS = (
    *table("journals", CHANGES, with_change, 20, 5_000),
    *table("journals", BESIDE, with_files, 20, 5_000),
)
