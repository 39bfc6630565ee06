"""Live captures in tests: the real command with a capture on its standard input, or the loop itself behind a pipe."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inspector.errors import InspectorError
from inspector.extract.journal import JournalReader
from inspector.extract.live_engine import LiveEngine
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.live.clock import LoopClock
from inspector.live.keeping import Keeping
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.held_evidence import WrittenEvidence
from inspector.live.sources.source import PipeSource, Source
from inspector.live.update import Update
from inspector.live.window import Window
from tests.conftest import CAPTURES
from tests.waiting import COMMAND_SECONDS, NEVER_SECONDS

AS_IS = ["-Z", "root"] if os.geteuid() == 0 else []
"""Tests read and write where another user may not."""

WATCH_AS_USUAL = [sys.executable, "-m", "inspector", "watch"]
WATCH = [*WATCH_AS_USUAL, *AS_IS]


ONE_SURVEY = f"""
import sys
from inspector.live.outputs import lines
lines.SURVEY_SECONDS = {NEVER_SECONDS}
sys.argv[0] = "inspector"
from inspector.cli.commands import run
run()
"""
"""The program, which judges all that it remembers at its end alone, and not every ten seconds, after which it would not
tell again what has but grown since: a busy machine may take so long over a file.
"""


def bytes_of(path: Path) -> bytes:
    """A capture, decompressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def watched(
    data: bytes, *options: str, environment: dict[str, str] | None = None
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[bytes]]:
    """What ``inspector watch -`` prints of a capture, as if it took it no time."""
    process = subprocess.run(
        [sys.executable, "-c", ONE_SURVEY, *WATCH[3:], *options, "-"],
        input=data,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env={**os.environ, **(environment or {})},
        cwd=CAPTURES.parent,
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    assert not [limit for line in of_kind(lines, "statistics") for limit in line["limits"] if "mistake" in limit]
    return lines, process


def watching_as_nobody(*logs: Path) -> subprocess.Popen[bytes]:
    """``inspector watch -`` that gives up root, with logs to follow; nothing is kept."""
    return subprocess.Popen(
        [*WATCH_AS_USUAL, "--no-journal", "-Z", "nobody", *(part for log in logs for part in ("--log", str(log))), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=CAPTURES.parent,
    )


def of_kind(lines: Sequence[dict[str, Any]], record: str, **values: object) -> list[dict[str, Any]]:
    """Lines of one kind, without its name, whose fields have some values."""
    found = [{k: v for k, v in line.items() if k != "record"} for line in lines if line["record"] == record]
    return [line for line in found if all(line[name] == value for name, value in values.items())]


def fed(data: bytes) -> int:
    """A pipe with these bytes in it, and nothing behind them."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as out:
            out.write(data)

    threading.Thread(target=write, daemon=True).start()
    return reading


def incidents_in(path: Path) -> int:
    """Of a journal, as far as they are committed."""
    return _of_journal(path, lambda reader: len(reader.records("incident")))


def runs_in(path: Path) -> int:
    """Of a journal: once there is one, whoever writes it has opened it."""
    return _of_journal(path, lambda reader: len(facts.captures) if (facts := reader.more()) is not None else 0)


def packets_in(path: Path) -> int:
    """Of the last run in a journal: so many it has captured, and written what is known of them."""
    return _of_journal(path, lambda reader: facts.captures[-1].packets if (facts := reader.more()) is not None else 0)


def _of_journal(path: Path, count: Callable[[JournalReader], int]) -> int:
    if not path.exists():
        return 0
    try:
        reader = JournalReader(str(path))
    except InspectorError:  # it is being made
        return 0
    try:
        return count(reader)
    finally:
        reader.close()


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.told: list[tuple[str, str]] = []
        self.evidence: list[WrittenEvidence] = []

    def update(self, update: Update) -> None:
        self.updates.append(update)

    def news(self, at_ns: int, kind: str, text: str) -> None:
        self.told.append((kind, text))

    def written(self, written: WrittenEvidence) -> None:
        self.evidence.append(written)

    def tick(self) -> None:
        """Nothing to remember."""

    def second(self) -> None:
        """Nothing to remember."""

    @property
    def findings(self) -> dict[str, Any]:
        """The last word on each abort, by id."""
        return {finding.id: finding for update in self.updates for finding in update.findings}


def window_of(facts: Facts, most: int) -> Window:
    """An empty window, and the certificates that its connections will show."""
    engine = LiveEngine(10)
    for digest, der in facts.certificates.items():
        engine.certificates[digest] = der
    return Window(engine, most)


def listened(
    data: bytes,
    keeping: Keeping | None = None,
    most: int = 10_000,
    sources: list[Source] | None = None,
    clock: LoopClock = time,
) -> tuple[LiveCapture, Heard]:
    """The loop over a capture, to its end."""
    watching = LiveCapture(
        sources or [PipeSource("-", fed(data))], Options(), keeping or Keeping(), "test", most, clock
    )
    heard = Heard()
    watching.run(heard)
    watching.close()
    return watching, heard
