"""``kill -9`` at random moments under load; ``python -m tests.killing`` does it fifty times."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.ended import Run
from tests.killing import killed
from tests.live import WATCH
from tests.waiting import until


def test_a_journal_survives_kills_at_random(tmp_path: Path) -> None:
    """With all that was in it. How much of the last second is missing is measured where nothing else runs
    (docs/reference/live.md).
    """
    chance = random.Random(18)
    for _ in range(5):
        one = killed(tmp_path / "j.sqlite", chance.uniform(0.3, 2.5))
        assert 0 < one.kept <= one.sent


def captures(run: Run, journal: Path) -> bool:
    return len(run.left()) == 2 and journal.exists()


def test_who_captures_ends_with_a_watch_that_is_killed(tmp_path: Path) -> None:
    """And with one that is killed together with it the journal is as whole."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root, to capture")
    journal = tmp_path / "j.sqlite"
    for together in (False, True):
        words = [*WATCH, "-i", "lo", "--journal", str(journal)]
        with Run(words, stdout=subprocess.DEVNULL) as run:
            assert until(partial(captures, run, journal))
            if together:
                for process in (run.process.pid, *run.left()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            assert run.end(signal.SIGKILL) == -signal.SIGKILL
            assert run.is_alone(), "nobody is left"
