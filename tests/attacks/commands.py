"""The program's commands over an attack, each in a process of its own: what it took, and what was found and named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.attacks.attack import Given

PROGRAM = [sys.executable, "-m", "inspector"]
LONGEST = 120.0
"""Seconds after which an attack has won."""

ABORT = "certificate-change-abort"


class Told(msgspec.Struct):
    """A finding, a limit or an assessment of a document; lines of ``watch`` have the same fields."""

    record: str = ""
    id: str = ""
    rule: str = ""
    verdict: str = ""
    kind: str = ""
    text: str = ""


class Statistics(msgspec.Struct):
    """A line of ``watch``."""

    limits: list[str] = []
    lines_lost: int = 0


class Analysed(msgspec.Struct):
    """What is looked at of a document."""

    findings: list[Told] = []
    limits: list[Told] = []


class Run(NamedTuple):
    """One command over one attack. ``told``: kinds of limits. ``aborts``: confirmed ones of Java's rule."""

    command: str
    spent: Spent
    told: tuple[str, ...]
    aborts: int


COUNTER = """
import cProfile, os, pstats, sys
from inspector.cli.commands import run
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
class Ended(BaseException): pass
def ended(status):
    raise Ended
os._exit = ended
out, sys.argv = sys.argv[1], ["inspector", *sys.argv[2:]]
profile = cProfile.Profile()
try:
    profile.runcall(run)
except (Ended, SystemExit):
    pass
with open(out, "w") as file:
    file.write(str(pstats.Stats(profile).total_calls))
"""
"""The program, of which function calls are counted: on one processor, so that it starts no further process."""

LAUNCHER = """
import json, os, resource, subprocess, sys, time
began = time.monotonic()
with open(sys.argv[2], "rb") as given, open(sys.argv[3], "wb") as out:
    process = subprocess.Popen(sys.argv[4:], stdin=given, stdout=out, stderr=subprocess.DEVNULL)
while True:
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    seconds = time.monotonic() - began
    if pid:
        break
    if seconds > float(sys.argv[1]):
        process.kill()
    time.sleep(0.005)
spent = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, spent, usage.ru_maxrss / 1024]))
"""
"""A process of its own and of few bytes, for what is started inherits the peak of who starts it."""


class Spent(NamedTuple):
    """``seconds``: by the clock. ``processor``: of processor time, of all processes. ``megabytes``: the most that one
    held.
    """

    status: int
    seconds: float
    processor: float
    megabytes: float

    @property
    def busy(self) -> float:
        """Seconds of processor time, or by the clock where that is less: others use the machine too."""
        return min(self.seconds, self.processor)


def run(words: Sequence[str], stdin: str = os.devnull, stdout: str = os.devnull) -> Spent:
    """A command to its end, or to where the attack has won."""
    line = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(LONGEST), stdin, stdout, *words]
    return Spent(*json.loads(subprocess.run(line, capture_output=True, check=True).stdout))


def options_of(given: Given, folder: Path) -> list[str]:
    """Files that go with the capture, written."""
    words = []
    for one in given.beside:
        (folder / one.name).write_bytes(one.data)
        words += [one.option, str(folder / one.name)]
    return words


def place(given: Given, folder: Path) -> Path | None:
    """The journal, written; None where there is none."""
    for ending, data in given.journal.items():
        (folder / f"j.sqlite{ending}").write_bytes(data)
    return folder / "j.sqlite" if given.journal else None


def analysed(given: Given, folder: Path) -> Run:
    path, out = folder / f"attack{given.suffix}", folder / "out.json"
    path.write_bytes(given.data)
    given_path = place(given, folder) or path
    words = [*PROGRAM, "analyze", str(given_path), *options_of(given, folder), "-T", "json", "-o", str(out)]
    spent = run(words)
    told: Analysed = msgspec.json.decode(out.read_bytes(), type=Analysed) if out.exists() else Analysed()
    aborts = {f.id for f in told.findings if f.rule == ABORT and f.verdict == "confirmed"}
    for left in folder.iterdir():
        left.unlink()
    return Run("files", spent, tuple(sorted({one.kind for one in told.limits})), len(aborts))


def watched(given: Given, folder: Path) -> Run:
    path, out = folder / "attack", folder / "lines.jsonl"
    path.write_bytes(given.data)
    place(given, folder)
    line = [*PROGRAM, "watch", "--journal", str(folder / "j.sqlite"), *(["-Z", "root"] if os.geteuid() == 0 else [])]
    words = [*line, *options_of(given, folder), "-"]
    spent = run(words, str(path), str(out))
    aborts, told = set(), set()
    with out.open("rb") as lines:
        for one in lines:
            if one.startswith(b'{"record":"finding"'):
                found = msgspec.json.decode(one, type=Told)
                if found.rule == ABORT and found.verdict == "confirmed":
                    aborts.add(found.id)
            elif one.startswith(b'{"record":"statistics"'):
                told |= set(msgspec.json.decode(one, type=Statistics).limits)
    for left in folder.iterdir():
        left.unlink()
    return Run("live", spent, tuple(sorted(told)), len(aborts))


def calls(command: str, given: Given, folder: Path) -> int:
    """How many functions a command calls, which is the same however busy the machine is; numpy's work is one call."""
    path, out = folder / f"attack{given.suffix}", folder / "calls"
    path.write_bytes(given.data)
    journal, beside = place(given, folder), options_of(given, folder)
    words = ["analyze", str(journal or path), *beside, "-T", "json", "-o", os.devnull]
    if command == "live":
        watch = ["watch", "--no-sandbox", "--journal", str(folder / "j.sqlite")]
        words = [*watch, *(["-Z", "root"] if os.geteuid() == 0 else []), *beside, "-"]
    run([sys.executable, "-c", COUNTER, str(out), *words], str(path))
    counted = int(out.read_text()) if out.exists() else 0
    for left in folder.iterdir():
        left.unlink()
    return counted


COMMANDS: dict[str, Callable[[Given, Path], Run]] = {"files": analysed, "live": watched}
