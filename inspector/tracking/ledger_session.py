"""A session, and what became of it each time that it was offered."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

MAX_USES = 10_000
"""Offers of one session that are kept; later ones are counted."""

USE = struct.Struct("=q")
MANY_BYTES = 32 * USE.size


class LedgerSession(Struct, gc=False):
    """What resumption re-uses. ``key``: the id, ticket or identity that it was first known by. ``issuer``: index of the
    connection, or None where it lies before the capture. ``usable``: its handshake was completed. ``resumed_ns``,
    ``resumed_by``: the first time, and by which connection. ``dropped``: offers that are not in ``uses``. ``name``:
    what a TLS 1.3 identity begins with.
    """

    key: bytes
    method: Literal["session_id", "ticket", "psk"]
    issuer: int | None = None
    leaf: bytes | None = None
    ems: bool | None = None
    issued_ns: int | None = None
    usable: bool = True
    resumed_ns: int | None = None
    resumed_by: int | None = None
    packed_uses: bytes | bytearray = b""
    """``uses`` as 8 bytes each: most sessions are offered seldom or never, and there are millions."""
    dropped: int = 0
    name: bytes = b""

    @property
    def uses(self) -> Sequence[int]:
        """For each offer, the connection's index * 2, plus 1 where it was resumed."""
        return array("q", bytes(self.packed_uses))

    def note_offer(self, connection: int, is_resumed: bool) -> None:
        """One more offer of it, and whether the server took it."""
        size = len(self.packed_uses)
        if size == MANY_BYTES:
            self.packed_uses = bytearray(self.packed_uses)  # which is not copied for each offer more
        if size < MAX_USES * USE.size:
            self.packed_uses += USE.pack(connection << 1 | is_resumed)
        else:
            self.dropped += 1
