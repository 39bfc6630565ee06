"""One target under the fuzzer: ``python -m tests.fuzz.guided NAME [OPTIONS OF LIBFUZZER] [FOLDERS]``. Needs atheris."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import atheris

from tests.fuzz.targets import TARGETS, read_of

PACKAGE = Path(__file__).parent.parent.parent / "inspector"


def other_modules(rooms: Iterable[str]) -> list[str]:
    """The program's modules that do not stand in these rooms: they run as they are, and fast."""
    names = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("*.py")]
    return [".".join(parts).removesuffix(".__init__") for parts in names if parts[1] not in rooms]


def main(name: str, options: list[str]) -> None:
    with atheris.instrument_imports(include=["inspector"], exclude=other_modules(TARGETS[name].rooms)):
        read = read_of(name)
    command = f"{sys.executable} -m tests.fuzz.guided {name}"  # how -merge starts itself again
    atheris.Setup([command, *options], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
