"""Tasks done by Dask (``distributed``, of the extra ``fleet``): by a cluster that is there, or by processes of this
machine, which are started for it and speak TLS with certificates of their own.

A worker must be of this version, for what tasks and results hold is the program's own. Whoever reaches a scheduler can
have its workers run anything: that is Dask's affair, and why only ``tls://`` keeps others out.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from inspector.errors import UsageError
from inspector.fleet.stretches import CaptureStretch
from inspector.fleet.tasks import FailedTask, JoinTask, KeptStretch, Task, TaskResult, perform
from inspector.text.safe import safe_text
from inspector.text.version import VERSION

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

CONNECT_SECONDS = 10
WORKERS_SECONDS = 60
"""So long a cluster may take until it has a worker."""

LOOKS = 10
"""For processes of workers, in STARTED_SECONDS."""

STARTED_SECONDS = 0.3
"""Within it a process whose start another thread has begun is one that can be ended: left alone, it would complain that
its input ended.
"""

KILLED_SECONDS = 0.3
"""So long a process that was killed may take until it is gone."""

LOCAL_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""Tries are ours; and nobody else on this machine is told what is read."""

LOCAL = "local:"
REMOTE = ("tcp://", "tls://")
MOST_LOCAL = 256


class ProgramVersion(NamedTuple):
    """What two processes that exchange tasks must have in common."""

    program: str
    python: tuple[int, int]

    def __str__(self) -> str:
        return f"Inspector {self.program} on Python {self.python[0]}.{self.python[1]}"


def version_here() -> ProgramVersion:
    """That of this process."""
    return ProgramVersion(VERSION, (sys.version_info[0], sys.version_info[1]))


Done = TaskResult | FailedTask | ProgramVersion


def perform_as(version: ProgramVersion, task: Task) -> Done:
    """Do one task, or say which version this is, where it is another one."""
    here = version_here()
    return perform(task) if here == version else here


def join_as(version: ProgramVersion, task: JoinTask, kept: Sequence[KeptStretch | None]) -> Done:
    """Join a sequence. ``kept``: what stands in the task as futures."""
    return perform_as(version, task._replace(kept=tuple(kept)))


def without_facts(done: Done) -> Done:
    """That a stretch was read, without what was found in it."""
    return done._replace(facts=None) if isinstance(done, KeptStretch) else done


def is_encrypted(address: str) -> bool:
    """Whether what is sent to a cluster is encrypted on its way. Raises UsageError where this is no address of one."""
    return (address.startswith(LOCAL) and bool(_local_workers(address))) or _remote(address).startswith("tls://")


def _local_workers(address: str) -> int:
    count = address.removeprefix(LOCAL)
    if not count.isdigit() or not 0 < int(count) <= MOST_LOCAL:
        raise UsageError(f"--cluster {address}: not local:N with N from 1 to {MOST_LOCAL}")
    return int(count)


def _remote(address: str) -> str:
    if not address.startswith(REMOTE):
        raise UsageError(f"--cluster {address}: not tcp://HOST:PORT, tls://HOST:PORT or local:N")
    return address


