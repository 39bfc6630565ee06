"""Both sides of a balancer on two hosts, whose clocks are apart: the same document, whatever the clocks say, in however
many files, and whether captures, facts or journals are given; but for what is said of the clocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from click.testing import CliRunner

from inspector.capture.files import Story
from inspector.cli.commands import cli
from inspector.extract.journal import Journal
from inspector.extract.processes import extract
from inspector.facts import Facts
from inspector.findings.judge import judge
from inspector.fleet.dask_cluster import DaskCluster
from inspector.fleet.extraction import extract_fleet
from inspector.fleet.reading import extract_by_cluster
from inspector.fleet.sequences import pattern, sequences
from inspector.live.keeping import Keeping
from inspector.text.times import rfc3339
from tests.build import MS, START_NS, Pool, certificate, numbered, pcap
from tests.cuts import SECOND, Frame, by_time, later, write
from tests.live import listened
from tests.test_story import OFFSETS, legs_of, recorded, told
from tests.two_hosts import (
    TwoHosts,
    as_document,
    as_frames,
    but_for_clocks,
    clocks_of,
    pieces,
    two_hosts,
    without_frames,
)

pytestmark = pytest.mark.xdist_group("dask")


class Expected(NamedTuple):
    """``files``: of each host."""

    files: int
    document: object


ROUTES: dict[str, Callable[[list[str], list[str], Path], Facts]] = {}


def route(take: Callable[[list[str], list[str], Path], Facts]) -> Callable[[list[str], list[str], Path], Facts]:
    """A way from the captures of both hosts to facts."""
    ROUTES[take.__name__] = take
    return take


@route
def captures(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    return extract([*ours, *theirs])


@route
def captures_the_other_way_round(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    return extract([*theirs[::-1], *ours[::-1]])


@route
def a_fleet(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    return extract_by_cluster([*theirs, *ours], "", [f"b={folder}/b*", f"a={folder}/a*"])


@route
def facts_of_each(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    return extract([part_of("b", theirs, folder), part_of("a", ours, folder)])


@route
def facts_in_one_directory(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    part_of("a", ours, folder, "both")
    return extract([part_of("b", theirs, folder, "both")])


@route
def facts_beside_captures(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    return extract([*ours, part_of("b", theirs, folder)])


@route
def captures_beside_facts(ours: list[str], theirs: list[str], folder: Path) -> Facts:
    return extract([*theirs, part_of("a", ours, folder)])


def part_of(host: str, paths: Sequence[str], folder: Path, directory: str = "") -> str:
    """The directory of facts of a host, which has its own name."""
    target = folder / f"facts-{directory or host}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: host)
        said = CliRunner().invoke(cli, ["extract", *paths, "-o", str(target)], catch_exceptions=False)
    assert said.exit_code == 0
    return str(target)


@pytest.fixture(scope="module")
def hosts() -> TwoHosts:
    return two_hosts()


@pytest.fixture(scope="module", params=[1, 3])
def expected(request: pytest.FixtureRequest, hosts: TwoHosts, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What clocks that agree make of one or of several files of each host."""
    folder, count = tmp_path_factory.mktemp("agreed"), request.param
    document = as_document(extract([*pieces(folder, "a", hosts[0], count), *pieces(folder, "b", hosts[1], count)]))
    assert len(document["connections"]) == 9
    assert all(len(connection["legs"]) == 1 for connection in document["connections"])
    assert not document["limits"]
    return Expected(count, but_for_clocks(document))


@pytest.mark.parametrize("late", OFFSETS)
@pytest.mark.parametrize("name", ROUTES)
def test_whatever_the_clocks_say(tmp_path: Path, hosts: TwoHosts, expected: Expected, name: str, late: int) -> None:
    count = expected.files
    ours, theirs = pieces(tmp_path, "a", hosts[0], count), pieces(tmp_path, "b", later(hosts[1], late), count)
    document = as_document(ROUTES[name](ours, theirs, tmp_path))
    assert but_for_clocks(document) == expected.document
    assert clocks_of(document) == {"a": [], "b": [(late, 200_000, 9)] * count if late else []}
    texts = [limit["text"] for limit in document["limits"] if limit["kind"] == "clock_offset"]
    assert len(texts) == bool(late)
    assert all("give or take 0.2 ms, by 9 connections" in text for text in texts)


