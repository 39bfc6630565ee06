"""What can be done elsewhere, as plain data: tasks, their results, and what becomes of one that fails.

Whoever runs them takes some and hands each result over as it comes (``RunBy``). ``perform`` does one, in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from inspector.errors import InspectorError
from inspector.errors.internal import Border
from inspector.facts import Facts
from inspector.fleet.stretches import CaptureStretch, Followed, FollowTask, StretchFacts, follow, read_stretch
from inspector.secrets.inputs import SecretInputs


class WholeSequence(NamedTuple):
    """A task: captures that one process reads, since what it knows of one it needs for the others. ``secrets``: to open
    encrypted records with; they go where this task goes.
    """

    paths: tuple[str, ...]
    secrets: SecretInputs | None = None


class FailedTask(NamedTuple):
    """``reason``: the error's words; empty where whoever did it died. ``is_memory``: it needed more than there was."""

    reason: str
    is_memory: bool = False


Task = CaptureStretch | FollowTask | WholeSequence
TaskResult = StretchFacts | Followed | Facts
RunBy = Callable[[Sequence[Task]], Iterator[tuple[int, TaskResult | FailedTask]]]
"""Does tasks, each once: which one it was, and its result, in any order. Raises InspectorError where none can be done.
"""


def perform(task: Task) -> TaskResult | FailedTask:
    """Do one task in this process."""
    border = Border(InspectorError, OSError, MemoryError)
    try:
        result = border.kept(lambda: _performed(task))
    except MemoryError:
        return FailedTask("", is_memory=True)
    except (InspectorError, OSError) as error:
        return FailedTask(str(error))
    return result if result is not None else FailedTask(border.notices()[0].where)


def _performed(task: Task) -> TaskResult:
    if isinstance(task, CaptureStretch):
        return read_stretch(task)
    if isinstance(task, FollowTask):
        return follow(task)
    from inspector.extract.processes import extract  # few tasks need it

    return extract(task.paths, secrets=task.secrets)


def in_this_process(tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
    """One after the other, here."""
    return enumerate(map(perform, tasks))
