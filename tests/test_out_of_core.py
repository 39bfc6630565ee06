"""What is judged out of core: the same document, whatever is in memory."""

from __future__ import annotations

import errno
import os
import random
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from mmap import mmap
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from inspector import bounds
from inspector.errors import UnwritableError
from inspector.facts import Facts, spool
from inspector.facts.mapped import column
from inspector.facts.spool import SpooledConnections
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.reports.json_stream import write_json
from inspector.tls.types import TLS13
from inspector.tracking import mapped_numbers
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.mapped_numbers import MappedNumbers
from inspector.tracking.mapped_observed import MappedObserved
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, grouped
from inspector.tracking.sessions import Ledger, LedgerEntry
from inspector.tracking.spooled_sessions import SpooledSessions
from tests.bench_facts import Wanted, story
from tests.build import facts_of
from tests.conftest import CAPTURES, bundled, find
from tests.replay import given_for

NAMES = sorted({path.name.split(".")[0] for path in CAPTURES.glob("*.pcap*")})
KEYED = sorted(path.stem for path in CAPTURES.glob("*.keylog"))
KEYS = 20_000
FEW_AND_MANY = (2_000, 6_000)
STEPS = 4_000


def spooled(facts: Facts) -> Facts:
    return msgspec.structs.replace(facts, connections=SpooledConnections(facts.connections))


def same_out_of_core(facts: Facts, options: Options | None = None) -> None:
    """The whole document, connections and sessions too."""
    in_core, out_of_core = judge(facts, options), judge(spooled(facts), options)
    assert isinstance(in_core.case.observed, list)
    assert isinstance(out_of_core.case.observed, MappedObserved)
    assert isinstance(out_of_core.case.sessions, SpooledSessions)
    encode = msgspec.json.encode
    assert encode(out_of_core.complete()) == encode(in_core.complete())


@pytest.fixture(autouse=True)
def few_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LIVE_SESSIONS", 3)
    monkeypatch.setattr(mapped_numbers, "FIRST_SLOTS", 8)


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_is_judged_the_same(name: str) -> None:
    same_out_of_core(facts_of(find(name)))


@pytest.mark.parametrize("name", KEYED)
def test_what_is_inside_is_judged_the_same(name: str) -> None:
    """Renegotiations and tickets too, which the ledger learns late."""
    same_out_of_core(facts_of(find(name), given=given_for(name)))


@pytest.mark.parametrize(
    "wanted",
    [Wanted(3_000), Wanted(3_000, services=7, is_calm=True), Wanted(2_000, vantages=4), Wanted(2_000, has_legs=True)],
)
def test_a_large_story_is_judged_the_same(wanted: Wanted) -> None:
    same_out_of_core(story(wanted))


def test_what_was_asked_for_and_the_busiest_services_are_judged_the_same() -> None:
    facts = story(Wanted(1_500, services=9))
    same_out_of_core(facts, Options(vips=(("192.0.2.1", 8081), ("puppetdb.example.com", 8081))))
    same_out_of_core(facts, Options(most_services=4))


def test_a_document_is_written_by_several_processes_from_what_is_out_of_core(tmp_path: Path) -> None:
    facts = story(Wanted(6_000))
    for name, each in (("in", facts), ("out", spooled(facts))):
        with (tmp_path / name).open("wb") as out:
            write_json(judge(each), None, out, 3)
    assert (tmp_path / "in").read_bytes() == (tmp_path / "out").read_bytes()


def seen_in_tls13(facts: Facts) -> Facts:
    """The same connections, as if each offered an identity of TLS 1.3 of its own, all sealed with one key."""
    answer = next(answer for answer in facts.answers.values())
    changed = msgspec.structs.replace(facts, connections=[])
    for number, leg in enumerate(facts.unpack_all(facts.connections)):
        handshake = leg.handshake
        if handshake.answer is not None:
            handshake.answer = answer._replace(version=TLS13)
            handshake.offered_psks, handshake.identity_name = (b"identity %d" % number,), b"one key"
        changed.add(leg)
    return changed


