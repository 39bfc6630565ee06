"""What a live capture writes: ``-w``, rings, the packets of an incident; and what happens where nothing
can be written.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from inspector.capture.files import Story
from inspector.errors import UsageError
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.live.keeping import Keeping
from inspector.live.outputs.held_evidence import A_MINUTE
from inspector.live.outputs.recording import Conditions, Recording, conditions
from inspector.live.outputs.trigger import Trigger
from tests.build import Pool, capture, certificate, facts_of, numbered, record
from tests.conftest import CAPTURES, bundled, find
from tests.live import WATCH, bytes_of, listened, of_kind, watched
from tests.test_watch import analyzed, fault
from tests.waiting import COMMAND_SECONDS

A = certificate("puppetdb1", ("puppetdb1.example.com",))
ALL = sorted(p.name.split(".pcap")[0] for p in CAPTURES.glob("*.pcap*.gz"))


@pytest.mark.parametrize("name", ALL)
def test_what_is_cut_away_is_missed_by_nobody(tmp_path: Path, name: str) -> None:
    """Frames are kept up to the last byte that was looked at: the same findings, with the same frame numbers."""
    path = tmp_path / "w.pcapng"
    data = bytes_of(find(name))
    listened(data, Keeping(recording=Recording(str(path), None, ["test"], is_full=False)))
    wanted, found = bundled(name).document, judge(facts_of(path), Options()).complete()
    assert [replace(c, gap_bytes=0) for c in found.connections] == [replace(c, gap_bytes=0) for c in wanted.connections]
    assert found.findings == wanted.findings
    assert path.stat().st_mode & 0o777 == 0o600


def test_full_keeps_all(tmp_path: Path) -> None:
    path = tmp_path / "w.pcapng"
    data = bytes_of(CAPTURES / "puppet-session-ids.pcap.gz")
    listened(data, Keeping(recording=Recording(str(path), None, ["test"], is_full=True)))
    original = tmp_path / "o.pcap"
    original.write_bytes(data)
    assert frames_of(path) == frames_of(original)


def frames_of(path: Path) -> list[tuple[int, bytes]]:
    """Times and bytes."""
    batches = list(Story([str(path)]).batches())
    return [
        (int(ns), b.data[at : at + held].tobytes())
        for b in batches
        for ns, at, held in zip(b.time_ns, b.offset, b.captured, strict=True)
    ]


def test_application_data_is_cut_away(tmp_path: Path) -> None:
    pool = Pool()
    flow = pool.full(A, numbered(1), data=False)
    del flow.segments[-3:]
    flow.sent = [
        sum(len(s.payload) + bool(s.flags & 2) for s in flow.segments if s.from_client is side)
        for side in (True, False)
    ]
    for _ in range(20):
        flow.server_says(record(23, b"d" * 16_000))
    flow.close()
    path = tmp_path / "w.pcapng"
    listened(capture([flow]), Keeping(recording=Recording(str(path), None, [], is_full=False)))
    assert path.stat().st_size < 12_000
    (connection,) = judge(facts_of(path), Options()).complete().connections
    assert (connection.outcome, connection.gap_bytes > 300_000) == ("established", True)


def test_a_ring_keeps_the_last_files(tmp_path: Path) -> None:
    recording = Recording(str(tmp_path / "w.pcapng"), Conditions(files=3, packets=100), ["test"], is_full=False)
    listened(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"), Keeping(recording=recording))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3 < recording.files
    assert all(path.name.startswith("w_0") and path.suffix == ".pcapng" for path in files)
    for path in files:
        Story([str(path)])


@pytest.mark.parametrize(
    "values,found",
    [
        (("files:5", "filesize:1000"), Conditions(files=5, filesize=1000)),
        (("duration:0.5",), Conditions(duration=0.5)),
        (("incident:2", "packets:7"), Conditions(incidents=2, packets=7)),
    ],
)
def test_conditions(values: tuple[str, ...], found: Conditions) -> None:
    assert conditions("-a", values) == found


@pytest.mark.parametrize(
    "value", ["files", "files:", "files:x", "files:-1", "files:1.5", "incident:1", "nan:1", "duration:nan", ":3"]
)
def test_conditions_that_are_none(value: str) -> None:
    with pytest.raises(UsageError):
        conditions("-b", (value,))


def test_too_little_space_stops_writing_and_is_named(tmp_path: Path) -> None:
    recording = Recording(str(tmp_path / "w.pcapng"), None, [], is_full=False)
    recording._least_mib = 1 << 40
    watching, heard = listened(capture(fault().flows), Keeping(recording=recording))
    assert len(heard.findings) == 1
    assert recording.lost == watching.info.packets
    assert any(kind == "disk" and "must stay free" in text for kind, text in heard.told)
    assert any("frames are not written" in worded(bound) for bound in watching.limits())


def test_a_directory_that_goes_away(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    recording = Recording(str(folder / "w.pcapng"), Conditions(packets=5), [], is_full=False)
    trigger = Trigger(str(folder / "evidence"), [])
    shutil.rmtree(folder)
    watching, heard = listened(capture(fault().flows), Keeping(recording=recording, trigger=trigger))
    assert len(heard.findings) == 1
    assert recording.lost
    assert "No such file or directory" in recording.trouble
    assert ["No such file or directory" in one.problem for one in heard.evidence] == [True]
    assert any("No such file or directory" in worded(bound) for bound in watching.limits())


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """As on a full disk: what was written by then is a good file, the rest is counted."""
    data = bytes_of(CAPTURES / "puppet-session-ids.pcap.gz")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    command = [*WATCH, "--no-journal", "-w", str(tmp_path / "w.pcapng"), "-"]
    done = subprocess.run(
        command,
        input=data,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        preexec_fn=limited,
        cwd=CAPTURES.parent,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert len(of_kind(lines, "incident")) == 23
    assert of_kind(lines, "statistics")[-1]["recorded"]["lost"] > 0
    assert any("File too large" in line["text"] for line in of_kind(lines, "news", kind="disk"))
    assert Story([str(tmp_path / "w.pcapng")])


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare, to mount a small file system"
)
def test_a_full_disk(tmp_path: Path) -> None:
    """Everything that writes on a file system of one MiB: the capture goes on, and each loss is named."""
    data = tmp_path / "c.pcap"
    data.write_bytes(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"))
    full = tmp_path / "full"
    full.mkdir()
    options = (
        f"-Z root --min-free 0 --journal {full}/j.sqlite -w {full}/w.pcapng --full --incidents {full}/evidence"
        f" --metrics {full}/m.prom"
    )
    script = f"mount -t tmpfs -o size=300k tmpfs {full} && {sys.executable} -m inspector watch {options} - < {data}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert len(of_kind(lines, "incident")) == 23
    told = " ".join(line["text"] for line in of_kind(lines, "news"))
    assert "w.pcapng: frames are not written: No space left on device" in told
    assert "the journal is not written" in told or "journal" in done.stderr.decode()


def test_evidence_opens_as_a_capture_with_its_comments(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    lines, _ = watched(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"), "--no-journal", "--incidents", str(folder))
    incidents = {line["id"]: line for line in of_kind(lines, "incident")}
    written_files = [line for line in of_kind(lines, "evidence") if line["path"]]
    assert len(written_files) == len(incidents) == 23
    for line in written_files:
        document = analyzed(Path(line["path"]))
        assert set(incidents[line["incident"]]["connections"]) <= {c["id"] for c in document["connections"]}
        assert line["incident"] in {i["id"] for i in document["incidents"]}
        assert all(c["outcome"] != "incomplete" for c in document["connections"])
    if shutil.which("tshark"):
        done = subprocess.run(
            ["tshark", "-r", written_files[0]["path"], "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"],
            capture_output=True,
            check=True,
            timeout=COMMAND_SECONDS,
        )
        assert b"certificate-change-abort, declined" in done.stdout


def test_the_memory_of_the_trigger_is_bounded(tmp_path: Path) -> None:
    trigger = Trigger(str(tmp_path / "evidence"), [], most_bytes=50_000)
    listened(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"), Keeping(trigger=trigger))
    assert trigger.held_bytes > 0 or not trigger._buffered
    assert trigger.held_bytes == sum(trigger._size(batch) for batch in trigger._buffered)
    assert len(trigger._buffered) <= 1 or trigger.held_bytes <= 50_000


def test_flows_that_move_much_data_are_held_by_what_was_looked_at(tmp_path: Path) -> None:
    pool = Pool()
    flow = pool.full(A, numbered(1), data=False)
    del flow.segments[-3:]
    flow.sent = [
        sum(len(s.payload) + bool(s.flags & 2) for s in flow.segments if s.from_client is side)
        for side in (True, False)
    ]
    for _ in range(500):
        flow.server_says(b"", wait=1000)
        flow.server_says(record(23, b"d" * 14_000)[:7_000], wait=1000).server_says(
            record(23, b"d" * 14_000)[7_000:], wait=1000
        )
    flow.close()
    trigger = Trigger(str(tmp_path / "evidence"), [])
    watching, _ = listened(capture([flow]), Keeping(trigger=trigger))
    assert watching.info.packets > 1_500
    assert sum(len(batch) for batch in trigger._buffered) < 700
    assert all(bool((np.diff(batch.number) > 0).all()) for batch in trigger._buffered)


def test_too_many_incidents_are_named(tmp_path: Path) -> None:
    trigger = Trigger(str(tmp_path / "evidence"), [])
    _, heard = listened(capture(fault(A_MINUTE + 5).flows), Keeping(trigger=trigger))
    assert trigger.written + trigger.skipped == A_MINUTE + 5
    assert len(list((tmp_path / "evidence").iterdir())) == trigger.written <= 2 * A_MINUTE
    assert sum("incidents in a minute" in one.problem for one in heard.evidence) == trigger.skipped


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "w.pcapng").symlink_to(target)
    with pytest.raises(UsageError):
        Recording(str(tmp_path / "w.pcapng"), None, [], is_full=False)
    assert target.read_bytes() == b"precious"


def test_incidents_of_earlier_runs_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is started again and again fills no disk."""
    monkeypatch.setattr("inspector.live.outputs.trigger.FILES", 30)
    data = bytes_of(CAPTURES / "puppet-session-ids.pcap.gz")
    told = []
    for run in range(2):
        _, heard = listened(data, Keeping(trigger=Trigger(str(tmp_path), [], least_mib=0)))
        told += [written.problem for written in heard.evidence if not written.path]
        for number, path in enumerate(tmp_path.iterdir() if not run else ()):
            path.rename(tmp_path / f"incident-earlier{number}.pcapng")
    assert len(list(tmp_path.iterdir())) == 30
    assert len(told) == 2 * 23 - 30
    assert all("30 files lie in" in problem for problem in told)


def test_a_ring_goes_on_with_the_files_of_earlier_runs(tmp_path: Path) -> None:
    other = tmp_path / "w_notes.pcapng"
    other.write_bytes(b"somebody's own")
    for _ in range(4):
        recording = Recording(str(tmp_path / "w.pcapng"), Conditions(files=3, packets=500), ["test"], is_full=False)
        listened(bytes_of(CAPTURES / "puppet-session-ids.pcap.gz"), Keeping(recording=recording))
    assert len(list(tmp_path.glob("w_0*.pcapng"))) == 3
    assert other.exists()
