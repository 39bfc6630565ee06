"""Every other rule has something that triggers it and a near miss that does not. Numbers add up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.document import Document, Finding
from tests.build import (
    CLIENT,
    MS,
    START_NS,
    Flow,
    Pool,
    certificate,
    client_hello,
    document_of,
    numbered,
    record,
    written,
)
from tests.conftest import CAPTURES, bundled

Judged = Callable[[Pool], Document]
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
SHARED_A = certificate("puppetdb1", ("puppetdb1.example.com", "puppetdb.example.com"))
SHARED_B = certificate("puppetdb2", ("puppetdb2.example.com", "PuppetDB.example.com"))
X, Y, Z = (numbered(n) for n in (1, 2, 3))


def rules(document: Document) -> list[tuple[str, str]]:
    return sorted((f.rule, f.verdict) for f in document.findings)


def of(document: Document, rule: str) -> list[Finding]:
    return [f for f in document.findings if f.rule == rule]


def state(document: Document) -> str:
    (service,) = document.services
    return service.assessment.state


def resumed_then_declined(pool: Pool, first: bytes = A, second: bytes = B, alert: int | None = 42) -> Pool:
    pool.full(first, X)
    pool.resumed(X)
    pool.given_up(second, Y, X, alert=alert)
    pool.full(second, Z)
    return pool


def test_pool_drift(judged: Judged) -> None:
    pool = Pool(ems=True)
    pool.full(A, X, ems=True)
    pool.full(B, Y)
    drift = of(judged(pool), "pool-drift")
    assert {f.title.rsplit(" in ", 1)[1] for f in drift} == {"certificate names", "EMS"}
    assert {f.severity for f in drift} <= {"info", "low"}
    pool = Pool(ems=True)
    pool.full(SHARED_A, X, ems=True)
    pool.full(SHARED_B, Y, ems=True)
    assert not of(judged(pool), "pool-drift")


@pytest.mark.parametrize(
    ("days", "rule"),
    [
        ((-800, -3), "certificate-expired"),
        ((-800, 9), "certificate-expires-soon"),
        ((-1, 9), None),
        ((-800, 400), None),
    ],
)
def test_expiry(judged: Judged, days: tuple[int, int], rule: str | None) -> None:
    pool = Pool()
    pool.full(certificate("old", ("old.example.com",), days=days), X)
    found = [f for f in judged(pool).findings if f.rule.startswith("certificate-expire")]
    assert [f.rule for f in found] == ([rule] if rule else [])
    assert all(f.severity == ("high" if f.rule == "certificate-expired" else "low") for f in found)


@pytest.mark.parametrize(
    ("alert", "words"),
    [(46, "CA that the client trusts"), (45, "expired"), (70, "version"), (48, "does not trust the CA")],
)
def test_client_alerts_are_told_apart(judged: Judged, alert: int, words: str) -> None:
    pool = Pool()
    pool.given_up(A, X, alert=alert)
    document = judged(pool)
    (finding,) = of(document, "handshake-failed")
    assert words in finding.title
    assert (finding.severity, finding.grade, state(document)) == ("medium", "observed", "not_this")


@pytest.mark.parametrize(
    ("alert", "words"), [(40, "no common cipher suite"), (70, "supports no version"), (80, "internal error")]
)
def test_server_alerts_are_told_apart(judged: Judged, alert: int, words: str) -> None:
    pool = Pool()
    pool.server_alert(alert)
    (finding,) = of(judged(pool), "handshake-failed")
    assert words in finding.title


def test_success_fails_nothing(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    document = judged(pool)
    assert not of(document, "handshake-failed")
    assert not document.incidents


def test_plain_text_server(judged: Judged) -> None:
    flow = (
        Flow(50_000, START_NS)
        .open()
        .client_says(record(22, client_hello(numbered(9))))
        .server_says(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .close()
    )
    (finding,) = of(judged(Pool(flows=[flow])), "handshake-failed")
    assert "not TLS" in finding.title


def test_tls13_is_protected(judged: Judged) -> None:
    pool = Pool()
    pool.tls13()
    pool.tls13(psk=b"ticket", accepted=True)
    document = judged(pool)
    assert [c.handshakes[0].kind for c in document.connections] == ["full", "psk"]
    assert {c.handshakes[0].jsse.row for c in document.connections} == {1}
    assert state(document) == "protected"
    assert {c.outcome for c in document.connections} == {"established"}


def test_health_checks_raise_nothing(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    checks = Pool(client="10.0.0.2", java=False, port=50_000)
    for _ in range(6):
        checks.given_up(A, Y, alert=None)
        checks.ns += 500 * MS
    pool.flows += checks.flows
    document = judged(pool)
    assert document.services[0].health_checks == 6
    assert document.services[0].aborted == 0
    assert not document.findings
    assert not judged(resumed_then_declined(Pool())).services[0].health_checks


def test_a_java_client_that_gives_up_steadily_is_no_health_check(judged: Judged) -> None:
    pool = Pool()
    for _ in range(6):
        pool.given_up(A, X, alert=None)
    document = judged(pool)
    assert document.services[0].health_checks == 0
    assert state(document) == "not_this"


def test_only_health_checks_cannot_tell(judged: Judged) -> None:
    pool = Pool(java=False)
    for _ in range(6):
        pool.given_up(A, X, alert=None)
    assert state(judged(pool)) == "unknown"


def test_renegotiation_rules() -> None:
    found = bundled("renegotiation").document
    assert {"renegotiation", "renegotiation-aborted", "triple-handshake-exposure"} <= {f.rule for f in found.findings}
    assert state(found) == "unknown"
    assert any(h.renegotiation and h.visibility == "encrypted" for c in found.connections for h in c.handshakes)
    quiet = bundled("jdk17-abort").document
    assert not any(f.rule.startswith(("renegotiation", "triple")) for f in quiet.findings)


def test_capture_incomplete(tmp_path: Path, judged: Judged) -> None:
    path = written(tmp_path, resumed_then_declined(Pool()).flows)
    path.write_bytes(path.read_bytes()[:-7])
    (finding,) = of(document_of(path), "capture-incomplete")
    assert (finding.verdict, finding.grade, finding.severity) == ("confirmed", "observed", "info")
    assert not of(judged(resumed_then_declined(Pool())), "capture-incomplete")


NAMES = sorted(p.name.split(".")[0] for p in CAPTURES.glob("*.pcap*"))


@pytest.mark.parametrize("name", NAMES)
def test_numbers_add_up(name: str) -> None:
    document = bundled(name).document
    for service in document.services:
        members = [c for c in document.connections if c.service == service.id]
        rated = service.connections - service.health_checks
        assert len(members) == service.connections
        assert service.full + service.resumed + service.aborted + service.other == rated
        assert (
            sum(c.resumed + c.declined for c in service.matrix) + service.offered_nothing + service.offer_unseen
            == rated
        )
        assert sum(c.aborted for c in service.matrix) <= service.aborted
        for b in (b for b in document.backends if b.service == service.id):
            assert b.full + b.resumed + b.aborted + b.other == b.connections
            assert b.connections == sum(c.backend == b.id and not c.health_check for c in members)
    assert sum(c.connections for c in document.clients) == len(document.connections)
    assert len({c.id for c in document.connections}) == len(document.connections)


def test_client_address_is_that_of_the_builder(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    (client,) = judged(pool).clients
    assert (client.ip, client.stack, client.grade) == (CLIENT, "jsse", "inferred")


def test_what_is_kept_of_a_connection_is_bounded(judged: Judged) -> None:
    flow = (
        Flow(50_000, START_NS)
        .open()
        .client_says(record(22, client_hello(numbered(9))))
        .server_says(*[record(21, b"\1\x5a")] * 900)
        .close()
    )
    (c,) = judged(Pool(flows=[flow])).connections
    assert len(c.alerts) < 300
    assert [a.kind for a in c.anomalies] == ["bounded"]
