"""Rights given up for good: another user, no capabilities but those named, and no way to gain any (prctl(2),
capabilities(7)).

A capture needs CAP_NET_RAW; whoever parses what strangers send needs nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from inspector.errors import UsageError
from inspector.system.prctl import no_new_privileges, prctl

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_RAW = 1, 2, 13
LAST_CAPABILITY = 63
PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT = 8, 23, 24, 47
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
VERSION_3 = 0x20080522
NOBODY = "nobody"
SYSTEM_USER = "inspector"
"""A system user of that name is taken rather than nobody, whom other programs become too."""
NUMBER = re.compile(r"[0-9]{1,10}")


class Account(NamedTuple):
    """Whom a process runs as. ``name``: for people and for the groups of the account."""

    name: str
    uid: int
    gid: int


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def account(wanted: str | None, environment: Mapping[str, str]) -> Account:
    """Whom to become: the user named, else the one behind sudo, else a user of this program's own where there is one,
    else nobody. Raises UsageError where there is no such user.
    """
    if wanted is None and NUMBER.fullmatch(environment.get("SUDO_UID", "")):
        uid = int(environment["SUDO_UID"])
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return Account(str(uid), uid, int(environment.get("SUDO_GID", uid)))
        return Account(entry.pw_name, uid, entry.pw_gid)
    name = wanted or _system_user() or NOBODY
    try:
        entry = pwd.getpwuid(int(name)) if NUMBER.fullmatch(name) else pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"there is no user {name}, whom the capture is to become", "-Z USER names another") from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _system_user() -> str:
    """A user that was made for this program; ``""`` where there is none."""
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_name
    except KeyError:
        return ""


def become(who: Account, keep: tuple[int, ...] = ()) -> None:
    """Give up root for good; ``keep``: capabilities that stay. Raises OSError where the kernel says no, and then nobody
    must go on.
    """
    _bound(keep)
    if keep:
        prctl(PR_SET_KEEPCAPS, 1)
    try:
        os.initgroups(who.name, who.gid)
    except OSError:
        os.setgroups([])
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    _have_alone(_bits(keep))
    no_new_privileges()
    if who.uid and os.getresuid() != (who.uid, who.uid, who.uid):
        raise OSError("the user could not be changed for good")


def keep_only(keep: tuple[int, ...]) -> None:
    """Stay who this process is, and give up all of its capabilities but these for good. Raises OSError."""
    _bound(keep)
    _have_alone(_bits(keep) & _capabilities()[0])
    no_new_privileges()


def hand_on(capability: int) -> None:
    """The program that this process becomes has this capability, if this one has; for a child that is about to run it,
    whoever it runs as.
    """
    permitted, inheritable = _capabilities()
    bit = 1 << capability
    if permitted & bit:
        _set_capabilities(permitted, inheritable | bit)
        with contextlib.suppress(OSError):  # Linux before 4.3 has no ambient set
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def take_up(capability: int) -> None:
    """Use a capability that this process has been permitted, and all others that it has been, until it gives them up:
    a program file gives it so (``cap_net_raw=p``) where it must run without it as well. Raises OSError.
    """
    permitted, inheritable = _capabilities()
    if permitted >> capability & 1:
        _set_capabilities(permitted, inheritable)


def _bits(capabilities: tuple[int, ...]) -> int:
    return sum(1 << capability for capability in capabilities)


def _bound(keep: tuple[int, ...]) -> None:
    """No program that is started can have others; where this process may not say so, ``no_new_privileges`` does."""
    with contextlib.suppress(OSError):  # beyond the last one that this kernel knows
        for capability in range(LAST_CAPABILITY + 1):
            if capability not in keep:
                prctl(PR_CAPBSET_DROP, capability)


def _have_alone(bits: int) -> None:
    with contextlib.suppress(OSError):  # Linux before 4.3 has no ambient set
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _set_capabilities(bits, 0)


def _capabilities() -> tuple[int, int]:
    """Permitted and inheritable ones. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    data = (_Data * 2)()
    if libc.capget(ctypes.byref(_Header(VERSION_3, 0)), data):
        raise OSError(ctypes.get_errno(), f"capget: {os.strerror(ctypes.get_errno())}")
    return data[0].permitted | data[1].permitted << 32, data[0].inheritable | data[1].inheritable << 32


def _set_capabilities(permitted: int, inheritable: int) -> None:
    """What is permitted is effective as well. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    data = (_Data * 2)()
    for word in range(2):
        has, inherits = (bits >> 32 * word & 0xFFFFFFFF for bits in (permitted, inheritable))
        data[word] = _Data(has, has, inherits)
    if libc.capset(ctypes.byref(_Header(VERSION_3, 0)), data):
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")


def denied(who: Account, paths: Iterable[str], mode: int = os.R_OK) -> list[str]:
    """Those of some files and directories that a user may not read (or ``mode``, as for ``os.access``), asked by a
    process that has become them.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            become(who)
            os.write(writing, b"\0".join(os.fsencode(path) for path in paths if not os.access(path, mode)))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as replies:
        answer = replies.read()
    os.waitpid(child, 0)
    return [os.fsdecode(path) for path in answer.split(b"\0") if path]


def existing(path: str) -> str:
    """A file or directory, or the first one above it that is there."""
    ancestor = os.path.abspath(path)
    while not os.path.lexists(ancestor):
        ancestor = os.path.dirname(ancestor)
    return ancestor


def unwritable(path: str) -> str:
    """What keeps this user from writing a file, or files into a directory; ``""`` where nothing does."""
    ancestor = existing(path)
    return "" if os.access(ancestor, os.W_OK | (os.X_OK if os.path.isdir(ancestor) else 0)) else ancestor


def may_capture() -> bool:
    """Whether this process may open a capture itself, once it has taken that right up (``take_up``)."""
    try:
        return bool(_capabilities()[0] >> CAP_NET_RAW & 1)
    except (OSError, AttributeError):  # another system has no capabilities
        return os.geteuid() == 0


def is_kept_from_capturing() -> bool:
    """Whether no program that this process starts can ever have the right to capture: a container without it."""
    try:
        return not prctl(PR_CAPBSET_READ, CAP_NET_RAW)
    except (OSError, AttributeError):
        return False
