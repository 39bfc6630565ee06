"""How many cores this process may keep busy (sched(7), cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os.path import dirname, join

from inspector.capture.control_groups import group_files, number_in, text_of


def usable_cores(root: str = "/") -> int:
    """Those that it may run on, but no more than its control groups give it the time of, a part of one counted as one.
    ``root``: where the file system begins.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min([cores, *_quotas(root)]), 1)


def _quotas(root: str) -> Iterator[int]:
    """Cores of which each group may use the time, where it is limited."""
    for path in group_files(root, "cpu", "cpu.max", "cpu.cfs_quota_us"):
        if path.endswith("cpu.max"):
            try:
                quota, _, period = text_of(path).strip().partition(" ")
            except OSError:
                continue
            time, each = (int(word) if word.isdecimal() else None for word in (quota, period))
        else:
            time, each = number_in(path), number_in(join(dirname(path), "cpu.cfs_period_us"))
        if time and each:
            yield -(-time // each)
