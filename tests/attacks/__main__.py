"""Attacks at full size through the real commands: ``python -m tests.attacks [KIND…] [--scale N] [--only WORD]``.

Each is made, then given to ``inspector analyze`` and to ``inspector watch -``, each in a process of its own. Told are
seconds (and how many times as long as an abort alone takes), bytes per second beyond that, the most memory that one of
its processes held, what was named, and what is out of bounds: files have 2 s or 20 MB/s, and 300 MB; live capture has
150 MB and the same speed; neither may miss the abort, find another, or end otherwise than it should. Ends with 1 where
something is out of bounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.attacks.attack import Attack, Given, frames_of_an_abort
from tests.attacks.kinds import ATTACKS, BY_KIND
from tests.build import pcap

PROGRAM = [sys.executable, "-m", "inspector"]
SECONDS, RATE, FILE_MB, LIVE_MB = 2.0, 20.0, 300.0, 150.0
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
spent = min(seconds, usage.ru_utime + usage.ru_stime)
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, spent, usage.ru_maxrss / 1024]))
"""
"""A process of its own and of few bytes, for what is started inherits the peak of who starts it."""


class Spent(NamedTuple):
    """``seconds``: by the clock. ``busy``: of processor time, or by the clock where that is less; others use the
    machine too. ``megabytes``: the most that one process held.
    """

    status: int
    seconds: float
    busy: float
    megabytes: float


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


def wrong(attack: Attack, given: Given, ran: Run, usual: float) -> list[str]:
    """What is out of bounds. ``usual``: seconds of an abort alone. Live capture takes no compressed stream; a journal
    is read or refused.
    """
    size, is_live = given.size / 1e6, ran.command == "live"
    aborts = 0 if is_live and given.unpacked else attack.aborts
    is_refused = ran.spent.status == 2 and (bool(given.journal) or not aborts)
    statuses = (0,) if is_live else (0, 1)
    beyond = ran.spent.busy - usual
    found = []
    if beyond > SECONDS and size / beyond < RATE:
        found.append("slow")
    if ran.spent.megabytes > (LIVE_MB if is_live else FILE_MB):
        found.append("large")
    is_told = ran.aborts == aborts or (aborts < 0 and ran.aborts) or (given.journal and not is_live)
    if not is_told and not is_refused:
        found.append(f"aborts {ran.aborts}")
    if ran.spent.status not in statuses and not is_refused:
        found.append(f"status {ran.spent.status}")
    return found


def row(attack: Attack, given: Given, ran: Run, usual: float) -> list[str]:
    out, size = wrong(attack, given, ran, usual), given.size / 1e6
    beyond = ran.spent.busy - usual
    speed = f"{size / beyond:,.1f}" if beyond > 0.2 else ""
    print(
        f"| {attack.kind} | {attack.name} | {ran.command} | {size:.1f} | {ran.spent.seconds:.1f} |"
        f" {ran.spent.busy:.1f} | {ran.spent.busy / usual:.1f} | {speed} | {ran.spent.megabytes:.0f} |"
        f" {', '.join(ran.told)[:120]} | {', '.join(out)} |",
        flush=True,
    )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(BY_KIND)}; without any: all")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual size")
    parser.add_argument("--only", default="", help="variants in whose name this stands")
    parser.add_argument("--command", choices=("files", "live"), help="one of the two")
    given = parser.parse_args()
    commands = {"files": analysed, "live": watched}
    chosen = [commands[given.command]] if given.command else list(commands.values())
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = Given(pcap([]) + frames_of_an_abort())
        usual = {command: min(command(alone, folder).spent.busy for _ in range(3)) for command in chosen}
        print(f"An abort alone: {', '.join(f'{c.__name__} {s:.1f} s' for c, s in usual.items())}\n")
        print(
            "| kind | variant | command | MB | s | busy s | times the abort | MB/s | peak MB | named | out of bounds |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for attack in ATTACKS:
            if (given.kinds and attack.kind not in given.kinds) or given.only not in attack.name:
                continue
            made = attack.make(max(int(attack.many * given.scale), attack.few))
            for command in chosen:
                failed += bool(row(attack, made, command(made, folder), usual[command]))
    print(f"\n{failed} out of bounds")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
