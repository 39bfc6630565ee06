"""Captures as *sequences*: the files of one vantage point in the order of time, as a capture program writes them one
after the other (a rotated set).

Which files belong together is told by their names (``capture/rotation.py``), or somebody says it. The order is that of
their first frames, whatever order they are given in.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inspector.capture.files import CaptureFile, Story
from inspector.capture.rotation import sequence_name
from inspector.errors import UsageError


class VantagePattern(NamedTuple):
    """Files that match ``glob`` are of one vantage point."""

    name: str
    glob: str

    def matches(self, path: str) -> bool:
        """A pattern without a folder is for files in any."""
        return fnmatch.fnmatch(path if "/" in self.glob else path.rpartition("/")[2], self.glob)


def unmatched(vantage: VantagePattern) -> UsageError:
    """The error that says that no capture matches a pattern."""
    return UsageError(f"--vantage {vantage.name}={vantage.glob}: no capture matches", "quote it, so that no shell does")


def vantage_of(path: str, patterns: Iterable[VantagePattern]) -> VantagePattern | None:
    """The first pattern that a file matches."""
    return next((each for each in patterns if each.matches(path)), None)


class CaptureSequence(NamedTuple):
    """The files of a vantage point in the order of time. ``first_ns``: of each the time of its first frame, where it
    is known.
    """

    vantage: str
    paths: tuple[str, ...]
    first_ns: tuple[int | None, ...]


def pattern(text: str) -> VantagePattern:
    """What a person says of a vantage point: ``NAME=GLOB``. Raises UsageError."""
    name, equals, glob = text.partition("=")
    if not (name and equals and glob):
        raise UsageError(f"--vantage {text}: not NAME=GLOB", "for instance --vantage 'balancer=/captures/lb-*.pcap'")
    return VantagePattern(name, glob)


def sequences(story: Story, patterns: Sequence[VantagePattern] = ()) -> list[CaptureSequence]:
    """The captures of a story by vantage point, in the order of their first frames. A file that no pattern matches goes
    by its name. Raises UsageError where a pattern matches none.
    """
    files: dict[tuple[str, str], list[CaptureFile]] = {}
    unused = {*patterns}
    for file in sorted(story.captures, key=lambda f: (f.first_ns is None, f.first_ns or 0, f.info.path)):
        path = file.info.path
        matching = vantage_of(path, patterns)
        unused.discard(matching or VantagePattern("", ""))
        key = ("", matching.name) if matching is not None else sequence_name(path)
        files.setdefault(key, []).append(file)
    if unused:
        raise unmatched(min(unused))
    names = [name for _, name in files]
    return [
        CaptureSequence(
            name if names.count(name) == 1 or not folder else f"{folder}/{name}",
            tuple(file.info.path for file in members),
            tuple(file.first_ns for file in members),
        )
        for (folder, name), members in files.items()
    ]
