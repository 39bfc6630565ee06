"""Sources that are processes: any command that writes pcap (``--via``), and what it shares with our own that watches an
interface.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from inspector.capture.frames import FrameBatch
from inspector.errors import InspectorError, UsageError
from inspector.live.sources.launch import KILLED, Child, CommandLaunch, Launch, Starts, launch_of, started_here
from inspector.live.sources.pipes import Pipe, PipeStream
from inspector.live.sources.source import STOP_SECONDS, Source
from inspector.live.sources.started import StarterEnded

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
STEADY_SECONDS = 60.0
"""A command that ran so long begins again with the shortest wait."""

LINE_BYTES = 4096


class Process(Source):
    """A process that hands on frames, and writes lines to a pipe. ``starts``: by whom it is started."""

    def __init__(self, name: str, launch: Launch) -> None:
        super().__init__(name)
        self.launch = launch
        self.starts: Starts = started_here
        self.child: Child | None = None
        self._lines = -1
        self._rest = b""
        self._wait = FIRST_WAIT
        self._started = 0.0
        self._again_at = 0.0
        self._stopping = False
        self._has_captured = False

    def attach(self, descriptors: Sequence[int]) -> int:
        """Take its frames from the descriptors that its launch says; which one its lines come from."""
        raise NotImplementedError

    def refused(self, problem: str) -> UsageError:
        """It could not be started. ``problem``: as the system says."""
        raise NotImplementedError

    def line(self, line: bytes) -> None:
        """It said something."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin, or begin again. Raises UsageError where it cannot be started, StarterEnded."""
        self._started = time.monotonic()
        try:
            self.child = self.starts(self.launch, {})
        except OSError as error:
            raise self.refused(error.strerror or str(error)) from None
        self._lines = self.attach(self.child.descriptors)
        os.set_blocking(self._lines, False)
        self.state = "starting"

    def descriptors(self) -> list[int]:
        return [*super().descriptors(), *([self._lines] if self._lines >= 0 else [])]

    def ready(self, descriptor: int) -> FrameBatch | None:
        if descriptor != self._lines:
            batch = super().ready(descriptor)
            self._has_captured |= batch is not None and len(batch) > 0
            return batch
        if self._lines >= 0:
            self._read_lines()
        return None

    def _read_lines(self) -> None:
        try:
            got = os.read(self._lines, 1 << 16)
        except BlockingIOError:
            return
        if not got:
            os.close(self._lines)
            self._lines = -1
        *lines, self._rest = (self._rest + got).split(b"\n")
        self._rest = self._rest[-LINE_BYTES:]
        for line in lines:
            self.line(line[:LINE_BYTES])

    def ended(self) -> None:
        """It ended: say how, and when it is started again."""
        child = self.child
        if child is None:
            return
        self.child = None
        status = child.wait(STOP_SECONDS)
        if status is None:
            child.send(signal.SIGKILL)
            status = child.wait(STOP_SECONDS)
        if status is None:
            status = KILLED
        if self._lines >= 0:
            self._read_lines()
        if self._lines >= 0:
            os.close(self._lines)
            self._lines = -1
        if self._stopping:
            self.state = "ended"
            return
        now = time.monotonic()
        if now - self._started > STEADY_SECONDS:
            self._wait = FIRST_WAIT
        self._again_at = now + self._wait
        self.state = "waiting"
        how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self.text = f"{self.name}: {how}, is started again in {self._wait:.0f} s" + (
            f" ({self.text})" if self.text else ""
        )
        if status and self.advice and not self._has_captured:
            self.text += f"; {self.advice}"
        self.news.append(self.text)
        self._wait = min(self._wait * 2, LONGEST_WAIT)

    def tick(self) -> None:
        """Start again what has waited long enough."""
        if self.state == "waiting" and time.monotonic() >= self._again_at and not self._stopping:
            self.text = ""
            try:
                self.start()
            except StarterEnded as error:
                self.state = "ended"
                self.text = f"{self.name}: {error}"
                self.news.append(self.text)
            except InspectorError as error:
                self._again_at = time.monotonic() + self._wait
                self.text = f"{self.name}: {error}"

    def stop(self) -> None:
        """Ask it to end; ``ended`` takes it away."""
        self._stopping = True
        if self.child is None:
            self.state = "ended"
        else:
            self.child.send(signal.SIGTERM)

    def kill(self) -> None:
        """It had its time to end."""
        if self.child is not None:
            self.child.send(signal.SIGKILL)


class Command(Process):
    """Any command that writes pcap to its standard output, with its words as a shell would split them; no shell runs
    it.
    """

    is_here = False

    def __init__(self, command: str, launch: CommandLaunch | None = None) -> None:
        """``launch``: its own, made before. Raises UsageError."""
        made = launch or launch_of(command, "--via")
        super().__init__(command, made)
        self.by = made.words[0]

    def attach(self, descriptors: Sequence[int]) -> int:
        """Its standard output holds frames, its standard error lines."""
        frames, lines = descriptors
        self.stream = PipeStream(Pipe(frames), self.name)
        return lines

    def refused(self, problem: str) -> UsageError:
        return UsageError(f"--via {self.name}: {problem}", self.advice)

    def line(self, line: bytes) -> None:
        """What it says on standard error is shown."""
        text = line.decode("utf-8", "backslashreplace").strip()
        if text:
            self.text = text
            self.news.append(f"{self.by}: {text}")
