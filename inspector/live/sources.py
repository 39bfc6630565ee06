"""Where live frames come from: processes that write pcap or pcapng to a pipe, and a pipe that somebody else gave us.

Ours (``sniff``) watches one interface; any command will do (``--via``): ssh with tcpdump, kubectl exec, dumpcap. One that ends is started again, later and
later. Nothing here blocks: the loop asks whose descriptors are ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from inspector.capture import pcap, pcapng
from inspector.capture.blocks import LiveSource
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.errors import InspectorError, NotPermittedError, UnreadableError, UsageError
from inspector.live.privileges import Account

PIPE_BYTES = 1 << 20
"""What a pipe holds: as much as an ordinary user may ask for."""

BUFFER_BYTES = 4 << 20
MAPPED_BYTES, MARGIN_BYTES = 4 << 20, 256
"""Of the shared memory that is mapped at first, and that is readable behind the last frame."""

STOP_SECONDS = 2.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
STEADY_SECONDS = 60.0
"""A command that ran so long begins again with the shortest wait."""

KEPT_LINES = 20
LINE_BYTES = 4096

State = Literal["starting", "capturing", "lost", "waiting", "ended"]


class Pipe:
    """A descriptor that is never waited for; what ``LiveSource`` reads."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def readinto(self, buffer: memoryview, /) -> int | None:
        """As many bytes as there are; None where there are none now, 0 at the end."""
        try:
            return os.readv(self.descriptor, [buffer])
        except BlockingIOError:
            return None

    def waits(self, seconds: float) -> bool:
        """Whether there are bytes within a time."""
        return bool(select.select([self.descriptor], [], [], seconds)[0])

    def close(self) -> None:
        """Nobody reads on."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class Stream:
    """The frames of one pipe."""

    def __init__(self, pipe: Pipe, name: str) -> None:
        self.pipe = pipe
        self.info = CaptureInfo(name)
        self._source = LiveSource(pipe, pipe.waits, BUFFER_BYTES)
        self._batches: Iterator[FrameBatch] | None = None

    def read(self) -> FrameBatch | None:
        """What has come since; None at the end. Raises UnreadableError where it is no capture."""
        if self._batches is None:
            if self._source.left < pcapng.FIRST_BYTES and self._source.advance(0) and self._source.left < pcapng.FIRST_BYTES:
                return self._nothing()
            self._batches = self._reader()
        return next(self._batches, None)

    def _reader(self) -> Iterator[FrameBatch]:
        buffer, end = self._source.view()
        head = bytes(buffer[: min(end, pcapng.FIRST_BYTES)])
        if head[:4] in pcap.MAGIC and end >= pcap.HEADER_BYTES:
            return pcap.read_pcap(self._source, self.info)
        if head[:4] == pcapng.MAGIC:
            return pcapng.read_pcapng(self._source, self.info)
        if not head:
            return iter(())
        raise UnreadableError(f"{self.info.path}: does not write pcap or pcapng to its standard output", f"it begins with {head[:16]!r}")

    @staticmethod
    def _nothing() -> FrameBatch:
        import numpy as np

        none = np.zeros(0, np.int64)
        return FrameBatch(np.zeros(256, np.uint8), none, none, none, none, none, none)


class Source:
    """One source. ``name``: what a person calls it. ``text``: the last that was heard of it. ``dropped``: None where it does not say."""

    is_here = True
    """Its clock is this machine's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: State = "starting"
        self.text = ""
        self.by = ""
        self.received = 0
        self.dropped: int | None = None
        self.news: deque[str] = deque(maxlen=KEPT_LINES)
        """What a person should hear: taken by whoever tells it."""
        self.stream: Stream | None = None

    def descriptors(self) -> list[int]:
        """What to wait for."""
        return [self.stream.pipe.descriptor] if self.stream else []

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
            self.news.append(f"{error}; {error.hint}")
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
                self.news.append(f"{self.name}: {self.stream.info.damage}")
            self.stream.pipe.close()
            self.stream = None

    def stop(self) -> None:
        """End it; what it has written by then can still be read."""


class Given(Source):
    """Standard input, or another pipe that is already open."""

    is_here = False

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name)
        self.stream = Stream(Pipe(descriptor), name)
        self.state = "capturing"
        self.by = "a pipe"


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
        assert self.process.stdout is not None
        self.stream = Stream(Pipe(os.dup(self.process.stdout.fileno())), self.name)
        self.process.stdout.close()
        self.state = "starting"

    def descriptors(self) -> list[int]:
        """Frames and lines."""
        return [*super().descriptors(), *([self._lines] if self._lines >= 0 else [])]

    def ready(self, descriptor: int) -> FrameBatch | None:
        """Frames or lines."""
        if descriptor != self._lines:
            return super().ready(descriptor)
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
        self.text = f"{self.name}: {how}, is started again in {self._wait:.0f} s" + (f" ({self.text})" if self.text else "")
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


