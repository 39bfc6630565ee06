"""``inspector watch`` as a command: what it prints is what ``analyze`` finds in the same packets."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector import analyze, bounds
from inspector.findings.change import ABORT
from inspector.live.keeping import Keeping
from inspector.live.outputs.lines import LinePrinter
from inspector.live.outputs.recording import Recording, conditions
from inspector.live.outputs.survey import survey
from inspector.live.sources.source import PipeSource
from inspector.text.times import SECOND_NS
from tests.build import Pool, capture, certificate, numbered
from tests.conftest import CAPTURES, bundled, find
from tests.ended import Run, patient
from tests.live import WATCH, bytes_of, incidents_in, listened, of_kind, watched
from tests.test_busiest import greeting
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
ALL = sorted(p.name.split(".pcap")[0] for p in CAPTURES.glob("*.pcap*.gz"))


def fault(count: int = 1) -> Pool:
    """A session of A, resumed at A, declined by B: the client gives up."""
    pool = Pool()
    for number in range(count):
        pool.full(A, numbered(2 * number + 1))
        pool.resumed(numbered(2 * number + 1))
        pool.given_up(B, numbered(2 * number + 2), numbered(2 * number + 1))
    return pool


def as_of_the_moment(finding: dict[str, Any], live: dict[str, Any]) -> None:
    """An abort is told at once: the odd member, what came next, and further back ends to look at are known
    afterwards.
    """
    finding["about"] = finding["aftermath"] = None
    assert finding["explanation"].startswith(live["explanation"])
    finding["explanation"] = live["explanation"]
    both = [*zip(finding["remedies"], live["remedies"], strict=True)]
    assert all(words(told["check"]) <= words(remedy["check"]) for remedy, told in both)
    finding["remedies"] = [{**remedy, "check": told["check"]} for remedy, told in both]


def words(command: str) -> set[str]:
    return set(command.replace(";", " ;").split())


@pytest.mark.parametrize("name", ALL)
def test_the_lines_are_those_of_the_analysis(name: str) -> None:
    lines, process = watched(bytes_of(next(CAPTURES.glob(f"{name}.pcap*"))), "--no-journal")
    assert process.returncode == 0, process.stderr
    analysis = bundled(name)
    document = json.loads(msgspec.json.encode(analysis.document))
    told = {line["id"]: line for line in of_kind(lines, "connection")}
    if name == "rotated":  # which connections a certificate's successor answers is only known once it has stayed
        for connection in (*told.values(), *document["connections"]):
            connection["backend"] = None
    assert told == {c["id"]: c for c in document["connections"]}
    live = {line["id"]: line for line in of_kind(lines, "finding")}
    names = {name: line.pop("names") for name, line in live.items()}
    for finding in document["findings"]:
        if finding["rule"] == ABORT:
            as_of_the_moment(finding, live[finding["id"]])
    offline = {f["id"]: f for f in document["findings"] if f["id"] in live or f["rule"] == ABORT}
    if name == "rotated":
        assert set(live) >= set(offline)
    else:
        assert live == {f["id"]: f for f in document["findings"]}
    incidents = of_kind(lines, "incident")
    assert all(line["names"] == names[line["id"]] for line in incidents)
    assert {line["id"] for line in incidents} == {i["id"] for i in document["incidents"]}
    assert {(line["service"], line["state"]) for line in of_kind(lines, "assessment")} == {
        (s["id"], s["assessment"]["state"]) for s in document["services"]
    }


def test_lines_name_those_whose_ids_they_hold() -> None:
    lines, _ = watched(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"), "--no-journal")
    found = of_kind(lines, "finding", rule=ABORT)
    assert {line["names"]["service"] for line in found} == {"puppetdb.example.com:8081"}
    assert {name for line in found for name in line["names"]["clients"]} == {"127.0.0.1"}
    called = {name.partition(" ")[2] for line in found for name in line["names"]["backends"]}
    assert called == {f"(puppetdb{number}.example.com)" for number in (1, 2, 3)}
    assert all(len(line["names"]["backends"]) == len(line["backends"]) for line in found)


def test_statistics_count_what_was_printed() -> None:
    lines, _ = watched(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"), "--no-journal")
    last = of_kind(lines, "statistics")[-1]
    assert last["connections"] == 177 == sum(row["count"] for row in last["handshakes"])
    assert sum(row["count"] for row in last["handshakes"] if row["result"] == "aborted") == 23 == last["incidents"]
    assert last["packets"] == bundled("puppet-session-ids").document.captures[0].packets


def test_findings_only() -> None:
    lines, _ = watched(capture(fault().flows), "--no-journal", "--findings-only")
    assert not of_kind(lines, "connection")
    assert len(of_kind(lines, "finding", rule=ABORT)) == 1


@pytest.mark.parametrize("number,status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_after_everything_is_written(tmp_path: Path, number: int, status: int) -> None:
    words = [*WATCH, "--journal", str(tmp_path / "j.sqlite"), "-w", str(tmp_path / "w.pcapng"), "-"]
    with Run(patient(words), capture(fault().flows)) as run:
        wait_for(run.process, "incident")
        assert run.end(number) == status
        assert run.process.stdout is not None
        lines = [json.loads(line) for line in run.process.stdout]
    assert of_kind(lines, "statistics")
    assert analyzed(tmp_path / "w.pcapng")["incidents"] == analyzed(tmp_path / "j.sqlite")["incidents"] != []


def test_hangup_writes_and_goes_on(tmp_path: Path) -> None:
    with piped(capture(fault().flows), "--journal", str(tmp_path / "j.sqlite")) as process:
        wait_for(process, "incident")
        process.send_signal(signal.SIGHUP)
        assert until(lambda: incidents_in(tmp_path / "j.sqlite") == 1)
        assert process.poll() is None
        assert len(analyzed(tmp_path / "j.sqlite")["incidents"]) == 1


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(capture(fault(20).flows))
    command = " ".join([*WATCH, "--no-journal", "-"])
    process = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} < {tmp_path}/c.pcap | head -1"],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    assert len(process.stdout.splitlines()) == 1
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize(
    "options,text",
    [
        (["-a", "bananas:3"], "-a bananas:3"),
        (["-b", "files:0"], "-b files:0"),
        (["-b", "filesize:100"], "need -w FILE"),
        (["--full"], "need -w FILE"),
        (["--vip", "puppetdb"], "not HOST:PORT"),
        (["--via", "'"], "--via"),
        (["--via", "/nonexistent/tcpdump -w -"], "No such file"),
        (["--exec", "'"], "--exec"),
        (["-w", "/nonexistent/x.pcapng"], "-w /nonexistent/x.pcapng: No such file"),
        (["--incidents", "/proc/x"], "--incidents /proc/x"),
        (["--journal", "/proc/x/j.sqlite"], "/proc/x/j.sqlite"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(options: list[str], text: str) -> None:
    lines, process = watched(b"", *([] if "--journal" in options else ["--no-journal"]), *options)
    assert process.returncode == 2
    assert text in process.stderr.decode()
    assert b"Traceback" not in process.stderr
    assert not lines


@pytest.mark.parametrize("data", [b"", b"short", b"GET / HTTP/1.1\r\n\r\n" * 9, b"\0" * 5000])
def test_what_is_no_capture_is_named(data: bytes) -> None:
    lines, process = watched(data, "--no-journal")
    assert process.returncode == 0
    assert b"Traceback" not in process.stderr
    assert not of_kind(lines, "connection")
    if len(data) > 28:
        assert any("does not write pcap" in line["text"] for line in of_kind(lines, "news"))


def test_a_capture_that_is_cut_is_analysed_as_far_as_it_goes() -> None:
    data = capture(fault().flows)
    lines, _ = watched(data[:-7], "--no-journal")
    assert any("ends inside frame" in line["text"] for line in of_kind(lines, "news"))
    assert len(of_kind(lines, "finding", rule=ABORT)) == 1


class Racing:
    """A clock on which an hour passes each time somebody looks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 3600.0
        return self.seconds

    def monotonic_ns(self) -> int:
        return int(self.monotonic() * SECOND_NS)

    def time_ns(self) -> int:
        return time.time_ns()


