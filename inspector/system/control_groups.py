"""The control groups of this process (cgroups(7)), as far as they show: each may limit it further than the machine."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import join
from typing import NamedTuple


class ControlGroup(NamedTuple):
    """``folder``: where its files are; ``is_second``: of cgroup 2, which calls them otherwise than cgroup 1."""

    folder: str
    is_second: bool

    def file(self, second: str, first: str) -> str:
        """The path of one. ``second``, ``first``: what it is called in cgroup 2 and 1."""
        return join(self.folder, second if self.is_second else first)


def control_groups(root: str, controller: str) -> Iterator[ControlGroup]:
    """Those of this process, and those above them. ``root``: where the file system begins."""
    try:
        lines = text_of(join(root, "proc/self/cgroup")).splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        is_second = not controllers
        if not is_second and controller not in controllers.split(","):
            continue
        top = join(root, "sys/fs/cgroup", "" if is_second else controller)
        parts = [part for part in group.split("/") if part not in ("", "..")]
        yield from (ControlGroup(join(top, *parts[:depth]), is_second) for depth in range(len(parts) + 1))


def text_of(path: str) -> str:
    """Raises OSError."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def number(text: str) -> int | None:
    """None where it is none, as where there is no limit."""
    return int(text) if text.isdecimal() else None


def number_in(path: str) -> int | None:
    """That of a file; None where there is none, or no limit."""
    try:
        return number(text_of(path).strip())
    except OSError:
        return None
