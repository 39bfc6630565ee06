"""What collectors put around a program's lines, taken off before anybody reads them: the one place that knows of it.

A line passes through hands, and each may wrap it: Docker in JSON, the kubelet in its own prefix, syslog in a header,
grep in file and line number, a terminal in colours; one around the other. Each is a *layer*: a function from a line to
what it holds. Which layers a log has, and in which order, is learned from lines that turn out, once taken off, to begin
an entry of a known log. All other lines (exceptions, stack traces) are then taken off in the same way, so that they
read as they stood in the program's own log.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from inspector.logs.journald import Exported
from inspector.logs.opened import OpenedLog
from inspector.logs.records import LogRecord
from inspector.logs.stamps import stamp_in

DEPTH = 5
"""Layers around one line."""

LEARNED_FROM = 64 << 10
TRIES = 64
"""Ways to take a line apart, and bytes of it, that are tried."""

PATIENT, RARELY = 4_000, 64
"""Behind so many lines that taught nothing, only some are looked at."""

SOURCES = 1024
"""Programs whose lines may wait for their rest at once."""

PIECES = 1 << 20
"""Bytes of a line that came in pieces."""

ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
"""Control sequences of terminals (ECMA-48, section 5.4)."""

BOM = b"\xef\xbb\xbf"
COOKIE = re.compile(rb"^@cee: *")
COUNTED = re.compile(rb"^\d{1,6} (?=<\d{1,3}>)")
"""Octet counting of syslog over TCP (RFC 6587, section 3.4.1)."""

SYSLOG_5424 = re.compile(
    rb"^<\d{1,3}>\d{1,2} (\S+) (\S+) (\S+) (\S+) \S+ (?:-|(?:\[(?:[^\]\"\\]|\"(?:[^\"\\]|\\.)*\"|\\.)*\])+)(?: (.*))?$",
    re.DOTALL,
)
WHEN = (
    rb"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}(?:\.\d{1,9})?|(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d[T ][\d:]{8}\S*(?:"
    rb" [A-Z]{2,5})?|\d{10}\.\d{6}|\[ *\d+\.\d+\])"
)
SYSLOG_3164 = re.compile(
    rb"^(?:<\d{1,3}>)?(" + WHEN + rb") (?:([^\s\[]+) )?([^\s:\[{\"]{1,128})(?:\[([^\]\s]*)\])?: ?(.*)$", re.DOTALL
)
"""RFC 3164, rsyslog's file formats, and what journalctl prints in its short forms."""

ESCAPED = re.compile(rb"#(01[0-5])")
"""Control characters as rsyslog writes them, in octal."""

CRI = re.compile(rb"^(\d{4}-\S+) (stdout|stderr) ([FP])\S* ?(.*)$", re.DOTALL)
"""The kubelet's log files: time, stream, full or partial, line."""

COMPOSE = re.compile(rb"^([\w./@-]{1,200}) *\| ?(.*)$", re.DOTALL)
KUBECTL = re.compile(rb"^\[([\w./:-]{1,255})\]:? (.*)$", re.DOTALL)
STAMPED = re.compile(rb"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s\]]*|\d{10}(?:\.\d{1,9})?)\]?[ \t]+(.*)$", re.DOTALL)
PATH_MARK = re.compile(
    rb"^([^\s:{\"\[<|]{1,255}?\.(?:log|gz|txt|out|json|zst)[\w.-]{0,100}?|[^\s:{\"\[<|]{1,255}?)(?:[:-]\d{1,10})?[:-](.*)$",
    re.DOTALL,
)
"""grep: file, perhaps line number. With ``-A`` the lines around have ``-`` for ``:``."""

