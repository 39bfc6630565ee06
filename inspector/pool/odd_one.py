"""Which member of a pool is the odd one in an attribute, and since when.

A *holder* is whoever shows a value to equal questions: a back end that is known, or nobody in particular: the
connections whose back end is not known, of which it is known only that some server answered so. A back end that shows
one value up to a moment and another from then on holds the later one, since that moment. One that shows both in turn is
several servers behind one certificate, so that its connections count as those of nobody in particular.

What is right in itself, as a certificate that is valid, is the common value wherever anybody has it. Else the majority
goes by holders where all are known back ends, by connections where they are not, or where holders are
level. Without a clear one the pool is mixed, and nobody is odd.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from inspector.pool.alike import Alike
from inspector.pool.attributes import WITHIN_VERSION, Extractor, PoolAttribute, Value

CLEAR = 1.5
"""So many times as many connections are a clear majority."""

FEWEST_NAMELESS = 3
"""Connections without a known back end that show a value before it counts."""


RIGHT: dict[PoolAttribute, Value] = {PoolAttribute.VALIDITY: True, PoolAttribute.NAMES: True}
"""Values that make nobody odd, however few have them."""


class Holder(NamedTuple):
    """Who shows a value. ``backend``: -1 for nobody in particular. ``connections``: that showed it.
    ``since_ns``: the first of them; ``has_changed``: it showed another value before.
    """

    backend: int
    value: Value
    connections: int
    since_ns: int
    has_changed: bool = False


class PoolDifference(NamedTuple):
    """Holders of different values. ``odd``: those whose value is not the majority's, the most connections first; empty
    where the pool is mixed. ``common``: the majority's value, None where there is none.
    """

    attribute: PoolAttribute
    holders: tuple[Holder, ...]
    odd: tuple[Holder, ...]
    common: Value | None

    @property
    def odd_one(self) -> Holder | None:
        """The only odd one, where it is one."""
        return self.odd[0] if len(self.odd) == 1 else None


def difference(groups: Iterable[Alike], attribute: PoolAttribute, extract: Extractor) -> PoolDifference | None:
    """In what the members of a pool differ to equal questions; None where they do not, or nothing shows it. Of several
    questions the one counts that most connections asked.
    """
    by_question: dict[Hashable, list[tuple[Alike, Value]]] = {}
    for group in groups:
        if group.question is None or group.sample.kind != "full":
            continue
        value = extract(group.sample)
        if value is None:
            continue
        question = group.question
        if attribute in WITHIN_VERSION and group.sample.answer is not None:
            question = (question, group.sample.answer.version)
        by_question.setdefault(question, []).append((group, value))
    different = [one for shown in by_question.values() if (one := _compared(attribute, shown)) is not None]
    return max(different, key=lambda one: sum(holder.connections for holder in one.holders), default=None)


def _compared(attribute: PoolAttribute, shown: Sequence[tuple[Alike, Value]]) -> PoolDifference | None:
    if all(value == shown[0][1] for _, value in shown):
        return None
    holders = _holders(shown)
    if len({holder.value for holder in holders}) < 2:
        return None
    right = RIGHT.get(attribute)
    common = right if any(holder.value == right for holder in holders) else _majority(holders)
    odd = sorted((h for h in holders if h.value != common), key=lambda h: -h.connections) if common is not None else []
    return PoolDifference(attribute, tuple(holders), tuple(odd), common)


def _holders(shown: Sequence[tuple[Alike, Value]]) -> list[Holder]:
    spans: dict[int, dict[Value, tuple[int, int, int]]] = {}
    """Of each back end, and each value: the first and last time, and how often."""
    for group, value in shown:
        of_member = spans.setdefault(group.backend, {})
        first, last, count = of_member.get(value, (group.first_ns, group.last_ns, 0))
        of_member[value] = (min(first, group.first_ns), max(last, group.last_ns), count + group.count)
    holders: list[Holder] = []
    nameless: dict[Value, Holder] = {}
    for backend, values in spans.items():
        in_turn = sorted(values.items(), key=lambda item: item[1][0])
        is_settled = all(one[1][1] < other[1][0] for one, other in pairwise(in_turn))
        if backend >= 0 and is_settled:
            value, (first, _, count) = in_turn[-1]
            holders.append(Holder(backend, value, count, first, len(in_turn) > 1))
            continue
        for value, (first, _, count) in in_turn:
            known = nameless.get(value)
            nameless[value] = Holder(
                -1, value, count + (known.connections if known else 0), min(first, known.since_ns) if known else first
            )
    return holders + [holder for holder in nameless.values() if holder.connections >= FEWEST_NAMELESS]


def _majority(holders: Sequence[Holder]) -> Value | None:
    """The value of most; None where there is no clear one."""
    members: Counter[Value] = Counter(holder.value for holder in holders)
    (most, number), (_, next_number) = members.most_common(2)
    if all(holder.backend >= 0 for holder in holders) and number > next_number:
        return most if 2 * number > len(holders) else None
    connections: Counter[Value] = Counter()
    for holder in holders:
        connections[holder.value] += holder.connections
    (most, count), (_, next_count) = connections.most_common(2)
    return most if count >= CLEAR * next_count and 2 * count > connections.total() else None
