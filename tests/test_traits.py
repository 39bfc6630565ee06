"""What is worked out once for many connections is what each of them says by itself; quick looks leave out nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import pytest
from msgspec import structs

from inspector import facts as f
from inspector.errors.decryption import NoSecret
from inspector.facts import AlertFact, AnomalyFact, Close, ConnectionFacts, Event, Facts, FirstMoments, Tail
from inspector.findings import limits
from inspector.findings.case import Case
from inspector.findings.judge import judge
from inspector.findings.judgement import JavaRule
from inspector.findings.unseen import WAYS, is_plainly_whole, way
from inspector.tls.anomalies import RecordVersion
from inspector.tls.history import Letter
from inspector.tls.types import TLS12, TLS13
from inspector.tracking import traits
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.observed import Observed, Particulars
from inspector.tracking.shape import SharedTraits
from inspector.tracking.traits import Observer
from tests.build import facts_of
from tests.conftest import find

CAPTURES = (
    "puppet-session-ids",
    "tickets",
    "silent-abort",
    "tls13",
    "renegotiations",
    "health-checks",
    "both-legs",
)
CHANGES = 6000
SEALED = f.C_SEALED | f.S_SEALED


@lru_cache
def recorded(name: str) -> Facts:
    return facts_of(find(name))


def legs() -> list[ConnectionFacts]:
    """Of each capture the first ones."""
    return [leg for name in CAPTURES for leg in recorded(name).unpack_all(recorded(name).connections[:12])]


def close(rng: random.Random, leg: ConnectionFacts) -> Close | None:
    if rng.random() < 0.3:
        return None
    return Close(leg.last_ns + rng.randrange(-3, 4), 9, rng.choice((-1, 0, 200, 1 << 20)), rng.random() < 0.3)


def alert(rng: random.Random, leg: ConnectionFacts) -> AlertFact:
    ns = leg.last_ns + rng.randrange(-3, 4)
    return AlertFact(rng.random() < 0.5, rng.choice((None, 1, 2)), rng.choice((0, 40, 42)), 9, ns, rng.random() < 0.3)


def events(rng: random.Random, leg: ConnectionFacts) -> bytes:
    """Some less, some twice, some read with secrets."""
    kept = [event for event in f.unpack_events(leg.events) for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 2)))]
    if rng.random() < 0.3:
        kept.append(Event(leg.last_ns, 9, 40, Letter.ENCRYPTED_HANDSHAKE, rng.random() < 0.5, rng.random() < 0.3))
    return f.pack_events(kept)


def handshake_changes(rng: random.Random, leg: ConnectionFacts) -> dict[str, Any]:
    old = leg.handshake
    offer, answer = old.offer, old.answer
    return {
        "messages": old.messages ^ 1 << rng.randrange(16),
        "missing": old.missing ^ 1 << rng.choice((0, 1, 2, 9, 10)),
        "retried": not old.retried,
        "offered_id": rng.choice((b"", b"i" * 32, old.answered_id)),
        "answered_id": rng.choice((b"", b"i" * 32, old.offered_id)),
        "offered_ticket": rng.choice((None, b"", b"t" * 32)),
        "offered_psks": rng.choice(((), (b"p" * 32,))),
        "server_random": rng.choice((b"", b"r" * 32)),
        "chain": rng.choice(((), (b"c" * 32,))),
        "certificate_frame": rng.choice((0, 7)),
        "certificate_end": rng.choice((0, 100, 1000)),
        "answer_ns": leg.last_ns + rng.randrange(-3, 4),
        "offer": rng.choice((None, offer and offer._replace(partial=not offer.partial, key=offer.key[::-1]))),
        "answer": rng.choice(
            (
                None,
                answer and answer._replace(partial=not answer.partial),
                answer and answer._replace(version=TLS12 if answer.version >= TLS13 else TLS13),
                answer and answer._replace(accepted_psk=rng.choice((None, 0))),
            )
        ),
    }


def lane_changes(rng: random.Random, leg: ConnectionFacts) -> dict[str, Any]:
    return {
        "fin": close(rng, leg),
        "rst": close(rng, leg),
        "lost": rng.random() < 0.5,
        "has_packets": rng.random() < 0.5,
        "application_records": rng.randrange(3),
        "application_bytes": rng.choice((24, 4096)),
        "tail": rng.choice((None, Tail(rng.choice((19, 500)), leg.last_ns, 9, rng.choice((0, leg.first_ns))))),
        "searched_bytes": rng.choice((0, 0, 0, 99)),
        "sequence_jump": rng.random() < 0.2,
        "lost_encrypted": rng.random() < 0.2,
        "gap": rng.choice((0, 77)),
        "bytes": rng.choice((0, 90, 5000)),
    }


def changed(rng: random.Random, leg: ConnectionFacts) -> ConnectionFacts:
    """A connection of which some things were otherwise, but for what facts say twice: who sent a Finished."""

    def some(changes: dict[str, Any]) -> dict[str, Any]:
        return {name: changes[name] for name in rng.sample(sorted(changes), rng.choice((0, 0, 1, 1, 2, 3)))}

    twisted = structs.replace(
        leg,
        handshake=structs.replace(leg.handshake, **some(handshake_changes(rng, leg))),
        from_client=structs.replace(leg.from_client, **some(lane_changes(rng, leg))),
        from_server=structs.replace(leg.from_server, **some(lane_changes(rng, leg))),
        **some(
            {
                "alerts": tuple(alert(rng, leg) for _ in range(rng.randrange(3))),
                "anomalies": (AnomalyFact("record_version", RecordVersion(9), rng.random() < 0.5, 0, "", 9),),
                "events": events(rng, leg),
                "syn": rng.random() < 0.5,
                "secrets": rng.choice((None, "", NoSecret())),
                "sightings": rng.choice(((), ((1, 2),))),
                "rtt": rng.choice((None, 1000)),
            }
        ),
    )
    handshake, packed = twisted.handshake, twisted.events
    sealed = f.message_bits(packed[f.LETTER_AT :: f.EVENT_BYTES], packed[f.SIDE_AT :: f.EVENT_BYTES]) & SEALED
    handshake.messages = handshake.messages & ~SEALED | sealed
    return twisted


OF_OTHERS = {"frame_ranges", "packed", "client_leg", "legs", "entry"}
"""What hangs on the story."""


def said(observed: Observed) -> dict[str, Any]:
    """All that is told of it, but for what is a story's."""
    told = {name for name, value in vars(Observed).items() if isinstance(value, property)} - OF_OTHERS
    return {name: getattr(observed, name) for name in {*told, *Observed.__struct_fields__} - {"traits", "columns"}}


