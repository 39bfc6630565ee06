"""``extract_fleet(sequences) → facts``: the facts of any number of captures, read by whoever runs the tasks, as if one
process had read each sequence.

Every file is a task. What only its neighbours can tell is put right afterwards: files that overlap in time, or hold the
fragments of one datagram, are read together; where captures bring secrets of their own, or hold copies of each other by
clocks that are apart, one process reads the sequence. A task that fails is tried again; one that runs out of memory is
halved. What is not extracted in the end is a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from inspector.capture.frames import CaptureInfo
from inspector.capture.opening import file_size
from inspector.errors.captures import NotExtracted
from inspector.errors.notice import ForeignText, PathText
from inspector.extract.engine import capture_facts
from inspector.extract.merging import merge
from inspector.extract.shard import clocks_apart, joined_facts
from inspector.facts import Facts
from inspector.fleet.joining import border_between, captures, shards
from inspector.fleet.sequences import CaptureSequence
from inspector.fleet.stretches import INFINITE, MOST_NS, CaptureStretch, Followed, FollowTask, StretchFacts
from inspector.fleet.tasks import FailedTask, RunBy, Task, TaskResult, WholeSequence, in_this_process
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
    readings = [_SequenceReading(sequence) for sequence in sequences]
    while missing := [(reading, stretch) for reading in readings for stretch in reading.missing()]:
        _read(missing, run_by, record)
        for reading in readings:
            reading.settle(record)
    parts: list[Facts] = []
    while readings:  # what the tasks of a sequence have handed over goes with it
        parts.append(readings.pop(0).facts(run_by, record))
    return merge(parts)


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
    assert isinstance(part, Facts)
    return part


def _done(tasks: Sequence[Task], run_by: RunBy, record: FleetRecord) -> list[TaskResult | FailedTask]:
    """The results of tasks that cannot be halved; of each that fails whenever it is tried its last failure."""
    done: dict[int, TaskResult | FailedTask] = {}
    left = list(range(len(tasks)))
    for _ in range(TRIES):
        for number, result in run_by([tasks[index] for index in left]):
            done[left[number]] = result
            record.tasks += 1
            record.read(_paths(tasks[left[number]]))
        left = [index for index in left if isinstance(done[index], FailedTask)]
        if not left:
            break
    return [done[index] for index in range(len(tasks))]


def _paths(task: Task) -> tuple[str, ...]:
    return task.paths if isinstance(task, CaptureStretch | WholeSequence) else ()


class _SequenceReading:
    """What is known of one sequence while its stretches are read. ``stretches``: in the order of time."""

    def __init__(self, sequence: CaptureSequence) -> None:
        self._paths = sequence.paths
        compares = len(self._paths) > 1
        behind = [*sequence.first_ns[1:], None]
        self.stretches = [
            CaptureStretch(
                (path,),
                index,
                is_first=index == 0,
                until_ns=until if until is not None else MOST_NS,
                compares=compares,
            )
            for index, (path, until) in enumerate(zip(self._paths, behind, strict=True))
        ]
        self.results: dict[CaptureStretch, StretchFacts | FailedTask] = {}
        self._tries: dict[CaptureStretch, int] = {}
        self._reached: dict[CaptureStretch, int | None] = {}
        """Of each when the last frame of all before it was captured."""

    def missing(self) -> Iterable[CaptureStretch]:
        """What is to be read."""
        return [stretch for stretch in self.stretches if stretch not in self.results]

    def note(self, stretch: CaptureStretch, result: StretchFacts | FailedTask) -> None:
        """What became of a task. One that fails is left to be done again, in halves where memory may be the reason."""
        if isinstance(result, StretchFacts):
            is_whole = result.continued is None or result.continued.is_whole
            if is_whole or not self._halve(stretch, self._tries.get(stretch, 0)):
                self.results[stretch] = result
            return
        tries = self._tries[stretch] = self._tries.get(stretch, 0) + 1
        is_to_be_halved = result.is_memory or (tries > 1 and not result.reason)
        if not (is_to_be_halved and self._halve(stretch, tries - 1)) and tries >= TRIES:
            self.results[stretch] = result

    def _halve(self, stretch: CaptureStretch, tries: int) -> bool:
        """Have it read in halves, which were tried so often; False where it is not to be halved."""
        halves = self._halves(stretch)
        if halves:
            index = self.stretches.index(stretch)
            self.stretches[index : index + 1] = halves
            self._tries.update(dict.fromkeys(halves, tries))
        return bool(halves)

    def _halves(self, stretch: CaptureStretch) -> list[CaptureStretch]:
        """Empty where it is not to be halved."""
        if len(stretch.paths) > 1 or sum(s.paths == stretch.paths for s in self.stretches) >= 1 << HALVINGS:
            return []
        end = stretch.end if stretch.end < INFINITE else max(file_size(stretch.paths[0]), 2 * stretch.begin)
        middle = (stretch.begin + end) // 2
        if middle <= stretch.begin:
            return []
        return [stretch._replace(end=middle, until_ns=MOST_NS), stretch._replace(begin=middle, is_first=False)]

    def settle(self, record: FleetRecord) -> None:
        """Where neighbours show that they must be read otherwise, put that in their place."""
        if self.missing():
            return
        restamped = {
            stretch.paths
            for stretch, result in self._read()
            if any(info.is_restamped for info in result.captures) and stretch.is_passing
        }
        self.stretches = [
            stretch._replace(is_passing=False)
            if stretch.paths in restamped and (stretch.begin > 0 or stretch.end < INFINITE)
            else stretch
            for stretch in self.stretches
        ]
        if self.missing():
            return
        groups: list[list[CaptureStretch]] = []
        last_ns: int | None = None
        for stretch in self.stretches:
            self._reached[stretch] = last_ns
            result = self.results[stretch]
            end = _times(result)[1] if isinstance(result, StretchFacts) else None
            last_ns = end if last_ns is None else max(last_ns, end or last_ns)
            group = [stretch]
            while groups and self._belong_together(groups[-1], group):
                group = groups.pop() + group
            groups.append(group)
        self.stretches = [_as_one(group) if len(group) > 1 else group[0] for group in groups]
        record.together += [stretch.paths for stretch in self.missing()]

    def _belong_together(self, before: Sequence[CaptureStretch], group: Sequence[CaptureStretch]) -> bool:
        """Whether frames of some stretches must be read with those of the next ones."""
        is_shared = before[-1].paths == group[0].paths
        if is_shared and (len(group) > 1 or before[0].paths != group[0].paths):
            return True  # whoever reads one half with other files reads the other, too
        one, other = self.results.get(before[-1]), self.results.get(group[0])
        if not isinstance(one, StretchFacts) or not isinstance(other, StretchFacts):
            return False
        if one.unfinished & other.unfinished:
            return True
        if is_shared:
            return False
        if one.is_mixed and one.tail is None:
            return True
        begin, end = _times(other)
        if begin is None or end is None:
            return False
        earlier = self._reached[before[-1]]
        if earlier is not None and earlier >= begin:
            return True
        _, reached = _times(one)
        if reached is None or reached < begin:
            return False
        between = border_between(one, other)
        is_in_turn = between is not None and not between.is_mixed and not one.is_mixed
        return not is_in_turn or begin < before[-1].until_ns or reached > end

    def _read(self) -> list[tuple[CaptureStretch, StretchFacts]]:
        all_results = ((stretch, self.results[stretch]) for stretch in self.stretches)
        return [(stretch, result) for stretch, result in all_results if isinstance(result, StretchFacts)]

    def facts(self, run_by: RunBy, record: FleetRecord) -> Facts:
        """All of the sequence."""
        results = [r if isinstance(r := self.results[s], StretchFacts) else None for s in self.stretches]
        read = [result for result in results if result is not None]
        is_whole = all(result.continued is None or result.continued.is_whole for result in read)
        if not is_whole or any(info.has_secrets for result in read for info in result.captures):
            return self._by_one(run_by, record)
        record.bytes_handed_over += sum(result.continued.bytes for result in read if result.continued is not None)

        has_lost_flows = False

        def follow_by(task: FollowTask) -> Followed | None:
            nonlocal has_lost_flows
            (followed,) = _done([task], run_by, record)
            if not isinstance(followed, Followed):
                has_lost_flows = True
                return None
            record.bytes_read += followed.bytes_read
            return followed

        infos = captures(self._paths, self.stretches, results)
        parts = shards(self.stretches, results, follow_by)
        if has_lost_flows or (parts and clocks_apart(parts, infos)):
            return self._by_one(run_by, record)
        whole = joined_facts(parts, infos)
        if whole is None:
            return self._by_one(run_by, record)
        for stretch in self.stretches:
            if isinstance(failure := self.results[stretch], FailedTask):
                whole.problems += [not_extracted(path, failure) for path in stretch.paths]
        return whole

    def _by_one(self, run_by: RunBy, record: FleetRecord) -> Facts:
        record.by_one.append(self._paths)
        (part,) = _done([WholeSequence(self._paths)], run_by, record)
        return _whole(self._paths, part)


def _times(result: StretchFacts) -> tuple[int | None, int | None]:
    """Of the first and of the last frame."""
    firsts = [info.first_ns for info in result.captures if info.first_ns is not None]
    lasts = [info.last_ns for info in result.captures if info.last_ns is not None]
    return min(firsts, default=None), max(lasts, default=None)


def _as_one(group: Sequence[CaptureStretch]) -> CaptureStretch:
    paths = tuple(dict.fromkeys(path for stretch in group for path in stretch.paths))
    last = group[-1]
    return group[0]._replace(paths=paths, end=last.end if len(paths) == 1 else INFINITE, until_ns=last.until_ns)


def _read(missing: Sequence[tuple[_SequenceReading, CaptureStretch]], run_by: RunBy, record: FleetRecord) -> None:
    for number, result in run_by([stretch for _, stretch in missing]):
        reading, stretch = missing[number]
        assert isinstance(result, StretchFacts | FailedTask)
        record.tasks += 1
        record.bytes_read += result.bytes_read if isinstance(result, StretchFacts) else 0
        record.read(stretch.paths)
        reading.note(stretch, result)
