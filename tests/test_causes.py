"""What the evidence says, what a failure is told by, and what would bring the fault back: tables of values, and pools
that are built.
"""

from __future__ import annotations

import itertools
import shlex
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from inspector.document import Document, Finding
from inspector.findings.building import build
from inspector.findings.case import Options
from inspector.findings.failure_remedies import failure_remedies
from inspector.findings.jsse import Generation, equivalence
from inspector.findings.prediction import Common, common, extended, repeats
from inspector.findings.programs import hits
from inspector.findings.reasons import doubt
from inspector.findings.shared_remedies import change_remedies
from inspector.findings.signs import Abort, Manner, Sign, Signs, weigh
from inspector.tls import messages
from inspector.tracking.certificate_names import authority, covers
from inspector.tracking.certificates import Identity, ParsedCertificate, parse
from inspector.tracking.clients import NOBODY, writer
from tests.build import (
    CHANGE,
    DATA,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    NAME,
    Flow,
    Pool,
    certificate,
    certificates,
    client_hello,
    document_of,
    facts_of,
    message,
    numbered,
    record,
    server_hello,
    written,
)

Judged = Callable[[Pool], Document]
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z, W = (numbered(n) for n in (1, 2, 3, 4))
GIVEN = Abort(
    is_logged=False,
    has_origin=True,
    is_issued=True,
    differs=True,
    is_java=True,
    code=42,
    slow_ns=None,
    went_on_before=False,
)
ALIKE = Signs(accepted=0, gave_up_unmarked=2, unmarked_alerts=frozenset({42}))
SLOW = 499_000_000


@pytest.mark.parametrize(
    ("change", "signs", "manner", "row", "weight"),
    [
        ({}, Signs(), Manner(), Sign.RULE, "confirmed"),
        ({}, Signs(accepted=3), Manner(went_on=9), Sign.RULE, "confirmed"),
        (
            {"is_logged": True, "has_origin": False, "slow_ns": SLOW, "code": None},
            ALIKE,
            Manner(9, 9),
            Sign.LOG,
            "confirmed",
        ),
        ({"code": None, "slow_ns": SLOW}, Signs(accepted=3), Manner(went_on=1), Sign.SLOW_AND_PATIENT, "not"),
        ({"code": None, "slow_ns": SLOW}, Signs(), Manner(slow_unmarked=1), Sign.SLOW_EVERYWHERE, "not"),
        (
            {"code": None, "slow_ns": SLOW, "has_origin": False},
            Signs(),
            Manner(went_on=1),
            Sign.SLOW_AND_PATIENT,
            "not",
        ),
        ({"has_origin": False}, Signs(), Manner(), Sign.ORIGIN, "possible"),
        ({"is_issued": False}, Signs(), Manner(), Sign.ISSUER, "possible"),
        ({"differs": False}, Signs(), Manner(), Sign.CERTIFICATES, "possible"),
        ({"is_java": False}, Signs(), Manner(), Sign.STACK, "possible"),
        ({"code": None, "slow_ns": SLOW}, Signs(accepted=3), Manner(), Sign.SLOW, "possible"),
        ({"went_on_before": True}, Signs(accepted=3), Manner(went_on=2), Sign.ONE_CACHE, "possible"),
        ({}, ALIKE, Manner(), Sign.NEVER_ACCEPTED, "possible"),
        ({}, Signs(1, 2, frozenset({42})), Manner(), Sign.GAVE_UP_ELSEWHERE, "possible"),
        ({"code": None}, ALIKE, Manner(), Sign.RULE, "confirmed"),
    ],
)
def test_evidence_is_weighed_by_the_first_row_that_holds(
    change: dict[str, Any], signs: Signs, manner: Manner, row: Sign, weight: str
) -> None:
    found = weigh(GIVEN._replace(**change), signs, manner)
    assert (found.row, found.weight) == (row, weight)
    assert bool(doubt(found)) == (weight != "confirmed")


