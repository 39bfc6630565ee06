"""Lines that are JSON objects: what Docker, journald, fluentd, a logging library's JSON encoder and their like call the
message, its time and its program.

Two kinds: a collector's record holds a line as its program wrote it; an encoder's record (Puppet documents
logstash-logback-encoder) holds its parts, of which the line is put together again as the program would have written it,
its exception on the lines that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from inspector.logs.stamps import Stamp, stamp_in, unix, zoned

INNER = ("_source", "result", "jsonPayload", "fields")
"""Where exports of search engines and clouds keep the record itself."""

MESSAGES = (
    "log",
    "MESSAGE",
    "message",
    "msg",
    "line",
    "textPayload",
    "@message",
    "full_message",
    "short_message",
    "_raw",
    "event.original",
    "content",
    "body",
)
TIMES = (
    "@timestamp",
    "_SOURCE_REALTIME_TIMESTAMP",
    "__REALTIME_TIMESTAMP",
    "timestamp",
    "time",
    "ts",
    "date",
    "datetime",
    "timeMillis",
    "instant",
    "@time",
    "_time",
)
LEVELS = ("level", "log.level", "severity", "levelname", "loglevel", "lvl", "_level")
THREADS = ("thread_name", "thread", "threadName", "process.thread.name", "_thread", "_thread_name", "thread.name")
LOGGERS = ("logger_name", "logger", "loggerName", "log.logger", "_logger", "loggerClassName", "class")
TRACES = (
    "stack_trace",
    "stackTrace",
    "stacktrace",
    "exception",
    "throwable",
    "error.stack_trace",
    "thrown",
    "error",
    "_exception",
    "_stack_trace",
)
PROGRAMS = (
    "_HOSTNAME",
    "SYSLOG_IDENTIFIER",
    "_PID",
    "_SYSTEMD_UNIT",
    "kubernetes.pod_name",
    "container_name",
    "container",
    "host",
    "program",
    "stream",
)
NAMES, WORDS = (
    ("className", "exceptionType", "name", "type", "exception_class", "class"),
    ("message", "localizedMessage", "exception_message"),
)
CAUSES = ("cause", "causedBy", "exception")
DEPTH = 5
LEVEL = {
    "WARNING": "WARN",
    "SEVERE": "ERROR",
    "ERR": "ERROR",
    "CRITICAL": "FATAL",
    "NOTICE": "INFO",
    "INFORMATIONAL": "INFO",
}
SEVERITIES = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")
"""By syslog's numbers (RFC 5424, section 6.2.1), which GELF writes."""

