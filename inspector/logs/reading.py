"""Log files as facts: what they are is told by their content. Any file gives facts or a named problem, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from inspector.capture.blocks import Damaged, Readable
from inspector.capture.compression import Counted, inflate
from inspector.logs import haproxy, puppetserver
from inspector.logs.entries import LogFacts
from inspector.logs.haproxy import HaproxyLog
from inspector.logs.puppetserver import PuppetServerLog
from inspector.safe import path_text

CHUNK = 1 << 20
LONGEST_LINE = 1 << 16
TRIED_LINES = 20_000
"""So many lines without a known one make a log of another format."""

Sink = Callable[[int, bytes], None]


def read_log(path: str, clients: Container[tuple[str, int]] | None = None) -> LogFacts:
    """One log, plain or compressed. ``clients``: as in ``HaproxyLog``. Raises nothing: ``problem`` says what went wrong."""
    facts = LogFacts(path_text(path), "unknown")
    try:
        with open(path, "rb") as file:
            _read(inflate(Counted(file, None)), facts, clients)
    except (OSError, Damaged) as error:
        facts.problem = f"cannot be read{f' behind line {facts.lines:,}' if facts.lines else ''}: {getattr(error, 'strerror', None) or error}"
    return facts


def _read(stream: Readable, facts: LogFacts, clients: Container[tuple[str, int]] | None) -> None:
    sink: Sink | None = None
    for number, line in lines(stream):
        facts.lines = number
        if number == 1 and b"\0" in line:
            facts.problem = "is no text"
            return
        if sink is None:
            sink = recognised(line, facts, clients)
            if sink is None:
                if number >= TRIED_LINES:
                    break
                continue
        sink(number, line)
    if sink is None:
        facts.problem = "is empty" if not facts.lines else "is of no known format: neither puppetserver.log nor a log of HAProxy"


def recognised(line: bytes, facts: LogFacts, clients: Container[tuple[str, int]] | None = None) -> Sink | None:
    """What takes the lines of a log, by one of its lines; None where the line does not tell."""
    if puppetserver.is_ours(line):
        facts.form = "puppetserver"
        return PuppetServerLog(facts).line
    if haproxy.is_ours(line):
        facts.form = "haproxy"
        return HaproxyLog(facts, clients).line
    return None


class Splitter:
    """Chunks in, lines with their numbers from 1 out, without their ends; of a line that is too long, its start. ``number``: of the last line."""

    def __init__(self) -> None:
        self.number = 0
        self._rest = b""
        self._is_told = False
        """The start of a line that is too long was given already."""

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[tuple[int, bytes]]:
        """The lines that end in this chunk."""
        parts = (self._rest + chunk).split(b"\n")
        self._rest = parts.pop()
        for line in parts:
            if self._is_told:
                self._is_told = False
                continue
            yield self._next(line)
        if len(self._rest) > LONGEST_LINE:
            if not self._is_told:
                yield self._next(self._rest)
            self._rest, self._is_told = b"", True

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """What stands behind the last line end."""
        if self._rest and not self._is_told:
            yield self._next(self._rest)
        self._rest, self._is_told = b"", False

    def _next(self, line: bytes) -> tuple[int, bytes]:
        self.number += 1
        return self.number, line[:LONGEST_LINE].rstrip(b"\r")


def lines(stream: Readable) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream, as ``Splitter`` gives them. Raises Damaged behind the last one that could be had."""
    splitter = Splitter()
    piece = bytearray(CHUNK)
    while count := stream.readinto(memoryview(piece)):
        yield from splitter.feed(piece[:count])
    yield from splitter.finish()