@pytest.mark.parametrize("condition", ["duration:86400", "packets:30", "incident:1", "filesize:2", "files:1"])
def test_stop_conditions(condition: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends a capture whose source goes on; what was met by then is told, and one that is not met ends nothing."""
    monkeypatch.setattr("inspector.live.sources.source.STOP_SECONDS", 0.0)
    reading, writing = os.pipe()
    os.write(writing, capture(fault(5).flows))
    ring = conditions("-b", ("filesize:1",)) if condition.startswith("files:") else None
    recording = (
        Recording(str(tmp_path / "w.pcapng"), ring, ["test"], is_full=False) if condition.startswith("file") else None
    )
    keeping = Keeping(recording=recording, stop=conditions("-a", (condition,)))
    clock = Racing() if condition.startswith("duration") else time
    watching, heard = listened(b"", keeping, sources=[PipeSource("-", reading)], clock=clock)
    os.close(writing)
    assert watching._is_over()
    assert len(heard.findings) == 5
    if isinstance(clock, Racing):
        assert clock.seconds >= 86400


def test_a_stop_condition_ends_the_command() -> None:
    with piped(capture(fault(5).flows), "--no-journal", "-a", "packets:30") as process:
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_command_is_run_on_an_incident(tmp_path: Path) -> None:
    out = tmp_path / "told"
    script = tmp_path / "run.sh"
    script.write_text(f'#!/bin/sh\necho "$INSPECTOR_INCIDENT|$INSPECTOR_EVIDENCE|$INSPECTOR_SUMMARY|$#" >> {out}\n')
    script.chmod(0o700)
    folder = tmp_path / "evidence"
    with piped(
        capture(fault().flows), "--no-journal", "--incidents", str(folder), "--exec", f"{script} 'one word'"
    ) as process:
        incident = wait_for(process, "incident")
        assert until(lambda: out.exists() and out.read_text().endswith("\n"))
    name, evidence, summary, count = out.read_text().strip().split("|")
    assert (name, summary, count) == (incident["id"], incident["summary"], "1")
    assert Path(evidence) == folder / f"incident-{incident['id']}.pcapng"
    assert Path(evidence).stat().st_mode & 0o777 == 0o600


def test_a_command_that_cannot_be_run_is_named() -> None:
    lines, _ = watched(capture(fault().flows), "--no-journal", "--exec", "/nonexistent/program")
    assert [line["text"] for line in of_kind(lines, "news", kind="exec")] == [
        "--exec /nonexistent/program: No such file or directory"
    ]


def test_the_end_says_how_every_service_stands() -> None:
    lines, _ = watched(capture(fault().flows), "--no-journal")
    last = [line["record"] for line in lines][-2:]
    assert last == ["assessment", "statistics"]
    assert of_kind(lines, "assessment")[-1]["state"] == "confirmed"


def test_the_same_trouble_is_said_once_with_its_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.live.outputs.execution import RUNNING, Execution

    incident = bundled("silent-abort").document.incidents[0]
    execution = Execution("sleep 600")
    told = []
    for _ in range(1000):
        execution.run(incident, "")
        told += execution.news()
    told += execution.news(is_last=True)
    assert told == [
        f"--exec was not run: {RUNNING} are still running",
        f"--exec was not run: {RUNNING} are still running ({1000 - RUNNING - 1:,} incidents)",
    ]
    execution.kill()
    assert [child.wait(PATIENCE_SECONDS) for child in execution._running] == [-9] * RUNNING


def test_a_storm_of_incidents(tmp_path: Path) -> None:
    """A thousand incidents as fast as they can be read: all are told, the first are written, the rest are named."""
    lines, process = watched(
        capture(fault(1000).flows), "--no-journal", "--incidents", str(tmp_path / "evidence"), "--exec", "sleep 600"
    )
    assert process.returncode == 0
    assert len(of_kind(lines, "incident")) == 1000
    written = of_kind(lines, "evidence")
    assert len(written) == 1000
    files = list((tmp_path / "evidence").iterdir())
    assert len(files) == sum(bool(line["path"]) for line in written) <= 90
    assert all("incidents in a minute" in line["problem"] for line in written if not line["path"])
    assert any("still running" in line["text"] for line in of_kind(lines, "news", kind="exec"))


def piped(data: bytes, *options: str) -> subprocess.Popen[bytes]:
    """The command with its input left open behind some bytes."""
    process = subprocess.Popen(
        [*WATCH, *options, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=CAPTURES.parent,
        env={**os.environ},
    )
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()
    return process


def wait_for(process: subprocess.Popen[bytes], record: str) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["record"] == record:
            return found
    raise AssertionError(f"it ended without a line on {record}")


def analyzed(path: Path) -> dict[str, Any]:
    """As ``analyze -T json`` writes it."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(analyze(path)))
    return found


def test_what_all_means_is_worked_out_beside_the_capture() -> None:
    """In a copy of the process: the same lines as here, and those once."""
    live, _ = listened(bytes_of(find("puppet-session-ids")))
    out = io.BytesIO()
    lines = LinePrinter(live, out, (), None)
    never = float("inf")
    lines._survey_now_and_then(never)
    assert until(lambda: not (lines._survey is not None and lines._survey.is_running()))
    lines._survey_now_and_then(never)
    assert lines._survey is None
    expected = list(survey(live))
    assert len(expected) > 1
    assert [json.loads(line)["record"] for line in out.getvalue().splitlines()] == [line.record for line in expected]
    lines._survey_now_and_then(never)
    assert lines._survey is None, "nothing has come since"


def test_services_that_are_not_judged_are_told_with_the_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LIVE_SERVICES", 3)
    live, _ = listened(capture(greeting(8).flows))
    out = io.BytesIO()
    LinePrinter(live, out, (), None).finish()
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(of_kind(told, "assessment")) == 3
    assert any("too many: 5, with 5 connections" in limit for limit in of_kind(told, "statistics")[-1]["limits"])