class Story(NamedTuple):
    """``kept``, ``peak``: bytes of memory of one connection more, at most: of one in 75 that failed, and whose finding
    is kept; where there are two legs, of all that show one random, which are compared.
    """

    make: Callable[[int], Facts]
    kept: int
    peak: int
    options: Options | None = None


STORIES = {
    "TLS 1.2": Story(lambda count: story(Wanted(count, is_calm=True)), 150, 350),
    "TLS 1.3": Story(lambda count: seen_in_tls13(story(Wanted(count, is_calm=True))), 150, 350),
    "other services": Story(
        lambda count: story(Wanted(count, services=40, is_calm=True)), 80, 150, Options(most_services=1)
    ),
    "two legs": Story(lambda count: story(Wanted(count, has_legs=True, is_calm=True)), 300, 950),
}


def bytes_a_connection(name: str) -> tuple[float, float]:
    """Of memory: what stays of one more that was judged and described, and at the peak; not what is mapped."""
    spool.WRITTEN_BYTES, bounds.LIVE_SESSIONS = 4096, 3
    few, many = FEW_AND_MANY
    kept, peaks = [], []
    for count in (many, few, many):  # by the second, what is kept once for all stories is kept
        facts = spooled(STORIES[name].make(count))
        tracemalloc.start()
        analysis = judge(facts, STORIES[name].options)
        assert analysis.document.services
        size, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept.append(size)
        peaks.append(peak)
    return (kept[2] - kept[1]) / (many - few), (peaks[2] - peaks[1]) / (many - few)


@pytest.mark.parametrize("name", STORIES)
def test_little_of_a_connection_is_in_memory(name: str) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        kept, peak = alone.submit(bytes_a_connection, name).result()
    assert kept < STORIES[name].kept
    assert peak < STORIES[name].peak


