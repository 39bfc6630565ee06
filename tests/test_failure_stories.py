"""The story of a failed handshake, for each family of causes: who answered with what, at which condition it ended and
how sure that is, where the same works, since when, and what its owner must do, with the names of whom it is about.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from inspector.bundle.content import content_of
from inspector.bundle.scope import ScopeRequest, scope_of
from inspector.bundle.slices import slice_of
from inspector.document import Finding
from inspector.findings.conditions import ConditionKind, conditions, ending, failed_of
from inspector.findings.judge import Analysis, judge
from inspector.reports import why_failed
from inspector.reports.alert_meanings import meaning
from inspector.reports.text import write_text
from inspector.text.zones import UTC
from tests.build import CHANGE, FINISHED, KEY_EXCHANGE, NAME, Pool, certificate, facts_of, numbered, written
from tests.odd_pools import ENCRYPTED, PLANTED, Caller, Member, Recording, leaf, pool_of

OLD = Caller("10.0.0.10")
NEW = Caller("10.0.0.11", versions=(0x0304, 0x0303))
FAMILIES: dict[str, tuple[Caller, Callable[[Member], Member]]] = {
    "expired": (OLD, PLANTED["validity"]),
    "expired13": (NEW, lambda m: replace(m, rejected_with=45)),
    "no intermediate": (OLD, PLANTED["chain"]),
    "name": (OLD, PLANTED["names"]),
    "bad": (OLD, lambda m: replace(m, leaf=leaf(77, (NAME,)), rejected_with=42)),
    "client CA": (OLD, PLANTED["client_authorities"]),
    "client CA 13": (NEW, lambda m: replace(m, refuses=48)),
    "access": (OLD, lambda m: replace(m, leaf=leaf(77, (NAME,)), refuses=49)),
    "suite": (OLD, lambda m: replace(m, fails=40)),
    "version": (OLD, PLANTED["versions"]),
    "sni": (OLD, lambda m: replace(m, fails=112)),
    "plain": (OLD, PLANTED["protocol"]),
    "down": (OLD, PLANTED["reachability"]),
    "flight": (NEW, lambda m: replace(m, rejected_with=ENCRYPTED)),
}
K = ConditionKind


@cache
def analysed(family: str) -> tuple[Analysis, Finding]:
    caller, changed = FAMILIES[family]
    members = pool_of(3)
    members[1] = changed(members[1])
    return told(Recording(random.Random(3)), [(caller, member) for _ in range(6) for member in members])


def told(recording: Recording, calls: Sequence[tuple[Caller, Member]]) -> tuple[Analysis, Finding]:
    for caller, member in calls:
        recording.call(caller, member)
    with TemporaryDirectory() as name:
        analysis = judge(facts_of(written(Path(name), recording.flows)))
    (finding,) = [f for f in analysis.document.findings if f.rule == "handshake-failed"]
    return analysis, finding


def text_of(analysis: Analysis) -> str:
    out = StringIO()
    write_text(analysis, None, out)
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(
    ("family", "unmet", "grade"),
    [
        ("expired", [K.VALIDITY], "observed"),
        ("expired13", [K.VALIDITY], "inferred"),
        ("no intermediate", [K.CHAIN], "observed"),
        ("name", [K.NAME], "observed"),
        ("bad", [], ""),
        ("client CA", [K.CLIENT_CERTIFICATE], "observed"),
        ("client CA 13", [K.CLIENT_CERTIFICATE], "inferred"),
        ("access", [K.CLIENT_CERTIFICATE], "observed"),
        ("suite", [K.PARAMETERS], "inferred"),
        ("version", [K.VERSION], "observed"),
        ("sni", [K.SERVER_NAME], "observed"),
        ("plain", [K.ANSWER], "observed"),
        ("down", [K.ANSWER], "observed"),
        ("flight", [], ""),
    ],
)
def test_the_condition_that_was_not_met(family: str, unmet: list[ConditionKind], grade: str) -> None:
    analysis, finding = analysed(family)
    listed = conditions(analysis.case, failed_of(analysis.case, finding))
    assert [condition.kind for condition in listed if condition.holds is False] == unmet
    assert {condition.grade for condition in listed if condition.holds is False} == ({grade} if grade else set())
    assert all(condition.frames for condition in listed if condition.grade != "not_visible")


@pytest.mark.parametrize(
    ("family", "by_client", "how", "code"),
    [
        ("expired", True, "alert", 45),
        ("bad", True, "alert", 42),
        ("no intermediate", True, "alert", 48),
        ("access", False, "alert", 49),
        ("suite", False, "alert", 40),
        ("client CA 13", False, "record", None),
        ("plain", False, "fin", None),
        ("down", False, "fin", None),
        ("flight", True, "record", None),
    ],
)
def test_who_ended_it_and_how(family: str, by_client: bool, how: str, code: int | None) -> None:
    analysis, finding = analysed(family)
    end = ending(failed_of(analysis.case, finding))
    assert (end.by_client, end.how, end.code) == (by_client, how, code)
    assert end.frame
    assert end.after_ns is not None
    assert end.after_ns >= 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_client_is_served_elsewhere(family: str) -> None:
    analysis, finding = analysed(family)
    failed = failed_of(analysis.case, finding)
    assert failed.works is not None
    assert failed.works.outcome == "established"
    assert failed.works.client == failed.observed.client
    assert failed.works.backend != failed.observed.backend or failed.works.backend < 0
    (evidence,) = [e for e in finding.evidence if e.role == "works"]
    assert evidence.connection == failed.works.id
    assert evidence.frames
    steps = why_failed.steps(analysis, finding, UTC)
    assert any("the same client, with an equal ClientHello, succeeded" in step.text and step.holds for step in steps)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (
            "expired",
            [
                "back end B (db77.example.com) answered",
                "from 2021-09-05 UTC until 2023-11-11 UTC; shown on 2023-11-14 UTC",
            ],
        ),
        (
            "expired",
            ["a certificate has expired or is not currently valid (RFC 5246, 7.2.2)", "issued by Intermediate"],
        ),
        ("expired13", ["TLS 1.3 encrypts it", "(RFC 8446, 6.2)", "at which back end is not visible"]),
        ("no intermediate", ["it was sent alone; back end A (db0.example.com) sends Intermediate"]),
        ("name", [f"has the name asked for, {NAME} (it has only db77.example.com)"]),
        ("client CA", ["the client's certificate client.example.com", "it asks for one of CN=Client CA"]),
        ("access", ["access control did not let it in"]),
        ("suite", ["no acceptable set of security parameters could be negotiated", "elsewhere TLS_ECDHE"]),
        ("version", ["the client offers TLSv1.2; elsewhere TLSv1.2 was chosen"]),
        ("sni", ["no server goes by the name in the hello (RFC 6066, 3)"]),
        ("plain", ['what came begins with "HTTP/1.1 400 Bad"']),
        ("down", ["nobody answered", "the server closed it with a FIN"]),
    ],
)
def test_the_story_in_words(family: str, words: list[str]) -> None:
    analysis, finding = analysed(family)
    story = " | ".join(step.text for step in why_failed.steps(analysis, finding, UTC))
    assert [each for each in words if each not in story] == []
    assert all(" ".join(step.text.split()) in text_of(analysis) for step in why_failed.steps(analysis, finding, UTC))


@pytest.mark.parametrize(
    ("family", "audiences", "words"),
    [
        ("expired", ["PKI", "balancer"], ["Renew the certificate db77.example.com (serial", "back end B (db77.exa"]),
        ("no intermediate", ["owners of back end B", "balancer"], ["Let back end B (db77.example.com) send Intermed"]),
        ("name", ["PKI", "balancer"], [f"Put the name {NAME} into the certificate db77.example.com"]),
        ("client CA", ["owners of back end B", "balancer"], ["accept the CA Client CA", "client.example.com"]),
        ("access", ["owners of back end B (db77.example.com)"], ["admit the client"]),
        ("suite", ["owners of the pool"], ["not A (db0.example.com) or B (db2.example.com)"]),
        ("down", ["owners of the pool"], ["not A (db0.example.com) or B (db2.example.com)", "take it out of the pool"]),
    ],
)
def test_remedies_are_for_the_owner_of_the_cause_and_name_it(
    family: str, audiences: list[str], words: list[str]
) -> None:
    _, finding = analysed(family)
    assert [remedy.audience for remedy in finding.remedies][: len(audiences)] == audiences
    said = " ".join(remedy.text for remedy in finding.remedies)
    assert [each for each in words if each not in said] == []
    assert "BACKEND1" not in " ".join(remedy.check for remedy in finding.remedies)


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_is_told_to_cure_what_did_not_happen(family: str) -> None:
    """A report about another disease has no remedy against Java's certificate change."""
    analysis, finding = analysed(family)
    scope = scope_of(analysis, ScopeRequest())
    cut = slice_of(analysis, scope)
    content = content_of(analysis, scope, cut, {}, UTC)
    said = " ".join(r.text + r.check for advice in content.advice for _, r in advice.remedies)
    for word in ("allowUnsafeServerCertChange", "server_urls", "source affinity", "extended master secret"):
        assert word not in said
    assert not content.references
    (part,) = content.parts
    (story,) = part.failures
    assert story.finding.id == finding.id
    assert story.steps
    assert story.drawing.arrows
    assert finding.id not in [other.finding.id for other in content.others]
    elsewhere = next(e.connection for e in finding.evidence if e.role == "works")
    assert elsewhere in {analysis.case.observed[index].id for index in cut.members}


