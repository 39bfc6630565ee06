"""A synthetic estate, and what it costs to ask it: ``python -m tests.bench_fleet --connections 5000000 --folder DIR``.
Figures, not a test.

Fifty compilers write a part of facts for each of seven days, made of facts and not of packets; all of it is analysed as
one story and asked in SQL, each in a process of its own. ``--share 0.25 --share 0.5 --share 1``: how cost grows, with
the number of connections; ``--vantages 5 --vantages 50``: and with the number of hosts. Exit status 1 where a
connection more costs over a tenth more than before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from inspector.extract.processes import extract
from inspector.extract.tables import PartWriter
from inspector.extract.tables.inputs import Origin, PartPlan
from inspector.extract.tables.manifest import InputFile
from inspector.facts import ConnectionFacts, Facts
from inspector.text.times import SECOND_NS
from tests.bench_facts import Replay, replayed
from tests.conftest import find

DAY_NS = 86_400 * SECOND_NS
MOST_GROWTH = 1.1
QUESTION = """
    SELECT vantage, day, certificate, count(*), median(answer_ns), avg((outcome = 'aborted')::int)
    FROM connections GROUP BY ALL ORDER BY ALL
"""


class HostDay(NamedTuple):
    """What one compiler sees in one day, and where it is written."""

    directory: str
    vantage: int
    day: int
    connections: int


class Spent(NamedTuple):
    """``peak``: bytes of resident memory."""

    seconds: float
    cpu: float
    peak: int


def facts_of(wanted: HostDay) -> Facts:
    """A compiler asks all day; its agents are its own, the pool is everybody's."""
    recorded = extract([str(find("jdk17-abort"))])
    seeds = [recorded.unpack(packed) for packed in recorded.connections]
    length = max(c.last_ns for c in seeds) - min(c.first_ns for c in seeds)
    replays = -(-wanted.connections // len(seeds))
    apart = max((DAY_NS - length) // replays, 1)
    same = {digest: digest for digest in recorded.certificates}
    path = f"compiler{wanted.vantage}-{wanted.day}.pcap"
    whole = Facts(
        captures=[replace(recorded.captures[0], path=path, host=f"compiler{wanted.vantage}")],
        certificates=recorded.certificates,
    )
    for number in range(replays):
        replay = Replay(
            bytes([10, wanted.vantage, 0, 1]),
            bytes([100, 0, 0, 1]),
            hash((wanted.vantage, wanted.day, number)) & (1 << 256) - 1 | number << 64,
            wanted.day * DAY_NS + number * apart,
            number * recorded.captures[0].packets,
            same,
        )
        for seed in seeds[: wanted.connections - len(whole.connections)]:
            whole.add(_of_port(replayed(seed, replay), number))
    return whole


def _of_port(connection: ConnectionFacts, number: int) -> ConnectionFacts:
    """Ports are used again only much later."""
    end = connection.client
    return replace(connection, client=replace(end, port=1_024 + (end.port + 97 * number) % 60_000))


def written(wanted: HostDay) -> float:
    """Make and write a part; seconds of processor time that writing took."""
    facts = facts_of(wanted)
    began = time.process_time()
    vantage = f"compiler{wanted.vantage}"
    day = InputFile(vantage, "", "capture", 0, 0, str(wanted.day))
    PartWriter(wanted.directory).write(facts, PartPlan((day,), ()), Origin(vantage, True, ""))
    return time.process_time() - began


def estate(directory: Path, vantages: int, days: int, connections: int) -> float:
    """Write all parts, by as many processes as there are cores; seconds of processor time for the tables."""
    PartWriter(str(directory))
    each = connections // (vantages * days)
    wanted = [HostDay(str(directory), v, d, each) for v in range(vantages) for d in range(days)]
    with get_context("spawn").Pool() as pool:
        return sum(pool.imap_unordered(written, wanted, 1))


def spent(*words: str | Path) -> Spent:
    """Run the command in a process of its own, its output thrown away."""
    began = time.monotonic()
    command = [sys.executable, "-m", "inspector", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise subprocess.CalledProcessError(process.returncode, command)
    return Spent(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def measured(folder: Path, vantages: int, days: int, connections: int) -> float:
    """Print what an estate costs; seconds of processor time for each connection of its analysis."""
    directory = folder / f"estate-{vantages}-{connections}"
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    tables = estate(directory, vantages, days, connections)
    made = time.monotonic() - began
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    analysis = spent("analyze", directory, "--fail-on", "never")
    asked = spent("query", directory, QUESTION, "-T", "csv")
    print(
        f"{vantages:>8}{connections:>12,}{made:>8.0f}{tables / connections * 1e6:>8.0f}{size / connections:>8.0f}"
        f"{analysis.seconds:>10.1f}{analysis.cpu / connections * 1e6:>8.0f}"
        f"{analysis.peak / 1e6:>9,.0f}{analysis.peak / connections:>8,.0f}"
        f"{asked.seconds:>8.1f}{asked.peak / 1e6:>8,.0f}",
        flush=True,
    )
    shutil.rmtree(directory)
    return analysis.cpu / connections


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_fleet", description="What an estate costs.")
    parser.add_argument("--connections", type=int, default=350_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--vantages", type=int, action="append", help="repeatable; 50")
    parser.add_argument("--share", type=float, action="append", help="of the connections; repeatable")
    parser.add_argument("--folder", type=Path, help="where the facts are written; a temporary one")
    options = parser.parse_args()
    print(
        f"{'hosts':>8}{'connections':>12}{'made s':>8}{'table µs':>8}{'bytes':>8}{'analyze s':>10}{'CPU µs':>8}"
        f"{'peak MB':>9}{'bytes':>8}{'query s':>8}{'MB':>8}"
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        costs = [
            measured(Path(folder), vantages, options.days, int(options.connections * share))
            for vantages in options.vantages or [50]
            for share in options.share or [0.5, 1]
        ]
    return 1 if max(costs) > MOST_GROWTH * min(costs[:-1], default=costs[0]) else 0


if __name__ == "__main__":
    sys.exit(main())
