"""Segments of several captures as one batch in the order of time, so that a flow whose directions lie in two files is
followed as if they lay in one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from inspector.capture.frames import I64, READABLE, U8
from inspector.capture.references import frame_reference
from inspector.wire.checksums import HEADERS_BYTES
from inspector.wire.segments import SegmentBatch

COLUMNS = tuple(
    name for name in SegmentBatch.__struct_fields__ if name not in ("data", "start", "number", "capture", "stops")
)


def merged(batches: Sequence[SegmentBatch]) -> SegmentBatch:
    """One batch of all. ``number`` holds frame references then, and ``capture`` is 0. Frames of one time stand in the
    order of the captures.
    """
    parts = [batch for batch in batches if len(batch)]
    if len(parts) < 2:
        return parts[0] if parts else batches[0]
    pieces: list[U8] = []
    starts: list[I64] = []
    size = 0
    for part in parts:
        low = max(int(part.start.min()) - HEADERS_BYTES, 0)  # only what these segments hold, not the whole buffer
        piece = part.data[low : int((part.start + part.captured).max())]
        pieces.append(piece)
        starts.append(part.start - low + size)
        size += len(piece)
    order = np.argsort(np.concatenate([part.time_ns for part in parts]), kind="stable")
    columns = {name: np.concatenate([getattr(part, name) for part in parts])[order] for name in COLUMNS}
    number = np.concatenate([part.number + frame_reference(part.capture, 0) for part in parts])[order]
    whole = replace(
        parts[0],
        data=np.concatenate([*pieces, np.zeros(READABLE, np.uint8)]),
        start=np.concatenate(starts)[order],
        number=number,
        capture=0,
    )
    for name, column in columns.items():
        setattr(whole, name, column)
    return whole
