"""The numbers of connections, a column each: an integer by itself takes six times its eight bytes, and there may be
millions.
"""

from __future__ import annotations

from array import array

DIGEST_BYTES = 6

NOBODY = -1
RESUMED_BEFORE = (False, None, True)
CLOUD = 4
"""Added to an index of these."""


class ConnectionColumns:
    """By a connection's index. Times in nanoseconds, as ``Observed`` tells them."""

    __slots__ = ("_digests", "_pasts", "_resumers", "first_ns", "hello_ns", "quiet_ns")

    def __init__(self) -> None:
        self.first_ns = array("q")
        self.hello_ns = array("q")
        self.quiet_ns = array("q")
        self._digests = bytearray()
        self._resumers = array("i")
        self._pasts = bytearray()

    def add(self, digest: bytes, first_ns: int, hello_ns: int, quiet_ns: int) -> None:
        """The next connection. ``digest``: as ``connection_digest`` says."""
        self._digests += digest
        self.first_ns.append(first_ns)
        self.hello_ns.append(hello_ns)
        self.quiet_ns.append(quiet_ns)

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
