"""Work in a copy of the process: what it wrote, what it takes with it, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from typing import BinaryIO

import pytest

from inspector.reports.forked_job import ForkedJob
from tests.waiting import until

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only")


def over(job: ForkedJob) -> ForkedJob:
    assert until(lambda: not job.is_running())
    return job


def test_what_is_written_is_there_when_it_is_over() -> None:
    """Far more than a pipe would hold, without anybody who reads meanwhile."""
    job = over(ForkedJob(lambda out: out.write(b"x" * (8 << 20))))
    assert job.has_succeeded()
    job.output.seek(0)
    assert len(job.output.read()) == 8 << 20
    job.drop()
    assert job.output.closed


def raises(out: BinaryIO) -> None:
    out.write(b"half")
    raise RuntimeError


def dies(out: BinaryIO) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("work", [raises, dies])
def test_a_copy_that_fails_says_so(work: object, capfd: pytest.CaptureFixture[str]) -> None:
    assert callable(work)
    job = over(ForkedJob(work))
    assert not job.has_succeeded()
    job.drop()
    assert capfd.readouterr() == ("", "")


def test_what_nobody_wants_ends() -> None:
    job = ForkedJob(lambda out: time.sleep(600), nice=5)
    assert job.is_running()
    job.drop()
    with pytest.raises(ChildProcessError):
        os.waitpid(job._process, os.WNOHANG)


def test_whom_somebody_else_waited_for_has_not_succeeded() -> None:
    job = ForkedJob(lambda out: None)
    os.waitpid(job._process, 0)
    assert not job.is_running()
    assert not job.has_succeeded()
    job.drop()


def begins_and_stays(out: BinaryIO) -> None:
    out.write(b".")
    out.flush()
    time.sleep(600)


def test_the_copy_ends_by_signals_as_any_process_does() -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        job = ForkedJob(begins_and_stays)
        assert until(lambda: os.fstat(job.output.fileno()).st_size)
        os.kill(job._process, signal.SIGTERM)
        assert not over(job).has_succeeded()
        job.drop()
    finally:
        signal.signal(signal.SIGTERM, before)
