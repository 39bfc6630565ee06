"""Whether all that the program needs has wheels for a machine: ``python -m tests.wheels [MACHINE]…``, ``aarch64`` and
``x86_64`` by default. Asks pip's package index, and downloads nothing but metadata where that serves it.

pip asks itself which dependencies a marker means, and knows the machine that it runs on alone: the program's own
dependencies are chosen here, for the machine that is asked for. Printed is a line for each Python, with the oldest C
library that will do, and the wheels that are not the same for all machines; 1 where there is a wheel missing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from tests.conftest import CAPTURES

MACHINES = ("aarch64", "x86_64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LIBRARIES = ((2, 17), (2, 28), (2, 34))
"""Versions of glibc: the one of manylinux2014, of RHEL 8, of RHEL 9."""


def needed(machine: str, python: str) -> list[str]:
    """What the program depends on there, without markers."""
    project = tomllib.loads((CAPTURES.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    there = {"platform_machine": machine, "python_version": python, "sys_platform": "linux"}
    requirements = [Requirement(line) for line in project["dependencies"]]
    return [
        f"{one.name}{one.specifier}" for one in requirements if one.marker is None or one.marker.evaluate(dict(there))
    ]


def platforms(machine: str, library: tuple[int, int]) -> list[str]:
    """Tags of wheels that run with this version of glibc (PEP 600, PEP 599)."""
    major, latest = library
    return [f"manylinux_{major}_{minor}_{machine}" for minor in range(latest, 16, -1)] + [f"manylinux2014_{machine}"]


def resolved(machine: str, python: str, library: tuple[int, int]) -> list[str] | str:
    """Names of the wheels, or what pip says is missing."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        words += ["--ignore-installed", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
        words += [f"--platform={tag}" for tag in platforms(machine, library)]
        words += [f"--target={folder}", f"--report={report}", *needed(machine, python)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return next((line for line in done.stderr.splitlines() if "No matching" in line), done.stderr.strip())
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
        return sorted(one["download_info"]["url"].rpartition("/")[2] for one in installed)


def main() -> int:
    status = 0
    for machine in sys.argv[1:] or MACHINES:
        for python in PYTHONS:
            wheels: list[str] | str = []
            for library in LIBRARIES:
                wheels = resolved(machine, python, library)
                if isinstance(wheels, list):
                    own = [name for name in wheels if not name.endswith("-none-any.whl")]
                    print(f"{machine}, Python {python}: {len(wheels)} wheels from glibc {library[0]}.{library[1]} on")
                    print("".join(f"    {name}\n" for name in own), end="")
                    break
            else:
                print(f"{machine}, Python {python}: {wheels}")
                status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
