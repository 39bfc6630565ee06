"""What waits to be decrypted, direction by direction, and whom it is told."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from inspector.errors.decryption import NotDecrypted
from inspector.facts import HandshakeFacts
from inspector.secrets.openers import Opener, Traffic
from inspector.tls.sink import Mark


class DecryptionClient(Protocol):
    """Whose channel it is. ``handshakes``: those of the connection, as far as they are known."""

    handshakes: list[HandshakeFacts]
    client_lane: int | None

    def certificate(self, number: int) -> bytes | None: ...

    def set_interest(self, lane: int, *, wants_encrypted: bool, data_bytes: int) -> None: ...

    def unsealed_message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None: ...

    def unsealed_change(self, lane: int, mark: Mark) -> None: ...

    def unsealed_alert(self, lane: int, level: int, code: int, mark: Mark) -> None: ...

    def unsealed_data(self, lane: int, length: int, mark: Mark) -> None: ...


class EncryptedRecord(NamedTuple):
    """``version``: of the header. ``body``: None where it was passed over."""

    kind: int
    version: int
    body: bytes | None
    mark: Mark

    @property
    def size(self) -> int:
        """What it takes while it waits, at least."""
        return len(self.body) + 1 if self.body is not None else 1


class RecordLane:
    """One direction. ``round``: the number of its handshake, 0 for the first; ``stage``: the place among the secrets of
    TLS 1.3.
    """

    def __init__(self) -> None:
        self.waiting: deque[EncryptedRecord] = deque()
        self.held_bytes = 0
        self.sequence = 0
        self.round = 0
        self.stage = 0
        self.opener: Opener | None = None
        self.traffic: Traffic | None = None
        self.message = bytearray()
        self.message_mark: Mark = (0, 0, 0)
        self.opened = 0
        self.passed_over = False
        """Records were taken for early data that no secret opens."""
        self.has_data = False
        self.ended: NotDecrypted | None = None
