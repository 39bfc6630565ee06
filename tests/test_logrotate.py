"""logrotate itself, beside a log that goes on growing: what is written is read, each line once, in every way to rotate
that is common. Skipped where there is no logrotate.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from inspector.live.sources.growing import GrowingLog
from tests.conftest import find
from tests.live import bytes_of, of_kind, watching_as_nobody
from tests.logged import SECOND, today
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

LOGROTATE = shutil.which("logrotate", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(LOGROTATE is None, reason="there is no logrotate")

START = 1_795_000_000 * SECOND
ROTATIONS, LINES_BETWEEN = 4, 50
EACH_SECONDS = 0.004
OPEN_SECONDS = 0.05
"""How long the program that logs goes on with the old file."""


class Logging(threading.Thread):
    """A program that logs a failure every few milliseconds, and takes another file a moment after it was told to."""

    def __init__(self, path: Path, told: Path) -> None:
        super().__init__(daemon=True)
        self.written = 0
        self._path, self._told = path, told
        self._out = self._opened()
        self._is_over = threading.Event()

    def end(self) -> None:
        self._is_over.set()
        self.join()

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def run(self) -> None:
        while not self._is_over.wait(EACH_SECONDS):
            if self._told.exists() and time.time() - self._told.stat().st_mtime > OPEN_SECONDS:
                self._told.unlink()
                os.close(self._out)
                self._out = self._opened()
            os.write(self._out, today(START + self.written * SECOND, 1).encode())
            self.written += 1
        os.close(self._out)


def rotate(folder: Path, log: Path, options: str, told: Path) -> None:
    """Once, now."""
    settings = folder / "logrotate.conf"
    settings.write_text(
        f"{log} {{\n  rotate 9\n  missingok\n  {options}\n  postrotate\n    touch {told}\n  endscript\n}}\n".replace(
            "; ", "\n  "
        )
    )
    settings.chmod(0o600)
    done = subprocess.run(
        [str(LOGROTATE), "--force", "--state", str(folder / "state"), str(settings)],
        capture_output=True,
        check=False,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert not done.returncode, done.stderr


@pytest.mark.parametrize(
    "options",
    [
        "create 0640",
        "create 0640; compress",
        "create 0640; compress; delaycompress",
        "nocreate",
        "copytruncate",
        "copytruncate; compress",
    ],
)
def test_each_line_is_read_once(tmp_path: Path, options: str) -> None:
    """Between copying a log and cutting it logrotate itself may lose lines (logrotate(8), copytruncate); and what came
    since the last look is lost where the copy is compressed at once.
    """
    tmp_path.chmod(0o755)
    log, told = tmp_path / "puppetserver.log", tmp_path / "told"
    log.touch(0o640)
    reader = GrowingLog(str(log))
    writer = Logging(log, told)
    found: Counter[int] = Counter()
    news: list[str] = []
    seen = 0

    def poll() -> None:
        nonlocal seen
        reader.poll()
        text = reader.news()
        if text:
            news.append(text)
        fresh = [failure for failure in reader.facts.failures if failure.line > seen]
        found.update((failure.ns - START) // SECOND for failure in fresh)
        seen = max((failure.line for failure in fresh), default=seen)

    def has_read(count: int) -> bool:
        poll()
        return len(found) >= count and not told.exists()

    writer.start()
    lost: set[int] = set()
    for _ in range(ROTATIONS):
        wanted = len(found) + LINES_BETWEEN
        assert until(lambda: has_read(wanted))  # noqa: B023
        looked = writer.written if "compress" not in options else max(found) + 1
        rotate(tmp_path, log, options, told)
        if "copy" in options:
            lost.update(range(looked, writer.written + 1))
    wanted = len(found) + LINES_BETWEEN
    assert until(lambda: has_read(wanted))
    writer.end()
    for _ in range(5):
        poll()
    reader.close()
    assert set(found) <= set(range(writer.written)) <= set(found) | lost
    assert max(found.values()) == 1
    assert not reader.facts.problem
    assert all(text.endswith(("No such file or directory", "is read on")) for text in news), news


@pytest.mark.skipif(os.geteuid() != 0, reason="rights can only be given up by whoever has them")
def test_a_rotation_in_a_closed_directory_is_told(tmp_path: Path) -> None:
    """``watch`` as nobody, whose log was opened before: it loses the log, says so, and goes on."""
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o750)
    log = closed / "puppetserver.log"
    log.write_text(today(START, 1))
    process = watching_as_nobody(log)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    while b"without rights" not in process.stderr.readline():
        assert process.poll() is None
    rotate(tmp_path, log, "create 0640", tmp_path / "told")
    told = next(line for line in map(json.loads, process.stdout) if line["record"] == "news")
    assert "was rotated, and the new file cannot be read" in told["text"]
    process.stdin.write(bytes_of(find("silent-abort")))
    process.stdin.close()
    rest = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert process.wait(PATIENCE_SECONDS) == 0
    assert of_kind(rest, "incident")
    assert [limit for limit in rest[-1]["limits"] if "was rotated" in limit]
