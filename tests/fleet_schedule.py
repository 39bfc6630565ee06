"""How long an estate would take with more workers than the machine has on which its tasks were measured: a simulation,
``python -m tests.fleet_schedule``. Its table stands in ``docs/fleet.md``; no speed-up was measured.

What is measured: of each task its processor time, what it reads and hands over (``tests.bench_cluster --costs``), and
what a connection costs as facts (``tests.bench_fleet --costs``). The captures of the estate are the measured ones, so
often that they hold as many connections; those of a host are a sequence. What is assumed (``Assumptions``): a worker
has a core as fast as those measured; tasks are handed out one after the other in their order, each to the first worker
that is free; files come from one file system that serves one read after the other; all are read before any sequence is
joined, and what was found in its files goes to the worker that joins it; facts are taken in by one process, one after
the other, and what follows is done by it alone. Nothing fails, nothing else runs.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench_fleet import AnalysisCost
from tests.cluster_costs import ClusterCosts

COSTS, FACTS_COSTS = Path(__file__).parent / "fleet_costs.json", Path(__file__).parent / "fleet_facts_costs.json"
WORKERS = (1, 2, 4, 8, 16, 32, 50, 100, 200)
CONNECTIONS = 5_000_000
HOSTS = 50
READING, JOINING = "CaptureStretch", "JoinTask"


class Assumptions(NamedTuple):
    """``dispatch_seconds``: that the scheduler takes for a task (Dask says some 200 µs to 1 ms). ``disk_bytes``: a
    second, that the file system serves to all together. ``network_bytes``: a second, that a worker takes from others.
    """

    dispatch_seconds: float = 0.001
    disk_bytes: float = 1e9
    network_bytes: float = 1e8


ASSUMED = Assumptions()


class WorkTask(NamedTuple):
    """``seconds``: of processor time. ``read``: bytes, of files. ``taking``: seconds that its result costs whoever
    takes it. ``moved``: bytes that come from other workers.
    """

    seconds: float
    read: int
    taking: float
    moved: float = 0


class Simulated(NamedTuple):
    """Seconds from the beginning: until all tasks are done, all results are taken, and everything is written."""

    tasks: float
    taken: float
    whole: float


def simulated(stages: Sequence[Sequence[WorkTask]], workers: int, behind: float, assumed: Assumptions) -> Simulated:
    """List scheduling. ``stages``: the tasks of one begin when all of the one before are done. ``behind``: seconds of
    what follows the last result.
    """
    scheduler = disk = begin = 0.0
    done: list[tuple[float, float]] = []
    for tasks in stages:
        free = [begin] * workers
        for task in tasks:
            at = heapq.heappop(free)
            scheduler = max(at, scheduler) + assumed.dispatch_seconds
            disk = max(scheduler, disk) + task.read / assumed.disk_bytes
            end = disk + task.moved / assumed.network_bytes + task.seconds
            heapq.heappush(free, end)
            done.append((end, task.taking))
        begin = max(free)
    taken = 0.0
    for end, seconds in sorted(done):
        taken = max(taken, end) + seconds
    return Simulated(begin, taken, taken + behind)


class Estate(NamedTuple):
    """So many connections by what some captures and facts cost. ``stages``: files are read, then sequences joined.
    ``behind``: seconds of one process when it has all results; ``host_seconds``: of a host that extracts what it
    captured; ``facts_seconds``: of one process that has the facts of all hosts.
    """

    stages: list[list[WorkTask]]
    behind: float
    host_seconds: float
    facts_seconds: float

    @property
    def one_process_share(self) -> float:
        """Of all processor time by a cluster, what only one process does."""
        tasks = [task for stage in self.stages for task in stage]
        alone = self.behind + sum(task.taking for task in tasks)
        return alone / (alone + sum(task.seconds for task in tasks))


def estate(captures: ClusterCosts, facts: AnalysisCost, connections: int = CONNECTIONS, hosts: int = HOSTS) -> Estate:
    """An estate of so many connections."""
    times = connections / captures.connections
    measured, joins = ([task for task in captures.tasks if task.kind == kind] for kind in (READING, JOINING))
    reading = [WorkTask(task.seconds, task.read, 0) for task in islice(cycle(measured), round(len(measured) * times))]
    joining = times * sum(task.seconds for task in joins) / hosts
    moved = times * sum(task.result for task in measured) / hosts
    of_facts = connections / facts.connections
    extracting = sum(task.seconds for task in reading) / hosts + joining + facts.tables * of_facts / hosts
    return Estate(
        [reading, [WorkTask(joining, 0, captures.taking * times / hosts, moved)] * hosts],
        (captures.joining + captures.judging + captures.writing) * times,
        extracting,
        (facts.reading + facts.judging + facts.writing) * of_facts,
    )


def with_hosts(of: Estate, hosts: int, workers: int, assumed: Assumptions) -> Simulated:
    """Each host extracts its captures by one process, from a disk of its own; so many of them at once. One process has
    the facts then.
    """
    return simulated([[WorkTask(of.host_seconds, 0, 0)] * hosts], workers, of.facts_seconds, assumed)


def table(of: Estate, assumed: Assumptions = ASSUMED, hosts: int = HOSTS) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield "| workers | tasks done, s | all written, s | times as fast | efficiency | hosts extract, then `analyze`, s |"
    yield "|---:|---:|---:|---:|---:|---:|"
    alone = simulated(of.stages, 1, of.behind, assumed).whole
    for workers in WORKERS:
        by_cluster = simulated(of.stages, workers, of.behind, assumed)
        faster = alone / by_cluster.whole
        by_hosts = with_hosts(of, hosts, workers, assumed).whole
        yield (
            f"| {workers} | {by_cluster.tasks:,.0f} | {by_cluster.whole:,.0f} | {faster:.2f}"
            f" | {100 * faster / workers:.0f} % | {by_hosts:,.0f} |"
        )


def measured_estate() -> Estate:
    """That of the figures which are kept beside this."""
    captures = msgspec.json.decode(COSTS.read_bytes(), type=ClusterCosts)
    return estate(captures, msgspec.json.decode(FACTS_COSTS.read_bytes(), type=AnalysisCost))


def main() -> int:
    of = measured_estate()
    print("\n".join(table(of)))
    share = of.one_process_share
    print(
        f"\none process alone does {100 * share:.0f} % of the work of a cluster: at most {1 / share:.1f} times as fast"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
