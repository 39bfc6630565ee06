"""The mark of packets in which what identifies was replaced: their addresses are somebody else's, or nobody's."""

from __future__ import annotations

import contextlib
from typing import BinaryIO

from inspector.capture.blocks import Damaged
from inspector.capture.compression import Counted, inflate

REDACTED = "Redacted: what identifies was replaced"
"""In the comment of the first section of a pcapng file."""

HEAD_BYTES = 1 << 16
"""More than that section header takes, which has at most one other text."""


def is_marked_redacted(capture: BinaryIO) -> bool:
    """``capture``: from its beginning on, compressed or not. Raises OSError."""
    stream = inflate(Counted(capture, None))
    head = memoryview(bytearray(HEAD_BYTES))
    filled = 0
    with contextlib.suppress(Damaged):
        while count := stream.readinto(head[filled:]):
            filled += count
    return REDACTED.encode() in bytes(head[:filled])
