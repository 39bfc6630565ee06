"""Lines for the system's journal, which are told apart there by how grave they are: ``journalctl -p warning`` shows
incidents alone. A line begins with its level in angle brackets (sd-daemon(3)), which journald takes off again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from inspector.findings.case import Case
from inspector.live.outputs.line_forms import LineForm
from inspector.tracking.observed import Observed

STREAM = "JOURNAL_STREAM"
"""In the environment: device and inode of what is connected to the journal (systemd.exec(5))."""

LEVELS = {"incident": 4, "finding": 5, "log": 5, "news": 5, "evidence": 6, "assessment": 6, "statistics": 6}
"""Of syslog (RFC 5424, section 6.2.1), by the kind of a line: 4 a warning, 5 a notice, 6 informational."""

CONNECTION_LEVEL = 7
"""Only for debugging."""


def goes_to_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether what is written there is read by journald."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get(STREAM) == f"{status.st_dev}:{status.st_ino}"


class LeveledLines:
    """The lines of another form, each with its level before it."""

    def __init__(self, form: LineForm) -> None:
        self._form = form

    def connection(self, case: Case, observed: Observed) -> Iterator[bytes]:
        """Each line of it."""
        return (b"<%d>" % CONNECTION_LEVEL + line for line in self._form.connection(case, observed))

    def record(self, record: str, encoded: bytes, at_ns: int) -> bytes:
        """By the kind of the record."""
        return b"<%d>" % LEVELS[record] + self._form.record(record, encoded, at_ns)
