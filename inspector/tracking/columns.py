"""The numbers of connections, a column each: an integer by itself takes six times its eight bytes, and there may be
millions.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from inspector.facts import ConnectionFacts, Facts

DIGEST_BYTES = 6

NOBODY = -1
RESUMED_BEFORE = (False, None, True)
CLOUD = 4
"""Added to an index of these."""


class ConnectionColumns:
    """By a connection's index. Times in nanoseconds, as ``Observed`` tells them. A *number* counts all legs in
    the order of their ClientHellos, an index those nearest to the client.
    """

    def __init__(self, facts: Facts, in_turn: Sequence[bytes] = ()) -> None:
        """``in_turn``: the packed legs by number."""
        self._facts = facts
        self._in_turn = in_turn
        self._numbers = array("I")
        self.first_ns = array("q")
        self.hello_ns = array("q")
        self.quiet_ns = array("q")
        self._digests = bytearray()
        self._resumers = array("i")
        self._pasts = bytearray()

    def add(self, number: int, digest: bytes, first_ns: int, hello_ns: int, quiet_ns: int) -> None:
        """The next connection. ``number``: of its leg nearest to the client; ``digest``: as ``connection_digest``
        says.
        """
        self._numbers.append(number)
        self._digests += digest
        self.first_ns.append(first_ns)
        self.hello_ns.append(hello_ns)
        self.quiet_ns.append(quiet_ns)

    def number(self, index: int) -> int:
        """Of its leg nearest to the client."""
        return self._numbers[index]

    def packed(self, number: int) -> bytes:
        """A leg by its number."""
        return self._in_turn[number]

    def leg(self, number: int) -> ConnectionFacts:
        """The same, unpacked."""
        return self._facts.unpack(self._in_turn[number])

    def id(self, index: int) -> str:
        """A connection's id: twelve hex digits."""
        at = index * DIGEST_BYTES
        return self._digests[at : at + DIGEST_BYTES].hex()

    def enter(self, resumed_before: bool | None, resumed_by: int | None, clouded: bool) -> None:
        """The past of what the connection that was added last offered, as ``LedgerEntry`` has it."""
        self._resumers.append(NOBODY if resumed_by is None else resumed_by)
        self._pasts.append(RESUMED_BEFORE.index(resumed_before) + CLOUD * clouded)

    def past(self, index: int) -> tuple[bool | None, int | None, bool]:
        """The same."""
        past, resumer = self._pasts[index], self._resumers[index]
        return RESUMED_BEFORE[past % CLOUD], resumer if resumer >= 0 else None, past >= CLOUD
