"""Odd members as Java clients and Java servers show them, and such as no certificate names: padded alerts, flights that
are cut short, most of a pool with a bad certificate, and answers that come late.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.document import About
from tests.build import NAME, Flow, certificate, document_of, written
from tests.odd_pools import PADDED, PLANTED, Caller, Member, Recording, about, abouts, leaf, pool_of, recorded

A, B, C = pool_of(3)
OLD = Caller("10.0.0.10")
MODERN = Caller("10.0.0.13", java=True, versions=(0x0304, 0x0303))


def counts(found: About) -> tuple[int, int, int, int]:
    return found.affected, found.reached, found.elsewhere_affected, found.elsewhere


def in_turn(caller: Caller, members: Sequence[Member], times: int = 6) -> list[tuple[Caller, Member]]:
    return [(caller, member) for _ in range(times) for member in members]


@pytest.mark.parametrize("planted", ["validity", "names"])
def test_most_of_a_pool_may_be_the_odd_ones(planted: str, tmp_path: Path) -> None:
    """Two of three have expired, or lack the name: the third is not the odd one."""
    odd = [PLANTED[planted](B), replace(PLANTED[planted](C), leaf=_other(planted))]
    document = recorded(tmp_path, *in_turn(OLD, [A, *odd]))
    found = about(document, planted)
    assert (found.backend, counts(found)) == (None, (12, 12, 0, 6))
    (row,) = [row for row in document.services[0].attributes if row.attribute == planted]
    labels = {backend.id: backend.label for backend in document.backends}
    assert [[labels[b] for b in value.backends] for value in row.values if value.odd] == [["B", "C"]]


def _other(planted: str) -> bytes:
    return leaf(78, (NAME,), (-800, -3)) if planted == "validity" else leaf(78)


@pytest.mark.parametrize("pads", [False, True])
def test_a_server_that_refuses_clients_is_counted_whether_it_pads_or_not(pads: bool, tmp_path: Path) -> None:
    members = [replace(member, pads=pads) for member in (A, B, C)]
    members[1] = replace(members[1], refuses=48, certificate_bytes=850)
    document = recorded(tmp_path, *in_turn(MODERN, members))
    found = about(document, "client_authorities")
    assert (found.backend, counts(found)) == (None, (6, 6, 0, 12))
    assert document.services[0].assessment.state == "not_this"


def test_a_short_answer_of_a_server_that_does_not_pad_is_no_alert(tmp_path: Path) -> None:
    """Of 35 bytes, as long as a padded alert, right behind a Finished without padding."""
    recording = Recording(random.Random(1))
    for _ in range(6):
        recording.call(MODERN, A)
    for flow in recording.flows:
        for segment in flow.segments:
            if not segment.from_client and segment.payload[:1] == b"\x17" and len(segment.payload) < 100:
                segment.payload = b"\x17\x03\x03\x00\x23" + b"x" * 35
    document = document_of(written(tmp_path, recording.flows))
    assert {connection.outcome for connection in document.connections} == {"established"}


def test_flights_that_are_cut_short_are_counted_with_the_whole_ones(tmp_path: Path) -> None:
    """A client that rejects the certificate before the server has said all."""
    odd = replace(B, certificate_bytes=420, rejected_with=PADDED, pads=True)
    calls = in_turn(MODERN, [replace(A, pads=True), odd, replace(C, pads=True)])
    calls += in_turn(MODERN, [replace(A, pads=True), replace(odd, seen=2), replace(C, pads=True)], times=2)
    found = about(recorded(tmp_path, *calls), "flight")
    assert (found.backend, counts(found)) == (None, (8, 8, 0, 16))


def test_a_leaf_that_is_sent_twice_makes_no_other_chain(tmp_path: Path) -> None:
    members = [replace(member, behind=(member.leaf, *member.behind)) for member in (A, B, C)]
    assert not abouts(recorded(tmp_path, *in_turn(OLD, members)))


LATE = [
    pytest.param(MODERN, 80, 24, "latency", id="late"),
    pytest.param(MODERN, 5, 24, None, id="hardly late"),
    pytest.param(MODERN, 80, 3, None, id="too few"),
    pytest.param(replace(MODERN, far=60), 400, 24, "latency", id="from far away"),
]


@pytest.mark.parametrize(("caller", "wait", "times", "attribute"), LATE)
def test_late_answers_of_nobody_are_counted(
    caller: Caller, wait: float, times: int, attribute: str | None, tmp_path: Path
) -> None:
    document = recorded(tmp_path, *in_turn(caller, [A, replace(B, wait=wait), C], times // 3 * 2))
    assert [each.attribute for each in abouts(document)] == ([attribute] if attribute else [])
    if attribute:
        found = about(document, "latency")
        assert (found.backend, counts(found)) == (None, (0, 16, 0, 32))
        (drift,) = [f for f in document.findings if f.about is not None]
        assert drift.grade == "inferred"


def test_a_stretch_in_which_all_are_late_is_no_member(tmp_path: Path) -> None:
    late = [replace(member, wait=300) for member in (A, B, C)]
    calls = [*in_turn(MODERN, [A, B, C]), *in_turn(MODERN, late, 3), *in_turn(MODERN, [A, B, C])]
    assert not abouts(recorded(tmp_path, *calls))


def test_answers_late_by_many_different_times_are_no_member(tmp_path: Path) -> None:
    """Losses, say, or a name server now and then."""
    rng = random.Random(3)
    calls = [
        (MODERN, replace(member, wait=rng.choice((0, 0, 0, 40, 150, 400, 900))))
        for _ in range(20)
        for member in (A, B, C)
    ]
    assert not abouts(recorded(tmp_path, *calls))


def test_some_pool_is_slow_in_words(tmp_path: Path) -> None:
    document = recorded(tmp_path, *in_turn(MODERN, [A, replace(B, wait=80), C], 8))
    (drift,) = [f for f in document.findings if f.about is not None]
    assert drift.title.startswith(f"Some of {document.services[0].name}:8081 is slow: 8 of 24 ClientHellos")
    assert drift.about is not None
    assert drift.about.since is not None


def test_a_flight_of_another_server_is_not_the_beginning_of_one(tmp_path: Path) -> None:
    """It was whole: its server did not go on."""
    odd = replace(B, certificate_bytes=1900, rejected_with=PADDED)
    other = replace(C, certificate_bytes=300, rejected_with=PADDED)
    recording = Recording(random.Random(7))
    for caller, member in in_turn(MODERN, [A, odd, other]):
        recording.call(caller, member)
    short = [flow for flow in recording.flows if _server_bytes(flow) < 900]
    assert len(short) == 6
    for flow in short:  # it says all in one record
        for segment in flow.segments:
            if not segment.from_client and segment.payload[:1] == b"\x17":
                segment.payload = segment.payload[: 5 + int.from_bytes(segment.payload[3:5], "big")]
    found = about(document_of(written(tmp_path, recording.flows)), "flight")
    assert found.affected < 12 or "a flight of" not in found.value


def _server_bytes(flow: Flow) -> int:
    return sum(len(segment.payload) for segment in flow.segments if not segment.from_client)


@pytest.mark.parametrize(("share", "attributes"), [(10, []), (3, ["latency"])])
def test_few_late_answers_may_be_losses(share: int, attributes: list[str], tmp_path: Path) -> None:
    """What is lost is sent again after the same time."""
    calls = [(MODERN, replace(A, wait=200 if number % share == 0 else 0)) for number in range(120)]
    assert [each.attribute for each in abouts(recorded(tmp_path, *calls))] == attributes


def test_of_many_connections_some_are_looked_at(tmp_path: Path) -> None:
    found = about(recorded(tmp_path, *in_turn(MODERN, [A, replace(B, wait=80), C], 400)), "latency")
    assert found.reached + found.elsewhere == 600
    assert 160 <= found.reached <= 240


def test_a_retry_is_no_slowness(tmp_path: Path) -> None:
    far = replace(MODERN, far=60)
    document = recorded(tmp_path, *in_turn(far, [A, replace(B, retries=True), C], 12))
    assert [each.attribute for each in abouts(document)] == ["group"]


def test_who_is_trusted_elsewhere_is_rejected_alone(tmp_path: Path) -> None:
    document = recorded(tmp_path, *in_turn(OLD, [A, replace(B, rejected_with=46), C]))
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "the client rejects this certificate, though it accepts others of the same CA" in failed.title
    assert "the CA" not in failed.remedies[0].text
    assert counts(about(document, "certificate")) == (6, 6, 0, 12)


def test_a_member_with_an_intermediate_of_its_own_must_send_it(tmp_path: Path) -> None:
    issuer = certificate("Intermediate 2", issuer="Root", is_authority=True)
    alone = replace(
        B, leaf=certificate("db9.example.com", (NAME,), issuer="Intermediate 2"), behind=(), rejected_with=48
    )
    document = recorded(tmp_path, *in_turn(OLD, [A, alone, replace(C, behind=(issuer,))]))
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert failed.remedies[0].text == (
        "Let back end B (db9.example.com) send Intermediate 2 with its own certificate, as the other back ends do."
    )


@pytest.mark.parametrize("alert", [42, 45, 46, 48])
def test_not_valid_yet_whatever_the_alert(alert: int, tmp_path: Path) -> None:
    early = replace(B, leaf=leaf(77, (NAME,), (3, 800)), rejected_with=alert)
    (failed,) = [f for f in recorded(tmp_path, *in_turn(OLD, [A, early, C])).findings if f.rule == "handshake-failed"]
    assert "the server's certificate is not valid yet" in failed.title
