"""Renegotiations told: the ladder in further chapters, lengths beside each other, and what lengths alone must not
claim.
"""

from __future__ import annotations

import pytest

from inspector.facts import Event
from inspector.findings.judge import judge
from inspector.findings.reasons import flight_words
from inspector.reports.lines import plain
from inspector.reports.renegotiation import renegotiation_lines
from inspector.reports.story import Ladder, chapters
from inspector.reports.text import ladder_lines
from inspector.secrets.inputs import read_inputs
from inspector.text.zones import UTC
from inspector.tls.extensions import AnswerShape
from inspector.tls.protection import Extent
from inspector.tracking import flights
from inspector.tracking.flights import FirstFlight, FlightComparison, FlightReason, compare
from inspector.tracking.renegotiation import Renegotiation
from tests.build import facts_of
from tests.conftest import find
from tests.opening import KEYS, no_passphrase

TOLD = """\
  RENEGOTIATION 1   begun by the server (HelloRequest), broken off by the client
    server ◀┅┅  HelloRequest
    client ┅┅▶  ClientHello offers
    server ◀┅┅  ServerHello Certificate puppetdb2.example.com, ServerHelloDone
    client ┅┅▶  ✖ alert fatal bad_certificate (42)
"""


def words(line: str) -> str:
    """A rung without its time, frames and ids."""
    text = (
        line.split("  ", 1)[-1]
        if "▶" not in line and "◀" not in line
        else line[line.index("server" if "server" in line[:26] else "client") :]
    )
    return (
        "    "
        + " ".join(
            w
            for w in text.split("   [")[0].split(" ")
            if not (len(w.strip(",")) == 8 and all(c in "0123456789abcdef" for c in w.strip(",")))
        ).rstrip()
    )


def test_a_renegotiation_is_a_further_ladder() -> None:
    analysis = judge(facts_of(find("renegotiations"), given=read_inputs([], KEYS, no_passphrase)))
    seen = next(s for s in analysis.case.observed if s.server.port == 9049 and s.renegotiations)
    told = chapters(analysis, seen, UTC)
    assert told[0].title.endswith(f"   port {seen.client_leg.client.port} → back end {told[0].backend}")
    assert told[1].title.startswith("RENEGOTIATION 1   ")
    assert [r.visibility for r in told[1].rungs[:4]] == ["decrypted"] * 4
    lines = [words(line) for line in ladder_lines(Ladder("", told[1:]))[1:5]]
    assert [line.replace(" ,", ",") for line in lines] == TOLD.splitlines()[1:]
    whole = "\n".join(map(plain, renegotiation_lines(analysis, seen, 0, 100)))
    assert "▲ certificate or chain changed (decrypted): another certificate" in whole
    assert "Java's rule: aborts (row 6)" in whole
    assert "DNS names" in whole
    assert "≠" in whole


def test_without_secrets_lengths_stand_beside_each_other() -> None:
    analysis = judge(facts_of(find("renegotiations")))
    seen = next(s for s in analysis.case.observed if s.server.port == 9045 and s.renegotiations)
    lines = list(map(plain, renegotiation_lines(analysis, seen, 0, 100)))
    assert (
        "  ▲ certificate or chain changed (by length): each message has a record of its own; the Certificate"
        in lines[1]
    )
    assert [line.split()[:2] for line in lines if line.startswith(("  Server", "  Certificate"))][1] == [
        "Certificate",
        "1,648",
    ]
    rungs = chapters(analysis, seen, UTC)[1].rungs
    assert {r.visibility for r in rungs if "FIN" not in r.text and "RST" not in r.text} == {"encrypted"}


ANSWER = AnswerShape(0x0303, 0x0303, 0xC02F, (65281,), None, False, True, None, None, "")
SIZES = {"S": 81, "X": 1600, "K": 300, "N": 4}


class Known(flights.Measure):
    """A measure that says what it is told."""

    def __init__(self, wide: int = 0) -> None:
        self._wide = wide
        self.problem = None

    def extent(self, event: Event) -> Extent | None:
        return Extent(event.size, event.size + self._wide)


def attempt(*sizes: int, keyed: tuple[int, ...] = (37,), completed: bool = True) -> Renegotiation:
    events = tuple(Event(n, n, size, "f", False) for n, size in enumerate(sizes, 1))
    mine = tuple(Event(n, n, size, "f", True) for n, size in enumerate(keyed, 20))
    return Renegotiation(
        1,
        1,
        True,
        "completed" if completed else "aborted",
        None if completed else "client",
        None,
        (*events, *mine),
        None,
        events,
        mine,
        0,
        0,
    )


def judged(first: FirstFlight | None, what: Renegotiation, wide: int = 0) -> FlightComparison:
    return compare(first, what, Known(wide))


def first(
    *, sizes: dict[str, int] | None = None, answer: AnswerShape = ANSWER, offered: tuple[int, ...] = ()
) -> FirstFlight:
    from inspector.tls.extensions import HelloShape

    offer = HelloShape(legacy_version=0x0303, extensions=offered, secure_renegotiation=True)
    return FirstFlight(sizes or SIZES, 37, offer, answer, 32)


