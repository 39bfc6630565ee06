"""More services than are judged: those that are used most are, and how many are not is a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import bounds
from inspector.findings.case import Options
from inspector.findings.judge import judge
from tests.attacks.attack import A, B, Crowd, abort_flows
from tests.attacks.findings import at_name
from tests.attacks.hellos import hello_to
from tests.build import Flow, Pool, facts_of, numbered, record, written


def greeting(count: int) -> Crowd:
    """Hellos to as many names."""
    pool = Crowd()
    for number in range(count):
        pool.port += 1
        flow = pool._placed(Flow(pool.port, pool.ns)).open()
        pool.flows.append(flow)
        flow.client_says(record(22, hello_to(numbered(pool.port), f"host-{number}.example.com")))
        pool._end(flow.close())
    return pool


def test_a_service_that_is_used_is_not_pushed_out_by_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SERVICES", 10)
    crowd = greeting(50)
    path = written(tmp_path, [*crowd.flows, *abort_flows(crowd.ns)])
    document = judge(facts_of(path)).complete()
    assert len(document.services) == 10
    assert [service.name for service in document.services][:2] == ["host-0.example.com", "host-1.example.com"]
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == ["confirmed"]
    (limit,) = [limit for limit in document.limits if limit.kind == "bounded"]
    assert "too many: 41, with 41 connections" in limit.text
    assert len(document.connections) == 9 + 3
    one = judge(facts_of(path), Options(vips=(("host-40.example.com", 8081),))).complete()
    assert [service.name for service in one.services] == ["host-40.example.com"]
    assert not [limit for limit in one.limits if limit.kind == "bounded"]


def test_nobody_is_acquitted_where_services_were_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    for number in range(30):
        pool.full(A, numbered(number), ems=True)
    pool.full(B, numbered(40), ems=True)
    path = written(tmp_path, [*pool.flows, *greeting(20).flows])
    before = judge(facts_of(path)).complete().services[0].assessment
    monkeypatch.setattr(bounds, "SERVICES", 5)
    after = judge(facts_of(path)).complete().services[0].assessment
    assert before.state == after.state
    assert "bounded" in {unseen.kind for unseen in after.unseen}
    assert "bounded" not in {unseen.kind for unseen in before.unseen}


def test_aborts_at_as_many_services_as_are_judged_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SERVICES", 8)
    pool = Crowd()
    for number in range(12):
        at_name(pool, number)
    document = judge(facts_of(written(tmp_path, pool.flows))).complete()
    found = [f for f in document.findings if f.rule == "certificate-change-abort" and f.verdict == "confirmed"]
    assert len(found) == len(document.services) == 8
