"""Captures that several parts know: connections that went over the border of two runs have frames in captures of both.

An earlier capture is known by its hash, at one vantage point. Where its own part is there, that part has it; else the
first of the others. What is known of it may have changed since its own part was written: fragments of a datagram that
waited for the others at its end are counted as lost once these did not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.extract.merging import merged_numbers
from inspector.extract.tables.manifest import PartManifest
from inspector.facts import Facts

CaptureIndex = tuple[int, int]
"""A part, and which of its captures it is."""


class CaptureNumbers(NamedTuple):
    """What connections of a part are to call captures. ``kept``: those that are in the part; ``every``: all that they
    have frames in.
    """

    kept: list[int]
    every: list[int]


def numbered_captures(manifests: Sequence[PartManifest], parts: Sequence[Facts]) -> list[CaptureNumbers]:
    """Leave earlier captures in one part, and number all as they are once the parts are merged. ``parts``: their
    captures, with the earlier ones behind their own.
    """
    holders: dict[tuple[str, str, str], CaptureIndex] = {}
    for number, manifest in enumerate(manifests):
        for index, sha256 in enumerate(manifest.captures):
            holders.setdefault((manifest.vantage, manifest.redaction, sha256), (number, index))
    every: list[list[CaptureIndex]] = []
    for number, (manifest, facts) in enumerate(zip(manifests, parts, strict=True)):
        new = len(facts.captures) - len(manifest.earlier)
        indices = [(number, index) for index in range(new)]
        for index, capture in enumerate(manifest.earlier, new):
            name = manifest.vantage, manifest.redaction, capture.sha256
            indices.append(holders.setdefault(name, (number, index)))
        every.append(indices)
    kept: list[dict[int, int]] = []
    for number, (facts, indices) in enumerate(zip(parts, every, strict=True)):
        for known, (holder, index) in zip(facts.captures, indices, strict=True):
            if known.undecoded > parts[holder].captures[index].undecoded:
                parts[holder].captures[index] = known
        here = [index for index, target in enumerate(indices) if target == (number, index)]
        kept.append({index: after for after, index in enumerate(here)})
    for facts, numbers in zip(parts, kept, strict=True):
        facts.captures = [facts.captures[index] for index in numbers]
    merged = merged_numbers(parts)
    return [
        CaptureNumbers(numbers, [merged[holder][kept[holder][index]] for holder, index in indices])
        for numbers, indices in zip(merged, every, strict=True)
    ]
