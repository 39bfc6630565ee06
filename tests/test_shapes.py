"""Who began a renegotiation, and what became of it: by the shape of its records, and as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inspector.facts import C_HELLO, ConnectionFacts, Event, HandshakeFacts, LaneFacts, PackedEndpoint, pack_events
from inspector.tls.extensions import AnswerShape
from inspector.tracking.renegotiation import find_renegotiations
from tests.build import document_of
from tests.conftest import CAPTURES, bundled, find
from tests.replay import given_for

NAMES = {
    row["name"]: row["port"]
    for row in map(json.loads, (CAPTURES / "renegotiation-shapes.jsonl").read_text(encoding="utf-8").splitlines())
}
EXPECTED: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    # began by, state, by whom, shape, certificate without keys; the outcome that keys show
    "client asks, server declines": ([("client", "declined", "server", None, "unknown")], "aborted"),
    "client asks": ([("client", "completed", None, "full", "consistent")], "established"),
    "server asks, with a ticket": ([("server", "completed", None, "abbreviated", "unknown")], "established"),
    "server asks, client declines": ([("server", "declined", "client", None, "unknown")], "aborted"),
    "server asks, with a session id": ([("server", "completed", None, "abbreviated", "unknown")], "established"),
    "client asks, nothing is encrypted": ([("client", "completed", None, "full", "consistent")], "established"),
    "server asks twice": ([("server", "completed", None, "abbreviated", "unknown")] * 2, "established"),
}
KINDS = {
    "client asks": ["full"],
    "server asks, with a ticket": ["ticket"],
    "server asks, with a session id": ["session_id"],
    "server asks twice": ["ticket", "ticket"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_shapes_of_real_renegotiations(name: str) -> None:
    expected, outcome = EXPECTED[name]
    [hidden] = [
        c for c in bundled("renegotiation-shapes").complete().connections if c.server_endpoint.port == NAMES[name]
    ]
    insides = [h.inside for h in hidden.handshakes[1:] if h.inside is not None]
    assert [(i.began_by, i.state, i.by, i.shape, i.certificate) for i in insides] == expected
    assert hidden.outcome == "established"
    [shown] = [
        c
        for c in document_of(find("renegotiation-shapes"), given=given_for("renegotiation-shapes")).connections
        if c.server_endpoint.port == NAMES[name]
    ]
    assert shown.secrets == "decrypted"
    assert shown.outcome == outcome
    assert [h.inside.state for h in shown.handshakes[1:] if h.inside] == [i.state for i in insides]
    if name in KINDS:
        assert [h.kind for h in shown.handshakes[1:]] == KINDS[name]
    if outcome == "aborted":
        assert [a.name for a in shown.alerts] == ["no_renegotiation", "handshake_failure"]


def test_without_encryption_lengths_are_exact() -> None:
    [connection] = [
        c
        for c in bundled("renegotiation-shapes").complete().connections
        if c.server_endpoint.port == NAMES["client asks, nothing is encrypted"]
    ]
    inside = connection.handshakes[1].inside
    assert inside is not None
    assert all(part.now is not None and part.now[0] == part.now[1] for part in inside.lengths)


ANSWER = AnswerShape(0x0303, 0x0303, 0xC02F, (65281,), None, False, True, None, None, "")
BOTH = "C>100 S<81 X<900 N<4 G>70 I>1 f>40 I<1 f<40 D>50 D<60 "
SHAPES = [
    # events behind the first handshake: letter, direction, size; then began by server, state, by, shape
    ("", []),
    ("f<28 f>300 f<105 f<900 f<28 f>90 i>25 f>40 i<25 f<40", [(True, "completed", None, "full")]),
    ("f>300 f<105 i<25 f<40 i>25 f>40", [(False, "completed", None, "abbreviated")]),
    ("f<28", [(True, "open", None, None)]),
    ("f<28 .>0", [(True, "declined", "client", None)]),
    ("f<28 l>26", [(True, "declined", "client", None)]),
    ("f<28 l<26", [(True, "declined", "client", None)]),
    ("f>300 l<26 .<0", [(False, "declined", "server", None)]),
    ("f>300 f<105 f<900 l>26 f<28 .>0", [(False, "aborted", "client", None)]),
    ("f>300 f<105 !<0", [(False, "aborted", "server", None)]),
    ("f>300 f<105 f<900 f<28", [(False, "open", None, None)]),
    (
        "f<28 l>26 f<28 f>300 f<105 i<25 f<40 i>25 f>40",
        [(True, "declined", "client", None), (True, "completed", None, "abbreviated")],
    ),
    (
        "f>300 f<105 i<25 f<40 i>25 f>40 f>300 f<105 i<25 f<40 i>25 f>40 l>26 .>0",
        [(False, "completed", None, "abbreviated")] * 2,
    ),
]


@pytest.mark.parametrize(("events", "expected"), SHAPES, ids=[events or "none" for events, _ in SHAPES])
def test_shapes(events: str, expected: list[tuple[Any, ...]]) -> None:
    listed = [
        Event(n * 1000, n + 1, int(word[2:]), word[0], word[1] == ">") for n, word in enumerate((BOTH + events).split())
    ]
    handshake = HandshakeFacts(answer=ANSWER, messages=C_HELLO)
    end = PackedEndpoint(b"\x7f\0\0\1", 1)
    client_leg = ConnectionFacts(
        end,
        end,
        0,
        True,
        0,
        0,
        1,
        1,
        None,
        "",
        handshake,
        LaneFacts(has_packets=True),
        LaneFacts(has_packets=True),
        (),
        (),
        pack_events(listed),
    )
    assert [(r.asked_by_server, r.state, r.by, r.shape) for r in find_renegotiations(client_leg)] == expected
