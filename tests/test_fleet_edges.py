"""Small things at the edges of a fleet: names of sequences, files elsewhere, what is said while it reads, and how it
ends.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from inspector.capture.files import Story
from inspector.capture.rotation import sequence_name
from inspector.cli import progress as cli_progress
from inspector.cli.commands import cli
from inspector.errors import UnreadableError, UsageError
from inspector.extract.processes import extract
from inspector.findings.judge import judge
from inspector.fleet.extraction import extract_fleet
from inspector.fleet.sequences import sequences
from inspector.fleet.tasks import FailedTask, WholeSequence
from inspector.secrets.inputs import read_inputs
from tests.build import Pool, certificate, ethernet, numbered, ordered, written
from tests.conftest import find
from tests.cuts import Frame, write_pcapng
from tests.fleet import Unreliable, crossing_story, cut
from tests.waiting import PATIENCE_SECONDS, until

STORY = crossing_story()

SAME: list[list[str]] = [
    ["lb.pcap", "lb.pcap1", "lb.pcap2", "lb.pcap01"],
    ["lb.pcap", "lb.pcap.1", "lb.pcap.2.gz", "lb.pcap.gz.3", "lb.pcap-20261128.gz"],
    ["d/2026-11-28/lb.pcap", "d/2026-11-29/lb.pcap.gz", "d/20261130/lb.pcap", "d/2026-12-02T10/lb.pcap"],
    ["d/2026/11/28/lb.pcap", "d/2026/11/29/10/lb.pcap"],
    ["2026-11-28/lb.pcap", "2026-11-29/lb.pcap"],
    ["pm-2026-11-29T10:00:00+0100.pcap", "pm-2026-11-29T10:00:00-05:00.pcap", "pm-20261129T101500Z.pcap.zst"],
    ["eth0_00001_20261128101500.pcapng", "eth0_00002_20261128111500.pcapng.gz"],
    ["cap-20261129-101500.pcap0", "cap-20261129-101500.pcap1", "cap_2026-11-29_10.15.00.pcap003"],
    ["d/20261129101500.pcap", "d/20261129111500.pcap", "d/00001.pcap"],
    ["s3://bucket/2026-11-28/lb.pcap", "s3://bucket/2026-11-29/lb.pcap"],
]


@pytest.mark.parametrize("names", SAME, ids=range(len(SAME)))
def test_rotated_names_are_one_sequence(names: list[str]) -> None:
    assert len({sequence_name(name) for name in names}) == 1


OTHER = [
    ["front.pcap", "behind.pcap"],
    ["a/lb.pcap", "b/lb.pcap"],
    ["d/10/lb.pcap", "d/11/lb.pcap"],
    ["lb.pcap", "db.pcap1"],
]


@pytest.mark.parametrize("names", OTHER)
def test_other_names_are_not(names: list[str]) -> None:
    assert len({sequence_name(name) for name in names}) == len(names)


def test_a_long_name_takes_no_time() -> None:
    began = time.process_time()  # a regular expression may take long, whose steps nothing counts
    for name in ("1" * 250 + "x", "a" + "1" * 250 + "x", "-1" * 125 + "x", "T1" * 125 + "x", "20261129" * 31 + "x"):
        sequence_name(f"{name}/{name}")
    for name in ("-1" * 50_000 + "x", "1" * 100_000 + "x", "20261129" * 12_000 + "x"):  # as facts may claim
        assert sequence_name(f"/captures/{name}") == ("/captures", name)
        sequence_name(f"{name}/lb.pcap")
    assert time.process_time() - began < 60


class BrokenError(Exception):
    """As libraries for object stores raise: no OSError."""


@pytest.mark.parametrize("where", ["open", "read"])
def test_whatever_a_library_raises_is_named(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("memory://captures/lb.pcap.gz", find("tickets").read_bytes())
    opened = type(memory).open

    def broken(self: object, path: str, *words: object, **more: object) -> object:
        if where == "open":
            raise BrokenError("no credentials")
        file = opened(self, path, *words, **more)
        file.read = lambda count=-1: (_ for _ in ()).throw(BrokenError("it went away"))
        return file

    monkeypatch.setattr(type(memory), "open", broken)
    said = CliRunner().invoke(cli, ["analyze", "memory://captures/lb.pcap.gz"])
    assert isinstance(said.exception, UnreadableError)
    assert "BrokenError" in str(said.exception) or "empty" in str(said.exception)


def test_captures_that_nobody_read_are_listed(tmp_path: Path) -> None:
    """Those of a sequence that one process was to read."""
    paths = cut(tmp_path, STORY, [200, 400])

    def fails(task: object, number: int) -> FailedTask | None:
        return FailedTask("gone") if isinstance(task, WholeSequence) else None

    secrets = read_inputs([str(find("tls13").with_name("tls13.keylog"))], [], lambda prompt: "")
    facts = extract_fleet(sequences(Story(paths)), Unreliable(fails), secrets)
    assert [capture.path for capture in facts.captures] == paths
    assert len(facts.problems) == len(paths)
    document = judge(facts).complete()
    assert [limit.kind for limit in document.limits] == ["not_extracted"] * len(paths)
    assert [capture.packets for capture in document.captures] == [0] * len(paths)


def test_how_many_files_were_read(tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [200, 400])
    told: list[tuple[int, int]] = []
    extract_fleet(sequences(Story(paths)), Unreliable(), advance=lambda read, total: told.append((read, total)))
    assert told[-1] == (3, 3)
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("tell", "done", "total", "line"),
    [
        (cli_progress.Progress.files, (1, 2, 3), 1_200, "inspector: read 2 of 1,200 files\n"),
        (cli_progress.Progress.judged, (0, 1_024, 2_048), 5_000, "inspector: judged 20 % of 5,000 connections\n"),
    ],
)
def test_progress_is_told_every_ten_seconds(
    tell: Callable[[cli_progress.Progress, int, int], None],
    done: tuple[int, ...],
    total: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([0.0, 0.5, 20.0, 20.1])
    monkeypatch.setattr(cli_progress, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    out = io.StringIO()
    progress = cli_progress.Progress(out)
    for count in done:
        tell(progress, count, total)
    assert out.getvalue() == line


def test_a_pattern_may_match_either_side(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    cut(before, STORY, [200])
    for path in cut(after, STORY, [200]):
        Path(path).rename(after / Path(path).name.replace("story", "tap"))
    words = ["diff", str(before), str(after), "--fail-on", "never", "--vantage", "x=story-*"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert CliRunner().invoke(cli, [*words, "--vantage", "y=tap-*"]).exit_code == 0
    said = CliRunner().invoke(cli, [*words, "--vantage", "z=nothing*"])
    assert isinstance(said.exception, UsageError)
    assert "z=nothing*: no capture matches" in str(said.exception)


def late_capture(folder: Path, ns: int) -> Path:
    """A connection that begins then, nanoseconds since the epoch."""
    pool = Pool()
    pool.full(certificate("a"), numbered(1))
    frames = [Frame(s.ns - pool.flows[0].segments[0].ns + ns, ethernet(s)) for s in ordered(pool.flows)]
    return write_pcapng(folder / "late.pcapng", frames)


@pytest.mark.parametrize("ns", [(1 << 62) + 5, (1 << 62) - 5_000_000, (1 << 63) - 1_000_000_000])
def test_stamps_later_than_any_are_kept_and_named(tmp_path: Path, ns: int) -> None:
    pytest.importorskip("pyarrow")
    path = late_capture(tmp_path, ns)
    assert CliRunner().invoke(cli, ["extract", str(path), "-o", str(tmp_path / "facts")]).exit_code == 0
    of_facts, of_capture = (
        CliRunner().invoke(cli, ["analyze", str(each), "-T", "json", "--fail-on", "never"])
        for each in (tmp_path / "facts", path)
    )
    assert of_facts.stdout_bytes == of_capture.stdout_bytes
    document = json.loads(of_capture.stdout_bytes)
    assert len(document["connections"]) == 1
    assert ["February 2116" in limit["text"] for limit in document["limits"] if limit["kind"] == "damaged"] == [True]
    assert all(capture.last_ns == 1 << 62 for capture in extract([str(path)]).captures)


def test_facts_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    facts = tmp_path / "facts"
    source = written(tmp_path, [Pool().full(certificate("a"), numbered(1))])
    assert CliRunner().invoke(cli, ["extract", str(source), "-o", str(facts)]).exit_code == 0
    for file in facts.rglob("*.parquet"):
        file.write_bytes(b"x")
    for words in (["analyze", str(facts)], ["analyze", str(facts), "--vantage", "a=*"]):
        done = subprocess.run([sys.executable, "-m", "inspector", *words], capture_output=True, text=True)
        assert done.returncode == 2
        assert "none of its parts can be read" in done.stderr
    beside = CliRunner().invoke(cli, ["analyze", str(facts), str(source), "--fail-on", "never"])
    assert beside.exit_code == 0
    assert "is not as it was written" in beside.output


def test_times_of_an_answer_are_to_the_nanosecond(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("duckdb", minversion="2")
    facts = tmp_path / "facts"
    source = late_capture(tmp_path, 1_700_000_000_123_456_789)
    CliRunner().invoke(cli, ["extract", str(source), "-o", str(facts)])
    question = "create temp table t as select first from captures; select first, [first], 1 as first from t"
    for form, expected in (
        ("csv", "2023-11-14T22:13:20.123456789Z"),
        ("text", "2023-11-14T22:13:20.123456789Z"),
        ("jsonl", '{"first":"2023-11-14T22:13:20.123456789Z"'),
    ):
        done = CliRunner().invoke(cli, ["query", str(facts), question, "-T", form])
        assert expected in done.output
        assert len(re.findall("20.123456789Z", done.output)) == 2


@pytest.mark.xdist_group("dask")
def test_an_interrupted_cluster_ends_quietly(tmp_path: Path) -> None:
    """While its workers start, as a terminal interrupts: all processes of the command at once."""
    pytest.importorskip("distributed")
    paths = cut(tmp_path, STORY, [200, 400])
    with subprocess.Popen(
        [sys.executable, "-m", "inspector", "analyze", "--cluster", "local:2", *paths],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
        text=True,
    ) as command:
        assert until(lambda: list(tmp_path.glob("inspector-workers-*/*")) or command.poll() is not None)
        os.killpg(command.pid, signal.SIGINT)
        output, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 130
    assert (output, errors) == ("", "")
    assert not list(tmp_path.glob("inspector-workers-*"))
