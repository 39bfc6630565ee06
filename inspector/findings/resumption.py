"""``resumption-lost``: sessions that clients offer as they should, and that are declined; or a member of the pool that
never issues any.
"""

from __future__ import annotations

import shlex
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from inspector.document import About, Evidence, Finding, Remedy
from inspector.document.rules import Rule
from inspector.findings.case import frames
from inspector.findings.compared import ComparedPool
from inspector.findings.finding import finding
from inspector.findings.giving_up import NOT_JAVA
from inspector.pool.attributes import PoolAttribute
from inspector.pool.rates import is_more_often, middle
from inspector.pool.waits import evenly, until_ready
from inspector.text.times import SECOND_NS, rfc3339, span
from inspector.tracking.selection import ObservedSelection, ShapeAnswers

FEWEST = 5
"""Offers that were declined before anything is said of it."""

FRESH_NS = 300 * SECOND_NS
"""How long servers keep sessions at least, by default; who offers an older one may be declined."""

FEWEST_TIMED = 3
"""Handshakes of a kind of which the usual time is told."""

LEAST_TRIP_NS = 100_000
"""A round trip below that is nothing to speak of."""

MOST_NAMED = FEWEST
"""Connections that the finding names: enough to prove it."""


class Offers(Struct):
    """What became of the sessions offered to one service. ``at_home``: of those that were offered to the back end that
    had issued them, by its index, how many were declined, and how many in all. ``elsewhere``: declined by another one.
    """

    declined: ObservedSelection
    resumed: ObservedSelection
    at_home: dict[int, tuple[int, int]]
    elsewhere: int

    @property
    def total(self) -> int:
        """All offers."""
        return len(self.declined) + len(self.resumed)

    @property
    def declined_at_home(self) -> int:
        """Declined by the back end that had issued them."""
        return sum(declined for declined, _ in self.at_home.values())

    @property
    def is_lost(self) -> bool:
        """Whether at least half of them are declined."""
        return len(self.declined) >= FEWEST and 2 * len(self.declined) >= self.total


class Price(NamedTuple):
    """What a full handshake costs more than one with a session that is taken. ``has_trip``: a round trip, up to
    TLS 1.2, which takes ``trip_ns``; ``full_ns``, ``short_ns``: until the client can speak. Each is None where it was
    not measured.
    """

    has_trip: bool
    trip_ns: int | None
    full_ns: int | None
    short_ns: int | None


class Forgetful(NamedTuple):
    """The only member of a pool that keeps no sessions. ``is_silent``: it issues none; else it declines its own."""

    backend: int
    is_silent: bool
    since_ns: int


def resumption_lost(pools: Sequence[ComparedPool]) -> Iterator[Finding]:
    """One for each service at which at least half of all offers are declined, or one member keeps no session."""
    for pool in pools:
        offers = _offers(pool)
        forgetful = _never_issues(pool) or _declines_its_own(pool, offers)
        if offers.is_lost or forgetful is not None:
            yield _finding(pool, offers, forgetful)


def _offers(pool: ComparedPool) -> Offers:
    """Offers of sessions that were issued shortly before, or when is not known, by this service."""
    everybody, columns = pool.case.observed, pool.case.columns
    full, short, elsewhere = array("I"), array("I"), 0
    at_home: dict[int, tuple[int, int]] = {}
    resuming = ShapeAnswers(lambda shape: shape.traits.resumes, columns.shapes)
    for index in pool.members.indices:
        issuer, is_declined = columns.issuer[index], columns.declined[index] != 0
        if not (is_declined or resuming[columns.shape[index]]):
            continue
        if issuer >= 0 and columns.service[issuer] != pool.service.index:
            continue
        if is_declined:
            session = everybody[index].session
            issued_ns = session.issued_ns if session is not None else None
            if issued_ns is not None and columns.hello_ns[index] - issued_ns > FRESH_NS:
                continue
        (full if is_declined else short).append(index)
        issuing = columns.backend[issuer] if issuer >= 0 else -1
        answering = columns.backend[index]
        if issuing < 0 or answering < 0:
            continue
        if issuing == answering:
            declined, total = at_home.get(answering, (0, 0))
            at_home[answering] = (declined + is_declined, total + 1)
        else:
            elsewhere += is_declined
    return Offers(ObservedSelection(everybody, full), ObservedSelection(everybody, short), at_home, elsewhere)


