"""Who closed first, what was read by then, and what that is evidence of. Tables of the ways in which a connection may
end.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inspector.document import Document, Finding
from tests.build import (
    ACK,
    CHANGE,
    DATA,
    FIN,
    FINISHED,
    KEY_EXCHANGE,
    MS,
    RST,
    START_NS,
    Flow,
    Pool,
    certificate,
    client_hello,
    numbered,
    record,
    server_hello,
)

Judged = Callable[[Pool], Document]
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
C = certificate("puppetdb3", ("puppetdb3.example.com",))
X, Y, Z, W = (numbered(n) for n in (1, 2, 3, 4))
ABORT, FAILED, TOLERATED = "certificate-change-abort", "handshake-failed", "certificate-change-tolerated"


def of(document: Document, rule: str) -> list[Finding]:
    return [f for f in document.findings if f.rule == rule]


def state(document: Document) -> str:
    (service,) = document.services
    return service.assessment.state


def shifted(flow: Flow, *, from_client: bool, by: int) -> Flow:
    """One direction as a tap with another clock records it."""
    for segment in flow.segments:
        if segment.from_client == from_client:
            segment.ns += by
    flow.segments.sort(key=lambda s: s.ns)
    return flow


@pytest.mark.parametrize("by", [-20 * MS, -3 * MS, -1_500_000, 0, 1_500_000, 20 * MS])
@pytest.mark.parametrize("from_client", [True, False])
def test_acknowledgements_tell_who_closed_first(judged: Judged, by: int, from_client: bool) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    shifted(pool.given_up(B, Y, X, alert=None), from_client=from_client, by=by)
    pool.full(B, Z)
    document = judged(pool)
    assert [f.verdict for f in of(document, ABORT)] == ["confirmed"]
    assert (state(document), document.connections[2].outcome) == ("confirmed", "aborted")


def test_a_server_that_closed_first_is_told_so_whatever_the_tap_says(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    flow = pool._begin(X)
    pool._flight(flow, B, Y, False)
    pool._end(flow.close(by_client=False))
    shifted(flow, from_client=True, by=-3 * MS)
    (failed,) = of(judged(pool), FAILED)
    assert "the server closed the connection during the handshake" in failed.title


def test_a_close_that_did_not_read_the_certificate_is_no_verdict_on_it(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    flow = pool.given_up(B, Y, X, alert=None)
    fin = next(s for s in flow.segments if s.flags & FIN and s.from_client)
    fin.ack = 1  # the flight and the FIN crossed
    document = judged(pool)
    assert not of(document, ABORT)
    assert "the client closed the connection during the handshake" in of(document, FAILED)[0].title


def test_a_reset_that_answers_is_no_first_close(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    flow = pool._begin(X)
    pool._flight(flow, B, Y, False)
    flow.add(True, FIN | ACK).add(False, RST | ACK)
    shifted(pool._end(flow), from_client=False, by=-3 * MS)
    assert len(of(judged(pool), ABORT)) == 1


def late(pool: Pool, der: bytes, session_id: bytes, offered: bytes = b"", wait: int = 499 * MS) -> None:
    """The client closes in silence, some time after the flight."""
    flow = pool._begin(offered)
    pool._flight(flow, der, session_id, False)
    flow.ns += wait
    pool._end(flow.close())


@pytest.mark.parametrize(
    ("wait", "verdicts"),
    [
        (5 * MS, ["confirmed"]),
        (35 * MS, ["confirmed"]),
        (120 * MS, ["possible"]),
        (499 * MS, ["possible"]),
        (9_000 * MS, ["possible"]),
    ],
)
def test_a_silent_close_that_comes_late_is_possible_at_most(judged: Judged, wait: int, verdicts: list[str]) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    late(pool, B, Y, X, wait)
    pool.full(B, Z)
    document = judged(pool)
    assert [f.verdict for f in of(document, ABORT)] == verdicts
    assert state(document) == ("confirmed" if verdicts == ["confirmed"] else "unknown")


def test_late_beside_a_client_that_goes_on_is_a_time_out(judged: Judged) -> None:
    """The statement that the client goes on although the certificate changed, and that it may have aborted because of
    it, never stand together.
    """
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y, X)
    pool.resumed(Y)
    late(pool, A, Z, Y)
    document = judged(pool)
    assert not of(document, ABORT)
    assert len(of(document, TOLERATED)) == 1
    (failed,) = of(document, FAILED)
    assert "time-out or a watchdog" in failed.title
    assert "498" in failed.explanation or "499" in failed.explanation
    assert (failed.grade, state(document)) == ("inferred", "not_this")


def test_late_everywhere_is_a_time_out(judged: Judged) -> None:
    pool = Pool()
    late(pool, B, W)
    pool.full(A, X)
    pool.resumed(X)
    late(pool, B, Y, X)
    document = judged(pool)
    assert not of(document, ABORT)
    assert [f.count for f in of(document, FAILED)] == [2]


def test_an_alert_is_a_verdict_at_any_time(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    flow = pool._begin(X)
    pool._flight(flow, B, Y, False)
    flow.ns += 900 * MS
    pool._end(flow.client_says(record(21, bytes([2, 42]))).close())
    assert [f.verdict for f in of(judged(pool), ABORT)] == ["confirmed"]


def test_one_cache_that_went_on_before_is_possible_only(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y, X)
    pool.resumed(Y)
    pool.given_up(A, Z, Y)
    (finding,) = of(judged(pool), ABORT)
    assert (finding.verdict, "session cache" in finding.explanation) == ("possible", True)


def test_two_programs_at_one_address_are_told_apart(judged: Judged) -> None:
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y, X)  # endpoint identification: goes on
    pool.full(A, Z)
    pool.resumed(Z)
    pool.given_up(B, W, Z)  # none: aborts
    document = judged(pool)
    assert [f.verdict for f in of(document, ABORT)] == ["confirmed"]
    (tolerated,) = of(document, TOLERATED)
    assert "Another Java program at this address" in tolerated.explanation
    assert "aborted once (no session is shared; inferred)" in tolerated.explanation


def hello_only(port: int = 50_000) -> Flow:
    return Flow(port, START_NS).open().client_says(record(22, client_hello(numbered(port)), 0x0301))


@pytest.mark.parametrize("code", [10, 40, 50, 80])
def test_alerts_behind_the_servers_fin_are_no_cause(judged: Judged, code: int) -> None:
    flow = hello_only().add(False, FIN | ACK).client_says(record(21, bytes([2, code]))).add(True, FIN | ACK)
    (failed,) = of(judged(Pool(flows=[flow])), FAILED)
    assert failed.title == "1 handshake failed: the server closed the connection before a ServerHello"


@pytest.mark.parametrize("code", [10, 40, 50, 80, None])
def test_no_answer_is_a_client_that_gave_up_and_after_how_long(judged: Judged, code: int | None) -> None:
    flow = hello_only()
    flow.ns += 899 * MS
    if code is not None:
        flow.client_says(record(21, bytes([2, code])))
    flow.close()
    (failed,) = of(judged(Pool(flows=[flow])), FAILED)
    assert failed.title == "1 handshake failed: the client gave up without an answer"
    assert "900.0 ms" in failed.explanation


def test_a_flight_that_comes_after_the_read_time_out_is_none(judged: Judged) -> None:
    """JDK 8 sends alert 10 when its time-out fires; the server's flight may be on its way."""
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    flow = pool._begin(X)
    flow.ns += 900 * MS
    flow.client_says(record(21, bytes([2, 10])))
    pool._flight(flow, B, Y, False)
    pool._end(flow.close())
    document = judged(pool)
    assert not of(document, ABORT)
    assert "gave up without an answer" in of(document, FAILED)[0].title


