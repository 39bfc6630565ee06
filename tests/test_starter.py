"""The process that starts others for one that parses: what it does for it, what not, and that none outlives another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.live.sources.launch import KILLED, CommandLaunch
from inspector.live.sources.started import Starter, StarterEnded
from inspector.live.sources.starter import MOST_CHILDREN, StarterReply, StartRequest, message, serve
from inspector.system.parent import dying_with_this
from tests.build import capture
from tests.conftest import CAPTURES
from tests.ended import Run
from tests.live import WATCH, incidents_in
from tests.test_watch import fault
from tests.waiting import PATIENCE_SECONDS, children_of, until

SLEEPS = CommandLaunch(("sleep", "600"), is_heard=False)
SPEAKS = CommandLaunch(("sh", "-c", 'echo "$TOLD $OTHER"; echo on its errors >&2; exit 3'), variables=("TOLD",))
MISSING = CommandLaunch(("/nowhere/program",))


@pytest.fixture
def starter() -> Iterator[Starter]:
    made = Starter([SLEEPS, SPEAKS, MISSING])
    yield made
    made.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(made._process, os.WNOHANG)


def descriptors(process: int | str) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def all_of(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


AT_FORK = """
import sys
from inspector.cli.live import watch_command
from inspector.live.outputs.execution import Execution
from inspector.live.sources import open_sources

class Copied(Exception): pass

def copy(launches):
    print(len(launches), *sorted({"numpy", "cryptography", "inspector.live.live_capture"} & set(sys.modules)))
    raise Copied

open_sources.Starter = copy
try:
    open_sources.prepared(open_sources.Request(("lo", "eth9"), ("true",)), {}, Execution("true"))
except Copied:
    print("copied")
"""


def test_what_starts_others_has_loaded_nothing_that_reads_frames() -> None:
    """It is there as long as the capture, and what it has loaded takes memory twice."""
    done = subprocess.run(
        [sys.executable, "-c", AT_FORK], capture_output=True, text=True, check=True, cwd=CAPTURES.parent
    )
    assert done.stdout.split() == ["4", "copied"]


def test_what_is_started_speaks_to_who_asked_for_it(starter: Starter) -> None:
    """And of its environment no more than its launch says can be set."""
    child = starter.start(SPEAKS, {"TOLD": "this \udcff", "OTHER": "that"})
    assert [all_of(descriptor) for descriptor in child.descriptors] == [b"this \xff \n", b"on its errors\n"]
    assert child.wait(PATIENCE_SECONDS) == 3
    assert child.wait(0) == 3


def test_what_cannot_be_started_is_told_by_the_system_s_word(starter: Starter) -> None:
    with pytest.raises(FileNotFoundError):
        starter.start(MISSING, {})
    with pytest.raises(OSError, match="Invalid argument"):
        starter.start(SPEAKS, {"TOLD": "\0"})
    assert not starter.has_ended


def test_nothing_is_left_open_however_often_it_starts(starter: Starter) -> None:
    def once() -> None:
        child = starter.start(SPEAKS, {})
        assert child.wait(PATIENCE_SECONDS) == 3
        for descriptor in child.descriptors:
            os.close(descriptor)

    def held() -> int:
        return descriptors("self") + descriptors(starter._process)

    once()
    before = held()
    for _ in range(20):
        once()
    assert until(lambda: held() <= before)


def test_it_holds_nothing_of_who_made_it() -> None:
    """Not the capture on its standard input, not its standard output: who reads that waits for its end."""
    reading, writing = os.pipe()
    made = Starter([SLEEPS])
    try:
        os.close(writing)
        assert os.read(reading, 1) == b""
        made.start(SLEEPS, {})  # it is at work by then
        assert {os.readlink(f"/proc/{made._process}/fd/{number}") for number in range(3)} == {os.devnull}
    finally:
        os.close(reading)
        made.close()


def test_it_sends_two_signals_and_no_others(starter: Starter) -> None:
    child = starter.start(SLEEPS, {})
    child.send(signal.SIGSTOP)
    child.send(signal.SIGTERM)
    assert child.wait(PATIENCE_SECONDS) == -signal.SIGTERM
    child.send(signal.SIGKILL)  # it is gone: nobody else of that number is meant
    again = starter.start(SLEEPS, {})
    again.send(signal.SIGKILL)
    assert again.wait(PATIENCE_SECONDS) == KILLED


def test_no_more_than_so_many_at_once(starter: Starter) -> None:
    started = [starter.start(SLEEPS, {}) for _ in range(MOST_CHILDREN)]
    with pytest.raises(BlockingIOError):
        starter.start(SLEEPS, {})
    started[0].send(signal.SIGKILL)
    assert started[0].wait(PATIENCE_SECONDS) == KILLED
    starter.start(SLEEPS, {})


def test_it_is_settled_once(starter: Starter) -> None:
    assert starter.settle(None) == ""
    with pytest.raises(PermissionError):
        starter.settle(None)


@pytest.mark.parametrize(
    "asked",
    [b"", b"{", b"[]", b'{"type": "exec"}', b'{"type": "start", "launch": 9, "values": {}}', b"\xff" * 70_000],
    ids=["empty", "cut", "a list", "unknown", "no such launch", "long"],
)
def test_what_is_no_request_ends_it(asked: bytes) -> None:
    """With all that it started."""
    made = Starter([SLEEPS])
    child = made.start(SLEEPS, {})
    made._socket.send(asked)
    assert child.wait(PATIENCE_SECONDS) == KILLED
    with pytest.raises(StarterEnded):
        made.start(SLEEPS, {})
    assert made.has_ended
    made.close()


def test_it_answers_in_the_words_of_its_table() -> None:
    """Served by a copy of this process, asked without ``Starter``."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    prepare = dying_with_this()
    process = os.fork()
    if not process:
        ours.detach()
        serve(theirs, [SPEAKS], prepare)
    theirs.close()
    ours.send(message(StartRequest(0, {})))
    answer, held, _, _ = socket.recv_fds(ours, 4096, 8)
    assert json.loads(answer) == json.loads(message(StarterReply(0)))
    assert len(held) == 3  # how it ended, its standard output, its standard error
    for descriptor in held:
        os.close(descriptor)
    ours.close()
    assert os.waitpid(process, 0)[1] == 0


