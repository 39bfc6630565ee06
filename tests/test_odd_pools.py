"""The odd one out: nobody in a clean pool, whoever differs in a planted one, and never the server where a client
differs.
"""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from math import comb
from pathlib import Path

import pytest

from inspector.pool.rates import is_more_often, ranks_by_chance, share_by_chance
from tests.build import MS, NAME, START_NS, Pool, certificate, document_of, numbered, written
from tests.odd_pools import (
    ENCRYPTED,
    PADDED,
    PLANTED,
    Caller,
    Member,
    Recording,
    about,
    abouts,
    clean,
    is_named,
    leaf,
    planted,
    pool_of,
    recorded,
)


@pytest.mark.parametrize("seed", range(25))
def test_nobody_is_odd_in_a_clean_pool(seed: int, tmp_path: Path) -> None:
    assert not abouts(clean(seed, tmp_path))


@pytest.mark.parametrize("size", [3, 20])
@pytest.mark.parametrize("attribute", PLANTED)
def test_a_planted_difference_is_named(attribute: str, size: int, tmp_path: Path) -> None:
    document, odd = planted(attribute, 1, tmp_path, size=size)
    assert is_named(document, attribute, odd)


ONE, OTHER = Caller("10.0.0.10"), Caller("10.0.0.11", ems=False)
A, B, C = pool_of(3)


def test_failures_are_counted_over_all_clients(tmp_path: Path) -> None:
    odd = PLANTED["validity"](B)
    clients = (ONE, replace(OTHER, ems=True))
    document = recorded(tmp_path, *[(client, member) for _ in range(4) for client in clients for member in (A, odd, C)])
    failed = [f for f in document.findings if f.rule == "handshake-failed"]
    assert len(failed) == 2
    assert {(f.about.affected, f.about.reached, f.about.elsewhere, f.severity) for f in failed if f.about} == {
        (8, 8, 16, "high")
    }
    assert not [f for f in document.findings if f.rule == "certificate-expired"]


def test_a_difference_between_clients_is_no_difference_between_servers(tmp_path: Path) -> None:
    """One client reaches one member, the other one the others, and they ask for different things."""
    without = replace(A, leaf=B.leaf)
    assert not abouts(recorded(tmp_path, *[(ONE, A)] * 6, *[(OTHER, without)] * 6, *[(OTHER, C)] * 6))


def test_a_client_that_trusts_nobody_accuses_nobody(tmp_path: Path) -> None:
    stranger = Caller("10.0.0.99", distrusts=True)
    calls = [(stranger, B)] * 8 + [(ONE, member) for member in (A, B, C)] * 5
    assert not abouts(recorded(tmp_path, *calls))


def test_one_failure_of_three_is_none(tmp_path: Path) -> None:
    odd = replace(B, refuses=80)
    document = recorded(tmp_path, *[(ONE, member) for member in (A, C)] * 3, (ONE, B), (ONE, B), (ONE, odd))
    assert [f.about for f in document.findings if f.rule == "handshake-failed"] == [None]


def test_everybody_is_down_for_a_while(tmp_path: Path) -> None:
    down = replace(A, fails="closed")
    document = recorded(tmp_path, *[(ONE, A), (ONE, B)] * 5, *[(ONE, down)] * 6, *[(ONE, A), (ONE, B)] * 5)
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert failed.about is not None
    assert (failed.about.attribute, failed.about.backend, failed.about.affected) == ("reachability", None, 6)
    assert "not one member alone" in failed.explanation


def test_a_member_that_changes_is_odd_since_then(tmp_path: Path) -> None:
    changed = replace(B, suite=b"\xc0\x2f")
    document = recorded(tmp_path, *[(ONE, m) for m in (A, B, C)] * 4, *[(ONE, m) for m in (A, changed, C)] * 4)
    (drift,) = [f for f in document.findings if f.about is not None]
    later = [
        c.first_seen for c in document.connections if c.handshakes[0].cipher and c.handshakes[0].cipher.code == 0xC02F
    ]
    assert drift.about is not None
    assert drift.about.attribute == "cipher"
    assert drift.about.since is not None
    assert drift.about.since[:22] == later[0][:22]
    assert "answers so since" in drift.explanation


