"""What falls out of the window: always something, never more than must, and nothing is left that leads to it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from inspector.facts import ConnectionFacts, Facts
from inspector.live.anchors import ANCHORS
from inspector.live.relations import RECENT
from inspector.live.window import SPARED_SHARE, Window
from tests.build import (
    CHANGE,
    CLIENT,
    DATA,
    DONE,
    FINISHED,
    Flow,
    Pool,
    capture,
    certificate,
    certificates,
    extension,
    facts_of,
    message,
    numbered,
    record,
    vector,
    written,
)
from tests.live import listened, window_of

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
TICKET = b"T" * 100


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """A window that never ends its turn is a failure, not a test that never ends. ``seconds``: of processor time."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def resumed_and_given_again(pool: Pool, ticket: bytes) -> Flow:
    """An abbreviated handshake in which the server sends the very ticket that it took."""
    flow = pool._begin(numbered(77), ticket)
    answer = b"\x03\x03" + numbered(500) + vector(1, numbered(77)) + b"\xc0\x2b\0"
    hello = message(2, answer + vector(2, extension(65281, b"\0") + extension(35)))
    again = message(4, b"\0\0\x1c\x20" + vector(2, ticket))
    flow.server_says(record(22, hello + again), CHANGE, FINISHED).client_says(CHANGE, FINISHED)
    return pool._end(flow.client_says(DATA).server_says(DATA).close())


def pool_of_anchors(pool: Pool) -> None:
    """All are anchors, or have resumed an anchor's session first."""
    for der in (A, B):
        for n in range(2 * ANCHORS + 1):
            pool.client = f"10.0.1.{n + 1}" if ANCHORS <= n < 2 * ANCHORS else CLIENT
            pool.full(der, numbered(pool.port))
            pool.resumed(numbered(pool.port - 1))


def test_anchors_beyond_a_part_of_the_window_fall_out() -> None:
    pool = Pool()
    pool_of_anchors(pool)
    with within(30):
        watching, _ = listened(capture(pool.flows), most=40)
    assert len(watching.window) == 40
    assert watching.window.forgotten == len(pool.flows) - 40


def test_anchors_and_who_resumed_them_stay_where_there_is_room(tmp_path: Path) -> None:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    for n in range(200):
        pool.full(B, numbered(n + 2), data=False)
    facts = facts_of(written(tmp_path, pool.flows))
    window = window_of(facts, 40)
    names = [window.put(facts.unpack(packed), True)[0] for packed in sorted(facts.connections)]
    for kept in names[:2], names[2 : 2 + ANCHORS], names[-1:]:
        assert len(window.connections(kept)) == len(kept)


def test_a_ticket_that_is_given_again_to_whom_resumed_by_it() -> None:
    pool = Pool()
    resumed_and_given_again(pool, TICKET)
    for n in range(100):
        pool.full(B, numbered(100 + n))
    watching, _ = listened(capture(pool.flows), most=40)
    assert watching.connections == 101
    assert watching.window.forgotten == 61


def test_a_session_comes_from_where_it_was_issued_first(tmp_path: Path) -> None:
    """Whoever offers the ticket later is judged with the full handshake that it was issued in."""
    pool = Pool()
    flow = pool._begin(b"", b"")
    flow.server_says(record(22, _full_with_ticket(TICKET)))
    pool._end(flow.client_says(CHANGE, FINISHED).server_says(CHANGE, FINISHED, DATA).close())
    resumed_and_given_again(pool, TICKET)
    facts = facts_of(written(tmp_path, pool.flows))
    window = window_of(facts, 40)
    first, second = (window.put(facts.unpack(packed), True)[0] for packed in sorted(facts.connections))
    (key,) = window._entries[first].issued
    assert key in window._entries[second].offered
    assert window._of_session(key) == (first, second)


