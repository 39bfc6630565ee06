"""Who has flows followed: what ``flows`` asks of whoever owns them, and what it is given for flows that were read as a
whole.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from inspector.capture.frames import I64, U8, U64, Rows
from inspector.wire.completed import CompletedBatch
from inspector.wire.consumer import FlowConsumer
from inspector.wire.flow import Flow
from inspector.wire.grouping import Grouped


class BatchReader(Protocol):
    """Flows that open in one batch and were read as a whole. ``chosen``: int64, which of the grouped flows they are;
    ``odd``: bool beside it, which must be followed after all; ``is_completed``: bool beside it, those in ``completed``.
    """

    chosen: I64
    odd: Rows
    is_completed: Rows
    completed: CompletedBatch

    def looked(self) -> tuple[I64, I64]:
        """Of which rows of the batch, and how many bytes of each, were looked at, as ``ParsedExtent.note`` takes it."""

    def flow(self, index: int) -> Flow | None:
        """One of them as following it would have left it; None where it must be followed after all."""


class FlowBorder(Protocol):
    """A context for one flow, that lets no mistake of its reader out."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool: ...


class FlowOwner(Protocol):
    """Who has flows followed, and takes them when they end. ``border``: where one flow's mistakes end."""

    @property
    def border(self) -> FlowBorder: ...

    def consumer(self) -> FlowConsumer:
        """Of a flow that opens."""

    def opens(self, octets: U8, start: I64, captured: I64) -> Rows:
        """As ``grouping.Opens``."""

    def read_batch(self, grouped: Grouped, opening: I64) -> BatchReader | None:
        """Read flows that open in a batch as a whole, where that pays. ``opening``: int64, which."""

    def ended(self, flow: Flow) -> None:
        """A flow is over; ``flow.began`` says whether it may have begun before the first frame."""

    def never_opened(self, clients: U64, servers: U64) -> None:
        """Flows are over of which nothing came but a SYN, or a SYN and a RST: who called whom, ``address number << 16 |
        port``.
        """
