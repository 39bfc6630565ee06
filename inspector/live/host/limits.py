"""What the system lets a capture have, of files and of memory: what will not do for days is named before it is met
(getrlimit(2), cgroups(7)).
"""

from __future__ import annotations

import resource
from typing import NamedTuple

from inspector.system.memory import memory_limits

LEAST_FILES = 64
"""Sources, logs, a journal and its files, a recording, evidence, commands: some dozens at once."""

LEAST_MEMORY = 192 << 20
"""Of both processes, with what is remembered of days."""

LEAST_ADDRESSES = 512 << 20
"""Libraries take addresses that are never used."""


class Scarcity(NamedTuple):
    """``limit``: its name. ``has``: files, or bytes; and what it should be at ``least``."""

    limit: str
    has: int
    least: int


def scarce(root: str = "/") -> list[Scarcity]:
    """The limits that are too low, those of control groups above this process too. ``root``: where the file system
    begins.
    """
    scarcities = [
        Scarcity("open files (ulimit -n, LimitNOFILE=)", _rlimit(resource.RLIMIT_NOFILE), LEAST_FILES),
        Scarcity("address space (ulimit -v, LimitAS=)", _rlimit(resource.RLIMIT_AS), LEAST_ADDRESSES),
        Scarcity("data (ulimit -d, LimitDATA=)", _rlimit(resource.RLIMIT_DATA), LEAST_MEMORY),
    ]
    groups = [*memory_limits(root)]
    if groups:
        scarcities.append(Scarcity("memory (the control group's, MemoryMax=)", min(groups), LEAST_MEMORY))
    return [one for one in scarcities if one.has < one.least]


def _rlimit(kind: int) -> int:
    soft, _ = resource.getrlimit(kind)
    return soft if soft != resource.RLIM_INFINITY else 1 << 63


def as_text(one: Scarcity) -> str:
    """One as text."""
    if one.least == LEAST_FILES:
        return f"few {one.limit}: {one.has}, and a capture of days may need {one.least}"
    return f"little {one.limit}: {one.has >> 20} MiB, and a capture of days may need {one.least >> 20} MiB"