def test_alert_40_behind_the_servers_fin_during_the_handshake(judged: Judged) -> None:
    pool = Pool()
    flow = pool._begin(b"")
    pool._flight(flow, A, X, False)
    pool._end(flow.add(False, FIN | ACK).client_says(record(21, bytes([2, 40]))).add(True, FIN | ACK))
    (failed,) = of(judged(pool), FAILED)
    assert "the server closed the connection during the handshake" in failed.title


@pytest.mark.parametrize("by", [-4 * MS, 0])
def test_a_fin_that_acknowledges_the_alert_came_behind_it(judged: Judged, by: int) -> None:
    """With a tap for each direction the server's FIN may be recorded before the alert that it answers."""
    flow = (
        hello_only()
        .server_says(record(22, server_hello(numbered(7), X)))
        .client_says(record(21, bytes([2, 70])))
        .add(False, FIN | ACK)
        .add(True, FIN | ACK)
    )
    shifted(flow, from_client=False, by=by)
    (failed,) = of(judged(Pool(flows=[flow])), FAILED)
    assert "protocol_version (70) from the client" in failed.title


@pytest.mark.parametrize("kept", ["behind the flight", "client only", "alert only"])
def test_an_alert_42_without_its_flight_cannot_be_told(judged: Judged, kept: str) -> None:
    pool = Pool()
    flow = pool.given_up(B, Y, X)
    if kept == "client only":
        flow.segments = [s for s in flow.segments if s.from_client]
    else:
        at = next(i for i, s in enumerate(flow.segments) if s.payload[:1] == b"\x15")
        flow.segments = flow.segments[at:] if kept == "behind the flight" else flow.segments[at : at + 1]
    document = judged(pool)
    assert not of(document, ABORT)
    assert state(document) == "unknown"
    for failed in of(document, FAILED):
        assert "This is not" not in failed.explanation
        assert "cannot be ruled out" in failed.title


