"""A mistake of this program costs one frame, one connection, one line, one judgement; it is named and counted, and the
rest goes on. Here mistakes are made on purpose: a reader raises what nobody foresaw where it meets one connection.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from inspector.errors import UnreadableError
from inspector.errors.internal import ELSEWHERE, PLACES, Border, InternalError
from inspector.extract.connection import ConnectionAssembly
from inspector.extract.engine import Engine
from inspector.extract.journal import Journal, values
from inspector.extract.journal.database import DamagedError
from inspector.extract.journal.reading import read_facts
from inspector.facts import ConnectionFacts
from inspector.findings import change
from inspector.findings.into_document.connection import connection
from inspector.findings.judge import judge
from inspector.findings.judgement import JavaRule
from inspector.live.keeping import Keeping
from inspector.live.outputs import line_forms, lines, metrics
from inspector.live.outputs.handshake_counts import HandshakeCounts
from inspector.live.window import Window
from inspector.logs.puppetserver import PuppetServerLog
from inspector.tls.x509 import certificate as x509
from inspector.tracking import certificate_reader, certificates
from inspector.wire.segments import SegmentBatch, SegmentDecoder
from tests.build import Pool, capture, certificate, document_of, facts_of, numbered, written
from tests.live import listened

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
EVIL = certificate("evil", ("evil.example.com",))
"""What makes the program stumble."""


@pytest.fixture(autouse=True)
def quiet(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production."""
    monkeypatch.setattr(Border, "is_loud", False)
    monkeypatch.setattr(certificate_reader.READER, "_read", OrderedDict())


def story(evil: int = 1) -> Pool:
    """An abort, and connections in whose midst some stand that make it stumble."""
    pool = Pool()
    pool.full(A, numbered(1))
    for number in range(evil):
        pool.full(EVIL, numbered(100 + number))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    for number in range(10):  # so many that columns are used
        pool.full(A, numbered(10 + number))
    return pool


Break = Callable[[pytest.MonkeyPatch], None]


