"""A synthetic estate, and what it costs to ask it: ``python -m tests.bench_fleet --connections 5000000``. Figures, not
a test.

Fifty compilers write a part of facts for each of seven days, made of facts and not of packets; all of it is read,
judged, written as a document and asked in SQL, in processes of their own. ``--share 0.25 --share 0.5 --share 1``: how
cost grows, with the number of connections; ``--vantages 5 --vantages 50``: and with the number of hosts. Exit status 1
where a connection more costs over a tenth more than before. Nothing takes more memory than ``--memory`` says: what
would need more ends with an error. ``--processes 2``: so many read and write.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from inspector.extract.processes import extract
from inspector.extract.tables import PartWriter, read_tables
from inspector.extract.tables.inputs import Origin, PartPlan
from inspector.extract.tables.manifest import InputFile
from inspector.facts import ConnectionFacts, Facts
from inspector.findings.judge import judge
from inspector.reports.json_stream import write_json
from inspector.text.times import DAY_NS
from tests.bench_facts import Replay, replayed
from tests.cluster_costs import bytes_read, resident
from tests.conftest import find

MOST_GROWTH = 1.1
QUESTION = """
    SELECT vantage, day, certificate, count(*), median(answer_ns), avg((outcome = 'aborted')::int)
    FROM connections GROUP BY ALL ORDER BY ALL
