"""``--exec``: a command that is run on an incident. Its words come from the command line, what it should know from its
environment; no shell is involved.
"""

from __future__ import annotations

import signal
import time
from collections import Counter

from inspector.document import Incident
from inspector.live.sources.launch import Child, Starts, launch_of, started_here
from inspector.live.sources.started import StarterEnded

RUNNING = 8
"""At most so many at once; incidents beyond that are counted, not queued."""

TERM_SECONDS, LOOK_SECONDS = 0.2, 0.02
"""At the end: from SIGTERM to SIGKILL, and how often it is looked meanwhile."""

VARIABLES = tuple(f"INSPECTOR_{name}" for name in ("INCIDENT", "AT", "SERVICE", "CONNECTIONS", "SUMMARY", "EVIDENCE"))
"""What it is told, in its environment."""

SAID_SECONDS = 60.0
"""The same trouble is said at once, and then so often, with how many incidents it was."""


class Execution:
    """Runs a command beside the capture. ``starts``: by whom it is started."""

    def __init__(self, command: str) -> None:
        """Raises UsageError."""
        self.launch = launch_of(command, "--exec", is_heard=False, variables=VARIABLES)
        self.starts: Starts = started_here
        self._running: list[Child] = []
        self._troubles: Counter[str] = Counter()
        self._announced_at: dict[str, float] = {}

    def run(self, incident: Incident, evidence: str) -> None:
        """Start it for one incident. ``evidence``: the file with its packets; empty where they were not kept."""
        self._running = [child for child in self._running if not self._has_ended(child)]
        if len(self._running) >= RUNNING:
            self._troubles[f"--exec was not run: {RUNNING} are still running"] += 1
            return
        summary, connections = incident.summary, " ".join(incident.connections)
        values = (incident.id, incident.at, incident.service, connections, summary, evidence)
        try:
            self._running.append(self.starts(self.launch, dict(zip(VARIABLES, values, strict=True))))
        except OSError as error:
            self._troubles[f"--exec {self.launch.words[0]}: {error.strerror}"] += 1
        except StarterEnded as error:
            self._troubles[f"--exec {self.launch.words[0]}: {error}"] += 1

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
        for child in list(self._running):
            child.send(number)

    def _await(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            self._running = [child for child in self._running if not self._has_ended(child)]

    def _has_ended(self, child: Child) -> bool:
        status = child.wait(0)
        if status:
            self._troubles[f"--exec ended with status {status}"] += 1
        return status is not None

    def news(self, is_last: bool = False) -> list[str]:
        """What went wrong since this was last asked, a line for each kind of trouble; what was said a moment ago is
        only counted, unless this ``is_last``.
        """
        self._running = [child for child in self._running if not self._has_ended(child)]
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