def test_a_pool_of_two_that_differ_is_mixed(tmp_path: Path) -> None:
    document = recorded(tmp_path, *[(ONE, A), (ONE, replace(B, suite=b"\xc0\x2f"))] * 6)
    assert about(document, "cipher").backend is None
    assert "mixed in cipher suite" in next(f.title for f in document.findings if f.about)


def test_two_faults_at_once(tmp_path: Path) -> None:
    expired, chainless = PLANTED["validity"](B), replace(C, leaf=leaf(78, (NAME,)), behind=(), rejected_with=48)
    document = recorded(tmp_path, *[(ONE, m) for m in (A, expired, replace(A, leaf=leaf(79, (NAME,))), chainless)] * 6)
    labels = {b.id: b.label for b in document.backends}
    found = {each.attribute: (labels[each.backend or ""], each.affected) for each in abouts(document)}
    assert found == {"validity": ("B", 6), "chain": ("D", 6)}


@pytest.mark.parametrize("alert", [ENCRYPTED, PADDED])
def test_who_rejects_a_flight_without_a_word_is_counted(alert: int, tmp_path: Path) -> None:
    modern = replace(ONE, ems=True, versions=(0x0304,))
    odd = replace(B, certificate_bytes=420, rejected_with=alert)
    document = recorded(tmp_path, *[(modern, member) for member in (A, odd, C)] * 6)
    found = about(document, "flight")
    assert (found.backend, found.affected, found.reached, found.elsewhere_affected) == (None, 6, 6, 0)


@pytest.mark.parametrize(("planted_in_b", "attribute"), [({"behind": ()}, "chain"), ({"issuer": "Other CA"}, "chain")])
@pytest.mark.parametrize("alert", [42, 46, 48])
def test_of_two_members_the_one_whose_chain_is_rejected_is_odd(
    planted_in_b: dict[str, object], attribute: str, alert: int, tmp_path: Path
) -> None:
    """The third is not visible, so there is no majority; the failures tell."""
    host = "db77.example.com"
    issuer = str(planted_in_b.get("issuer", "Intermediate"))
    behind = () if "behind" in planted_in_b else (certificate(issuer, issuer="Other Root", is_authority=True),)
    odd = Member(certificate(host, (host, NAME), issuer=issuer), behind=behind, rejected_with=alert)
    down = replace(C, fails="closed")
    document = recorded(tmp_path, *[(ONE, member) for member in (A, odd, down)] * 6)
    found = about(document, attribute)
    label = {b.id: b.label for b in document.backends}[found.backend or ""]
    assert (label, found.affected, found.reached, found.elsewhere_affected) == ("B", 6, 6, 0)
    (failed,) = [f for f in document.findings if f.about is not None and f.about.attribute == attribute]
    (remedy, *_) = failed.remedies
    assert remedy.audience == "owners of back end B"
    assert "Intermediate" in remedy.text
    assert ("Other CA" in remedy.text) == (issuer == "Other CA")


def test_a_certificate_that_java_calls_unknown_is_counted_where_nothing_else_differs(tmp_path: Path) -> None:
    """Certificate, chain and names of the member are like those of the others: it is this one alone."""
    odd = replace(B, rejected_with=46)
    document = recorded(tmp_path, *[(ONE, member) for member in (A, odd, C)] * 6)
    found = about(document, "certificate")
    assert (found.backend, found.affected, found.reached, found.elsewhere_affected) == (
        document.backends[1].id,
        6,
        6,
        0,
    )


def test_a_certificate_of_tomorrow_is_not_valid_yet(tmp_path: Path) -> None:
    odd = replace(B, leaf=leaf(77, (NAME,), (3, 800)), rejected_with=42)
    document = recorded(tmp_path, *[(ONE, member) for member in (A, odd, C)] * 6)
    assert about(document, "validity").value.startswith("valid only from ")
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "the server's certificate is not valid yet" in failed.title
    assert failed.remedies[0].text.startswith("Issue the certificate db77.example.com")


