"""A sequence as one, from what was found in its stretches: a task of its own, done where these results lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.errors import InspectorError
from inspector.extract.shard import clocks_apart, joined_facts
from inspector.facts import Facts
from inspector.fleet.joining import captures, shards
from inspector.fleet.stretches import CaptureStretch, Followed, FollowTask, follow
from inspector.fleet.together import ReadStretch, to_be_read

FOLLOW_TRIES = 3
"""How often the next file is looked into for flows that go on there, before one process reads the sequence."""


class SequenceFacts(NamedTuple):
    """All that was found in a sequence. ``bytes_read``: of its files, once more, for flows that go on in the next one;
    ``bytes_handed_over``: what stretches kept for those before them.
    """

    facts: Facts
    bytes_read: int = 0
    bytes_handed_over: int = 0


class ReadOtherwise(NamedTuple):
    """That a sequence cannot be joined from what was read of it. ``stretches``: those into which it is to be cut, in
    the order of time; empty where one process must read it.
    """

    stretches: tuple[CaptureStretch, ...] = ()


BY_ONE = ReadOtherwise()


def join(paths: Sequence[str], read: Sequence[ReadStretch]) -> SequenceFacts | ReadOtherwise:
    """The facts of a sequence, its flows followed from file to file. ``read``: its stretches in the order of time; what
    was found in them is not changed.
    """
    stretches = [one.stretch for one in read]
    wanted = to_be_read(read)
    if wanted != stretches:
        return ReadOtherwise(tuple(wanted))
    results = [one.facts for one in read]
    handed = [result.continued for result in results if result is not None and result.continued is not None]
    has_secrets = any(info.has_secrets for result in results if result is not None for info in result.captures)
    if has_secrets or not all(continued.is_whole for continued in handed):
        return BY_ONE
    following = _Following()
    infos = captures(paths, stretches, results)
    parts = shards(stretches, results, following)
    if following.has_failed or (parts and clocks_apart(parts, infos)):
        return BY_ONE
    whole = joined_facts(parts, infos)
    if whole is None:
        return BY_ONE
    return SequenceFacts(whole, following.bytes_read, sum(continued.bytes for continued in handed))


class _Following:
    """Looks into the next file, here and now: whoever joins has read others of the same place."""

    def __init__(self) -> None:
        self.bytes_read = 0
        self.has_failed = False

    def __call__(self, task: FollowTask) -> Followed | None:
        for _ in range(FOLLOW_TRIES):
            try:
                followed = follow(task)
            except (InspectorError, OSError):
                continue
            self.bytes_read += followed.bytes_read
            return followed
        self.has_failed = True
        return None
