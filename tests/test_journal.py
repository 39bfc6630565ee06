"""The journal: what was committed is there, whatever happened to whoever wrote it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from inspector.errors import InspectorError, UnreadableError
from inspector.errors.bounds import JournalLost
from inspector.errors.notice import PathText
from inspector.extract.journal import (
    APPLICATION,
    VERSION,
    Journal,
    JournalReader,
    JournalRecord,
    JournalRow,
    read_facts,
)
from inspector.facts import CaptureFacts, Facts
from inspector.findings.case import Options
from inspector.findings.change import ABORT
from inspector.findings.judge import judge
from inspector.live.keeping import Keeping
from inspector.live.outputs.journaling import AGAIN, Journaling
from inspector.reports.forked_job import ForkedJob
from tests.build import Pool, capture, certificate, numbered
from tests.conftest import CAPTURES, bundled
from tests.live import bytes_of, incidents_in, listened, of_kind, watched
from tests.test_watch import analyzed, fault, piped, wait_for
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
NOTHING = CaptureFacts("test", 0, 0, None, None, (), False, 0, 0, None, None)


def kept(path: Path, data: bytes, most_bytes: int = 1 << 30) -> None:
    listened(data, Keeping(journal=Journal(str(path), most_bytes, "test")))


@pytest.mark.parametrize("name", ["puppet-session-ids", "tickets", "both-legs", "puppet-tls13", "ipv6"])
def test_a_journal_gives_the_same_analysis(tmp_path: Path, name: str) -> None:
    path = tmp_path / "j.sqlite"
    kept(path, bytes_of(next(CAPTURES.glob(f"{name}.pcap*"))))
    found, wanted = judge(read_facts(str(path)), Options()).complete(), bundled(name).document
    assert found.connections == wanted.connections
    assert found.sessions == wanted.sessions
    assert found.findings == wanted.findings
    assert found.services == wanted.services
    assert found.captures[0].packets == wanted.captures[0].packets


def test_a_restart_judges_a_session_that_was_issued_before(tmp_path: Path) -> None:
    """The origin and the first resumption in one run, the abort in the next."""
    before, after = Pool(), Pool()
    before.full(A, numbered(1))
    before.resumed(numbered(1))
    after.ns, after.port = before.ns, before.port
    after.given_up(B, numbered(2), numbered(1))
    path = str(tmp_path / "j.sqlite")
    watched(capture(before.flows), "--journal", path)
    lines, _ = watched(capture(after.flows), "--journal", path)
    (finding,) = of_kind(lines, "finding", rule=ABORT)
    assert (finding["verdict"], len(finding["connections"])) == ("confirmed", 3)
    assert [e["frames"][0][0] for e in finding["evidence"] if e["frames"]][:2] == [0, 0]
    assert [e["frames"][0][0] for e in finding["evidence"] if e["role"] == "declined"] == [1]
    document = analyzed(Path(path))
    assert [len(i["connections"]) for i in document["incidents"]] == [3]
    assert len(document["captures"]) == 2


def test_what_fell_out_of_memory_is_found_in_the_journal(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    for n in range(60):
        pool.full(certificate(f"c{n % 3}", (f"c{n % 3}.example.com",)), numbered(100 + n))
    first = capture(pool.flows)
    pool.flows.clear()
    pool.given_up(B, numbered(2), numbered(1))
    path = str(tmp_path / "j.sqlite")
    listened(first, Keeping(journal=Journal(path, 1 << 30, "one")), most=20)
    _, heard = listened(capture(pool.flows), Keeping(journal=Journal(path, 1 << 30, "two")), most=20)
    (finding,) = heard.findings.values()
    assert len(finding.connections) == 3


def test_kill_9_in_mid_incident(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with piped(capture(fault(3).flows), "--journal", str(path)) as process:
        wait_for(process, "incident")
        assert until(lambda: path.exists() and len(analyzed(path).get("incidents", [])) == 3)
        process.kill()
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert len(analyzed(path)["incidents"]) == 3
    assert len(JournalReader(str(path)).records("incident")) == 3
    lines, done = watched(capture(fault().flows), "--journal", str(path))
    assert done.returncode == 0
    assert of_kind(lines, "statistics")


def test_its_size_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(str(path), 400_000, "test")
    pool = Pool()
    for n in range(400):
        pool.full(A, numbered(n + 1))
    from inspector.live.window_entry import entry_of, row_of
    from tests.build import facts_of, written

    facts = facts_of(written(tmp_path, pool.flows))
    found = [facts.unpack(packed) for packed in sorted(facts.connections)]
    rows = [row_of(f"c{n}", entry_of(connection, facts, True), connection) for n, connection in enumerate(found)]
    for start in range(0, 400, 20):
        journal.write(rows[start : start + 20], [], facts, NOTHING)
        assert journal.size() < 480_000
    journal.close()
    left = judge(read_facts(str(path)), Options()).case.observed
    assert 0 < len(left) < 400
    assert left[-1].hello_ns == found[-1].handshake.hello_ns
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_failed_write_changes_nothing_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(str(path), 1 << 30, "test")
    other = sqlite3.connect(path, isolation_level=None)
    journal._db.execute("PRAGMA busy_timeout = 50")
    other.execute("BEGIN EXCLUSIVE")
    _, heard = listened(capture(fault().flows), Keeping(journal=journal))
    assert any(kind == "journal" and "is not written" in text for kind, text in heard.told)
    assert len(heard.findings) == 1
    other.execute("ROLLBACK")
    assert judge(read_facts(str(path)), Options()).count == 0


def test_a_journal_that_can_be_written_again_knows_what_it_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.live.outputs.journaling.MOST_KEPT", -1)
    path = tmp_path / "j.sqlite"
    watching, heard = listened(b"")
    journal = watching.keeping.journal = Journal(str(path), 1 << 30, "test")
    journal._db.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    watching._commit(heard)
    other.execute("ROLLBACK")
    watching._commit(heard)
    assert read_facts(str(path)).bounded == [JournalLost(PathText(str(path)), 1)]


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "j.sqlite")
    journal = Journal(path, 1 << 30, "test")
    with pytest.raises(InspectorError, match="another inspector writes"):
        Journal(path, 1 << 30, "test")
    journal.close()
    Journal(path, 1 << 30, "test").close()


def test_other_databases_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE captures (x)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(InspectorError, match="not a journal of inspector"):
        Journal(str(path), 1 << 30, "test")
    with pytest.raises(UnreadableError, match="not a journal of inspector"):
        JournalReader(str(path))
    assert path.read_bytes() == before


def test_a_journal_of_a_later_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    Journal(str(path), 1 << 30, "test").close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.commit()
    db.close()
    with pytest.raises(UnreadableError, match="later version"):
        JournalReader(str(path))
    with pytest.raises(InspectorError, match="later version"):
        Journal(str(path), 1 << 30, "test")
    assert int.from_bytes(b"Insp", "big") == APPLICATION


@pytest.mark.parametrize("damage", [b"SQLite format 3\0" + b"\xff" * 5000, b"SQLite format 3\0", None])
def test_a_damaged_journal_is_an_error_that_is_named(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "j.sqlite"
    kept(path, capture(fault(20).flows))
    data = path.read_bytes()
    path.write_bytes(damage if damage is not None else data[: len(data) // 2])
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "analyze", str(path)],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr
    assert path.name.encode() in done.stderr


def test_a_journal_and_a_capture_are_one_story(tmp_path: Path) -> None:
    before, after = Pool(), Pool()
    before.full(A, numbered(1))
    before.resumed(numbered(1))
    after.ns, after.port = before.ns, before.port
    after.given_up(B, numbered(2), numbered(1))
    kept(tmp_path / "j.sqlite", capture(before.flows))
    (tmp_path / "later.pcap").write_bytes(capture(after.flows))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "inspector",
            "analyze",
            "-T",
            "json",
            str(tmp_path / "later.pcap"),
            str(tmp_path / "j.sqlite"),
        ],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    assert [len(i["connections"]) for i in json.loads(done.stdout)["incidents"]] == [3]


def test_reading_never_waits_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with piped(capture(fault().flows), "--journal", str(path)) as process:
        wait_for(process, "incident")
        assert until(lambda: incidents_in(path) == 1)
        assert process.poll() is None
        reader = JournalReader(str(path))
        assert reader.more() is not None
        assert until(lambda: reader.more() is None)
        reader.close()


def test_what_could_not_be_written_for_a_moment_is_written_then(tmp_path: Path) -> None:
    """Somebody holds the lock, a disk is full: the last rows are tried again, and nothing is lost between."""
    journal = Journal(str(tmp_path / "j.sqlite"), 1 << 30, "test")
    rows = [
        JournalRow(f"{number:012x}", number, 0, True, b"packed", (), (), None, None, ()) for number in range(AGAIN + 10)
    ]
    journaling = Journaling()
    for row in rows:
        journaling.keep(row)
    journaling.record(JournalRecord(1, "news", "", b"{}"))
    journal._db.execute("PRAGMA query_only = ON")
    assert journaling.write(journal, Facts(), NOTHING)
    assert not journaling.write(journal, Facts(), NOTHING), "said once"
    journal._db.execute("PRAGMA query_only = OFF")
    assert not journaling.write(journal, Facts(), NOTHING)
    assert [row[0] for row in journal._db.rows("SELECT id FROM connections ORDER BY id")] == [
        row.id for row in rows[10:]
    ]
    assert journal._db.one("SELECT count(*) FROM records") == 1
    journal.close()


def test_a_copy_that_judges_does_not_keep_the_journal_from_the_next_run(tmp_path: Path) -> None:
    """Whoever was killed may leave such a copy behind for a while."""
    journal = Journal(str(tmp_path / "j.sqlite"), 1 << 30, "test")

    def judge_for_long(out: BinaryIO) -> None:
        journal.leave_to_parent()
        out.write(b".")
        out.flush()
        time.sleep(600)

    going = ForkedJob(judge_for_long)
    try:
        assert until(lambda: os.fstat(going.output.fileno()).st_size)
        with pytest.raises(InspectorError, match="another inspector writes"):
            Journal(str(tmp_path / "j.sqlite"), 1 << 30, "test")
        journal.close()
        Journal(str(tmp_path / "j.sqlite"), 1 << 30, "test").close()
    finally:
        going.drop()