def test_fishers_test_is_exact() -> None:
    for affected, reached, elsewhere_affected, elsewhere in [(1, 3, 0, 6), (3, 5, 1, 9), (0, 4, 2, 4), (6, 6, 0, 12)]:
        total, bad = reached + elsewhere, affected + elsewhere_affected
        ways = sum(comb(bad, k) * comb(total - bad, reached - k) for k in range(affected, min(bad, reached) + 1))
        exact = ways / comb(total, reached)
        assert share_by_chance(affected, reached, elsewhere_affected, elsewhere) == pytest.approx(exact)


def test_ranks_are_counted_out() -> None:
    here, elsewhere = [3.0, 8.0, 9.0], [1.0, 2.0, 5.0, 7.0]
    above = sum(a > b for a in here for b in elsewhere)
    pooled = sorted(here + elsewhere)
    orders = [sum(a > b for a in some for b in pooled if b not in some) for some in combinations(pooled, len(here))]
    assert ranks_by_chance(here, elsewhere) == pytest.approx(sum(u >= above for u in orders) / len(orders))
    assert ranks_by_chance([1.0] * 9, [1.0] * 9) > 0.4


def test_chance_finds_less_than_it_says() -> None:
    """Of pools whose members all fail equally often, one in a hundred at most has a member that is called odd."""
    rng = random.Random(1)
    found = 0
    for _ in range(1000):
        failed = [[rng.random() < 0.1 for _ in range(30)] for _ in range(3)]
        found += any(is_more_often(sum(one), 30, sum(map(sum, failed)) - sum(one), 60, looks=3) for one in failed)
    assert found <= 10


def test_two_members_with_one_fault_are_both_named(tmp_path: Path) -> None:
    odd = [PLANTED["validity"](A), replace(PLANTED["validity"](A), leaf=leaf(78, (NAME,), (-900, -9)))]
    document = recorded(tmp_path, *[(ONE, member) for member in (B, C, *odd, pool_of(4)[3])] * 4)
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert failed.about is not None
    assert (failed.about.backend, failed.about.affected, failed.about.reached) == (None, 8, 8)
    assert "8 handshakes failed at back ends C, D: " in failed.title


def test_several_servers_behind_one_certificate(tmp_path: Path) -> None:
    """Who of them is odd is not visible, but how many came there."""
    odd = replace(A, behind=(), rejected_with=48)
    document = recorded(tmp_path, *[(ONE, member) for member in (A, odd, A)] * 6)
    found = about(document, "chain")
    assert (found.backend, found.affected, found.reached, found.elsewhere) == (None, 6, 6, 12)
    assert (found.value, found.others) == ("no intermediate certificate", "Intermediate")


def test_a_flight_that_the_client_rejects_without_keys(tmp_path: Path) -> None:
    caller = Caller("10.0.0.10", versions=(0x0304, 0x0303))
    recording = Recording(random.Random(0))
    for _ in range(5):
        recording.call(caller, A)
        recording.call(caller, replace(B, rejected_with=ENCRYPTED))
    document = document_of(written(tmp_path, recording.flows))
    found = about(document, "flight")
    assert (found.backend, found.affected, found.elsewhere_affected, found.elsewhere) == (None, 5, 0, 5)
    assert [f.grade for f in document.findings if f.about] == ["inferred"]


MODERN = Caller("10.0.0.10", versions=(0x0304, 0x0303))


@pytest.mark.parametrize(
    ("odd", "attribute", "value"),
    [
        (replace(B, rejected_with=ENCRYPTED, certificate_bytes=700), "flight", "a flight of 4 encrypted records"),
        (replace(B, rejected_with=45, certificate_bytes=700), "validity", "a flight of 4 encrypted records"),
        (replace(B, refuses=48, certificate_bytes=700), "client_authorities", "a flight of 4 encrypted records"),
        (replace(B, rejected_with=ENCRYPTED, retries=True), "flight", "asks for another group (HelloRetryRequest)"),
        (replace(B, rejected_with=ENCRYPTED, modern_suite=b"\x13\x03"), "flight", "TLS_CHACHA20_POLY1305_SHA256"),
    ],
)
def test_who_is_not_visible_is_counted_by_the_answer(odd: Member, attribute: str, value: str, tmp_path: Path) -> None:
    document = recorded(tmp_path, *[(MODERN, member) for _ in range(6) for member in (A, odd, C)])
    found = about(document, attribute)
    assert (found.backend, found.affected, found.reached) == (None, 6, 6)
    assert (found.elsewhere_affected, found.elsewhere) == (0, 12)
    assert value in found.value
    assert [f.grade for f in document.findings if f.about is found] == ["inferred"]
    assert not document.backends


