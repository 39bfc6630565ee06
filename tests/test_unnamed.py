"""A connection of which the ClientHello was lost asked for a name that nobody knows: it acquits none of the services
that it may be to.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.document import Assessment
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.tracking import unnamed
from tests.build import Flow, Pool, certificate, client_hello, facts_of, numbered, record, written

A, B = (certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in (1, 2))
WIDE = certificate("wide", ("*.example.com",))
OTHER = certificate("other", ("www.example.net",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))
VIP, ELSEWHERE = "10.0.0.100", "10.0.0.200"
FIRST, SECOND = "puppetdb.example.com", "report.example.com"


def moved(flow: Flow, server: str, port: int = 8081) -> Flow:
    flow.server, flow.server_port = server, port
    return flow


def without_hello(flow: Flow) -> Flow:
    flow.segments = [s for s in flow.segments if not (s.from_client and s.payload[5:6] == b"\1")]
    return flow


def assessments(pool: Pool, folder: Path) -> dict[str, Assessment]:
    return {s.name: s.assessment for s in judge(facts_of(written(folder, pool.flows))).document.services}


def two_names(pool: Pool) -> None:
    """Both at one address, each with its one certificate."""
    for name, der, session in ((FIRST, A, X), (SECOND, B, Y)):
        pool.name = name
        pool.full(der, session)
        pool.resumed(session)


def test_an_address_of_several_names(tmp_path: Path) -> None:
    """What was lost may be the abort of either."""
    pool = Pool()
    two_names(pool)
    assert {said.grade for said in assessments(pool, tmp_path).values()} == {"observed"}
    without_hello(pool.given_up(OTHER, Z, X))
    said = assessments(pool, tmp_path)
    assert said[VIP].state == "unknown"
    for name in (FIRST, SECOND):
        assert (said[name].state, said[name].grade) == ("protected", "inferred")
        assert [(u.kind, u.count) for u in said[name].unseen] == [("lost_names", 1)]
        assert "the server name (SNI) that it asked for was not captured" in said[name].sentence


TIES = {
    # what was lost: its address, port and certificate; is it in question for whom asks for puppetdb.example.com
    "a certificate that the service shows": (ELSEWHERE, 8081, A, True),
    "a certificate good for the name": (ELSEWHERE, 8081, WIDE, True),
    "nothing": (ELSEWHERE, 8081, OTHER, False),
    "another port": (ELSEWHERE, 443, A, False),
}


@pytest.mark.parametrize("tie", TIES)
def test_what_ties_it_to_a_service(tie: str, tmp_path: Path) -> None:
    address, port, der, is_tied = TIES[tie]
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    without_hello(moved(pool.given_up(der, Z), address, port))
    said = assessments(pool, tmp_path)
    assert (said[FIRST].state, said[FIRST].grade) == ("protected", "inferred" if is_tied else "observed")
    assert [u.kind for u in said[FIRST].unseen] == ["lost_names"] * is_tied


def test_a_back_end_that_a_balancer_reaches(tmp_path: Path) -> None:
    """Both legs were captured of one connection; of another only the leg behind the balancer, and not its hello."""
    pool = Pool()
    front = pool.full(A, X)
    leg = moved(Flow(50_000, front.segments[0].ns + 1000, "10.0.1.1"), ELSEWHERE)
    leg.segments = [
        s.__class__(s.ns + 1000, s.from_client, s.flags, s.seq, s.payload, leg, s.ack) for s in front.segments
    ]
    pool.flows.append(leg)
    lost = without_hello(moved(pool.given_up(OTHER, Z), ELSEWHERE))
    lost.client = leg.client
    said = assessments(pool, tmp_path)
    assert [u.kind for u in said[FIRST].unseen] == ["lost_names"]


@pytest.mark.parametrize("host", [FIRST, VIP])
def test_who_looks_at_one_service_alone_is_told_of_it_too(host: str, tmp_path: Path) -> None:
    """``--vip`` leaves what may be to it, at an address where it answers."""
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    without_hello(pool.given_up(B, Z, X))
    pool.name = SECOND
    moved(pool.full(B, Y), ELSEWHERE)
    without_hello(moved(pool.given_up(B, numbered(4)), ELSEWHERE))
    facts = facts_of(written(tmp_path, pool.flows))
    (service,) = judge(facts, Options(vips=((host, 8081),))).document.services
    assert (service.connections, service.assessment.state) == (3, "unknown")


def test_a_hello_that_asks_for_no_name_was_read(tmp_path: Path) -> None:
    pool = Pool()
    two_names(pool)
    pool.name = ""
    pool.full(OTHER, Z)
    said = assessments(pool, tmp_path)
    assert [said[name].unseen for name in (FIRST, SECOND)] == [[], []]


def test_a_hello_that_was_cut_may_have_asked(tmp_path: Path) -> None:
    """Its beginning was captured, its name not."""
    hello = record(22, client_hello(numbered(9), Z), 0x0301)
    pool = Pool()
    two_names(pool)
    flow = pool.given_up(OTHER, Z)
    (said_first,) = (s for s in flow.segments if s.from_client and s.payload[5:6] == b"\1")
    said_first.payload = hello[:-120]
    said = assessments(pool, tmp_path)
    assert [u.kind for u in said[FIRST].unseen] == ["lost_names"]


def test_of_a_crowd_each_may_be_to_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unnamed, "MOST_PAIRS", 0)
    pool = Pool()
    pool.full(A, X)
    without_hello(moved(pool.given_up(OTHER, Z), ELSEWHERE))
    assert [u.kind for u in assessments(pool, tmp_path)[FIRST].unseen] == ["lost_names"]


def test_an_abort_stands(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    without_hello(moved(pool.full(B, Z), ELSEWHERE))
    assert assessments(pool, tmp_path)[FIRST].state == "confirmed"
