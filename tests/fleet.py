"""Stories for a fleet: one recording with all that may cross the border of two files, cut into files, and executors
that fail in the ways in which machines do.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from inspector.capture.files import Story
from inspector.facts import Facts
from inspector.findings.judge import judge
from inspector.fleet.extraction import FleetRecord, extract_fleet
from inspector.fleet.sequences import sequences
from inspector.fleet.tasks import FailedTask, RunBy, Task, TaskResult, perform
from tests.build import ACK, DATA, MS, RST, START_NS, SYN, Flow, Pool, certificate, ethernet, numbered, ordered, pcap

SECOND = 1000 * MS


class RawFrame(NamedTuple):
    ns: int
    data: bytes


def crossing_story() -> list[RawFrame]:
    """Some six seconds: handshakes of all kinds, a flow that lasts throughout, SYNs that are sent again long after,
    ports that are used again, a scan, what is refused, and flows of which the beginning or the end is missing.
    """
    pool = Pool()
    one, two = certificate("puppetdb1", ("a.example.com",)), certificate("puppetdb2", ("b.example.com",))
    long = pool.full(one, numbered(1))
    del long.segments[-3:]
    for n in range(14):
        pool.full(one if n % 3 else two, numbered(10 + n))
        if n % 2:
            pool.resumed(numbered(10 + n))
        if n % 4 == 1:
            pool.given_up(two, numbered(50 + n), numbered(10 + n))
        if n % 5 == 2:
            pool.tls13()
        pool.ns += 100 * MS
    end = pool.ns
    long.sent[0] -= 1
    long.sent[1] -= 1
    long.ns = START_NS + 200 * MS
    while long.ns < end:
        long.client_says(DATA, wait=40 * MS).server_says(DATA * 3, wait=150 * MS)
    long.close()
    again = Flow(60_001, START_NS + 300 * MS, "10.0.0.31")
    again.add(True, SYN, wait=SECOND)
    again.sent[0] = 0
    again.add(True, SYN, wait=2 * SECOND)
    again.sent[0] = 0
    again.open().client_says(b"GET / HTTP/1.0\r\n\r\n").server_says(b"HTTP/1.0 200 OK\r\n\r\n", wait=300 * MS).close()
    dead = Flow(60_002, START_NS + 100 * MS, "10.0.0.32", server="10.0.0.200")
    for wait in (1, 2, 1):
        dead.add(True, SYN, wait=wait * SECOND)
        dead.sent[0] = 0
    dead.add(False, RST | ACK)
    flows = [*pool.flows, again, dead]
    for n in range(12):
        ns = START_NS + n * 350 * MS
        flows += [
            Flow(50_000 + n, ns, "10.0.0.77").open().close(),
            Flow(51_000 + n, ns, "10.0.0.78").add(True, SYN),
            Flow(52_000 + n, ns, "10.0.0.79").add(True, SYN).add(False, RST | ACK),
            Flow(53_000, ns, "10.0.0.80", isn=(n * 0x9E3779B1 & 0xFFFFFFFF, n * 0x85EBCA6B + 77 & 0xFFFFFFFF))
            .open()
            .client_says(b"hello")
            .close(),
            Flow(54_000 + n, ns, "fd00::5", server="fd00::9").open().client_says(b"six", wait=400 * MS).close(),
        ]
    silent = Flow(30_100, START_NS + 10 * MS, "10.0.0.90").client_says(DATA, wait=3 * SECOND).server_says(DATA)
    flows.append(silent)
    return [RawFrame(s.ns, ethernet(s)) for s in ordered(flows)]


def cut(
    folder: Path, frames: Sequence[RawFrame], at: Sequence[int], *, swapped: int = 0, nano: bool = True
) -> list[str]:
    """Files of a recording, in turn. ``at``: before which frames it is cut; ``swapped``: so many frames before each cut
    are written behind it, and as many the other way round.
    """
    order = list(frames)
    indexes = sorted({index for index in at if 0 < index < len(order)})
    for index in indexes:
        low, high = max(index - swapped, 0), min(index + swapped, len(order))
        order[low:high] = order[index:high] + order[low:index]
    paths = []
    for number, (begin, end) in enumerate(zip([0, *indexes], [*indexes, len(order)], strict=True)):
        path = folder / f"story-{number:05}.pcap"
        path.write_bytes(pcap(order[begin:end], nano=nano))
        paths.append(str(path))
    return paths


def document(facts: Facts) -> bytes:
    """The analysis as JSON."""
    return msgspec.json.encode(judge(facts).complete())


def fleet_document(paths: Sequence[str], run_by: RunBy | None = None, record: FleetRecord | None = None) -> bytes:
    """That of captures that a fleet has read."""
    return document(extract_fleet(sequences(Story(paths)), run_by or Unreliable(), record=record))


class Unreliable:
    """An executor in this process. ``fails``: what becomes of the nth try of a task, None where it is done. Tasks come
    to their end in the order that ``turn`` gives.
    """

    def __init__(
        self,
        fails: Callable[[Task, int], FailedTask | None] = lambda task, number: None,
        turn: Callable[[int], int] = lambda number: number,
    ) -> None:
        self._fails = fails
        self._turn = turn
        self.tasks: list[Task] = []

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
        for number in sorted(range(len(tasks)), key=self._turn):
            task: Task = pickle.loads(pickle.dumps(tasks[number]))
            failure = self._fails(task, len(self.tasks))
            self.tasks.append(task)
            yield number, failure or pickle.loads(pickle.dumps(perform(task)))
