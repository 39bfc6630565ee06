"""What a probe does, before any of it is done: whom it asks, how often, how fast, and as whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import NamedTuple

from inspector.probe.client_model import ClientModel
from inspector.probe.destination import Destination
from inspector.probe.pace import AT_ONCE, CONNECTIONS, MOST_SECONDS, PER_SECOND
from inspector.probe.starttls import StartTls

DIRECT_CONNECTIONS = 2
"""To each back end that is asked directly: one with nothing to offer, and one that offers what that gave."""


class ProbePlan(NamedTuple):
    """``through``: the addresses of the service, asked in turn; ``direct``: back ends. ``server_name``: as SNI, "" for
    none. ``models``: as which JVMs is asked, each for its share of the connections. ``connections``: through the
    service. ``seconds``: how long one may last.
    """

    server_name: str
    through: tuple[Destination, ...]
    models: tuple[ClientModel, ...]
    direct: tuple[Destination, ...] = ()
    connections: int = CONNECTIONS
    per_second: float = PER_SECOND
    at_once: int = AT_ONCE
    seconds: float = MOST_SECONDS
    sends_head: bool = False
    sends_proxy_header: bool = False
    starttls: StartTls | None = None

    def turns(self) -> Iterator[tuple[ClientModel, list[Destination]]]:
        """As which JVM is asked, one after the other, and whom each connection asks, in order: back ends first, by the
        first JVM alone, then the service.
        """
        through = cycle(self.through)
        direct = [destination for destination in self.direct for _ in range(DIRECT_CONNECTIONS)]
        share, rest = divmod(self.connections, len(self.models))
        for number, model in enumerate(self.models):
            yield model, [*direct, *islice(through, share + (number < rest))]
            direct = []

    @property
    def total(self) -> int:
        """Connections in all."""
        return self.connections + DIRECT_CONNECTIONS * len(self.direct)

    def cache_key(self, destination: Destination) -> tuple[str, int]:
        """By what Java finds a session again: the name that it connects to, whatever address answers."""
        return (destination.address, destination.port) if destination.is_direct else ("", destination.port)
