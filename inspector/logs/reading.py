"""Log files as facts: what they are is told by their content. Any file gives facts or a named problem, in bounded
memory.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from inspector.capture.blocks import Damaged, Readable
from inspector.capture.compression import inflate
from inspector.errors.internal import Border, InternalError
from inspector.errors.logs import LogFormUnknown, LogIsBinary, LogIsEmpty, LogUnreadable, LogUnreadableBehind
from inspector.errors.notice import ForeignText
from inspector.logs.entries import UNKNOWN, LogFacts
from inspector.logs.envelope import SUSPICIOUS, Envelope
from inspector.logs.formats import FORMATS, LogReader
from inspector.logs.haproxy_formats import Clients
from inspector.logs.opened import OpenedLog
from inspector.logs.sources import NotALog, opened
from inspector.text.safe import path_text

CHUNK = 1 << 20
LONGEST_LINE = 1 << 20
TRIED_LINES, TRIED_BYTES = 20_000, 64 << 20
"""So much without a known line makes a log of another format."""

MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
"""Byte order marks of UTF-16, in which PowerShell writes what is redirected."""

SHORT_LINES = re.compile(rb"\n(?:(?:[^\n\dA-Zh{\[<\"=@_\x1b\xef][^\n]{0,6})?\n){64,}+")
"""Many lines of less than eight bytes, which begin neither an entry nor a wrapped line: in the shortest entry a level
and a logger stand (``INFO [x]``), and the shortest line that says more of one names an exception.
"""

SOURCES = 1024
"""Programs whose lines stand between each other's in one file: more than these begin anew."""


Sink = Callable[[int, bytes], bool]


def read_log(path: str, clients: Clients | None = None, near_ns: int | None = None) -> LogFacts:
    """One log, plain or compressed. ``clients``: as in ``HaproxyLog``; ``near_ns``: as in ``stamps.syslog``. Raises
    nothing: ``problem`` says what went wrong.
    """
    facts = LogFacts(path_text(path), UNKNOWN)
    try:
        with opened(path) as file:
            _read(inflate(file), facts, clients, near_ns)
    except NotALog as error:
        facts.problem = error.problem
    except (OSError, Damaged) as error:
        reason = ForeignText(getattr(error, "strerror", None) or str(error))
        facts.problem = LogUnreadableBehind(facts.lines, reason) if facts.lines else LogUnreadable(reason)
    return facts


def _read(stream: Readable, facts: LogFacts, clients: Clients | None, near_ns: int | None) -> None:
    entries = Entries(facts, clients, near_ns)
    splitter = Splitter(lambda: entries.plain is not None)
    tried = 0
    plain: Sink | None = None
    for number, line in lines(stream, splitter):
        facts.lines = number
        with entries.border:
            if plain is not None and plain(number, line):
                continue
            if number == 1 and b"\0" in line:
                facts.problem = LogIsBinary()
                return
            entries.line(number, line)
            plain = entries.plain
        if facts.form == UNKNOWN:
            tried += len(line)
            if number >= TRIED_LINES or tried >= TRIED_BYTES:
                break
    facts.lines = splitter.number
    if facts.form == UNKNOWN:
        facts.problem = LogFormUnknown() if facts.lines else LogIsEmpty()
    facts.problem = facts.problem or entries.mistake


