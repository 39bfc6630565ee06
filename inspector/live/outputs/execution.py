"""``--exec``: a command that is run on an incident. Its words come from the command line, what it should know from its
environment; no shell is involved.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections import Counter

from inspector.capture.parent import dying_with_this
from inspector.document import Incident
from inspector.errors import UsageError

RUNNING = 8
"""At most so many at once; incidents beyond that are counted, not queued."""

TERM_SECONDS, LOOK_SECONDS = 0.2, 0.02
"""At the end: from SIGTERM to SIGKILL, and how often it is looked meanwhile."""

SAID_SECONDS = 60.0
"""The same trouble is said at once, and then so often, with how many incidents it was."""


class Execution:
    """Runs a command beside the capture."""

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec {command}: {error}") from None
        if not self._words:
            raise UsageError("--exec: no command")
        self._running: list[subprocess.Popen[bytes]] = []
        self._troubles: Counter[str] = Counter()
        self._announced_at: dict[str, float] = {}

    def run(self, incident: Incident, evidence: str) -> None:
        """Start it for one incident. ``evidence``: the file with its packets; empty where they were not kept."""
        self._running = [process for process in self._running if not self._has_ended(process)]
        if len(self._running) >= RUNNING:
            self._troubles[f"--exec was not run: {RUNNING} are still running"] += 1
            return
        environment = {
            **os.environ,
            "INSPECTOR_INCIDENT": incident.id,
            "INSPECTOR_AT": incident.at,
            "INSPECTOR_SERVICE": incident.service,
            "INSPECTOR_CONNECTIONS": " ".join(incident.connections),
            "INSPECTOR_SUMMARY": incident.summary,
            "INSPECTOR_EVIDENCE": evidence,
        }
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                preexec_fn=dying_with_this(),
            )
        except OSError as error:
            self._troubles[f"--exec {self._words[0]}: {error.strerror}"] += 1
            return
        self._running.append(process)

    def finish(self, seconds: float) -> None:
        """Give what still runs so long; then end it, with all that it started in its session."""
        self._await(seconds)
        if self._running:
            self._troubles["--exec was still running at the end, and was ended"] += len(self._running)
            self._send(signal.SIGTERM)
            self._await(TERM_SECONDS)
            self.kill()

    def kill(self) -> None:
        """End what still runs at once; any thread may."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        for process in list(self._running):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, number)

    def _await(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            self._running = [process for process in self._running if not self._has_ended(process)]

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        status = process.poll()
        if status:
            self._troubles[f"--exec ended with status {status}"] += 1
        return status is not None

    def news(self, is_last: bool = False) -> list[str]:
        """What went wrong since this was last asked, a line for each kind of trouble; what was said a moment ago is
        only counted, unless this ``is_last``.
        """
        self._running = [process for process in self._running if not self._has_ended(process)]
        now = time.monotonic()
        due = [
            trouble
            for trouble in self._troubles
            if is_last or now - self._announced_at.get(trouble, -SAID_SECONDS) >= SAID_SECONDS
        ]
        self._announced_at.update(dict.fromkeys(due, now))
        return [
            trouble + (f" ({count:,} incidents)" if (count := self._troubles.pop(trouble)) > 1 else "")
            for trouble in due
        ]
