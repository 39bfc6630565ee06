"""A pool as attributes × back ends: what each member has in each attribute, the odd ones first, and which finding tells
of them. What was compared is not compared again; the rest is put together of groups of connections that are alike.

An attribute differs where the members answer equal questions differently, or where a finding says that failures go with
one of them. A share, a time or a date that only happens to be another number at each member makes no difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from inspector.document import About, Backend, Finding, MemberAttribute, MemberValue, ValueChange
from inspector.findings.compared import ComparedPool
from inspector.findings.differing import value_words, values_in_words
from inspector.findings.requested_authorities import requested
from inspector.pool.alike import Alike
from inspector.pool.attributes import ASKS_FOR_NONE, Extractor, PoolAttribute, Value
from inspector.pool.odd_one import Holder, PoolDifference
from inspector.pool.rates import middle
from inspector.pool.waits import Wait, evenly, waits_of
from inspector.text.times import rfc3339, span
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificate_names import authority
from inspector.tracking.certificates import ParsedCertificate

ORDER = (
    PoolAttribute.VALIDITY,
    PoolAttribute.NAMES,
    PoolAttribute.CHAIN,
    PoolAttribute.CLIENT_AUTHORITIES,
    PoolAttribute.VERSIONS,
    PoolAttribute.CIPHER,
    PoolAttribute.GROUP,
    PoolAttribute.EMS,
    PoolAttribute.ALPN,
    PoolAttribute.STAPLING,
    PoolAttribute.RESUMPTION,
)
"""What equal questions show, as it is listed."""

OF_CERTIFICATES: dict[str, Callable[[ParsedCertificate], str]] = {
    "issuer": authority,
    "key": lambda certificate: certificate.key,
    "signature": lambda certificate: certificate.signature,
}
"""What a back end's certificate says of itself."""

OF_WAITS: dict[Wait, str] = {"connect": "latency_connect", "answer": "latency", "reply": "latency_reply"}

OF_CLIENTS = frozenset((PoolAttribute.SNI,))
"""What is no matter of members."""

MEASURED = 24
"""Connections of a member whose times are looked at, spread evenly over all."""

MOST_MEMBERS = 100
"""Of a larger pool only what differs is listed."""

MOST_NAMES = 4
"""Names of authorities that a value lists."""


Member = tuple[BackendGroup, Backend]
"""A back end, and what the document counts of it."""


def attributes(
    pool: ComparedPool, findings: Sequence[Finding], backends: Mapping[str, Backend]
) -> list[MemberAttribute]:
    """Of one service. ``findings``: its own, the most severe first. ``backends``: of all services, by id."""
    pool_members = pool.case.pools[pool.service.index]
    if len(pool_members) < 2 and not findings:
        return []
    abouts = [(f, f.about) for f in findings if f.about is not None and f.about.attribute not in OF_CLIENTS]
    members = [(backend, backends[backend.id]) for backend in pool_members]
    rows: dict[str, MemberAttribute] = {}
    if len(members) > 1:
        rows = {row.attribute: row for row in _rows(pool, members)}
    for tells, about in abouts:
        row = rows.get(about.attribute)
        if row is not None and row.finding is None and row.differs:
            _explain(row, tells, about)
        elif (row is None or not row.differs) and about.others and about.elsewhere:
            rows[about.attribute] = _of_finding(pool, tells, about)
    rank = {f.id: number for number, (f, _) in enumerate(abouts)}
    return sorted(rows.values(), key=lambda row: (not row.differs, rank.get(row.finding or "", len(rank))))


def _rows(pool: ComparedPool, members: Sequence[Member]) -> Iterator[MemberAttribute]:
    is_small = len(members) <= MOST_MEMBERS
    for attribute in ORDER:
        difference = pool.difference(attribute)
        if difference is not None:
            yield _of_difference(pool, difference)
        elif is_small and (row := _alike(pool, attribute, pool.extractors[attribute])) is not None:
            yield row
    if is_small:
        yield from _of_certificates(pool, members)
        yield from _of_connections(pool, members)


def _of_difference(pool: ComparedPool, difference: PoolDifference) -> MemberAttribute:
    """What was compared; the odd ones first."""
    case = pool.case
    odd = {holder.value for holder in difference.odd}
    words_of = values_in_words(case, pool, difference)
    by_value: defaultdict[Value, list[Holder]] = defaultdict(list)
    for holder in difference.holders:
        by_value[holder.value].append(holder)
    values = []
    for value, words in words_of.items():
        holders = by_value[value]
        values.append(
            MemberValue(
                value=words,
                backends=[case.backends[h.backend].id for h in holders if h.backend >= 0],
                connections=sum(h.connections for h in holders),
                unplaced=sum(h.connections for h in holders if h.backend < 0),
                odd=value in odd,
                since=rfc3339(min(h.since_ns for h in holders)),
            )
        )
    return MemberAttribute(
        attribute=difference.attribute,
        differs=True,
        values=sorted(values, key=lambda one: not one.odd),
        changes=[
            ValueChange(case.backends[h.backend].id, rfc3339(h.since_ns), words_of[h.value])
            for h in difference.holders
            if h.has_changed
        ],
    )


