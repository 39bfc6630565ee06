"""The headline rules: what is an abort because of the certificate change, what may be one, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inspector.document import Document, Finding
from tests.build import (
    MS,
    Pool,
    certificate,
    document_of,
    numbered,
    record,
    written,
)

Judged = Callable[[Pool], Document]
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
SHARED_A = certificate("puppetdb1", ("puppetdb1.example.com", "puppetdb.example.com"))
SHARED_B = certificate("puppetdb2", ("puppetdb2.example.com", "PuppetDB.example.com"))
X, Y, Z = (numbered(n) for n in (1, 2, 3))


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


def test_abort_with_alert_42(judged: Judged) -> None:
    document = judged(resumed_then_declined(Pool()))
    (finding,) = of(document, "certificate-change-abort")
    assert (finding.verdict, finding.grade, finding.severity) == ("confirmed", "observed", "high")
    assert [e.role for e in finding.evidence] == ["origin", "resumed", "declined", "alert"]
    assert finding.connections == [c.id for c in document.connections[:3]]
    assert [i.findings for i in document.incidents] == [[finding.id]]
    assert document.connections[2].handshakes[0].jsse.row == 6
    assert state(document) == "confirmed"


def test_abort_in_silence(judged: Judged) -> None:
    document = judged(resumed_then_declined(Pool(), alert=None))
    (finding,) = of(document, "certificate-change-abort")
    assert finding.verdict == "confirmed"
    assert finding.evidence[-1].role == "closed"


def test_never_resumed_is_no_abort(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.full(B, Y, X)
    pool.full(A, Z, Y)
    document = judged(pool)
    assert not of(document, "certificate-change-abort")
    assert [c.handshakes[0].jsse.row for c in document.connections] == [7, 4, 4]
    assert [c.handshakes[0].declined for c in document.connections] == [False, True, True]


def test_given_up_although_never_resumed_is_another_failure(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.given_up(B, Y, X)
    document = judged(pool)
    assert not of(document, "certificate-change-abort")
    assert len(of(document, "handshake-failed")) == 1
    assert state(document) == "not_this"


def test_ems_is_a_near_miss(judged: Judged) -> None:
    pool = Pool(ems=True)
    pool.full(A, X, ems=True)
    pool.resumed(X, ems=True)
    pool.full(B, Y, X, ems=True)
    document = judged(pool)
    assert document.connections[-1].handshakes[0].jsse.row == 3
    assert state(document) == "protected"
    assert not of(document, "certificate-change-abort")


def test_shared_name_is_a_near_miss(judged: Judged) -> None:
    pool = Pool()
    pool.full(SHARED_A, X)
    pool.resumed(X)
    pool.full(SHARED_B, Y, X)
    document = judged(pool)
    jsse = document.connections[-1].handshakes[0].jsse
    assert (jsse.row, jsse.identity) == (5, "shared_dns")
    assert state(document) == "protected"


def test_other_stack_is_never_accused(judged: Judged) -> None:
    document = judged(resumed_then_declined(Pool(java=False)))
    assert not of(document, "certificate-change-abort")
    assert {c.stack for c in document.clients} == {"openssl"}


def test_certificate_that_is_never_accepted_is_possible_only(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.given_up(B, Y)  # nothing offered: not Java's rule
    pool.resumed(X)
    pool.given_up(B, Z, X)
    (finding,) = of(judged(pool), "certificate-change-abort")
    assert (finding.verdict, finding.grade, finding.severity) == ("possible", "inferred", "medium")
    assert "never accepts" in finding.explanation


def test_origin_before_the_capture_is_possible(judged: Judged) -> None:
    pool = Pool()
    pool.resumed(X)
    pool.given_up(B, Y, X)
    document = judged(pool)
    (finding,) = of(document, "certificate-change-abort")
    assert (finding.verdict, finding.severity) == ("possible", "medium")
    assert state(document) == "unknown"
    assert "tcpdump" in document.services[0].assessment.do
    assert any(limit.kind == "before_capture" for limit in document.limits)


def test_race_under_a_millisecond(judged: Judged) -> None:
    """The resumption's ServerHello and the next ClientHello 0.9 ms apart: what Java had read cannot be told, unless it
    gave up.
    """
    pool = Pool()
    pool.full(A, X)
    answered = pool.resumed(X)
    at = next(s.ns for s in answered.segments if not s.from_client and s.payload)
    pool.ns = at + 900_000 - 3 * MS
    pool.full(B, Y, X)
    document = judged(pool)
    assert document.connections[-1].handshakes[0].jsse.verdict == "possible"
    assert not of(document, "certificate-change-tolerated")


def test_tolerated(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y, X)
    document = judged(pool)
    (finding,) = of(document, "certificate-change-tolerated")
    assert (finding.verdict, finding.grade, finding.severity) == ("confirmed", "inferred", "low")
    assert state(document) == "protected"
    assert not of(judged(resumed_then_declined(Pool())), "certificate-change-tolerated")


def test_exposed(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y)
    document = judged(pool)
    (finding,) = of(document, "certificate-change-exposed")
    assert (finding.verdict, finding.grade, finding.severity) == ("predicted", "inferred", "medium")
    assert state(document) == "exposed"
    pool = Pool()
    pool.full(SHARED_A, X)
    pool.resumed(X)
    pool.full(SHARED_B, Y)
    assert not of(judged(pool), "certificate-change-exposed")


def test_tickets_are_linked_by_their_bytes(judged: Judged) -> None:
    """The server's first id is empty, the client invents one; the ticket tells the origin."""
    from tests.build import CHANGE, FINISHED, KEY_EXCHANGE, message, vector

    pool = Pool()
    ticket = b"key-name-16bytes" + b"t" * 80
    flow = pool._begin(b"", ticket=b"")
    pool._flight(flow, A, b"", False)
    issued = record(22, message(4, b"\0\0\1\0" + vector(2, ticket)))
    pool._end(flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(issued, CHANGE, FINISHED).close())
    for n in (1, 2):
        flow = pool._begin(numbered(90 + n), ticket=ticket)
        if n == 1:
            from tests.build import server_hello

            flow.server_says(record(22, server_hello(numbered(777), numbered(91))), CHANGE, FINISHED).client_says(
                CHANGE, FINISHED
            )
        else:
            pool._flight(flow, B, b"", False)
            flow.client_says(record(21, b"\2\x2a"))
        pool._end(flow.close())
    document = judged(pool)
    assert [c.handshakes[0].kind for c in document.connections] == ["full", "ticket", "full"]
    (finding,) = of(document, "certificate-change-abort")
    assert finding.verdict == "confirmed"
    (session,) = [s for s in document.sessions if s.uses]
    assert (session.method, [u.result for u in session.uses]) == ("ticket", ["resumed", "declined"])


