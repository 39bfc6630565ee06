"""``-c N``: reading ends behind N packets, as if the captures held no more, and what was left is a limit."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from inspector.capture.blocks import ByteSource
from inspector.capture.files import Story
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcap import read_pcap
from inspector.capture.writer import PcapngWriter
from inspector.cli.commands import cli
from inspector.document import Document
from inspector.errors import UsageError
from inspector.errors.bounds import PacketsLeft
from inspector.extract import processes
from inspector.facts import Facts
from inspector.findings.judge import judge
from tests.build import Pool, certificate, ethernet, numbered, pcap
from tests.conftest import CAPTURES, find
from tests.waiting import PATIENCE_SECONDS

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
SHARED = ("both-legs", "mixed-pool", "odd-validity", "rotated", "tls10")


def first(path: Path | str, count: int) -> Facts:
    return processes.extract([str(path)], most_packets=count)


def frames() -> list[tuple[int, bytes]]:
    made = Pool()
    made.full(A, numbered(1))
    made.resumed(numbered(1))
    made.given_up(B, numbered(2), numbered(1))
    made.full(A, numbered(3))
    return [(s.ns, ethernet(s)) for s in made.segments()]


def without_names(document: Document) -> Any:
    """All that the frames alone decide."""
    plain = msgspec.to_builtins(document)
    for capture in plain["captures"]:
        del capture["path"], capture["bytes"]
    return plain


def without_limit(facts: Facts) -> Document:
    """As if nothing had been left."""
    assert facts.bounded == [notice for notice in facts.bounded if isinstance(notice, PacketsLeft)]
    facts.bounded.clear()
    return judge(facts).complete()


@pytest.mark.parametrize("count", range(1, len(frames()) + 3))
def test_it_is_as_if_there_were_no_more(tmp_path: Path, count: int) -> None:
    made = frames()
    whole, short = tmp_path / "a.pcap", tmp_path / "b.pcap"
    whole.write_bytes(pcap(made))
    short.write_bytes(pcap(made[:count]))
    facts = first(whole, count)
    assert facts.captures[0].packets == min(count, len(made))
    assert facts.bounded == ([PacketsLeft(count)] if count < len(made) else [])
    expected = without_names(judge(processes.extract([str(short)])).complete())
    assert without_names(without_limit(facts)) == expected


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("count", [1, 37, 150, 1_000_000])
def test_it_reads_what_tshark_reads(tmp_path: Path, name: str, count: int) -> None:
    part = tmp_path / "part.pcap"
    command = ["tshark", "-n", "-r", str(find(name)), "-c", str(count), "-F", "nsecpcap", "-w", str(part)]
    subprocess.run(command, check=True, capture_output=True)
    facts, expected = first(find(name), count), processes.extract([str(part)])
    assert facts.captures[0].packets == expected.captures[0].packets
    assert facts.captures[0].last_ns == expected.captures[0].last_ns
    assert facts.connections == expected.connections


@pytest.mark.parametrize("count", [1, 5, 20, 33])
def test_of_several_captures_those_that_came_first(tmp_path: Path, count: int) -> None:
    made = frames()
    for number in range(3):
        (tmp_path / f"{number}.pcap").write_bytes(pcap(made[number::3]))
    facts = processes.extract([str(tmp_path)], most_packets=count)
    assert [c.packets for c in facts.captures] == [len(made[:count][number::3]) for number in range(3)]
    last = [max((ns for ns, _ in made[:count][number::3]), default=None) for number in range(3)]
    assert [c.last_ns for c in facts.captures] == last
    assert facts.bounded == [PacketsLeft(count)]


@pytest.mark.skipif(shutil.which("mergecap") is None, reason="mergecap is not installed")
@pytest.mark.parametrize("count", [1, 50, 400, 900])
def test_several_captures_are_as_mergecap_makes_them_one(tmp_path: Path, count: int) -> None:
    names = ("both-legs", "silent-abort", "jdk17-abort", "tickets")
    paths = [str(find(name)) for name in names]
    merged = tmp_path / "merged.pcapng"
    subprocess.run(["mergecap", "-w", str(merged), *paths], check=True, capture_output=True)
    several, one = processes.extract(paths, most_packets=count), first(merged, count)
    assert sum(capture.packets for capture in several.captures) == one.captures[0].packets == count
    assert max(c.last_ns for c in several.captures if c.last_ns is not None) == one.captures[0].last_ns
    assert len(several.connections) == len(one.connections)


def test_captures_one_after_the_other(tmp_path: Path) -> None:
    made = frames()
    (tmp_path / "b.pcap").write_bytes(pcap(made[:20]))
    (tmp_path / "a.pcap").write_bytes(pcap(made[20:]))
    facts = processes.extract([str(tmp_path)], most_packets=20)
    assert [(Path(c.path).name, c.packets) for c in facts.captures] == [("b.pcap", 20), ("a.pcap", 0)]
    assert facts.bounded == [PacketsLeft(20)]
    assert processes.extract([str(tmp_path)], most_packets=len(made)).bounded == []


def test_one_process_reads_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would read the same first packets, to throw them away."""
    path = tmp_path / "a.pcap"
    path.write_bytes(gzip.decompress(find("puppet-session-ids").read_bytes()))
    expected = msgspec.to_builtins(judge(first(path, 3_000)).complete())
    monkeypatch.setattr(processes, "_processes", lambda work: 4)
    monkeypatch.setattr(processes, "_started", lambda task: pytest.fail("another process was started"))
    assert msgspec.to_builtins(judge(first(path, 3_000)).complete()) == expected


