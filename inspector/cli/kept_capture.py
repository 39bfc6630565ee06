"""The capture that a probe leaves: it takes its place whole, readable by its owner alone, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from typing import BinaryIO

from inspector.cli.streams import private_file
from inspector.errors import UnwritableError, UsageError
from inspector.live.outputs.disk import gives_way
from inspector.text.safe import path_text


class KeptCapture:
    """A capture that is written beside its place, and moved there once it holds something: what stands there stays
    until then. ``path``: where it can be read.
    """

    def __init__(self, target: str) -> None:
        """Raises UnwritableError where it could not take its place."""
        self._target = target
        self._require_regular()
        directory = os.path.dirname(os.path.abspath(target))
        self.path = os.path.join(directory, f".inspector-probe-{secrets.token_hex(8)}")
        self.is_kept = False
        self.out: BinaryIO = private_file(self.path, target)

    def keep(self) -> None:
        """It is written: move it to its place. Raises UnwritableError."""
        self._require_regular()
        try:
            os.replace(self.path, self._target)
        except OSError as error:
            raise UnwritableError(f"{path_text(self._target)}: {error.strerror or error}") from None
        self.path, self.is_kept = self._target, True

    def remove(self) -> None:
        """Take it away, unless it was kept."""
        if not self.is_kept:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def _require_regular(self) -> None:
        """No device or pipe gives way to it, and what a link leads to is somebody's decision."""
        if not gives_way(self._target):
            raise UnwritableError(f"{path_text(self._target)}: not a regular file")


def require_apart(written: Iterable[tuple[str, str | None]], read: Iterable[tuple[str, str | None]]) -> None:
    """Files that are written are none of each other's, and none of those that are read; both by option. Raises
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
