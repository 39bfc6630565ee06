"""What ``judge`` costs for a connection, and writing its document: ``python -m tests.bench_judge``. Figures, not a
test: speed depends on the machine.

Each story (``tests/bench_facts.py``) is made, judged and written as JSON in a process of its own. Exit status 1 where a
connection more takes more than ``MOST_BYTES`` of resident memory at the peak, or a story of more connections more time
or memory for each than ``MOST_GROWTH`` allows.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from tests.bench_facts import Wanted, story

MOST_BYTES = 2048
MOST_GROWTH = 1.1
COUNTS = (100_000, 300_000)
LEGEND = """\
facts     bytes of packed connections, for each
peak      of resident memory, MB: facts, what was judged, and what it takes to write it as JSON
more      bytes by which the peak grows for each connection, from the number above to this one
judged    microseconds of processor time for a connection, written: the same for findings and JSON
growth    of both together for a connection, over that of the number above: 1 is linear
"""
SHAPES = {
    "one service": Wanted(0),
    "few aborts": Wanted(0, is_calm=True),
    "50 services": Wanted(0, services=50),
    "5 vantages": Wanted(0, vantages=5),
    "5 clocks": Wanted(0, vantages=5, late_ns=15_000_000_000),
    "two legs": Wanted(0, has_legs=True),
    "out of core": Wanted(0, is_spooled=True),
    "calm, out": Wanted(0, is_calm=True, is_spooled=True),
    "legs, out": Wanted(0, has_legs=True, is_spooled=True),
    "clocks, out": Wanted(0, vantages=5, late_ns=15_000_000_000, is_spooled=True),
}


class Cost(msgspec.Struct):
    """Of one story. Times: seconds of processor time."""

    connections: int
    packed: int
    facts_kb: int
    judged_kb: int
    peak_kb: int
    judged: float
    written: float


def resident(what: str = "VmRSS") -> int:
    """Kilobytes of memory, now or (``VmHWM``) at most."""
    found = re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def cost(wanted: Wanted) -> Cost:
    """In this process, as the command does it where it has one core."""
    from inspector.findings.judge import judge
    from inspector.reports.json_stream import write_json

    gc.disable()
    facts = story(wanted)
    packed, facts_kb = sum(map(len, facts.connections)), resident()
    began = time.process_time()
    analysis = judge(facts)
    judged, judged_kb = time.process_time(), resident()
    with open(os.devnull, "wb") as out:
        write_json(analysis, None, out, 1)
    written = time.process_time()
    return Cost(wanted.connections, packed, facts_kb, judged_kb, resident("VmHWM"), judged - began, written - judged)


def measured(wanted: Wanted) -> Cost:
    """In a process of its own."""
    command = [sys.executable, "-m", "tests.bench_judge", "--one", msgspec.json.encode(wanted).decode()]
    return msgspec.json.decode(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout, type=Cost)


def told(name: str, counts: list[int]) -> list[str]:
    """Print the lines of a shape; says what does not hold."""
    faults: list[str] = []
    before: Cost | None = None
    for count in counts:
        now = measured(SHAPES[name]._replace(connections=count))
        more, growth = 0.0, 0.0
        if before is not None:
            more = (now.peak_kb - before.peak_kb) * 1024 / (now.connections - before.connections)
            growth = (now.judged + now.written) / count / ((before.judged + before.written) / before.connections)
            if more > MOST_BYTES:
                faults.append(f"{name}: {more:,.0f} bytes a connection")
            if growth > MOST_GROWTH:
                faults.append(f"{name}: a connection takes {growth:.2f} times as long as among {before.connections:,}")
        print(
            f"{name:<12}{count:>10,}{now.packed / count:>8,.0f}"
            f"{now.facts_kb / 1000:>8,.0f}{now.judged_kb / 1000:>8,.0f}{now.peak_kb / 1000:>8,.0f}{more:>8,.0f}"
            f"{now.judged / count * 1e6:>8.1f}{now.written / count * 1e6:>8.1f}{growth:>8.2f}",
            flush=True,
        )
        before = now
    return faults


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_judge", description="What a judgement costs.")
    parser.add_argument("--count", type=int, action="append", help="connections of a story; repeatable")
    parser.add_argument("--only", choices=SHAPES, action="append", help="this shape; repeatable")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parsed()
    if options.one:
        sys.stdout.buffer.write(msgspec.json.encode(cost(msgspec.json.decode(options.one, type=Wanted))))
        return 0
    print(LEGEND)
    print(
        f"{'':<12}{'count':>10}{'packed':>8}{'facts':>8}{'judged':>8}{'peak':>8}{'more':>8}{'judge':>8}{'write':>8}{'growth':>8}"
    )
    faults = [fault for name in options.only or SHAPES for fault in told(name, options.count or list(COUNTS))]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
