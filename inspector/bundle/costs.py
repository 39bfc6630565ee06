"""What a resumption that is declined costs: how long full and resumed handshakes take."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from inspector.facts import unpack_events
from inspector.tls.history import Letter
from inspector.tracking.observed import Observed

MOST = 20_000
"""So many connections are measured at most, evenly chosen."""


class Costs(NamedTuple):
    """Medians in milliseconds, None where there was no such handshake; of how many; how many offers were declined."""

    full_ms: float | None
    full: int
    resumed_ms: float | None
    resumed: int
    declined: int

    @property
    def lost_ms(self) -> float | None:
        """What declined offers cost together, where both medians are known."""
        if self.full_ms is None or self.resumed_ms is None:
            return None
        return max(self.full_ms - self.resumed_ms, 0.0) * self.declined


def costs(members: Sequence[Observed]) -> Costs:
    """How long the completed handshakes of a service took, from ClientHello to the last Finished, or the client's first
    data in TLS 1.3.
    """
    step = max(-(-len(members) // MOST), 1)
    full: list[int] = []
    resumed: list[int] = []
    for observed in members[::step]:
        if observed.outcome == "established" and observed.kind is not None:
            lasted = _lasted(observed)
            if lasted is not None:
                (full if observed.kind == "full" else resumed).append(lasted)
    return Costs(_ms(full), len(full), _ms(resumed), len(resumed), sum(s.declined for s in members))


def _ms(values: list[int]) -> float | None:
    return round(median(values) / 1e6, 1) if values else None


def _lasted(observed: Observed) -> int | None:
    client_leg = observed.client_leg
    events = unpack_events(client_leg.events)
    if client_leg.handshake.is_tls13:
        done = next((e.ns for e in events if e.letter == Letter.APPLICATION_DATA and e.from_client), None)
    else:
        firsts = [
            next((e.ns for e in events if e.letter == Letter.ENCRYPTED_HANDSHAKE and e.from_client is side), None)
            for side in (True, False)
        ]
        done = max((ns for ns in firsts if ns is not None), default=None) if None not in firsts else None
    return done - observed.hello_ns if done is not None and done >= observed.hello_ns else None
