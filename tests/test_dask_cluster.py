"""The real thing: a scheduler and two workers of this machine; and what may be wrong with a cluster."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from inspector.capture.files import Story
from inspector.errors import UnreadableError, UsageError
from inspector.extract.processes import extract
from inspector.fleet import dask_cluster
from inspector.fleet.dask_cluster import DaskCluster, ProgramVersion, is_encrypted, perform_as, version_here
from inspector.fleet.extraction import FleetRecord, extract_fleet
from inspector.fleet.reading import extract_by_cluster
from inspector.fleet.sequences import sequences
from inspector.fleet.stretches import CaptureStretch
from inspector.fleet.tasks import FailedTask, JoinTask, KeptStretch, Task, TaskResult
from tests.conftest import find
from tests.fleet import crossing_story, cut, document
from tests.waiting import PATIENCE_SECONDS, until

Future = pytest.importorskip("distributed").Future
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    with DaskCluster("local:2") as started:
        yield started


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return cut(tmp_path_factory.mktemp("story"), crossing_story(), [90, 180, 270, 360, 450, 540])


def pids(cluster: DaskCluster) -> dict[str, int]:
    answers: dict[str, int] = cluster.client.run(os.getpid)
    return answers


def test_two_workers_say_what_one_process_says(cluster: DaskCluster, paths: list[str]) -> None:
    assert len({*pids(cluster).values(), os.getpid()}) == 3
    record = FleetRecord()
    facts = extract_fleet(sequences(Story(paths[::-1])), cluster.run, record=record)
    assert document(facts) == document(extract(paths))
    assert record.tasks >= len(paths)


def test_a_worker_that_is_killed_in_the_midst(cluster: DaskCluster, paths: list[str]) -> None:
    """It was stopped before its tasks began, and dies with them: they are done by the other, or by its successor."""
    failures: list[FailedTask] = []
    victim = next(iter(pids(cluster).values()))
    os.kill(victim, signal.SIGSTOP)

    def run(tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
        is_alive = len(tasks) == len(paths)
        for number, result in cluster.run(tasks):
            if is_alive:
                os.kill(victim, signal.SIGKILL)
                is_alive = False
            if isinstance(result, FailedTask):
                failures.append(result)
            yield number, result

    facts = extract_fleet(sequences(Story(paths)), run)
    assert document(facts) == document(extract(paths))
    assert failures
    assert {*failures} == {FailedTask("")}


def test_workers_that_die_with_what_they_found(cluster: DaskCluster, paths: list[str]) -> None:
    """All of them, before it is joined: it is read again by those that come in their place."""
    cluster.client.wait_for_workers(2, timeout=PATIENCE_SECONDS)
    killed: list[int] = []

    def run(tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
        if isinstance(tasks[0], JoinTask) and not killed:
            killed.extend(pids(cluster).values())
            for victim in killed:
                os.kill(victim, signal.SIGKILL)
        yield from cluster.run(tasks)

    assert document(extract_fleet(sequences(Story(paths)), run)) == document(extract(paths))
    assert len(killed) == 2
    assert not {*killed} & {*pids(cluster).values()}


def test_what_is_found_in_stretches_stays_with_workers(cluster: DaskCluster, paths: list[str]) -> None:
    """Until nobody wants it: then they forget it, also what they read again for those that were killed before."""
    kept: list[KeptStretch] = []

    def run(tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
        for number, result in cluster.run(tasks):
            if isinstance(result, KeptStretch):
                kept.append(result)
            yield number, result

    extract_fleet(sequences(Story(paths)), run)
    assert len(kept) == len(paths)
    assert {type(one.facts) for one in kept} == {Future}
    assert any(cluster.client.has_what().values())  # type: ignore[no-untyped-call]
    kept.clear()
    assert until(lambda: not any(cluster.client.has_what().values()))  # type: ignore[no-untyped-call]


def test_a_worker_of_another_version_is_refused(cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = min(pids(cluster))
    monkeypatch.setattr(dask_cluster, "VERSION", "9.9.9")
    with pytest.raises(UsageError, match=r"is Inspector .* on Python .*, and this is Inspector 9\.9\.9") as error:
        cluster.check()
    assert worker in str(error.value)
    with pytest.raises(UsageError, match="and this is"):  # one that came later
        list(cluster.run([CaptureStretch(("x",), 0)]))
    other = ProgramVersion("0.0.1", version_here().python)
    assert perform_as(other, CaptureStretch(("x",), 0)) == version_here()


def test_nobody_answers(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"--cluster {address}: no scheduler answers"):
            extract_by_cluster(paths, address)


@pytest.mark.parametrize("address", ["local:0", "local:many", "local:", "http://host:1", "host:8786", "local:1000"])
def test_what_is_no_address(address: str, paths: list[str]) -> None:
    with pytest.raises(UsageError, match="--cluster"):
        extract_by_cluster(paths, address)


def test_what_others_can_read() -> None:
    assert is_encrypted("local:2")
    assert is_encrypted("tls://host:8786")
    assert not is_encrypted("tcp://host:8786")


def test_standard_input_is_one_stream() -> None:
    with pytest.raises(UsageError, match="standard input"):
        extract_by_cluster(["-"], "local:2")


def test_paths_that_do_not_exist_are_said_before_a_cluster_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        extract_by_cluster([str(tmp_path / "missing.pcap")], "tcp://192.0.2.1:1")


def test_tls_without_certificates_is_one_error() -> None:
    with pytest.raises(UsageError, match="no certificates") as raised:
        extract_by_cluster([str(find("tickets"))], "tls://127.0.0.1:1")
    assert "CA_FILE" in raised.value.hint


def test_nobody_else_is_told_what_is_read(cluster: DaskCluster) -> None:
    """What listens of the scheduler and its workers speaks TLS, or answers nothing."""
    import urllib.error
    import urllib.request

    services = cluster.client.scheduler_info()["services"]
    for port in services.values():
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/info/main/workers.html", timeout=PATIENCE_SECONDS)
