"""No core dumps: whoever holds keys leaves them in no file when it crashes (core(5), prctl(2))."""

from __future__ import annotations

import resource

from inspector.system.prctl import prctl

PR_SET_DUMPABLE = 4


def leave_no_core_dumps() -> None:
    """Of this process, for good; nor may other processes of the same user look into it (ptrace(2))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)
