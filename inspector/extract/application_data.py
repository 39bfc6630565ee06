"""The application data of a connection: records and bytes of each direction, the last three of them, and what it had
sent when the other one began.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.facts import Tail
from inspector.tls.sink import Mark

BEGIN: Mark = (0, 0, 0)
"""Where nothing came before."""

LastThree = tuple[tuple[int, Mark], tuple[int, Mark], int]
"""The last records of a direction, the latest first: of two how long each is and where it stands, of the third its
time.
"""


class ApplicationData:
    """Records of type application data, of both directions."""

    __slots__ = ("_flights", "_records", "_sizes", "_tails")

    def __init__(self) -> None:
        self._records = [0, 0]
        self._sizes = [0, 0]
        self._flights = [(0, 0), (0, 0)]
        """What each direction had sent when the other one began."""
        self._tails: list[LastThree] = [((0, BEGIN), (0, BEGIN), 0)] * 2

    def add(self, lane: int, length: int, mark: Mark) -> bool:
        """A record; whether it is the first one of its direction."""
        is_first = not self._records[lane]
        if is_first:
            other = 1 - lane
            self._flights[other] = self._records[other], self._sizes[other]
        self._records[lane] += 1
        self._sizes[lane] += length
        last, (_, (_, _, earlier_ns)), _ = self._tails[lane]
        self._tails[lane] = (length, mark), last, earlier_ns
        return is_first

    def skip(self, lane: int, lengths: Sequence[int]) -> None:
        """Some more of them, behind the first; the last three come one by one."""
        self._records[lane] += len(lengths)
        self._sizes[lane] += sum(lengths)

    def go_on(self, lane: int, records: int, size: int, tail: LastThree, flight: tuple[int, int]) -> None:
        """Go on from what was counted elsewhere. ``flight``: records and bytes before the other direction's first
        one.
        """
        self._records[lane], self._sizes[lane], self._tails[lane] = records, size, tail
        self._flights[lane] = flight

    @property
    def is_mutual(self) -> bool:
        """Whether both sides have sent some: in TLS 1.3 the handshake is done then."""
        return all(self._records)

    def facts(self, lane: int) -> tuple[int, int, Tail | None]:
        """How many records one direction holds, how many bytes, and the last one."""
        (size, (_, frame, ns)), (previous_size, (_, previous_frame, previous_ns)), earlier_ns = self._tails[lane]
        tail = Tail(
            size=size,
            ns=ns,
            frame=frame,
            previous_ns=previous_ns,
            previous_size=previous_size,
            previous_frame=previous_frame,
            earlier_ns=earlier_ns,
        )
        return self._records[lane], self._sizes[lane], tail if frame else None

    def flight(self, lane: int) -> tuple[int, int]:
        """Records and bytes before the other direction's first one."""
        return self._flights[lane] if self._records[1 - lane] else (self._records[lane], self._sizes[lane])
