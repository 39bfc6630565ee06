"""Files that a command writes: none of those that it reads."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.errors import UsageError
from inspector.system.file_identity import file_identity
from inspector.text.safe import path_text

STANDARD_INPUT = "/dev/stdin"


def require_apart(written: Iterable[tuple[str, str | None]], read: Iterable[tuple[str, str | None]]) -> None:
    """Files that are written are none of each other's, and none of those that are read; both by what names them. Raises
    UsageError.
    """
    options: dict[object, str] = {}
    for option, path in read:
        if path is not None:
            options.setdefault(file_identity(path), option)
    for option, path in written:
        identity = None if path is None else file_identity(path)
        if path is None or identity is None:
            continue
        if identity in options:
            raise UsageError(
                f"{option} {path_text(path)}: that is the file of {options[identity]}", "name another file"
            )
        options[identity] = option