def test_both_certificates_stand_side_by_side_where_they_matter() -> None:
    rows, works, fails = why_failed.certificates(*analysed("no intermediate"))
    assert (works, fails) == ("works at A", "fails at B")
    assert {row.name: (row.old, row.new) for row in rows}["sent with it"] == ("Intermediate", "nothing")
    assert why_failed.certificates(*analysed("client CA"))[0] == []
    assert why_failed.certificates(*analysed("suite"))[0] == []
    assert why_failed.certificates(*analysed("expired13"))[0] == []


def test_since_when_is_told_by_the_last_that_went_well() -> None:
    members = pool_of(3)
    renewed = replace(members[1], behind=(), rejected_with=48)
    before = [(OLD, member) for _ in range(3) for member in members]
    after = [(OLD, member) for _ in range(6) for member in (members[0], renewed, members[2])]
    analysis, finding = told(Recording(random.Random(1)), [*before, *after])
    failed = failed_of(analysis.case, finding)
    assert failed.went_well is not None
    assert failed.went_well.backend == failed.observed.backend
    assert failed.went_well.index < failed.observed.index
    assert why_failed.steps(analysis, finding, UTC)[-1].text.startswith("since ")


def test_where_nobody_succeeds_there_is_nothing_to_compare_with() -> None:
    calls = [(OLD, replace(member, behind=(), rejected_with=48)) for _ in range(3) for member in pool_of(2)]
    analysis, finding = told(Recording(random.Random(1)), calls)
    assert failed_of(analysis.case, finding).works is None
    assert not [e for e in finding.evidence if e.role == "works"]
    assert [remedy.audience for remedy in finding.remedies] == [
        "PKI",
        "owners of back end A (db0.example.com), back end B (db1.example.com)",
    ]
    assert "the CA Intermediate" in finding.remedies[1].text


