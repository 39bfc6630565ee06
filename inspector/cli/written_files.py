"""Files that a command writes: none of those that it reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from inspector.errors import UsageError
from inspector.text.safe import path_text


def require_apart(written: Iterable[tuple[str, str | None]], read: Iterable[tuple[str, str | None]]) -> None:
    """Files that are written are none of each other's, and none of those that are read; both by what names them. Raises
    UsageError.
    """
    named = [(option, path) for option, path in read if path is not None]
    for option, path in written:
        if path is None:
            continue
        for other, there in named:
            if _is_same(path, there):
                raise UsageError(f"{option} {path_text(path)}: that is the file of {other}", "name another file")
        named.append((option, path))


def _is_same(path: str, other: str) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(path, other)
    return os.path.realpath(path) == os.path.realpath(other)
