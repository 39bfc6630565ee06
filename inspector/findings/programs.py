"""Who is hit: of each client of a service how many connections aborted, and whether one address is two programs that
behave differently.

A Java program either looks at the certificate change or does not: endpoint identification and the JVM property are
settings. Where one address does both, and no session was ever shared between those connections, there are two programs,
or two settings in one. Always an inference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from inspector.findings.case import Case
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection


class Hit(NamedTuple):
    """``aborted`` of ``total`` connections of one client to one service; health checks are left out."""

    client: int
    aborted: int
    total: int


class Programs(NamedTuple):
    """One client that behaves in two ways. ``aborted``: connections by index. ``basis``: how they are told apart from
    those that went on.
    """

    aborted: tuple[int, ...]
    basis: tuple[str, ...]


def hits(members: ObservedSelection, aborted: Iterable[Observed]) -> dict[int, Hit]:
    """By client, of those that were hit. ``members``: connections of a service without health checks; ``aborted``:
    those of them that ended because of the change.
    """
    counts: dict[int, int] = {}
    for observed in aborted:
        counts[observed.client] = counts.get(observed.client, 0) + 1
    totals = Counter(map(members.columns.client.__getitem__, members.indices))
    return {client: Hit(client, count, totals[client]) for client, count in counts.items()}


def two_programs(case: Case, aborted: Iterable[Observed]) -> dict[int, Programs]:
    """By client, those at which Java aborted because of the change and went on in spite of it, in sessions that never
    met.
    """
    hit: dict[int, list[Observed]] = {}
    for observed in aborted:
        hit.setdefault(observed.client, []).append(observed)
    patient: dict[int, list[Observed]] = {}
    for observed in case.going_on_among(case.everybody.indices):
        if observed.client in hit:
            patient.setdefault(observed.client, []).append(observed)
    programs: dict[int, Programs] = {}
    for client, went_on in patient.items():
        if {case.caches[s.index] for s in went_on} & {case.caches[s.index] for s in hit[client]}:
            continue
        ours, theirs = ({case.program_of(s) for s in group} for group in (hit[client], went_on))
        basis = ("no session is shared", *(("their cipher suites differ",) if not ours & theirs else ()))
        programs[client] = Programs(tuple(s.index for s in hit[client]), basis)
    return programs