def _full_with_ticket(ticket: bytes) -> bytes:
    hello = b"\x03\x03" + numbered(501) + vector(1, b"") + b"\xc0\x2b\0"
    hello = message(2, hello + vector(2, extension(65281, b"\0") + extension(35)))
    return hello + certificates(A) + message(12, b"s" * 70) + DONE + message(4, b"\0\0\x1c\x20" + vector(2, ticket))


@cache
def templates() -> tuple[ConnectionFacts, ConnectionFacts, Facts]:
    """A full handshake and an abbreviated one."""
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    with TemporaryDirectory() as folder:
        facts = facts_of(written(Path(folder), pool.flows))
    full, resumed = (facts.unpack(packed) for packed in sorted(facts.connections))
    return full, resumed, facts


KEYS = st.integers(0, 5)
PUTS = st.lists(
    st.tuples(
        st.booleans(),  # abbreviated
        st.integers(0, 40),  # which connection
        st.integers(0, 3),  # port of the server
        st.integers(0, 2),  # certificate
        st.integers(0, 4),  # client
        KEYS,  # issued or offered
        st.none() | KEYS,  # ticket that is offered
        st.none() | KEYS,  # ticket that is issued
        st.lists(KEYS, max_size=2),  # sessions of renegotiations
        st.integers(0, 9),  # time
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(puts=PUTS, most=st.integers(1, 30))
def test_each_turn_ends_within_the_bound_and_leaves_nothing_behind(puts: list[tuple], most: int) -> None:  # type: ignore[type-arg]
    full, resumed, facts = templates()
    window = window_of(facts, most)
    known = set()
    for is_resumed, which, port, leaf, client, key, offered, issued, inner, at in puts:
        made = resumed if is_resumed else full
        sessions = {"answered_id": numbered(key), "issued_ticket": None if issued is None else numbered(issued)}
        if is_resumed:
            sessions["offered_id"] = numbered(key)
        handshake = replace(
            made.handshake,
            **sessions,
            offered_ticket=None if offered is None else numbered(offered),
            client_random=numbered(which // 2),
            hello_ns=at,
            answer_ns=at,
            chain=() if is_resumed else (numbered(leaf),),
        )
        connection = replace(
            made,
            handshake=handshake,
            server=replace(made.server, port=port),
            client=replace(made.client, address=bytes([10, 0, 0, client]), port=which),
            renegotiations=tuple(replace(full.handshake, answered_id=numbered(n)) for n in inner),
        )
        with within(5):
            name, _, is_new = window.put(connection, True)
            assert is_new == (name not in known) or window.forgotten
            known.add(name)
            window.around([name], [])
        assert_consistent(window, most)
    assert len(window) + window.forgotten >= len(known)


def assert_consistent(window: Window, most: int) -> None:
    entries, relations = window._entries, window._relations
    assert len(entries) <= most
    assert window._spared.keys() <= entries.keys()
    assert window._bytes == sum(entry.memory for entry in entries.values())
    assert window._spared_bytes == sum(entries[name].memory for name in window._spared)
    assert len(window._spared) <= most // SPARED_SHARE
    for key, use in relations._sessions.items():
        assert use.issuer != use.resumer
        assert use.issuer is None or key in entries[use.issuer].issued
        assert use.resumer is None or key in entries[use.resumer].offered
    assert {name for legs in relations._legs.values() for name in legs} == entries.keys()
    for service, names in relations._recent.items():
        assert 0 < len(names) == len(set(names)) <= RECENT
        assert all(entries[name].service == service for name in names)


@pytest.mark.parametrize("most", [10, 100])
def test_a_window_of_nothing_but_anchors_takes_no_long_turns(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Of what is spared, each is looked at once while as many others are forgotten."""
    from inspector.live.anchors import Anchors

    turns = 0

    def holds(self: Anchors, name: str, entry: object) -> bool:
        nonlocal turns
        turns += 1
        return True

    monkeypatch.setattr(Anchors, "holds", holds)
    full, _, facts = templates()
    window = window_of(facts, most)
    with within(30):
        for n in range(10 * most):
            window.put(replace(full, client=replace(full.client, port=n)), True)
    assert turns <= 2 * window.forgotten + most
