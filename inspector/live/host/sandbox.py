"""What a process that reads what strangers send may still do: Landlock for files and TCP, a filter of system calls for
the rest. Both hold for good, and for whatever it starts.

It is entered when everything is open. Then the loop reads its own program, the directories of the logs and key logs
that it follows, and writes where it was told to; it starts no program and connects to nobody. What it needs started
another process starts: see ``live.sources.starter``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from inspector.live.host import landlock, seccomp
from inspector.live.host.landlock import READ, RUN, WRITE, Access

LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
CLOCK = ("/etc/localtime", "/usr/share/zoneinfo")
DEVICES = {"/dev/null": Access.READ_FILE | Access.WRITE_FILE, "/dev/urandom": Access.READ_FILE}
KERNEL = ("/proc", "/sys")
"""Where libpcap looks for interfaces."""

CAPTURING = (socket.AF_PACKET, socket.AF_NETLINK)
"""Sockets by which interfaces are opened, and asked for what they are."""

STARTING = ("execve", "sendmsg", "bind")
"""To run what captures, hand on its descriptors, and have it bind itself to an interface."""

ACCEPTING = ("accept", "accept4")
"""To answer whoever connects; the socket was bound, and listens, before."""


class Confinement(NamedTuple):
    """``landlock``: the version of its ABI, 0 where the kernel has none. ``is_filtered``: system calls are."""

    landlock: int
    is_filtered: bool


def confine_loop(reads: Iterable[str], writes: Iterable[str], *, accepts: bool = False) -> Confinement:
    """Of the loop. ``reads``, ``writes``: directories. ``accepts``: connections, on a socket that listens already.
    Raises OSError.
    """
    abi = landlock.restrict(
        [
            *_program(READ),
            *((path, READ) for path in (*CLOCK, *reads)),
            *DEVICES.items(),
            *((path, WRITE) for path in writes),
        ]
    )
    return Confinement(abi, seccomp.refuse(ACCEPTING if accepts else (), ()))


def confine_starter() -> Confinement:
    """Of the process that starts what captures, and may run Python and this program alone. Raises OSError."""
    abi = landlock.restrict([*_program(RUN), *((path, READ) for path in (*CLOCK, *KERNEL)), *DEVICES.items()])
    return Confinement(abi, seccomp.refuse(STARTING, CAPTURING))


def confine_capture() -> Confinement:
    """Of the process that captures, and hands on what it does not look into. Raises OSError."""
    abi = landlock.restrict([*_program(READ), *((path, READ) for path in (*CLOCK, *KERNEL)), *DEVICES.items()])
    return Confinement(abi, seccomp.refuse(("bind",), CAPTURING))


def tried() -> Confinement:
    """What holds here: a copy of this process is confined, and ends. Raises OSError."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        answer = [0, 0, 0]
        try:
            answer[:2] = confine_capture()
        except OSError as error:
            answer[2] = error.errno or 0
        finally:
            os.write(writing, bytes(answer))
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as replies:
        abi, is_filtered, problem = replies.read()
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    if problem:
        raise OSError(problem, os.strerror(problem))
    return Confinement(abi, bool(is_filtered))


def _program(access: Access) -> list[tuple[str, Access]]:
    """Where Python, its library and this program lie, and the libraries of the system. Where a checkout stands among
    other things, the names of those may be listed: that is how imports are looked for. Of the directory that this was
    started in, which ``python -m`` looks into as well, not even that.
    """
    inner = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    around = os.path.dirname(inner)
    of_others = {around, _started_in()} - {os.path.dirname(os.path.dirname(msgspec.__file__))}
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable))]
    imports = [path for path in sys.path if path and os.path.isdir(path) and path not in of_others]
    return [(path, access) for path in (*places, *imports, inner, *LIBRARIES)] + [(around, Access.READ_DIR)]


def _started_in() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
