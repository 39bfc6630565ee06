"""Extraction with every core: each process reads the whole story but follows only its share of the flows; their facts are added up.

Reading headers is a small part of the work, and flows need nothing of each other, so no state crosses the border but the facts themselves.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence

from inspector.capture.files import Progress, Story
from inspector.engine import extract_share
from inspector.facts import Facts, absorb

WORTHWHILE_BYTES = 64 << 20
"""Below this, starting a process costs more than it saves."""

MOST_PROCESSES = 4


def extract(paths: Sequence[str], progress: Progress | None = None, opened: Callable[[Story], None] | None = None) -> Facts:
    """All facts of some captures, read as one story. Raises UnreadableError where none of them can be read."""
    story = Story(paths)
    if opened:
        opened(story)
    count = _processes(story)
    workers = [_start(story, index, count) for index in range(1, count)]
    try:
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


def _processes(story: Story) -> int:
    if story.bytes < WORTHWHILE_BYTES or any(file.is_compressed for file in story.captures):
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST_PROCESSES)


def _start(story: Story, index: int, count: int) -> subprocess.Popen[bytes]:
    task = pickle.dumps(([file.info.path for file in story.captures], index, count))
    worker = subprocess.Popen([sys.executable, "-m", "inspector.parallel"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert worker.stdin is not None
    worker.stdin.write(task)
    worker.stdin.close()
    worker.stdin = None
    return worker


def main() -> None:
    """A worker: its task comes on standard input, its facts go to standard output."""
    import gc
    import signal

    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    paths, index, count = pickle.load(sys.stdin.buffer)
    facts = extract_share(Story(paths), index, count)
    facts.captures = []
    facts.problems = []
    pickle.dump(facts, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
