"""For how many more processes like this one there is memory (proc(5), cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os.path import join

from inspector.system.control_groups import ControlGroup, control_groups, number_in, text_of


def copies_with_room(root: str = "/") -> int:
    """How many more processes like this one the machine, and each control group above this one, has memory left for:
    as much for each as this one takes for itself. Where nothing says so there are none. ``root``: where the file system
    begins.
    """
    try:
        _, resident, shared, *_ = map(int, text_of(join(root, "proc/self/statm")).split())
        left = [_field(join(root, "proc/meminfo"), "MemAvailable:") << 10]
        left += (most - _unreclaimable(group) for group, most in _limited(root))
    except (OSError, ValueError):
        return 0
    return max(min(left), 0) // (max(resident - shared, 1) * os.sysconf("SC_PAGE_SIZE"))


def _unreclaimable(group: ControlGroup) -> int:
    """Bytes of a control group but for what lies on a disk as well. Raises OSError, ValueError where that is not
    said.
    """
    used = number_in(group.file("memory.current", "memory.usage_in_bytes"))
    if used is None:
        raise ValueError(f"{group.folder} does not say what is used")
    statistics, whose = group.file("memory.stat", "memory.stat"), "" if group.is_second else "total_"
    return used - sum(_field(statistics, f"{whose}{name}_file") for name in ("active", "inactive"))


def _field(path: str, name: str) -> int:
    """A number behind its name. Raises OSError, ValueError where there is none."""
    for line in text_of(path).splitlines():
        words = line.split()
        if words[:1] == [name]:
            return int(words[1])
    raise ValueError(f"{path} does not say {name}")


def memory_limits(root: str) -> list[int]:
    """How many bytes this process's groups may take, each that is limited. ``root``: where the file system begins."""
    return [most for _, most in _limited(root)]


def _limited(root: str) -> Iterator[tuple[ControlGroup, int]]:
    for group in control_groups(root, "memory"):
        most = number_in(group.file("memory.max", "memory.limit_in_bytes"))
        if most is not None:
            yield group, most
