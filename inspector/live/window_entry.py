"""A connection as the window remembers it: its packed facts, and what it is looked up by."""

from __future__ import annotations

from msgspec import Struct

from inspector.extract.journal import JournalRow
from inspector.facts import ConnectionFacts, Facts
from inspector.tracking.closing import closed_first, gave_up
from inspector.tracking.kinds import kind_of
from inspector.tracking.services import server_name

ServiceKey = tuple[bytes | str, int]
"""A server name, or an address where none was asked for, and a port."""

ENTRY_BYTES = 1_200
"""What a connection takes beside its facts: its name, its client, its service, what it is looked up by."""

KEY_BYTES = 300
"""The same for each session, beside its bytes."""

DIGEST_BYTES = 160
"""Of a certificate or a list of authorities: once in the window, once more where all that it holds is judged."""


class WindowEntry(Struct, gc=False):
    """A connection with what it is looked up by. ``issued``: ids and tickets that it was issued, without
    those by which it resumed; ``offered``: those that it offered.
    """

    packed: bytes
    service: ServiceKey
    client: bytes
    issued: tuple[bytes, ...]
    offered: tuple[bytes, ...]
    is_resumed: bool
    leaf: bytes | None
    chains: tuple[bytes, ...]
    is_final: bool
    hello_ns: int
    answer_ns: int
    gave_up: bool
    random: bytes
    authorities: tuple[bytes, ...]

    @property
    def memory(self) -> int:
        """Bytes that it takes, about, with what leads to it."""
        keys = (*self.issued, *self.offered)
        digests = len(self.chains) + len(self.authorities)
        return ENTRY_BYTES + len(self.packed) + KEY_BYTES * len(keys) + sum(map(len, keys)) + DIGEST_BYTES * digests


def entry_of(connection: ConnectionFacts, facts: Facts, is_final: bool, packed: bytes = b"") -> WindowEntry:
    """What the window keeps of a connection. Its hello shapes go into ``facts``. ``packed``: the same, where it was
    packed before.
    """
    handshake = connection.handshake
    kind = kind_of(handshake)[0]
    is_resumed = kind in ("session_id", "ticket", "resumed")
    tls13 = handshake.is_tls13
    issued = handshake.issued_tickets or ((handshake.issued_ticket,) if handshake.issued_ticket else ())
    if kind == "full" and not tls13 and handshake.answered_id:
        issued = (handshake.answered_id, *issued)
    for inner in connection.renegotiations:
        issued += tuple(key for key in (inner.answered_id, inner.issued_ticket) if key)
    if tls13:  # identities lead to whoever issued them where tickets were read
        offered = handshake.offered_psks if connection.secrets is not None else ()
        is_resumed = kind == "psk" and connection.secrets is not None
    else:
        offered = tuple(
            k
            for k in (
                handshake.offered_ticket,
                handshake.offered_id or (handshake.answered_id if kind == "resumed" else b""),
            )
            if k
        )
    if is_resumed:  # a server may give again the very ticket that it took: the session comes from where it came from
        issued = tuple(key for key in issued if key not in offered)
    has_given_up = gave_up(connection, closed_first(connection)[0])
    service = (server_name(handshake.offer) or connection.server.address, connection.server.port)
    return WindowEntry(
        packed=packed or facts.pack(connection),
        service=service,
        client=connection.client.address,
        issued=issued,
        offered=offered,
        is_resumed=is_resumed,
        leaf=handshake.chain[0] if handshake.chain else None,
        chains=tuple(connection.certificates()),
        is_final=is_final,
        hello_ns=handshake.hello_ns,
        answer_ns=handshake.answer_ns,
        gave_up=has_given_up,
        random=handshake.client_random,
        authorities=tuple([h.authorities for h in connection.handshakes if h.authorities]),
    )


def row_of(name: str, entry: WindowEntry, connection: ConnectionFacts) -> JournalRow:
    """What the journal keeps of a connection."""
    handshake = connection.handshake
    return JournalRow(
        id=name,
        hello_ns=entry.hello_ns or connection.first_ns,
        answer_ns=entry.answer_ns,
        is_final=entry.is_final,
        packed=entry.packed,
        issued=entry.issued,
        resumed=entry.offered if entry.is_resumed else (),
        offer=handshake.offer,
        answer=handshake.answer,
        certificates=entry.chains,
        authorities=entry.authorities,
    )
