"""Logs that grow beside a live capture: lines as they come, rotation, emptying, loss of rights, and failures that are paired when they come late."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.errors import UsageError
from inspector.live.growing import FAILURES, GrowingLog, GrowingLogs
from tests.conftest import CAPTURES, find
from tests.live import bytes_of, of_kind, watched
from tests.test_log_join import SECOND, today
from tests.test_logs import TCP

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
    assert "cannot be read any more" in log.facts.problem
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
