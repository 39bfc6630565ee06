"""The control groups of this process (cgroups(7)), as far as they show: each may limit it further than the machine."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import join


def group_files(root: str, controller: str, second: str, first: str) -> Iterator[str]:
    """The files of a controller in this process's groups and in those above them. ``root``: where the file system
    begins; ``second``, ``first``: what the file is called in cgroup 2 and 1.
    """
    try:
        lines = text_of(join(root, "proc/self/cgroup")).splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            top, name = join(root, "sys/fs/cgroup"), second
        elif controller in controllers.split(","):
            top, name = join(root, "sys/fs/cgroup", controller), first
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        yield from (join(top, *parts[:depth], name) for depth in range(len(parts) + 1))


def text_of(path: str) -> str:
    """Raises OSError."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def number_in(path: str) -> int | None:
    """None where there is none, or no limit."""
    try:
        text = text_of(path).strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
