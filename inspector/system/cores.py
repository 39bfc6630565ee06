"""How many cores this process may keep busy (sched(7), cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os.path import join

from inspector.system.control_groups import control_groups, number, number_in, text_of


def usable_cores(root: str = "/") -> int:
    """Those that it may run on, but no more than its control groups give it the time of, a part of one counted as one.
    ``root``: where the file system begins.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min([cores, *_quotas(root)]), 1)


def _quotas(root: str) -> Iterator[int]:
    """Cores of which each group may use the time, where it is limited."""
    for group in control_groups(root, "cpu"):
        time, each = _time_of_each(group.folder) if group.is_second else _time_of_each_of_first(group.folder)
        if time and each:
            yield -(-time // each)


def _time_of_each(folder: str) -> tuple[int | None, int | None]:
    """How much time of how much, of all cores together."""
    try:
        quota, period = text_of(join(folder, "cpu.max")).split()
    except (OSError, ValueError):
        return None, None
    return number(quota), number(period)


def _time_of_each_of_first(folder: str) -> tuple[int | None, int | None]:
    """The same in cgroup 1."""
    return number_in(join(folder, "cpu.cfs_quota_us")), number_in(join(folder, "cpu.cfs_period_us"))
