"""``extract(captures) → facts``: the first of the two pure halves, with every core at work.

Each process takes a shard of the story (``shard``). The others are started before this one loads what it needs, so
that all load side by side. This one takes the last; the first where somebody watches, who sees the story from its
beginning and does not wait until all before a shard was passed over.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from inspector.capture.inputs import Workload, facts_bytes, holds_facts, is_journal, is_pipe, workload
from inspector.system.anonymous_files import anonymous_file
from inspector.system.cores import usable_cores
from inspector.system.one_thread import keep_numpy_to_one_thread

if TYPE_CHECKING:
    from inspector.capture.files import Progress, Story
    from inspector.extract.shard import ShardFacts, Watch
    from inspector.facts import ClockOffset, Facts
    from inspector.secrets.inputs import SecretInputs

WORTHWHILE_HANDSHAKES = 30_000
"""Below this, another process costs more than it saves: frames have to be walked through by each, only handshakes are
shared.
"""

HANDSHAKES_EACH = 15_000
"""A further process for so many: it costs a quarter of a second to start, and some 60 MB of memory."""

MOST_PROCESSES = 8
"""With more, each mostly passes over what comes before its shard (CPU seconds of the longest of 2, 4, 8 processes with
680 MB, start included: 0.9, 0.75, 0.55).
"""

SHRINKS = 0.87
"""How long a shard is beside the one before it: its process first passes over all frames that come before its own
(measured with two processes, whose CPU seconds are equal then).
"""

HEAD_START_BYTES = 48 << 20
"""What this process reads until the others have started: its own shard is longer by so much."""

ASKED_SECONDS = 0.1
"""While others are waited for, it is asked so often whether to go on."""

FARTHEST_NS = 1 << 62
"""Damaged stamps may claim that clocks are further apart."""


def extract(
    paths: Sequence[str],
    progress: Progress | None = None,
    begun: Callable[[int], None] | None = None,
    watch: Watch | None = None,
    secrets: SecretInputs | None = None,
    *,
    most_packets: int | None = None,
) -> Facts:
    """All facts of some captures, read as one story. ``begun`` is told how many bytes there are to read,
    ``progress`` of each as it is read; it may raise to stop. ``watch``, ``secrets``: as in ``extract_shard``.
    ``most_packets``: reading ends behind so many of the captures, which facts that were kept are not. Raises
    UnreadableError where none of them can be read.
    """
    kept = [path for path in paths if holds_facts(path)]
    if kept:
        return _with_kept(kept, [path for path in paths if path not in kept], progress, begun, watch, secrets)
    facts, apart = _extracted(paths, {}, progress, begun, watch, secrets, most_packets=most_packets)
    if not apart or any(path == "-" or is_pipe(path) for path in paths):
        return facts
    late = late_clocks(apart, [capture.path for capture in facts.captures])
    # copies of the same packets: read once more by one clock, what one of them lost comes in its place from the other
    if late:
        facts, _ = _extracted(
            paths,
            {capture: offset.ns for capture, offset in late.items()},
            progress,
            begun,
            watch,
            secrets,
            most_packets=most_packets,
        )
        for capture, offset in late.items():
            facts.captures[capture].clocks = (offset,)
    return facts


def late_clocks(apart: Mapping[tuple[int, int], tuple[int, int, int]], paths: Sequence[str]) -> dict[int, ClockOffset]:
    """The clocks that are late, by capture, from the differences of pairs. ``paths``: of all captures."""
    from inspector.facts import ClockOffset
    from inspector.tracking.vantage_clocks import ClockDifference, agreed

    weight: Counter[int] = Counter()
    for pair, (_, _, shared) in apart.items():
        weight.update(dict.fromkeys(pair, shared))
    standing = {capture: (-weight[capture], paths[capture], capture) for capture in weight}
    placed = agreed({pair: ClockDifference(*difference) for pair, difference in apart.items()}, standing)
    return {
        capture: ClockOffset(beside.late_ns, beside.doubt_ns, beside.handshakes, beside.root)
        for capture, beside in placed.items()
        if beside.is_noticed and abs(beside.late_ns) < FARTHEST_NS
    }


def _extracted(
    paths: Sequence[str],
    late: dict[int, int],
    progress: Progress | None,
    begun: Callable[[int], None] | None,
    watch: Watch | None,
    secrets: SecretInputs | None,
    *,
    is_passing: bool = True,
    is_shared: bool = True,
    most_packets: int | None = None,
) -> tuple[Facts, Mapping[tuple[int, int], tuple[int, int, int]]]:
    """All facts of captures, and which hold copies by clocks that are apart. ``late``: as in ``Story``. ``is_passing``:
    each process passes over what comes before its shard, unless stamps turn out to be such that it must have been read.
    ``is_shared``: by several processes, unless it turns out that their shards cannot be joined.
    """
    work = workload(paths)
    if not is_shared or (secrets is not None and secrets.server_keys) or most_packets is not None:
        count = 1
    else:
        count = _processes(work)
    own_index = 0 if watch is not None else count - 1
    places = _places(work.bytes, count, own_index)
    workers: dict[int, _Worker | None] = {}
    try:
        for index, (begin, end) in enumerate(places):
            if index != own_index:
                is_polite = watch is not None
                task = ShardTask(
                    paths,
                    late,
                    begin,
                    end,
                    secrets,
                    is_passing=is_passing,
                    is_polite=is_polite,
                    beside=count - 1,
                )
                workers[index] = _started(task)
        from inspector.errors.bounds import PacketsLeft
        from inspector.extract.shard import clocks_apart, extract_shard, joined

        story = _story(paths, late, most_packets)
        if begun:
            begun(story.bytes)
        if is_passing:
            story.pass_over(places[own_index][0])
        begin, end = places[own_index]
        if progress is not None and end < work.bytes:  # how far this process is in its shard stands for all
            progress = _scaled(progress, work.bytes / end)
        own_part = extract_shard(story, begin, end, progress, watch, secrets, beside=count - 1)
        parts: list[ShardFacts] = []
        for index, (begin, end) in enumerate(places):
            worker = workers.get(index)
            part = own_part if index == own_index else worker.result(progress) if worker is not None else None
            # whatever became of a process, its shard is read
            again = part or extract_shard(
                _story(paths, late, most_packets), begin, end, secrets=secrets, beside=count - 1
            )
            parts.append(again)
    finally:
        for worker in workers.values():
            if worker is not None:
                worker.close()
    if is_passing and len(parts) > 1 and any(part.is_restamped for part in parts):
        return _extracted(paths, late, progress, begun, watch, secrets, is_passing=False, most_packets=most_packets)
    facts = joined(parts, story)
    if facts is None:
        return _extracted(paths, late, progress, begun, watch, secrets, is_shared=False, most_packets=most_packets)
    if most_packets is not None and parts[-1].is_cut:
        facts.bounded.append(PacketsLeft(most_packets))
    return facts, clocks_apart(parts)


def _story(paths: Sequence[str], late: Mapping[int, int], most_packets: int | None = None) -> Story:
    from inspector.capture.files import Story

    return Story(paths, late, most_packets=most_packets)


def add_logs(facts: Facts, paths: Sequence[str]) -> None:
    """Read logs beside the captures; what is wrong with one is said in it."""
    if not paths:
        return
    from inspector.logs.reading import read_log  # most captures come without logs
    from inspector.tracking.services import ip_text

    ends = {end for packed in facts.connections for end in (facts.unpack(packed).client,)}
    clients = {(ip_text(end.address), end.port) for end in ends}
    near_ns = next((capture.first_ns for capture in facts.captures if capture.first_ns is not None), None)
    facts.logs += [read_log(path, clients, near_ns) for path in paths]


def _with_kept(
    kept: list[str],
    captures: list[str],
    progress: Progress | None,
    begun: Callable[[int], None] | None,
    watch: Watch | None,
    secrets: SecretInputs | None,
) -> Facts:
    """Facts that were kept, joined with those of captures."""
    from inspector.extract.merging import merge

    if begun is not None:
        begun(sum(map(facts_bytes, kept)))
    parts = [kept_facts(path, progress) for path in kept]
    if captures:
        parts.append(extract(captures, progress, begun, watch, secrets))
    whole = merge(parts)
    require_any(whole, kept)
    return whole


def require_any(facts: Facts, kept: Sequence[str]) -> None:
    """Raises UnreadableError where of what was kept nothing can be read, and there is nothing else. ``kept``: where."""
    if facts.problems and not facts.captures:
        from inspector.errors import UnreadableError

        raise UnreadableError(
            f"{kept[0]}: none of its parts can be read", f"inspector query {kept[0]} says what is wrong with each"
        )


def kept_facts(path: str, progress: Progress | None = None) -> Facts:
    """Of a journal, or of a directory of facts. ``progress`` is told of their ``facts_bytes``, and may raise to stop.
    Raises InspectorError.
    """
    if is_journal(path):
        from inspector.extract.journal import read_facts

        facts = read_facts(path)
        if progress is not None:
            progress(facts_bytes(path))
        return facts
    from inspector.extract.tables import read_tables

    return read_tables(path, progress=progress)


def processes_for(paths: Sequence[str]) -> int:
    """How many processes read some captures where they may be several."""
    return _processes(workload(paths))


def _processes(work: Workload) -> int:
    if work.handshakes < WORTHWHILE_HANDSHAKES:
        return 1
    return min(usable_cores(), MOST_PROCESSES, max(2, 1 + work.handshakes // HANDSHAKES_EACH))


def _places(total: int, count: int, own_index: int) -> list[tuple[float, float]]:
    """Where each of the shards begins and ends: those behind are shorter, so that all come to their end at one time.
    ``own_index``: which one is this process'.
    """
    shared = max(total - HEAD_START_BYTES, total / 2)
    shares = [SHRINKS**i for i in range(count)]
    lengths = [shared * share / sum(shares) for share in shares]
    lengths[own_index] += total - shared
    ends = [*accumulate(lengths)][:-1]
    return list(zip([0.0, *ends], [*ends, float("inf")], strict=True))


def _scaled(progress: Progress, factor: float) -> Progress:
    """Told of one part, it tells of the whole."""

    def advance(count: int) -> None:
        progress(round(count * factor))

    return advance


class ShardTask(NamedTuple):
    """What a worker does. ``is_passing``: as in ``_extracted``. ``is_polite``: somebody paints a screen meanwhile.
    ``beside``: as in ``extract_shard``.
    """

    paths: Sequence[str]
    late: dict[int, int]
    begin: float
    end: float
    secrets: SecretInputs | None
    is_passing: bool
    is_polite: bool
    beside: int


class _Worker:
    """A process that reads one shard. Its task and its answer are files without a name, so that neither side ever waits
    for the other to read.
    """

    def __init__(self, task: bytes) -> None:
        """Raises OSError where no process, or no file, can be had."""
        import subprocess  # most captures are read by one process

        self._output = anonymous_file()
        try:
            with anonymous_file() as file:
                file.write(task)
                file.seek(0)
                self._process = subprocess.Popen(
                    [sys.executable, "-c", "from inspector.extract.processes import work; work()"],
                    stdin=file,
                    stdout=self._output,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
        except OSError:
            self._output.close()
            raise

    def result(self, progress: Progress | None) -> ShardFacts | None:
        """What it found; None where it did not come to its end. ``progress`` may raise meanwhile, to stop."""
        import subprocess

        while True:
            try:
                status = self._process.wait(ASKED_SECONDS if progress is not None else None)
                break
            except subprocess.TimeoutExpired:
                if progress is not None:
                    progress(0)
        if status != 0:
            return None
        self._output.seek(0)
        try:
            part: ShardFacts = pickle.load(self._output)
        except (EOFError, pickle.UnpicklingError):
            return None
        return part

    def close(self) -> None:
        """It is no longer wanted."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()


def _started(task: ShardTask) -> _Worker | None:
    """A worker; None where none can be had."""
    try:
        return _Worker(pickle.dumps(task))
    except OSError:
        return None


def work() -> None:
    """A worker: its task comes on standard input, what it found goes to standard output."""
    import gc
    import signal

    from inspector.system.parent import die_with_parent

    die_with_parent()
    gc.disable()
    keep_numpy_to_one_thread()
    from inspector.extract.shard import extract_shard

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    task: ShardTask = pickle.load(sys.stdin.buffer)
    if task.is_polite:
        os.nice(5)
    story = _story(task.paths, task.late)
    if task.is_passing:
        story.pass_over(task.begin)
    part = extract_shard(story, task.begin, task.end, secrets=task.secrets, beside=task.beside)
    pickle.dump(part, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
