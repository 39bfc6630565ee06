"""Who takes what TCP carries. TCP orders bytes and knows when a flow begins and ends; what the bytes mean, only their
consumer knows. It says how far nobody needs to look, so that most bytes are counted and never touched.

A *record* is the unit in which a consumer's protocol writes to TCP, with its length at its head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from inspector.wire.runs import Run


class ByteConsumer(Protocol):
    """Takes one direction. Hot: asked for attributes, and called only for bytes that it wants.

    ``want``: the offset of the next byte that it needs; everything before is passed over. ``sealed``: not 0 where
    whatever comes next may be taken by ``skip_record``; else only what begins with ``SKIPPED`` may. ``OPENING``: a
    segment that begins with this byte may wake it. ``SKIPPED_BYTES``: how many bytes ``skip_record`` looks at.
    """

    OPENING: ClassVar[int]
    SKIPPED: ClassVar[int]
    SKIPPED_BYTES: ClassVar[int]
    want: int
    sealed: int

    @property
    def has_begun(self) -> bool:
        """Whether what it looks for was recognised in this direction."""

    @staticmethod
    def opens(head: bytes, *, at_start: bool) -> bool:
        """Whether bytes are how a direction of its protocol begins. ``at_start``: they may be the first of a stream."""

    def feed(self, offset: int, chunk: bytes, frame: int, ns: int) -> None:
        """Bytes that hold the one at ``want``."""

    def skip_record(self, data: memoryview, at: int, left: int, frame: int, ns: int) -> bool:
        """Take what begins at ``at``, where ``want`` is, without a copy; False where it must be fed."""

    def skip_records(self, rows: Run, first: int, last: int, origin: int) -> bool:
        """The same for all that comes next of such in segments that follow each other, as far as it goes. ``origin``:
        what stands in ``rows.before`` for the first byte of the stream.
        """

    def gap(self, offset: int) -> None:
        """Bytes up to ``offset`` will never come."""

    def wake(self, offset: int) -> None:
        """What begins at ``offset`` may be of interest after all."""

    def begin_midstream(self) -> None:
        """The first byte of the stream is not known."""

    def end(self) -> None:
        """Nothing more will come."""


class FlowConsumer(Protocol):
    """Takes both directions of a flow, and what TCP says of it. ``client_lane``: which direction is the client's; None
    while that is not known.
    """

    client_lane: int | None

    @property
    def directions(self) -> Sequence[ByteConsumer]:
        """Lane 0 and lane 1."""

    def opened(self, lane: int, frame: int, ns: int) -> None:
        """A SYN."""

    def closed(self, lane: int, frame: int, ns: int, *, is_reset: bool) -> None:
        """The first FIN or RST of a direction."""

    @property
    def is_recognised(self) -> bool:
        """Whether the flow carries what the consumer looks for."""

    @property
    def is_hopeless(self) -> bool:
        """Whether it can no longer turn out to."""

    @property
    def has_failed(self) -> bool:
        """Whether a side gave up by the consumer's own means."""

    @property
    def is_established(self) -> bool:
        """Whether both sides have come to an agreement."""

    def release(self) -> None:
        """The flow is over: keep nothing that leads back to it."""