TABLE = [
    # each message has a record of its own
    ("equal", first(), attempt(105, 1600, 300, 4), 0, "consistent"),
    ("longer", first(), attempt(105, 1610, 300, 4), 0, "changed"),
    ("shorter", first(), attempt(105, 1590, 300, 4), 0, "changed"),
    ("a request is new", first(), attempt(105, 1600, 300, 90, 4), 0, "consistent"),
    ("a request is new, and the certificate longer", first(), attempt(105, 1620, 300, 90, 4), 0, "changed"),
    ("cut into two records", first(), attempt(105, 1000, 600, 300, 4), 0, "unknown"),
    ("a range that holds it", first(), attempt(96, 1590, 290, 0), 15, "consistent"),
    ("a range that does not", first(), attempt(96, 1620, 290, 0), 15, "changed"),
    # one record
    ("whole flight, equal", first(), attempt(2009), 0, "consistent"),
    ("whole flight, hello grown otherwise", first(), attempt(2009 - 32), 0, "consistent"),
    ("whole flight, longer", first(), attempt(2100), 0, "changed"),
    (
        "whole flight, longer, the client was asked for a certificate",
        first(),
        attempt(2100, keyed=(7, 37)),
        0,
        "unknown",
    ),
    ("whole flight, longer, status was asked for", first(offered=(5,)), attempt(2100), 0, "unknown"),
    ("whole flight, shorter", first(), attempt(1900), 0, "changed"),
    ("whole flight, shorter, given up", first(), attempt(1900, completed=False), 0, "unknown"),
    ("whole flight, longer, given up", first(), attempt(2100, completed=False), 0, "unknown"),
    # nothing to compare
    ("no first flight", None, attempt(105, 1610, 300, 4), 0, "unknown"),
    ("no flight", first(), attempt(), 0, "unknown"),
]


@pytest.mark.parametrize(("what", "before", "now", "wide", "verdict"), TABLE, ids=[row[0] for row in TABLE])
def test_what_lengths_prove(what: str, before: FirstFlight | None, now: Renegotiation, wide: int, verdict: str) -> None:
    found = judged(before, now, wide)
    assert found.verdict == verdict, found.reason
    words = flight_words(found, ANSWER.cipher_suite)
    assert words
    assert not {"{", "}"} & {*words}


def test_ecdsa_signatures_vary() -> None:
    answer = ANSWER._replace(cipher_suite=0xC02B)
    sizes = {"S": 81, "X": 900, "K": 147, "N": 4}
    for grown in (-2, -1, 0, 1, 2):
        assert (
            judged(first(sizes=sizes, answer=answer), attempt(81 + 24 + 900 + 147 + 4 + grown)).verdict == "consistent"
        )


def test_what_is_encrypted_is_not_called_safe() -> None:
    """A renegotiation of a resumed session without EMS may have shown any certificate: protected only as things stand,
    until it is read.
    """
    hidden = judge(facts_of(find("renegotiations"))).document
    shown = judge(facts_of(find("renegotiations"), given=read_inputs([], KEYS, no_passphrase))).document
    states = [{s.port: s.assessment for s in document.services} for document in (hidden, shown)]
    assert [(state[9048].state, state[9048].grade) for state in states] == [
        ("protected", "inferred"),
        ("protected", "observed"),
    ]
    assert "what 1 showed is encrypted" in states[0][9048].breaks_if[-1]
    assert "share the name" in states[1][9048].because[0]
    assert [(state[9049].state, state[9049].grade) for state in states] == [
        ("unknown", "inferred"),
        ("confirmed", "observed"),
    ]


CALIBRATED = [
    # suite; encrypted records of both sides: letter, direction, size; how long a record of 320 bytes is then, or what
    # is wrong
    (0xC02F, "f>40 f<40", Extent(296, 296)),
    (0xC02F, "f>45 f<40", FlightReason.LENGTHS_ODD),
    (0x002F, "f>64 f<64", Extent(268, 283)),
    (0x002F, "f>64 f<304", Extent(28, 283)),
    (0x002F, "f>64 f<64 i>272 f>64", Extent(28, 283)),
    (0x002F, "f>64 f<64 l>48", Extent(268, 283)),
    (0x002F, "f>64 f<63", FlightReason.LENGTHS_ODD),
    (0x0005, "f>36 f<36", Extent(300, 300)),
    (0xEEEE, "f>40 f<40", FlightReason.LENGTHS_HIDDEN),
]


@pytest.mark.parametrize(
    ("suite", "events", "expected"), CALIBRATED, ids=[f"{row[0]:04x} {row[1]}" for row in CALIBRATED]
)
def test_lengths_are_held_against_records_that_are_known(
    suite: int, events: str, expected: Extent | FlightReason
) -> None:
    from inspector.facts import ConnectionFacts, HandshakeFacts, LaneFacts, PackedEndpoint, pack_events

    listed = [Event(n, n, int(word[2:]), word[0], word[1] == ">") for n, word in enumerate(events.split(), 1)]
    handshake = HandshakeFacts(answer=ANSWER._replace(cipher_suite=suite))
    end = PackedEndpoint(b"\x7f\0\0\1", 1)
    client_leg = ConnectionFacts(
        end, end, 0, True, 0, 0, 1, 1, None, "", handshake, LaneFacts(), LaneFacts(), (), (), pack_events(listed)
    )
    measure = flights.Measure(client_leg)
    if isinstance(expected, FlightReason):
        assert measure.problem == expected
    else:
        assert measure.problem is None
        assert measure.extent(Event(0, 0, 320, "f", False)) == expected