def test_all_that_is_large_is_out_of_core(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: set[type] = set()
    enter = Ledger.enter

    def noted(self: Ledger, *words: Any) -> LedgerEntry:
        entered.add(type(self._by_key))
        return enter(self, *words)

    monkeypatch.setattr(Ledger, "enter", noted)
    for facts, is_mapped in ((facts_of(find("mixed-pool")), False), (spooled(facts_of(find("mixed-pool"))), True)):
        entered.clear()
        case = judge(facts).case
        assert entered == {MappedNumbers if is_mapped else dict}
        assert {isinstance(column.obj, mmap) for column in (case.columns.first_ns, case.columns.backend)} == {is_mapped}


def test_numbers_are_kept_as_a_dictionary_keeps_them() -> None:
    rng = random.Random(7)
    keys = [rng.randbytes(rng.choice((1, 16, 32))) for _ in range(900)]
    numbers, known = MappedNumbers(), dict[bytes, int]()
    for number in range(STEPS):
        key = rng.choice(keys)
        if number % 3:
            assert numbers.setdefault(key, number) == known.setdefault(key, number)
        else:
            numbers[key] = known[key] = number
        key = rng.choice(keys)
        assert numbers.get(key) == known.get(key)
        assert (key in numbers) == (key in known)
    assert None not in numbers


def test_many_keys_are_as_few_steps_away_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, looked_at = MappedNumbers(), 0
    for number in range(KEYS):
        numbers[b"%d" % number] = number
    for number in range(0, KEYS, 7):
        low, high = numbers._hashed(b"%d" % number)
        looked_at += (numbers._slot(low, high) - low & numbers._mask) + 1
    assert looked_at < 3 * len(range(0, KEYS, 7))


def test_sessions_are_kept_as_they_were_changed_last() -> None:
    rng = random.Random(5)
    sessions, known = SpooledSessions(), list[LedgerSession]()
    for number in range(STEPS):
        sessions.put_away()
        if not known or rng.random() < 0.3:
            issued_ns = rng.choice((None, -(10**18)))
            for each in (sessions, known):
                each.append(LedgerSession(key=b"%d" % number, method="ticket", issued_ns=issued_ns))
        chosen = rng.randrange(len(known))
        for session in (sessions[chosen], known[chosen]):
            session.note_offer(number, is_resumed=bool(number % 2))
            session.resumed_ns, session.leaf, session.ems = number, b"leaf" if number % 3 else None, number % 5 == 0
    sessions.close()
    assert list(sessions) == [*known]
    assert sessions[-1] == known[-1]
    with pytest.raises(IndexError):
        sessions[len(known)]
    assert sessions[2:5] == known[2:5]
    assert len(sessions) == len(known)


def test_a_session_that_is_used_again_and_again_is_not_written_each_time() -> None:
    sessions = SpooledSessions()
    for number in range(STEPS):
        sessions.append(LedgerSession(key=b"%d" % number, method="ticket"))
        sessions[0].note_offer(number, is_resumed=True)
        sessions.put_away()
    written, waiting = sessions._spool._end
    assert written + len(waiting) < 100 * STEPS
    sessions.close()
    assert len(sessions[0].uses) == STEPS


def test_what_was_observed_is_got_as_a_list_has_it() -> None:
    facts = facts_of(find("renegotiation"))
    in_core, out_of_core = judge(facts).case.observed, judge(spooled(facts)).case.observed
    assert list(map(plain, out_of_core)) == list(map(plain, in_core))
    assert plain(out_of_core[-1]) == plain(in_core[-1])
    assert list(map(plain, out_of_core[1:4])) == list(map(plain, in_core[1:4]))
    with pytest.raises(IndexError):
        out_of_core[len(in_core)]


def plain(observed: Observed) -> tuple[object, ...]:
    names = ("index", "id", "traits", "particulars", "offer", "answer", "leaf", "shown", "service", "backend", "packed")
    return tuple(getattr(observed, name) for name in names)


def test_a_selection_is_as_a_list_of_the_same() -> None:
    observed = bundled("mixed-pool").case.observed
    some = ObservedSelection.of(observed, (one for one in observed if one.index % 3 == 1))
    listed = [one for one in observed if one.index % 3 == 1]
    assert [*some] == listed
    assert (len(some), some[0], some[-1]) == (len(listed), listed[0], listed[-1])
    assert [*some[1:3]] == listed[1:3]
    full = ObservedSelection(observed, range(len(observed))).where(lambda shape: shape.traits.kind == "full")
    assert [*full] == [one for one in observed if one.kind == "full"]
    groups = grouped(observed, observed, lambda one: one.kind)
    assert {kind: [*group] for kind, group in groups.items()} == {
        kind: [one for one in observed if one.kind == kind] for kind in dict.fromkeys(one.kind for one in observed)
    }


def test_a_full_disk_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(descriptor: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("inspector.facts.mapped.os.posix_fallocate", is_full)
    with pytest.raises(UnwritableError, match="No space left"):
        column("q", 10, is_mapped=True)
    assert [*column("q", 3, is_mapped=False)] == [0, 0, 0]
    facts = spooled(facts_of(find("mixed-pool")))
    with pytest.raises(UnwritableError, match="No space left"):
        judge(facts)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_room_is_taken_where_the_system_cannot_take_it_at_once(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(descriptor: int, start: int, size: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("inspector.facts.mapped.os.posix_fallocate", cannot)
    monkeypatch.setattr("inspector.facts.mapped.ZEROS", bytes(1_000))
    integers = column("q", 1_001, is_mapped=True)
    integers[1_000] = -1
    assert (len(integers), sum(integers)) == (1_001, -1)


@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_column_has_one_length(*, is_mapped: bool) -> None:
    integers = column("i", 5, is_mapped=is_mapped)
    integers[2] = -7
    assert [*integers] == [0, 0, -7, 0, 0]
    with pytest.raises(IndexError):
        integers[5] = 1
    assert [*column("I", 0, is_mapped=is_mapped)] == []
