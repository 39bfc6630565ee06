"""Where live frames come from: what all sources have in common, and a pipe that somebody else gave us.

Nothing here blocks: the loop asks whose descriptors are ready. One that ends is started again, later and later, where
it can be.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal

from inspector.capture.frames import FrameBatch
from inspector.errors import UnreadableError
from inspector.findings.wording import worded
from inspector.live.sources.pipes import Pipe, PipeStream
from inspector.live.sources.sniff_messages import CaptureMethod

STOP_SECONDS = 1.0
"""What a source is given to end; then it is killed."""

LOOK_SECONDS = 0.1
FRAMES_AT_ONCE = 8_192
"""Of handshakes that is a thousand."""

SLICE_SECONDS = 0.02
"""How often it is looked whether what gathers is enough."""

KEPT_LINES = 20

State = Literal["starting", "capturing", "lost", "waiting", "ended"]


class Source:
    """One source. ``name``: what a person calls it. ``text``: the last that was heard of it. ``dropped``: None where it
    does not say.
    """

    is_here = True
    """Its clock is this machine's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: State = "starting"
        self.text = ""
        self.by = ""
        """What captures, for people."""
        self.method: CaptureMethod = "any"
        """By which library an interface is read; any where no library of ours reads it."""
        self.received = 0
        self.dropped: int | None = None
        self.news: deque[str] = deque(maxlen=KEPT_LINES)
        """What a person should hear: taken by whoever tells it."""
        self.stream: PipeStream | None = None
        self.advice = ""
        """What to try where it ends without having captured anything."""

    def descriptors(self) -> list[int]:
        """What to wait for."""
        return [self.stream.pipe.descriptor] if self.stream else []

    def early_seconds(self, descriptor: int) -> float:
        """A descriptor has something: how long it may wait for more."""
        is_stream = self.stream is not None and self.stream.pipe.descriptor == descriptor
        return self.stream.early_seconds if self.stream is not None and is_stream else 0.0

    def start(self) -> None:
        """Begin."""

    def tick(self) -> None:
        """Called several times a second."""

    def ready(self, descriptor: int) -> FrameBatch | None:
        """A descriptor has something; the frames, if it was they."""
        if self.stream is None or self.stream.pipe.descriptor != descriptor:
            return None  # it ended while others were looked at
        try:
            batch = self.stream.read()
        except UnreadableError as error:
            self.text = f"{error}; {error.hint}"
            self.news.append(self.text)
            batch = None
        if batch is None:
            self._close_stream()
            self.ended()
        elif len(batch):
            self.state = "capturing"
        return batch

    def release(self) -> None:
        """The frames handed on last are done with; until then they must not be looked at by anybody else."""

    def ended(self) -> None:
        """No more frames from this stream."""
        self.state = "ended"

    def _close_stream(self) -> None:
        if self.stream is not None:
            if self.stream.info.damage:
                self.news.append(f"{self.name}: {worded(self.stream.info.damage)}")
            self.stream.pipe.close()
            self.stream = None

    def stop(self) -> None:
        """End it; what it has written by then can still be read."""

    def kill(self) -> None:
        """It had its time to end."""


class PipeSource(Source):
    """Standard input, or another pipe that is already open."""

    is_here = False

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name)
        self.stream = PipeStream(Pipe(descriptor), name)
        self.state = "capturing"
        self.by = "a pipe"


def ready(sources: Sequence[Source], seconds: float) -> Iterator[tuple[Source, FrameBatch]]:
    """Frames of whoever has some within a time, at most ``FRAMES_AT_ONCE``; each batch is good until the next is asked
    for.
    """
    waiting = {descriptor: source for source in sources for descriptor in source.descriptors()}
    readable = select.select(list(waiting), [], [], seconds)[0]
    while early := min((waiting[descriptor].early_seconds(descriptor) for descriptor in readable), default=0.0):
        time.sleep(min(early, SLICE_SECONDS))
    for descriptor in readable:
        source = waiting[descriptor]
        batch = source.ready(descriptor)
        if batch is not None:
            yield from ((source, some) for some in batch.slices(FRAMES_AT_ONCE))
        source.release()


def stopped(sources: Sequence[Source]) -> Iterator[FrameBatch]:
    """Stop all; what they had captured by then is still handed on."""
    for source in sources:
        source.stop()
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        left = [source for source in sources if source.state != "ended"]
        if not any(source.descriptors() for source in left):
            return
        for _, batch in ready(left, LOOK_SECONDS):
            yield batch
    for source in sources:
        source.kill()