def _never_issues(pool: ComparedPool) -> Forgetful | None:
    """The only member that issues no sessions to clients that get some from the others."""
    difference = pool.difference(PoolAttribute.RESUMPTION)
    alone = difference.odd_one if difference is not None else None
    if alone is None or alone.backend < 0 or alone.value is not False or alone.connections < FEWEST_TIMED:
        return None
    return Forgetful(alone.backend, True, alone.since_ns)


def _declines_its_own(pool: ComparedPool, offers: Offers) -> Forgetful | None:
    """The only member that declines sessions which it issued itself more often than others do."""
    declined, total = offers.declined_at_home, sum(count for _, count in offers.at_home.values())
    odd = [
        backend
        for backend, (here, reached) in offers.at_home.items()
        if is_more_often(here, reached, declined - here, total - reached, looks=pool.looks)
    ]
    if len(odd) != 1:
        return None
    first = next(o for o in offers.declined if o.backend == odd[0])
    return Forgetful(odd[0], False, first.first_ns)


def _finding(pool: ComparedPool, offers: Offers, forgetful: Forgetful | None) -> Finding:
    case, service = pool.case, pool.service
    name = f"{service.name}:{service.port}"
    count, total = len(offers.declined), len(pool.members)
    share = f"{count} of {offers.total} sessions offered to {name} were declined"
    label = case.backends[forgetful.backend].label if forgetful is not None else ""
    does = (
        "never issues a session" if forgetful is not None and forgetful.is_silent else "declines even its own sessions"
    )
    reached, failed = pool.reached(forgetful.backend) if forgetful is not None else (offers.total, 0)
    price = _price_words(_price(offers)) if offers.is_lost else ""
    first_ns = offers.declined[0].first_ns if offers.declined else pool.members[0].first_ns
    last_ns = offers.declined[-1].first_ns if offers.declined else pool.members[-1].first_ns
    return finding(
        case,
        Rule.RESUMPTION_LOST,
        service.id,
        service=service,
        on=offers.declined[:MOST_NAMED],
        backends=[case.backends[forgetful.backend]] if forgetful is not None else None,
        times=(first_ns, last_ns),
        count=count if offers.is_lost else reached,
        severity="low" if forgetful is not None else None,
        grade="inferred" if any(observed.is_tls13 for observed in offers.declined) else "observed",
        about=About(
            attribute=PoolAttribute.RESUMPTION,
            backend=case.backends[forgetful.backend].id if forgetful is not None else None,
            value=does if forgetful is not None else f"{count} of {offers.total} offers were declined, and {price}",
            others="sessions are kept" if forgetful is not None else "",
            since=rfc3339(forgetful.since_ns if forgetful is not None else first_ns),
            affected=failed,
            reached=reached,
            elsewhere_affected=pool.total[1] - failed if forgetful is not None else 0,
            elsewhere=total - reached,
        ),
        title=f"{share}; back end {label} {does}"
        if offers.is_lost and label
        else share
        if offers.is_lost
        else f"Back end {label} of {name} {does}",
        what=f"Sessions offered to {name} are declined"
        if offers.is_lost
        else f"A back end of {name} keeps no sessions",
        matter="declined" if offers.is_lost else "not kept",
        explanation=" ".join(_explained(offers, forgetful, label, price)),
        remedies=_remedies(pool, offers, label),
        evidence=[
            Evidence(
                "declined",
                observed.id,
                frames(observed.client_leg.handshake.hello_frame, observed.client_leg.handshake.answer_frame),
                f"offered to back end {case.label(observed)} and declined",
            )
            for observed in offers.declined[:1]
        ],
    )


