"""journald's export format: an entry is a block of ``FIELD=value`` lines that ends with an empty one.

A value that is no plain text, as one of several lines is none, has its field's name on a line of its own; its length as
64 bits, little-endian; then its bytes (systemd.io/JOURNAL_EXPORT_FORMATS). Such bytes may hold line ends, so lines are
put together again until the length is reached.
"""

from __future__ import annotations

import re

from inspector.logs.opened import OpenedLog
from inspector.logs.stamps import Stamp

BEGINS = (b"__CURSOR=", b"__REALTIME_TIMESTAMP=")
FIELD = re.compile(rb"^[A-Z_][A-Z0-9_]{0,63}$")
WANTED = (
    b"MESSAGE",
    b"__REALTIME_TIMESTAMP",
    b"_SOURCE_REALTIME_TIMESTAMP",
    b"_HOSTNAME",
    b"SYSLOG_IDENTIFIER",
    b"_PID",
)
LENGTH = 8
MOST_BYTES = 1 << 20
MOST_LINES = 1000
MICROSECOND_NS = 1000


class Exported:
    """Lines in, entries out."""

    def __init__(self) -> None:
        self.is_begun = False
        """Whether there were entries."""
        self._fields: dict[bytes, bytes] | None = None
        self._lines = 0
        self._name = b""
        """The field whose bytes are being put together."""
        self._value = bytearray()
        """What came of it, each line with its end."""
        self._entry: OpenedLog | None = None

    def accepts(self, line: bytes) -> bool:
        """Whether the line is part of an entry; the last one is an empty line."""
        if self._fields is None:
            if not line.startswith(BEGINS):
                return False
            self._fields, self._lines, self._name = {}, 0, b""
            self.is_begun = True
        self._lines += 1
        if self._name:
            self._extend_value(line)
        elif not line or self._lines > MOST_LINES:
            self._entry = self._opened(self._fields)
            self._fields = None
        elif FIELD.match(line):
            self._name, self._value = line, bytearray()
        else:
            name, equals, value = line.partition(b"=")
            if not equals or not FIELD.match(name):
                self._fields = None
                return False
            self._keep(name, value)
        return True

    def entry(self) -> OpenedLog | None:
        """The entry that the last line ended; None where it ended none."""
        entry, self._entry = self._entry, None
        return entry

    def _extend_value(self, line: bytes) -> None:
        """The next line of a value with a length."""
        value = self._value
        value += line
        size = len(value)
        value += b"\n"
        if size < LENGTH:
            return
        end = LENGTH + int.from_bytes(value[:LENGTH], "little")
        if size >= min(end, LENGTH + MOST_BYTES):
            self._keep(self._name, bytes(value[LENGTH : min(end, size)]))
            self._name = b""

    def _keep(self, name: bytes, value: bytes) -> None:
        if self._fields is not None and name in WANTED:
            self._fields.setdefault(name, value)

    @staticmethod
    def _opened(fields: dict[bytes, bytes]) -> OpenedLog | None:
        message = fields.get(b"MESSAGE")
        if message is None:
            return None
        written = fields.get(b"_SOURCE_REALTIME_TIMESTAMP") or fields.get(b"__REALTIME_TIMESTAMP") or b""
        at = (
            Stamp(int(written) * MICROSECOND_NS, True, MICROSECOND_NS)
            if written.isdigit() and len(written) < LENGTH * 2 + 1
            else None
        )
        return OpenedLog(
            message, at, b"/".join(fields.get(name, b"") for name in (b"_HOSTNAME", b"SYSLOG_IDENTIFIER", b"_PID"))
        )