def observer(count: int) -> Observer:
    """Of so many connections."""
    return Observer(Facts(), ConnectionColumns(Facts(), [b""] * count))


def test_connections_that_went_alike_say_what_each_says_by_itself() -> None:
    rng, known = random.Random(5), legs()
    together = observer(CHANGES)
    for number in range(CHANGES):
        leg = changed(rng, rng.choice(known))
        alone = observer(1).observed(0, 0, leg)
        assert {**said(together.observed(number, 0, leg)), "index": 0} == said(alone)


def old() -> ConnectionFacts:
    """A connection that was joined late: no hello of it was captured."""
    leg = next(leg for leg in legs() if leg.handshake.messages & SEALED == SEALED)
    messages = leg.handshake.messages & ~(f.C_HELLO | f.S_HELLO)
    return structs.replace(leg, handshake=structs.replace(leg.handshake, messages=messages))


def new() -> ConnectionFacts:
    """A connection of TLS 1.3 in which each side sent one encrypted record, and nothing followed it."""
    leg = next(leg for leg in legs() if leg.handshake.is_tls13 and leg.secrets is None)
    flight = FirstMoments(leg.events).of(Letter.APPLICATION_DATA, True)
    assert flight is not None
    tail = Tail(size=500, ns=flight + 5, frame=9, previous_ns=flight - 5)
    lane = {"application_records": 1, "application_bytes": 500, "tail": tail, "fin": None, "rst": None}
    return structs.replace(
        leg,
        from_client=structs.replace(leg.from_client, **lane),
        from_server=structs.replace(leg.from_server, **lane),
    )


