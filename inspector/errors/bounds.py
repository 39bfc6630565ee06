"""Which bounds of the program were reached, and what was lost while capturing."""

from __future__ import annotations

from enum import StrEnum

from inspector.errors.internal import InternalError
from inspector.errors.notice import ForeignText, Moment, Notice, PathText


class FlowsClosedEarly(Notice, frozen=True, array_like=True):
    """More flows were open at once than are followed."""

    count: int
    most: int


class AuthoritiesNotKept(Notice, frozen=True, array_like=True):
    """So many lists of client certificate authorities were too many to keep their names."""

    count: int


class CertificatesNotKept(Notice, frozen=True, array_like=True):
    """So many certificates were too many, or too large, to keep them."""

    count: int


class HellosNotKept(Notice, frozen=True, array_like=True):
    """The shapes of so many hellos were too many, or too large, to keep them."""

    count: int


class ServicesNotJudged(Notice, frozen=True, array_like=True):
    """There were more services than are judged: so many with so many connections were left out."""

    count: int
    connections: int


class ConnectionsForgotten(Notice, frozen=True, array_like=True):
    """Older connections are no longer in memory, nor anywhere else."""

    count: int


class ConnectionsInJournal(Notice, frozen=True, array_like=True):
    """Older connections are no longer in memory, and stand in the journal."""

    count: int


class JournalLost(Notice, frozen=True, array_like=True):
    """Whoever wrote a journal could not, so many times."""

    path: PathText
    times: int


class JournalNotWritten(Notice, frozen=True, array_like=True):
    """A journal cannot be written now."""

    path: PathText
    reason: ForeignText


class JournalNotRead(Notice, frozen=True, array_like=True):
    """A journal that is written on, and of which cannot be read what earlier runs kept."""

    path: PathText
    reason: ForeignText


class JournalSetAside(Notice, frozen=True, array_like=True):
    """A journal that was damaged is a file by another name now, and a new one was begun."""

    path: PathText
    other: PathText
    reason: ForeignText


class JournalUnsettled(Notice, frozen=True, array_like=True):
    """What was written last to a journal stands in a file beside it that may not be read without writing."""

    path: PathText


class FramesNotWritten(Notice, frozen=True, array_like=True):
    """A recording cannot be written now."""

    path: PathText
    reason: ForeignText


class Direction(StrEnum):
    """Where a clock was set."""

    FORWARD = "forward"
    BACK = "back"


class PacketsLeft(Notice, frozen=True, array_like=True):
    """Reading ended behind so many packets, as whoever asked for it wanted, and there are more."""

    most: int


class ClockSet(Notice, frozen=True, array_like=True):
    """The machine's clock was set while capturing, by so many seconds. ``at``: by the new time."""

    direction: Direction
    seconds: float
    at: Moment


Bound = (
    FlowsClosedEarly
    | AuthoritiesNotKept
    | HellosNotKept
    | ConnectionsForgotten
    | ConnectionsInJournal
    | JournalLost
    | JournalNotWritten
    | JournalNotRead
    | JournalUnsettled
    | JournalSetAside
    | FramesNotWritten
    | ClockSet
    | PacketsLeft
    | CertificatesNotKept
    | ServicesNotJudged
    | InternalError
)