class Interface(Process):
    """An interface of this machine, watched by a process of ours. ``account``: whom it becomes once the capture is open.

    Its frames come in memory that both share (see ``sniff``): a batch is good until ``release``.
    """

    def __init__(self, interface: str, expression: str, account: Account | None, snaplen: int = 262_144, buffer_mib: int = 16, promiscuous: bool = False, by: str = "any") -> None:
        super().__init__(interface)
        self._options = {
            "interface": interface,
            "filter": expression,
            "account": account,
            "snaplen": snaplen,
            "buffer_mib": buffer_mib,
            "promiscuous": promiscuous,
            "by": by,
        }
        self.error: tuple[str, str] | None = None
        """The kind of an error that was told, and its text."""
        self._past = (0, 0)
        self._memory = -1
        self._mapped: mmap.mmap | None = None
        self._records: pcap.Records | None = None
        self._filled = 0

    def start(self) -> None:
        """Begin, or begin again."""
        self._started = time.monotonic()
        self._records = None
        self._filled = 0
        self.process, self._lines = self.launch()
        os.set_blocking(self._lines, False)
        self.state = "starting"

    def launch(self) -> tuple[subprocess.Popen[bytes], int]:
        """Our own program again, as a process that only captures."""
        self._forget_memory()
        self._memory = os.memfd_create("inspector-frames", os.MFD_CLOEXEC)
        lines, status = os.pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", "-m", "inspector.live.sniff", json.dumps({**self._options, "status": status})]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=self._memory, stderr=subprocess.DEVNULL, pass_fds=[status], env=environment, start_new_session=True, bufsize=0
            )
        except OSError as error:
            os.close(lines)
            raise UsageError(f"{sys.executable} cannot be started by this user: {error.strerror}") from None
        finally:
            os.close(status)
        return process, lines

    def ready(self, descriptor: int) -> FrameBatch | None:
        """Frames, or news."""
        if self._lines < 0 or descriptor != self._lines:
            return None
        self._read_lines()
        if self._lines < 0:
            self.ended()
            return None
        return self._frames() if self._filled else None

    def _frames(self) -> FrameBatch | None:
        """What the process has filled the memory with; the first time it is the stream's header."""
        memory = self._map(self._filled)
        if self._records is None:
            self._records = pcap.Records(memory[: pcap.HEADER_BYTES])
            self.release()
            return None
        return self._records.batch(memory, self._filled)

    def _map(self, size: int) -> mmap.mmap:
        wanted = size + MARGIN_BYTES
        if self._mapped is None or len(self._mapped) < wanted:
            wanted = max(wanted, MAPPED_BYTES)
            if os.fstat(self._memory).st_size < wanted:
                os.ftruncate(self._memory, wanted)
            self._mapped = mmap.mmap(self._memory, wanted, mmap.MAP_SHARED, mmap.PROT_READ)
        return self._mapped

    def release(self) -> None:
        """The frames handed on last are done with."""
        if self._filled and self.process is not None and self.process.stdin is not None:
            self._filled = 0
            with contextlib.suppress(OSError):
                self.process.stdin.write(b".")

    def ended(self) -> None:
        """It ended: say how, and when it is started again."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        super().ended()

    def _forget_memory(self) -> None:
        self._mapped = None
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def line(self, line: bytes) -> None:
        """What ``sniff`` tells."""
        told: dict[str, Any] = json.loads(line)
        if "frames" in told:
            self._filled = told["frames"]
        elif "received" in told:
            self.received, self.dropped = told["received"] + self._past[0], told["dropped"] + self._past[1]
        elif "opened" in told:
            self.by = told["opened"]
            self.state = "capturing"
            self._past = (self.received, self.dropped or 0)
            self.dropped = self.dropped or 0
        elif "lost" in told:
            self.state = "lost"
            self.text = f"{self.name}: {told['lost']}; waiting for it to come back"
            self.news.append(self.text)
        elif "back" in told:
            self.state = "capturing"
            self.text = ""
            self.news.append(f"{self.name}: is back")
        elif "error" in told:
            self.error = (told["kind"], told["error"])
            self.text = told["error"]

    def await_open(self, seconds: float = 10.0) -> None:
        """Wait until the capture is open. Raises NotPermittedError or UsageError where it cannot be."""
        until = time.monotonic() + seconds
        while not self._filled and self.error is None and self._lines >= 0 and time.monotonic() < until:
            if select.select([self._lines], [], [], 0.1)[0]:
                self._read_lines()
        if self._filled:
            self._frames()
        if self.error is not None:
            kind, text = self.error
            self.stop()
            if kind == "permission":
                raise NotPermittedError(text, "run it with sudo, or: inspector doctor")
            raise UsageError(text, "inspector live -D lists the interfaces" if kind == "device" else "filters are written as for tcpdump: man pcap-filter")
        if self.state == "starting":
            self.stop()
            raise InspectorError(f"{self.name}: the capture did not open within {seconds:.0f} s")


class Command(Process):
    """Any command that writes pcap to its standard output, with its words as a shell would split them; no shell runs it."""

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
            process = subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        except OSError as error:
            os.close(lines)
            raise UsageError(f"--via {self.name}: {error.strerror}") from None
        finally:
            os.close(errors)
        return process, lines

    def line(self, line: bytes) -> None:
        """What it says on standard error is shown."""
        text = line.decode("utf-8", "backslashreplace").strip()
        if text:
            self.text = text
            self.news.append(f"{self.by}: {text}")


def stopped(sources: Sequence[Source]) -> Iterator[FrameBatch]:
    """Stop all; what they had captured by then is still handed on."""
    for source in sources:
        source.stop()
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        waiting = {fd: source for source in sources if source.state != "ended" for fd in source.descriptors()}
        if not waiting:
            return
        for descriptor in select.select(list(waiting), [], [], 0.1)[0]:
            batch = waiting[descriptor].ready(descriptor)
            if batch is not None and len(batch):
                yield batch
            waiting[descriptor].release()
    for source in sources:
        if isinstance(source, Process) and source.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(source.process.pid, signal.SIGKILL)
