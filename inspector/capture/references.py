"""Frame references: one integer for a frame of a story, ``capture << 40 | frame number``; 0 means none."""

from __future__ import annotations

FRAME_BITS = 40
FRAME_NUMBER = (1 << FRAME_BITS) - 1
"""What of a frame reference is the number."""
FrameRange = tuple[int, int]
"""Lowest and highest frame reference in one capture."""


def frame_reference(capture: int, number: int) -> int:
    """One integer for a frame of a story."""
    return capture << FRAME_BITS | number