GOODBYE = record(23, b"a" * 19)


def tls13_flow(
    *after: tuple[bool, bytes], wait: int = MS, suite: bytes = b"", finished: int = 53, closes: bool = True
) -> Flow:
    """TLS 1.3 to the client's flight, then some records."""
    session = numbered(77)
    flow = (
        Flow(50_001, START_NS)
        .open()
        .client_says(record(22, client_hello(numbered(9), session, versions=(0x0304, 0x0303)), 0x0301))
    )
    answer = server_hello(numbered(8), session, version=0x0304, suite=suite)
    flow.server_says(record(22, answer), CHANGE, record(23, b"e" * 900))
    shown = [record(23, b"c" * 1600)] if finished == 53 else []
    flow.client_says(CHANGE, *shown, record(23, b"f" * finished), wait=wait)
    for from_client, data in after:
        (flow.client_says if from_client else flow.server_says)(data)
    return flow.close(by_client=False) if closes else flow


CCM_8 = b"\x13\x05"
REQUEST = record(23, b"r" * 200)


@pytest.mark.parametrize(
    ("flow", "outcome"),
    [
        (tls13_flow((False, GOODBYE)), "aborted"),
        (tls13_flow((True, REQUEST), (False, GOODBYE)), "aborted"),
        (tls13_flow((False, GOODBYE), (True, REQUEST)), "aborted"),
        (tls13_flow((True, REQUEST), (False, DATA), (False, GOODBYE)), "established"),
        (tls13_flow((False, record(23, b"t" * 240)), (False, GOODBYE)), "established"),
        (tls13_flow((True, GOODBYE), (False, GOODBYE)), "established"),
        (tls13_flow((False, GOODBYE), wait=61_000 * MS), "established"),
        (tls13_flow((True, REQUEST)), "established"),
        (tls13_flow((False, record(23, b"x" * 20))), "established"),
        (tls13_flow((False, record(23, b"x" * 17))), "established"),
        (tls13_flow((False, GOODBYE), closes=False), "established"),
        (tls13_flow((False, record(23, b"a" * 11)), suite=CCM_8), "aborted"),
        (tls13_flow((False, GOODBYE), suite=CCM_8), "established"),
        (tls13_flow((True, REQUEST), (False, DATA), suite=CCM_8, finished=45), "established"),
    ],
)
def test_a_lone_alert_of_the_server_is_a_refusal(judged: Judged, flow: Flow, outcome: str) -> None:
    document = judged(Pool(flows=[flow]))
    assert [c.outcome for c in document.connections] == [outcome]
    failed = of(document, FAILED)
    assert [(f.grade, "refused" in f.title) for f in failed] == ([("inferred", True)] if outcome == "aborted" else [])
    assert state(document) == ("not_this" if outcome == "aborted" else "protected")


@pytest.mark.parametrize(
    ("size", "suite", "outcome"),
    [
        (19, b"", "aborted"),
        (35, b"", "aborted"),
        (52, b"", "aborted"),
        (53, b"", "established"),
        (68, b"\x13\x02", "aborted"),
        (69, b"\x13\x02", "established"),
        (11, CCM_8, "aborted"),
        (44, CCM_8, "aborted"),
        (45, CCM_8, "established"),
    ],
)
def test_what_is_too_short_for_a_finished_is_an_alert(judged: Judged, size: int, suite: bytes, outcome: str) -> None:
    session = numbered(77)
    flow = Flow(50_001, START_NS).open()
    flow.client_says(record(22, client_hello(numbered(9), session, versions=(0x0304, 0x0303)), 0x0301))
    answer = server_hello(numbered(8), session, version=0x0304, suite=suite)
    flow.server_says(record(22, answer), CHANGE, record(23, b"e" * 900))
    flow.client_says(CHANGE, record(23, b"x" * size)).close()
    document = judged(Pool(flows=[flow]))
    assert [c.outcome for c in document.connections] == [outcome]
    rejected = [("inferred", True)] if outcome == "aborted" else []
    assert [(f.grade, "rejected the server's flight" in f.title) for f in of(document, FAILED)] == rejected


def test_a_good_handshake_stays_one_when_directions_are_apart(judged: Judged) -> None:
    pool = Pool()
    flow = pool._begin(b"")
    pool._flight(flow, A, X, False)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED).client_says(DATA).server_says(DATA)
    shifted(pool._end(flow.close()), from_client=False, by=-3 * MS)
    assert [c.outcome for c in judged(pool).connections] == ["established"]
