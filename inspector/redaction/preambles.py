"""What a direction begins with that is not TLS, as far as it is a protocol's own and says nothing of anybody."""

from __future__ import annotations

import re

from inspector.tls.preamble import PREAMBLES

HTTP_STATUS = re.compile(rb"HTTP/\d\.\d \d{3}")
"""How an answer of HTTP begins (RFC 9112, section 4)."""


def harmless(head: bytes) -> bytes:
    """The name of a known header, or an HTTP status; nothing of anything else."""
    status = HTTP_STATUS.match(head)
    return status[0] if status is not None else next((start for start, _ in PREAMBLES if head.startswith(start)), b"")