NUMBERED = re.compile(rb"^\s*\d{1,10}(?:[:-]|[\t ]\s*)(.*)$", re.DOTALL)
INDENTED = re.compile(rb"^(?:[\s>]|\xc2\xa0)+(.*)$", re.DOTALL)
BEHIND = re.compile(rb"(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
HEADER = re.compile(rb"^==> (.+) <==$")
"""``tail`` with several files."""

SUSPICIOUS = re.compile(rb"[\d{\[<\"=@_\x1b\xef]|[A-Z][a-z]{2} [ \d]\d |haproxy")
"""How a line may begin that is not what it seems to be."""


Layer = Callable[[bytes], OpenedLog | None]


TELLING = re.compile(rb"\d\d:\d\d:\d\d|\{|\d{10}|INFO|WARN|ERROR")
"""What the first line of an entry always holds some of, however it is wrapped: a time, an object, a level."""


class Envelope:
    """The layers of one log. ``is_head``: whether a line, with the time and source that its envelope names, begins an
    entry of a known log.
    """

    def __init__(self, is_head: Callable[[OpenedLog], bool], near_ns: int | None = None) -> None:
        """``near_ns``: a moment about which the log was written; syslog's times have no year."""
        self._is_head = is_head
        self._near_ns = near_ns
        self._chain: tuple[Layer, ...] = ()
        self._is_known = False
        self._pieces: dict[tuple[int, bytes], bytearray] = {}
        self._file = b""
        self._failed = self._tried = 0
        """Lines that taught nothing since one did; and what was tried of the present one."""
        self._journal = Exported()
        self._layers: tuple[Layer, ...] = (
            _plain,
            self._json,
            _syslog_5424,
            self._syslog,
            _cri,
            _compose,
            _kubectl,
            _stamped,
            _numbered,
            _path_marked,
            _quoted,
            _indented,
            _behind,
        )

    @property
    def is_empty(self) -> bool:
        """Whether lines stand as their program wrote them."""
        return self._is_known and not self._chain and not self._journal.is_begun

    def open(self, line: bytes) -> OpenedLog | None:
        """What the line holds; None where that is not whole yet, or is nobody's."""
        if line[:3] == b"==>" and (header := HEADER.match(line)) is not None:
            self._file = header[1]
            return None
        start: OpenedLog | None = OpenedLog(line)
        if self._journal.accepts(line):
            start = self._journal.entry()
            if start is None:
                return None
        assert start is not None
        if not self._is_known and not self._chain:
            self._chain = next(
                ((layer,) for layer in (_cri, self._json) if (piece := layer(line)) is not None and piece.is_partial),
                (),
            )
        opened = self._unwrapped(start)
        if opened is not None and (
            opened.is_partial or (self._is_known and not SUSPICIOUS.match(opened.text)) or self._is_head(opened)
        ):
            self._is_known = self._is_known or not opened.is_partial
            return self._whole(opened)
        here = opened or start
        if self._may_teach(here.text):
            learned = self._learned_from(here, self._chain if opened is not None else ()) or (
                self._learned_from(start, ()) if self._chain else None
            )
            if learned is not None:
                self._chain, here = learned
                self._is_known, self._failed = True, 0
        return self._whole(here)

    def _may_teach(self, text: bytes) -> bool:
        """Whether a line that begins no entry is taken apart further: one that may be wrapped otherwise, and behind
        many that taught nothing, only some of those.
        """
        if (self._is_known and not SUSPICIOUS.match(text)) or TELLING.search(text, 0, LEARNED_FROM) is None:
            return False
        self._failed += 1
        return self._failed < PATIENT or not self._failed % RARELY

    def _learned_from(self, start: OpenedLog, chain: tuple[Layer, ...]) -> tuple[tuple[Layer, ...], OpenedLog] | None:
        self._tried = 0
        return self._learned(
            start if len(start.text) <= LEARNED_FROM else start._replace(text=start.text[:LEARNED_FROM]), chain
        )

    def _whole(self, opened: OpenedLog) -> OpenedLog | None:
        if opened.is_partial:
            return None
        return opened._replace(source=self._file + b"/" + opened.source) if self._file else opened

    def _unwrapped(self, opened: OpenedLog) -> OpenedLog | None:
        """All known layers, as far as they are there; None where the first is not."""
        for depth, layer in enumerate(self._chain):
            inner = layer(opened.text)
            if inner is None:
                return opened if depth else None
            opened = _within(opened, inner)
            key = (depth, opened.source)
            if inner.is_partial:
                if len(self._pieces) >= SOURCES:
                    self._pieces.clear()
                piece = self._pieces.setdefault(key, bytearray())
                piece += inner.text[: PIECES - len(piece)]
                return opened
            if self._pieces and key in self._pieces:
                opened = opened._replace(text=bytes(self._pieces.pop(key)) + opened.text)
        return opened

    def _learned(self, opened: OpenedLog, chain: tuple[Layer, ...]) -> tuple[tuple[Layer, ...], OpenedLog] | None:
        """Layers behind which a known log's entry begins, in the order in which they are tried, and that entry; None
        where there are none.
        """
        self._tried += 1
        if self._is_head(opened):
            return chain, opened
        if len(chain) >= DEPTH or self._tried > TRIES:
            return None
        for layer in self._layers:
            inner = layer(opened.text)
            if inner is not None and inner.text and inner.text != opened.text:
                learned = self._learned(_within(opened, inner), (*chain, layer))
                if learned is not None:
                    return learned
        return None

    def _json(self, line: bytes) -> OpenedLog | None:
        line = COOKIE.sub(b"", line[:8]) + line[8:]
        if line[:1] != b"{":
            return None
        try:
            record = LogRecord(line)
        except ValueError:
            return None
        if record.text is None:
            return None
        opened = OpenedLog(record.raw(), record.at, record.source, record.is_partial)
        if opened.is_partial or self._is_head(opened):
            return opened
        composed = record.composed()
        return opened if composed is None else opened._replace(text=composed)

    def _syslog(self, line: bytes) -> OpenedLog | None:
        match = SYSLOG_3164.match(line)
        if match is None:
            return None
        text = match[5]
        if b"#01" in text:
            text = ESCAPED.sub(lambda escape: bytes((int(escape[1], 8),)), text)
        at = (
            None
            if match[1][:1] == b"["
            else stamp_in(match[1].rstrip(b" UTC") + b"Z" if match[1].endswith(b" UTC") else match[1], self._near_ns)
        )
        return OpenedLog(text, at, b"/".join((match[2] or b"", match[3], match[4] or b"")))


def _within(outer: OpenedLog, inner: OpenedLog) -> OpenedLog:
    """A layer in another: the innermost time counts, one with a zone before one without."""
    at = (
        outer.at
        if inner.at is None or (outer.at is not None and outer.at.has_zone and not inner.at.has_zone)
        else inner.at
    )
    source = outer.source + b"/" + inner.source if outer.source and inner.source else outer.source or inner.source
    return OpenedLog(inner.text, at, source, inner.is_partial)


def _plain(line: bytes) -> OpenedLog | None:
    """Without colours and marks of encodings."""
    text = ANSI.sub(b"", line) if b"\x1b" in line else line
    text = COUNTED.sub(b"", text.removeprefix(BOM))
    return OpenedLog(text) if text != line else None


def _syslog_5424(line: bytes) -> OpenedLog | None:
    match = SYSLOG_5424.match(line)
    if match is None:
        return None
    return OpenedLog((match[5] or b"").removeprefix(BOM), stamp_in(match[1]), b"/".join((match[2], match[3], match[4])))


def _cri(line: bytes) -> OpenedLog | None:
    match = CRI.match(line)
    return OpenedLog(match[4], stamp_in(match[1]), match[2], match[3] == b"P") if match is not None else None


def _compose(line: bytes) -> OpenedLog | None:
    match = COMPOSE.match(line)
    return OpenedLog(match[2], None, match[1]) if match is not None else None


def _kubectl(line: bytes) -> OpenedLog | None:
    match = KUBECTL.match(line)
    return OpenedLog(match[2], None, match[1]) if match is not None else None


def _stamped(line: bytes) -> OpenedLog | None:
    match = STAMPED.match(line)
    return OpenedLog(match[2], stamp_in(match[1])) if match is not None else None


def _numbered(line: bytes) -> OpenedLog | None:
    match = NUMBERED.match(line)
    return OpenedLog(match[1]) if match is not None else None


def _path_marked(line: bytes) -> OpenedLog | None:
    match = PATH_MARK.match(line)
    return OpenedLog(match[2], None, match[1]) if match is not None else None


def _quoted(line: bytes) -> OpenedLog | None:
    text = line.rstrip(b",; \t")
    if len(text) < 2 or text[:1] not in b"\"'" or text[-1:] != text[:1]:
        return None
    return OpenedLog(
        text[1:-1].replace(b'""', b'"').replace(b'\\"', b'"').replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    )


def _indented(line: bytes) -> OpenedLog | None:
    match = INDENTED.match(line)
    return OpenedLog(match[1]) if match is not None else None


def _behind(line: bytes) -> OpenedLog | None:
    """Whatever stands before a time: a prefix that nobody has described."""
    match = BEHIND.search(line, 1, 512)
    return OpenedLog(line[match.start() :], None, b"") if match is not None else None
