"""Who may change a program: whoever runs it does what they want."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def changeable(paths: Iterable[str]) -> str:
    """Of some files and directories, all that lies in these, and all that leads there, one that somebody beside root
    may change or put another in the place of; ``""`` where there is none. An access list counts as rights of the
    group, which is where the kernel shows its mask.
    """
    walked: set[str] = set()
    waiting = [os.path.abspath(path) for path in paths]
    while waiting:
        path = waiting.pop()
        for part in _leading(Path(path)):
            if not _is_roots(part, is_on_the_way=True):
                return str(part) if part.is_symlink() else os.path.realpath(part)
        real = os.path.realpath(path)
        if real in walked or not os.path.isdir(real):
            continue
        walked.add(real)
        if not _is_roots(real):
            return real
        for folder, folders, files in os.walk(real):
            for entry in (os.path.join(folder, name) for name in (*folders, *files)):
                if os.path.islink(entry):
                    waiting.append(entry)
                elif not _is_roots(entry):
                    return entry
    return ""


def _leading(path: Path) -> Iterator[Path]:
    """A file or directory, and those that it is reached by, also through links."""
    for part in (path, *path.parents):
        yield part
        if part.is_symlink() and part.exists():
            yield from _leading(part.parent / part.readlink())


def _is_roots(path: str | Path, *, is_on_the_way: bool = False) -> bool:
    """Nobody else may change it; also where there is none. ``is_on_the_way``: that others may put more into a directory
    does no harm where they cannot replace what is there (``/tmp``).
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    writers = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid else 0)
    is_open = status.st_mode & writers and not (is_on_the_way and status.st_mode & stat.S_ISVTX)
    return status.st_uid == 0 and (stat.S_ISLNK(status.st_mode) or not is_open)
