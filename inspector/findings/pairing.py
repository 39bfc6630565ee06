"""Which of two lists belong together, where only some could: what is certain, and what cannot be told apart. Pure
functions.

A pair is certain where it stands in every matching that pairs as many as possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

EXACT = 24
"""Groups of more entries than this are reported whole: their pairs are not told apart."""


class Partners(NamedTuple):
    """What an entry may belong to. ``is_certain``: it belongs to the only one there is, and nothing else
    claims that.
    """

    candidates: tuple[int, ...]
    is_certain: bool


def paired(possible: Mapping[int, Sequence[int]]) -> dict[int, Partners]:
    """For each entry those that it may belong to. ``possible``: by entry, what it could belong to at all."""
    partners: dict[int, Partners] = {}
    for group in _groups(possible):
        if len(group) == 1:
            partners[group[0]] = Partners(tuple(sorted(possible[group[0]])), len(possible[group[0]]) == 1)
        elif len(group) > EXACT:
            partners.update({entry: Partners(tuple(sorted(possible[entry])), False) for entry in group})
        else:
            partners.update(_by_line({entry: possible[entry] for entry in group}))
    return partners


def _groups(possible: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Entries that share, directly or not, something that they could belong to."""
    parent: dict[int, int] = {}

    def root(entry: int) -> int:
        while parent[entry] != entry:
            parent[entry] = parent[parent[entry]]
            entry = parent[entry]
        return entry

    owner: dict[int, int] = {}
    for entry, targets in possible.items():
        if not targets:
            continue
        parent[entry] = entry
        for target in targets:
            if target in owner:
                parent[root(entry)] = root(owner[target])
            else:
                owner[target] = entry
    groups: dict[int, list[int]] = {}
    for entry in parent:
        groups.setdefault(root(entry), []).append(entry)
    return list(groups.values())


def _by_line(possible: dict[int, Sequence[int]]) -> dict[int, Partners]:
    """One group: each pair is tried in a matching that is as large as the largest."""
    most = _largest(possible)
    partners: dict[int, Partners] = {}
    for entry, targets in possible.items():
        others = {other: where for other, where in possible.items() if other != entry}
        fitting = [
            target
            for target in targets
            if _largest({other: [t for t in where if t != target] for other, where in others.items()}) + 1 == most
        ]
        partners[entry] = Partners(tuple(sorted(fitting)), len(fitting) == 1 and _largest(others) < most)
    return partners


def _largest(possible: Mapping[int, Sequence[int]]) -> int:
    """How many can be paired at most, each once (augmenting paths)."""
    holder: dict[int, int] = {}

    def finds_partner(entry: int, visited: set[int]) -> bool:
        for target in possible[entry]:
            if target in visited:
                continue
            visited.add(target)
            if target not in holder or finds_partner(holder[target], visited):
                holder[target] = entry
                return True
        return False

    return sum(finds_partner(entry, set()) for entry in possible)
