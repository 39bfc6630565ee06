"""Sessions by the number: ids and tickets that are issued, offered, accepted and declined, more than anybody keeps."""

from __future__ import annotations

from collections.abc import Callable

from tests.attacks.attack import A, Attack, B, Crowd, Given, flows, table
from tests.build import (
    CHANGE,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    Flow,
    certificates,
    extension,
    message,
    numbered,
    record,
    server_hello,
    vector,
)

Deed = Callable[[Crowd, int], object]


def full(
    pool: Crowd, session: bytes, *, offered: bytes = b"", ticket: bytes | None = None, issued: bytes | None = None,
    der: bytes = A,
) -> Flow:  # fmt: skip
    """A full handshake. ``ticket``: that the client offers. ``issued``: a ticket by the server."""
    flow = pool._begin(offered, ticket)
    more = [extension(35)] if issued is not None else []
    hello = server_hello(numbered(pool.port + (1 << 20)), session, more=more)
    flow.server_says(record(22, hello + certificates(der) + message(12, b"s" * 70) + DONE))
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED)
    new = [record(22, message(4, b"\0\0\x0e\x10" + vector(2, issued)))] if issued is not None else []
    flow.server_says(*new, CHANGE, FINISHED)
    return pool._end(flow.close())


def abbreviated(pool: Crowd, session: bytes, ticket: bytes | None = None) -> Flow:
    """A handshake that resumes: the server answers with the id, whatever ticket was offered."""
    flow = pool._begin(session, ticket)
    hello = server_hello(numbered(pool.port + (1 << 20)), session)
    flow.server_says(record(22, hello), CHANGE, FINISHED).client_says(CHANGE, FINISHED)
    return pool._end(flow.close())


def psk_offered(pool: Crowd, identity: bytes, *, accepted: bool = False) -> Flow:
    """A connection of TLS 1.3."""
    flow = pool.tls13(psk=identity, accepted=accepted)
    return pool._placed(flow)


def ident(number: int) -> bytes:
    return numbered(10_000 + number)


def ticket_of(number: int, size: int = 192) -> bytes:
    return b"t%07d" % number + b"\x5a" * (size - 8)


def both(*deeds: Deed) -> Deed:
    def do(pool: Crowd, number: int) -> None:
        for deed in deeds:
            deed(pool, number)

    return do


DEEDS: dict[str, Deed] = {
    "ids, issued": lambda pool, n: full(pool, ident(n)),
    "ids, issued and resumed": both(lambda pool, n: full(pool, ident(n)), lambda pool, n: abbreviated(pool, ident(n))),
    "ids, issued and declined": both(
        lambda pool, n: full(pool, ident(2 * n)),
        lambda pool, n: full(pool, ident(2 * n + 1), offered=ident(2 * n), der=B),
    ),
    "ids that nobody issued, declined": lambda pool, n: full(pool, ident(2 * n), offered=ident(2 * n + 1)),
    "ids that nobody issued, resumed": lambda pool, n: abbreviated(pool, ident(n)),
    "one id, issued by two": lambda pool, n: full(pool, ident(1), der=(A, B)[n % 2]),
    "one id, resumed": lambda pool, n: abbreviated(pool, ident(1)),
    "one id, declined": lambda pool, n: full(pool, ident(n + 2), offered=ident(1)),
    "ids of a byte": lambda pool, n: full(pool, bytes((n & 255,)), offered=bytes((n >> 8 & 255,))),
    "no ids": lambda pool, n: full(pool, b"", offered=ident(n)),
    "tickets, issued": lambda pool, n: full(pool, b"", issued=ticket_of(n)),
    "tickets, issued and declined": lambda pool, n: full(
        pool, b"", offered=ident(n), ticket=ticket_of(n - 1), issued=ticket_of(n), der=(A, B)[n % 2]
    ),
    "tickets, issued and resumed": both(
        lambda pool, n: full(pool, b"", issued=ticket_of(n)),
        lambda pool, n: abbreviated(pool, ident(n), ticket_of(n)),
    ),
    "tickets that nobody issued": lambda pool, n: abbreviated(pool, ident(n), ticket_of(n)),
    "tickets of 10 KB": lambda pool, n: full(pool, b"", ticket=ticket_of(n - 1, 10_000), issued=ticket_of(n, 10_000)),
    "tickets of no bytes": lambda pool, n: full(pool, b"", ticket=b"", issued=b""),
    "pre-shared keys, declined": lambda pool, n: psk_offered(pool, ticket_of(n)),
    "pre-shared keys, accepted": lambda pool, n: psk_offered(pool, ticket_of(n), accepted=True),
    "pre-shared keys of 10 KB": lambda pool, n: psk_offered(pool, ticket_of(n, 10_000)),
}


def made(deed: Deed, count: int) -> Given:
    pool = Crowd()
    for number in range(count):
        deed(pool, number)
    return flows(pool)


ATTACKS: tuple[Attack, ...] = table("sessions", DEEDS, made, 6, 20_000)
