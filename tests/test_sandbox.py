"""What is left to a process that reads what strangers send: tried by one that is confined, on this kernel; the filter
of system calls on every machine that it is written for.
"""

from __future__ import annotations

import errno
import json
import operator
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.live.host import landlock, seccomp
from inspector.live.host.seccomp import ALLOW, MACHINES, REFUSE, REFUSED, SEND_TO, SOCKET, X32, CallNumbers, program
from tests.conftest import CAPTURES
from tests.waiting import COMMAND_SECONDS

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
needs_filter = pytest.mark.skipif(not seccomp.is_offered(), reason="no filters of system calls here")
IN_TREE = {**os.environ, "PYTHONPATH": str(CAPTURES.parent)}

TRIED = """
import ctypes, errno, json, os, socket, subprocess, sys, threading
from inspector.live.host.sandbox import confine_capture, confine_loop, confine_starter

reads, writes, elsewhere, as_what = sys.argv[1:]
server = socket.create_server(("127.0.0.1", 0))
server.setblocking(False)
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(f"{elsewhere}/socket")
before, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
if as_what in ("loop", "endpoint"):
    confine_loop([reads], [writes], accepts=as_what == "endpoint")
elif as_what == "starter":
    confine_starter()
elif as_what == "capture":
    confine_capture()

def answer(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def call(name):
    numbers = {"ptrace": 101, "unshare": 272, "bpf": 321} if os.uname().machine == "x86_64" else {
        "ptrace": 117, "unshare": 97, "bpf": 280}
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(numbers[name], 9999, 0, 0, 0) < 0:  # no request of that number
        raise OSError(ctypes.get_errno(), name)

def enter_user_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    number = 56 if os.uname().machine == "x86_64" else 220
    child = libc.syscall(number, ctypes.c_ulong(0x10000000 | 17), 0, 0, 0, 0)  # CLONE_NEWUSER | SIGCHLD
    if child < 0:
        raise OSError(ctypes.get_errno(), "clone")
    if not child:
        os._exit(0)
    os.waitpid(child, 0)

def connect():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.connect(server.getsockname())

def speak_unix():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", f"{elsewhere}/socket")

def write(folder, name="new"):
    with open(f"{folder}/{name}", "w") as out:
        out.write("x")

def load():
    import smtplib, sqlite3, zoneinfo
    zoneinfo.ZoneInfo("UTC") if os.path.exists("/usr/share/zoneinfo/UTC") else None

print(json.dumps({
    "read what is followed": answer(lambda: open(f"{reads}/log").read()),
    "write what is followed": answer(lambda: write(reads, "log")),
    "write where told": answer(lambda: write(writes)),
    "rename where told": answer(lambda: os.replace(f"{writes}/new", f"{writes}/newer")),
    "make a directory where told": answer(lambda: os.mkdir(f"{writes}/folder")),
    "link where told": answer(lambda: os.symlink("/etc/passwd", f"{writes}/link")),
    "read elsewhere": answer(lambda: open(f"{elsewhere}/file").read()),
    "write elsewhere": answer(lambda: write(elsewhere)),
    "list elsewhere": answer(lambda: os.listdir(elsewhere)),
    "cut elsewhere": answer(lambda: os.truncate(f"{elsewhere}/file", 0)),
    "remove elsewhere": answer(lambda: os.remove(f"{elsewhere}/file")),
    "move out": answer(lambda: os.rename(f"{writes}/newer", f"{elsewhere}/newer")),
    "read /etc/passwd": answer(lambda: open("/etc/passwd").read()),
    "load what is loaded late": answer(load),
    "start a program": answer(lambda: subprocess.run(["/bin/true"], check=True)),
    "start our own Python": answer(lambda: subprocess.run([sys.executable, "-c", ""], check=True)),
    "answer whoever connects": answer(server.accept),
    "listen elsewhere": answer(lambda: socket.create_server(("127.0.0.1", 0))),
    "connect": answer(connect),
    "speak UDP": answer(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))),
    "make a UDP socket": answer(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "write to a Unix socket": answer(speak_unix),
    "write to another by one that is open": answer(lambda: before.sendto(b"x", f"{elsewhere}/socket")),
    "pass a file on": answer(lambda: socket.send_fds(before, [b"x"], [0])),
    "speak to whom it is connected with": answer(lambda: before.send(b"x")),
    "change rights elsewhere": answer(lambda: os.chmod(f"{elsewhere}/file", 0o777)),
    "be root of a namespace": answer(enter_user_namespace),
    "start a thread": answer(lambda: threading.Thread(target=int).start()),
    "look into others": answer(lambda: call("ptrace")),
    "leave its namespaces": answer(lambda: call("unshare")),
    "load into the kernel": answer(lambda: call("bpf")),
}))
"""


def tried(as_what: str, folder: Path) -> dict[str, str]:
    """What each act comes to: ``done``, or the error's name."""
    places = [folder / name for name in ("reads", "writes", "elsewhere")]
    for place in places:
        place.mkdir(parents=True)
    (places[0] / "log").write_text("x")
    (places[2] / "file").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", TRIED, *map(str, places), as_what],
        capture_output=True,
        check=True,
        timeout=COMMAND_SECONDS,
        env=IN_TREE,
        cwd="/",
    )
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