def test_another_hello_is_no_comparison() -> None:
    members = pool_of(2)
    calls = [(replace(OLD, alpn="h2"), members[0]), (OLD, PLANTED["chain"](members[1]))] * 6
    analysis, finding = told(Recording(random.Random(1)), calls)
    assert failed_of(analysis.case, finding).works is None


def test_an_alert_means_what_its_standard_says() -> None:
    assert meaning(45, False) == "a certificate has expired or is not currently valid (RFC 5246, 7.2.2)"
    assert meaning(116, True).endswith("(RFC 8446, 6.2)")
    assert meaning(120, True).endswith("(RFC 7301, 3.2)")
    assert meaning(255, True) == ""


def test_the_aborts_at_the_odd_member_come_before_the_shared_name(tmp_path: Path) -> None:
    first, second, third = (certificate(f"db{n}", (f"db{n}.example.com",)) for n in range(3))
    pool = Pool(ems=True)
    session, fourth = numbered(1), numbered(4)
    for _ in range(3):
        pool.full(first, session, ems=True)
        pool.resumed(session, ems=True)
        pool.full(third, numbered(3), ems=True)
        pool.given_up(second, fourth, session, ems=False)
    pool.full(second, fourth, ems=False)
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    (service,) = analysis.document.services
    (odd,) = [b.label for b in analysis.document.backends if b.ems is False]
    assert service.assessment.because[0] == (
        f"all 3 aborts happened at back end {odd}, the only one without extended master secret (EMS)"
    )
    assert service.assessment.do.startswith(f"switch extended master secret (EMS) on at back end {odd}, which alone")
    texts = [r.text for f in analysis.document.findings if f.rule == "certificate-change-abort" for r in f.remedies]
    assert (
        texts[0]
        == "Offer extended master secret (EMS) at db1 too, as the other back ends do: then the check is skipped."
    )
    assert not any("all of them, none left out" in text for text in texts)


def test_only_certificates_that_lack_the_name_are_to_change(tmp_path: Path) -> None:
    has, lacks = certificate("db0", ("db0.example.com", NAME)), certificate("db1", ("db1.example.com",))
    pool = Pool()
    session = numbered(1)
    pool.full(has, session)
    pool.resumed(session)
    pool.given_up(lacks, numbered(2), session)
    pool.full(lacks, numbered(2))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    (service,) = analysis.document.services
    assert service.assessment.do == (f"put DNS {NAME} into the certificate of back end B too: back end A has it")
    (finding,) = [f for f in analysis.document.findings if f.rule == "certificate-change-abort"]
    assert finding.remedies[0].text.startswith(
        f"Put the DNS name {NAME}, which others have, into the certificate of db1 too"
    )


def test_a_wildcard_is_no_host_to_ask(tmp_path: Path) -> None:
    pool = Pool(java=False)
    pool.full(certificate("db0", (NAME,)), numbered(1))
    pool.given_up(certificate("*.example.com", (NAME,), days=(-800, -3)), numbered(2), alert=45)
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    (finding,) = [f for f in analysis.document.findings if f.rule == "handshake-failed"]
    assert f"-connect {NAME}:8081" in finding.remedies[0].check


def test_a_client_that_went_on_to_its_key_exchange_trusts_the_certificate(tmp_path: Path) -> None:
    pool = Pool(java=False)
    flow = pool._begin(b"")
    pool._flight(flow, certificate("db0", (NAME,)), numbered(1), ems=False)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED)
    pool._end(flow.close())
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    (finding,) = [f for f in analysis.document.findings if f.rule == "handshake-failed"]
    listed = conditions(analysis.case, failed_of(analysis.case, finding))
    assert (listed[-1].kind, listed[-1].holds, listed[-1].grade) == (K.TRUST, True, "inferred")
    assert [remedy.audience for remedy in finding.remedies] == ["owners of the client"]