def of(document: Document, rule: str) -> list[Finding]:
    return [f for f in document.findings if f.rule == rule]


@pytest.mark.parametrize(
    ("common_name", "dns", "ips", "wanted", "has_it"),
    [
        ("db1", ("db.example.com",), (), "db.example.com", True),
        ("db1", ("DB.Example.com",), (), "db.example.com.", True),
        ("db1", ("*.example.com",), (), "db.example.com", True),
        ("db1", ("*.example.com",), (), "a.db.example.com", False),
        ("db1", ("*.example.com",), (), "example.com", False),
        ("db.example.com", ("db1.example.com",), (), "db.example.com", False),
        ("db.example.com", (), (), "db.example.com", True),
        ("db1", ("db1.example.com",), ("10.0.0.1",), "10.0.0.1", True),
        (None, ("db1.example.com",), (), "db.example.com", False),
    ],
)
def test_whether_a_certificate_has_a_name(
    common_name: str | None, dns: tuple[str, ...], ips: tuple[str, ...], wanted: str, has_it: bool
) -> None:
    assert covers(parse(certificate(common_name, dns, ips)), wanted) == has_it


def test_a_missing_name_is_told_with_the_certificates_that_lack_it(judged: Judged) -> None:
    """This client accepts only what has the name."""
    good = certificate("db1.example.com", (NAME,))
    pool = Pool(java=False)
    pool.full(good, X)
    pool.given_up(B, Y)
    pool.given_up(B, Z)
    (failed,) = of(judged(pool), "handshake-failed")
    assert (
        failed.title == "2 handshakes failed at back end B: the client rejected a certificate that lacks the name it"
        " asked for: alert bad_certificate (42) from the client"
    )
    assert f"The name {NAME} is missing from the certificate of B (puppetdb2); A has it." in failed.explanation
    assert "issued by Puppet CA" in failed.explanation
    assert [NAME in r.text for r in failed.remedies] == [True, False]
    assert {e.role for e in failed.evidence} == {"shown", "alert", "works"}


def test_names_are_no_cause_for_a_client_that_does_not_look_at_them(judged: Judged) -> None:
    pool = Pool(java=False)
    pool.full(A, X)
    pool.given_up(B, Y)
    (failed,) = of(judged(pool), "handshake-failed")
    assert "lacks the name" not in failed.title
    assert "is missing from" not in failed.explanation


def test_not_this_carries_no_remedy_of_javas_rule(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.given_up(B, Y, alert=46)
    document = judged(pool)
    assert {s.assessment.state for s in document.services} == {"not_this"}
    texts = " ".join(r.text for f in document.findings for r in f.remedies)
    assert "allowUnsafeServerCertChange" not in texts
    assert "DNS name" not in texts


def test_the_member_without_its_intermediate_is_named(judged: Judged) -> None:
    middle = certificate("Intermediate", issuer="Root", is_authority=True)
    pool = Pool(java=False)
    first = pool._begin(b"")
    hello_and_chain(pool, first, certificate("db1", (NAME,), issuer="Intermediate"), middle)
    pool.given_up(certificate("db2", (NAME,), issuer="Intermediate"), Y, alert=48)
    (failed,) = of(judged(pool), "handshake-failed")
    assert "Back end B sends no intermediate certificate" in failed.explanation
    assert "issued by Intermediate" in failed.explanation
    assert "intermediate" in failed.remedies[0].text


def hello_and_chain(pool: Pool, flow: Flow, *ders: bytes) -> None:
    flow.server_says(
        record(
            22, server_hello(numbered(flow.port + (1 << 20)), X) + certificates(*ders) + message(12, b"s" * 70) + DONE
        )
    )
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED).client_says(DATA).server_says(DATA)
    pool._end(flow.close())


