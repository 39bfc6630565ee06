"""What is counted by shapes is what is counted one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from inspector.findings.building import build
from inspector.findings.case import Case, Options
from inspector.findings.compared import ComparedPool
from inspector.findings.prediction import Extended, extended
from inspector.findings.unseen import is_plainly_whole, look, way
from inspector.text.times import DAY_NS
from inspector.tracking.observed import Observed
from tests.build import MS, Pool, certificate, document_of, facts_of, written
from tests.conftest import CAPTURES, bundled
from tests.rules import A, X, Y, of

NAMES = sorted({path.name.split(".")[0] for path in CAPTURES.glob("*.pcap*")})
AGING = certificate("aging", ("aging.example.com",), days=(-365, 1))


def members(case: Case, service: int) -> list[Observed]:
    return [case.observed[i] for i in case.services[service].connections if not case.observed[i].health_check]


@pytest.mark.parametrize("name", NAMES)
def test_tallies(name: str) -> None:
    case = bundled(name).case
    for service in case.services:
        alike: defaultdict[object, list[int]] = defaultdict(list)
        for index in service.connections:
            observed = case.observed[index]
            alike[id(observed.shape), observed.backend, observed.declined, observed.health_check].append(index)
        tallies = case.tallies(service)
        assert {(id(t.shape), t.backend, t.declined, t.health_check): (t.count, t.first, t.last) for t in tallies} == {
            key: (len(indices), indices[0], indices[-1]) for key, indices in alike.items()
        }
        assert sum(t.count for t in case.member_tallies(service)) == len(case.members(service))
        for backend in case.pools[service.index]:
            assert sum(t.count for t in case.tallies_at(backend)) == len(backend.connections)


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_is_there_once_and_says_what_its_connections_say(name: str) -> None:
    case = bundled(name).case
    shapes = case.columns.shapes
    assert len({id(shape) for shape in shapes}) == len(shapes)
    assert [*map(shapes.index, (o.shape for o in case.observed))] == [*case.columns.shape][: len(case.observed)]
    full = case.everybody.where(lambda shape: shape.traits.kind == "full")
    assert [*full] == [o for o in case.observed if o.kind == "full"]
    assert [*map(id, full.shapes())] == [*dict.fromkeys(id(o.shape) for o in full)]


@pytest.mark.parametrize("name", NAMES)
def test_members_are_compared_by_all_their_connections(name: str) -> None:
    case = bundled(name).case
    for service in case.services:
        counts: Counter[object] = Counter()
        for o in members(case, service.index):
            offer, answer = o.offer and o.offer.key, o.answer and o.answer.key
            counts[offer, answer, o.leaf, o.backend, o.kind, o.shown, o.outcome] += 1
        groups = ComparedPool(case, service).groups
        assert sorted(group.count for group in groups) == sorted(counts.values())
        assert sum(group.failed for group in groups) == sum(
            o.outcome == "aborted" for o in members(case, service.index)
        )
        assert [group.sample.index for group in groups] == sorted(group.sample.index for group in groups)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_seen_whole(name: str) -> None:
    case = bundled(name).case
    for service in case.services:
        ways = {o.index: way(case, o) for o in members(case, service.index)}
        sight = look(case, service, case.members(service), ())
        assert sight.whole == {index for index, known in ways.items() if known is None or known.is_inside}
        hidden = Counter(known.kind for known in ways.values() if known is not None)
        assert {unseen.kind: unseen.count for unseen, _ in sight.hidden if unseen.kind in hidden} == hidden


def test_a_renegotiation_that_was_not_seen_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shape of its connection says nothing of it."""
    case = bundled("renegotiations").case
    index = min(case.columns.renegotiating)
    observed = case.observed[index]
    service = case.services[observed.service]
    assert is_plainly_whole(case, observed.shape)
    assert index in look(case, service, case.members(service), ()).whole
    monkeypatch.setattr("inspector.findings.unseen.is_unfinished_inside", lambda one: one.index == index)
    assert way(case, observed) is not None
    assert index not in look(case, service, case.members(service), ()).whole


@pytest.mark.parametrize("name", NAMES)
def test_who_offers_no_ems(name: str) -> None:
    case = bundled(name).case
    for service in case.services:
        offers: defaultdict[int, list[bool]] = defaultdict(list)
        for o in members(case, service.index):
            if o.offer is not None and not o.is_tls13 and o.backend >= 0:
                offers[o.client].append(o.offer.extended_master_secret)
        silent = {client for client, did in offers.items() if not any(did)}
        assert set(extended(case, service).silent) == silent


def test_health_checks_offer_nothing(tmp_path: Path) -> None:
    pool = Pool(ems=True)
    pool.full(A, X, ems=True)
    checks = Pool(client="10.0.0.2", java=False, port=50_000)
    for _ in range(6):
        checks.given_up(A, Y, alert=None)
        checks.ns += 500 * MS
    case = build(facts_of(written(tmp_path, pool.flows + checks.flows)), Options())
    assert sum(case.columns.health_check) == 6
    assert extended(case, case.services[0]) == Extended((0,), (), ())


def test_a_certificate_that_expires_in_the_midst(tmp_path: Path) -> None:
    """Connections before and after are not alike."""
    pool = Pool()
    for number in range(5):
        pool.full(AGING, X)
        pool.ns += 2 * DAY_NS if number == 2 else MS
    case = build(facts_of(written(tmp_path, pool.flows)), Options())
    groups = ComparedPool(case, case.services[0]).groups
    assert [(group.count, group.sample.index) for group in groups] == [(3, 0), (2, 3)]
    assert groups[0].last_ns == case.observed[2].hello_ns


def test_what_only_health_checks_are_shown_has_not_expired_for_anybody(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(AGING, X)
    checks = Pool(client="10.0.0.2", java=False, port=50_000, ns=pool.ns + 2 * DAY_NS)
    for _ in range(6):
        checks.given_up(AGING, Y, alert=None)
        checks.ns += 500 * MS
    after = Pool(port=60_000, ns=checks.ns)
    after.full(A, Y)
    document = document_of(written(tmp_path, pool.flows + checks.flows + after.flows))
    assert document.services[0].health_checks == 6
    assert not [f for f in of(document, "certificate-expired") if "expired" in f.title.split()]
