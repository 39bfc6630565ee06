"""The share of lines and branches that the tests take, by room: ``make coverage`` prints it from what was measured, and
ends with 1 where a room has too few.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

LEAST = dict.fromkeys(("tls", "wire", "capture", "secrets", "logs", "findings"), 0.95)
"""Of lines, and of branches."""

REPORT = Path("build/coverage/coverage.json")
COUNTED = ("covered_lines", "num_statements", "covered_branches", "num_branches")


def shares(report: dict[str, dict[str, dict[str, dict[str, int]]]]) -> dict[str, tuple[float, float]]:
    """Of lines and of branches, by room, as a report of coverage in JSON has them."""
    rooms: dict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTED))
    for name, file in report["files"].items():
        room = Path(name).relative_to("inspector").parts[0].removesuffix(".py")
        rooms[room] = [sum(pair) for pair in zip(rooms[room], (file["summary"][c] for c in COUNTED), strict=True)]
    return {
        room: (lines / max(all_lines, 1), branches / all_branches if all_branches else 1.0)
        for room, (lines, all_lines, branches, all_branches) in sorted(rooms.items())
    }


def main() -> int:
    subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(REPORT)], check=True)
    found = shares(json.loads(REPORT.read_bytes()))
    few = [room for room, least in LEAST.items() if min(found[room]) < least]
    for room, (lines, branches) in found.items():
        print(f"{room:16} {lines:6.1%} of lines {branches:6.1%} of branches{'  too few' if room in few else ''}")
    return bool(few)


if __name__ == "__main__":
    sys.exit(main())
