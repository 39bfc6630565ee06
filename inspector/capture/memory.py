"""For how many more processes like this one there is memory (proc(5), cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os.path import basename, dirname, join

from inspector.capture.control_groups import group_files, number_in, text_of


def copies_with_room(root: str = "/") -> int:
    """How many more processes like this one the machine, and each control group above this one, has memory left for:
    as much for each as this one takes for itself. Where nothing says so there are none. ``root``: where the file system
    begins.
    """
    try:
        _, resident, shared, *_ = map(int, text_of(join(root, "proc/self/statm")).split())
        left = [_field(join(root, "proc/meminfo"), "MemAvailable:") << 10]
        for limit in memory_limits(root):
            most = number_in(limit)
            if most is not None:
                left.append(most - _unreclaimable(limit))
    except (OSError, ValueError):
        return 0
    return max(min(left), 0) // (max(resident - shared, 1) * os.sysconf("SC_PAGE_SIZE"))


def _unreclaimable(limit: str) -> int:
    """Bytes of a control group but for what lies on a disk as well. ``limit``: the file of its limit. Raises OSError,
    ValueError where that is not said.
    """
    is_second = basename(limit) == "memory.max"
    used = number_in(join(dirname(limit), "memory.current" if is_second else "memory.usage_in_bytes"))
    if used is None:
        raise ValueError(f"{limit} does not say what is used")
    statistics, whose = join(dirname(limit), "memory.stat"), "" if is_second else "total_"
    return used - sum(_field(statistics, f"{whose}{name}_file") for name in ("active", "inactive"))


def _field(path: str, name: str) -> int:
    """A number behind its name. Raises OSError, ValueError where there is none."""
    for line in text_of(path).splitlines():
        words = line.split()
        if words[:1] == [name]:
            return int(words[1])
    raise ValueError(f"{path} does not say {name}")


def memory_limits(root: str) -> Iterator[str]:
    """The files in which the limits of this process's groups stand. ``root``: where the file system begins."""
    return group_files(root, "memory", "memory.max", "memory.limit_in_bytes")
