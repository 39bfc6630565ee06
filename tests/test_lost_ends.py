"""The end of a direction was not captured: what the other side acknowledged was sent all the same, and nobody is
accused or acquitted by what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.document import Assessment
from inspector.findings.judge import judge
from tests.build import (
    ACK,
    CHANGE,
    DATA,
    FIN,
    FINISHED,
    KEY_EXCHANGE,
    RST,
    SYN,
    Flow,
    Pool,
    Segment,
    certificate,
    facts_of,
    numbered,
    written,
)

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y, Z = (numbered(n) for n in (1, 2, 3))


def assessed(pool: Pool, folder: Path) -> Assessment:
    (service,) = judge(facts_of(written(folder, pool.flows))).document.services
    return service.assessment


def declined(pool: Pool) -> Flow:
    """A session of A, resumed once, is offered to B, which answers in full."""
    pool.full(A, X)
    pool.resumed(X)
    flow = pool._begin(X)
    pool._flight(flow, B, Y, False)
    return flow


def without(flow: Flow, is_lost: Callable[[Segment], bool]) -> None:
    flow.segments = [s for s in flow.segments if not is_lost(s)]


@pytest.mark.parametrize("control", [FIN | ACK, RST | ACK])
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_client_whose_flight_was_lost_did_not_give_up(control: int, goes_on: bool, tmp_path: Path) -> None:
    pool = Pool()
    flow = declined(pool)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED)
    if goes_on:
        flow.server_says(CHANGE, FINISHED, DATA)
    flow.add(True, control)
    without(flow, lambda s: s.from_client and s.payload.startswith(KEY_EXCHANGE))
    said = assessed(pool, tmp_path)
    assert said.state == "unknown"
    assert said.grade != "observed"


def test_a_fin_that_was_not_captured_is_known_by_its_answer(tmp_path: Path) -> None:
    """The server closed first, and its FIN was lost: no abort. The client did, and its FIN was lost: an abort."""
    for by_client, state in ((False, "not_this"), (True, "confirmed")):
        pool = Pool()
        flow = declined(pool)
        flow.add(by_client, FIN | ACK).add(not by_client, FIN | ACK)
        without(flow, lambda s, side=by_client: s.from_client == side and bool(s.flags & FIN))  # type: ignore[misc]
        assert assessed(pool, tmp_path).state == state


def test_a_resumption_of_which_only_the_client_was_captured_clouds_what_follows(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, X)
    without(pool.resumed(X), lambda s: not s.from_client and bool(s.payload))
    pool.given_up(B, Y, X)
    assert assessed(pool, tmp_path).state == "unknown"


def test_a_lost_flight_behind_a_reset_is_a_suspect(tmp_path: Path) -> None:
    pool = Pool()
    flow = declined(pool)
    flow.add(True, RST | ACK)
    without(flow, lambda s: not s.from_client and bool(s.payload))
    assert assessed(pool, tmp_path).state == "unknown"


@pytest.mark.parametrize("control", [FIN, RST])
def test_a_connection_without_its_payload_protects_nobody(control: int, tmp_path: Path) -> None:
    """Only SYN and FIN, or SYN and RST, are left of an abort: no TLS shows, but the sequence numbers say that there was
    something.
    """
    pool = Pool()
    flow = declined(pool)
    flow.add(True, control | ACK)
    without(flow, lambda s: bool(s.payload) or not s.flags & (SYN | control))
    said = assessed(pool, tmp_path)
    assert (said.state, said.grade) == ("protected", "inferred")
    assert [u.kind for u in said.unseen] == ["lost_flows"]


def test_ems_is_claimed_only_of_clients_that_were_seen_with_it(tmp_path: Path) -> None:
    """Java only resumes sessions from before the capture; OpenSSL's full handshakes have no EMS."""
    pool = Pool(java=False)
    pool.full(A, X)
    pool.full(B, Y)
    java = Pool(ns=pool.ns, port=50_000, client="10.0.0.11")
    java.resumed(Z)
    java.flows = [*pool.flows, *java.flows]
    said = assessed(java, tmp_path)
    assert said.grade != "observed"
    assert "used extended master secret" not in " ".join(said.because)


def test_the_round_trip_is_that_of_the_handshake(tmp_path: Path) -> None:
    """The acknowledgement of the server's SYN was lost: a later empty segment is none."""
    pool = Pool()
    flow = declined(pool)
    flow.ns += 230_000_000
    flow.add(True, FIN | ACK)
    without(flow, lambda s: s.from_client and not s.payload and s.flags == ACK)
    assert assessed(pool, tmp_path).state == "unknown"
