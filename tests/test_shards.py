"""Several processes share one extraction: wherever the story is cut, the parts together say what one process says."""

from __future__ import annotations

import struct
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from inspector import bounds
from inspector.capture.files import Story
from inspector.capture.inputs import Workload
from inspector.document import Document
from inspector.extract import processes as extraction
from inspector.extract.engine import Engine
from inspector.extract.merging import merge
from inspector.extract.shard import extract_shard, joined, so_far
from inspector.facts import Facts
from inspector.findings.judge import judge
from inspector.secrets.inputs import SecretInputs
from tests.build import ACK, MS, RST, START_NS, SYN, Flow, Pool, certificate, facts_of, numbered, written
from tests.conftest import find

INFINITE = float("inf")


def whole(path: Path) -> Facts:
    story = Story([str(path)])
    facts = joined([extract_shard(story, 0, INFINITE)], story)
    assert facts is not None
    return facts


def in_parts(path: Path, places: list[float], *, is_passing: bool = True) -> Facts:
    parts = []
    for begin, end in pairwise([0.0, *places, INFINITE]):
        story = Story([str(path)])
        if is_passing:
            story.pass_over(begin)
        parts.append(extract_shard(story, begin, end))
    if is_passing and any(part.is_restamped for part in parts):
        return in_parts(path, places, is_passing=False)
    facts = joined(parts, story)
    assert facts is not None, "one process must read it"
    return facts


def document(facts: Facts) -> Document:
    return judge(facts).complete()


