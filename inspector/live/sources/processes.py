"""Sources that are processes: any command that writes pcap (``--via``), and what it shares with our own that watches an
interface.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time

from inspector.capture.frames import FrameBatch
from inspector.capture.parent import dying_with_this
from inspector.errors import InspectorError, UsageError
from inspector.live.sources.pipes import Pipe, PipeStream
from inspector.live.sources.source import STOP_SECONDS, Source

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
STEADY_SECONDS = 60.0
"""A command that ran so long begins again with the shortest wait."""

LINE_BYTES = 4096


class Process(Source):
    """A process that writes frames to its standard output and lines to another pipe."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.process: subprocess.Popen[bytes] | None = None
        self._lines = -1
        self._rest = b""
        self._wait = FIRST_WAIT
        self._started = 0.0
        self._again_at = 0.0
        self._stopping = False
        self._has_captured = False

    def launch(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start it; also the descriptor of its lines. Raises OSError."""
        raise NotImplementedError

    def line(self, line: bytes) -> None:
        """It said something."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin, or begin again."""
        self._started = time.monotonic()
        self.process, self._lines = self.launch()
        os.set_blocking(self._lines, False)
        self.attach(self.process)
        self.state = "starting"

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        """Take its frames from its standard output."""
        assert process.stdout is not None
        self.stream = PipeStream(Pipe(os.dup(process.stdout.fileno())), self.name)
        process.stdout.close()

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
        process = self.process
        if process is None:
            return
        self.process = None
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
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
            except InspectorError as error:
                self._again_at = time.monotonic() + self._wait
                self.text = f"{self.name}: {error}"

    def stop(self) -> None:
        """Ask it to end; ``ended`` takes it away."""
        self._stopping = True
        if self.process is None:
            self.state = "ended"
        else:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """It had its time to end."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Command(Process):
    """Any command that writes pcap to its standard output, with its words as a shell would split them; no shell runs
    it.
    """

    is_here = False

    def __init__(self, command: str) -> None:
        super().__init__(command)
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--via {command}: {error}") from None
        if not self._words:
            raise UsageError("--via: no command")
        self.by = self._words[0]

    def launch(self) -> tuple[subprocess.Popen[bytes], int]:
        """The command, with its standard error as lines."""
        lines, errors = os.pipe()
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                preexec_fn=dying_with_this(),
            )
        except OSError as error:
            os.close(lines)
            raise UsageError(f"--via {self.name}: {error.strerror}", self.advice) from None
        finally:
            os.close(errors)
        return process, lines

    def line(self, line: bytes) -> None:
        """What it says on standard error is shown."""
        text = line.decode("utf-8", "backslashreplace").strip()
        if text:
            self.text = text
            self.news.append(f"{self.by}: {text}")
