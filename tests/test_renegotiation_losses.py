"""Records of a renegotiation that were not captured: what was not seen is never taken for what was not sent. Whichever
are missing, no service is *protected, observed* that the whole does not show so, and nobody is newly accused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from inspector.document import Assessment
from inspector.findings.judge import Analysis, judge
from tests.build import (
    CHANGE,
    DATA,
    FIN,
    FINISHED,
    KEY_EXCHANGE,
    Flow,
    Pool,
    Segment,
    certificate,
    facts_of,
    numbered,
    record,
    server_hello,
    written,
)
from tests.conftest import CAPTURES
from tests.opening import at_port, opened
from tests.test_shapes import NAMES

A = certificate("puppetdb1", ("puppetdb1.example.com",))
X = numbered(1)

Talk = Callable[[Flow], Flow]


def handshake(size: int) -> bytes:
    """An encrypted handshake record, of which only type and length show."""
    return record(22, b"\xf2" * size)


HELLO_REQUEST, CLIENT_HELLO, FINISH = handshake(32), handshake(250), handshake(40)
SERVER_HELLO, CERTIFICATE = handshake(110), handshake(900)
CHANGED, ALERT = record(20, b"\xc1" * 25), record(21, b"\xa1" * 26)


def full(pool: Pool, *, ems: bool = False) -> Flow:
    flow = pool._begin(b"")
    pool._flight(flow, A, X, ems)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)
    return flow.client_says(DATA).server_says(DATA)


def resumed(pool: Pool) -> Flow:
    pool.full(A, X)
    flow = pool._begin(X)
    flow.server_says(record(22, server_hello(numbered(9), X)), CHANGE, FINISHED).client_says(CHANGE, FINISHED)
    return flow.client_says(DATA).server_says(DATA)


def with_ems(pool: Pool) -> Flow:
    pool.ems = True
    return full(pool, ems=True)


def flight(flow: Flow) -> Flow:
    return flow.client_says(CLIENT_HELLO).server_says(SERVER_HELLO).server_says(CERTIFICATE)


BEGUN: dict[str, Callable[[Pool], Flow]] = {"full": full, "resumed": resumed, "ems": with_ems}
BROKEN_OFF: dict[str, Talk] = {
    "asked, with an alert": lambda flow: flight(flow.server_says(HELLO_REQUEST)).client_says(ALERT).close(),
    "with an alert": lambda flow: flight(flow).client_says(ALERT).close(),
    "in silence": lambda flow: flight(flow).close(),
}
COMPLETED: Talk = lambda flow: (  # noqa: E731
    flight(flow.server_says(HELLO_REQUEST))
    .client_says(handshake(90), CHANGED, FINISH)
    .server_says(CHANGED, FINISH)
    .client_says(DATA)
    .server_says(DATA)
    .close()
)


def analysed(pool: Pool, folder: Path) -> Analysis:
    return judge(facts_of(written(folder, pool.flows)))


def assessed(pool: Pool, folder: Path) -> Assessment:
    (service,) = analysed(pool, folder).document.services
    return service.assessment


def losses(said: Sequence[Segment]) -> Iterator[set[int]]:
    """Any one segment, any two, and all that lie between two."""
    numbers = range(len(said))
    yield from ({n} for n in numbers)
    yield from map(set, combinations(numbers, 2))
    yield from ({*numbers[first:last]} for first, last in combinations(range(len(said) + 1), 2) if last - first > 2)


def lossy(flow: Flow, talk: Talk, *, has_ems: bool = False) -> Iterator[str]:
    """A flow, each time without some segments of what is said; gives which. Never is all gone that can be told from a
    capture that ended before; nor, where the connection has EMS, all of the handshake: it has EMS too.
    """
    before = len(flow.segments)
    talk(flow)
    whole, said = list(flow.segments), flow.segments[before:]
    for gone in losses(said):
        left = [s for n, s in enumerate(said) if n not in gone]
        if any(s.payload[:1] == HELLO_REQUEST[:1] or (not has_ems and (s.payload or s.flags & FIN)) for s in left):
            flow.segments = [*whole[:before], *left]
            yield " ".join(f"{n}{'<>'[s.from_client]}{len(s.payload)}" for n, s in enumerate(said) if n in gone)
    flow.segments = whole


@pytest.mark.parametrize("talk", BROKEN_OFF)
@pytest.mark.parametrize("begun", BEGUN)
def test_what_is_missing_of_one_that_was_broken_off_acquits_nobody(begun: str, talk: str, tmp_path: Path) -> None:
    pool = Pool()
    flow = BEGUN[begun](pool)
    count = 0
    for gone in lossy(flow, BROKEN_OFF[talk], has_ems=begun == "ems"):
        said = assessed(pool, tmp_path)
        assert (said.state, said.grade) != ("protected", "observed"), gone
        assert said.state in ("protected", "unknown")
        count += 1
    assert count > 25
    whole = assessed(pool, tmp_path)
    assert (whole.state, whole.grade) == ("unknown", "inferred")


@pytest.mark.parametrize("begun", BEGUN)
def test_what_is_missing_of_one_that_was_completed_accuses_nobody(begun: str, tmp_path: Path) -> None:
    """No client broke off what it is not seen to have broken off; where it is seen to go on, it is no suspect."""
    pool = Pool()
    flow = BEGUN[begun](pool)
    before = len(flow.segments)
    for gone in lossy(flow, COMPLETED):
        analysis = analysed(pool, tmp_path)
        document = analysis.complete()
        assert "renegotiation-aborted" not in {f.rule for f in document.findings}, gone
        (said,) = (service.assessment for service in document.services)
        if any(s.from_client and s.payload == DATA for s in flow.segments[before:]):
            assert said.state == "protected", gone
            assert said.grade == "inferred" or begun != "resumed"


def test_one_direction_that_was_seen_whole_shows_that_there_was_none(tmp_path: Path) -> None:
    """A renegotiation takes two: records that one side lost alone hide none."""
    for both, state in ((False, "observed"), (True, "inferred")):
        pool = Pool()
        flow = resumed(pool)
        first = len(flow.segments)
        flow.client_says(DATA).server_says(DATA).client_says(DATA).server_says(DATA).close()
        del flow.segments[first : first + (2 if both else 1)]
        said = assessed(pool, tmp_path)
        assert (said.state, said.grade) == ("protected", state)
        assert [u.kind for u in said.unseen] == ["lost_records"] * both


@pytest.mark.parametrize("begun", BEGUN)
def test_what_the_last_segment_acknowledged_was_sent(begun: str, tmp_path: Path) -> None:
    """ClientHello and alert follow each other, the flight between them and all behind them were lost: the client had
    the flight when it sent the alert, and did not decline.
    """
    pool = Pool()
    flow = BROKEN_OFF["with an alert"](BEGUN[begun](pool))
    at = next(n for n, s in enumerate(flow.segments) if s.payload == CLIENT_HELLO)
    assert flow.segments[at + 3].payload == ALERT
    flow.segments = [*flow.segments[: at + 1], flow.segments[at + 3]]
    (attempt,) = analysed(pool, tmp_path).case.observed[-1].renegotiations
    assert attempt.state == "open"
    said = assessed(pool, tmp_path)
    assert (said.state, said.grade) != ("protected", "observed")


def test_a_fin_of_the_client_that_was_not_captured_is_known_by_its_answer(tmp_path: Path) -> None:
    for by_client in (True, False):
        pool = Pool()
        flow = flight(full(pool)).close(by_client=by_client)
        fins = [s for s in flow.segments if s.flags & FIN]
        flow.segments.remove(fins[0])
        found = [f for f in analysed(pool, tmp_path).complete().findings if f.rule == "renegotiation-aborted"]
        assert bool(found) == by_client


def test_a_handshake_was_completed_whatever_became_of_a_later_one() -> None:
    """A connection that was torn down when a renegotiation was declined had its own handshake all the same: keys show
    the alert, and take nothing of the verdict away.
    """
    assert (CAPTURES / "renegotiation-shapes.keylog").exists()
    document = opened("renegotiation-shapes")
    for name in ("client asks, server declines", "server asks, client declines"):
        (connection,) = at_port(document, NAMES[name])
        (service,) = (s for s in document.services if s.id == connection.service)
        assert connection.outcome == "aborted"
        assert (service.assessment.state, service.assessment.grade) == ("protected", "observed")
