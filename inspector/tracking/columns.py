"""The numbers of connections, a column each: an integer by itself takes six times its eight bytes, and there may be
millions.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.facts import ConnectionFacts, Facts
from inspector.facts.mapped import IntegerColumn, Typecode, column
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.sessions import LedgerEntry
from inspector.tracking.shape import ConnectionShape

DIGEST_BYTES = 6

NOBODY = -1
RESUMED_BEFORE = (False, None, True)
CLOUD = 4
"""Added to an index of these."""


class ConnectionColumns:
    """By a connection's index. Times in nanoseconds, as ``Observed`` tells them. A *number* counts all legs in
    the order of their ClientHellos, an index those nearest to the client. ``service``, ``client`` and ``backend`` are
    indices too, ``offered`` is the number of the session that it offered, ``issuer`` the connection that was issued
    that one: each is NOBODY where there is none. ``health_check``, ``declined``: 1 where it is.
    ``second_leg``: the number of the leg behind the nearest, NOBODY where there is none. ``gap_bytes``: that are
    missing in the midst of what was sent, on all legs. ``shape`` is a number among ``shapes``, ``address``, the
    client's, one among ``addresses``.
    """

    def __init__(
        self,
        facts: Facts,
        in_turn: Sequence[bytes],
        sessions: Sequence[LedgerSession] = (),
        *,
        is_mapped: bool = False,
    ) -> None:
        """``in_turn``: the packed legs by number. ``sessions``: those of the ledger, by number. ``is_mapped``: they are
        out of core.
        """
        self._facts = facts
        self._in_turn = in_turn
        self.sessions = sessions
        self._is_mapped = is_mapped
        self._count = 0
        self._numbers = self.column("I")
        self.shape = self.column("I")
        self.shapes: list[ConnectionShape] = []
        self.address = self.column("I")
        self.addresses: list[bytes] = []
        self.first_ns = self.column("q")
        self.hello_ns = self.column("q")
        self.quiet_ns = self.column("q")
        self._digests = self.column("B", DIGEST_BYTES)
        self.second_leg = self.column("i")
        self.gap_bytes = self.column("q")
        self.offered = self.column("i")
        self.issuer = self.column("i")
        self._resumers = self.column("i")
        self._pasts = self.column("B")
        self.service = self.column("i")
        self.client = self.column("i")
        self.backend = self.column("i")
        self.health_check = self.column("B")
        self.declined = self.column("B")
        self.renegotiating: set[int] = set()
        """The connections with further handshakes inside."""

    def __len__(self) -> int:
        return self._count

    def column(self, typecode: Typecode, width: int = 1) -> IntegerColumn:
        """One more, with ``width`` zeros for each connection."""
        return column(typecode, width * len(self._in_turn), is_mapped=self._is_mapped)

    def add(self, number: int, digest: bytes, first_ns: int, hello_ns: int, quiet_ns: int) -> None:
        """The next connection. ``number``: of its leg nearest to the client; ``digest``: as ``connection_digest``
        says.
        """
        index = self._count
        self._count += 1
        self._numbers[index] = number
        self.first_ns[index] = first_ns
        self.hello_ns[index] = hello_ns
        self.quiet_ns[index] = quiet_ns
        self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES] = digest
        self.second_leg[index] = self.offered[index] = self.issuer[index] = NOBODY
        self.service[index] = self.client[index] = self.backend[index] = NOBODY

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
        return self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES].hex()

    def index(self, name: str) -> int:
        """The connection of an id. Raises KeyError where there is none."""
        try:
            wanted = bytes.fromhex(name)
        except ValueError:
            raise KeyError(name) from None
        digests = self._digests[: self._count * DIGEST_BYTES].tobytes()
        at = digests.find(wanted)
        while at % DIGEST_BYTES and at >= 0:  # the end of one and the beginning of the next
            at = digests.find(wanted, at + 1)
        if at < 0 or len(wanted) != DIGEST_BYTES:
            raise KeyError(name)
        return at // DIGEST_BYTES

    def by_id(self) -> dict[str, int]:
        """All indices, for whoever looks up many."""
        return {self.id(index): index for index in range(self._count)}

    def enter(self, entry: LedgerEntry) -> None:
        """What the ledger knew of what the connection that was added last offered."""
        index, session = self._count - 1, entry.session
        self.offered[index] = entry.number
        if session is not None and session.issuer is not None:
            self.issuer[index] = session.issuer
        self._resumers[index] = NOBODY if entry.resumed_by is None else entry.resumed_by
        self._pasts[index] = RESUMED_BEFORE.index(entry.resumed_before) + CLOUD * entry.clouded

    def resumed_before(self, index: int) -> bool | None:
        """As ``LedgerEntry`` has it."""
        return RESUMED_BEFORE[self._pasts[index] % CLOUD]

    def entry(self, index: int) -> LedgerEntry:
        """What the ledger knew of it then."""
        past, resumer, number = self._pasts[index], self._resumers[index], self.offered[index]
        return LedgerEntry(
            self.sessions[number] if number >= 0 else None,
            RESUMED_BEFORE[past % CLOUD],
            resumer if resumer >= 0 else None,
            past >= CLOUD,
            number,
        )