@pytest.mark.parametrize("late", OFFSETS)
def test_two_workers(tmp_path: Path, hosts: TwoHosts, late: int, cluster: DaskCluster) -> None:
    """The real thing."""
    ours, theirs = pieces(tmp_path, "a", hosts[0], 3), pieces(tmp_path, "b", later(hosts[1], late), 3)
    by_vantage = sequences(Story([*theirs, *ours]), [pattern(f"b={tmp_path}/b*"), pattern(f"a={tmp_path}/a*")])
    by_cluster = but_for_clocks(as_document(extract_fleet(by_vantage, cluster.run)))
    assert by_cluster == but_for_clocks(as_document(extract([*ours, *theirs])))


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    pytest.importorskip("distributed")
    with DaskCluster("local:2") as started:
        yield started


@pytest.mark.parametrize("late", OFFSETS)
def test_a_capture_and_facts_and_a_journal(tmp_path: Path, hosts: TwoHosts, late: int) -> None:
    """What one host saw lies in tables and in the journal of a watch."""
    pytest.importorskip("pyarrow")
    ours, theirs = hosts[0], later(hosts[1], late)
    border = next(n for n, (one, other) in enumerate(pairwise(theirs), 1) if other.ns - one.ns > 500 * MS)
    tables = part_of("b", pieces(tmp_path, "b", theirs[:border], 1), tmp_path)
    journal = str(tmp_path / "journal.sqlite")
    listened(pcap((frame.ns, frame.data) for frame in theirs[border:]), Keeping(journal=Journal(journal, 1 << 24, "b")))
    paths = [*pieces(tmp_path, "a", ours, 1), tables, journal]
    document = as_document(extract(paths))
    assert but_for_clocks(as_document(extract(paths[::-1]))) == but_for_clocks(document)
    agreed = judge(extract([*pieces(tmp_path, "x", ours, 1), *pieces(tmp_path, "y", hosts[1], 1)])).complete()
    assert without_frames(document) == without_frames(json.loads(msgspec.json.encode(agreed)))
    told_of = clocks_of(document)
    assert told_of["a"] == []
    assert sum(count for clocks in told_of.values() for _, _, count in clocks) == (9 if late else 0)
    assert {ns for clocks in told_of.values() for ns, _, _ in clocks} == ({late} if late else set())


@pytest.mark.parametrize("late", OFFSETS)
@pytest.mark.parametrize("count", [1, 2])
def test_one_handshake_is_enough(tmp_path: Path, hosts: TwoHosts, late: int, count: int) -> None:
    """What else both saw, nobody saw but they: the times of all of it follow."""
    shared = range(50_000, 50_000 + count)
    ours, theirs = _of_ports(hosts[0], range(40_001, 40_005)), _of_ports(hosts[1], [*shared, *range(50_004, 50_009)])
    document = as_document(extract([*pieces(tmp_path, "a", ours, 1), *pieces(tmp_path, "b", later(theirs, late), 1)]))
    assert clocks_of(document) == {"a": [], "b": [(late, 200_000, count)] if late else []}
    assert sum(len(connection["legs"]) for connection in document["connections"]) == count
    agreed = as_document(extract([*pieces(tmp_path, "x", ours, 1), *pieces(tmp_path, "y", theirs, 1)]))
    assert without_frames(document) == without_frames(agreed)


def _of_ports(frames: Sequence[Frame], ports: Iterable[int]) -> list[Frame]:
    """Those of clients with these ports."""
    wanted = {port.to_bytes(2, "big") for port in ports}
    return [f for f in frames if (f.data[34:36] if f.source else f.data[36:38]) in wanted]


