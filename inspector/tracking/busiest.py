"""The services that are judged where there are more than can be: those with the most connections."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from inspector.errors.bounds import ServicesNotJudged
from inspector.facts import Facts
from inspector.facts.spool import selected
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup


def busiest(facts: Facts, observed: Sequence[Observed], services: Sequence[ServiceGroup], most: int) -> Facts:
    """The facts of the ``most`` services; the others' connections are named as a bound that was reached. Whoever
    sends hellos with ever new names does not push out a service that is used more than each of them; of services with
    as many connections those that came first stay.
    """
    kept = heapq.nsmallest(most, services, key=lambda service: (-len(service.connections), service.index))
    indexes = {service.index for service in kept}
    others = (member for member in observed if member.service not in indexes)
    left_out = _hashed(packed for member in others for packed in (member.packed, *member.packed_legs))
    connections = sum(len(service.connections) for service in services if service.index not in indexes)
    kept_numbers = np.flatnonzero(~np.isin(_hashed(facts.connections), left_out)).tolist()
    reached = ServicesNotJudged(len(services) - len(kept), connections)
    return msgspec.structs.replace(
        facts,
        connections=selected(facts.connections, kept_numbers),
        bounded=[*facts.bounded, reached],
    )


def _hashed(connections: Iterable[bytes]) -> np.ndarray:
    """Eight bytes of each (int64), for there may be millions: by them it is as good as known."""
    return np.fromiter(map(hash, connections), np.int64)