def test_chains_and_rotations_are_told_by_name(judged: Judged) -> None:
    pool = Pool()
    for number, issuer in enumerate(("One", "Two")):
        flow = pool._begin(b"")
        hello_and_chain(
            pool, flow, certificate(f"db{number}", (f"db{number}.example.com",)), certificate(issuer, is_authority=True)
        )
    (drift,) = [f for f in of(judged(pool), "pool-drift") if "chain" in f.title]
    assert drift.explanation == "A: One; B: Two."


def test_the_member_that_alone_lacks_ems_is_named_with_its_remedy_first(judged: Judged) -> None:
    pool = Pool(ems=True)
    pool.full(A, X, ems=True)
    pool.resumed(X, ems=True)
    pool.given_up(B, Y, X, ems=False)
    pool.full(B, Z, ems=False)
    (finding,) = of(judged(pool), "certificate-change-abort")
    assert "of the back ends B alone lacks it, A has it" in finding.explanation
    assert finding.remedies[0].text.startswith("Offer extended master secret (EMS) at puppetdb2 too")
    assert not any("BACKEND" in r.text + r.check for r in finding.remedies)


def test_a_client_without_ems_is_named(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    (finding,) = of(judged(pool), "certificate-change-abort")
    assert "The client offers no extended master secret (EMS)." in finding.explanation
    assert finding.remedies[0].audience == "PKI"


@pytest.mark.parametrize("name", ["$(reboot)", "a; rm -rf ~", "`id`", "a'b", "db.example.com"])
def test_names_from_the_wire_are_one_word_of_a_command(name: str) -> None:
    remedies = [
        *change_remedies(name, 8081, (name, name), (name,)),
        *failure_remedies("no_name", name, 8081),
        *failure_remedies("refused", name, 8081),
    ]
    for remedy in remedies:
        words = shlex.split(remedy.check)
        if "-servername" in words:
            assert words[words.index("-servername") + 1] == name


def test_one_service_with_and_without_a_name(tmp_path: Path) -> None:
    named, nameless, other = (
        Pool(),
        Pool(port=50_000, client="10.0.0.11"),
        Pool(port=55_000, client="10.0.0.12", name="other.example.com"),
    )
    named.full(A, X)
    nameless.full(A, Y)
    hello = nameless.flows[0].segments
    offered = client_hello(numbered(nameless.port))
    first = next(s for s in hello if s.payload)
    first.payload = record(22, without_name(offered), 0x0301)
    repair(nameless.flows[0])
    document = document_of(written(tmp_path, named.flows + nameless.flows))
    assert [(s.name, s.connections) for s in document.services] == [(NAME, 2)]
    other.full(A, Z)
    document = document_of(written(tmp_path, named.flows + nameless.flows + other.flows))
    assert sorted((s.name, s.connections) for s in document.services) == [
        ("10.0.0.100", 1),
        ("other.example.com", 1),
        (NAME, 1),
    ]


def without_name(hello: bytes) -> bytes:
    """A ClientHello without server_name, which stands last in the builder's."""
    body = bytearray(hello[4 : len(hello) - 9 - len(NAME)])
    at = 2 + 32 + 1
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    body[at : at + 2] = struct.pack(">H", len(body) - at - 2)
    return hello[:1] + len(body).to_bytes(3, "big") + bytes(body)


def repair(flow: Flow) -> None:
    """Sequence numbers that follow the payloads."""
    sent = {True: 0, False: 0}
    for segment in flow.segments:
        segment.seq, segment.ack = sent[segment.from_client], sent[not segment.from_client]
        sent[segment.from_client] += len(segment.payload) + (1 if segment.flags & 3 else 0)


def test_programs_are_told_by_suites_and_not_by_what_the_session_changes() -> None:
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"ems": True},
        {"ticket": b"t" * 40},
        {"psk": b"p" * 40, "versions": (0x0304, 0x0303)},
    )
    bodies = [client_hello(numbered(n), **kind)[4:] for n, kind in enumerate(kinds)]
    keys = {writer(messages.client_hello(body).shape).program for body in bodies}
    assert len(keys) == 1
    other = bodies[0].replace(b"\xc0\x2b\xc0\x2f", b"\xc0\x2c\xc0\x30")
    assert writer(messages.client_hello(other).shape).program not in keys
    assert NOBODY.program == b""


