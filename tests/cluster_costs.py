"""What tasks of a cluster take, and what is left to the process that joins them: each task says it of itself."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from inspector.capture.files import Story
from inspector.extract.processes import extract
from inspector.facts import Facts
from inspector.findings.judge import judge
from inspector.fleet import dask_cluster
from inspector.fleet.dask_cluster import DaskCluster
from inspector.fleet.extraction import FleetRecord, extract_fleet
from inspector.fleet.sequences import sequences
from inspector.fleet.tasks import FailedTask, Task, TaskResult, perform
from inspector.reports.json_stream import write_json

IDLE_SECONDS = 5


class TaskCost(msgspec.Struct):
    """One task, by the name of its class. ``seconds``: of processor time of its thread; ``wall``: on the clock.
    ``peak``: of the resident memory of its worker while it ran. ``read``: bytes that the worker read meanwhile;
    ``result``: bytes of what it found.
    """

    kind: str
    seconds: float
    wall: float
    peak: int
    read: int
    result: int


class ClusterCosts(msgspec.Struct):
    """What reading a number of captures took. Seconds are of processor time of this process, but for ``wall``.
    ``taking``: while tasks were under way, but for what the scheduler, which is in this process too, takes for as long
    when it has nothing to do (``idle``). ``joining``: behind that. ``judging``, ``writing``: the second half. ``peak``:
    of this process.
    """

    files: int
    bytes: int
    connections: int
    document: str
    read: int
    handed_over: int
    started: float
    idle: float
    taking: float
    joining: float
    judging: float
    writing: float
    wall: float
    peak: int
    tasks: list[TaskCost]


def resident() -> int:
    """The most memory that this process had resident, bytes (proc_pid_status(5))."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) << 10 if found else 0


def bytes_read() -> int:
    """By this process until now (proc_pid_io(5))."""
    return int(Path("/proc/self/io").read_text().split()[1])


COSTS: list[TaskCost] = []
"""What the tasks of this process took, where it is a worker."""


def costed(task: Task) -> TaskResult | FailedTask:
    """Do a task in this process, and note what it took."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of this task (proc_pid_clear_refs(5))
    read, wall, began = bytes_read(), time.monotonic(), time.thread_time()
    result = perform(task)
    seconds, wall, peak, read = time.thread_time() - began, time.monotonic() - wall, resident(), bytes_read() - read
    found = len(pickle.dumps(result, pickle.HIGHEST_PROTOCOL))
    COSTS.append(TaskCost(type(task).__name__, seconds, wall, peak, read, found))
    return result


def note_costs() -> None:
    """From now on, in this process."""
    vars(dask_cluster)["perform"] = costed


def noted_costs() -> list[TaskCost]:
    """Those of this process."""
    return COSTS


class CostedCluster(DaskCluster):
    """A cluster of which each task says what it took. ``taken``: processor time of this process when the last one was
    there.
    """

    taken = 0.0

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
        self.client.run(note_costs)
        for done in super().run(tasks):
            self.taken = time.process_time()
            yield done

    def costs(self) -> list[TaskCost]:
        """Of all tasks that were done."""
        return [cost for worker in self.client.run(noted_costs).values() for cost in worker]


def of_nothing() -> float:
    """What this process takes while it waits: seconds of processor time a second."""
    began = time.process_time()
    time.sleep(IDLE_SECONDS)
    return (time.process_time() - began) / IDLE_SECONDS


def by_cluster(paths: Sequence[str], workers: int) -> ClusterCosts:
    """Read captures by so many processes."""
    wall, began, record = time.monotonic(), time.process_time(), FleetRecord()
    captured = sequences(Story(paths))
    cluster = CostedCluster(f"local:{workers}")
    with cluster:
        idle = of_nothing()
        started, began_reading = time.process_time(), time.monotonic()
        facts = extract_fleet(captured, cluster.run, record=record)
        joined, idle = time.process_time(), idle * (time.monotonic() - began_reading)
        tasks = cluster.costs()
    costs = _judged(paths, facts, wall)
    costs.started, costs.idle = started - began, idle
    costs.taking, costs.joining = cluster.taken - started - idle, joined - cluster.taken
    costs.tasks, costs.read, costs.handed_over = tasks, record.bytes_read, record.bytes_handed_over
    return costs


def alone(paths: Sequence[str]) -> ClusterCosts:
    """Read captures by this process on one core, as one story."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    wall, read, began = time.monotonic(), bytes_read(), time.process_time()
    facts = extract(paths)
    extracted, read = time.process_time() - began, bytes_read() - read
    costs = _judged(paths, facts, wall)
    costs.joining, costs.read = extracted, read
    return costs


def _judged(paths: Sequence[str], facts: Facts, wall: float) -> ClusterCosts:
    """What the second half takes, the rest still to be said."""
    began = time.process_time()
    analysis = judge(facts)
    judged = time.process_time()
    with tempfile.TemporaryFile() as document:
        write_json(analysis, None, document, 1)
        written = time.process_time()
        document.seek(0)
        digest = hashlib.file_digest(document, "sha256").hexdigest()
    size = sum(os.path.getsize(path) for path in paths)
    judging, writing, wall = judged - began, written - judged, time.monotonic() - wall
    return ClusterCosts(
        len(paths), size, len(facts.connections), digest, 0, 0, 0, 0, 0, 0, judging, writing, wall, resident(), []
    )
