"""``--exec``: a command that is run on an incident. Its words come from the command line, what it should know from its environment; no shell is involved."""

from __future__ import annotations

import os
import shlex
import subprocess

from inspector.document import Incident
from inspector.errors import UsageError

RUNNING = 8
"""At most so many at once; incidents beyond that are named, not queued."""


class Execution:
    """Runs a command beside the capture."""

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec {command}: {error}") from None
        if not self._words:
            raise UsageError("--exec: no command")
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._news: list[str] = []

    def run(self, incident: Incident, evidence: str) -> None:
        """Start it for one incident. ``evidence``: the file with its packets; empty where they were not kept."""
        self._running = [(name, process) for name, process in self._running if not self._has_ended(name, process)]
        if len(self._running) >= RUNNING:
            self._news.append(f"--exec was not run for incident {incident.id}: {RUNNING} are still running")
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
            process = subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True)
        except OSError as error:
            self._news.append(f"--exec {self._words[0]}: {error.strerror}")
            return
        self._running.append((incident.id, process))

    def _has_ended(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        status = process.poll()
        if status:
            self._news.append(f"--exec ended with status {status} for incident {name}")
        return status is not None

    def news(self) -> list[str]:
        """What went wrong since this was last asked."""
        self._running = [(name, process) for name, process in self._running if not self._has_ended(name, process)]
        found, self._news = self._news, []
        return found