def named(
    number: int, dns: tuple[str, ...] = (), ips: tuple[str, ...] = (), subject: str = "", issuer: str = "cn=ca"
) -> ParsedCertificate:
    digest = bytes([number]) * 32
    return ParsedCertificate(
        digest, subject.upper(), issuer, "1", 0, 0, Identity(digest, ips, dns, subject, issuer), "", "", False
    )


CERTIFICATES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a.example", "B.example", "b.example"]), max_size=2, unique=True).map(tuple),
        st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=2, unique=True).map(tuple),
        st.sampled_from(["", "cn=x", "cn=y"]),
    ),
    min_size=2,
    max_size=4,
)


@settings(max_examples=300)
@given(listed=CERTIFICATES, generation=st.sampled_from(["current", "first"]))
def test_what_is_common_is_what_javas_rule_finds(
    listed: list[tuple[tuple[str, ...], tuple[str, ...], str]], generation: Generation
) -> None:
    listed_certificates = [named(number, dns, ips, subject) for number, (dns, ips, subject) in enumerate(listed)]
    found = common(listed_certificates, generation)
    equal = all(
        equivalence(a.identity, b.identity, generation) != "none"
        for a, b in itertools.combinations(listed_certificates, 2)
    )
    assert bool(found) == equal


def test_what_is_common_is_named() -> None:
    assert common([named(1, ("a.example", "vip.example")), named(2, ("VIP.example", "b.example"))]) == [
        Common("dns", "vip.example", True)
    ]
    assert common([named(1, ips=("10.0.0.1",)), named(2, ("b",), ("10.0.0.1", "10.0.0.2"))]) == [
        Common("ip", "10.0.0.1", True)
    ]
    assert common([named(1, subject="cn=x"), named(2, subject="cn=x")]) == [Common("subject", "CN=X", True)]
    pairs = common([named(1, ("a", "b")), named(2, ("b", "c")), named(3, ("c", "a"))])
    assert {(c.value, c.is_of_all) for c in pairs} == {("a", False), ("b", False), ("c", False)}
    assert common([named(1, ("a",))]) == common([named(1, ("a",)), named(2, ("b",))]) == []


def test_who_lacks_ems_and_who_came_back(tmp_path: Path) -> None:
    java, old = Pool(ems=True), Pool(client="10.0.0.11", port=50_000)
    java.full(A, X, ems=True)
    java.resumed(X, ems=True)
    java.full(B, Y, X, ems=False)
    java.full(B, Z, ems=False)
    old.ns = java.ns
    old.full(A, W)
    case = build(facts_of(written(tmp_path, java.flows + old.flows)), Options())
    found = extended(case, case.services[0])
    assert [case.backends[i].label for i in found.doing] == ["A"]
    assert [case.backends[i].label for i in found.lacking] == ["B"]
    assert [case.clients[i].ip for i in found.silent] == ["10.0.0.11"]
    assert repeats(case, case.services[0]) == 2


def test_how_many_of_how_many(tmp_path: Path) -> None:
    java, beside = Pool(), Pool(client=Pool().client, port=50_000, java=False)
    java.full(A, X)
    java.resumed(X)
    java.given_up(B, Y, X)
    beside.full(B, Z)
    case = build(facts_of(written(tmp_path, java.flows + beside.flows)), Options())
    (hit,) = hits(case.everybody, [s for s in case.observed if s.gave_up]).values()
    assert (hit.aborted, hit.total, case.clients[hit.client].stack.name) == (1, 3, "jsse")


def test_an_issuer_is_called_by_its_common_name() -> None:
    assert authority(parse(certificate("a", issuer="Corp CA: ca.corp.example"))) == "Corp CA: ca.corp.example"
