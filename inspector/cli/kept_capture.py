"""The capture that a probe leaves: it takes its place whole, readable by its owner alone, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import BinaryIO

from inspector.cli.streams import private_file
from inspector.errors import UnwritableError
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
