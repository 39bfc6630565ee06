"""Findings by the thousand: services, clients and back ends of which each has something to be told of."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.attacks.attack import A, Attack, B, Crowd, Given, flows, numbered_by, table
from tests.attacks.certificates import template
from tests.attacks.sessions import abbreviated, full
from tests.build import DATA, Flow, extension, numbered, record, server_hello

Deed = Callable[[Crowd, int], None]


def abort(pool: Crowd, number: int, first: bytes = A, second: bytes = B, *, alert: int | None = 42) -> list[Flow]:
    """An abort of Java's rule, of a session of the number."""
    ident = numbered(1_000_000 + 2 * number)
    flows = [full(pool, ident, der=first), abbreviated(pool, ident)]
    flows.append(pool.given_up(second, numbered(1_000_001 + 2 * number), ident, alert=alert))
    return flows


def elsewhere(flow: Flow, number: int) -> None:
    """The flow goes to an address of its own."""
    flow.server = f"10.3.{number // 250}.{number % 250}"


def at_address(pool: Crowd, number: int) -> None:
    pool.name = f"service-{number}.example.com"
    for flow in abort(pool, number):
        elsewhere(flow, number)


def at_address_of_one_name(pool: Crowd, number: int) -> None:
    pool.name = "service.example.com"
    for flow in abort(pool, number):
        elsewhere(flow, number)


def at_port(pool: Crowd, number: int) -> None:
    for flow in abort(pool, number):
        flow.server_port = 10_000 + number


def at_name(pool: Crowd, number: int) -> None:
    pool.name = f"service-{number}.example.com"
    abort(pool, number)


def of_client(pool: Crowd, number: int) -> None:
    for flow in abort(pool, number):
        flow.client = f"10.4.{number // 250}.{number % 250}"


def of_back_ends(pool: Crowd, number: int) -> None:
    one, other = (numbered_by(TEMPLATE, 2 * number + place) for place in (0, 1))
    abort(pool, number, one, other)


def at_address_of_back_ends(pool: Crowd, number: int) -> None:
    pool.name = f"service-{number}.example.com"
    one, other = (numbered_by(TEMPLATE, 2 * number + place) for place in (0, 1))
    for flow in abort(pool, number, one, other):
        elsewhere(flow, number)


def again(pool: Crowd, number: int) -> None:
    abort(pool, number)


def silent(pool: Crowd, number: int) -> None:
    abort(pool, number, alert=None)


def by_alerts(pool: Crowd, number: int) -> None:
    abort(pool, number, alert=number % 120)


def server_alerts(pool: Crowd, number: int) -> None:
    pool.name = f"service-{number}.example.com"
    elsewhere(pool.server_alert(number % 120), number)


def client_alerts(pool: Crowd, number: int) -> None:
    pool.name = f"service-{number}.example.com"
    elsewhere(pool.given_up(A, numbered(3_000_000 + number), alert=number % 120), number)


def drift(pool: Crowd, number: int) -> None:
    """Back ends that agree in nothing, at one service."""
    flow = pool._begin(b"")
    odd = server_hello(
        numbered(pool.port + (1 << 20)),
        suite=struct.pack(">H", 0xC02B + number % 4),
        more=[extension(0x4000 + number % 999)],
    )
    flow.server_says(record(22, odd)).client_says(DATA)
    pool._end(flow.close())
    full(pool, numbered(3_000_000 + number), der=numbered_by(TEMPLATE, number))


def plain(pool: Crowd, number: int) -> None:
    """What is no TLS at all, at as many services."""
    pool.port += 1
    flow = pool._placed(Flow(pool.port, pool.ns)).open()
    elsewhere(flow, number)
    pool.flows.append(flow)
    pool._end(flow.client_says(b"GET / HTTP/1.1\r\n\r\n").server_says(b"HTTP/1.1 200 OK\r\n\r\n").close())


def one_session(pool: Crowd, number: int) -> None:
    """One session that is given up again and again."""
    if number == 0:
        full(pool, numbered(5), der=A)
        abbreviated(pool, numbered(5))
    pool.given_up(B, numbered(1_000_001 + number), numbered(5))


TEMPLATE = template()
DEEDS: dict[str, Deed] = {
    "aborts, each at another address": at_address,
    "aborts, each at another address of one name": at_address_of_one_name,
    "aborts, each at another port": at_port,
    "aborts, each at another name": at_name,
    "aborts, each of another client": of_client,
    "aborts, each between other back ends": of_back_ends,
    "aborts, each at another address between other back ends": at_address_of_back_ends,
    "aborts at one service": again,
    "aborts without an alert": silent,
    "aborts by all alerts": by_alerts,
    "aborts of one session": one_session,
}
FAILURES: dict[str, Deed] = {
    "servers' alerts at as many services": server_alerts,
    "clients' alerts at as many services": client_alerts,
    "back ends that agree in nothing": drift,
    "services without TLS": plain,
}


def done(deed: Deed, count: int) -> Given:
    """So many, and an abort behind them."""
    pool = Crowd()
    for number in range(count):
        deed(pool, number)
    return flows(pool)


ATTACKS = (
    *(Attack("findings", one.name, one.make, one.few, one.many, -1) for one in table("", DEEDS, done, 6, 3_000)),
    *table("findings", FAILURES, done, 6, 10_000),
)