def test_lost_handshake_cannot_tell(tmp_path: Path) -> None:
    """The server's flight is missing from the capture, the client's alert 42 is there: the certificate change cannot be
    ruled out.
    """
    pool = Pool()
    flow = pool.given_up(B, Y, X)
    flow.segments = [s for s in flow.segments if s.from_client or not s.payload]
    document = document_of(written(tmp_path, pool.flows))
    assert not of(document, "certificate-change-abort")
    assert state(document) == "unknown"
    assert any(limit.kind == "lost_bytes" for limit in document.limits)


def test_references_and_remedies_of_the_headline(judged: Judged) -> None:
    (finding,) = of(judged(resumed_then_declined(Pool())), "certificate-change-abort")
    assert any("SERVER-207" in r for r in finding.references)
    assert any("7627" in r for r in finding.references)
    assert [r.audience for r in finding.remedies][:3] == ["PKI", "PuppetDB owners", "balancer"]
    assert all(r.check for r in finding.remedies)


def test_nobody_is_told_to_capture_again_what_was_captured_whole(judged: Judged) -> None:
    """A client that never accepts a certificate is doubted for what it does; one whose session is from before the
    capture for what is missing.
    """
    whole = Pool()
    whole.full(A, X)
    whole.resumed(X)
    whole.given_up(B, Z)
    whole.given_up(B, Y, X)
    document = judged(whole)
    (finding,) = of(document, "certificate-change-abort")
    assert finding.verdict == "possible"
    assert not any("apture" in remedy.text for remedy in finding.remedies)
    assert "restricted during renegotiation" in finding.remedies[0].text
    assert "client's own log" in document.services[0].assessment.do
    lacking = Pool()
    lacking.given_up(B, Y, X)
    lacking.full(B, Y)
    document = judged(lacking)
    (finding,) = of(document, "certificate-change-abort")
    assert finding.remedies[0].text.startswith("Capture ")
    assert document.services[0].assessment.do.startswith("capture again")
