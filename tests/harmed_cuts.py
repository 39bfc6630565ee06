"""Recordings that are harmed, and cut into files or shards in the midst of the harm: whoever reads the pieces must say
what one process says.

``python -m tests.harmed_cuts [SECONDS [SEED]]`` tries new ones for so long, and prints which kinds of harm were among
them, what was said otherwise, and how often the pieces had to be read by one process after all;
``test_harmed_cuts.py`` runs some.
"""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from inspector import bounds
from inspector.capture import blocks
from inspector.capture.files import Story
from inspector.extract import processes
from inspector.facts import Facts
from inspector.fleet.extraction import FleetRecord, extract_fleet
from inspector.fleet.sequences import sequences
from inspector.fleet.stretches import CaptureStretch
from inspector.fleet.tasks import FailedTask, Task
from tests.build import ACK, DATA, FIN, MS, RST, START_NS, SYN, Flow, Pool, certificate, ethernet, numbered, pcap
from tests.fleet import SECOND, RawFrame, Unreliable, cut, document

KINDS = ("again", "lost", "jitter", "set back", "coarse", "reused", "late", "swapped", "empty", "gz", "halved")
RARE_KINDS = ("paused", "versions")
DELAYS = (1_000, 50_000, MS, 50 * MS, 999 * MS, SECOND, 1_001 * MS, 1_900 * MS, 2_001 * MS, 3 * SECOND)
"""About a closed flow's late segments: they are taken for one second, or two."""


PAUSES = (-SECOND, -3 * MS, 3 * MS, SECOND, bounds.IDLE_NS)
"""About the time for which a flow may be idle."""


class Harmed(NamedTuple):
    """A frame of the flow whose client has a port."""

    ns: int
    data: bytes
    port: int

    def moved(self, by: int) -> Harmed:
        """The same frame at another time."""
        return self._replace(ns=self.ns + by)


class HarmedCut(NamedTuple):
    """``kinds``: what was done to it. ``at``: before which frames it is cut, and ``swapped`` there as in ``cut``.
    ``size``: bytes that are read at once.
    """

    seed: int
    kinds: frozenset[str]
    frames: list[RawFrame]
    at: list[int]
    swapped: int
    size: int


class Outcome(NamedTuple):
    """``differs``: who said something else than one process. ``by_one``: who had one process read after all."""

    differs: tuple[str, ...]
    by_one: tuple[str, ...]


def flows(dice: random.Random) -> list[Flow]:
    """Some three seconds: handshakes that overlap, one flow that lasts, what never opens, what is refused, what began
    before the recording, what speaks no TLS.
    """
    one, two = certificate("puppetdb1", ("a.example.com",)), certificate("puppetdb2", ("b.example.com",))
    pool = Pool()
    for n in range(dice.randrange(5, 10)):
        pool.ns = START_NS + dice.randrange(2_500) * MS
        match dice.randrange(5):
            case 0:
                pool.resumed(numbered(n))
            case 1:
                pool.given_up(two, numbered(50 + n), numbered(n))
            case 2:
                pool.tls13()
            case _:
                pool.full(dice.choice((one, two)), numbered(n))
    long = pool.full(one, numbered(99))
    first = long.segments[0].ns
    for number, segment in enumerate(long.segments):
        segment.ns += START_NS + 100 * MS - first + number * dice.choice((MS, 100 * MS))
    found = [*pool.flows]
    for flow in found:
        flow.isn = (dice.randrange(1 << 32), dice.randrange(1 << 32))
    begun = dice.choice(found)
    del begun.segments[: dice.randrange(1, len(begun.segments))]
    again = Flow(60_001, START_NS + dice.randrange(2_000) * MS, "10.0.0.31").add(True, SYN, wait=900 * MS)
    again.sent[0] = 0
    again.open().client_says(b"GET / HTTP/1.0\r\n\r\n").server_says(b"HTTP/1.0 200 OK\r\n\r\n").close()
    ns = START_NS + dice.randrange(2_500) * MS
    return [
        *found,
        again,
        Flow(60_002, ns, "10.0.0.32").add(True, SYN),
        Flow(60_003, ns, "10.0.0.33").add(True, SYN).add(False, RST | ACK),
        Flow(60_004, ns, "10.0.0.34").open().close(),
        Flow(60_005, ns, "fd00::5", server="fd00::9").open().client_says(b"six", wait=400 * MS).close(),
        Flow(60_006, ns, "10.0.0.35").client_says(DATA, wait=SECOND).server_says(DATA),
    ]


