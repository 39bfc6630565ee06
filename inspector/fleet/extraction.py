"""``extract_fleet(sequences) → facts``: the facts of any number of captures, read by whoever runs the tasks, as if one
process had read each sequence.

Every file is a task, and what was found in it stays where it was read. A second task for each sequence joins that
(``sequence_facts``). What only neighbours can tell is put right then: files that overlap in time, or hold the fragments
of one datagram, are read together; where captures bring secrets of their own, or hold copies of each other by clocks
that are apart, one process reads the sequence. A task that fails is tried again; one that runs out of memory is halved.
What is not extracted in the end is a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

from inspector.capture.frames import CaptureInfo
from inspector.capture.opening import file_size
from inspector.errors.captures import NotExtracted
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.engine import capture_facts
from inspector.extract.merging import in_order, merge
from inspector.facts import Facts
from inspector.fleet.sequence_facts import ReadOtherwise, SequenceFacts
from inspector.fleet.sequences import CaptureSequence
from inspector.fleet.stretches import INFINITE, MOST_NS, CaptureStretch
from inspector.fleet.tasks import (
    FailedTask,
    JoinTask,
    KeptStretch,
    RunBy,
    Task,
    TaskResult,
    WholeSequence,
    in_this_process,
)
from inspector.secrets.inputs import SecretInputs
from inspector.text.safe import path_text
from inspector.wire.losses import Losses

TRIES = 3
"""How often a task is done before what it was to read is a limit."""

HALVINGS = 4
"""A file is read in sixteen parts at most."""


class FleetRecord:
    """What it took. ``bytes_read``: of all files, by tasks that came to their end. ``bytes_handed_over``: what tasks
    kept for those before them. ``tasks``: how many were done, failures included. ``together``: files that were read
    together, for they overlap. ``by_one``: sequences that one process read after all. ``files``: how many there are;
    ``advance``: as in ``extract_fleet``.
    """

    def __init__(self) -> None:
        self.bytes_read = 0
        self.bytes_handed_over = 0
        self.tasks = 0
        self.together: list[tuple[str, ...]] = []
        self.by_one: list[tuple[str, ...]] = []
        self.files = 0
        self.advance: Callable[[int, int], None] | None = None
        self._read: set[str] = set()

    def read(self, paths: Iterable[str]) -> None:
        """These files were read, or a part of them."""
        self._read.update(paths)
        if self.advance is not None:
            self.advance(len(self._read), self.files)


def extract_fleet(
    sequences: Sequence[CaptureSequence],
    run_by: RunBy = in_this_process,
    secrets: SecretInputs | None = None,
    record: FleetRecord | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Facts:
    """All facts of some sequences. ``secrets``: to open encrypted records with: one process reads each sequence then,
    this one where servers' keys are among them. ``record``: is told what it took. ``advance``: is told how many files
    were read, of how many. Raises InspectorError where ``run_by`` does.
    """
    record = record or FleetRecord()
    record.advance, record.files = advance, sum(len(sequence.paths) for sequence in sequences)
    if secrets is not None:
        run_by = in_this_process if secrets.server_keys else run_by
        done = _done([WholeSequence(sequence.paths, secrets) for sequence in sequences], run_by, record)
        return merge([_whole(sequence.paths, part) for sequence, part in zip(sequences, done, strict=True)])
    # what merging would call captures by their first frames; what turns out otherwise it puts right
    numbers = in_order([list(zip(s.first_ns, repeat(""), s.paths)) for s in sequences])
    readings = [_SequenceReading(*numbered) for numbered in zip(sequences, numbers, strict=True)]
    while unjoined := [reading for reading in readings if reading.facts is None]:
        while missing := [(reading, stretch) for reading in unjoined for stretch in reading.missing()]:
            _read(missing, run_by, record)
        _join(unjoined, run_by, record)
        _read_by_one([reading for reading in unjoined if reading.is_for_one], run_by, record)
    numbered = [(reading.facts, reading.numbers) for reading in readings if reading.facts is not None]
    return merge([facts for facts, _ in numbered], [numbers for _, numbers in numbered])


def not_extracted(path: str, failure: FailedTask) -> NotExtracted:
    """The limit that names it."""
    return NotExtracted(PathText(path_text(path)), TRIES, ForeignText(path_text(failure.reason)))


def _whole(paths: Sequence[str], part: TaskResult | FailedTask) -> Facts:
    """What one process has found; of captures that it did not read their names alone."""
    if isinstance(part, FailedTask):
        return Facts(
            captures=[capture_facts(CaptureInfo(path), Losses()) for path in paths],
            problems=[not_extracted(path, part) for path in paths],
        )
    assert isinstance(part, SequenceFacts)
    return part.facts


def _done(tasks: Sequence[Task], run_by: RunBy, record: FleetRecord) -> list[TaskResult | FailedTask]:
    """The results of tasks that cannot be halved; of each that fails whenever it is tried its last failure."""
    done: dict[int, TaskResult | FailedTask] = {}
    left = list(range(len(tasks)))
    for _ in range(TRIES):
        if not left:
            break
        for number, result in run_by([tasks[index] for index in left]):
            done[left[number]] = result
            record.tasks += 1
            task = tasks[left[number]]
            record.read(task.paths if isinstance(task, WholeSequence) else ())
        left = [index for index in left if isinstance(done[index], FailedTask)]
    return [done[index] for index in range(len(tasks))]


class _SequenceReading:
    """What is known of one sequence while it is read. ``facts``: once all of it is; ``numbers``: what its connections
    call its files in them. ``is_for_one``: one process must read it.
    """

    def __init__(self, sequence: CaptureSequence, numbers: Sequence[int]) -> None:
        self.paths = sequence.paths
        self.facts: Facts | None = None
        self.numbers = tuple(numbers)
        self.is_for_one = False
        compares = len(self.paths) > 1
        behind = [*sequence.first_ns[1:], None]
        self._stretches = [
            CaptureStretch(
                (path,),
                index,
                is_first=index == 0,
                until_ns=until if until is not None else MOST_NS,
                compares=compares,
            )
            for index, (path, until) in enumerate(zip(self.paths, behind, strict=True))
        ]
        self._results: dict[CaptureStretch, KeptStretch | FailedTask] = {}
        self._tries: dict[CaptureStretch, int] = {}
        self._halved: set[CaptureStretch] = set()

    def missing(self) -> Iterable[CaptureStretch]:
        """What is to be read."""
        return [stretch for stretch in self._stretches if stretch not in self._results]

    def note(self, stretch: CaptureStretch, result: KeptStretch | FailedTask) -> None:
        """What became of a task. One that fails is left to be done again, in halves where memory may be the reason."""
        if isinstance(result, KeptStretch):
            if result.is_whole or not self._halve(stretch):
                self._results[stretch] = result
            return
        tries = self._tries[stretch] = self._tries.get(stretch, 0) + 1
        is_memory = result.is_memory or (not result.reason and (tries > 1 or stretch.is_part))
        if not (is_memory and self._halve(stretch)) and tries >= TRIES:
            self._results[stretch] = result

    def _halve(self, stretch: CaptureStretch) -> bool:
        """Have it read in halves, each as if it were new; False where it is not to be halved."""
        halves = self._halves(stretch)
        if halves:
            self._halved.add(stretch)
            index = self._stretches.index(stretch)
            self._stretches[index : index + 1] = halves
        return bool(halves)

    def _halves(self, stretch: CaptureStretch) -> list[CaptureStretch]:
        """Empty where it is not to be halved: also where it was, and its halves must be read together after all."""
        if (
            stretch in self._halved
            or len(stretch.paths) > 1
            or sum(s.paths == stretch.paths for s in self._stretches) >= 1 << HALVINGS
        ):
            return []
        end = stretch.end if stretch.end < INFINITE else max(file_size(stretch.paths[0]), 2 * stretch.begin)
        middle = (stretch.begin + end) // 2
        if middle <= stretch.begin:
            return []
        return [stretch._replace(end=middle, until_ns=MOST_NS), stretch._replace(begin=middle, is_first=False)]

    def join_task(self) -> JoinTask:
        """Once nothing is missing."""
        results = (self._results[stretch] for stretch in self._stretches)
        kept = tuple(result if isinstance(result, KeptStretch) else None for result in results)
        return JoinTask(self.paths, tuple(self._stretches), kept, self.numbers)

    def take(self, joined: TaskResult | FailedTask, record: FleetRecord) -> None:
        """What became of the task that joins it. What was found in stretches goes where nobody wants it any more."""
        if isinstance(joined, ReadOtherwise) and joined.stretches:
            self._stretches = [*joined.stretches]
            self._results = {each: self._results[each] for each in joined.stretches if each in self._results}
            record.together += [stretch.paths for stretch in self.missing() if len(stretch.paths) > 1]
            return
        if isinstance(joined, SequenceFacts):
            self.facts = joined.facts
            record.bytes_read += joined.bytes_read
            record.bytes_handed_over += joined.bytes_handed_over
            failures = ((s, r) for s in self._stretches if isinstance(r := self._results[s], FailedTask))
            self.facts.problems += [not_extracted(path, failure) for s, failure in failures for path in s.paths]
        else:
            self.is_for_one = True
            record.by_one.append(self.paths)
        self._results = {}


def _read(missing: Sequence[tuple[_SequenceReading, CaptureStretch]], run_by: RunBy, record: FleetRecord) -> None:
    for number, result in run_by([stretch for _, stretch in missing]):
        reading, stretch = missing[number]
        assert isinstance(result, KeptStretch | FailedTask)
        record.tasks += 1
        record.bytes_read += result.bytes_read if isinstance(result, KeptStretch) else 0
        record.read(stretch.paths)
        reading.note(stretch, result)


def _join(unjoined: Sequence[_SequenceReading], run_by: RunBy, record: FleetRecord) -> None:
    """Each sequence by a task."""
    joined = _done([reading.join_task() for reading in unjoined], run_by, record)
    for reading, result in zip(unjoined, joined, strict=True):
        reading.take(result, record)


def _read_by_one(readings: Sequence[_SequenceReading], run_by: RunBy, record: FleetRecord) -> None:
    done = _done([WholeSequence(reading.paths) for reading in readings], run_by, record)
    for reading, result in zip(readings, done, strict=True):
        reading.facts, reading.numbers = _whole(reading.paths, result), tuple(range(len(reading.paths)))
