"""Signals end every command in time, whatever holds it up: real runs, with their exit status, their journal, and nobody
left in /proc.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from inspector.cli import ending
from inspector.live.outputs.line_queue import LineQueue
from tests.build import capture
from tests.conftest import bundled, find
from tests.ended import END_SECONDS, Run, hanging, patient
from tests.live import AS_IS, WATCH, bytes_of, incidents_in, packets_in, runs_in
from tests.test_watch import analyzed, fault
from tests.waiting import PATIENCE_SECONDS, painted, until, waiting_bytes

F_SETPIPE_SZ = 1031
PCAP_HEADER_BYTES = 24
SMALL = 4096
"""Bytes in a pipe that is soon full."""


def small_pipe() -> tuple[int, int]:
    """A pipe that nobody reads, with nothing in it."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, SMALL)
    return reading, writing


def full_pipe() -> tuple[int, int]:
    """A pipe that nobody reads and that takes no more."""
    reading, writing = small_pipe()
    os.write(writing, b"\n" * SMALL)
    return reading, writing


def held_terminal() -> tuple[int, int]:
    """A terminal that nobody reads and that takes no more: as with ctrl-S, or behind a connection that stalls."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    termios.tcflow(terminal, termios.TCOOFF)
    return controller, terminal


def log_bytes(path: Path) -> int:
    """Of the journal's write-ahead log, which is empty once it is closed."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


