"""Reasons are values with words, a row each; and a finding has what follows from its connections."""

from __future__ import annotations

from enum import Enum
from typing import get_args

import pytest

from inspector.document.rules import SEVERITY, Rule
from inspector.facts import HandshakeFacts
from inspector.findings import reasons
from inspector.findings.finding import finding
from inspector.findings.jsse import RuleReason
from inspector.findings.logged import Unpaired
from inspector.findings.signs import CONFIRMED, Abort, Sign, Weighed
from inspector.text.times import rfc3339
from inspector.tls import messages
from inspector.tracking.balancer_log import Reason
from inspector.tracking.flights import FlightReason
from inspector.tracking.kinds import KindReason
from tests.build import numbered, server_hello
from tests.conftest import bundled

ABORT = Abort(
    is_logged=False,
    has_origin=True,
    is_issued=True,
    differs=True,
    is_java=True,
    code=None,
    slow_ns=60_000_000,
    went_on_before=False,
    cloud=KindReason.FLIGHT_CUT,
    unclear=2,
)
TABLES: list[tuple[set[Enum], set[Enum]]] = [
    (set(reasons.KINDS), set(KindReason)),
    (set(reasons.RULE), set(RuleReason)),
    (set(reasons.DOUBTS), {sign for sign in Sign if sign not in CONFIRMED}),
    (set(reasons.FLIGHTS), set(FlightReason)),
    (set(reasons.UNPAIRED), set(Unpaired)),
]


@pytest.mark.parametrize(("rows", "members"), TABLES, ids=["kinds", "rule", "doubts", "flights", "unpaired"])
def test_every_reason_has_words(rows: set[Enum], members: set[Enum]) -> None:
    assert rows == members
    assert set(reasons.UNJOINED) == set(get_args(Reason))
    assert set(reasons.RULE_INSIDE) <= set(reasons.RULE)


@pytest.mark.parametrize("row", list(Sign))
def test_doubts_have_their_numbers(row: Sign) -> None:
    words = reasons.doubt(Weighed(row, ABORT, 3))
    assert bool(words) == (row not in CONFIRMED | {Sign.ITSELF})  # no certificate is in doubt here
    assert not {"{", "}"} & {*words}
    expected = {
        Sign.SLOW: "60.0 ms",
        Sign.SLOW_AND_PATIENT: "went on 3 times",
        Sign.CLOUDED: reasons.KINDS[KindReason.FLIGHT_CUT],
        Sign.UNCLEAR_ELSEWHERE: "gave up 2 times",
    }
    assert expected.get(row, "") in words


def test_a_pre_shared_key_is_named_by_its_number() -> None:
    answer = messages.server_hello(server_hello(numbered(8), b"")[4:]).shape._replace(accepted_psk=1)
    handshake = HandshakeFacts(answer=answer)
    assert reasons.kind_words(KindReason.PSK_ACCEPTED, handshake) == "the server accepted pre-shared key 1"


def test_a_finding_has_what_follows_from_its_connections() -> None:
    case = bundled("mixed-pool").case
    members = [observed for observed in case.observed if observed.backend >= 0][:5]
    made = finding(case, Rule.HANDSHAKE_FAILED, "key", on=members, title="t", explanation="e", evidence=[])
    assert made.severity == SEVERITY[Rule.HANDSHAKE_FAILED]
    assert (made.verdict, made.grade, made.count) == ("confirmed", "observed", 5)
    assert made.connections == [observed.id for observed in members]
    assert (made.first, made.last) == (rfc3339(members[0].first_ns), rfc3339(members[-1].first_ns))
    assert made.service == case.services[members[-1].service].id
    assert made.clients == list(dict.fromkeys(case.clients[observed.client].id for observed in members))
    assert made.backends == list(dict.fromkeys(case.backends[observed.backend].id for observed in members))
    other = finding(case, Rule.HANDSHAKE_FAILED, "other", on=members, title="t", explanation="e", evidence=[])
    assert other.id != made.id


def test_a_finding_about_no_connection_has_only_what_it_is_given() -> None:
    case = bundled("mixed-pool").case
    made = finding(
        case,
        Rule.POOL_DRIFT,
        service=case.services[0],
        backends=case.pools[0],
        count=2,
        title="t",
        explanation="e",
        evidence=[],
    )
    assert (made.first, made.last, made.clients, made.connections, made.count) == (None, None, [], [], 2)
    assert made.backends == [backend.id for backend in case.pools[0]]
