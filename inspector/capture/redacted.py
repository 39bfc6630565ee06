"""The mark of packets in which what identifies was replaced: their addresses are somebody else's, or nobody's."""

from __future__ import annotations

import zlib

from inspector.capture.inputs import GZIP

REDACTED = "Redacted: what identifies was replaced"
"""In the comment of the first section of a pcapng file."""

HEAD_BYTES = 1 << 16
"""More than that section header takes, which has at most one other text."""


def is_marked_redacted(head: bytes) -> bool:
    """``head``: the first bytes of a capture, ``HEAD_BYTES`` of them or all."""
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
        except zlib.error:
            return False
    return REDACTED.encode() in head