def stumbling(where: type, name: str, over: Callable[..., bool]) -> Break:
    """The method raises where this holds of its arguments."""

    def change(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(where, name)

        def wrong(*arguments: Any, **named: Any) -> Any:
            if over(*arguments, **named):
                raise ZeroDivisionError("nobody foresaw this")
            return right(*arguments, **named)

        monkeypatch.setattr(where, name, wrong)

    return change


def is_evil(connection: ConnectionFacts) -> bool:
    return sha256(EVIL).digest() in connection.handshake.chain


def holds_evil(batch: Any) -> bool:
    ends = zip(batch.offset.tolist(), batch.captured.tolist(), strict=True)
    return any(EVIL in batch.data[at : at + size].tobytes() for at, size in ends)


MISTAKES: dict[str, Break] = {
    "a frame": stumbling(SegmentDecoder, "decode", lambda decoder, batch: holds_evil(batch)),
    "a message": stumbling(Engine, "chain", lambda engine, body, **named: EVIL in body),
    "a connection that ends": stumbling(Engine, "ended", lambda engine, flow: is_evil(engine._connection_facts(flow))),
}


@pytest.mark.parametrize("columns", [0, 1], ids=["one by one", "in columns"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_thing_is_lost_and_named(
    mistake: str, columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.extract.engine.FEWEST", columns)
    monkeypatch.setattr(Engine.__init__, "__defaults__", (False, None, columns))
    path = written(tmp_path, story().flows)
    whole = document_of(path)
    MISTAKES[mistake](monkeypatch)
    document = document_of(path)
    if mistake == "a connection that ends" and columns:
        assert len(document.connections) == len(whole.connections), "it was known before it ended"
        return
    (limit,) = [limit for limit in document.limits if limit.kind == "internal_errors"]
    assert "ZeroDivisionError at " in limit.text
    assert len(whole.connections) - 1 <= len(document.connections)
    aborts = [f.id for f in whole.findings if f.rule == "certificate-change-abort"]
    assert aborts == [f.id for f in document.findings if f.rule == "certificate-change-abort"]


def test_nothing_is_acquitted_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.full(EVIL, numbered(2))
    path = written(tmp_path, pool.flows)
    MISTAKES["a message"](monkeypatch)
    (service,) = document_of(path).services
    assert service.assessment.state == "unknown" or service.assessment.grade != "observed"
    assert "internal_errors" in [unseen.kind for unseen in service.assessment.unseen]


@pytest.mark.parametrize("evil", [1, 3])
def test_connections_that_cannot_be_judged_are_left_out(
    evil: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As few as there are, and the others have their verdicts."""
    digest = sha256(EVIL).digest()
    stumbling(JavaRule, "judged", lambda rule, observed, **named: observed.leaf == digest)(monkeypatch)
    facts = facts_of(written(tmp_path, story(evil).flows))
    document = judge(facts).complete()
    assert len(document.connections) == len(facts.connections) - evil
    (limit,) = [limit for limit in document.limits if limit.kind == "internal_errors"]
    assert f"times: {evil}" in limit.text
    assert "ZeroDivisionError at findings/" in limit.text
    assert len([f for f in document.findings if f.rule == "certificate-change-abort"]) == 1


def test_nothing_that_can_be_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stumbling(JavaRule, "judged", lambda rule, observed, **named: True)(monkeypatch)
    facts = facts_of(written(tmp_path, story().flows))
    document = judge(facts).complete()
    assert not document.connections
    assert [limit.kind for limit in document.limits] == ["internal_errors"]


RULES = {
    "aborts": "inspector.findings.change.aborts",
    "members of aborts": "inspector.findings.rules.attribute_aborts",
    "aftermath": "inspector.findings.rules.tell_aftermath",
    "renegotiations": "inspector.findings.renegotiation.renegotiations",
    "failures": "inspector.findings.failures.failures",
    "stale": "inspector.findings.rules.stale",
    "tolerated": "inspector.findings.change.tolerated",
    "rotations": "inspector.findings.pool.rotations",
    "expiry": "inspector.findings.pool.expiry",
    "drift": "inspector.findings.pool.drift",
    "drift of answers": "inspector.findings.rules.drift_of_answers",
    "lost resumption": "inspector.findings.rules.resumption_lost",
    "who does EMS": "inspector.findings.judge.extended",
    "assessment": "inspector.findings.judge.assess",
    "headline": "inspector.findings.judge.headed",
    "what if": "inspector.findings.judge.what_if",
    "attributes": "inspector.findings.judge.attributes",
    "incidents": "inspector.findings.judge.incidents",
    "authorities": "inspector.findings.judge.authorities",
    "limits": "inspector.findings.limits.limits",
}
DECIDING = frozenset(("aborts", "renegotiations", "failures", "stale", "who does EMS", "assessment", "limits"))
"""Those on which an assessment rests."""


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_stumbles_costs_what_it_would_find(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is acquitted where an assessment rests on it."""
    facts = facts_of(written(tmp_path, story().flows))
    whole = judge(facts).complete()

    def wrong(*arguments: Any, **named: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(RULES[rule], wrong)
    document = judge(facts).complete()
    (limit,) = [limit for limit in document.limits if limit.kind == "internal_errors"]
    assert "ZeroDivisionError at " in limit.text
    assert len(document.connections) == len(whole.connections)
    lost = {f.id for f in whole.findings} - {f.id for f in document.findings}
    assert len({f.rule for f in whole.findings if f.id in lost}) <= 1
    for service in document.services:
        assert rule not in DECIDING or service.assessment.unseen or service.assessment.state == "unknown"


def test_what_a_rule_found_before_it_stumbled_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = change.aborts

    def wrong(*arguments: Any) -> Any:
        yield from right(*arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(change, "aborts", wrong)
    document = document_of(written(tmp_path, story().flows))
    assert len([f for f in document.findings if f.rule == "certificate-change-abort"]) == 1


def test_a_certificate_over_which_it_stumbles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compared with it, and its place is named."""
    right = x509.read_certificate

    def wrong(data: bytes) -> x509.Reading:
        if data == EVIL:
            raise RecursionError
        return right(data)

    monkeypatch.setattr(certificates, "read_certificate", wrong)
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(EVIL, numbered(2), numbered(1))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    document = analysis.complete()
    assert not [f for f in document.findings if f.rule == "certificate-change-abort" and f.verdict == "confirmed"]
    (described,) = [c for c in document.certificates if c.problem]
    assert described.problem is not None
    assert "a mistake of this program" in described.problem
    assert "RecursionError at " in described.problem


LIVE: dict[str, Break] = {
    **MISTAKES,
    "the window": stumbling(Window, "put", lambda window, connection, *rest, **named: is_evil(connection)),
}


@pytest.mark.parametrize("mistake", LIVE)
def test_a_live_capture_goes_on(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    LIVE[mistake](monkeypatch)
    watching, heard = listened(capture(story().flows))
    counted = watching.border.count
    assert counted or mistake == "a connection that ends"  # in columns it was known before
    incidents = [incident for update in heard.updates for incident in update.incidents]
    assert len(incidents) == 1
    assert {type(limit) for limit in watching.limits()} == ({InternalError} if counted else set())
    assert f"inspector_internal_errors_total {counted}" in metrics.text(watching, HandshakeCounts(has_members=True))


def test_a_judgement_that_fails_costs_no_other_connection_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.live import judging

    right = judging._judged

    def wrong(changed: judging.Changed, facts: Any, *rest: Any) -> judging.JudgedPart:
        part = right(changed, facts, *rest)
        judged = [facts.unpack(packed) for packed in facts.connections]
        if any(is_evil(c) and part.analysis.case.observed[i].id in changed for i, c in enumerate(judged)):
            raise ZeroDivisionError
        return part

    monkeypatch.setattr(judging, "_judged", wrong)
    pool = story()
    watching, heard = listened(capture(pool.flows))
    assert watching.border.count
    over = {observed.id for update in heard.updates for observed in update.observed(update.ended)}
    assert len(over) == len(pool.flows) - 1
    assert sum(len(update.incidents) for update in heard.updates) == 1


def test_a_line_that_cannot_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    right = connection

    def wrong(case: Any, observed: Any) -> Any:
        if observed.outcome == "aborted":
            raise KeyError("unknown")
        return right(case, observed)

    monkeypatch.setattr(line_forms, "described", wrong)
    pool = story()
    out = BytesIO()
    watching, heard = listened(capture(pool.flows))
    printer = lines.LinePrinter(watching, out, (), None)
    for update in heard.updates:
        printer.update(update)
    printer.finish()
    printed = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len([line for line in printed if line["record"] == "connection"]) == len(pool.flows) - 1
    (limit,) = printed[-1]["limits"]
    assert "KeyError at live/outputs/line_forms.py" in limit


def test_a_line_of_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.logs.reading import read_log

    path = tmp_path / "puppetserver.log"
    path.write_text("2023-11-14T22:13:20.123Z INFO [x] [a.b] ok\n" * 3 + "evil\n" + "more\n")
    stumbling(PuppetServerLog, "line", lambda reader, number, line, *rest: number == 2)(monkeypatch)
    facts = read_log(str(path))
    assert facts.lines == 5
    assert "ZeroDivisionError at " in facts.problem.where  # type: ignore[union-attr]


def test_places_are_told_apart_up_to_a_bound() -> None:
    border = Border()
    for number in range(PLACES + 5):
        border.note(f"place {number}")
    assert border.count == PLACES + 5
    notices = border.notices()
    assert len(notices) == PLACES + 1
    assert (notices[0].where, notices[0].count) == (ELSEWHERE, 5)


def test_what_is_meant_to_get_out_does() -> None:
    with pytest.raises(KeyboardInterrupt), Border():
        raise KeyboardInterrupt


def test_mistakes_are_loud_in_all_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Border, "is_loud", True)
    with pytest.raises(ZeroDivisionError), Border():
        raise ZeroDivisionError


def test_a_batch_of_which_no_frame_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(decoder: SegmentDecoder, batch: Any) -> SegmentBatch:
        if len(batch):
            raise ZeroDivisionError
        return right(decoder, batch)

    right = SegmentDecoder.decode
    monkeypatch.setattr(SegmentDecoder, "decode", wrong)
    document = document_of(written(tmp_path, story().flows))
    assert not document.connections
    assert [limit.kind for limit in document.limits] == ["internal_errors"] * 2


def test_a_connection_is_no_more_than_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised while it is followed segment by segment."""
    calls = 0

    def wrong(connection: ConnectionAssembly, lane: int, frame: int, ns: int, *, is_reset: bool) -> None:
        nonlocal calls
        calls += 1
        if calls % 7 == 1:
            raise MemoryError

    monkeypatch.setattr(ConnectionAssembly, "closed", wrong)
    monkeypatch.setattr(Engine.__init__, "__defaults__", (False, None, 0))
    document = document_of(written(tmp_path, story().flows))
    assert 0 < len(document.connections) <= len(story().flows)
    assert {limit.kind for limit in document.limits} >= {"internal_errors"}


def test_a_row_of_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other connections are read, and what is damaged is still refused."""
    path = tmp_path / "journal.sqlite"
    listened(capture(story().flows), Keeping(journal=Journal(str(path), 1 << 24, "eth0")))
    whole = read_facts(str(path))
    right = values.connection

    def wrong(name: object, packed: bytes, *rest: Any) -> bytes:
        if is_evil(whole.unpack(packed)):
            raise ZeroDivisionError
        return right(name, packed, *rest)

    monkeypatch.setattr(values, "connection", wrong)
    facts = read_facts(str(path))
    assert len(facts.connections) == len(whole.connections) - 1
    (notice,) = facts.bounded
    assert isinstance(notice, InternalError)
    assert notice.count == 1

    def damaged(*arguments: Any) -> bytes:
        raise DamagedError("damaged")

    monkeypatch.setattr(values, "connection", damaged)
    with pytest.raises(UnreadableError, match="damaged"):
        read_facts(str(path))
