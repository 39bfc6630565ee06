"""Packets as a pcapng stream into a pipe, for whoever shows them while they come: all of them, a moment late, so that
what was found meanwhile is said on them; or those of incidents alone.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Sequence

import numpy as np

from inspector.capture.frames import FrameBatch
from inspector.capture.writer import PcapngWriter
from inspector.facts import FRAME_BITS
from inspector.live.outputs.held_evidence import EvidenceRequest, HeldEvidence, WrittenEvidence
from inspector.packets import reread as evidence
from inspector.text.safe import safe_text

MOST_HELD_BYTES = 64 << 20
"""Of packets that wait; beyond it the oldest are written at once, with what is known by then."""

MOST_COMMENT = 4_000
"""Characters of a comment, beyond which nothing is added."""

NUMBER = (1 << FRAME_BITS) - 1


class ReaderPipe:
    """A pipe that somebody reads. ``has_left``: nobody does any more; what is written then goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        self.has_left = False
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, 0)  # an error alone: the reader has gone

    def write(self, data: bytes, /) -> None:
        """All of it; waits for the reader."""
        left = memoryview(data)
        try:
            while left and not self.has_left:
                left = left[os.write(self._descriptor, left) :]
        except BrokenPipeError:
            self.has_left = True

    def look(self) -> None:
        """Whether somebody reads still, where nothing is written."""
        self.has_left |= bool(self._poll.poll(0))


class PacketStream:
    """All packets, a moment late. Comments on those that were written already are lost."""

    def __init__(self, pipe: ReaderPipe, names: Sequence[str], delay_ns: int, most: int = MOST_HELD_BYTES) -> None:
        """``names``: of the interfaces, by capture. ``delay_ns``: how late."""
        self._writer = PcapngWriter(pipe, names=names)
        self._delay_ns = delay_ns
        self._most = most
        self._waiting: deque[FrameBatch] = deque()
        self._waiting_bytes = 0
        self._written = 0
        """The number of the last frame that was."""
        self._comments: dict[int, str] = {}
        """By frame reference."""

    def take(self, batch: FrameBatch) -> None:
        """Packets as they come; what holds them is done with then."""
        self._waiting.append(batch.copied_from(0))
        self._waiting_bytes += len(self._waiting[-1].data)
        while self._waiting_bytes > self._most:
            self._write()

    def comment(self, reference: int, text: str) -> None:
        """Something is said on a packet, by its reference: each thing once."""
        if reference & NUMBER <= self._written:
            return
        text = safe_text(text, MOST_COMMENT)
        before = self._comments.get(reference)
        if before is None:
            self._comments[reference] = f"inspector: {text}"
        elif text not in before and len(before) < MOST_COMMENT:
            self._comments[reference] = f"{before}; {text}"

    def pass_on(self, now_ns: int, *, at_last: bool = False) -> None:
        """Write what has waited for long enough by packet time; at last, all."""
        while self._waiting and (at_last or int(self._waiting[0].time_ns[-1]) + self._delay_ns <= now_ns):
            self._write()

    def statistics(self, now_ns: int, received: int, dropped: int) -> None:
        """How many packets came and how many were dropped, at the end."""
        self._writer.statistics(0, now_ns, received, dropped)

    def _write(self) -> None:
        batch = self._waiting.popleft()
        self._waiting_bytes -= len(batch.data)
        self._writer.write(batch, evidence.comments_on(batch, self._comments))
        self._written = int(batch.number[-1])
        for reference in [one for one in self._comments if one & NUMBER <= self._written]:
            del self._comments[reference]


class StreamedIncidents(HeldEvidence):
    """The packets of each incident a moment after it, each packet once."""

    def __init__(self, pipe: ReaderPipe, names: Sequence[str]) -> None:
        """``names``: of the interfaces, by capture."""
        super().__init__()
        self._writer = PcapngWriter(pipe, names=names)
        self._sent: set[int] = set()
        """Numbers of frames that were written, and are still held."""

    def _obstacle(self) -> str:
        return ""

    def _write(self, wanted: EvidenceRequest) -> WrittenEvidence:
        before = self._writer.count
        for batch, _ in self._frames_of(wanted.flows()):
            numbers = batch.number.tolist()
            fresh = np.array([number not in self._sent for number in numbers])
            self._sent.update(numbers)
            self._writer.write(batch.select(fresh), evidence.comments_on(batch, wanted.comments))
        oldest = int(self._buffered[0].number[0]) if self._buffered else 0
        self._sent = {number for number in self._sent if number >= oldest}
        self.written += 1
        return WrittenEvidence(wanted.id, "", self._writer.count - before, 0, "")
