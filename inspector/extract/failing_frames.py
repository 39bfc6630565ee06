"""Frames over which this program stumbles, taken out of a batch so that the others are read."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from inspector.capture.frames import FrameBatch
from inspector.errors.internal import Border
from inspector.wire.segments import SegmentDecoder

TRIES = 200
"""So often parts of a batch may fail; a single frame among a hundred thousand takes seventeen."""


def without_failing_frames(batch: FrameBatch) -> FrameBatch:
    """The batch with the frames cut to nothing that make its decoder fail, found by halving. Where too many fail, those
    in whose midst they stand are cut as well.
    """
    captured = batch.captured.copy()
    parts = [(0, len(batch))]
    tries = TRIES
    while parts:
        first, end = parts.pop()
        if _is_decoded(batch.select(np.arange(first, end, dtype=np.int64))):
            continue
        tries -= 1
        middle = (first + end) // 2
        if middle == first or tries <= 0:
            captured[first:end] = 0
        else:
            parts += [(middle, end), (first, middle)]
    return replace(batch, captured=captured)


def _is_decoded(batch: FrameBatch) -> bool:
    with Border():
        SegmentDecoder().decode(batch)
        return True
    return False