def reused(flow: Flow, dice: random.Random) -> Flow:
    """Another connection between the same ports."""
    pool = Pool(flow.segments[-1].ns + dice.choice(DELAYS), port=dice.choice((flow.port, 30_000)), client=flow.client)
    if dice.random() < 0.3:
        pool.ns = dice.choice(flow.segments).ns + dice.randrange(2 * MS)  # though the first one has not ended
    made = dice.choice((pool.tls13, lambda: pool.full(certificate("puppetdb1", ("a.example.com",)), numbered(7))))()
    made.port, made.server, made.server_port = flow.port, flow.server, flow.server_port
    client, server = flow.isn
    far = dice.choice((0, flow.sent[0] + 1, flow.sent[0] + 70_000, dice.randrange(1 << 32)))
    made.isn = (client + far & 0xFFFFFFFF, dice.choice((server + 64_000 & 0xFFFFFFFF, dice.randrange(1 << 32))))
    if dice.random() < 0.2:
        del made.segments[0]
    return made


def late(flow: Flow, dice: random.Random) -> None:
    """More of a flow behind its end."""
    side = dice.random() < 0.5
    flow.ns = flow.segments[-1].ns + dice.choice(DELAYS)
    flags, payload = dice.choice(
        ((FIN | ACK, b""), (RST, b""), (RST | ACK, b""), (ACK, b""), (ACK, DATA), (ACK, dice.choice((b"x", b"\x17"))))
    )
    flow.sent[0 if side else 1] -= dice.choice((0, 0, 1))
    flow.add(side, flags, payload)


def other_version(frame: Harmed, dice: random.Random) -> Harmed:
    """The same segment with other bytes: all of them, or the last one."""
    count = dice.choice((1, 8))
    data = frame.data[:-count] + bytes(octet ^ 1 for octet in frame.data[-count:])
    return Harmed(frame.ns + dice.choice(DELAYS), data, frame.port)


def rarely_harmed(frames: list[Harmed], kinds: frozenset[str], dice: random.Random) -> list[Harmed]:
    """In the order of time."""
    if "versions" in kinds:
        telling = [frame for frame in frames if len(frame.data) > 80]
        frames = sorted([*frames, *(other_version(frame, dice) for frame in dice.sample(telling, 8))])
    if "paused" in kinds:
        at = dice.randrange(1, len(frames))
        pause = bounds.IDLE_NS + dice.choice(PAUSES)
        frames = [*frames[:at], *(frame.moved(pause) for frame in frames[at:])]
    return frames


def harmed_cut(seed: int) -> HarmedCut:
    """The same for the same seed."""
    dice = random.Random(seed)
    kinds = frozenset(kind for kind in KINDS if dice.random() < 0.25)
    rare_dice = random.Random(~seed)
    kinds |= {kind for kind in RARE_KINDS if rare_dice.random() < 0.15}
    story = flows(dice)
    if "late" in kinds:
        for flow in dice.sample(story, 3):
            late(flow, dice)
    if "reused" in kinds:
        story += [reused(flow, dice) for flow in dice.sample(story, 3) if flow.client[0] == "1"]
    frames = [Harmed(s.ns, ethernet(s), f.port) for f in story for s in f.segments]
    if "lost" in kinds:
        frames = [frame for frame in frames if dice.random() > 0.06]
    if "again" in kinds:
        frames += [frame.moved(dice.choice(DELAYS)) for frame in frames if dice.random() < 0.08]
    frames.sort(key=lambda frame: frame.ns)
    frames = rarely_harmed(frames, kinds, rare_dice)
    if "coarse" in kinds:
        tick = dice.choice((1_000, 1_000, 10 * MS))
        frames = [frame.moved(-(frame.ns % tick)) for frame in frames]
    if "jitter" in kinds:
        frames = [frame.moved(dice.choice((0, 0, 0, -2 * MS, 5 * MS))) for frame in frames]
    if "set back" in kinds:
        back, step = dice.randrange(len(frames)), dice.choice((150 * MS, 300 * MS, SECOND))
        frames[back:] = [frame.moved(-step) for frame in frames[back:]]
    count = len(frames)
    at = [dice.randrange(1, count) for _ in range(dice.randrange(1, 5))]
    port = dice.choice(frames).port
    near = [index for index, frame in enumerate(frames) if frame.port == port]
    at += [min(max(dice.choice(near) + dice.choice((0, 1)), 1), count - 1)]
    at = at if dice.random() < 0.8 else []
    raw = [RawFrame(frame.ns, frame.data) for frame in frames]
    swapped = dice.choice((1, 3)) if "swapped" in kinds else 0
    return HarmedCut(seed, kinds, raw, at, swapped, dice.choice((2048, 16_384, 1 << 20)))


