"""What can be done elsewhere, as plain data: tasks, their results, and what becomes of one that fails.

Whoever runs them takes some and hands each result over as it comes (``RunBy``). ``perform`` does one, in any process.
What was found in a stretch is wanted by one later task alone, which joins its sequence: it need not leave the process
that read it, and whoever asked is told that it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from inspector.errors import InspectorError
from inspector.errors.internal import Border
from inspector.extract.merging import renumber
from inspector.fleet.sequence_facts import ReadOtherwise, SequenceFacts, join
from inspector.fleet.stretches import CaptureStretch, StretchFacts, read_stretch
from inspector.fleet.together import ReadStretch
from inspector.secrets.inputs import SecretInputs


class WholeSequence(NamedTuple):
    """A task: captures that one process reads, since what it knows of one it needs for the others. ``secrets``: to open
    encrypted records with; they go where this task goes.
    """

    paths: tuple[str, ...]
    secrets: SecretInputs | None = None


class KeptStretch(NamedTuple):
    """That a stretch was read. ``facts``: what was found in it or, in a process where that is not, what stands for it.
    ``is_whole``: all that it had to hand over was kept; ``bytes_read``: of its files.
    """

    facts: object
    is_whole: bool
    bytes_read: int


class JoinTask(NamedTuple):
    """A task: what was found in the stretches of a sequence as one. ``stretches``: in the order of time; ``kept``: of
    each what was found, None where nobody could read it; ``numbers``: what its connections are to call its files.
    """

    paths: tuple[str, ...]
    stretches: tuple[CaptureStretch, ...]
    kept: tuple[KeptStretch | None, ...]
    numbers: tuple[int, ...]


class FailedTask(NamedTuple):
    """``reason``: the error's words; empty where whoever did it died. ``is_memory``: it needed more than there was."""

    reason: str
    is_memory: bool = False


Task = CaptureStretch | WholeSequence | JoinTask
TaskResult = KeptStretch | SequenceFacts | ReadOtherwise
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
        facts = read_stretch(task)
        return KeptStretch(facts, facts.continued is None or facts.continued.is_whole, facts.bytes_read)
    if isinstance(task, JoinTask):
        read = zip(task.stretches, map(_facts_of, task.kept), strict=True)
        joined = join(task.paths, [ReadStretch(*one) for one in read])
        if isinstance(joined, SequenceFacts):
            renumber(joined.facts, range(len(task.paths)), task.numbers)
        return joined
    from inspector.extract.processes import extract  # few tasks need it

    return SequenceFacts(extract(task.paths, secrets=task.secrets))


def _facts_of(kept: KeptStretch | None) -> StretchFacts | None:
    if kept is None:
        return None
    assert isinstance(kept.facts, StretchFacts)
    return kept.facts


def in_this_process(tasks: Sequence[Task]) -> Iterator[tuple[int, TaskResult | FailedTask]]:
    """One after the other, here."""
    return enumerate(map(perform, tasks))