@pytest.mark.parametrize("late", OFFSETS)
@pytest.mark.parametrize("is_client", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_one_direction_alone(tmp_path: Path, hosts: TwoHosts, late: int, is_client: bool, both: bool) -> None:
    """Where a host saw what clients said alone, or what servers said, less is known, and no more is said."""

    def side(frames: Sequence[Frame]) -> list[Frame]:
        return [frame for frame in frames if bool(frame.source) == is_client]

    ours, theirs = side(hosts[0]) if both else hosts[0], side(hosts[1])
    document = as_document(
        extract_by_cluster(
            [*pieces(tmp_path, "a", ours, 1), *pieces(tmp_path, "b", later(theirs, late), 1)],
            vantages=[f"a={tmp_path}/a*", f"b={tmp_path}/b*"],
        )
    )
    agreed = as_document(extract([*pieces(tmp_path, "x", ours, 1), *pieces(tmp_path, "y", theirs, 1)]))
    kinds = {limit["kind"] for limit in document["limits"]}
    [*clocks] = clocks_of(document)["b"]
    if not is_client:  # nothing names a handshake of which only the answer was seen
        assert "clock_unknown" in kinds
        assert not clocks
        return
    assert without_frames(document) == without_frames(agreed)
    assert all(abs(ns - late) <= doubt for ns, doubt, _ in clocks)
    assert bool(clocks) == (abs(late) > 10 * SECOND)
    assert ("clock_unknown" in kinds) == (not clocks)


@pytest.mark.parametrize("late", OFFSETS)
def test_a_host_that_shares_none(tmp_path: Path, hosts: TwoHosts, late: int) -> None:
    """Its times stay as they are, and are nobody else's matter."""
    alone = Pool(port=45_000, client="10.9.0.1", name="other.example.com")
    alone.full(certificate("other", ("other.example.com",)), numbered(900))
    paths = [
        *pieces(tmp_path, "a", hosts[0], 3),
        *pieces(tmp_path, "b", later(hosts[1], 15 * SECOND), 3),
        *pieces(tmp_path, "c", later(as_frames(alone.flows), late), 1),
    ]
    document = as_document(extract_by_cluster(paths, vantages=[f"{name}={tmp_path}/{name}*" for name in "abc"]))
    assert clocks_of(document) == {"a": [], "b": [(15 * SECOND, 200_000, 9)] * 3, "c": []}
    said = [limit["text"] for limit in document["limits"] if limit["kind"] == "clock_unknown"]
    assert len(said) == 1
    assert said[0].startswith("c: no handshake that was seen elsewhere too")
    own = [c for c in document["connections"] if c["client_endpoint"]["ip"] == "10.9.0.1"]
    assert [c["first_seen"] for c in own] == [rfc3339(START_NS + late)]
    alone_document = as_document(extract(pieces(tmp_path, "z", hosts[0], 1)))
    assert not alone_document["limits"]  # one host has nothing to compare


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("late", [0, 15 * SECOND, -3600 * SECOND])
def test_a_clock_that_drifts(tmp_path: Path, late: int, count: int) -> None:
    """By 50 ms over the story: what is said is true at each moment of it, or near enough in each file."""
    ours, theirs = two_hosts(60)
    begin, length = theirs[0].ns, theirs[-1].ns - theirs[0].ns
    drifting = [f._replace(ns=f.ns + late + 50 * MS * (f.ns - begin) // length) for f in theirs]
    document = as_document(extract([*pieces(tmp_path, "b", drifting, count), *pieces(tmp_path, "a", ours, count)]))
    agreed = as_document(extract([*pieces(tmp_path, "x", ours, 1), *pieces(tmp_path, "y", theirs, 1)]))
    assert without_frames(document) == without_frames(agreed)
    clocks = clocks_of(document)
    assert clocks["a"] == []
    assert all(late - doubt <= ns <= late + 50 * MS + doubt for ns, doubt, _ in clocks["b"])
    assert len(clocks["b"]) == count or not late


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("step", [2 * SECOND, 3600 * SECOND, -5 * SECOND])
@pytest.mark.parametrize("late", [0, 15 * SECOND])
@pytest.mark.parametrize("count", [1, 3])
def test_a_clock_that_is_set_midway(tmp_path: Path, late: int, count: int, step: int, host: int) -> None:
    """Back, or forward (which no order of frames shows): the story is the same."""
    both = list(two_hosts(24))
    middle = len(both[host]) // 2
    both[host] = [*both[host][:middle], *later(both[host][middle:], -step)]
    paths = [*pieces(tmp_path, "a", both[0], count), *pieces(tmp_path, "b", later(both[1], late), count)]
    document = judge(extract(paths)).complete()
    agreed = extract([str(write(tmp_path / "agreed.pcap", by_time(*two_hosts(24))))])
    assert told(document) == told(judge(agreed).complete())


@pytest.mark.parametrize("late", OFFSETS)
def test_a_recording(tmp_path: Path, late: int) -> None:
    """Of a real balancer, which needs its time: so much may be wrong, and no more."""
    both_legs = recorded("both-legs")
    ours, theirs = legs_of(both_legs)
    for count in (1, 3):
        paths = [*pieces(tmp_path, "a", ours, count), *pieces(tmp_path, "b", later(theirs, late), count)]
        document = judge(extract_by_cluster(paths, vantages=[f"{name}={tmp_path}/{name}*" for name in "ab"])).complete()
        assert told(document) == both_legs.expected
        for capture in document.captures:
            assert bool(capture.clocks) == (bool(late) and capture.host == "b")
            assert all(abs(clock.ns - late) <= clock.uncertainty for clock in capture.clocks)
        for path in paths:
            Path(path).unlink()


def test_the_text_says_whose_clock_is_late(tmp_path: Path, hosts: TwoHosts) -> None:
    paths = [*pieces(tmp_path, "a", hosts[0], 3), *pieces(tmp_path, "b", later(hosts[1], 15 * SECOND), 3)]
    words = ["--vantage", f"front={tmp_path}/a*", "--vantage", f"behind={tmp_path}/b*", "--fail-on", "never"]
    said = CliRunner().invoke(cli, ["analyze", *paths, *words], catch_exceptions=False).output
    assert said.startswith(f"front:{paths[0]} and 2 more, behind:{paths[3]} and 2 more   ")
    text = " ".join(said.split())
    assert "behind: its clock is 15.0 s later than that of front (give or take 0.2 ms, by 9 connections)" in text
    seconds = (max(frame.ns for frame in hosts[0]) - START_NS) / SECOND
    assert f"9 connections · {seconds:.1f} s from 2023-11-14 22:13:20" in text, "by one clock"


@pytest.mark.parametrize("late", OFFSETS)
def test_hosts_that_call_their_captures_alike(
    tmp_path: Path, hosts: TwoHosts, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """As the same command of cron does on each: facts say which host is whose."""
    parts = []
    for name, frames in (("a", hosts[0]), ("b", later(hosts[1], late))):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        parts.append(part_of(name, [Path(path).name for path in pieces(Path(), "lb", frames, 3)], tmp_path))
    document = as_document(extract(parts))
    assert {capture["path"] for capture in document["captures"]} == {f"lb-{n:05}.pcap" for n in range(3)}
    assert clocks_of(document) == {"a": [], "b": [(late, 200_000, 9)] * 3 if late else []}
    assert [len(connection["legs"]) for connection in document["connections"]] == [1] * 9
    assert document["connections"][0]["first_seen"] == rfc3339(START_NS)


@pytest.mark.parametrize("late", [15 * SECOND, -3600 * SECOND])
def test_names_that_only_look_like_a_sequence(tmp_path: Path, hosts: TwoHosts, late: int) -> None:
    """What two captures share says that they go by two clocks, whatever they are called."""
    paths = [str(write(tmp_path / "host1.pcap", hosts[0])), str(write(tmp_path / "host2.pcap", later(hosts[1], late)))]
    document = as_document(extract(paths))
    said = {Path(c["path"]).name: [clock["ns"] for clock in c["clocks"]] for c in document["captures"]}
    assert said == {"host1.pcap": [], "host2.pcap": [late]}
    assert [len(connection["legs"]) for connection in document["connections"]] == [1] * 9


@pytest.mark.parametrize("turn", range(3))
def test_three_hosts_believe_the_same_one(tmp_path: Path, hosts: TwoHosts, turn: int) -> None:
    """The one that shares most; and whoever shares none with it is placed by those between."""
    both = by_time(hosts[0], later(_of_ports(hosts[1], range(50_000, 50_005)), 0))
    tiers = {
        "a": later(hosts[0], 15 * SECOND),
        "b": by_time(_of_ports(hosts[1], range(50_000, 50_009)), both),
        "c": later(hosts[1], -3600 * SECOND),
    }
    paths = [path for name, frames in tiers.items() for path in pieces(tmp_path, name, frames, 1)]
    document = as_document(extract([*paths[turn:], *paths[:turn]]))
    assert {name: [ns for ns, _, _ in clocks] for name, clocks in clocks_of(document).items()} == {
        "a": [15 * SECOND],
        "b": [],
        "c": [-3600 * SECOND],
    }
    assert document["connections"][0]["first_seen"] == rfc3339(START_NS)