def test_what_is_damaged_behind_them_is_not_their_matter(tmp_path: Path) -> None:
    made = frames()
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(made) + b"\xff" * 40)
    (whole,) = first(path, len(made) + 1).captures
    assert whole.damage is not None
    (part,) = first(path, 10).captures
    assert part.damage is None
    assert not part.truncated


@pytest.mark.parametrize("size", [None, 1024], ids=["one buffer", "many buffers"])
def test_what_was_dropped_later_is_not_counted(
    size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics behind the last packet that is read; all of them where the file is read to its end."""
    if size is not None:
        monkeypatch.setattr(ByteSource.__init__, "__defaults__", (size,))
    made = frames()[:8]
    path = tmp_path / "a.pcapng"
    with open(path, "wb") as file:
        for section in (made[:4], made[4:]):
            writer = PcapngWriter(file)
            for ns, frame in section:
                for batch in read_pcap(ByteSource(io.BytesIO(pcap([(ns, frame)]))), CaptureInfo("built")):
                    writer.write(batch)
                writer.statistics(0, ns, 0, 10 * (made.index((ns, frame)) + 1))
    assert [first(path, count).captures[0].drops for count in range(1, 10)] == [
        *(None if count == 1 else 10 * (count - 1) for count in range(1, 8)),
        80,
        80,
    ]
    monkeypatch.setattr("inspector.bounds.DROP_COUNTS", 3)
    assert [first(path, count).captures[0].drops for count in (1, 2, 3, 4, 7, 8)] == [None, 10, 20, 20, 20, 80]


def test_buffers_are_no_border(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.capture import blocks

    made = frames()
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(made))
    expected = [first(path, count) for count in range(1, len(made) + 1)]
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (1024,))
    for count, facts in enumerate(expected, 1):
        found = first(path, count)
        assert (found.connections, found.bounded) == (facts.connections, facts.bounded)
        assert [c.packets for c in found.captures] == [count]


def test_a_story_ends_where_it_is_to(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(frames()))
    story = Story([str(path)], most_packets=7)
    assert [number for batch in story.batches() for number in batch.number.tolist()] == [1, 2, 3, 4, 5, 6, 7]
    assert story.is_cut


def test_nobody_is_acquitted() -> None:
    path = find("tls13-inside")
    whole = judge(processes.extract([str(path)])).complete()
    part = judge(first(path, whole.captures[0].packets - 1)).complete()
    (limit,) = [limit for limit in part.limits if limit.kind == "packets_left"]
    assert f"packet {whole.captures[0].packets - 1:,}" in limit.text
    assert "capture-incomplete" in [finding.rule for finding in part.findings]
    assert part.services
    for service in part.services:
        assert "packets_left" in [unseen.kind for unseen in service.assessment.unseen]
        assert "not all packets were read" in service.assessment.sentence


@pytest.mark.parametrize("count", [8, 12, 538])
def test_what_helps_is_to_read_on(count: int) -> None:
    """Not to capture what was captured."""
    document = judge(first(find("tolerated"), count)).complete()
    (service,) = document.services
    assert service.assessment.state in ("unknown", "protected")
    assert service.assessment.grade != "observed"
    assert service.assessment.do == "read all packets, without -c"
    (lacking,) = [finding for finding in document.findings if finding.rule == "capture-incomplete"]
    assert [remedy.text for remedy in lacking.remedies] == ["Read all packets: without -c."]


def test_on_the_command_line() -> None:
    path = str(find("silent-abort"))
    for words in (["-c", "12", path], ["-r", path, "-c12"]):
        result = CliRunner().invoke(cli, ["analyze", *words, "--fail-on", "never", "--strict"])
        assert result.exit_code == 3, result.output
        assert "12 frames" in result.output
        assert "reading stopped behind packet 12, as was asked" in result.output


def test_of_standard_input() -> None:
    data = gzip.decompress(find("silent-abort").read_bytes())
    command = [sys.executable, "-m", "inspector", "analyze", "-", "-c", "12", "-T", "json", "--fail-on", "never"]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=CAPTURES.parent)
    assert msgspec.json.decode(done.stdout)["captures"][0]["packets"] == 12


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_who_writes_a_pipe_need_not_end(tmp_path: Path, form: str) -> None:
    """It ends with the packet behind the last one that was asked for, whoever keeps the pipe open."""
    made = frames()
    data = pcap(made[:13])
    if form == "pcapng":
        out = io.BytesIO()
        writer = PcapngWriter(out)
        (tmp_path / "a.pcap").write_bytes(data)
        for batch in Story([str(tmp_path / "a.pcap")]).batches():
            writer.write(batch)
        data = out.getvalue()
    command = [sys.executable, "-m", "inspector", "analyze", "-", "-c", "12", "-T", "json", "--fail-on", "never"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CAPTURES.parent, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for begin in range(0, len(data), 700):
            process.stdin.write(data[begin : begin + 700])
        document = msgspec.json.decode(process.stdout.read())
        assert process.wait(PATIENCE_SECONDS) == 0
    assert document["captures"][0]["packets"] == 12
    assert [limit["kind"] for limit in document["limits"]][:1] == ["packets_left"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["-c", "0"], "0 is not in the range"),
        (["-c", "many"], "not a valid integer"),
        (["-c", "5", "--cluster", "local:2"], "--cluster"),
        (["-c", "5", "--vantage", "a=*"], "--vantage"),
    ],
)
def test_what_cannot_be_counted(words: list[str], problem: str) -> None:
    result = CliRunner().invoke(cli, ["analyze", str(find("silent-abort")), *words])
    assert result.exit_code != 0
    assert problem in result.output + str(result.exception)


def test_facts_hold_no_packets(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["extract", str(find("silent-abort")), "-o", str(tmp_path / "facts")]).exit_code == 0
    result = runner.invoke(cli, ["analyze", "-c", "5", str(tmp_path / "facts")])
    assert isinstance(result.exception, UsageError)
    assert "facts that were kept hold none" in str(result.exception)
