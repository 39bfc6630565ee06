"""Why a log could not be read, or not in full."""

from __future__ import annotations

from inspector.errors.internal import InternalError
from inspector.errors.notice import ForeignText, Notice


class LogUnreadable(Notice, frozen=True, array_like=True):
    """A log cannot be read."""

    reason: ForeignText


class LogUnreadableBehind(Notice, frozen=True, array_like=True):
    """A log cannot be read behind this line."""

    line: int
    reason: ForeignText


class LogIsSilent(Notice, frozen=True, array_like=True):
    """A pipe gave nothing for so many seconds."""

    seconds: int


class LogIsDevice(Notice, frozen=True, array_like=True):
    """What was given as a log is a device."""


class LogIsSocket(Notice, frozen=True, array_like=True):
    """What was given as a log is a socket."""


class LogIsEmpty(Notice, frozen=True, array_like=True):
    """A log has no line."""


class LogIsBinary(Notice, frozen=True, array_like=True):
    """What was given as a log is no text."""


class LogFormUnknown(Notice, frozen=True, array_like=True):
    """A log of a form that is not known."""


class TooManyConnections(Notice, frozen=True, array_like=True):
    """A balancer's log says more than is kept."""

    most: int


class TooManyFailures(Notice, frozen=True, array_like=True):
    """A client's log says more than is kept."""

    most: int


class LogNoLongerRead(Notice, frozen=True, array_like=True):
    """A log that was followed cannot be read any more."""

    reason: ForeignText


class LogWriterGone(Notice, frozen=True, array_like=True):
    """Whoever wrote into a pipe that was followed has gone."""


class LogRotatedAway(Notice, frozen=True, array_like=True):
    """A log that was followed was rotated, and this user may not read the new file."""

    reason: ForeignText
    user: int


LogProblem = (
    LogUnreadable
    | LogUnreadableBehind
    | LogIsSilent
    | LogIsDevice
    | LogIsSocket
    | LogIsEmpty
    | LogIsBinary
    | LogFormUnknown
    | TooManyConnections
    | TooManyFailures
    | LogNoLongerRead
    | LogWriterGone
    | LogRotatedAway
    | InternalError
)
