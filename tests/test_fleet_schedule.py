"""The simulation of a schedule: what is known of some schedules, and that the docs show what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet_schedule import (
    Assumptions,
    WorkTask,
    estate,
    main as printed,
    measured_estate,
    simulated,
    table,
    with_hosts,
)

DOCS = Path(__file__).parent.parent / "docs" / "fleet.md"
IDEAL = Assumptions(dispatch_seconds=0, disk_bytes=float("inf"), network_bytes=float("inf"))
EVEN = [WorkTask(1.0, 100, 0.0)] * 12


@pytest.mark.parametrize(("workers", "seconds"), [(1, 12), (2, 6), (3, 4), (5, 3), (12, 1), (100, 1)])
def test_even_tasks(workers: int, seconds: float) -> None:
    assert simulated([EVEN], workers, 0, IDEAL) == (seconds, seconds, seconds)


def test_a_free_worker_takes_the_next_task() -> None:
    tasks = [WorkTask(seconds, 0, 0) for seconds in (3, 1, 1, 1, 2)]
    assert simulated([tasks], 2, 0, IDEAL).whole == 5


def test_what_follows_is_not_shared() -> None:
    assert simulated([EVEN], 12, 30, IDEAL) == (1, 1, 31)


def test_results_are_taken_one_after_the_other() -> None:
    tasks = [WorkTask(1.0, 0, 0.5)] * 12
    assert simulated([tasks], 12, 0, IDEAL) == (1, 7, 7)
    assert simulated([tasks], 1, 0, IDEAL) == (12, 12.5, 12.5), "meanwhile the next task is done"


def test_a_stage_waits_for_the_one_before() -> None:
    assert simulated([EVEN, EVEN], 5, 0, IDEAL).tasks == 6
    moved = [task._replace(moved=50) for task in EVEN]
    assert simulated([EVEN, moved], 12, 0, IDEAL._replace(network_bytes=10)).tasks == 1 + 6


def test_a_file_system_serves_one_read_after_the_other() -> None:
    assert simulated([EVEN], 12, 0, IDEAL._replace(disk_bytes=100)).tasks == 13
    assert simulated([EVEN], 1, 0, IDEAL._replace(disk_bytes=100)).tasks == 24


def test_a_scheduler_hands_out_one_task_after_the_other() -> None:
    assert simulated([EVEN], 12, 0, IDEAL._replace(dispatch_seconds=0.5)).tasks == 7


@pytest.mark.parametrize("workers", [1, 2, 7, 64, 200])
def test_bounds_of_the_measured_estate(workers: int) -> None:
    """No schedule is shorter than its work, nor longer than Graham's bound, all that is serial added."""
    of, assumed = measured_estate(), Assumptions()
    tasks = [task for stage in of.stages for task in stage]
    work = sum(task.seconds + task.moved / assumed.network_bytes for task in tasks)
    longest = sum(max(task.seconds + task.moved / assumed.network_bytes for task in stage) for stage in of.stages)
    serial = sum(t.read / assumed.disk_bytes + assumed.dispatch_seconds + t.taking for t in tasks)
    whole = simulated(of.stages, workers, of.behind, assumed)
    assert work / workers <= whole.tasks <= whole.taken <= work / workers + longest + serial
    assert whole.whole == whole.taken + of.behind
    assert simulated(of.stages, 1, of.behind, assumed).whole / whole.whole <= 1 / of.one_process_share + 1


def test_hosts_beyond_their_number_do_not_help() -> None:
    of = measured_estate()
    assert with_hosts(of, 50, 200, IDEAL) == with_hosts(of, 50, 50, IDEAL)
    assert with_hosts(of, 50, 25, IDEAL).tasks == pytest.approx(2 * of.host_seconds)


def test_an_estate_grows_with_its_connections() -> None:
    import msgspec

    from tests.bench_fleet import AnalysisCost
    from tests.cluster_costs import ClusterCosts
    from tests.fleet_schedule import COSTS, FACTS_COSTS, JOINING, READING

    captures = msgspec.json.decode(COSTS.read_bytes(), type=ClusterCosts)
    facts = msgspec.json.decode(FACTS_COSTS.read_bytes(), type=AnalysisCost)
    once = estate(captures, facts, captures.connections)
    twice = estate(captures, facts, 2 * captures.connections)
    read, joined = (sum(task.kind == kind for task in captures.tasks) for kind in (READING, JOINING))
    assert len(twice.stages[0]) == 2 * len(once.stages[0]) == 2 * read
    assert read + joined == len(captures.tasks)
    assert sum(task.taking for task in once.stages[1]) == pytest.approx(captures.taking)
    assert twice.behind == pytest.approx(2 * once.behind)
    assert twice.facts_seconds == pytest.approx(2 * once.facts_seconds)


def test_the_docs_show_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    printed()
    lines = capsys.readouterr().out.splitlines()
    shown = DOCS.read_text(encoding="utf-8")
    assert "\n".join(table(measured_estate())) in shown
    share = lines[-1].split("%")[0].split()[-1]
    assert f"{share} %" in shown
