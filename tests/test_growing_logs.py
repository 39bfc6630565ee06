"""Logs that grow beside a live capture: lines as they come, rotation, emptying, loss of rights, and failures that are
paired when they come late.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from inspector.errors import UsageError
from inspector.findings.wording import worded
from inspector.live.sources.growing import FAILURES, GrowingLog, GrowingLogs
from tests.conftest import CAPTURES, find
from tests.live import bytes_of, of_kind, watched, watching_as_nobody
from tests.logged import SECOND, today
from tests.test_logs import TCP
from tests.waiting import PATIENCE_SECONDS

START = 1_795_000_000 * SECOND


def test_lines_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text("")
    log = GrowingLog(str(path))
    assert not log.poll()
    text = today(START, 1)
    with open(path, "a") as out:
        out.write(text[:50])
        out.flush()
        assert not log.poll()
        out.write(text[50:-10])
        out.flush()
        log.poll()
        assert not log.facts.failures
        out.write(text[-10:])
        out.flush()
        assert log.poll()
    assert [f.kind for f in log.facts.failures] == ["certificate_change"]
    assert not log.poll()


def test_what_stood_there_before_is_known(tmp_path: Path) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text("one\ntwo\n")
    began = time.time_ns()
    logs = GrowingLogs([str(path)])
    with path.open("a") as file:
        file.write("three\n")
    logs.poll()
    [facts] = logs.facts()
    assert (facts.old_lines, facts.lines) == (2, 3)
    assert began <= facts.opened_ns <= time.time_ns()
    logs.close()


def test_rotation_and_emptying(tmp_path: Path) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text(today(START, 1))
    log = GrowingLog(str(path))
    assert log.poll()
    path.rename(tmp_path / "puppetserver-2026-11-23.0.log")
    path.write_text(today(START + SECOND, 1))
    log.poll()
    assert log.poll()
    assert len(log.facts.failures) == 2
    path.write_text("")
    log.poll()
    with open(path, "a") as out:
        out.write(today(START + 2 * SECOND, 1))
    log.poll()
    log.poll()
    assert len(log.facts.failures) == 3
    path.unlink()
    log.poll()
    assert "cannot be read any more" in worded(log.facts.problem)
    log.close()


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text("".join(today(START + i * SECOND, 1) for i in range(FAILURES + 50)))
    log = GrowingLog(str(path))
    while log.poll():
        pass
    assert len(log.facts.failures) == FAILURES
    assert log.facts.failures[-1].line == 2 * (FAILURES + 50) - 1


def test_both_kinds_and_those_that_wait(tmp_path: Path) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text("")
    second.write_text("")
    logs = GrowingLogs([str(first), str(second)])
    logs.waits("x")
    assert not logs.poll()
    second.write_text(f"{TCP}\n")
    assert logs.poll()
    assert logs.waiting() == ["x"]
    assert [f.form for f in logs.facts()] == ["unknown", "haproxy"]
    logs.close()
    with pytest.raises(UsageError, match="No such file"):
        GrowingLogs([str(tmp_path / "none")])


def test_watch_joins_logs(tmp_path: Path) -> None:
    name = "puppet-session-ids"
    paths = []
    for packed in sorted(CAPTURES.glob(f"{name}.*.log.gz")):
        path = tmp_path / packed.stem
        path.write_bytes(bytes_of(packed))
        paths.append(path)
    lines, process = watched(bytes_of(find(name)), *(part for path in paths for part in ("--log", str(path))))
    assert process.returncode == 0, process.stderr
    told = of_kind(lines, "log")
    incidents = of_kind(lines, "incident")
    assert {line["connection"] for line in told if line["certain"]} == {i["connections"][-1] for i in incidents}
    assert len(incidents) == 23
    named = [line for c in of_kind(lines, "connection") for line in c["logs"] if line["form"] == "haproxy"]
    assert len(named) > 150
    lines, process = watched(bytes_of(find(name)), "--log", str(tmp_path / "none"))
    assert process.returncode == 2
    assert b"No such file" in process.stderr


def denied(*args: Any, **kwargs: Any) -> Any:
    raise PermissionError(13, "Permission denied")


def told(log: GrowingLog) -> list[str]:
    """Two polls, as news that is over with the next one is none."""
    found = []
    for _ in range(3):
        log.poll()
        found.append(log.news())
    return [text for text in found if text]


def test_a_rotated_log_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text(today(START, 1))
    log = GrowingLog(str(path))
    assert not told(log)
    path.rename(tmp_path / "puppetserver.log.1")
    with open(tmp_path / "puppetserver.log.1", "a") as out:
        out.write(today(START + SECOND, 1))
    path.write_text(today(START + 2 * SECOND, 1))
    with monkeypatch.context() as patched:
        patched.setattr("inspector.live.sources.growing.os.open", denied)
        [text] = told(log)
        assert "was rotated, and the new file cannot be read: Permission denied" in text
        assert len(log.facts.failures) == 2
        assert worded(log.facts.problem) in text
    assert [text.partition(": ")[2] for text in told(log)] == ["is read on"]
    log.poll()
    assert len(log.facts.failures) == 3
    assert not log.facts.problem
    log.close()


def test_a_rotation_in_a_closed_directory_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text(today(START, 1))
    log = GrowingLog(str(path))
    monkeypatch.setattr("inspector.live.sources.growing.os.stat", denied)
    assert not told(log)
    assert not log.facts.problem
    with open(path, "a") as out:
        out.write(today(START + SECOND, 1))
    assert log.poll()
    path.rename(tmp_path / "puppetserver.log.1")
    [text] = told(log)
    assert "was rotated" in text
    (tmp_path / "puppetserver.log.1").unlink()
    assert not told(log)
    assert "was rotated" in worded(log.facts.problem)


def test_a_file_that_is_copied_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "puppetserver.log"
    path.write_text(today(START, 1) * 3)
    log = GrowingLog(str(path))
    log.poll()
    monkeypatch.setattr("inspector.live.sources.growing.os.stat", denied)
    os.truncate(path, 0)
    log.poll()
    path.write_text(today(START + SECOND, 1))
    assert log.poll()
    assert len(log.facts.failures) == 4


def test_a_pipe_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = GrowingLog(str(path))
    writer = os.open(path, os.O_WRONLY)
    assert not reader.poll()
    record = {"__REALTIME_TIMESTAMP": str(START // 1000), "MESSAGE": today(START, 1)}
    os.write(writer, json.dumps(record).encode() + b"\n")
    assert reader.poll()
    assert len(reader.facts.failures) == 1
    os.close(writer)
    assert ["its writer has gone" in text for text in told(reader)] == [True]


@pytest.mark.parametrize(("path", "text"), [("/dev/null", "is a device"), (".", "directory")])
def test_what_cannot_be_followed_is_refused(path: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        GrowingLog(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="rights can only be given up by whoever has them")
def test_watch_lives_on_without_its_logs(tmp_path: Path) -> None:
    """A log that was rotated to one that may not be read, and one in a closed directory, while the capture goes on."""
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir()
    logs = [tmp_path / "open.log", closed / "closed.log"]
    for log in logs:
        log.write_text(today(START, 1))
        log.chmod(0o644)
    closed.chmod(0o700)
    process = watching_as_nobody(*logs)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    while b"without rights" not in process.stderr.readline():
        assert process.poll() is None
    for log in logs:
        log.rename(f"{log}.1")
        log.write_text("")
        log.chmod(0o600)
    found: list[str] = []
    while len(found) < 2:
        line = json.loads(process.stdout.readline())
        if line["record"] == "news":
            found.append(line["text"])
    process.stdin.write(bytes_of(find("silent-abort")))
    process.stdin.close()
    rest = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert process.wait(PATIENCE_SECONDS) == 0
    assert all("was rotated, and the new file cannot be read" in text for text in found)
    assert [line for line in rest if line["record"] == "incident"]
    assert sum("was rotated" in limit for limit in rest[-1]["limits"]) == 2