KNOWN = frozenset(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
DOCKER_PIECE = 16 << 10
"""Docker's json-file driver cuts a longer line into records of this many bytes, all but the last without a line end."""


class LogRecord:
    """One object. ``at``: when its message was written; ``source``: who wrote it; ``text``: the message, or None."""

    def __init__(self, line: bytes) -> None:
        """Raises ValueError where the line is no object."""
        try:
            members = msgspec.json.decode(line.rstrip(b", \t"))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ValueError(str(error)) from None
        if not isinstance(members, dict):
            raise ValueError("no object")
        values = next((members[key] for key in INNER if isinstance(members.get(key), dict)), members)
        self._values = _flat(values) if any(isinstance(value, dict) for value in values.values()) else values
        self.text = next(
            (text for key in MESSAGES if (value := self._get(key)) is not None and (text := _text(value)) is not None),
            None,
        )

    def _get(self, path: str) -> Any:
        """A member by its name; dots lead to members of members."""
        return self._values.get(path)

    @property
    def at(self) -> Stamp | None:
        """The time that the record names."""
        return next(
            (
                stamp
                for key in TIMES
                if (value := self._get(key)) is not None and (stamp := stamp_of(value)) is not None
            ),
            None,
        )

    @property
    def source(self) -> bytes:
        """Who wrote it, as far as the record says."""
        return "/".join(value for key in PROGRAMS if isinstance(value := self._get(key), str)).encode(
            "utf-8", "surrogateescape"
        )

    @property
    def is_partial(self) -> bool:
        """Whether the line goes on in the next record."""
        text = self._values.get("log")
        return isinstance(text, str) and len(text) >= DOCKER_PIECE and not text.endswith("\n")

    def raw(self) -> bytes:
        """The message, and behind it the exception where that stands beside it."""
        return (self.text or "").rstrip("\r\n").encode("utf-8", "surrogateescape") + self._trace()

    def composed(self) -> bytes | None:
        """The line of which the record holds the parts; None where it holds no level, or no time."""
        level = self._level()
        at = self.at if level is not None else None
        if level is None or at is None:
            return None
        names = (self._get(key) for keys in (THREADS, LOGGERS) for key in keys)
        if not any(isinstance(name, str) for name in names):
            return None
        thread, logger = (
            next((value for key in keys if isinstance(value := self._get(key), str)), "") for keys in (THREADS, LOGGERS)
        )
        parts = [
            zoned(at),
            level.ljust(5).encode(),
            *([b"[" + _word(thread) + b"]"] if thread else []),
            b"[" + _word(logger) + b"]",
        ]
        return b" ".join(parts) + b" " + self.raw()

    def _level(self) -> str | None:
        for key in LEVELS:
            value = self._get(key)
            if isinstance(value, str):
                name = value.strip().upper()
                name = LEVEL.get(name, name)
                if name in KNOWN:
                    return name
            elif (
                isinstance(value, int)
                and key != "lvl"
                and 0 <= value < len(SEVERITIES)
                and "short_message" in self._values
            ):
                return SEVERITIES[value]
        return None

    def _trace(self) -> bytes:
        """The exception, on lines of its own."""
        for key in TRACES:
            value = self._get(key)
            lines = [line for line in _thrown(value, 0) if line] if value is not None else []
            if lines:
                return b"".join(b"\n" + line.encode("utf-8", "surrogateescape") for line in lines)
        return b""


def _flat(values: dict[str, object]) -> dict[str, object]:
    """Members of members with a dot between the names, two deep; the outer ones stay."""
    flat = dict(values)
    for name, value in values.items():
        if isinstance(value, dict):
            for inner, member in value.items():
                flat.setdefault(f"{name}.{inner}", member)
                if isinstance(member, dict):
                    for last, leaf in member.items():
                        flat.setdefault(f"{name}.{inner}.{last}", leaf)
    return flat


def stamp_of(value: object) -> Stamp | None:
    """A time as JSON objects write it: text, a number since the epoch, or seconds and nanoseconds apart."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return unix(value)
    if isinstance(value, str):
        return stamp_in(value[:64].encode("utf-8", "replace"))
    if isinstance(value, dict):
        seconds, rest = value.get("epochSecond", value.get("seconds")), value.get("nanoOfSecond", value.get("nanos"))
        if isinstance(seconds, int) and isinstance(rest, int) and 0 <= rest < 10**9:
            return unix(f"{seconds}.{rest:09d}")
    return None


def _text(value: object) -> str | None:
    """A message; journald writes one that is no clean text as a list of bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode("utf-8", "surrogateescape")
    return None


def _thrown(value: object, depth: int) -> Iterator[str]:
    """The lines of an exception: a text, a list of lines, or an object with class, message and cause."""
    if isinstance(value, str):
        yield from value.splitlines()
    elif isinstance(value, list):
        for line in value:
            if isinstance(line, str):
                yield from line.splitlines()
    elif isinstance(value, dict) and depth < DEPTH:
        trace = next(
            (value[key] for key in ("stack_trace", "stackTrace", "stacktrace", "extendedStackTrace") if value.get(key)),
            None,
        )
        name = next((value[key] for key in NAMES if isinstance(value.get(key), str)), "")
        words = next((value[key] for key in WORDS if isinstance(value.get(key), str)), "")
        if name:
            yield f"{'Caused by: ' if depth else ''}{name}: {words}" if words else name
        yield from _thrown(trace, DEPTH)
        for key in CAUSES:
            yield from _thrown(value.get(key) if isinstance(value.get(key), dict) else None, depth + 1)


def _word(text: str) -> bytes:
    """A name between brackets."""
    return "".join("_" if c in "[] \t\r\n" else c for c in text[:200]).encode("utf-8", "surrogateescape")
