"""Which captures of a fleet follow each other, which hosts they are of, and where they lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.capture import opening
from inspector.capture.files import Story
from inspector.cli.commands import cli
from inspector.errors import UnreadableError, UsageError
from inspector.extract.processes import extract
from inspector.fleet.extraction import extract_fleet
from inspector.fleet.reading import extract_by_cluster
from inspector.fleet.sequences import VantagePattern, pattern, sequences
from inspector.fleet.tasks import in_this_process
from tests.build import MS, START_NS, Pool, certificate, numbered, written
from tests.conftest import find
from tests.cuts import frames_of, link_type, write
from tests.fleet import Unreliable, crossing_story, cut, document

STORY = crossing_story()


def test_names_tell_sequences(tmp_path: Path) -> None:
    names = [
        *("eth0_00002_20261129101500.pcap", "eth0_00001_20261129100000.pcap.gz"),
        *("lb.pcap", "lb.pcap1", "lb.pcap2"),
        *("pm-2026-11-29T10:00:00Z.pcap", "pm-2026-11-29T11:00:00Z.pcap"),
    ]
    source = find("tickets")
    frames = frames_of(source)
    for number, name in enumerate(names):
        piece = frames[number * 20 : number * 20 + 20]
        target = tmp_path / name
        write(tmp_path / "piece.pcap", piece, link_type(source)).rename(target)
        if name.endswith(".gz"):
            write(target, piece, link_type(source))
    paths = [str(tmp_path / name) for name in names]
    story = Story(paths)
    assert {(s.vantage, tuple(Path(p).name for p in s.paths)) for s in sequences(story)} == {
        ("eth0", (names[0], names[1])),
        ("lb", (names[2], names[3], names[4])),
        ("pm", (names[5], names[6])),
    }
    assert sequences(Story(paths[::-1])) == sequences(story)
    merged = sequences(story, [pattern("hosts=*/eth0*"), VantagePattern("hosts", "*/pm-*")])
    assert [(s.vantage, len(s.paths)) for s in merged] == [("hosts", 4), ("lb", 3)]
    with pytest.raises(UsageError, match="no capture matches"):
        sequences(story, [VantagePattern("x", "nothing*")])
    with pytest.raises(UsageError, match="not NAME=GLOB"):
        pattern("nothing")


def test_several_vantage_points(tmp_path: Path) -> None:
    """What hosts have seen that saw nothing in common is what one process says of all their captures."""
    paths = []
    for host in ("a", "b"):
        pool = Pool(START_NS + ord(host) * MS, port=ord(host) * 100, client=f"10.1.0.{ord(host)}")
        for n in range(12):
            pool.full(certificate(host), numbered(ord(host) * 100 + n))
        flows = pool.flows
        paths += [str(written(tmp_path, flows[n : n + 4], f"{host}-{n:02}.pcap")) for n in (0, 4, 8)]
    parts = sequences(Story(paths))
    assert [part.vantage for part in parts] == ["a", "b"]
    assert document(extract_fleet(parts, Unreliable())) == document(extract_fleet(parts[::-1], in_this_process))
    assert document(extract_fleet(parts)) == document(extract(paths))


def test_captures_elsewhere(tmp_path: Path) -> None:
    """Object stores and file systems that fsspec knows."""
    fsspec = pytest.importorskip("fsspec")
    paths = cut(tmp_path, STORY, [200, 400])
    memory = fsspec.filesystem("memory")
    urls = []
    for path in paths:
        urls.append(f"memory://captures/{Path(path).name}")
        memory.pipe(urls[-1], Path(path).read_bytes())
    facts = extract_fleet(sequences(Story(urls)), in_this_process)
    assert [capture.path for capture in facts.captures] == urls
    assert sorted(facts.connections) == sorted(extract(paths).connections)
    missing = CliRunner().invoke(cli, ["analyze", "memory://captures/missing.pcap"])
    assert isinstance(missing.exception, UnreadableError)
    unknown = CliRunner().invoke(cli, ["analyze", "nothing://captures/missing.pcap"])
    assert isinstance(unknown.exception, UsageError)


def test_without_the_extra_one_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [path] = cut(tmp_path, STORY, [])
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match="needs Dask") as error:
        extract_by_cluster([path], "local:2")
    assert error.value.hint == "pip install 'vip-inspector[fleet]'"
    with pytest.raises(UsageError, match="needs fsspec") as error:
        opening.open_file("s3://captures/a.pcap")
    assert error.value.hint == "pip install 'vip-inspector[fleet]'"


def test_the_command_takes_vantage_points(tmp_path: Path) -> None:
    paths = cut(tmp_path, STORY, [200, 400])
    plain = CliRunner().invoke(cli, ["analyze", "-T", "json", *paths])
    said = CliRunner().invoke(cli, ["analyze", "-T", "json", "--vantage", f"tap={tmp_path}/story-*", *paths[::-1]])
    assert said.stdout_bytes.count(b'"host":"tap"') == len(paths)
    assert said.stdout_bytes.replace(b'"host":"tap"', b'"host":null') == plain.stdout_bytes


@pytest.mark.parametrize(
    ("glob", "expected"), [("lb-*", True), ("/cap/lb-*", True), ("/cap/*", True), ("db-*", False), ("cap/*", False)]
)
def test_patterns_are_of_names_or_of_paths(glob: str, expected: bool) -> None:
    assert VantagePattern("lb", glob).matches("/cap/lb-1.pcap") is expected


def test_a_url_with_a_password_is_refused() -> None:
    """It would stand in the analysis."""
    with pytest.raises(UsageError, match="a name or a password") as raised:
        extract(["memory://user:geheim@host/a.pcap"])
    assert "geheim" not in str(raised.value)