def _alike(pool: ComparedPool, attribute: PoolAttribute, extract: Extractor) -> MemberAttribute | None:
    """What all answer alike to equal questions; None where nothing shows it."""
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    words: dict[Value, str] = {}
    for group in pool.groups:
        value = extract(group.sample) if group.sample.kind == "full" else None
        if value is None:
            continue
        if value not in words:
            words[value] = _words(pool, attribute, value, group)
        counted[group.backend][words[value]] += group.count
    return _row(pool, attribute, {b: (" or ".join(c), c.total()) for b, c in counted.items()}) if counted else None


def _words(pool: ComparedPool, attribute: PoolAttribute, value: Value, group: Alike) -> str:
    if attribute is not PoolAttribute.CLIENT_AUTHORITIES:
        return value_words(pool.case, attribute, value)
    if value == ASKS_FOR_NONE:
        return "asks for none"
    accepted = requested(pool.case, group.sample.client_leg.handshake).accepted
    more = len(accepted.authorities) + accepted.more - MOST_NAMES
    return ", ".join(accepted.names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "") or "any CA"


def _row(pool: ComparedPool, attribute: str, shown: dict[int, tuple[str, int]]) -> MemberAttribute:
    """Of each back end, -1 for those that are not visible, what it has and in how many connections."""
    values: dict[str, MemberValue] = {}
    for backend, (words, count) in sorted(shown.items(), key=lambda item: (item[0] < 0, item[0])):
        value = values.setdefault(words, MemberValue(value=words, backends=[], connections=0))
        value.connections += count
        if backend >= 0:
            value.backends.append(pool.case.backends[backend].id)
        else:
            value.unplaced += count
    return MemberAttribute(attribute=attribute, differs=False, values=list(values.values()))


def _of_certificates(pool: ComparedPool, members: Sequence[Member]) -> Iterator[MemberAttribute]:
    """Of the current certificate of each back end: one that is not like those of most others is odd."""
    read = {b.index: c for b, _ in members if (c := pool.case.certificates.get(b.leaf or b"")) is not None}
    for attribute, say in OF_CERTIFICATES.items():
        words = {index: say(certificate) for index, certificate in read.items()}
        if not words:
            continue
        row = _row(pool, attribute, {i: (w, len(pool.case.backends[i].connections)) for i, w in words.items()})
        common, number = Counter(words.values()).most_common(1)[0]
        if len(row.values) > 1 and number > 1 and 2 * number > len(words):
            row.differs = True
            for value in row.values:
                value.odd = value.value != common
            row.values.sort(key=lambda one: not one.odd)
        yield row


def _of_connections(pool: ComparedPool, members: Sequence[Member]) -> Iterator[MemberAttribute]:
    """Times, what became of offers, how idle connections end, and how many failed."""
    observed = pool.case.observed
    times: defaultdict[Wait, dict[int, list[int]]] = defaultdict(dict)
    for backend, _ in members:
        for index in evenly(backend.connections, MEASURED):
            for wait, ns in () if observed[index].health_check else waits_of(observed[index]):
                times[wait].setdefault(backend.index, []).append(ns)
    for wait, attribute in OF_WAITS.items():
        if times[wait]:
            yield _row(pool, attribute, {b: (_spread(values), len(values)) for b, values in times[wait].items()})
    offered = {b.index: (d.resumed, count) for b, d in members if (count := d.resumed + d.declined)}
    if offered:
        shown = {index: (f"{resumed} of {count} resumed", count) for index, (resumed, count) in offered.items()}
        yield _row(pool, "offers", shown)
    quiet: defaultdict[int, list[int]] = defaultdict(list)
    columns = pool.case.columns
    for index in pool.members.where(lambda shape: shape.traits.outcome == "established").indices:
        if columns.quiet_ns[index]:
            quiet[columns.backend[index]].append(columns.quiet_ns[index])
    if quiet:
        yield _row(pool, "idle", {b: (f"closed after {span(int(middle(ns)))}", len(ns)) for b, ns in quiet.items()})
    yield _row(pool, "failures", {b.index: (f"{d.aborted} of {d.connections}", d.connections) for b, d in members})


def _spread(values: list[int]) -> str:
    """The median, and what 95 % do not exceed."""
    highest = sorted(values)[max(-(-len(values) * 95 // 100) - 1, 0)]
    return f"{span(int(middle(values)))} (95 %: {span(highest)})"


def _explain(row: MemberAttribute, tells: Finding, about: About) -> None:
    """A finding tells of a difference: it knows best what the odd one has."""
    row.finding = tells.id
    alone = [value for value in row.values if about.backend is not None and value.backends == [about.backend]]
    for value in alone:
        value.value, value.odd = about.value, True


def _of_finding(pool: ComparedPool, tells: Finding, about: About) -> MemberAttribute:
    """What only failures, or times, tell of."""
    odd = [about.backend] if about.backend is not None else []
    named = {*odd, *tells.backends}
    others = [b.id for b in pool.case.pools[pool.service.index] if b.id not in named]
    values = [
        MemberValue(
            value=about.value,
            backends=odd,
            connections=about.reached,
            unplaced=0 if odd else about.reached,
            odd=True,
            since=about.since,
        ),
        MemberValue(
            value=about.others,
            backends=others,
            connections=about.elsewhere,
            unplaced=0 if others else about.elsewhere,
        ),
    ]
    return MemberAttribute(attribute=about.attribute, differs=True, values=values, finding=tells.id)


def by_service(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings of each service by its id."""
    listed: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.service is not None:
            listed[finding.service].append(finding)
    return listed