class Entries:
    """Lines of a log in, entries out. What a line is, the line tells: several programs may write into one file, and
    collectors may wrap what they wrote.
    """

    def __init__(self, facts: LogFacts, clients: Clients | None = None, near_ns: int | None = None) -> None:
        """``clients``, ``near_ns``: as in ``read_log``."""
        self.facts = facts
        self.border = Border()
        """Where mistakes of whatever reads one line end."""
        self._clients = clients
        self._near_ns = near_ns
        self._shared = {kind: kind(facts, clients, near_ns) for kind in FORMATS}
        """Of them, those that read by source take the lines whose envelope names none."""
        self._unnamed = tuple(self._shared.values())
        self._by_source: dict[bytes, tuple[LogReader, ...]] = {}
        self._envelope = Envelope(self._is_head, near_ns)

    @property
    def mistake(self) -> InternalError | None:
        """The most frequent of them."""
        return next(iter(self.border.notices()), None)

    @property
    def plain(self) -> Sink | None:
        """What takes lines as they stand, where they are not wrapped; ``line`` is to be given those that it does not
        take.
        """
        if not self._envelope.is_empty:
            return None
        return next((self._plain_line for reader in self._unnamed if self.facts.form == reader.FORM), None)

    def _plain_line(self, number: int, line: bytes) -> bool:
        """A line of a log that is not wrapped; False where it may be wrapped after all."""
        form = self.facts.form
        for reader in self._unnamed:
            if form == reader.FORM and reader.line(number, line):
                return True
        if SUSPICIOUS.match(line):
            return False
        for reader in self._unnamed:
            reader.continued(line)
        return True

    def line(self, number: int, line: bytes) -> None:
        """The next line, without its end."""
        if self._envelope.is_empty and not SUSPICIOUS.match(line):
            self._plain_line(number, line)
            return
        opened = self._envelope.open(line)
        if opened is not None:
            for text in opened.text.split(b"\n"):
                self._dispatch(number, text.rstrip(b"\r"), opened)

    def _dispatch(self, number: int, text: bytes, opened: OpenedLog) -> None:
        """A line as its program wrote it, and what its envelope said."""
        readers = self._readers(opened.source) if opened.source else self._unnamed
        for reader in readers:
            if reader.line(number, text, opened.at, opened.source):
                return
        for reader in readers:
            reader.continued(text)

    def _readers(self, source: bytes) -> tuple[LogReader, ...]:
        readers = self._by_source.get(source)
        if readers is None:
            if len(self._by_source) >= SOURCES:
                self._by_source.clear()
            readers = self._by_source[source] = tuple(
                kind(self.facts, self._clients, self._near_ns) if kind.IS_BY_SOURCE else shared
                for kind, shared in self._shared.items()
            )
        return readers

    def _is_head(self, opened: OpenedLog) -> bool:
        if b"\n" in opened.text:
            opened = opened._replace(text=opened.text.partition(b"\n")[0])
        return any(kind.is_ours(opened, self._clients) for kind in FORMATS)


class Splitter:
    """Chunks in, lines with their numbers from 1 out, without their ends; of a line that is too long, its start.
    ``number``: of the last line.
    """

    def __init__(self, is_plain: Callable[[], bool] = lambda: False) -> None:
        """``is_plain``: whether lines stand as their program wrote them, by now; then those that are too short to say
        anything are no more than counted, where many follow each other.
        """
        self.number = 0
        self._is_plain = is_plain
        self._rest = b""
        self._is_cut = False
        """Of the present line, which is too long, the start was given already."""

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[tuple[int, bytes]]:
        """The lines that end in this chunk."""
        data = bytes(self._rest + chunk)
        at = 0
        for run in SHORT_LINES.finditer(data):
            first = run.start() + 1
            yield from self._split(data[at:first])
            at = first
            if self._is_plain():
                self.number += data.count(b"\n", first, run.end())
                at = run.end()
        yield from self._split(data[at:])
        if len(self._rest) > LONGEST_LINE:
            if not self._is_cut:
                yield self._next(self._rest)
            self._rest, self._is_cut = b"", True

    def _split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines that end in this; what stands behind them is kept."""
        parts = data.split(b"\n")
        self._rest = parts.pop()
        for line in parts:
            if self._is_cut:
                self._is_cut = False
                continue
            yield self._next(line)

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """What stands behind the last line end."""
        if self._rest and not self._is_cut:
            yield self._next(self._rest)
        self._rest, self._is_cut = b"", False

    def _next(self, line: bytes) -> tuple[int, bytes]:
        self.number += 1
        return self.number, line[:LONGEST_LINE].rstrip(b"\r")


def lines(stream: Readable, splitter: Splitter | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream, as a ``Splitter`` gives them; UTF-16 as UTF-8. Raises Damaged behind the last one that
    could be had.
    """
    splitter = splitter or Splitter()
    piece = bytearray(CHUNK)
    decoder: codecs.IncrementalDecoder | None = None
    is_begun = False
    while count := stream.readinto(memoryview(piece)):
        chunk: bytes | bytearray = piece[:count]
        if not is_begun:
            is_begun = True
            name = next((name for mark, name in MARKS if chunk.startswith(mark)), None)
            decoder = codecs.getincrementaldecoder(name)("replace") if name is not None else None
        if decoder is not None:
            chunk = decoder.decode(chunk).encode("utf-8", "replace")
        yield from splitter.feed(chunk)
    yield from splitter.finish()