def files(harm: HarmedCut, folder: Path) -> list[str]:
    """It as files."""
    dice = random.Random(harm.seed)
    paths = cut(folder, harm.frames, harm.at, swapped=harm.swapped)
    if "gz" in harm.kinds:
        for index, path in enumerate(paths):
            if dice.random() < 0.5:
                paths[index] = f"{path}.gz"
                Path(paths[index]).write_bytes(gzip.compress(Path(path).read_bytes()))
                Path(path).unlink()
    if "empty" in harm.kinds:
        paths.append(str(folder / "story-99999.pcap"))
        Path(paths[-1]).write_bytes(pcap([]))
    return paths


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """Small files are read in so many bytes at once."""
    with patch.object(blocks.ByteSource.__init__, "__defaults__", (size,)):
        yield


def by_fleet(harm: HarmedCut, paths: Sequence[str]) -> tuple[Facts, bool]:
    """Read by tasks, and whether one process read it after all."""
    dice = random.Random(harm.seed)
    failed: set[Task] = set()

    def fails(task: Task, number: int) -> FailedTask | None:
        if "halved" not in harm.kinds or not isinstance(task, CaptureStretch) or task in failed or dice.random() < 0.5:
            return None
        failed.add(task)
        return FailedTask("", is_memory=True)

    record = FleetRecord()
    facts = extract_fleet(sequences(Story(list(paths))), Unreliable(fails), record=record)
    return facts, bool(record.by_one)


def by_processes(harm: HarmedCut, paths: Sequence[str]) -> tuple[Facts, bool]:
    """Read by shards, and whether one process read it after all."""
    dice = random.Random(harm.seed)
    total = sum(len(frame.data) + 16 for frame in harm.frames)
    places = sorted({dice.randrange(1, total) for _ in range(dice.randrange(1, 4))})
    ends = list(zip([0.0, *places], [*places, float("inf")], strict=True))
    counts: list[int] = []

    def cut_at(total: int, count: int, own_index: int) -> list[tuple[float, float]]:
        counts.append(count)
        return ends if count > 1 else [(0.0, float("inf"))]

    with (
        patch.object(processes, "_processes", lambda work: len(ends)),
        patch.object(processes, "_places", cut_at),
        patch.object(processes, "_started", lambda task: None),
    ):
        facts = processes.extract(list(paths))
    return facts, 1 in counts


def outcome(harm: HarmedCut) -> Outcome:
    """What the pieces say beside what one process says."""
    differs, by_one = [], []
    ways: dict[str, Any] = {"fleet": by_fleet, "processes": by_processes}
    with tempfile.TemporaryDirectory() as name, batches_of(harm.size):
        paths = files(harm, Path(name))
        expected = document(processes.extract(paths))
        for way, read in ways.items():
            facts, is_by_one = read(harm, paths)
            if document(facts) != expected:
                differs.append(way)
            if is_by_one:
                by_one.append(way)
    return Outcome(tuple(differs), tuple(by_one))


def main(seconds: float = 60, seed: int = 0) -> int:
    """Try new ones for so long; the exit status is 1 where something was said otherwise."""
    until = time.monotonic() + seconds
    tried, differs, by_one = 0, Counter[str](), Counter[str]()
    kinds: dict[str, Counter[str]] = {}
    while time.monotonic() < until:
        seed += 1
        harm = harmed_cut(seed)
        result = outcome(harm)
        tried += 1
        differs.update(result.differs)
        by_one.update(result.by_one)
        for way in result.differs:
            kinds.setdefault(way, Counter()).update(harm.kinds)
            print(f"{way} says otherwise: seed {seed}, {', '.join(sorted(harm.kinds))}", flush=True)
    print(f"{tried} cuts, up to seed {seed}; said otherwise: {dict(differs)}; read by one process: {dict(by_one)}")
    for way, counts in kinds.items():
        print(f"  {way}: {dict(counts.most_common())}")
    return bool(differs)


if __name__ == "__main__":
    sys.exit(main(float((sys.argv[1:2] or ["60"])[0]), int((sys.argv[2:3] or ["0"])[0])))