"""
LEGEND = """\
Of each connection: microseconds of processor time, bytes.
table     to write it into tables; disk: what it takes there; part: peak memory of a process that makes a part, MB
read      to read it again, each value checked, the captures of all hosts in one order; judge, write: as JSON
whole     of read, judge and write; growth: of that over the line before, 1 is linear
peak      memory of the first process that does these, MB, and for a connection; in: bytes read of those on the disk
query     one question in SQL of all connections, in a process of its own: seconds on the clock, peak MB
"""


class HostDay(NamedTuple):
    """What one compiler sees in one day, and where it is written."""

    directory: str
    vantage: int
    day: int
    connections: int


class WrittenPart(NamedTuple):
    """``seconds``: of processor time that writing took. ``peak``: bytes of resident memory."""

    seconds: float
    peak: int


class AnalysisCost(msgspec.Struct):
    """Of a directory of facts; seconds of processor time, bytes. ``tables``: to write it. ``first_reading``,
    ``first_writing``: of these in the first process, whose memory and bytes are told.
    """

    connections: int
    reading: float
    judging: float
    writing: float
    wall: float
    peak: int
    read: int
    tables: float = 0
    first_reading: float = 0
    first_writing: float = 0


class QueryCost(NamedTuple):
    """``wall``: seconds on the clock. ``peak``: bytes of resident memory."""

    wall: float
    peak: int


def facts_of(wanted: HostDay) -> Facts:
    """A compiler asks all day; its agents are its own, the pool is everybody's."""
    recorded = extract([str(find("jdk17-abort"))])
    seeds = [recorded.unpack(packed) for packed in recorded.connections]
    length = max(c.last_ns for c in seeds) - min(c.first_ns for c in seeds)
    replays = -(-wanted.connections // len(seeds))
    apart = max((DAY_NS - length) // replays, 1)
    same = {digest: digest for digest in recorded.certificates}
    host = f"compiler{wanted.vantage}"
    first_ns = min(c.first_ns for c in seeds) + wanted.day * DAY_NS
    whole = Facts(
        captures=[
            replace(
                recorded.captures[0],
                path=f"{host}-{wanted.day}.pcap",
                host=host,
                first_ns=first_ns,
                last_ns=first_ns + DAY_NS,
            )
        ],
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


def written(wanted: HostDay) -> WrittenPart:
    """Make and write a part."""
    facts = facts_of(wanted)
    began = time.process_time()
    vantage = f"compiler{wanted.vantage}"
    day = InputFile(vantage, "", "capture", 0, 0, str(wanted.day))
    PartWriter(wanted.directory).write(facts, PartPlan((day,), ()), Origin(vantage, True, ""))
    return WrittenPart(time.process_time() - began, resident())


def estate(directory: Path, vantages: int, days: int, connections: int) -> list[WrittenPart]:
    """Write all parts, by as many processes as there are cores; what that took is kept beside them, and they are not
    written again.
    """
    beside = directory.with_suffix(".json")
    if not beside.exists():
        shutil.rmtree(directory, ignore_errors=True)
        PartWriter(str(directory))
        each = connections // (vantages * days)
        wanted = [HostDay(str(directory), v, d, each) for v in range(vantages) for d in range(days)]
        with get_context("spawn").Pool() as pool:
            parts = list(pool.imap_unordered(written, wanted, 1))
        beside.write_bytes(msgspec.json.encode(parts))
    return msgspec.json.decode(beside.read_bytes(), type=list[WrittenPart])


class Spent(NamedTuple):
    """Seconds of processor time so far: of this process, and of its copies that have ended."""

    first: float
    copies: float


def spent() -> Spent:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(time.process_time(), children.ru_utime + children.ru_stime)


def analysis_cost(directory: str, processes: int) -> AnalysisCost:
    """Analyse a directory of facts in this process and copies of it, as the command does."""
    gc.disable()
    wall, began, before = time.monotonic(), spent(), bytes_read()
    facts = read_tables(directory, processes)
    has_read, read = spent(), bytes_read() - before
    analysis = judge(facts)
    judged = spent()
    with open(os.devnull, "wb") as out:
        write_json(analysis, None, out, processes)
    end = spent()
    return AnalysisCost(
        connections=len(facts.connections),
        reading=sum(has_read) - sum(began),
        judging=sum(judged) - sum(has_read),
        writing=sum(end) - sum(judged),
        wall=time.monotonic() - wall,
        peak=resident(),
        read=read,
        first_reading=has_read.first - began.first,
        first_writing=end.first - judged.first,
    )


def query_cost(directory: Path) -> QueryCost:
    """Ask all connections in a process of its own, the answer thrown away."""
    began = time.monotonic()
    command = [sys.executable, "-m", "inspector", "query", str(directory), QUESTION, "-T", "csv"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return QueryCost(time.monotonic() - began, usage.ru_maxrss << 10)


def measured(
    folder: Path, vantages: int, days: int, connections: int, processes: int, *, before: AnalysisCost | None
) -> AnalysisCost:
    """Print what an estate costs. ``before``: that of the line before."""
    directory = folder / f"estate-{vantages}-{connections}"
    began = time.monotonic()
    parts = estate(directory, vantages, days, connections)
    made = time.monotonic() - began
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    command = [sys.executable, "-m", "tests.bench_fleet", "--processes", str(processes), "--one", str(directory)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    cost = msgspec.json.decode(done.stdout, type=AnalysisCost)
    cost.tables = sum(part.seconds for part in parts)
    asked = query_cost(directory)
    count = cost.connections
    if count != connections // (vantages * days) * vantages * days:  # a part for which there was no memory is left out
        raise MemoryError(f"{count:,} connections were read")
    growth = _each(cost) / _each(before) if before else 0
    print(
        f"{vantages:>8}{count:>12,}{made:>8.0f}{cost.tables / count * 1e6:>8.1f}"
        f"{size / count:>8.0f}{max(part.peak for part in parts) / 1e6:>8.0f}{cost.reading / count * 1e6:>8.1f}"
        f"{cost.judging / count * 1e6:>8.1f}{cost.writing / count * 1e6:>8.1f}{_each(cost) * 1e6:>8.1f}"
        f"{growth:>8.2f}{cost.wall:>8.0f}{cost.peak / 1e6:>8,.0f}{cost.peak / count:>8,.0f}"
        f"{cost.read / size:>8.3f}{asked.wall:>8.1f}{asked.peak / 1e6:>8,.0f}",
        flush=True,
    )
    if processes > 1:
        reading, writing = cost.first_reading / count * 1e6, cost.first_writing / count * 1e6
        print(
            f"    of these in the first of {processes} processes: read {reading:.1f}, write {writing:.1f}", flush=True
        )
    return cost


def _each(cost: AnalysisCost) -> float:
    """Seconds of processor time for each connection of an analysis."""
    return (cost.reading + cost.judging + cost.writing) / cost.connections


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_fleet", description="What an estate costs.")
    parser.add_argument("--connections", type=int, default=350_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--vantages", type=int, action="append", help="repeatable; 50")
    parser.add_argument("--share", type=float, action="append", help="of the connections; repeatable; 0.2 and 1")
    parser.add_argument("--folder", type=Path, help="where facts are written, and left; a temporary one")
    parser.add_argument("--processes", type=int, default=1, help="that read and write; 1")
    parser.add_argument("--memory", type=int, default=14, help="gigabytes that a process may take at most")
    parser.add_argument("--costs", type=Path, help="where what was measured last is written, as JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parsed()
    if options.one:
        sys.stdout.buffer.write(msgspec.json.encode(analysis_cost(options.one, options.processes)))
        return 0
    resource.setrlimit(resource.RLIMIT_DATA, (options.memory * 10**9, resource.RLIM_INFINITY))
    print(LEGEND)
    print("   hosts connections    made   table    disk    part    read   judge   write", end="")
    print("   whole  growth    wall    peak    each      in   query      MB")
    costs: list[AnalysisCost] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for vantages in options.vantages or [50]:
            for share in options.share or [0.2, 1]:
                before, count = costs[-1] if costs else None, int(options.connections * share)
                costs.append(measured(folder, vantages, options.days, count, options.processes, before=before))
    if options.costs:
        options.costs.write_bytes(msgspec.json.format(msgspec.json.encode(costs[-1]), indent=1))
    each = [*map(_each, costs)]
    return 1 if max(each) > MOST_GROWTH * min(each[:-1], default=each[0]) else 0


if __name__ == "__main__":
    sys.exit(main())
