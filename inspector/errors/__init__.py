"""What can go wrong for the person, each with a hint. A mistake of this program is none of these: where it costs one
thing of many it is counted (``internal``), else it ends the command with a traceback.

What is wrong with an input, and does not keep others from being read, is a *notice* (``notice``).
"""

from __future__ import annotations


class InspectorError(Exception):
    """Something the person can mend. ``hint`` is one line that says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(InspectorError):
    """The command line asks for something that cannot be done; exit status 2."""


class UnreadableError(InspectorError):
    """No capture can be read from this input; exit status 2 where it was the only one."""


class NotPermittedError(InspectorError):
    """The user may not capture; exit status 4."""


class OutputError(InspectorError):
    """Something cannot be written."""


class UnwritableError(OutputError):
    """A disk is full, a file is read-only, a stream is closed; exit status 2."""


class ReaderLeftError(OutputError):
    """Whoever read a pipe has seen enough: nothing is said, and the exit status is that of SIGPIPE, 141."""
