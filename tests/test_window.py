"""What a capture without an end remembers, and what it forgets."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings, strategies as st

from inspector import bounds
from inspector.errors.bounds import FlowsClosedEarly
from inspector.facts import ConnectionFacts, Facts
from inspector.findings.case import Options
from inspector.findings.change import ABORT
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.live.anchors import ANCHORS, Anchors
from inspector.tracking.observed import connection_id
from tests.build import Flow, Pool, certificate, facts_of, numbered, written
from tests.live import listened, window_of

A, B, C = (certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in (1, 2, 3))


def connections(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ConnectionFacts], Facts]:
    facts = facts_of(written(tmp_path_factory.mktemp("built"), pool.flows))
    return [facts.unpack(packed) for packed in sorted(facts.connections)], facts


def test_an_old_session_that_is_still_used_is_remembered(tmp_path_factory: pytest.TempPathFactory) -> None:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    for n in range(40):
        pool.full(A, numbered(100 + n))
        if n % 10 == 9:
            pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    found, facts = connections(pool, tmp_path_factory)
    window = window_of(facts, 15 + ANCHORS)
    for connection in found:
        name, _, _ = window.put(connection, True)
        window.around([name], [])
    assert window.forgotten
    document = judge(window.around([connection_id(found[-1])], []), Options()).document
    (finding,) = (f for f in document.findings if f.rule == ABORT)
    assert finding.verdict == "confirmed"
    assert finding.connections[0] == connection_id(found[0])


def test_what_was_forgotten_weakens_the_verdict_and_is_a_limit() -> None:
    pool = Pool()
    for n in range(ANCHORS + 1):
        pool.full(A, numbered(50 + n))
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.full(A, numbered(99))
    for n in range(200):
        pool.full(C, numbered(100 + n))
    pool.given_up(B, numbered(2), numbered(1))
    from tests.build import capture

    watching, heard = listened(capture(pool.flows), most=40)
    assert [f.verdict for f in heard.findings.values()] == ["possible"]
    assert any("older connections were forgotten" in worded(bound) for bound in watching.limits())
    assert len(watching.window) <= 40
    document = judge(watching.whole(), Options()).document
    assert any(limit.kind == "bounded" for limit in document.limits)
    assert any(f.rule == "capture-incomplete" for f in document.findings)


def test_tickets_are_followed_through_their_renewals(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each resumption gives a new ticket; the origin is that of the first."""
    from tests.conftest import bundled

    analysis = bundled("tickets")
    facts = analysis.case.facts
    window = window_of(facts, 1_000)
    for packed in sorted(facts.connections):
        window.put(facts.unpack(packed), True)
    for incident in analysis.document.incidents:
        found = judge(window.around([incident.connections[-1]], []), Options()).document
        assert incident.connections in [i.connections for i in found.incidents]


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), most=st.integers(ANCHORS * 4, 400))
def test_it_never_holds_more_than_it_may(seed: int, most: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    chance = random.Random(seed)
    pool = Pool()
    for n in range(120):
        pool.full(chance.choice([A, B, C]), numbered(n)) if chance.random() < 0.6 else pool.resumed(
            numbered(chance.randrange(n + 1))
        )
    found, facts = connections(pool, tmp_path_factory)
    window = window_of(facts, most)
    for connection in chance.sample(found, len(found)):
        window.put(connection, chance.random() < 0.5)
        assert len(window) <= most
    assert len(window) + window.forgotten >= len(found)
    assert len(judge(window.whole([], {}), Options()).case.observed) == len(window)


def test_hello_shapes_and_certificates_that_nothing_uses_go() -> None:
    from inspector.live import window as module

    pool = Pool()
    for n in range(30):
        pool.alpn = f"p{n}"
        pool.full(certificate(f"c{n}", (f"c{n}.example.com",)), numbered(n))
    from tests.build import capture

    watching, _ = listened(capture(pool.flows), most=40)
    watching.window._most = 10
    watching.window._anchors = Anchors(0)
    watching.window._bound()
    before, module.SHAPES = module.SHAPES, 5
    try:
        used = set(watching.window.tidy() or ())
    finally:
        module.SHAPES = before
    assert len(used) == 10 == len(watching.window.facts.offers)
    watching.engine.forget_certificates(used)
    assert len(watching.window.facts.certificates) == 10
    assert len(judge(watching.whole(), Options()).document.certificates) == 10


def test_a_flow_of_many_segments_is_one_connection_however_often_it_is_asked_for() -> None:
    """Handed out when its handshake is decided, again at its end: told once as new, once as over."""
    from tests.build import DATA, capture

    pool = Pool()
    flow: Flow = pool.full(A, numbered(1), data=False)
    del flow.segments[-3:]
    flow.sent = [
        sum(len(s.payload) for s in flow.segments if s.from_client) + 1,
        sum(len(s.payload) for s in flow.segments if not s.from_client) + 1,
    ]
    for _ in range(5):
        flow.client_says(DATA, wait=400_000_000).server_says(DATA)
    flow.close()
    _, heard = listened(capture([flow]))
    assert sum(len(update.decided) for update in heard.updates) == 1
    assert sum(len(update.ended) for update in heard.updates) == 1


def test_a_flood_of_made_up_names_stays_bounded() -> None:
    """Each connection with a name, a hello and a certificate of its own: services, shapes, certificates and rows of
    statistics stay few.
    """
    from inspector.live.outputs import handshake_counts as module
    from inspector.live.outputs.lines import LinePrinter
    from tests.build import capture

    pool = Pool()
    for n in range(300):
        pool.name = f"n{n}.example.com"
        pool.full(A, numbered(n + 1))
    before, module.ROWS = module.ROWS, 20
    out = io.BytesIO()
    try:
        watching, heard = listened(capture(pool.flows), most=40)
        lines = LinePrinter(watching, out, (), None)
        for update in heard.updates:
            lines.update(update)
    finally:
        module.ROWS = before
    assert len(watching.window._relations._recent) <= 40
    assert len(lines._counts.results) <= 21
    assert sum(lines._counts.results.values()) == watching.connections == 300


def test_flows_beyond_a_bound_are_closed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were idle longest go first: all were seen, and what was closed early is a limit."""
    monkeypatch.setattr("inspector.live.live_capture.FLOWS", 10)
    pool = Pool()
    flows = [pool.full(A, numbered(n + 1)) for n in range(40)]
    for flow in flows:
        del flow.segments[-3:]  # none is closed
    from tests.build import capture

    watching, _ = listened(capture(flows))
    assert watching.connections == 40
    (closed,) = (bound for bound in watching.engine.not_kept() if isinstance(bound, FlowsClosedEarly))
    assert closed.count >= 30
    assert any("flows were closed early because more than 10 were open" in worded(bound) for bound in watching.limits())


def test_connections_are_bounded_in_bytes_even_those_that_wait(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go, spared ones have a part alone, and how many went is counted."""
    pool = Pool()
    for n in range(60):
        pool.full((A, B, C)[n % 3], numbered(n))
    found, facts = connections(pool, tmp_path_factory)
    monkeypatch.setattr(bounds, "LIVE_CONNECTION_BYTES", 40_000)
    for is_waiting in (False, True):
        window = window_of(facts, 1_000)
        for connection in found:
            window.put(connection, True, is_waiting=is_waiting)
            assert sum(entry.memory for entry in window._entries.values()) <= bounds.LIVE_CONNECTION_BYTES
        assert 0 < len(window) < len(found)
        assert window.forgotten == len(found) - len(window)
        assert connection_id(found[-1]) in window._entries
    monkeypatch.setattr(bounds, "LIVE_CONNECTION_BYTES", 10)
    window = window_of(facts, 1_000)
    window.put(found[0], True)
    assert (len(window), window.forgotten) == (0, 1), "one that is larger than all that there is room for"