def test_a_mixed_version_is_what_failures_have_in_common(tmp_path: Path) -> None:
    """Two members speak TLS 1.2 and are known by their certificates; the third one is counted alone."""
    old = [replace(member, version=0x0303) for member in (A, C)]
    odd = replace(B, rejected_with=ENCRYPTED)
    document = recorded(tmp_path, *[(MODERN, member) for _ in range(6) for member in (old[0], odd, old[1])])
    found = about(document, "flight")
    assert (found.affected, found.reached, found.elsewhere_affected) == (6, 6, 0)
    assert found.value.endswith("TLSv1.3")
    assert found.others.endswith("TLSv1.2")


def test_flights_that_differ_by_their_signature_are_one_shape(tmp_path: Path) -> None:
    """The certificate of the member at which all fail is a byte longer: that is no more than a signature varies."""
    odd = replace(B, rejected_with=ENCRYPTED, certificate_bytes=901)
    document = recorded(tmp_path, *[(MODERN, member) for _ in range(8) for member in (A, odd, C)])
    found = about(document, "flight")
    assert "flight of" not in found.value
    assert found.affected == 8


def test_the_short_flight_of_a_session_is_no_other_member(tmp_path: Path) -> None:
    """Full handshakes fail half of the time, sessions never: that tells nothing of who answered."""
    odd = replace(A, rejected_with=ENCRYPTED)
    resumed = [(replace(MODERN, resumes=True), A)] * 20
    document = recorded(tmp_path, *[(MODERN, member) for _ in range(5) for member in (A, odd)], *resumed)
    found = about(document, "flight")
    assert "flight of" not in found.value
    assert found.affected == 5


def test_who_rejects_every_flight_accuses_nobody(tmp_path: Path) -> None:
    """One client of two rejects everything; the flights that it sees are the same that the other one takes."""
    stranger = replace(MODERN, address="10.0.0.99", distrusts=True)
    odd = replace(B, certificate_bytes=700)
    calls = [(caller, member) for _ in range(6) for caller in (MODERN, stranger) for member in (A, odd)]
    assert not abouts(recorded(tmp_path, *calls))


def test_connections_without_a_name_are_counted(tmp_path: Path) -> None:
    document = recorded(tmp_path, *[(ONE, A), (replace(ONE, name=""), A)] * 4)
    found = about(document, "sni")
    assert (found.value, found.others, found.reached, found.elsewhere) == ("no name", NAME, 4, 4)
    assert len(document.services) == 1


NO_NAME = replace(ONE, name="")
DEFAULT = replace(A, leaf=certificate("localhost", issuer="localhost"), behind=())


def test_the_default_certificate_that_only_the_nameless_got(tmp_path: Path) -> None:
    document = recorded(tmp_path, *[(ONE, A), (NO_NAME, DEFAULT), (ONE, B)] * 6)
    found = about(document, "sni")
    assert (found.backend, found.value, found.affected, found.reached) == (
        None,
        "no name; default certificate localhost",
        0,
        6,
    )
    (finding,) = [f for f in document.findings if f.about is found]
    assert finding.grade == "inferred"
    assert "Only they got localhost" in finding.explanation
    assert f"it lacks the name {NAME}" in finding.explanation
    assert "send it (SNI)" in finding.remedies[0].text


