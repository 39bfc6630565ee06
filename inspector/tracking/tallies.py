"""Connections counted by what they have in common. A pool of millions has hundreds of such tallies, and most that is
asked of a pool is a sum of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.shape import ConnectionShape


class Tally(Struct, gc=False, kw_only=True):
    """Connections of one shape to one back end, by index (-1 where it is not known). ``declined``, ``health_check``: as
    ``Observed`` has them. ``first``, ``last``: of them, by index.
    """

    shape: ConnectionShape
    backend: int
    declined: bool
    health_check: bool
    count: int
    first: int
    last: int


def tallied(columns: ConnectionColumns, indices: Iterable[int]) -> list[Tally]:
    """Of some connections, each tally where its first one comes."""
    tallies: dict[tuple[int, int, int, int], Tally] = {}
    shapes, backends, declined, checks = columns.shape, columns.backend, columns.declined, columns.health_check
    for index in indices:
        key = shapes[index], backends[index], declined[index], checks[index]
        tally = tallies.get(key)
        if tally is None:
            shape, backend, is_declined, is_check = key
            tallies[key] = Tally(
                shape=columns.shapes[shape],
                backend=backend,
                declined=bool(is_declined),
                health_check=bool(is_check),
                count=1,
                first=index,
                last=index,
            )
        else:
            tally.count += 1
            tally.last = index
    return list(tallies.values())
