"""What may be wrong with a capture."""

from __future__ import annotations

from inspector.errors.notice import Earlier, ForeignText, Notice, PathText


class FrameTooLong(Notice, frozen=True, array_like=True):
    """A frame of a pcap claims more bytes than any frame has; what stands behind it is not read."""

    frame: int
    claimed: int


class BlockTooLong(Notice, frozen=True, array_like=True):
    """A block of a pcapng behind this frame has a length that none can have; what stands behind it is not read."""

    frame: int
    claimed: int


class EndsInFrame(Notice, frozen=True, array_like=True):
    """The file ends inside this frame."""

    frame: int


class EndsInBlock(Notice, frozen=True, array_like=True):
    """The file ends inside a block behind this frame."""

    frame: int


class ReadingStopped(Notice, frozen=True, array_like=True):
    """The system, or what inflates the file, gave no more behind this frame."""

    frame: int
    reason: ForeignText


class StampsTooLate(Notice, frozen=True, array_like=True):
    """From this frame on there are stamps that are later than any time that is kept (``bounds.LATEST_NS``)."""

    frame: int


class InputUnreadable(Notice, frozen=True, array_like=True):
    """An input that is no capture, or cannot be read. ``message``: the error's, which names the path."""

    path: PathText
    message: ForeignText


class NotExtracted(Notice, frozen=True, array_like=True):
    """A capture that a task was to read, or a part of it, was read by none, though that was tried so often. ``reason``:
    the last error's, empty where whoever read it died.
    """

    path: PathText
    tries: int
    reason: ForeignText


class FactsWithoutPackets(Notice, frozen=True, array_like=True):
    """Packets are asked for of a journal or a directory of facts."""


class PacketsNotRead(Notice, frozen=True, array_like=True):
    """The packets could not be read once more. ``message``: the error's, which may name the path."""

    message: ForeignText


class PartUnfinished(Notice, frozen=True, array_like=True):
    """Files of a part of a facts directory are there, and no manifest: it was not written to its end."""

    path: PathText
    part: ForeignText


class PartAltered(Notice, frozen=True, array_like=True):
    """A part of a facts directory is not as it was written, and is not read. ``what``: which of its files, and how."""

    path: PathText
    part: ForeignText
    what: ForeignText


class PartOfOtherSchema(Notice, frozen=True, array_like=True):
    """A part of a facts directory has another form than is read: an earlier or a later version wrote it."""

    path: PathText
    part: ForeignText
    schema: int
    read: int


CaptureDamage = FrameTooLong | BlockTooLong | EndsInFrame | EndsInBlock | ReadingStopped | Earlier | StampsTooLate
InputProblem = InputUnreadable | NotExtracted | PartUnfinished | PartAltered | PartOfOtherSchema
NoPackets = FactsWithoutPackets | PacketsNotRead
