"""Directories of facts that are damaged, or made by somebody who means harm: what was altered is named and left out,
the rest is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.errors import UnreadableError, UsageError
from inspector.extract.processes import extract
from inspector.extract.tables import read_tables
from inspector.extract.tables.manifest import TABLES
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from tests.test_tables import LEGS, SESSIONS, command, extracted

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@dataclass
class Directory:
    """A directory of facts with one part."""

    path: Path

    def file(self, table: str) -> Path:
        [found] = (self.path / table).rglob("*.parquet")
        return found

    @property
    def manifest(self) -> Path:
        [found] = (self.path / "parts").glob("*.json")
        return found

    def problems(self) -> list[str]:
        return [worded(problem) for problem in read_tables(str(self.path)).problems]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extracted(tmp_path_factory.mktemp("made") / "facts", SESSIONS, "--no-follow")


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Directory:
    return Directory(Path(shutil.copytree(made, tmp_path / "facts")))


def _cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def _altered(file: Path) -> None:
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(octets)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("harm", [Path.unlink, _cut_short, _altered], ids=["missing", "cut", "altered"])
def test_a_part_that_is_not_as_it_was_written(directory: Directory, table: str, harm: Callable[[Path], object]) -> None:
    harm(directory.file(table))
    [problem] = directory.problems()
    assert directory.manifest.stem in problem
    assert table in problem
    with pytest.raises(UnreadableError, match="none of its parts can be read"):
        command("analyze", directory.path)
    command("extract", LEGS, "-o", directory.path, "--no-follow")
    done = command("analyze", directory.path, "--strict", "-T", "json")
    assert done.exit_code == 3
    assert "unreadable" in [limit["kind"] for limit in json.loads(done.stdout_bytes)["limits"]]


def test_the_other_parts_are_read(directory: Directory, tmp_path: Path) -> None:
    _altered(directory.file("connections"))
    command("extract", LEGS, "-o", directory.path, "--no-follow")
    facts = read_tables(str(directory.path))
    assert len(facts.problems) == 1
    assert facts.connections == extract([str(LEGS)]).connections


def test_a_part_that_was_not_written_to_its_end(directory: Directory) -> None:
    name = directory.manifest.stem
    directory.manifest.unlink()
    [problem] = directory.problems()
    assert name in problem
    assert "not written to its end" in problem


MANIFESTS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("another schema", lambda m: m.update(schema=99), "schema 99"),
    ("another name", lambda m: m.update(name="0" * 32), "the name of another"),
    ("a file outside", lambda m: m["files"][0].update(path="connections/../../../etc/passwd"), "none of its files"),
    ("an absolute file", lambda m: m["files"][0].update(path="/etc/passwd"), "none of its files"),
    ("another table", lambda m: m["files"][0].update(path="parts/x.parquet"), "none of its files"),
    ("no digest", lambda m: m["files"][0].update(sha256=""), "no digest"),
    ("a field is missing", lambda m: m.pop("vantage"), "vantage"),
    ("a field of another type", lambda m: m.update(files=3), "array"),
]


@pytest.mark.parametrize(("harm", "expected"), [row[1:] for row in MANIFESTS], ids=[row[0] for row in MANIFESTS])
def test_a_manifest_is_not_trusted(
    directory: Directory, harm: Callable[[dict[str, Any]], object], expected: str
) -> None:
    manifest = json.loads(directory.manifest.read_bytes())
    harm(manifest)
    directory.manifest.write_text(json.dumps(manifest))
    [problem] = directory.problems()
    assert expected in problem


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000], ids=range(5))
def test_a_manifest_may_be_anything(directory: Directory, octets: bytes) -> None:
    directory.manifest.write_bytes(octets)
    [problem] = directory.problems()
    assert "manifest" in problem


def _rewritten(directory: Directory, table: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A table with other rows, under a manifest that fits it: what somebody makes who means harm."""
    file = directory.file(table)
    read = parquet.ParquetFile(file).read()
    rows = read.to_pylist()
    for row in rows:
        change(row)
    parquet.write_table(pa.Table.from_pylist(rows, schema=read.schema), file, compression="zstd")
    manifest = json.loads(directory.manifest.read_bytes())
    for each in manifest["files"]:
        if each["path"].startswith(f"{table}/"):
            each["sha256"] = digest_of(file)
    directory.manifest.write_text(json.dumps(manifest))


