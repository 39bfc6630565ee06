"""Who is told what a direction of a connection holds: the border between records and whoever gathers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from inspector.tls.anomalies import Anomaly

Mark = tuple[int, int, int]
"""Where bytes came from: offset of the chunk in the stream, frame reference, nanoseconds since the epoch. A plain
tuple: one is made for each chunk.
"""


class Sink(Protocol):
    """``lane`` is the direction, 0 or 1."""

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None: ...

    def beginning(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """The first bytes of a handshake message in clear whose rest is missing."""

    def missing(self, lane: int) -> None:
        """Bytes of a direction are missing that was in clear."""

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None: ...

    def change_cipher_spec(self, lane: int, mark: Mark) -> None: ...

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None: ...

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None: ...

    def application_data(self, lane: int, length: int, mark: Mark) -> None: ...

    def skipped(self, lane: int, lengths: Sequence[int]) -> None:
        """Records of type application data that stand between others, of which only the lengths tell anything."""

    def anomaly(self, lane: int, what: Anomaly, mark: Mark, path: str, offset: int) -> None:
        """``offset``: where in the direction's stream the field of that ``path`` stands."""

    def protected(self, lane: int, content_type: int, version: int, body: bytes | None, mark: Mark) -> None: ...

    def broken(self, lane: int) -> None: ...

    def started(self, lane: int) -> None: ...

    def preceded(self, lane: int, head: bytes) -> None: ...
