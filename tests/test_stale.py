"""Connections that were used after the other side had closed them: who closed, after how long, who wrote, what came
back, and what is none of that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.document import Document, Finding
from inspector.findings.judge import judge
from tests.build import (
    ACK,
    CHANGE,
    DATA,
    FIN,
    FINISHED,
    KEY_EXCHANGE,
    MS,
    RST,
    Flow,
    Pool,
    certificate,
    facts_of,
    numbered,
    record,
    written,
)

Judged = Callable[[Pool], Document]
A = certificate("puppetdb1", ("puppetdb.example.com",))
B = certificate("puppetdb2", ("puppetdb.example.com",))
SECOND = 1000 * MS
GOODBYE = record(21, b"\1" * 26)
RULE = "stale-connection-used"


def of(document: Document) -> list[Finding]:
    return [f for f in document.findings if f.rule == RULE]


def opened(flow: Flow) -> Flow:
    """A connection that is kept after its first request: nobody closes it."""
    while not flow.segments[-1].payload:
        last = flow.segments.pop()
        flow.sent[0 if last.from_client else 1] -= bool(last.flags & FIN)
    flow.ns = flow.segments[-1].ns
    return flow


def kept(pool: Pool, der: bytes, number: int) -> Flow:
    return opened(pool.full(der, numbered(number)))


def after(flow: Flow, wait: int) -> Flow:
    flow.ns += wait
    return flow


def used_again(pool: Pool, der: bytes, number: int, *, idle: int, late: int, goodbye: bool = False) -> Flow:
    """The server closes after ``idle``, the client writes ``late`` after that and is reset."""
    flow = kept(pool, der, number)
    if goodbye:
        after(flow, idle - MS).server_says(GOODBYE)
    else:
        after(flow, idle)
    flow.add(False, FIN | ACK, wait=0)
    after(flow, late).client_says(DATA).add(False, RST)
    pool.ns = flow.ns + 20 * MS
    return flow


@pytest.mark.parametrize("goodbye", [False, True])
@pytest.mark.parametrize("count", [1, 6])
def test_who_closed_and_who_wrote(judged: Judged, count: int, goodbye: bool) -> None:
    pool = Pool()
    for n in range(count):
        used_again(pool, (A, B)[n % 2], n, idle=SECOND, late=600 * MS, goodbye=goodbye)
    document = judged(pool)
    (finding,) = of(document)
    assert finding.about is not None
    assert (finding.about.attribute, finding.about.backend) == ("stale", None)
    assert (finding.about.affected, finding.about.reached, finding.about.elsewhere) == (count, count, 0)
    assert finding.about.value == "closed after 1.0 s idle"
    assert ("the balancer or" in finding.title) != goodbye
    assert "a RST came back" in finding.explanation
    assert [e.role for e in finding.evidence] == ["closed", "used", "reset"] * min(count, 3)
    assert finding.count == count


def test_one_back_end_alone_closes_so_soon(judged: Judged) -> None:
    pool = Pool()
    for n in range(3):
        used_again(pool, A, n, idle=SECOND, late=600 * MS)
        patient = kept(pool, B, 10 + n)
        after(patient, 2 * SECOND).client_says(DATA).server_says(DATA).close()
        pool.ns = patient.ns + 20 * MS
    document = judged(pool)
    (finding,) = of(document)
    assert finding.about is not None
    (backend,) = [b for b in document.backends if b.id == finding.about.backend]
    assert backend.label == "A"
    assert (finding.about.affected, finding.about.reached, finding.about.elsewhere) == (3, 3, 3)
    assert finding.remedies[0].audience == "owners of the back end"


def _client_closes(pool: Pool) -> None:
    """What comes behind the client's own FIN was not sent into a closed connection."""
    after(kept(pool, A, 1), SECOND).add(True, FIN | ACK).add(False, FIN | ACK)


def _never_used(pool: Pool) -> None:
    after(after(kept(pool, A, 1), SECOND).add(False, FIN | ACK), 600 * MS).add(True, FIN | ACK)


def _closed_at_once(pool: Pool) -> None:
    """The server closes behind its answer, and the client's next request crosses."""
    used_again(pool, A, 1, idle=2 * MS, late=MS)


def _only_a_goodbye(pool: Pool) -> None:
    """TLS 1.3: the alert that says goodbye is of type application data."""
    flow = after(opened(pool.tls13()), SECOND).add(False, FIN | ACK)
    after(flow, 600 * MS).client_says(record(23, b"x" * 19)).add(False, RST)


def _no_handshake(pool: Pool) -> None:
    flow = after(pool._begin(b""), SECOND).add(False, FIN | ACK)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED)


@pytest.mark.parametrize("story", [_client_closes, _never_used, _closed_at_once, _only_a_goodbye, _no_handshake])
def test_what_is_none(judged: Judged, story: Callable[[Pool], None]) -> None:
    pool = Pool()
    story(pool)
    assert not of(judged(pool))


@pytest.mark.parametrize("goodbye", [19, 35])
@pytest.mark.parametrize("closing", [0, 19, 35])
def test_a_goodbye_behind_the_lost_request_hides_nothing(judged: Judged, goodbye: int, closing: int) -> None:
    """TLS 1.3, in which alerts are records of application data. JSSE pads them; of a client that is not known to be
    Java the padded one may be a request.
    """
    pool = Pool()
    flow = after(opened(pool.tls13()), SECOND - MS * bool(closing))
    if closing:
        flow.server_says(record(23, b"x" * closing))
    flow.add(False, FIN | ACK, wait=0)
    after(flow, 600 * MS).client_says(record(23, b"r" * 90)).client_says(record(23, b"x" * goodbye)).add(False, RST)
    (finding,) = of(judged(pool))
    assert finding.about is not None
    assert finding.about.value == "closed after 1.0 s idle"
    assert ("the balancer or" in finding.title) != bool(closing)
    assert f"{600 if goodbye == 19 else 601}.0 ms later" in finding.explanation


@pytest.mark.parametrize(("records", "seconds"), [(1, 5), (2, 5), (3, 0)])
def test_a_quiet_time_is_told_only_where_it_is_known(records: int, seconds: int, tmp_path: Path) -> None:
    """Of each side the last three records are known: where all came behind the close, what came before it is not."""
    pool = Pool()
    flow = kept(pool, A, 1)
    after(flow, 40 * SECOND).client_says(DATA)
    after(flow, 5 * SECOND).add(False, FIN | ACK)
    for _ in range(records):
        after(flow, 100 * MS).client_says(DATA)
    flow.add(False, RST)
    [observed] = judge(facts_of(written(tmp_path, pool.flows))).case.observed
    assert observed.quiet_ns // SECOND == seconds
