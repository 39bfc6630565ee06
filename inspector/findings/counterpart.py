"""The connection that a failed one is held against: who asked the same, and was answered well by another member."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from inspector.document import Evidence
from inspector.findings.case import frames
from inspector.findings.compared import ComparedPool
from inspector.pool.alike import asked_of
from inspector.tracking.observed import Observed

WORKS = "works"
"""The role of its evidence."""

MOST_SEARCHED = 300
"""Connections that are looked at before a failure, and as many behind it."""


def counterpart(pool: ComparedPool, failed: Observed) -> Observed | None:
    """A connection with an equal ClientHello that was established, at another back end where that is known: the nearest
    one of the same client, else the first one of anybody; None where there is none, or the hello was not read whole.
    """
    if failed.offer is None or failed.offer.partial:
        return None
    question = asked_of(failed.offer)

    def fits(observed: Observed) -> bool:
        return (
            observed.outcome == "established"
            and observed.kind == "full"
            and (failed.backend < 0 or observed.backend != failed.backend)
            and observed.offer is not None
            and asked_of(observed.offer) == question
        )

    for observed in _nearest(pool, failed):
        if observed.client == failed.client and fits(observed):
            return observed
    return next((group.sample for group in pool.groups if fits(group.sample)), None)


def _nearest(pool: ComparedPool, failed: Observed) -> Iterator[Observed]:
    """The connections around one, the nearest in their order first."""
    members = pool.members
    index = bisect_left(members, failed.index, key=lambda observed: observed.index)
    for distance in range(1, MOST_SEARCHED):
        if index >= distance:
            yield members[index - distance]
        if index + distance < len(members):
            yield members[index + distance]


def works_elsewhere(pool: ComparedPool, failed: Observed) -> Iterator[Evidence]:
    """That it works elsewhere, where it does."""
    observed = counterpart(pool, failed)
    if observed is None:
        return
    handshake = observed.client_leg.handshake
    who = "the same client" if observed.client == failed.client else "another client"
    where = f" at back end {pool.case.label(observed)}" if observed.backend >= 0 else ""
    yield Evidence(
        WORKS,
        observed.id,
        frames(handshake.hello_frame, handshake.answer_frame, handshake.certificate_frame),
        f"{who}, with an equal ClientHello, completed its handshake{where}",
    )
