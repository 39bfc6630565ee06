"""What ``inspector analyze -T json`` costs, beside tshark, ssldump and tcpdump: ``python -m tests.bench_analyze``.
Figures, not a test: speed depends on the machine.

The tools run in turn on the same captures (``tests/bench_captures.py``), each as often as ``-n`` says, after the
capture was read once, so that all find it in the page cache. Exit status 1 where not every abort was found, or where
a frame costs more among four times as many than ``MOST_GROWTH`` allows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from inspector.document.finding import Verdict
from inspector.document.rules import Rule
from tests.bench_captures import SHAPES, made

MOST_GROWTH = 1.4
"""Linear is 1; above it stay sorting, caches and other tenants of the machine."""
SAMPLED_MS = 20
FIELDS = ("frame.time_epoch", "ip.src", "tcp.stream", "tls.handshake.type", "tls.handshake.session_id")
OTHERS: dict[str, list[str]] = {
    "tshark": ["-n", "-Y", "tls.handshake", "-T", "fields", *(f"-e{name}" for name in FIELDS), "-r"],
    "ssldump": ["-n", "-r"],
    "tcpdump": ["-n", "-w", "/dev/null", "-r"],
}
LEGEND = f"""\
s         seconds on the wall, the median
cpu       microseconds of processor time of all processes for a frame, the median
peak      resident memory of all processes together, at most: read from /proc every {SAMPLED_MS} ms and added up, so
          pages that several share count for each
growth    cpu for a frame here, over that with a quarter of the things, both without what one frame alone costs (the
          start of the program): 1 is linear
aborts    that were found, of those that the capture holds
(…×)      time on the wall of the tool over ours, the median of the rounds: above 1 we are faster; –: did not run
"""


ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
"""The program has byte code, as one that is installed has: its first run leaves it behind."""


class Cost(NamedTuple):
    """One run."""

    seconds: float
    cpu: float
    megabytes: float


class Found(msgspec.Struct):
    """What is needed of a finding."""

    rule: Rule
    verdict: Verdict


class Analyzed(msgspec.Struct):
    """What is needed of a document."""

    findings: list[Found]


def family(process: int) -> list[int]:
    """A process and those that it and its children started."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return [process]
    return [process, *(one for child in children for one in family(child))]


def resident(process: int) -> int:
    """Bytes of memory of a process and all below it. Some may end meanwhile."""
    pages = 0
    for one in family(process):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(command: list[str], output: Path) -> Cost:
    """Run to the end. A status of 1 says that something was found."""
    peak, done = 0, threading.Event()
    with output.open("wb") as out:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=ENVIRONMENT)

        def sample() -> None:
            nonlocal peak
            while not done.wait(SAMPLED_MS / 1000):
                peak = max(peak, resident(child.pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        sampler.join()
    if child.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak / 1e6)


def aborts_in(output: Path) -> int:
    found = msgspec.json.decode(output.read_bytes(), type=Analyzed).findings
    return sum(one.rule == Rule.CERTIFICATE_CHANGE_ABORT and one.verdict == "confirmed" for one in found)


def analyze(capture: Path) -> list[str]:
    return [sys.executable, "-m", "inspector", "analyze", "-T", "json", str(capture)]


def start_cpu(folder: Path, runs: int) -> float:
    """Seconds of processor time for a capture of one frame."""
    capture, _ = made(folder, "scan", 1)
    return median(run(analyze(capture), Path(os.devnull)).cpu for _ in range(runs))


def measured(name: str, options: argparse.Namespace, tools: list[str], start: float) -> list[str]:
    """Print the line of a shape; says what does not hold."""
    count = max(1, round(SHAPES[name].count * options.scale))
    capture, whole = made(options.folder, name, count)
    fewer, quarter = made(options.folder, name, max(1, count // 4))
    for path in (capture, fewer):
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
    ours, small = [], []
    others: dict[str, list[float]] = {tool: [] for tool in tools}
    with tempfile.TemporaryDirectory() as folder:
        output, ignored = Path(folder) / "analysis.json", Path(folder) / "other"
        for _ in range(options.n):
            ours.append(run(analyze(capture), output))
            for tool in tools:
                others[tool].append(run([tool, *OTHERS[tool], str(capture)], ignored).seconds)
            small.append(run(analyze(fewer), ignored))
        aborts = aborts_in(output)
    cpu, less = median(cost.cpu for cost in ours), median(cost.cpu for cost in small)
    growth = max(0.0, cpu - start) / whole.frames / (max(0.01, less - start) / quarter.frames)
    seconds, peak = median(cost.seconds for cost in ours), max(cost.megabytes for cost in ours)
    words = [
        f"{name:<11}{whole.frames:>10,}{capture.stat().st_size / 1e6:>7,.0f}",
        f"{seconds:>8.2f}{cpu / whole.frames * 1e6:>7.2f}{peak:>8,.0f}{growth:>8.2f}",
        f"{f'{aborts:,} of {whole.aborts:,}' if whole.aborts else aborts:>16}",
    ]
    words += [f"{beside(others[tool], ours) if tool in tools else '–':>17}" for tool in OTHERS]
    print("".join(words), flush=True)
    faults = []
    if aborts != whole.aborts:
        faults.append(f"{name}: {aborts:,} aborts were found, the capture holds {whole.aborts:,}")
    if growth > MOST_GROWTH:
        faults.append(f"{name}: a frame costs {growth:.2f} times as much as among a quarter of them")
    return faults


def beside(theirs: list[float], ours: list[Cost]) -> str:
    """The seconds of another tool, and how many times ours they are."""
    ratio = median(seconds / cost.seconds for seconds, cost in zip(theirs, ours, strict=True))
    return f"{median(theirs):.2f} ({ratio:.{1 if ratio >= 1 else 2}f}×)"


def positive(word: str) -> int:
    if (number := int(word)) < 1:
        raise ValueError(word)
    return number


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_analyze", description="What an analysis costs.")
    parser.add_argument("-n", type=positive, default=3, help="how often each tool runs (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="times the things of each shape (1)")
    parser.add_argument("--only", choices=SHAPES, action="append", help="this shape; repeatable")
    parser.add_argument("--alone", action="store_true", help="without the other tools")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "inspector-bench-captures",
        help="where captures are kept (%(default)s); 4 GB at scale 1",
    )
    return parser.parse_args()


def main() -> int:
    options = parsed()
    tools = [tool for tool in OTHERS if shutil.which(tool) and not options.alone]
    names = options.only or list(SHAPES)
    print(f"Medians of {options.n} rounds, the tools in turn: {', '.join(['inspector analyze -T json', *tools])}.")
    for tool in tools:
        print(f"  {' '.join([tool, *OTHERS[tool], 'CAPTURE'])}")
    print(LEGEND)
    for name in names:
        shape = SHAPES[name]
        print(f"{name:<12}{max(1, round(shape.count * options.scale)):,} {shape.things}: {shape.told}")
    start = start_cpu(options.folder, options.n)
    print(f"One frame alone: {start:.2f} s of processor time.")
    head = f"\n{'shape':<11}{'frames':>10}{'MB':>7}{'s':>8}{'cpu':>7}{'peak MB':>8}{'growth':>8}{'aborts':>16}"
    print(head + "".join(f"{tool:>17}" for tool in OTHERS), flush=True)
    faults = [fault for name in names for fault in measured(name, options, tools, start)]
    print("\n".join(["", *faults]) if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
