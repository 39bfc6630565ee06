"""Something worked out by a copy of this process, which writes it into memory that both share."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from inspector.system.anonymous_files import anonymous_file
from inspector.system.forked_copy import ForkedCopy

Write = Callable[[BinaryIO], object]


class ForkedJob(ForkedCopy):
    """``output``: what it has written, to be read once it is over."""

    def __init__(self, write: Write, nice: int = 0) -> None:
        """Begin. Raises OSError where there can be no further process."""
        output = self.output = anonymous_file()

        def work() -> None:
            write(output)
            output.flush()

        try:
            super().__init__(work, nice)
        except OSError:
            output.close()
            raise

    def drop(self) -> None:
        """Nobody wants it any more."""
        super().drop()
        self.output.close()
