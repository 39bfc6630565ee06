"""However a recording is cut, copied, merged and mistimed: connections, aborts, back ends and rotations are those of
the whole.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import structs

from inspector.capture import blocks
from inspector.capture.files import Story
from inspector.document import Document
from inspector.extract.merging import merge
from inspector.extract.shard import extract_shard, joined
from inspector.facts import Facts
from inspector.findings.judge import judge
from inspector.packets import reread as evidence
from inspector.tracking.sightings import merge_sightings, ordered as ordered_facts
from tests.build import (
    CLIENT,
    VIP,
    Flow,
    Pool,
    Segment,
    certificate,
    document_of,
    ethernet,
    facts_of,
    numbered,
    ordered,
)
from tests.conftest import find
from tests.cuts import SECOND, Frame, by_time, frames_of, later, link_type, split, stamped, write, write_pcapng

MS = SECOND // 1000
OFFSETS = [0, SECOND // 2, -SECOND // 2, 15 * SECOND, -15 * SECOND, 3600 * SECOND, -3600 * SECOND]


class Recording(NamedTuple):
    path: Path
    frames: list[Frame]
    kind: int
    expected: Any


def told(document: Document) -> Any:
    """What must not change: nothing of it depends on where a frame lies."""
    labels = {b.id: (b.label, tuple(b.addresses), b.leaf) for b in document.backends}
    connections = {
        c.handshakes[0].client_random: (
            c.client_endpoint,
            c.server_endpoint,
            c.outcome,
            c.handshakes[0].kind,
            c.handshakes[0].declined,
            labels.get(c.backend or ""),
            len(c.legs),
        )
        for c in document.connections
    }
    return (
        len(document.connections),
        connections,
        Counter((f.rule, f.verdict) for f in document.findings),
        sorted((b.label, b.connections, b.full, b.resumed, b.declined, b.aborted) for b in document.backends),
        [(s.name, s.port, s.assessment.state, s.connections) for s in document.services],
    )


def recorded(name: str) -> Recording:
    path = find(name)
    return Recording(path, frames_of(path), link_type(path), told(document_of(path)))


@pytest.fixture(scope="module", params=["jdk17-abort", "silent-abort", "rotated"])
def one(request: pytest.FixtureRequest) -> Recording:
    return recorded(request.param)


@pytest.fixture(scope="module")
def both_legs() -> Recording:
    return recorded("both-legs")


def of_clients(frames: list[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Frames to and from the servers: a server's port is the one that most frames share."""
    ports = Counter(end & 0xFFFF for f in frames for end in (f.source, f.target))
    servers = {port for port, count in ports.items() if count >= len(frames) // 8}
    return split(frames, lambda f: f.target & 0xFFFF in servers)


def kinds(document: Document) -> set[str]:
    return {limit.kind for limit in document.limits}


@pytest.mark.parametrize("late", [0, 300_000, 20 * MS, -20 * MS, 200 * MS, -200 * MS, SECOND, -SECOND])
@pytest.mark.parametrize("is_one_file", [False, True])
def test_two_directions(tmp_path: Path, one: Recording, late: int, is_one_file: bool) -> None:
    """One tap for each direction, whose clocks are up to a second apart: in two files, or merged by time."""
    rx, tx = of_clients(one.frames)
    tx = later(tx, late)
    paths = (
        [write(tmp_path / "all.pcap", by_time(rx, tx), one.kind)]
        if is_one_file
        else [write(tmp_path / "rx.pcap", rx, one.kind), write(tmp_path / "tx.pcap", tx, one.kind)]
    )
    found = document_of(*paths)
    assert told(found) == one.expected
    assert "clock_offset" in kinds(found) or abs(late) < 20 * MS
    for capture in found.captures:
        for clock in capture.clocks:
            assert abs(clock.ns - late) <= max(clock.uncertainty, MS)


@pytest.mark.parametrize("late", OFFSETS)
def test_two_taps_on_one_leg(tmp_path: Path, one: Recording, late: int) -> None:
    found = document_of(
        write(tmp_path / "a.pcap", one.frames, one.kind), write(tmp_path / "b.pcap", later(one.frames, late), one.kind)
    )
    assert told(found) == one.expected
    assert "duplicates" in kinds(found) or not late  # two files of the same bytes are one


def test_overlap(tmp_path: Path, one: Recording) -> None:
    count = len(one.frames)
    found = document_of(
        write(tmp_path / "a.pcap", one.frames[: count * 6 // 10], one.kind),
        write(tmp_path / "b.pcap", one.frames[count * 4 // 10 :], one.kind),
    )
    assert told(found) == one.expected


@pytest.mark.parametrize("seed", range(4))
def test_rotated_files_in_any_order(tmp_path: Path, one: Recording, seed: int) -> None:
    dice = random.Random(seed)
    places = sorted(dice.sample(range(1, len(one.frames)), 4))
    paths = [
        write(tmp_path / f"{n}.pcap", one.frames[a:b], one.kind)
        for n, (a, b) in enumerate(zip([0, *places], [*places, None], strict=True))
    ]
    dice.shuffle(paths)
    assert told(document_of(*paths)) == one.expected


@pytest.mark.parametrize("late", [0, 100_000, 5 * MS, 700 * MS, 3 * SECOND, 40 * SECOND])
def test_every_frame_twice(tmp_path: Path, one: Recording, late: int) -> None:
    """A switch that hands on each frame twice."""
    assert (
        told(document_of(write(tmp_path / "span.pcap", by_time(one.frames, later(one.frames, late)), one.kind)))
        == one.expected
    )


@pytest.mark.parametrize("seed", range(3))
def test_some_frames_twice(tmp_path: Path, one: Recording, seed: int) -> None:
    dice = random.Random(seed)
    copies = [f._replace(ns=f.ns + dice.choice((MS, 400 * MS, 4 * SECOND))) for f in one.frames if dice.random() < 0.3]
    assert told(document_of(write(tmp_path / "span.pcap", by_time(one.frames, copies), one.kind))) == one.expected


@pytest.mark.parametrize("shape", ["pcapng", "gz", "both"])
def test_other_formats(tmp_path: Path, one: Recording, shape: str) -> None:
    paths = [write(tmp_path / "a.pcap", one.frames, one.kind)]
    if shape != "gz":
        paths.append(write_pcapng(tmp_path / "b.pcapng", one.frames, one.kind))
    if shape != "pcapng":
        paths.append(write(tmp_path / "c.pcap.gz", one.frames, one.kind))
    found = document_of(*paths)
    assert told(found) == one.expected
    assert "duplicates" in kinds(found)


def test_a_file_joined_to_itself(tmp_path: Path, one: Recording) -> None:
    found = document_of(write(tmp_path / "twice.pcap", [*one.frames, *one.frames], one.kind))
    assert told(found) == one.expected
    path = write_pcapng(tmp_path / "sections.pcapng", one.frames, one.kind)
    path.write_bytes(path.read_bytes() * 2)
    assert told(document_of(path)) == one.expected


def test_a_journal_beside_the_capture(tmp_path: Path, one: Recording) -> None:
    """What a journal holds are facts that were kept."""
    part = write(tmp_path / "part.pcap", one.frames[len(one.frames) // 3 :], one.kind)
    for parts in (
        [facts_of(one.path), facts_of(one.path)],
        [facts_of(one.path), facts_of(part)],
        [facts_of(part), facts_of(one.path)],
    ):
        assert told(judge(merge(parts)).complete()) == one.expected


def test_merged_facts_say_what_one_extraction_says(tmp_path: Path, one: Recording) -> None:
    half = len(one.frames) // 2
    paths = [
        write(tmp_path / "a.pcap", one.frames[: half + 40], one.kind),
        write(tmp_path / "b.pcap", one.frames[half - 40 :], one.kind),
    ]
    apart = judge(merge([facts_of(path) for path in paths])).complete()
    assert told(apart)[2:] == told(document_of(*paths))[2:] == one.expected[2:]


def test_evidence_beside_the_capture(tmp_path: Path, one: Recording) -> None:
    analysis = judge(facts_of(one.path))
    named = {c for f in analysis.document.findings for c in f.connections}
    flows = [evidence.flow_of(seen.client_leg) for seen in analysis.case.observed if seen.id in named]
    with open(tmp_path / "evidence.pcapng", "wb") as out:
        assert evidence.save([str(one.path)], flows, out, {}) > 0
    for paths in ([one.path, tmp_path / "evidence.pcapng"], [tmp_path / "evidence.pcapng", one.path]):
        assert told(document_of(*paths)) == one.expected


@pytest.mark.parametrize("seed", range(3))
def test_what_one_tap_lost_the_other_has(tmp_path: Path, one: Recording, seed: int) -> None:
    """Each lost a tenth of the frames, never the same, and their clocks differ."""
    dice = random.Random(seed)
    lost = [dice.choice("ab") if dice.random() < 0.2 else "" for _ in one.frames]
    parts = [[f for f, who in zip(one.frames, lost, strict=True) if who != name] for name in "ab"]
    found = document_of(*(write(tmp_path / f"{n}.pcap", part, one.kind) for n, part in enumerate(parts)))
    assert told(found) == one.expected


@pytest.mark.parametrize("late", OFFSETS)
@pytest.mark.parametrize("is_front", [False, True])
def test_both_sides_of_a_balancer(tmp_path: Path, both_legs: Recording, late: int, is_front: bool) -> None:
    front, behind = legs_of(both_legs)
    parts = [later(front, late), behind] if is_front else [front, later(behind, late)]
    found = document_of(
        write(tmp_path / "front.pcap", parts[0], both_legs.kind),
        write(tmp_path / "behind.pcap", parts[1], both_legs.kind),
    )
    assert told(found) == both_legs.expected
    if abs(late) > MS:
        clock = next(clock for capture in found.captures for clock in capture.clocks)
        assert abs(abs(clock.ns) - abs(late)) <= 2 * clock.uncertainty + MS


@pytest.mark.parametrize("late", [15 * SECOND, -15 * SECOND])
def test_legs_of_several_journals(tmp_path: Path, both_legs: Recording, late: int) -> None:
    front, behind = legs_of(both_legs)
    parts: list[Facts] = [
        facts_of(write(tmp_path / "a.pcap", front, both_legs.kind)),
        facts_of(write(tmp_path / "b.pcap", later(behind, late), both_legs.kind)),
    ]
    assert told(judge(merge(parts)).complete()) == both_legs.expected


def legs_of(both: Recording) -> tuple[list[Frame], list[Frame]]:
    """The frames between the clients and the balancer, and those behind it."""
    document = document_of(both.path)
    ports = {c.client_endpoint.port for c in document.connections} - {
        leg.client.port for c in document.connections for leg in c.legs
    }
    return split(both.frames, lambda f: f.source & 0xFFFF in ports or f.target & 0xFFFF in ports)


@pytest.mark.parametrize("step", [300 * MS, 2 * SECOND, 5 * SECOND, 3600 * SECOND])
@pytest.mark.parametrize("where", [0.15, 0.5, 0.8])
def test_a_clock_that_is_set_back(tmp_path: Path, one: Recording, step: int, where: float) -> None:
    at = int(len(one.frames) * where)
    found = document_of(write(tmp_path / "back.pcap", [*one.frames[:at], *later(one.frames[at:], -step)], one.kind))
    assert told(found) == one.expected
    assert "before_capture" not in kinds(found) or "before_capture" in kinds(document_of(one.path))
    assert "time_backwards" in kinds(found)


@pytest.mark.parametrize("tick", [MS, 10 * MS, 100 * MS, SECOND, 60 * SECOND, 0])
def test_coarse_stamps(tmp_path: Path, one: Recording, tick: int) -> None:
    found = document_of(write(tmp_path / "coarse.pcap", stamped(one.frames, tick), one.kind))
    assert told(found) == one.expected
    assert ("coarse_times" in kinds(found)) == (tick != MS)


@pytest.mark.parametrize("seed", range(3))
def test_frames_that_came_late(tmp_path: Path, one: Recording, seed: int) -> None:
    """Several receive queues: stamps are right, and a few frames stand further behind."""
    dice = random.Random(seed)
    frames = sorted(one.frames, key=lambda f: f.ns + dice.choice((0, 0, 0, 30 * MS)))
    found = document_of(write(tmp_path / "queues.pcap", frames, one.kind))
    assert told(found) == one.expected
    assert "time_backwards" not in kinds(found)


def behind(flow: Flow, port: int, client: str, server: str, preamble: bytes = b"") -> Flow:
    """The leg on which a balancer sends a connection on: what the client says comes 200 µs later, what the server says
    came as much earlier.
    """
    leg = Flow(port, flow.ns, client, server, 8443, isn=(4_000 + port, 9_000 + port))
    shift = len(preamble)
    for s in flow.segments:
        at = s.ns + 200_000 if s.from_client else s.ns - 200_000
        is_first = bool(preamble) and s.from_client and bool(s.payload)
        payload, seq = (
            (preamble + s.payload, s.seq)
            if is_first
            else (s.payload, s.seq + (shift if s.from_client and s.seq > 1 else 0))
        )
        preamble = b"" if is_first else preamble
        leg.segments.append(Segment(at, s.from_client, s.flags, seq, payload, leg))
    return leg


@pytest.mark.parametrize("late", OFFSETS)
@pytest.mark.parametrize("shape", ["snat_vip", "snat_other", "transparent", "one_backend", "proxy"])
def test_legs_are_ordered_by_topology(tmp_path: Path, shape: str, late: int) -> None:
    """Which leg is in front is told by addresses, the PROXY protocol and durations, however the clocks of both captures
    differ.
    """
    first, second = certificate("puppetdb1", ("a.example.com",)), certificate("puppetdb2", ("b.example.com",))
    pool = Pool()
    for number in range(3):
        pool.full(first, numbered(2 * number + 1))
        pool.resumed(numbered(2 * number + 1))
        pool.given_up(second, numbered(2 * number + 2), numbered(2 * number + 1))
    legs = []
    for number, flow in enumerate(pool.flows):
        client = {"snat_vip": VIP, "transparent": CLIENT, "proxy": CLIENT}.get(shape, "10.0.1.1")
        server = "10.0.1.11" if number % 3 < 2 or shape == "one_backend" else "10.0.1.12"
        legs.append(
            behind(
                flow,
                50_000 + number if client != CLIENT else flow.port,
                client,
                server,
                b"PROXY TCP4 10.0.0.10 10.0.0.100 1 2\r\n" if shape == "proxy" else b"",
            )
        )
    front_path = write(tmp_path / "front.pcap", (Frame(s.ns, ethernet(s)) for s in ordered(pool.flows)))
    behind_path = write(tmp_path / "behind.pcap", (Frame(s.ns + late, ethernet(s)) for s in ordered(legs)))
    document = document_of(front_path, behind_path)
    assert len(document.connections) == 9
    assert {c.server_endpoint.ip for c in document.connections} == {VIP}
    assert all([leg.server.port for leg in c.legs] == [8443] for c in document.connections)
    assert sum(f.rule == "certificate-change-abort" and f.verdict == "confirmed" for f in document.findings) == 3
    assert "before_capture" not in kinds(document)
    assert ("clock_offset" in kinds(document)) == (late != 0)


@settings(max_examples=8)
@given(shares=st.lists(st.floats(0.02, 0.98), min_size=1, max_size=3))
def test_any_stretches_of_two_directions_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, shares: list[float]
) -> None:
    """Several processes share the work: frames of several captures are merged in each as in one."""
    recording = recorded("silent-abort")
    folder = tmp_path_factory.mktemp("shards")
    rx, tx = of_clients(recording.frames)
    paths = [str(write(folder / "rx.pcap", rx)), str(write(folder / "tx.pcap", later(tx, 40 * MS)))]
    size = sum(Path(p).stat().st_size for p in paths)
    borders = [0.0, *sorted(s * size for s in shares), float("inf")]
    defaults = blocks.ByteSource.__init__.__defaults__
    blocks.ByteSource.__init__.__defaults__ = (4096,)  # many batches, so that there are borders
    try:
        parts = [extract_shard(Story(paths), a, b) for a, b in pairwise(borders[:-1])]
        story = Story(paths)
        facts = joined([*parts, extract_shard(story, borders[-2], borders[-1])], story)
    finally:
        blocks.ByteSource.__init__.__defaults__ = defaults
    assert facts is not None
    assert told(judge(facts).complete()) == recording.expected


def test_a_port_that_is_used_again_while_the_other_direction_is_late(tmp_path: Path) -> None:
    """The SYN-ACK of the next connection comes before the last frames of this one's client."""
    der = certificate("puppetdb1", ("a.example.com",))
    pool = Pool()
    for number in range(6):
        flow = pool.full(der, numbered(number + 1))
        flow.port, flow.isn = 40_000, (1_000_000 * (number + 1), 500_000_000 + 3_000_000 * number)
    frames = [Frame(s.ns, ethernet(s), int(s.from_client)) for s in ordered(pool.flows)]
    for late in (0, 25 * MS, -25 * MS):
        document = document_of(
            write(tmp_path / "again.pcap", by_time([f if f.source else f._replace(ns=f.ns + late) for f in frames]))
        )
        assert [(c.outcome, c.gap_bytes) for c in document.connections] == [("established", 0)] * 6, late


def test_a_connection_is_told_once_of_two_halves() -> None:
    """Each sighting has what the other lacks; told once more nothing changes."""
    whole = facts_of(find("jdk17-abort"))
    some = [whole.unpack(packed) for packed in whole.connections]
    halves = Facts(captures=whole.captures, offers=whole.offers, answers=whole.answers, certificates=whole.certificates)
    for c in some:
        lost = structs.replace(c.from_server, lost=True, bytes=c.from_server.bytes // 2)
        halves.add(structs.replace(c, handshake=structs.replace(c.handshake, chain=()), from_server=lost))
        lost = structs.replace(c.from_client, lost=True, bytes=0)
        halves.add(structs.replace(c, handshake=structs.replace(c.handshake, offered_id=b""), from_client=lost))
    once = merge_sightings(halves)
    assert [once.unpack(p).handshake for p in ordered_facts(once)] == [
        whole.unpack(p).handshake for p in ordered_facts(whole)
    ]
    assert merge_sightings(once) is once