def test_what_it_started_ends_with_it_when_it_is_killed() -> None:
    made = Starter([SLEEPS])
    child = made.start(SLEEPS, {})
    os.kill(made._process, signal.SIGKILL)
    assert child.wait(PATIENCE_SECONDS) == KILLED
    with pytest.raises(StarterEnded):
        made.settle(None)
    made.close()


def test_signals_for_a_whole_terminal_do_not_end_it(starter: Starter) -> None:
    child = starter.start(SLEEPS, {})
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(starter._process, number)
    assert starter.start(SPEAKS, {}).wait(PATIENCE_SECONDS) == 3
    assert child.wait(0) is None


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """``watch`` beside commands of ``--via`` and ``--exec`` that stay."""
    path, journal = tmp_path / "c.pcap", tmp_path / "j.sqlite"
    path.write_bytes(capture(fault(3).flows))
    via = f'sh -c "cat {path}; exec sleep 600"'
    with Run([*WATCH, "--journal", str(journal), "--via", via, "--exec", f"{sys.executable} -c 'input()'"]) as made:
        assert until(lambda: incidents_in(journal) == 3)
        yield made


def starter_of(run: Run) -> int:
    """The first child of the process that parses; a copy that judges beside it may be another."""
    return children_of(run.process.pid)[0]


def test_a_watch_whose_starter_is_killed_says_so_and_ends(run: Run) -> None:
    """A service manager starts it anew."""
    os.kill(starter_of(run), signal.SIGKILL)
    assert run.process.wait(PATIENCE_SECONDS) == 2
    assert run.is_alone()
    assert "the process that starts what captures has ended" in run.errors()


def test_a_signal_to_all_of_a_service_ends_it_in_time(run: Run) -> None:
    """As systemd sends it: to the parser, the starter and what that started at once."""
    for process in run.left():
        with contextlib.suppress(ProcessLookupError):  # a command that had ended already
            os.kill(process, signal.SIGTERM)
    assert run.end() == 143
    assert run.is_alone()


def test_a_watch_that_is_killed_leaves_nobody(run: Run) -> None:
    assert run.end(signal.SIGKILL) == KILLED
    assert run.is_alone()
