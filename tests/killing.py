"""``kill -9`` at any moment under load: what a journal has lost then.

``python -m tests.killing 50`` kills so many times. New connections come every few milliseconds, each with the moment in
which it was whole; the command is killed at random, and started again on the same journal.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from inspector.errors import InspectorError
from inspector.extract.journal import read_facts
from tests.build import Pool, Segment, capture, certificate, numbered
from tests.ended import Run
from tests.live import WATCH
from tests.waiting import until, waiting_bytes

A = certificate("puppetdb1", ("puppetdb1.example.com",))
EACH_SECOND = 100
STEP_SECONDS = 0.01
PCAP_HEADER_BYTES = 24


FIRST_PORT, PORTS = 20_000, 40_000
NUMBERS = count()
"""Of all connections, also on the next run: one with the ports and the random of another takes its place."""


class Killing(NamedTuple):
    """One kill. ``after_seconds``: of load. ``sent``: connections that were whole on their way by then; ``kept``: those
    of them in the journal; ``missing_seconds``: how long before the kill the first one was sent that is not.
    """

    after_seconds: float
    sent: int
    kept: int
    missing_seconds: float


class Load(threading.Thread):
    """Connections into a pipe, a few every moment, until nobody takes them. ``sent``: when each was whole, by the
    instant of its hello in ns, which names it.
    """

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.sent: list[tuple[int, float]] = []
        self._out = out

    def run(self) -> None:
        due = time.monotonic()
        try:
            while True:
                for _ in range(int(EACH_SECOND * STEP_SECONDS)):
                    self._send()
                self._out.flush()
                due += STEP_SECONDS
                time.sleep(max(due - time.monotonic(), 0))
        except OSError:
            return

    def _send(self) -> None:
        port = FIRST_PORT + next(NUMBERS) % PORTS
        pool = Pool(ns=time.time_ns(), port=port)
        pool.full(A, numbered(port))
        flow = pool.flows[0]
        self._out.write(capture(pool.flows)[PCAP_HEADER_BYTES:])
        self._out.flush()
        self.sent.append((self._hello_ns(flow.segments), time.monotonic()))

    @staticmethod
    def _hello_ns(segments: list[Segment]) -> int:
        return next(segment.ns for segment in segments if segment.payload)


def hellos_in(journal: Path) -> set[int]:
    """The instants that name its connections, as far as they are committed."""
    try:
        facts = read_facts(str(journal))
    except InspectorError:  # it is being made
        return set()
    return {facts.unpack(packed).handshake.hello_ns for packed in facts.connections}


def killed(journal: Path, seconds: float) -> Killing:
    """Start on a journal, kill after so many seconds of load and once some of that is in it, and read it."""
    before = hellos_in(journal)
    with Run(
        [*WATCH, "--findings-only", "--journal", str(journal), "-"], capture(()), stdout=subprocess.DEVNULL
    ) as run:
        assert run.process.stdin is not None
        pipe = run.process.stdin
        assert until(lambda: not waiting_bytes(pipe)), "it begins to read"
        load = Load(run.process.stdin)
        load.start()
        time.sleep(seconds)
        assert until(lambda: hellos_in(journal) - before), "it is written while the load goes on"
        before = hellos_in(journal)
        at = time.monotonic()
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
        load.join()
        assert run.is_alone(), "nobody is left"
    sent = [(ns, when) for ns, when in load.sent if when <= at]
    there = hellos_in(journal)
    assert there >= before, "what was in it before is there"
    missing = [when for ns, when in sent if ns not in there]
    return Killing(seconds, len(sent), len(sent) - len(missing), at - min(missing, default=at))


def main(times: int) -> None:
    """Kill, and print a row for each and one for all."""
    chance = random.Random(9)
    done = []
    with TemporaryDirectory() as folder:
        for number in range(times):
            one = killed(Path(folder) / "j.sqlite", chance.uniform(0.2, 6.0))
            done.append(one)
            print(
                f"{number + 1:3}. after {one.after_seconds:4.1f} s: {one.sent:5} sent, {one.sent - one.kept:4} lost,"
                f" the first {one.missing_seconds:.2f} s before",
                flush=True,
            )
        facts = read_facts(str(Path(folder) / "j.sqlite"))
        print(f"{times} kills: the journal opened each time, {len(facts.connections):,} connections in it")
        lost = [one.sent - one.kept for one in done]
        spans = sorted(one.missing_seconds for one in done)
        print(
            f"sent {sum(one.sent for one in done):,}, lost {sum(lost):,}, at most {max(lost)} at once;"
            f" seconds missing: median {spans[times // 2]:.2f}, at most {spans[-1]:.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
