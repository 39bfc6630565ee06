"""The share of lines and branches that the tests take, by room: ``make coverage`` prints it from what was measured,
with what no test takes of the rooms that read what strangers wrote, and ends with 1 where a room has too few.

``python -m tests.branches ROOM…`` asks for these rooms alone, where only a part of the tests was measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

LEAST = dict.fromkeys(("tls", "wire", "capture", "secrets", "logs", "findings"), 0.95)
"""Of lines, and of branches."""

LISTED = ("tls", "wire", "capture", "secrets", "logs")
"""Rooms of which it is told what no test takes."""

REPORT = Path("build/coverage/coverage.json")
COUNTED = ("covered_lines", "num_statements", "covered_branches", "num_branches")
Report = dict[str, dict[str, dict[str, Any]]]


def room_of(path: str) -> str:
    """The room of a file of the program."""
    return Path(path).relative_to("inspector").parts[0].removesuffix(".py")


def shares(report: Report) -> dict[str, tuple[float, float]]:
    """Of lines and of branches, by room, as a report of coverage in JSON has them."""
    rooms: dict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTED))
    for name, file in report["files"].items():
        room = room_of(name)
        rooms[room] = [sum(pair) for pair in zip(rooms[room], (file["summary"][c] for c in COUNTED), strict=True)]
    return {
        room: (lines / max(all_lines, 1), branches / all_branches if all_branches else 1.0)
        for room, (lines, all_lines, branches, all_branches) in sorted(rooms.items())
    }


def not_taken(report: Report, rooms: Collection[str]) -> Iterator[str]:
    """The lines that no test takes, and the branches from lines that some take, file by file."""
    for name, file in sorted(report["files"].items()):
        missing = file["missing_lines"]
        if room_of(name) not in rooms or not (missing or file["missing_branches"]):
            continue
        if not file["summary"]["covered_lines"]:
            yield f"{name}: nothing of it"
            continue
        ways = [f"{a} to {'its end' if b < 0 else b}" for a, b in file["missing_branches"] if not {a, b} & {*missing}]
        yield f"{name}: {', '.join([*map(str, missing), *ways])}"


def main(rooms: Collection[str]) -> int:
    """Of the measured rooms, or of some, which must be among them."""
    subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(REPORT)], check=True)
    report = json.loads(REPORT.read_bytes())
    found = shares(report)
    few = [room for room, least in LEAST.items() if room in (rooms or LEAST) and min(found.get(room, (0, 0))) < least]
    for room, (lines, branches) in found.items():
        print(f"{room:16} {lines:6.1%} of lines {branches:6.1%} of branches{'  too few' if room in few else ''}")
    for text in not_taken(report, rooms or LISTED):
        print(f"no test takes {text}")
    return bool(few)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