@pytest.fixture(scope="module", params=["silent-abort", "both-legs", "ipv6"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import gzip

    source = find(request.param)
    path = tmp_path_factory.mktemp("plain") / source.stem
    path.write_bytes(gzip.decompress(source.read_bytes()))
    return path


@settings(max_examples=12)
@given(shares=st.lists(st.floats(0.1, 0.98), min_size=1, max_size=3), is_passing=st.booleans())
def test_any_cut_gives_the_same(plain: Path, shares: list[float], is_passing: bool) -> None:
    before = bounds.BATCH_BYTES
    from inspector.capture import blocks

    defaults = blocks.ByteSource.__init__.__defaults__
    blocks.ByteSource.__init__.__defaults__ = (4096,)  # many batches, so that there are borders
    try:
        expected = document(whole(plain))
        size = plain.stat().st_size
        found = document(in_parts(plain, sorted(s * size for s in shares), is_passing=is_passing))
    finally:
        blocks.ByteSource.__init__.__defaults__ = defaults
        assert before == bounds.BATCH_BYTES
    assert msgspec.to_builtins(found) == msgspec.to_builtins(expected)


@pytest.mark.parametrize("size", [96, 200])
def test_fragments_across_the_border(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A datagram whose fragments two processes see is whole for one of them, and lost for neither; one that never
    becomes whole counts once.
    """
    from inspector.capture import blocks
    from tests.build import pcap
    from tests.encapsulations import ENCAPSULATIONS, ethernet, in_fragments, ipv4
    from tests.test_encapsulations import plain as frames

    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (1024,))
    pieces = [(ns, piece) for ns, frame in frames() for piece in in_fragments(size, ENCAPSULATIONS["VXLAN"][1])(frame)]
    pieces.insert(40, (pieces[40][0], ethernet(0x0800, ipv4(6, bytes(64), position=0x2000))))
    path = tmp_path / "fragments.pcap"
    path.write_bytes(pcap(pieces))
    expected = whole(path)
    assert [(found.number, found.why, found.frames) for found in expected.captures[0].unopened] == [
        (6, "incomplete", 1)
    ]
    for place in range(0, path.stat().st_size, 499):
        assert msgspec.to_builtins(document(in_parts(path, [place]))) == msgspec.to_builtins(document(expected))


def test_processes_are_used_where_they_pay(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing, with a worker process, on a capture that would not deserve one."""
    monkeypatch.setattr(extraction, "_processes", lambda work: 2)
    found = document(extraction.extract([str(plain)]))
    assert msgspec.to_builtins(found) == msgspec.to_builtins(document(whole(plain)))


def test_where_stamps_are_put_right_all_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How late frames behind a step of the clock are, only those before it tell; frames are cut to three lengths."""
    from inspector.capture import blocks
    from tests.build import ethernet, ordered

    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (4096,))
    monkeypatch.setattr(extraction, "_processes", lambda work: 2)
    monkeypatch.setattr(extraction, "_started", lambda task: None)  # so that all have buffers of that size
    pool = Pool()
    for n in range(20):
        pool.full(certificate("puppetdb1", ("a.example.com",)), numbered(n))
    frames = [(s.ns + number * 13, ethernet(s)) for number, s in enumerate(ordered(pool.flows))]
    reads = []
    read = extraction._extracted

    def counted(*arguments: Any, **options: Any) -> Any:
        reads.append(options)
        return read(*arguments, **options)

    monkeypatch.setattr(extraction, "_extracted", counted)
    for back, count in ((0, 1), (3_000 * MS, 2)):
        path = tmp_path / f"back-{back}.pcap"
        data = bytearray(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for number, (ns, frame) in enumerate(frames):
            ns -= back if number > len(frames) // 4 else 0
            left = min(len(frame), (90, 1 << 16, 100)[number * 3 // len(frames)])
            data += struct.pack("<IIII", ns // 10**9, ns % 10**9, left, len(frame)) + frame[:left]
        path.write_bytes(data)
        reads.clear()
        facts = extraction.extract([str(path)])
        assert len(reads) == count
        assert facts.captures == whole(path).captures
        assert sorted(facts.connections) == sorted(whole(path).connections)


begun = subprocess.Popen


def _killed(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    process = begun(command, **options)
    process.kill()
    return process


def _mute(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    return begun(["true"], **options)


def _none(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    raise BlockingIOError(11, "Resource temporarily unavailable")


@pytest.mark.parametrize("popen", [_killed, _mute, _none])
def test_what_a_worker_does_not_do_is_done(plain: Path, monkeypatch: pytest.MonkeyPatch, popen: Any) -> None:
    """One that dies as it starts, one that answers nothing, and none at all; with a task larger than a pipe."""
    monkeypatch.setattr(extraction, "_processes", lambda work: 2)
    monkeypatch.setattr(subprocess, "Popen", popen)
    secrets = SecretInputs([("keys", b"# nothing\n" * 20_000)])
    facts = extraction.extract([str(plain)], secrets=secrets)
    assert [facts.unpack(c) for c in facts.connections]
    monkeypatch.undo()
    alone = extraction.extract([str(plain)], secrets=secrets)
    assert msgspec.to_builtins(document(facts)) == msgspec.to_builtins(document(alone))


def test_facts_of_several_extractions_are_merged(tmp_path: Path) -> None:
    """Captures extracted side by side, in the wrong order, say what one extraction of both says."""
    from tests.build import Pool, certificate, numbered, written

    one, two = certificate("puppetdb1", ("a.example.com",)), certificate("puppetdb2", ("b.example.com",))
    pool = Pool()
    pool.full(one, numbered(1))
    pool.resumed(numbered(1))
    early = written(tmp_path, pool.flows, "early.pcap")
    pool.flows = []
    pool.given_up(two, numbered(2), numbered(1))
    late = written(tmp_path, pool.flows, "late.pcap")
    together = facts_of(early, late)
    found = document(merge([whole(late), whole(early)]))
    assert msgspec.to_builtins(found) == msgspec.to_builtins(document(together))
    assert found.findings[0].rule == "certificate-change-abort"
    assert [c.frames.first[0] for c in found.connections] == [0, 0, 1]


def test_work_is_estimated() -> None:
    assert extraction._processes(Workload(0, 0)) == 1
    assert extraction._processes(Workload(10_000_000, 2_000)) == 1
    for own in range(3):
        places = extraction._places(1000, 3, own)
        assert places[0][0] == 0
        assert places[-1][1] == INFINITE
        assert all(a[1] == b[0] for a, b in pairwise(places))
        lengths = [min(end, 1000) - begin for begin, end in places]
        assert max(lengths) == lengths[own]


@pytest.mark.parametrize("way", ["fin", "rst"])
def test_who_only_connects_and_closes_is_named_wherever_a_capture_is_cut(tmp_path: Path, way: str) -> None:
    """And is no refused port, no scan, and nothing that spoke."""
    pool = Pool()
    for n in range(4):
        pool.full(certificate("a"), numbered(n))
    monitor, scanner, refused, speaker = "10.0.0.77", "10.0.0.78", "10.0.0.79", "10.0.0.80"
    for n in range(10):
        ns = START_NS + n * 20 * MS
        check = Flow(50_000 + n, ns, monitor).open()
        pool.flows += [
            check.close() if way == "fin" else check.add(True, RST | ACK),
            Flow(51_000 + n, ns, scanner).add(True, SYN),
            Flow(52_000 + n, ns, refused).add(True, SYN).add(False, RST | ACK),
            Flow(53_000 + n, ns, speaker).open().client_says(b"GET / HTTP/1.0\r\n\r\n").close(),
        ]
    path = written(tmp_path, pool.flows)
    expected = whole(path)
    (service,) = judge(expected).document.services
    assert [(c.ip, c.kind, c.connections) for c in service.checkers] == [(monitor, "tcp", 10)]
    assert service.other_flows == 40
    size = path.stat().st_size
    for at in range(100, size, size // 7):
        assert +Counter(in_parts(path, [at]).other_flows) == +Counter(expected.other_flows)


@settings(max_examples=12)
@given(every=st.integers(1, 9), size=st.sampled_from([2048, 4096, 16_384]))
def test_looking_at_what_is_known_leaves_no_trace(plain: Path, every: int, size: int) -> None:
    """And tells of no connection that is not there in the end, and of none twice."""
    from inspector.capture import blocks

    defaults = blocks.ByteSource.__init__.__defaults__
    blocks.ByteSource.__init__.__defaults__ = (size,)
    looks: list[Facts] = []
    windows = 0

    def watch(engine: Engine, story: Story) -> None:
        nonlocal windows
        windows += 1
        if windows % every == 0:
            looks.append(so_far(engine, story))

    try:
        story = Story([str(plain)])
        found = joined([extract_shard(story, 0, INFINITE, watch=watch)], story)
        assert found == whole(plain)
    finally:
        blocks.ByteSource.__init__.__defaults__ = defaults
    known = {Facts.head(packed).initial_sequence for packed in found.connections}
    for look in looks:
        sequences = [Facts.head(packed).initial_sequence for packed in look.connections]
        assert len(sequences) == len({*sequences})
        assert {*sequences} <= known
        assert judge(look).complete().captures


def test_a_connection_is_shown_as_soon_as_its_handshake_is_decided(tmp_path: Path) -> None:
    """Not when nothing can come of it any more: with the last frame, but before the end, all are known."""
    pool = Pool()
    for n in range(30):
        pool.full(certificate("a"), numbered(n))
    pool.given_up(certificate("b"), numbered(31), numbered(1))
    story = Story([str(written(tmp_path, pool.flows))])
    looks: list[Facts] = []
    facts = extract_shard(story, 0, INFINITE, watch=lambda engine, story: looks.append(so_far(engine, story))).facts
    assert sorted(looks[-1].connections) == sorted(facts.connections)
    assert [f.rule for f in judge(looks[-1]).document.findings] == [f.rule for f in judge(facts).document.findings]


def test_who_watches_reads_from_the_beginning(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And hears how far all of it is."""
    expected = msgspec.to_builtins(document(whole(plain)))
    monkeypatch.setattr(extraction, "_processes", lambda work: 3)
    monkeypatch.setattr(extraction, "HEAD_START_BYTES", 0)
    read: list[int] = []
    seen: list[int] = []
    found = extraction.extract(
        [str(plain)], read.append, watch=lambda engine, story: seen.append(story.captures[0].info.packets)
    )
    assert msgspec.to_builtins(document(found)) == expected
    assert seen
    assert sum(read) >= plain.stat().st_size * 0.9
