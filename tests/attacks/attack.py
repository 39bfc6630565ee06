"""What an attack is: a capture, and files that go with it, made of so many pieces, with an abort of Java's rule beside
them.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from tests.build import START_NS, Flow, Pool, capture, certificate, numbered

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
PCAP_HEADER = 24
T = TypeVar("T")
NOTHING: Mapping[str, bytes] = {}


class Beside(NamedTuple):
    """A file that goes with a capture, by an option."""

    option: str
    name: str
    data: bytes


class Given(NamedTuple):
    """What the program gets. ``unpacked``: bytes of the capture where it is compressed. ``journal``: one that is read
    instead of the capture, and written on by who watches it: its file, and by their endings those beside it.
    """

    data: bytes
    suffix: str = ".pcap"
    beside: tuple[Beside, ...] = ()
    unpacked: int = 0
    journal: Mapping[str, bytes] = NOTHING

    @property
    def size(self) -> int:
        """Bytes that are read."""
        if self.journal:
            return sum(map(len, self.journal.values()))
        return (self.unpacked or len(self.data)) + sum(len(one.data) for one in self.beside)


@dataclass(frozen=True, slots=True)
class Attack:
    """``make``: of so many pieces. ``few`` are enough for a test, ``many`` are measured. ``aborts``: of Java's rule
    that a capture of it holds, whatever else stands in it; -1 where there are more than the one that is certain.
    """

    kind: str
    name: str
    make: Callable[[int], Given]
    few: int
    many: int
    aborts: int = 1

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def with_an_abort(pool: Pool) -> Pool:
    """An abort of Java's rule behind what the pool holds."""
    pool.full(A, numbered(901))
    pool.resumed(numbered(901))
    pool.given_up(B, numbered(902), numbered(901))
    return pool


def abort_flows(ns: int = START_NS) -> list[Flow]:
    """The same alone, from a time on."""
    return with_an_abort(Pool(ns=ns, port=30_000)).flows


def frames_of_an_abort(ns: int = START_NS) -> bytes:
    """The same as frames of a pcap file, without its header."""
    return capture(abort_flows(ns))[PCAP_HEADER:]


def flows(pool: Pool) -> Given:
    """The pool's connections, and the abort behind them."""
    return Given(capture([*pool.flows, *abort_flows(pool.ns)]))


def packed(data: bytes, suffix: str) -> Given:
    """A capture, compressed by gzip."""
    return Given(gzip.compress(data, 1), f"{suffix}.gz", unpacked=len(data))


class Crowd(Pool):
    """A pool of whose connections as many are made as one likes: each from another port, and from another client where
    ports are used up.
    """

    def _begin(self, offered: bytes, ticket: bytes | None = None) -> Flow:
        return self._placed(super()._begin(offered, ticket))

    @staticmethod
    def _placed(flow: Flow) -> Flow:
        """The flow, of a client by its number."""
        number = flow.port - 40_000
        flow.port = 1_024 + number % 60_000
        flow.client = f"10.1.{number // 60_000}.1"
        return flow


def flow_of(pool: Pool, *said: tuple[bool, bytes]) -> Flow:
    """A connection in which is said what is given, by the client (True) or the server, and which is then closed."""
    pool.port += 1
    flow = Crowd._placed(Flow(pool.port, pool.ns, pool.client)).open()
    pool.flows.append(flow)
    for by_client, data in said:
        (flow.client_says if by_client else flow.server_says)(data)
    return pool._end(flow.close())


def numbered_by(template: bytes, number: int) -> bytes:
    """A template with the number in place of each ``nnnnnnnn``."""
    return template.replace(b"nnnnnnnn", b"%08d" % number)


def table(
    kind: str, variants: Mapping[str, T], make: Callable[[T, int], Given], few: int, many: int
) -> tuple[Attack, ...]:
    """Attacks of one kind and size: ``make`` is given a variant and how many."""
    return tuple(Attack(kind, name, partial(make, one), few, many) for name, one in variants.items())
