"""All targets under the fuzzer, one after the other: executions, coverage and faults as a table.

Ends with 1 where there was a fault, whose input lies beside the log, and with 3 where the fuzzer is not there.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.targets import TARGETS, corpus_of, keep, seeds_of

WORK = Path("build/fuzz")
SECONDS_OF_ONE_INPUT, MEBIBYTES = 20, 1500
NO_FUZZER = 3
MISSING = """\
THE GUIDED FUZZER IS NOT THERE: no target was run under it.
atheris has wheels for CPython 3.11 to 3.13 on Linux; `make fuzz` installs it (the extra "fuzz").
The corpus and the seeds are run without it: pytest tests/test_corpus.py tests/test_fuzz_captures.py\
"""


class Outcome(NamedTuple):
    """``edges``, ``features``: as libFuzzer counts them. ``faults``: inputs over which the target fell."""

    name: str
    executions: int
    seconds: int
    edges: int
    features: int
    corpus: int
    faults: list[str]


def run(name: str, seconds: int, runs: int) -> Outcome:
    """One target, from seeds and corpus. Whichever is reached first, ``seconds`` or ``runs``, ends it; 0 for no end."""
    folder = WORK / name
    found = folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*seeds_of(name), *corpus_of(name)]):
        (found / f"given-{number}").write_bytes(data)
    for old in folder.glob("fault-*"):
        old.unlink()
    options = [
        f"-max_len={TARGETS[name].longest}",
        f"-timeout={SECONDS_OF_ONE_INPUT}",
        f"-rss_limit_mb={MEBIBYTES}",
        f"-artifact_prefix={folder}/fault-",
        "-print_final_stats=1",
        *([f"-max_total_time={seconds}"] if seconds else []),
        *([f"-runs={runs}"] if runs else []),
    ]
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "tests.fuzz.guided", name, *options, str(found)]
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    return outcome(name, (folder / "log").read_text("utf-8", "replace"), status)


def outcome(name: str, log: str, status: int) -> Outcome:
    """What a log of libFuzzer says. ``status``: of the process that wrote it."""

    def last(pattern: str) -> int:
        numbers = re.findall(pattern, log)
        return int(numbers[-1]) if numbers else 0

    faults = [str(path) for path in sorted((WORK / name).glob("fault-*"))]
    if status and not faults:
        faults = [f"ended with {status}: see {WORK / name / 'log'}"]
    return Outcome(
        name,
        last(r"stat::number_of_executed_units: (\d+)") or last(r"\n#(\d+)"),
        last(r"in (\d+) second"),
        last(r" cov: (\d+)"),
        last(r" ft: (\d+)"),
        last(r" corp: (\d+)"),
        faults,
    )


def minimised(name: str) -> list[bytes]:
    """Of all that was found the fewest and shortest inputs that reach as much, by libFuzzer's merge."""
    folder, least = WORK / name, WORK / name / "least"
    shutil.rmtree(least, ignore_errors=True)
    least.mkdir()
    options = ["-merge=1", f"-max_len={TARGETS[name].longest}", f"-timeout={SECONDS_OF_ONE_INPUT}"]
    with (folder / "merge.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", name, *options, str(least), str(folder / "found")],
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )
    return [path.read_bytes() for path in least.iterdir()]


def told(outcomes: list[Outcome]) -> str:
    lines = [
        f"{'target':20} {'executions':>12} {'seconds':>8} {'edges':>7} {'features':>9} {'corpus':>7} {'faults':>7}"
    ]
    for o in outcomes:
        lines.append(
            f"{o.name:20} {o.executions:12,} {o.seconds:8} {o.edges:7} {o.features:9} {o.corpus:7} {len(o.faults):7}"
        )
        lines += [f"    {fault}" for fault in o.faults]
    lines.append(f"{'all':20} {sum(o.executions for o in outcomes):12,} {sum(o.seconds for o in outcomes):8}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Coverage-guided fuzzing of all parsers.")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all targets together (5)")
    parser.add_argument("--runs", type=int, default=0, help="executions of each target, at most (0 for any number)")
    parser.add_argument("--keep", action="store_true", help="minimise what was found, and write it into the corpus")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; all by default")
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return NO_FUZZER
    names = given.names or list(TARGETS)
    seconds = max(1, round(given.minutes * 60 / len(names)))
    outcomes = []
    for name in names:
        outcomes.append(run(name, seconds, given.runs))
        print(told(outcomes[-1:]).splitlines()[1], flush=True)
        if given.keep:
            keep(name, minimised(name))
    print(told(outcomes))
    return int(any(o.faults for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
