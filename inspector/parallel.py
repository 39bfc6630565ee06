"""Extraction with every core: each process reads the whole story but follows only its share of the flows; their facts are added up.

Reading headers is a small part of the work, and flows need nothing of each other, so no state crosses the border but the facts themselves. The other
processes are started before this one loads what it needs, so that all load side by side.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from inspector.capture.inputs import plain_bytes

if TYPE_CHECKING:
    from inspector.capture.files import Progress, Story
    from inspector.facts import Facts

WORTHWHILE_BYTES = 64 << 20
"""Below this, starting a process costs more than it saves."""

MOST_PROCESSES = 4


def extract(paths: Sequence[str], progress: Progress | None = None, opened: Callable[[Story], None] | None = None) -> Facts:
    """All facts of some captures, read as one story. Raises UnreadableError where none of them can be read."""
    count = _processes(paths)
    workers = [_start(paths, index, count) for index in range(1, count)]
    try:
        from inspector.capture.files import Story
        from inspector.engine import extract_share
        from inspector.facts import absorb

        story = Story(paths)
        if opened:
            opened(story)
        facts = extract_share(story, 0, count, progress)
        for index, worker in enumerate(workers, 1):
            output = worker.communicate()[0]
            part: Facts = pickle.loads(output) if worker.returncode == 0 else extract_share(Story(paths), index, count)
            del output
            absorb(facts, part)
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
    return facts


def _processes(paths: Sequence[str]) -> int:
    if plain_bytes(paths) < WORTHWHILE_BYTES:
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST_PROCESSES)


def _start(paths: Sequence[str], index: int, count: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    worker = subprocess.Popen([sys.executable, "-m", "inspector.parallel"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert worker.stdin is not None
    worker.stdin.write(pickle.dumps((list(paths), index, count)))
    worker.stdin.close()
    worker.stdin = None
    return worker


def main() -> None:
    """A worker: its task comes on standard input, its facts go to standard output."""
    import gc
    import signal

    from inspector.capture.files import Story
    from inspector.engine import extract_share

    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    paths, index, count = pickle.load(sys.stdin.buffer)
    facts = extract_share(Story(paths), index, count)
    facts.captures = []
    facts.problems = []
    pickle.dump(facts, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