@needs_landlock
@needs_filter
def test_the_loop_writes_where_it_was_told_to_and_opens_nothing_else(tmp_path: Path) -> None:
    assert tried("loop", tmp_path) == {
        "read what is followed": "done",
        "write what is followed": "EACCES",
        "write where told": "done",
        "rename where told": "done",
        "make a directory where told": "EACCES",
        "link where told": "EACCES",
        "read elsewhere": "EACCES",
        "write elsewhere": "EACCES",
        "list elsewhere": "EACCES",
        "cut elsewhere": "EACCES",
        "remove elsewhere": "EACCES",
        "move out": "EACCES",
        "read /etc/passwd": "EACCES",
        "load what is loaded late": "done",
        "start a program": "EPERM",
        "start our own Python": "EPERM",
        "answer whoever connects": "EPERM",
        "listen elsewhere": "EPERM",
        "connect": "EPERM",
        "speak UDP": "EPERM",
        "make a UDP socket": "EPERM",
        "write to a Unix socket": "EPERM",
        "write to another by one that is open": "EPERM",
        "pass a file on": "EPERM",
        "speak to whom it is connected with": "done",
        "change rights elsewhere": "EPERM",
        "be root of a namespace": "EPERM",
        "start a thread": "done",
        "look into others": "EPERM",
        "leave its namespaces": "EPERM",
        "load into the kernel": "EPERM",
    }


@needs_landlock
@needs_filter
def test_who_serves_metrics_may_accept_and_nothing_else_more(tmp_path: Path) -> None:
    loop, endpoint = (tried(name, tmp_path / name) for name in ("loop", "endpoint"))
    nobody_connects = "EAGAIN"
    assert {act: endpoint[act] for act in loop if loop[act] != endpoint[act]} == {
        "answer whoever connects": nobody_connects
    }


@needs_landlock
@needs_filter
def test_what_starts_the_capture_runs_our_own_python_alone(tmp_path: Path) -> None:
    answers = tried("starter", tmp_path)
    refused = ("write where told", "read elsewhere", "write elsewhere", "remove elsewhere", "read /etc/passwd")
    assert {answers[act] for act in (*refused, "start a program")} == {"EACCES"}
    assert {answers[act] for act in ("connect", "make a UDP socket", "write to a Unix socket")} == {"EPERM"}
    assert {answers[act] for act in ("look into others", "load into the kernel")} == {"EPERM"}
    assert {answers[act] for act in ("start our own Python", "pass a file on")} == {"done"}


@needs_landlock
@needs_filter
def test_the_process_that_captures_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    answers = tried("capture", tmp_path)
    refused = ("write where told", "write elsewhere", "read what is followed", "read elsewhere", "read /etc/passwd")
    assert {answers[act] for act in refused} == {"EACCES"}
    refused = ("start a program", "connect", "make a UDP socket", "write to a Unix socket", "look into others")
    assert {answers[act] for act in (*refused, "load into the kernel")} == {"EPERM"}


def test_without_it_all_that_can_be_done(tmp_path: Path) -> None:
    """What the tests above try is possible here where nothing confines it."""
    answers = tried("nothing", tmp_path)
    assert {answers[act] for act in ("write elsewhere", "read elsewhere", "remove elsewhere", "read /etc/passwd")} == {
        "done"
    }
    spoken = ("speak UDP", "write to a Unix socket", "write to another by one that is open", "pass a file on")
    assert {answers[act] for act in ("start a program", *spoken)} == {"done"}


def test_a_kernel_without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert landlock.restrict([("/", landlock.READ)]) == 0


HOLDS = {seccomp.EQUAL: operator.eq, seccomp.AT_LEAST: operator.ge, seccomp.ANY_OF: operator.and_}


def result(machine: CallNumbers, architecture: int, number: int, argument: int = 0, address: int = 0) -> int:
    """What the kernel would return: the filter, run."""
    words = {0: number, 4: architecture, 16: argument, 48: address & 0xFFFFFFFF, 52: address >> 32}
    instructions = program(machine, [numbers[machine.column] for numbers in REFUSED.values()], [1, 17])
    at, accumulator = 0, 0
    for _ in range(len(instructions)):
        code, yes, no, k = instructions[at]
        at += 1
        if code == seccomp.RETURN:
            return k
        if code == seccomp.LOAD:
            accumulator = words[k]
        else:
            at += yes if HOLDS[code](accumulator, k) else no
    raise AssertionError("it does not end")


@pytest.mark.parametrize("name", MACHINES)
def test_the_filter_refuses_what_it_should_on_every_machine(name: str) -> None:
    machine = MACHINES[name]
    column = machine.column
    for numbers in REFUSED.values():
        assert result(machine, machine.architecture, numbers[column]) == REFUSE
    assert [result(machine, machine.architecture, SOCKET[column], family) for family in (1, 17, 2, 10)] == [
        ALLOW,
        ALLOW,
        REFUSE,
        REFUSE,
    ]
    assert [result(machine, machine.architecture, SEND_TO[column], 3, address) for address in (0, 1, 1 << 32)] == [
        ALLOW,
        REFUSE,
        REFUSE,
    ]
    fork, thread, user_namespace = 17, 0x3D0F00, 0x10000011
    assert [
        result(machine, machine.architecture, seccomp.CLONE[column], flags) for flags in (fork, thread, user_namespace)
    ] == [ALLOW, ALLOW, REFUSE]
    assert result(machine, machine.architecture, seccomp.CLONE3[column]) & 0xFFFF == errno.ENOSYS
    reads_and_writes = (0, 1) if name == "x86_64" else (63, 64)
    assert {result(machine, machine.architecture, number) for number in reads_and_writes} == {ALLOW}
    assert result(machine, machine.architecture ^ 1, 0) == REFUSE
    assert result(machine, machine.architecture, X32 | 1) == REFUSE
    assert REFUSE & 0xFFFF == errno.EPERM
