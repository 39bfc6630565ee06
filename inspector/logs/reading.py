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


def lines(stream: Readable) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, without their ends; of a line that is too long, its start. Raises Damaged behind the last one that could be had."""
    rest, number, is_told = b"", 0, False
    piece = bytearray(CHUNK)
    while count := stream.readinto(memoryview(piece)):
        parts = (rest + piece[:count]).split(b"\n")
        rest = parts.pop()
        for line in parts:
            if is_told:  # its start was given already
                is_told = False
                continue
            number += 1
            yield number, line[:LONGEST_LINE].rstrip(b"\r")
        if len(rest) > LONGEST_LINE:
            if not is_told:
                number += 1
                yield number, rest[:LONGEST_LINE]
            rest, is_told = b"", True
    if rest and not is_told:
        yield number + 1, rest.rstrip(b"\r")