@pytest.mark.parametrize(
    "default", [replace(DEFAULT, rejected_with=46), replace(DEFAULT, fails=112)], ids=["rejected", "refused"]
)
def test_who_fails_for_want_of_a_name_is_one_finding(default: Member, tmp_path: Path) -> None:
    document = recorded(tmp_path, *[(ONE, A), (NO_NAME, default), (ONE, B)] * 6)
    found = about(document, "sni")
    assert (found.affected, found.reached, found.elsewhere_affected, found.elsewhere) == (6, 6, 0, 12)
    assert [(f.rule, f.grade) for f in document.findings if f.about is not None] == [("handshake-failed", "inferred")]


def test_nameless_that_fail_for_another_reason_want_no_name(tmp_path: Path) -> None:
    """They got the certificates that those with a name got, and rejected them: that is the client's own matter."""
    stranger = replace(NO_NAME, address="10.0.0.99", distrusts=True)
    document = recorded(tmp_path, *[(ONE, A), (stranger, A), (ONE, B), (stranger, B)] * 6)
    found = about(document, "sni")
    assert found.value == "no name"
    assert [f.rule for f in document.findings if f.about is found] == ["pool-drift"]
    assert [f.about for f in document.findings if f.rule == "handshake-failed"] == [None]


def test_one_certificate_more_is_no_default(tmp_path: Path) -> None:
    """Two connections without a name reached a member that none with a name reached, as it happens."""
    document = recorded(tmp_path, *[(ONE, A), (ONE, B)] * 2, *[(NO_NAME, C), (NO_NAME, A)] * 2)
    assert about(document, "sni").value == "no name"


def test_the_member_that_declines_its_own_sessions(tmp_path: Path) -> None:
    """It issues sessions as the others do, and keeps none."""
    pool = Pool(java=False)
    leaves = [leaf(number, (NAME,)) for number in range(3)]
    for number in range(45):
        server, session = number % 3, numbered(5000 + number)
        pool.full(leaves[server], session)
        if server == 1:
            pool.full(leaves[server], numbered(6000 + number), session)
        else:
            pool.resumed(session)
    document = document_of(written(tmp_path, pool.flows))
    (lost,) = [f for f in document.findings if f.rule == "resumption-lost"]
    assert lost.about is not None
    assert lost.about.backend == next(b.id for b in document.backends if b.label == "B")
    assert lost.title == f"Back end B of {NAME}:8081 declines even its own sessions"
    assert "declined 15 of 15 sessions" in lost.explanation


def test_resumption_that_works_is_no_finding(tmp_path: Path) -> None:
    pool = Pool(java=False)
    for number in range(20):
        pool.full(leaf(number % 2, (NAME,)), numbered(5000 + number))
        pool.resumed(numbered(5000 + number))
    assert not abouts(document_of(written(tmp_path, pool.flows)))


def test_what_declined_sessions_cost(tmp_path: Path) -> None:
    pool = Pool(java=False)
    pool.full(leaf(0, (NAME,)), numbered(5000))
    for number in range(1, 10):
        pool.full(leaf(number % 3, (NAME,)), numbered(5000 + number), numbered(4999 + number))
    (lost,) = [f for f in document_of(written(tmp_path, pool.flows)).findings if f.rule == "resumption-lost"]
    assert lost.title.startswith("9 of 9 sessions")
    assert "a round trip more" in lost.explanation
    assert "Share ticket keys" in lost.remedies[0].text


def test_a_certificate_that_expires_meanwhile(tmp_path: Path) -> None:
    """Its connections succeed before and after; since when it is not valid is told all the same."""
    pool = Pool(ns=START_NS - 5_000 * MS)
    alike = [certificate(host, (pool.name,)) for host in ("a", "b")]
    expires = certificate("x", (pool.name,), days=(-30, 0))
    for turn in range(12):
        for number, der in enumerate((*alike, expires)):
            pool.full(der, numbered(100 * turn + number))
        if turn == 5:
            pool.ns = START_NS + 60_000 * MS
    document = document_of(written(tmp_path, pool.flows))
    odd_one = about(document, "validity")
    [odd] = [backend for backend in document.backends if backend.id == odd_one.backend]
    assert odd.leaf == sha256(expires).hexdigest()
    assert (odd_one.since or "").startswith("2023-11-14T22:14:20")
