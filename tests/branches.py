"""The share of branches that the tests take, by room: ``make coverage`` prints it from what was measured, and ends with
1 where a room has too few.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

LEAST = {"tls": 0.95, "wire": 0.95, "findings": 0.95}
REPORT = Path("build/coverage/coverage.json")


def main() -> int:
    subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(REPORT)], check=True)
    taken: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, file in json.loads(REPORT.read_bytes())["files"].items():
        room = Path(name).relative_to("inspector").parts[0].removesuffix(".py")
        taken[room][0] += file["summary"]["covered_branches"]
        taken[room][1] += file["summary"]["num_branches"]
    few = [room for room, least in LEAST.items() if taken[room][0] < least * taken[room][1]]
    for room, (covered, count) in sorted(taken.items()):
        if count:
            print(
                f"{room:16} {covered:5} of {count:5} branches "
                f" {covered / count:6.1%}{'  too few' if room in few else ''}"
            )
    return bool(few)


if __name__ == "__main__":
    sys.exit(main())
