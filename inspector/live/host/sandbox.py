"""What a process that reads what strangers send may still do: Landlock for files and TCP, a filter of system calls for
the rest. Both hold for good, and for whatever it starts.

It is entered when everything is open. Then the loop reads its own program, the directories of the logs and key logs
that it follows, and writes where it was told to; it starts no program and connects to nobody. Where commands of others
are run (``--via``, ``--exec``) there is none, for they would have it too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from inspector.live.host import landlock, seccomp
from inspector.live.host.landlock import READ, RUN, WRITE, Access

LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
CLOCK = ("/etc/localtime", "/usr/share/zoneinfo")
DEVICES = {"/dev/null": Access.READ_FILE | Access.WRITE_FILE, "/dev/urandom": Access.READ_FILE}
KERNEL = ("/proc", "/sys")
"""Where libpcap looks for interfaces."""


class Confinement(NamedTuple):
    """``landlock``: the version of its ABI, 0 where the kernel has none. ``is_filtered``: system calls are."""

    landlock: int
    is_filtered: bool


def confine_loop(reads: Iterable[str], writes: Iterable[str], *, restarts_capture: bool) -> Confinement:
    """Of the loop. ``reads``, ``writes``: directories. ``restarts_capture``: it may start its own program again, to
    capture. Raises OSError.
    """
    abi = landlock.restrict(
        [
            *_program(RUN if restarts_capture else READ),
            *((path, READ) for path in CLOCK),
            *DEVICES.items(),
            *((path, READ) for path in (*(KERNEL if restarts_capture else ()), *reads)),
            *((path, WRITE) for path in writes),
        ]
    )
    return Confinement(abi, seccomp.refuse(starts_programs=restarts_capture, captures=restarts_capture))


def confine_capture() -> Confinement:
    """Of the process that captures, and hands on what it does not look into. Raises OSError."""
    abi = landlock.restrict([*_program(READ), *((path, READ) for path in (*CLOCK, *KERNEL)), *DEVICES.items()])
    return Confinement(abi, seccomp.refuse(starts_programs=False, captures=True))


def _program(access: Access) -> list[tuple[str, Access]]:
    """Where Python, its library and this program lie, and the libraries of the system. Where a checkout stands among
    other things, the names of those may be listed: that is how imports are looked for.
    """
    inner = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    around = os.path.dirname(inner)
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable))]
    imports = [path for path in sys.path if path and os.path.isdir(path) and path != around]
    return [(path, access) for path in (*places, *imports, inner, *LIBRARIES)] + [(around, Access.READ_DIR)]
