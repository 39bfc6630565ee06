"""Community ID, by which other tools know the same flow (Community ID Flow Hashing, version 1)."""

from __future__ import annotations

import base64
import hashlib

from inspector.facts import PackedEndpoint

VERSION = "1"
SEED = b"\0\0"
TCP = b"\x06\0"
"""Its protocol number, and a byte to fill up."""


def community_id(client: PackedEndpoint, server: PackedEndpoint) -> str:
    """Of a TCP connection: the same for both directions, whoever began it. The seed is that of the specification, 0."""
    ends = (client, server)
    first, last = sorted(ends, key=lambda end: (end.address, end.port))
    ports = first.port.to_bytes(2, "big") + last.port.to_bytes(2, "big")
    digest = hashlib.sha1(SEED + first.address + last.address + TCP + ports, usedforsecurity=False).digest()
    return f"{VERSION}:{base64.b64encode(digest).decode()}"