FORGED: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("connections", lambda row: row.update(packed=b"")),
    ("connections", lambda row: row.update(packed=b"\xc1" * 40)),
    ("connections", lambda row: row.update(packed=None)),
    ("connections", lambda row: row.update(packed=row["packed"][:-3])),
    ("certificates", lambda row: row.update(der=row["der"] + b"x")),
    ("certificates", lambda row: row.update(sha256="no digest")),
    ("certificates", lambda row: row.update(sha256=None)),
    ("shapes", lambda row: row.update(packed=b"\x90")),
    ("shapes", lambda row: row.update(side="server" if row["side"] == "client" else "client")),
    ("captures", lambda row: row.update(packed=b"\x93\x01\x02\x03")),
    ("remainder", lambda row: row.update(packed=b"\x80")),
    ("remainder", lambda row: row.update(packed=msgspec.msgpack.encode(Facts(connections=[b"x"])))),
]


@pytest.mark.parametrize(("table", "change"), FORGED, ids=[f"{at} {row[0]}" for at, row in enumerate(FORGED)])
def test_a_value_is_not_trusted(directory: Directory, table: str, change: Callable[[dict[str, Any]], object]) -> None:
    _rewritten(directory, table, change)
    facts = read_tables(str(directory.path))
    if table == "remainder" and not facts.problems:  # an empty map is no harm
        assert facts.connections
        return
    assert len(facts.problems) == 1
    assert not facts.connections
    judge(facts, Options())


def test_a_table_of_other_columns(directory: Directory) -> None:
    file = directory.file("captures")
    parquet.write_table(pa.table({"packed": [b"x"]}), file)
    manifest = json.loads(directory.manifest.read_bytes())
    for each in manifest["files"]:
        each["sha256"] = digest_of(directory.path / each["path"])
    directory.manifest.write_text(json.dumps(manifest))
    assert "other columns" in directory.problems()[0]


def test_a_damaged_part_is_not_asked(directory: Directory) -> None:
    directory.manifest.write_bytes(b"{")
    done = command("query", directory.path, "select count(*) from connections", "-T", "csv")
    assert done.stdout.splitlines()[1] == "0"
    assert "not as it was written" in done.stderr


def test_a_table_that_is_asked_is_checked_as_one_that_is_read(directory: Directory) -> None:
    _altered(directory.file("connections"))
    done = command("query", directory.path, "select count(*) from connections", "-T", "csv")
    assert done.stdout.splitlines()[1] == "0"
    assert "another hash" in done.stderr


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_table_is_a_plain_file(directory: Directory, kind: str) -> None:
    file = directory.file("connections")
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    assert f"a {kind}" in directory.problems()[0]


BOMBS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("connections", lambda row: row.update(packed=b"\0" * (1 << 20))),
    ("certificates", lambda row: row.update(der=b"\0" * (200 << 20))),
    ("remainder", lambda row: row.update(packed=b"\0" * (200 << 20))),
]


@pytest.mark.parametrize(("table", "change"), BOMBS, ids=[row[0] for row in BOMBS])
def test_what_is_packed_is_no_more_than_it_seems(
    directory: Directory, table: str, change: Callable[[dict[str, Any]], object]
) -> None:
    _rewritten(directory, table, change)
    assert directory.file(table).stat().st_size < 4 << 20
    [problem] = directory.problems()
    assert "more than is ever written" in problem


@pytest.mark.parametrize("number", [None, -1, 0, 10**6])
def test_connections_are_numbered_one_by_one(directory: Directory, number: int | None) -> None:
    _rewritten(directory, "connections", lambda row: row.update(number=number))
    assert len(directory.problems()) == 1


def test_a_manifest_names_files_as_they_are(directory: Directory) -> None:
    whole = json.loads(directory.manifest.read_bytes())
    first, *others = whole["files"]
    for files in ([{**first, "rows": 1}, *others], [first, first, *others], [first, *others[1:]]):
        manifest = {**whole, "files": files}
        directory.manifest.write_text(json.dumps(manifest))
        assert len(directory.problems()) == 1


def test_columns_of_one_name_are_told_apart(made: Path) -> None:
    [line] = command("query", made, "select 1 as a, 2 as a, 3 as a", "-T", "jsonl").stdout.splitlines()
    assert json.loads(line) == {"a": 1, "a_1": 2, "a_2": 3}


@pytest.mark.parametrize("question", [";", "  ", "/* nothing */"])
def test_no_question(made: Path, question: str) -> None:
    with pytest.raises(UsageError):
        command("query", made, question)
