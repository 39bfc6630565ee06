"""What failures have in common that other connections have not, where no certificate says who answered: the version, a
HelloRetryRequest, the suite, and in TLS 1.3 the encrypted flight of the server by its records and their total.

A flight is as long as what its server has to say: certificate, chain, client CAs. So connections with a telltale came
to one member of the pool, or to several that are alike: it can be counted, and never named. Only full handshakes of
equal ClientHellos are held against each other, for with a session a flight is short. What varies from one handshake to
the next is the signature alone: in ECDSA it is a pair of numbers that lose their leading zeros, so totals that lie so
close together are one shape. Who rejects a certificate as soon as he has it cuts the flight short: it then has fewer
records, and its beginning may be that of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Literal, NamedTuple, get_args

from inspector.pool.alike import Question, asked_of
from inspector.pool.rates import is_more_often, share_by_chance
from inspector.tracking.observed import Observed

SIGNATURE_VARIES = 3
"""Bytes by which a signature is rarely longer or shorter than the next one."""

Aspect = Literal["version", "retry", "cipher", "flight"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
"""The plainest first: of equals that one counts."""


class FlightShape(NamedTuple):
    """Encrypted flights of so many records that cannot be told apart. ``shortest``, ``longest``: bytes of all fragments
    together.
    """

    records: int
    shortest: int
    longest: int


class Telltale(NamedTuple):
    """What some failures have in common. ``value``: a version, a suite, whether there was a HelloRetryRequest, or the
    shape of the flight. ``others``: values of those that asked the same. ``reached``: connections that have it, by
    index.
    """

    aspect: Aspect
    value: int | FlightShape
    others: tuple[int | FlightShape, ...]
    reached: frozenset[int]


def telltales(members: Iterable[Observed], failed: Set[int]) -> list[Telltale]:
    """Of each question the one that goes with failures most surely, more often than by chance. ``failed``: by index."""
    by_question: dict[Question, list[Observed]] = {}
    for observed in members:
        offer = observed.offer
        if offer is not None and not offer.partial and observed.kind == "full":
            by_question.setdefault(asked_of(offer), []).append(observed)
    affected = [same for same in by_question.values() if any(observed.index in failed for observed in same)]
    return [telltale for same in affected if (telltale := _telltale(same, failed)) is not None]


def _telltale(same: Sequence[Observed], failed: Set[int]) -> Telltale | None:
    """Of those that asked one question."""
    shown = {aspect: _values(aspect, same) for aspect in ASPECTS}
    looks = sum(len(set(values.values())) for values in shown.values())
    all_failed = sum(observed.index in failed for observed in same)
    surest: tuple[float, Telltale] | None = None
    for aspect, values in shown.items():
        common = Counter(value for index, value in values.items() if index in failed).most_common(1)
        if not common:
            continue
        value, affected = common[0]
        reached = frozenset(index for index, other in values.items() if other == value)
        figures = affected, len(reached), all_failed - affected, len(same) - len(reached)
        if not is_more_often(*figures, looks=looks):
            continue
        chance = share_by_chance(*figures)
        if surest is None or chance < surest[0]:
            cut = _cut_short(value, values, [observed for observed in same if observed.index in failed])
            others = {other for index, other in values.items() if other != value and index not in cut}
            surest = chance, Telltale(aspect, value, tuple(sorted(others, key=repr)), reached | cut)
    return surest[1] if surest is not None else None


def _cut_short(
    whole: int | FlightShape, values: Mapping[int, int | FlightShape], failed: Iterable[Observed]
) -> frozenset[int]:
    """Failures whose flight may be the beginning of a whole one: its server went on when the client had given up."""
    if not isinstance(whole, FlightShape):
        return frozenset()
    return frozenset(
        observed.index
        for observed in failed
        if isinstance(shape := values.get(observed.index), FlightShape)
        and shape.records < whole.records
        and shape.longest < whole.longest
        and observed.client_leg.from_server.application_records > shape.records
    )


def _values(aspect: Aspect, same: Sequence[Observed]) -> dict[int, int | FlightShape]:
    """What each connection shows of an aspect, by index."""
    if aspect == "flight":
        return dict(flight_shapes(same))
    values: dict[int, int | FlightShape] = {}
    for observed in same:
        answer = observed.answer
        if answer is not None and not answer.partial:
            version, suite = answer.version, answer.cipher_suite
            values[observed.index] = {"version": version, "retry": observed.shown.retried, "cipher": suite}[aspect]
    return values


def flight_shapes(same: Iterable[Observed]) -> dict[int, FlightShape]:
    """The shape of the flight of each connection, by index, as far as it is seen. All asked one question."""
    flights = {observed.index: observed.shown.flight for observed in same}
    shapes: dict[tuple[int, int], FlightShape] = {}
    run: list[int] = []
    records = 0
    for number, total in [*sorted({flight for flight in flights.values() if flight is not None}), (0, 0)]:
        if run and (number != records or total - run[-1] > SIGNATURE_VARIES):
            shape = FlightShape(records, run[0], run[-1])
            shapes |= {(records, each): shape for each in run}
            run = []
        records = number
        run.append(total)
    return {index: shapes[flight] for index, flight in flights.items() if flight is not None}