class DaskCluster:
    """A context in which tasks are done so; ``run`` is a ``RunBy``."""

    def __init__(self, address: str) -> None:
        """``address``: of a scheduler, or ``local:N`` for N processes. Raises UsageError where it is none, or where
        Dask is not installed.
        """
        self._local = _local_workers(address) if address.startswith(LOCAL) else 0
        self._address = address if self._local else _remote(address)
        self._stack = ExitStack()
        try:
            import distributed  # noqa: F401 - an extra: most analyses need no cluster
        except ImportError:
            raise UsageError(
                f"--cluster {address}: needs Dask, which is not installed", "pip install 'vip-inspector[fleet]'"
            ) from None

    def __enter__(self) -> DaskCluster:
        """Connect. Raises UsageError where nobody answers, there are no workers, or they are of another version."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what fails is said once, by us
        with ExitStack() as stack:
            self.client = self._connected(stack)
            stack.callback(self.client.close)
            self.check()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _connected(self, stack: ExitStack) -> Client:
        import dask
        from distributed import Client, LocalCluster

        try:
            if not self._local:
                return Client(self._address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
            stack.enter_context(dask.config.set(LOCAL_SETTINGS))
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="inspector-workers-", ignore_cleanup_errors=True)
            )
            _begin_quiet_tracker()
            with _signals_for_this_thread():
                cluster = LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=0,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    local_directory=folder,
                    security=True,
                    silence_logs=logging.CRITICAL,
                )
                stack.push(_closing(cluster))
            cluster.scale(self._local)  # type: ignore[no-untyped-call]
            return Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        except TypeError:  # Dask has no certificates to speak TLS with
            raise UsageError(
                f"--cluster {self._address}: Dask has no certificates for TLS",
                "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__CLIENT__CERT and …__CLIENT__KEY name them",
            ) from None
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            what = "its processes do not start" if self._local else "no scheduler answers"
            raise UsageError(f"--cluster {self._address}: {what}: {safe_text(str(error))}") from None

    def check(self) -> None:
        """Raises UsageError where there is no worker, or one of another version."""
        try:
            self.client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            answers = self.client.run(version_here, on_error="return")
        except (OSError, TimeoutError) as error:
            raise UsageError(f"--cluster {self._address}: it has no worker: {safe_text(str(error))}") from None
        for worker, version in sorted(answers.items()):
            if version != version_here():
                self._refuse(worker, version)

    def _refuse(self, worker: str, version: object) -> None:
        what = str(version) if isinstance(version, ProgramVersion) else "without this program"
        raise UsageError(
            f"--cluster {self._address}: worker {safe_text(worker)} is {what}, and this is {version_here()}",
            "install the same version on all workers",
        )

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
        """Have tasks done. What was found in a stretch stays with the worker that read it, as long as anybody has the
        future that stands for it. Raises UsageError where the cluster is gone, or a worker of another version.
        """
        from distributed import as_completed

        futures = {future: (number, facts) for number, (future, facts) in enumerate(map(self._submitted, tasks))}
        try:
            for future in as_completed(futures, loop=self.client.loop):  # type: ignore[no-untyped-call]
                number, facts = futures.pop(future)
                result = self._result(future)
                yield number, result._replace(facts=facts) if isinstance(result, KeptStretch) else result
        finally:
            self.client.cancel(list(futures))  # type: ignore[no-untyped-call]

    def _submitted(self, task: Task) -> tuple[Future[Done], Future[Done] | None]:
        """What becomes of a task and, of a stretch, what was found in it."""
        version, submit = version_here(), self.client.submit
        if isinstance(task, JoinTask):
            kept = [one.facts if one is not None else None for one in task.kept]
            return submit(join_as, version, task._replace(kept=()), kept, pure=False), None
        done = submit(perform_as, version, task, pure=False)
        if isinstance(task, CaptureStretch):
            return submit(without_facts, done, pure=False), done
        return done, None

    def _result(self, future: Future[Done]) -> TaskResult | FailedTask:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            result = future.result()
        except KilledWorker as error:
            error.__traceback__ = None  # the client keeps the error: with these frames it would keep their futures
            return FailedTask("")
        except MemoryError:
            return FailedTask("", is_memory=True)
        except (CancelledError, FutureCancelledError, OSError) as error:
            raise UsageError(f"--cluster {self._address}: the scheduler is gone: {safe_text(str(error))}") from None
        except (ImportError, AttributeError) as error:  # what a task is, the worker does not know
            raise UsageError(
                f"--cluster {self._address}: a worker cannot take a task: {safe_text(str(error))}",
                "install the same version on all workers",
            ) from None
        if isinstance(result, ProgramVersion):
            self._refuse("", result)
            return FailedTask("")
        return result


@contextmanager
def _signals_for_this_thread() -> Iterator[None]:
    """What threads begin here, and processes that they start, are not sent the signals of a terminal: who was started
    by us is ended by us.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_quiet_tracker() -> None:
    """Python's own process that tidies up behind processes which were killed: it says nothing of it. It is begun here,
    for whoever begins it lets the signals of a terminal in again.
    """
    before = os.environ.get("PYTHONWARNINGS")
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ["PYTHONWARNINGS"] = f"{before},{quiet}" if before else quiet
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _closing(cluster: LocalCluster) -> Callable[[type[BaseException] | None, object, object], None]:
    """What ends workers of this machine. Where a signal ends the command they are not waited for."""

    def close(kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None or issubclass(kind, Exception):
            cluster.close()
            return
        if (loop := cluster.loop) is not None:
            loop.add_callback(loop.stop)  # else it starts others in their place
        for _ in range(LOOKS):
            for worker in multiprocessing.active_children():
                worker.kill()
                worker.join(KILLED_SECONDS)
            Event().wait(STARTED_SECONDS / LOOKS)

    return close
