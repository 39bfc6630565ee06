"""A filter of system calls (seccomp(2)): what a parser never needs is refused with EPERM, so that whoever takes it over
has it neither.

The filter is a list of what is refused, not of what is allowed: the C library and Python choose among many calls, and
which ones changes with their versions. It is written for the machines whose numbers stand here; on others there is
none. A program of another architecture, or with x86-64's 32-bit numbers, has other numbers, and is refused all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Iterable
from typing import NamedTuple

from inspector.system.prctl import no_new_privileges, prctl

PR_SET_SECCOMP, MODE_FILTER = 22, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS
LOAD, EQUAL, AT_LEAST, ANY_OF, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF: load a word of the call; jump where it equals, is at least, or has any of some bits; return
(linux/bpf_common.h).
"""

NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
FIFTH_ARGUMENT_AT = (48, 52)
"""In struct seccomp_data, of little-endian machines; the halves of one that is a pointer."""

X32 = 0x40000000


class CallNumbers(NamedTuple):
    """``architecture``: AUDIT_ARCH_ of linux/audit.h. ``column``: of its numbers in the tables below."""

    architecture: int
    column: int


MACHINES = {"x86_64": CallNumbers(0xC000003E, 0), "aarch64": CallNumbers(0xC00000B7, 1)}

SOCKET = (41, 198)
SEND_TO = (44, 206)
"""With an address it is refused: a socket that may be there speaks to whom it is connected with, and to nobody else."""

CLONE, CLONE3 = (56, 220), (435, 435)
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEW… of linux/sched.h: whoever makes a user namespace has every capability in it. The flags of clone3(2) lie
behind a pointer, where no filter sees them: it is told to be unknown, and the C library takes clone(2).
"""

REFUSED = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "chmod": (90, 53),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, 54),
    "lchown": (94, 54),
    "fchownat": (260, 54),
    "utime": (132, 88),
    "utimes": (235, 88),
    "futimesat": (261, 88),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
}
"""System calls by name, with their numbers on x86-64 and AArch64 (asm/unistd.h). They start programs, speak to others,
gain rights, reach into other processes or into the kernel, or change files of others or the machine.
"""


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction))]


Instruction = tuple[int, int, int, int]


def program(machine: CallNumbers, refused: Iterable[int], families: Iterable[int]) -> list[Instruction]:
    """The filter. ``refused``: numbers of calls; ``families``: of sockets that may be made."""
    instructions: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, machine.architecture),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSE),
    ]
    for number in refused:
        instructions += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    instructions += [
        (EQUAL, 0, 1, CLONE3[machine.column]),
        (RETURN, 0, 0, UNKNOWN),
        (EQUAL, 0, 4, CLONE[machine.column]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (ANY_OF, 0, 1, NEW_NAMESPACES),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    instructions += [
        (EQUAL, 0, 6, SEND_TO[machine.column]),
        (LOAD, 0, 0, FIFTH_ARGUMENT_AT[0]),
        (EQUAL, 0, 3, 0),
        (LOAD, 0, 0, FIFTH_ARGUMENT_AT[1]),
        (EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    wanted = list(families)
    instructions += [(EQUAL, 0, 2 + 2 * len(wanted), SOCKET[machine.column]), (LOAD, 0, 0, FIRST_ARGUMENT_AT)]
    for family in wanted:
        instructions += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    return [*instructions, (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]


def refuse(allowed: Iterable[str], families: Iterable[int]) -> bool:
    """Have the kernel refuse these calls from now on, for good. ``allowed``: those of ``REFUSED`` that are not;
    ``families``: of the sockets that may still be made. Whether it holds: not on machines whose numbers are not known.
    Raises OSError.
    """
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    kept = set(allowed)
    refused = [numbers[machine.column] for name, numbers in REFUSED.items() if name not in kept]
    instructions = program(machine, refused, families)
    code = (_Instruction * len(instructions))(*(_Instruction(*instruction) for instruction in instructions))
    no_new_privileges()
    prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(_Program(len(instructions), code)))
    return True


def is_offered() -> bool:
    """Whether this kernel and machine have such filters."""
    return platform.machine() in MACHINES and os.path.exists("/proc/sys/kernel/seccomp")
