"""How many cores a process may keep busy, by what a control group gives it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inspector.system.cores import usable_cores

SECOND = "proc/self/cgroup", "0::/a/b\n"
FIRST = "proc/self/cgroup", "4:cpu,cpuacct:/a\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ((), 8),
        ((SECOND,), 8),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")), 8),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n")), 2),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n")), 2),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "5000 100000\n")), 1),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "9900000 100000\n")), 8),
        ((SECOND, ("sys/fs/cgroup/a/cpu.max", "300000 100000\n"), ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")), 3),
        ((SECOND, ("sys/fs/cgroup/c/cpu.max", "100000 100000\n")), 8),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "garbage")), 8),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "100000 0\n")), 8),
        ((SECOND, ("sys/fs/cgroup/a/b/cpu.max", "")), 8),
        ((FIRST, ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n")), 8),
        (
            (
                FIRST,
                ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n"),
                ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
            ),
            4,
        ),
        ((FIRST, ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n")), 8),
    ],
)
def test_no_more_cores_than_a_group_gives_time_of(
    files: tuple[tuple[str, str], ...], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    for name, text in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert usable_cores(str(tmp_path)) == cores