@pytest.mark.parametrize("held", [full_pipe, held_terminal], ids=["pipe", "terminal"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_output_that_nobody_takes(held: object, number: int, status: int, tmp_path: Path) -> None:
    assert callable(held)
    ours, theirs = held()
    journal, recording, released = tmp_path / "j.sqlite", tmp_path / "w.pcapng", tmp_path / "released"
    words = patient([*WATCH, "--journal", str(journal), "-w", str(recording), "-"], released)
    with Run(words, capture(fault(20).flows), stdout=theirs) as run:
        os.close(theirs)
        assert until(lambda: incidents_in(journal) == 20), "the capture goes on though nobody reads"
        run.process.send_signal(number)
        assert until(lambda: log_bytes(journal) == 0), "it is closed"
        released.touch()
        assert run.process.wait(END_SECONDS) == status
        assert run.is_alone()
        assert "lines of standard output, which nobody reads" in run.errors()
    assert len(analyzed(journal)["incidents"]) == len(analyzed(recording)["incidents"]) == 20
    os.close(ours)


def test_standard_error_that_nobody_takes_either(tmp_path: Path) -> None:
    ours, theirs = full_pipe()
    journal = tmp_path / "j.sqlite"
    watch = [*WATCH, "--journal", str(journal), "-"]
    words = ["sh", "-c", 'exec "$@" 2>"$0"', str(tmp_path / "fifo"), *watch]
    os.mkfifo(tmp_path / "fifo")
    errors = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    with Run(words, capture(fault(20).flows), stdout=theirs) as run:
        os.close(theirs)
        assert until(lambda: incidents_in(journal) == 20)
        try:
            while os.write(errors, b"\n" * SMALL):
                pass
        except BlockingIOError:
            pass
        assert run.end() == 143
        assert run.is_alone()
    os.close(ours)
    os.close(errors)


def test_lines_that_nobody_read_are_counted() -> None:
    """What is more than waits in memory: told once lines are taken again. No line is cut."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, SMALL)
    queue = LineQueue(open(writing, "wb", buffering=0), most_bytes=10_000)  # noqa: SIM115 - a daemon writes to it
    line = b"x" * 99 + b"\n"
    for _ in range(1_000):
        queue.write(line)
        queue.flush()
    assert queue.take_lost() == 0, "not before"
    read = bytearray()

    def look() -> None:
        while more := os.read(reading, SMALL):
            read.extend(more)

    threading.Thread(target=look, daemon=True).start()
    queue.drain()
    lost = queue.take_lost()
    assert queue.take_lost() == 0, "once"
    assert until(lambda: len(read) == (1_000 - lost) * len(line))
    assert 800 < lost < 1_000
    assert set(bytes(read).splitlines(keepends=True)) == {line}


def test_it_is_in_time() -> None:
    """Two seconds are promised, the last words included."""
    assert ending.SECONDS + ending.LAST_WORDS_SECONDS < 2


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    ours, theirs = full_pipe()
    journal = tmp_path / "j.sqlite"
    words = patient([*WATCH, "--journal", str(journal), "-"])
    with Run(words, capture(fault(20).flows), stdout=theirs) as run:
        os.close(theirs)
        assert until(lambda: incidents_in(journal) == 20)
        run.process.send_signal(signal.SIGINT)
        assert until(lambda: log_bytes(journal) == 0), "it was heard: of two that wait either may be heard first"

        def ends() -> bool:
            run.process.send_signal(signal.SIGTERM)
            return run.process.poll() is not None

        assert until(ends), "soon after the first it is taken for the same, and later it is not"
        assert run.process.returncode == 130, "that of the first"
        assert "by a second signal" in run.errors()
    assert len(analyzed(journal)["incidents"]) == 20
    os.close(ours)


def test_a_long_batch(tmp_path: Path) -> None:
    """Thousands of incidents at once, in the midst of which it is told to end."""
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(2_000).flows))
    journal = tmp_path / "j.sqlite"
    with Run([*WATCH, "--journal", str(journal), "--via", f"sh -c 'cat {path}; exec sleep 600'"]) as run:
        assert run.process.stdout is not None
        run.process.stdout.readline()
        assert run.end() == 143
        assert run.is_alone()
    analyzed(journal)


def test_a_journal_that_another_process_holds(tmp_path: Path) -> None:
    journal = tmp_path / "j.sqlite"
    words = patient([*WATCH, "--findings-only", "--journal", str(journal), "-"])
    with Run(words, capture(fault(1).flows)) as run:
        assert until(lambda: incidents_in(journal) == 1)
        other = sqlite3.connect(journal, isolation_level=None, timeout=PATIENCE_SECONDS)
        other.execute("BEGIN EXCLUSIVE")
        assert run.process.stdin is not None
        assert run.process.stdout is not None
        run.process.stdin.write(capture(fault(30).flows)[PCAP_HEADER_BYTES:])
        run.process.stdin.flush()
        for _ in range(30):
            while json.loads(run.process.stdout.readline())["record"] != "incident":
                pass
        assert run.end() == 143
        assert run.is_alone()
        told = [json.loads(line) for line in run.process.stdout]
        other.execute("ROLLBACK")
        other.close()
    assert any("the journal is not written: database is locked" in line.get("text", "") for line in told)
    assert len(analyzed(journal)["incidents"]) >= 1


def test_what_came_while_the_journal_was_held_is_written_afterwards(tmp_path: Path) -> None:
    journal = tmp_path / "j.sqlite"
    with Run([*WATCH, "--journal", str(journal), "-"], b"") as run:
        assert run.process.stdin is not None
        assert run.process.stdout is not None
        assert until(lambda: runs_in(journal) == 1), "whoever opens one waits for a second only"
        other = sqlite3.connect(journal, isolation_level=None, timeout=PATIENCE_SECONDS)
        other.execute("BEGIN EXCLUSIVE")
        run.process.stdin.write(capture(fault(3).flows))
        run.process.stdin.flush()
        for _ in range(3):
            while json.loads(run.process.stdout.readline())["record"] != "incident":
                pass
        other.execute("ROLLBACK")
        other.close()
        assert until(lambda: incidents_in(journal) == 3)
        assert run.end() == 143
        assert not [line for line in run.process.stdout if json.loads(line)["record"] == "news"]


PLACES = {
    "-w": "inspector.live.outputs.recording:Recording.write",
    "the journal": "inspector.extract.journal:Journal.write",
    "the sources": "inspector.live:live_capture.ready",
    "a judgement": "inspector.live:live_capture.judged_in_parts",
}


@pytest.mark.parametrize("place", PLACES)
def test_what_hangs_outside_of_python(place: str, tmp_path: Path) -> None:
    """As on a disk that does not answer: no handler runs, and it ends all the same."""
    told = tmp_path / "hangs"
    words = hanging(PLACES[place], told)
    kept = ["-w", str(tmp_path / "w.pcapng")] if place == "-w" else ["--journal", str(tmp_path / "j.sqlite")]
    with Run([*words, *kept, *(["--no-journal"] if place == "-w" else []), "-"], capture(fault(3).flows)) as run:
        assert until(told.exists)
        assert run.end() == 143
        assert run.is_alone()
        assert "ended 1.7 s after the signal, without: the last that was captured" in run.errors()
    if place != "-w":
        analyzed(tmp_path / "j.sqlite")


def test_what_hangs_while_it_is_opened(tmp_path: Path) -> None:
    """The system ends it, as any process: to a shell the exit status is the same."""
    told = tmp_path / "hangs"
    words = hanging("inspector.live.outputs:disk.create", told)
    with Run([*words, "--no-journal", "-w", str(tmp_path / "w.pcapng"), "--via", "sleep 600"]) as run:
        assert until(told.exists)
        assert run.end() == -signal.SIGTERM
        assert run.is_alone()


DEAF = "trap '' TERM INT HUP; "


def test_commands_that_do_not_end(tmp_path: Path) -> None:
    """``--via`` and ``--exec``, deaf to SIGTERM, with children of their own."""
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(3).flows))
    via = f'sh -c "{DEAF} cat {path}; while :; do sleep 1; done"'
    execute = f'sh -c "{DEAF} while :; do sleep 1; done"'
    journal = tmp_path / "j.sqlite"
    with Run(patient([*WATCH, "--journal", str(journal), "--via", via, "--exec", execute])) as run:
        assert until(lambda: incidents_in(journal) == 3 and len(run.left()) >= 5)
        assert run.end() == 143
        assert run.is_alone()
        assert run.process.stdout is not None
        assert any(b"--exec was still running at the end" in line for line in run.process.stdout)
    assert len(analyzed(journal)["incidents"]) == 3
    assert log_bytes(journal) == 0


def test_commands_end_with_a_watch_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(3).flows))
    script = tmp_path / "deaf.py"
    script.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if sys.argv[1:]: sys.stdout.buffer.write(open(sys.argv[1], 'rb').read()); sys.stdout.flush()\n"
        "time.sleep(600)\n"
    )
    deaf = f"{sys.executable} {script}"
    journal = tmp_path / "j.sqlite"
    with Run([*WATCH, "--journal", str(journal), "--via", f"{deaf} {path}", "--exec", deaf]) as run:
        assert until(lambda: incidents_in(journal) == 3 and len(run.left()) == 5)  # and what started them
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
        assert run.is_alone()


ANALYZE = [sys.executable, "-m", "inspector", "analyze", "-T", "json"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("count", [100, 1_500], ids=["by one process", "by several, where there are more processors"])
def test_an_analysis_that_nobody_reads(number: int, status: int, count: int, tmp_path: Path) -> None:
    """The pipe is full, and most of the document is yet to be written."""
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault(count).flows))
    ours, theirs = small_pipe()
    with Run([*ANALYZE, str(path)], stdout=theirs) as run:
        os.close(theirs)
        assert until(lambda: waiting_bytes(ours) == SMALL)
        assert run.end(number) == status
        assert run.is_alone()
    os.close(ours)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_analysis_in_the_midst_of_it(number: int, status: int) -> None:
    """Of a capture that has no end."""
    data = capture(fault(100).flows)
    with Run([*ANALYZE, "-"], data, stdout=subprocess.DEVNULL) as run:
        pipe = run.process.stdin
        assert pipe is not None
        for _ in range(10):  # more than a pipe holds: it has begun, and has read most of that
            pipe.write(data[PCAP_HEADER_BYTES:])
        assert run.process.poll() is None

        def ends() -> bool:  # one that comes between the last look at signals and a read is heard with the next
            run.process.send_signal(number)
            return run.process.poll() is not None

        assert until(ends)
        assert run.process.returncode == status
        assert run.is_alone()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_the_app_on_a_terminal_that_is_held(number: int, status: int) -> None:
    """Its terminal is given back as it was, and nothing waits for what cannot be painted."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    before = termios.tcgetattr(terminal)
    words = [sys.executable, "-m", "inspector", "open", str(find("silent-abort"))]
    with Run(words, stdin=terminal, stdout=terminal, stderr=terminal, env={"TERM": "xterm-256color"}) as run:
        assert b"puppetdb" in painted(controller, b"puppetdb")
        assert termios.tcgetattr(terminal) != before
        for width in range(60, 120):  # painted anew, until it takes no more
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
            run.process.send_signal(signal.SIGWINCH)
            select.select([], [], [], 0.02)
        assert run.end(number) == status
        assert run.is_alone()
        assert termios.tcgetattr(terminal) == before
    os.close(controller)
    os.close(terminal)


def test_a_live_capture_on_a_terminal_that_is_held(tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(bytes_of(find("silent-abort")))
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    journal, recording, released = tmp_path / "j.sqlite", tmp_path / "w.pcapng", tmp_path / "released"
    via = f"sh -c 'cat {tmp_path}/c.pcap; exec sleep 600'"
    words = [sys.executable, "-m", "inspector", "live", *AS_IS, "--via", via]
    words = patient([*words, "--journal", str(journal), "-w", str(recording)], released)
    with Run(words, stdin=terminal, stdout=terminal, stderr=terminal, env={"TERM": "xterm-256color"}) as run:
        packets = bundled("silent-abort").document.captures[0].packets
        assert until(lambda: packets_in(journal) == packets), "it captures all the same"
        run.process.send_signal(signal.SIGTERM)
        assert until(lambda: log_bytes(journal) == 0), "it is closed"
        released.touch()
        assert run.process.wait(END_SECONDS) == 143
        assert run.is_alone()
    assert analyzed(journal)["incidents"] == analyzed(recording)["incidents"] != []
    os.close(controller)
    os.close(terminal)