def _explained(offers: Offers, forgetful: Forgetful | None, label: str, price: str) -> Iterator[str]:
    if offers.is_lost:
        yield f"{len(offers.declined)} of {offers.total} offers of a session got a full handshake all the same."
        if offers.elsewhere or offers.declined_at_home:
            yield (
                f"{offers.elsewhere} of them went to another back end than had issued the session,"
                f" {offers.declined_at_home} to the same{' certificate' * (not offers.elsewhere)}."
            )
        yield f"{price[0].upper()}{price[1:]}."
    if forgetful is not None and forgetful.is_silent:
        yield f"Back end {label} gave neither a session id nor a ticket to clients that get one from the others."
    elif forgetful is not None:
        declined, total = offers.at_home[forgetful.backend]
        yield f"Back end {label} declined {declined} of {total} sessions that it had issued itself."


def _price(offers: Offers) -> Price:
    """Of the offers that were declined, held against those that were taken."""
    full = [ns for observed in evenly(offers.declined) if (ns := until_ready(observed)) is not None]
    short = [ns for observed in evenly(offers.resumed) if (ns := until_ready(observed)) is not None]
    trips = [ns for observed in evenly(offers.declined) if (ns := observed.client_leg.rtt) is not None]
    return Price(
        has_trip=any(not observed.is_tls13 for observed in offers.declined),
        trip_ns=int(middle(trips)) if trips else None,
        full_ns=int(middle(full)) if len(full) >= FEWEST_TIMED else None,
        short_ns=int(middle(short)) if len(short) >= FEWEST_TIMED else None,
    )


def _price_words(price: Price) -> str:
    """``each costs a round trip more: the client can speak after 12.3 ms``."""
    more = "a round trip more" if price.has_trip else "certificates and signatures, though no round trip more"
    full_ns, short_ns, trip_ns = price.full_ns, price.short_ns, price.trip_ns
    if full_ns is not None and short_ns is not None and full_ns > short_ns:
        return (
            f"each costs {more}: {span(full_ns)} until the client can speak, against {span(short_ns)} with a session"
            " that is taken"
        )
    if price.has_trip and full_ns is not None:
        trip = f", {span(trip_ns)}" if trip_ns is not None and trip_ns >= LEAST_TRIP_NS else ""
        return f"each costs {more}{trip}: the client can speak after {span(full_ns)}"
    return f"each costs {more}"


def _remedies(pool: ComparedPool, offers: Offers, label: str) -> list[Remedy]:
    name = shlex.quote(pool.service.name)
    check = (
        f"openssl s_client -connect {name}:{pool.service.port} -servername {name} -reconnect -tls1_2 </dev/null | grep"
        " -E 'New|Reused'"
    )
    first = FIRST if _would_expose(pool) else ""

    def remedy(whose: str, text: str) -> list[Remedy]:
        return [Remedy(whose, f"{first}{text[0].lower()}{text[1:]}" if first else text, check)]

    if label:
        return remedy(f"owners of back end {label}", f"Let back end {label} keep sessions, as the others do.")
    at_home = sum(total for _, total in offers.at_home.values())
    if at_home and 2 * offers.declined_at_home > at_home:
        return remedy(
            "owners of the pool",
            "Let each back end keep sessions: even what it issued itself is declined. Where several servers share the"
            " certificate, share ticket keys or the session cache among them.",
        )
    return remedy(
        "owners of the pool",
        "Share ticket keys or the session cache among all back ends (nginx: ssl_session_ticket_key; HAProxy:"
        " tls-ticket-keys), or keep a client on one back end (source affinity).",
    )


FIRST = (
    "First give all certificates one name, for Java aborts where a session that was resumed is declined elsewhere;"
    " then "
)
"""Where more sessions that are resumed would bring Java's certificate change."""


def _would_expose(pool: ComparedPool) -> bool:
    """Whether back ends show certificates that Java does not count as one server, up to TLS 1.2 and without EMS, and
    some client may be Java.
    """
    case = pool.case
    if all(observed.stack.name in NOT_JAVA for observed in pool.members):
        return False
    plain = {
        group.sample.leaf
        for group in pool.groups
        if group.sample.leaf is not None
        and group.sample.answer is not None
        and not group.sample.is_tls13
        and not group.sample.answer.extended_master_secret
    }
    leaves = {group.sample.leaf for group in pool.groups if group.sample.leaf is not None and not group.sample.is_tls13}
    return any(case.step(one, other) == "none" for one in list(plain)[:MOST_NAMED] for other in leaves)