def refused(leg: ConnectionFacts) -> ConnectionFacts:
    assert leg.from_server.tail is not None
    tail = structs.replace(leg.from_server.tail, size=19)
    return structs.replace(leg, from_server=structs.replace(leg.from_server, tail=tail, fin=Close(tail.ns + 1, 99)))


def cut_short(leg: ConnectionFacts) -> ConnectionFacts:
    return structs.replace(leg, from_client=structs.replace(leg.from_client, application_bytes=24))


@pytest.mark.parametrize(
    ("leg", "change"),
    [(old, lambda leg: structs.replace(leg, syn=not leg.syn)), (new, refused), (new, cut_short)],
    ids=["syn", "refused", "cut_short"],
)
def test_what_seldom_decides_is_a_trait(
    leg: Callable[[], ConnectionFacts], change: Callable[[ConnectionFacts], ConnectionFacts]
) -> None:
    together = observer(2)
    before, after = (together.observed(number, 0, each) for number, each in enumerate((leg(), change(leg()))))
    assert before.outcome != after.outcome
    assert {**said(after), "index": 0} == said(observer(1).observed(0, 0, change(leg())))


def test_most_connections_are_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, count = recorded("puppet-session-ids"), 0
    plain = traits.worked_out

    def counted(*arguments: Any) -> tuple[SharedTraits, Particulars]:
        nonlocal count
        count += 1
        return plain(*arguments)

    monkeypatch.setattr(traits, "worked_out", counted)
    case = judge(facts).case
    aborted = sum(observed.fatal_alert is not None for observed in case.observed)
    assert count - aborted <= 8 < len(case.observed)


def cases() -> Iterator[Case]:
    """Captures as they are, and with connections that were seen otherwise."""
    rng = random.Random(7)
    for name in CAPTURES:
        facts = recorded(name)
        yield judge(facts).case
        twisted = structs.replace(facts, connections=[])
        for leg in facts.unpack_all(facts.connections):
            twisted.add(changed(rng, leg))
        yield judge(twisted).case


def test_quick_looks_leave_out_nothing() -> None:
    rows = (*limits.IN_FLOWS, *limits.IN_HANDSHAKES)
    seen: set[str] = set()
    for case in cases():
        doubtful = set(limits.may_lack(case.columns))
        for observed in case.observed:
            lacking = [row.kind for row in rows if row.holds(observed)]
            assert observed.index in doubtful or not lacking
            ways = [known for known in WAYS if known.holds(case, observed)]
            assert not (is_plainly_whole(case, observed.shape) and not observed.renegotiations and ways)
            assert way(case, observed) == next(iter(ways), None)
            seen |= {*lacking, *(known.kind for known in ways)}
    assert {"lost_bytes", "gaps", "one_sided", "mid_stream", "encrypted", "unfinished", "not_told"} <= seen


def test_javas_rule_is_the_same_on_one_and_on_many() -> None:
    for case in cases():
        for observed, judgement in zip(case.observed, case.judgements, strict=True):
            is_refused = case.refused(observed) is not None
            assert JavaRule(case.step).judged(observed, is_refused=is_refused) == judgement


@pytest.mark.parametrize("from_client", [True, False])
def test_first_moments_are_those_of_the_events(from_client: bool) -> None:
    rng = random.Random(3)
    for leg in legs():
        packed = events(rng, leg)
        first = FirstMoments(packed)
        on_wire = [event for event in f.unpack_events(packed) if not event.decrypted]
        for letter in Letter:
            times = [e.ns for e in on_wire if e.from_client == from_client and e.letter == letter]
            assert first.of(letter, from_client) == next(iter(times), None)
