"""Who may change a program: whoever runs it does what they want."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def changeable(paths: Iterable[str]) -> str:
    """Of some files and directories, all that lies in these, and all that leads there, one that somebody beside root
    may change, put another in the place of, or make where there is none; ``""`` where there is none such. What cannot
    be looked at counts as one.
    """
    walked: set[str] = set()
    waiting = [os.path.abspath(path) for path in paths]
    while waiting:
        path = waiting.pop()
        is_there = True
        for part in _leading(Path(path)):
            if not _is_roots(part, is_on_the_way=is_there):
                return str(part) if part.is_symlink() else os.path.realpath(part)
            is_there = os.path.lexists(part)  # who may add to a directory may make what is missing there
        real = os.path.realpath(path)
        if real in walked or not os.path.isdir(real):
            continue
        walked.add(real)
        if not _is_roots(real):
            return real
        unlisted: list[OSError] = []
        for folder, folders, files in os.walk(real, onerror=unlisted.append):
            for entry in (os.path.join(folder, name) for name in (*folders, *files)):
                if os.path.islink(entry):
                    waiting.append(entry)
                elif not _is_roots(entry):
                    return entry
        if unlisted:
            return str(unlisted[0].filename)
    return ""


def _leading(path: Path) -> Iterator[Path]:
    """A file or directory, and those that it is reached by, also through links."""
    for part in (path, *path.parents):
        yield part
        if part.is_symlink() and part.exists():
            yield from _leading(part.parent / part.readlink())
        elif part.is_symlink():
            yield from _leading(Path(os.path.realpath(part)))


def _is_roots(path: str | Path, *, is_on_the_way: bool = False) -> bool:
    """Nobody else may change it; also where there is none. ``is_on_the_way``: that others may put more into a directory
    does no harm where they cannot replace what is there (``/tmp``).
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    is_mask = status.st_mode & stat.S_IWGRP and not stat.S_ISLNK(status.st_mode) and _has_access_list(path)
    writers = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid or is_mask else 0)
    is_open = status.st_mode & writers and not (is_on_the_way and status.st_mode & stat.S_ISVTX)
    return status.st_uid == 0 and (stat.S_ISLNK(status.st_mode) or not is_open)


def _has_access_list(path: str | Path) -> bool:
    """Whether rights beside those of user, group and others are given (acl(5)); the group's are their mask then."""
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        return False
