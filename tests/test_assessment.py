"""The verdict as a table: each row has a pool that it decides; and the gate: whatever hides a connection, or a part of
one, takes the definite state away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.document import Limit
from inspector.findings.assessment import ROWS, VerdictRow, decided
from inspector.findings.case import Options
from inspector.findings.compared import compared_pools
from inspector.findings.gate import MISSING
from inspector.findings.judge import Analysis, judge
from inspector.findings.machine import ALLOW_UNSAFE, Machine
from inspector.findings.prediction import extended
from inspector.findings.rules import occurrences
from inspector.findings.scene import NOTHING, Scene
from inspector.findings.unseen import LIMITS, LOST_FLOWS, LOST_NAMES, UNDECODED, WAYS, look, of_captures
from inspector.secrets.inputs import read_inputs
from inspector.tracking.observed import BAD_CERTIFICATE
from tests.build import (
    CLIENT,
    DONE,
    FINISHED,
    Flow,
    Pool,
    Segment,
    certificate,
    facts_of,
    message,
    numbered,
    record,
    server_hello,
    written,
)
from tests.conftest import CAPTURES, bundled, find

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
SHARED = tuple(certificate(f"shared{n}", (f"shared{n}.example.com", "puppetdb.example.com")) for n in (1, 2))
X, Y, Z = (numbered(n) for n in (1, 2, 3))


def abort(pool: Pool) -> None:
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)


def possible(pool: Pool) -> None:
    pool.resumed(X)
    pool.given_up(B, Y, X)


def cut_short(pool: Pool) -> None:
    pool.full(A, X)
    flow = pool.given_up(B, Y)
    flow.segments = [s for s in flow.segments if s.from_client]


def open_only(pool: Pool) -> None:
    flow = pool.given_up(A, X)
    flow.segments = flow.segments[:4]


def shared_names(pool: Pool) -> None:
    pool.full(SHARED[0], X)
    pool.resumed(X)
    pool.full(SHARED[1], Y, X)


def ems(pool: Pool) -> None:
    pool.ems = True
    pool.full(A, X, ems=True)
    pool.resumed(X, ems=True)
    pool.full(B, Y, X, ems=True)


def not_java(pool: Pool) -> None:
    pool.java = False
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y, X)


def tolerated(pool: Pool) -> None:
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y, X)


def exposed(pool: Pool) -> None:
    pool.full(A, X)
    pool.resumed(X)
    pool.full(B, Y)


def never_resumed(pool: Pool) -> None:
    pool.full(A, X)
    pool.full(B, Y, X)


def without_certificate(pool: Pool) -> None:
    """The server sends the rest of its flight, and the client gives up on that."""
    flow = pool._begin(b"")
    flow.server_says(record(22, server_hello(numbered(9), X) + message(12, b"s" * 70) + DONE))
    pool._end(flow.client_says(record(21, bytes([2, BAD_CERTIFICATE]))).close())


def joined_late(pool: Pool) -> None:
    """Captured from ChangeCipherSpec on, without a SYN."""
    flow = pool.full(A, X)
    flow.segments = [s for s in flow.segments[3:] if s.payload[:1] != b"\x16" or s.payload == FINISHED]


def beside_another_stack(pool: Pool) -> None:
    """Java meets one certificate, OpenSSL the other."""
    pool.full(A, X)
    pool.resumed(X)
    other = Pool(ns=pool.ns, port=50_000, client="10.0.0.77", java=False)
    other.full(B, Y)
    pool.flows += other.flows


ALLOWED = Options(machine=Machine(frozenset({CLIENT}), 1, "", ((ALLOW_UNSAFE, "true"),)))
DECIDED: dict[str, tuple[Callable[[Pool], object], Options]] = {
    "confirmed": (abort, Options()),
    "possible": (possible, Options()),
    "nothing_completed": (open_only, Options()),
    "suspect": (cut_short, Options()),
    "not_this": (lambda pool: pool.server_alert(40), Options()),
    "exposed": (exposed, Options()),
    "tls13": (lambda pool: pool.tls13(), Options()),
    "no_certificate": (lambda pool: pool.resumed(X), Options()),
    "one_certificate": (lambda pool: pool.full(A, X), Options()),
    "equivalent": (shared_names, Options()),
    "not_java": (not_java, Options()),
    "ems": (ems, Options()),
    "property": (never_resumed, ALLOWED),
    "tolerated": (tolerated, Options()),
    "never_resumed": (never_resumed, Options()),
    "unclear": (without_certificate, Options()),
    "no_server_hello": (joined_late, Options()),
    "otherwise": (beside_another_stack, Options()),
}


def rows_of(analysis: Analysis) -> list[VerdictRow]:
    """The row that decides, of each service."""
    case = analysis.case
    ems = [extended(case, service) for service in case.services]
    happened, hidden = occurrences(case, ems, compared_pools(case)), of_captures(analysis.document.limits)
    return [
        decided(
            Scene(
                case,
                service,
                happened.by_service().get(service.id, NOTHING),
                case.members(service),
                look(case, service, case.members(service), hidden),
                ems[service.index],
            )
        )
        for service in case.services
    ]


@pytest.mark.parametrize("name", list(DECIDED))
def test_each_row_decides_something(name: str, tmp_path: Path) -> None:
    build, options = DECIDED[name]
    pool = Pool()
    build(pool)
    analysis = judge(facts_of(written(tmp_path, pool.flows)), options)
    (row,) = rows_of(analysis)
    (service,) = analysis.document.services
    assert (row.name, row.state) == (name, service.assessment.state)


INSIDE = ("aborted_inside", "broken_off_inside")


def test_rows_of_what_was_broken_off_inside_connections() -> None:
    """Recordings, for a few built connections cannot make them: with keys it is seen why, by lengths it is not."""
    keys = [str(CAPTURES / f"renegotiations.{name}.key") for name in ("same", "renewed", "other")]
    analysis = judge(facts_of(find("renegotiations"), given=read_inputs([], keys, lambda prompt: "")))
    rows = rows_of(analysis)
    assert {row.name for row in rows} >= {"aborted_inside"}
    assert [row.state for row in rows] == [service.assessment.state for service in analysis.document.services]
    assert [row.name for row in rows_of(bundled("renegotiation"))] == ["broken_off_inside"]


def test_every_row_is_named_here() -> None:
    assert [row.name for row in ROWS] == sorted({*DECIDED, *INSIDE}, key=[row.name for row in ROWS].index)


# What hides a connection.


def without(keep: Callable[[Segment], bool]) -> Callable[[Flow], None]:
    def change(flow: Flow) -> None:
        flow.segments = [s for s in flow.segments if keep(s)]

    return change


HIDDEN: dict[str, Callable[[Flow], None]] = {
    "one_sided": without(lambda s: not s.from_client),
    "mid_stream": without(
        lambda s: s.payload[:6] != record(22, b"\1")[:1] + b"\3\1" + s.payload[3:6] or not s.from_client
    ),
    "lost_bytes": without(lambda s: s.from_client or len(s.payload) < 300),
    "unfinished": lambda flow: flow.segments.__delitem__(slice(5, None)),
}


POOLS = ("tls13", "one_certificate", "equivalent", "ems", "not_this")


def one_more(name: str, pool: Pool) -> Flow:
    """A further connection of the same kind."""
    if name == "tls13":
        return pool.tls13()
    return pool.full(SHARED[0] if name == "equivalent" else A, Z, ems=pool.ems)


@pytest.mark.parametrize("way", list(HIDDEN))
@pytest.mark.parametrize("name", POOLS)
def test_a_connection_that_was_not_seen_whole_weakens(name: str, way: str, tmp_path: Path) -> None:
    """One more connection, hidden in some way: never *observed*, and the reason is said."""
    pool = Pool()
    DECIDED[name][0](pool)
    whole = judge(facts_of(written(tmp_path, pool.flows))).document.services[0].assessment
    assert not whole.unseen
    HIDDEN[way](one_more(name, pool))
    (service,) = (s for s in judge(facts_of(written(tmp_path, pool.flows))).document.services if s.connections > 1)
    said = service.assessment
    assert said.state in ("unknown", whole.state)
    assert said.grade != "observed"
    assert [u.kind for u in said.unseen] == [way]
    assert "as things stand" in said.sentence or said.state == "unknown"


@pytest.mark.parametrize("way", list(HIDDEN))
def test_hidden_connections_alone_tell_nothing(way: str, tmp_path: Path) -> None:
    pool = Pool()
    HIDDEN[way](pool.full(A, X))
    (service,) = judge(facts_of(written(tmp_path, pool.flows))).document.services
    assert service.assessment.state == "unknown"
    assert "0 connections use" not in service.assessment.sentence


@pytest.mark.parametrize("kind", list(LIMITS))
@pytest.mark.parametrize("name", POOLS)
def test_a_limit_of_the_capture_weakens(name: str, kind: str, tmp_path: Path) -> None:
    pool = Pool()
    DECIDED[name][0](pool)
    analysis = judge(facts_of(written(tmp_path, pool.flows)), None, [Limit(kind, "something was not seen", None, [])])
    said = analysis.document.services[0].assessment
    rests_on = next(row.rests_on for row in ROWS if row.name == name)
    assert [u.kind for u in said.unseen] == ([kind] if LIMITS[kind] & rests_on else [])
    assert (said.grade == "observed") == (not said.unseen)


def test_aborts_stand_whatever_else_was_lost(tmp_path: Path) -> None:
    pool = Pool()
    abort(pool)
    HIDDEN["lost_bytes"](pool.full(B, Z))
    (service,) = judge(facts_of(written(tmp_path, pool.flows))).document.services
    assert service.assessment.state == "confirmed"


@pytest.mark.parametrize("alert", [None, BAD_CERTIFICATE])
def test_what_ended_like_an_abort_unseen_is_a_suspect(alert: int | None, tmp_path: Path) -> None:
    """The client's side alone: it gave up, and what it was shown was not captured."""
    pool = Pool()
    ems(pool)
    flow = pool.given_up(B, Z, Y, alert=alert)
    flow.segments = [s for s in flow.segments if s.from_client]
    (service,) = judge(facts_of(written(tmp_path, pool.flows))).document.services
    assert service.assessment.state == "unknown"


def test_every_kind_has_words() -> None:
    assert set(MISSING) == set(LIMITS) | {way.kind for way in WAYS} | {LOST_FLOWS, LOST_NAMES, UNDECODED}


def test_whole_recordings_are_told_without_reserve() -> None:
    for name in ("puppet-shared-name", "near-miss-ems", "shared-certificate"):
        said = bundled(name).document.services[0].assessment
        assert (said.state, said.grade, said.unseen) == ("protected", "observed", [])
