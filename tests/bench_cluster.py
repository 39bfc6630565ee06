"""The first half by a cluster, task by task: ``python -m tests.bench_cluster --gigabytes 5``. Figures, not a test.

Rotated sets of several vantage points are made in a folder, and removed afterwards unless ``--folder`` names one that
stays. They are read twice, each time in a process of its own: by that process alone on one core, and by workers of
``local:N``, of which each task says what it took. Both documents must be the same, byte for byte; exit status 1 where
they are not, or where more was read than ``MOST_READ`` allows. ``--costs FILE`` keeps what was measured, for
``tests.fleet_schedule``.
"""

from __future__ import annotations

import argparse
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench_captures import BYTES, VIP, address, header, in_order, replayed, starts
from tests.bench_story import Replay, filled, story
from tests.build import START_NS
from tests.cluster_costs import ClusterCosts, TaskCost, alone, by_cluster

FILE_BYTES = 32_000_000
CLIENT_BYTES = 2_085_000
"""What one client of the story takes on the disk."""

MOST_READ = 1.05


class RotatedSet(NamedTuple):
    """The captures of one vantage point: so many clients, each with addresses of its own."""

    folder: str
    vantage: int
    clients: int


def rotated(wanted: RotatedSet) -> None:
    """Write the files as tcpdump does with ``-C``: a new one where the last is full, whatever is under way."""
    frames = list(filled(story(), BYTES))
    dice = random.Random(wanted.vantage)
    replays = (
        replayed(frames, Replay(address(wanted.vantage << 16 | number), VIP, dice.getrandbits(256)), start)
        for number, start in enumerate(starts(wanted.clients, frames[-1].ns))
    )
    block, count = bytearray(header()), 0
    for ns, frame in in_order(replays):
        block += struct.pack("<IIII", *divmod(START_NS + ns, 10**9), len(frame), len(frame)) + frame
        if len(block) > FILE_BYTES:
            _file(wanted, count).write_bytes(block)
            block, count = bytearray(header()), count + 1
    _file(wanted, count).write_bytes(block)


def _file(of: RotatedSet, count: int) -> Path:
    return Path(of.folder) / f"host{of.vantage}-{count:05}.pcap"


def estate(folder: Path, gigabytes: float, vantages: int) -> list[str]:
    """The captures of all vantage points, made where the folder has none."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.glob("*.pcap")):
        clients = max(1, round(gigabytes * 1e9 / vantages / CLIENT_BYTES))
        with get_context("spawn").Pool() as pool:
            pool.map(rotated, [RotatedSet(str(folder), number, clients) for number in range(vantages)], 1)
    return sorted(map(str, folder.glob("*.pcap")))


def _in_a_process(folder: Path, workers: int) -> ClusterCosts:
    command = [sys.executable, "-m", "tests.bench_cluster", "--one", "--folder", str(folder), "--workers", str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=ClusterCosts)


def told(costs: ClusterCosts, by_one: ClusterCosts) -> None:
    """Print what was measured."""
    size = costs.bytes
    reading, joining = ([task for task in costs.tasks if task.kind == kind] for kind in ("CaptureStretch", "JoinTask"))
    read, results = sum(task.read for task in costs.tasks), sum(task.result for task in reading)
    for name, value in (
        ("captures", f"{costs.files} files, {size / 1e9:.2f} GB, {costs.connections:,} connections"),
        ("reads a file", _of_tasks(reading)),
        ("joins a sequence", _of_tasks(joining)),
        ("bytes read", f"{costs.read / size:.4f} of the files'; as the system counts {read / size:.4f}"),
        ("kept by workers", f"{results / size:.4f} of the files'; {costs.handed_over / size:.4f} of flows that go on"),
        ("handed over", f"{sum(task.result for task in joining) / size:.4f} of the files'"),
        ("this process", _second_half(costs)),
        ("  before, s of CPU", _first_half(costs)),
        ("one process alone", _second_half(by_one)),
        ("  before, s of CPU", f"extracts {by_one.joining:.1f}; read {by_one.read / size:.4f}"),
        ("documents", "the same" if costs.document == by_one.document else "NOT THE SAME"),
    ):
        print(f"{name:<20}{value}")


def _of_tasks(tasks: Sequence[TaskCost]) -> str:
    seconds = sorted(task.seconds for task in tasks)
    middle, peak = seconds[len(seconds) // 2], max(task.peak for task in tasks)
    return (
        f"{middle:.2f} s of CPU ({seconds[0]:.2f} to {seconds[-1]:.2f}); {len(tasks)} in {sum(seconds):.1f} s; "
        f"at most {peak / 1e6:.0f} MB in a worker"
    )


def _first_half(costs: ClusterCosts) -> str:
    return f"starts {costs.started:.1f}, is idle {costs.idle:.1f}, takes {costs.taking:.1f}, merges {costs.joining:.1f}"


def _second_half(costs: ClusterCosts) -> str:
    return (
        f"judges {costs.judging:.1f}, writes {costs.writing:.1f} s of CPU; peak {costs.peak / 1e6:.0f} MB;"
        f" all {costs.wall:.1f} s on the clock"
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_cluster", description="What tasks of a cluster cost.")
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--vantages", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where captures are made, and left; a temporary one")
    parser.add_argument("--costs", type=Path, help="where what was measured is written, as JSON")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parsed()
    if options.one:
        paths = sorted(map(str, options.folder.glob("*.pcap")))
        costs = by_cluster(paths, options.workers) if options.workers else alone(paths)
        sys.stdout.buffer.write(msgspec.json.encode(costs))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        estate(folder, options.gigabytes, options.vantages)
        by_one, costs = _in_a_process(folder, 0), _in_a_process(folder, options.workers)
    told(costs, by_one)
    if options.costs:
        options.costs.write_bytes(msgspec.json.format(msgspec.json.encode(costs), indent=1))
    return 0 if costs.document == by_one.document and costs.read <= MOST_READ * costs.bytes else 1


if __name__ == "__main__":
    sys.exit(main())
