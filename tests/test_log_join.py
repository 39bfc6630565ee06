"""The client's log joined with the wire: each failure with its connection, and sets where that cannot be told."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from inspector.extract.processes import extract
from inspector.findings.judge import judge
from inspector.findings.logged import moment
from inspector.findings.pairing import paired
from inspector.logs.reading import read_log
from inspector.text.times import rfc3339
from tests.conftest import find
from tests.logged import (
    FORMATS,
    HOUR,
    MILLISECOND,
    RESTRICTED,
    SECOND,
    SHARED,
    facts_of,
    old,
    paired_as,
    puppet,
    today,
    with_logs,
)


def captures() -> list[str]:
    """Every capture with aborts, those of the lab too where they are."""
    paths = [
        str(find(name))
        for name in (
            "jdk17-abort",
            "jdk25-abort",
            "silent-abort",
            "tickets",
            "mixed-pool",
            "tls10",
            "ipv6",
            "both-legs",
            "look-alike",
        )
    ]
    return paths + sorted(str(p) for p in SHARED.glob("*.pcap"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "shift", [0, -3 * HOUR, 2 * SECOND, -3 * HOUR + 2 * SECOND], ids=["none", "-3h", "+2s", "-3h+2s"]
)
def test_logs_made_from_the_truth(tmp_path: Path, form: str, shift: int) -> None:
    total: Counter[str] = Counter()
    for path in captures():
        case = judge(facts_of(path)).case
        aborted = [s for s in case.observed if case.may_change(s)]
        if not aborted:
            continue
        chance = random.Random(f"{Path(path).name} {form} {shift}")
        rows = sorted((moment(s) + shift + chance.randint(-700_000, 30 * MILLISECOND), s.index) for s in aborted)
        log = tmp_path / "puppetserver.log"
        log.write_text("".join(FORMATS[form](ns, index) for ns, index in rows))
        found = paired_as(with_logs(path, [read_log(str(log))]).case, rows)
        assert not found["wrong"], path
        assert not found["wrong set"], path
        assert not found["unpaired"], path
        total += found
    assert total["right"] > 10 * total["set"]


@pytest.mark.parametrize("form", FORMATS)
def test_two_machines_behind_one_address(tmp_path: Path, form: str) -> None:
    """Each has its own log with a clock of its own, and half of the failures."""
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    aborted = [s for s in case.observed if case.may_change(s)]
    chance = random.Random(7)
    logs, halves = [], []
    for number, shift in enumerate((0, 2 * SECOND)):
        rows = sorted(
            (moment(s) + shift + chance.randint(-700_000, 30 * MILLISECOND), s.index) for s in aborted[number::2]
        )
        log = tmp_path / f"{number}.log"
        log.write_text("".join(FORMATS[form](ns, index) for ns, index in rows))
        logs.append(read_log(str(log)))
        halves.append(rows)
    case = with_logs(path, logs).case
    for place, rows in enumerate(halves):
        lines = {line.failure.line: line for found in case.logged.lines.values() for line in found if line.log == place}
        for number, (_, index) in enumerate(rows):
            line = lines[2 * number + 1]
            assert index in line.candidates
            assert not line.is_certain or line.candidates == (index,)
        assert sum(line.is_certain for line in lines.values()) >= len(rows) - 2


def test_failures_at_the_same_time_are_a_set(tmp_path: Path) -> None:
    assert paired({0: [5, 6], 1: [5, 6]}) == {0: ((5, 6), False), 1: ((5, 6), False)}
    assert paired({0: [5], 1: [5, 6]}) == {0: ((5,), True), 1: ((6,), True)}
    assert paired({0: [5], 1: [5]}) == {0: ((5,), False), 1: ((5,), False)}
    assert paired({0: []}) == {}


@given(st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=4, unique=True), max_size=6))
@settings(max_examples=200)
def test_what_is_certain_stands_in_every_largest_matching(possible: dict[int, list[int]]) -> None:
    best: list[dict[int, int]] = [{}]

    def search(rest: list[int], used: dict[int, int]) -> None:
        if not rest:
            if len(used) > len(best[0]):
                best[:] = [dict(used)]
            elif len(used) == len(best[0]):
                best.append(dict(used))
            return
        search(rest[1:], used)
        for target in possible[rest[0]]:
            if target not in used.values():
                search(rest[1:], {**used, rest[0]: target})

    search(list(possible), {})
    for entry, partners in paired(possible).items():
        everywhere = {matching.get(entry) for matching in best}
        if partners.is_certain:
            assert everywhere == set(partners.candidates)
        elif len(possible) <= 24:
            assert len(everywhere) > 1
        assert everywhere - {None} <= set(partners.candidates)


def test_every_failure_of_the_real_product_is_paired() -> None:
    analysis = puppet("puppet-session-ids")
    document = analysis.complete()
    aborted = {c.id for c in document.connections if c.outcome == "aborted"}
    lines = {c.id: [line for line in c.logs if line.form == "puppetserver"] for c in document.connections}
    assert {name for name, found in lines.items() if found} == aborted
    assert all(len(lines[name]) == 1 and lines[name][0].certain for name in aborted)
    assert all(-MILLISECOND <= lines[name][0].offset <= 35 * MILLISECOND for name in aborted)
    [log, _] = document.logs
    assert (log.failures, log.paired, log.ambiguous, log.unpaired) == (23, 23, 0, [])
    assert log.offset is not None
    assert log.uncertainty is not None
    assert abs(log.offset) <= log.uncertainty + 2 * MILLISECOND
    [service] = document.services
    assert service.impact is not None
    assert (service.impact.aborts, service.impact.catalogs, service.impact.reports, len(service.impact.nodes)) == (
        23,
        20,
        3,
        3,
    )


def test_unpaired_failures_say_why(tmp_path: Path) -> None:
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    aborted = [s for s in case.observed if case.may_change(s)]
    rows = [(moment(s) + 5 * MILLISECOND, s.index) for s in aborted]
    before, after, between = rows[0][0] - 60 * SECOND, rows[-1][0] + 60 * SECOND, (rows[0][0] + rows[1][0]) // 2
    log = tmp_path / "puppetserver.log"
    log.write_text("".join(today(ns, 1) for ns in sorted([before, after, between, *(ns for ns, _ in rows)])))
    document = with_logs(path, [read_log(str(log))]).document
    [found] = document.logs
    assert found.paired == 23
    assert [u.reason.split(":")[0] for u in found.unpaired] == [
        "it lies before the first failure in the capture",
        "no connection of the capture failed in this way at that time",
        "it lies behind the last failure in the capture",
    ]
    assert sum(limit.kind == "log_unpaired" for limit in document.limits) == 3


def test_a_log_of_another_day_is_not_paired(tmp_path: Path) -> None:
    path = str(find("puppet-session-ids"))
    chance = random.Random(3)
    log = tmp_path / "puppetserver.log"
    start = 1_795_000_000 * SECOND
    log.write_text("".join(today(start + ns, 1) for ns in sorted(chance.randint(0, 40 * SECOND) for _ in range(23))))
    document = with_logs(path, [read_log(str(log))]).document
    assert document.logs[0].paired == 0
    assert len(document.logs[0].unpaired) == 23


def test_the_log_settles_what_the_wire_leaves_open(tmp_path: Path) -> None:
    """Without the session's origin the abort is only possible; the client's own word confirms it, or names another
    cause.
    """
    path = str(find("silent-abort"))
    facts = extract([path])
    first = judge(facts).case
    seen = next(s for s in first.observed if first.may_change(s))
    assert seen.entry.session is not None
    assert seen.entry.session.issuer is not None
    origin = first.observed[seen.entry.session.issuer]
    facts.connections = [packed for packed in facts.connections if packed != origin.packed]
    verdict = {
        f.connections[-1]: f.verdict for f in judge(facts).document.findings if f.rule == "certificate-change-abort"
    }
    assert verdict[seen.id] == "possible"
    log = tmp_path / "puppetserver.log"
    log.write_text(today(moment(seen) + MILLISECOND, 1))
    facts.logs = [read_log(str(log))]
    verdict = {
        f.connections[-1]: f.verdict for f in judge(facts).document.findings if f.rule == "certificate-change-abort"
    }
    assert verdict[seen.id] == "confirmed"
    log.write_text(today(moment(seen) + MILLISECOND, 1).replace(RESTRICTED, "PKIX path building failed: x"))
    facts.logs = [read_log(str(log))]
    verdict = {
        f.connections[-1]: f.verdict for f in judge(facts).document.findings if f.rule == "certificate-change-abort"
    }
    assert seen.id not in verdict


def test_a_log_of_the_hour_before_is_not_paired(tmp_path: Path) -> None:
    """Without a zone any quarter of an hour may be the offset; a few failures fit somewhere by chance."""
    path = str(find("puppet-session-ids"))
    start = judge(facts_of(path)).case.observed[0].first_ns
    for seed in range(20):
        chance = random.Random(seed)
        log = tmp_path / "puppetserver.log"
        log.write_text(
            "".join(old(start - HOUR + ns, 1) for ns in sorted(chance.randint(0, 1800 * SECOND) for _ in range(60)))
        )
        analysis = with_logs(path, [read_log(str(log))])
        assert analysis.document.logs[0].paired == 0, seed


def test_many_failures_at_once_are_sets_in_bounded_time(tmp_path: Path) -> None:
    """Ten aborts in the same millisecond, a hundred times: nothing tells them apart, and no false certainty is made of
    that.
    """
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    aborted = [s for s in case.observed if case.may_change(s)]
    log = tmp_path / "puppetserver.log"
    log.write_text("".join(today(moment(s) + i * MILLISECOND, i) for s in aborted for i in range(10)))
    analysis = with_logs(path, [read_log(str(log))])
    [found] = analysis.document.logs
    assert found.failures == 230
    assert found.paired == 0
    assert found.ambiguous == 230
    named = tmp_path / "named.log"
    named.write_text(
        "".join(
            today(moment(s) + MILLISECOND, number)
            + f"{rfc3339(moment(s))[:23]}Z WARN  [qtp1-{number}] [x] Puppet Error connecting to h on 1 at route"
            f" https://h{i}.example:1/x, x\n"
            for number, (s, i) in enumerate((s, i) for s in aborted for i in range(200))
        )
    )
    assert with_logs(path, [read_log(str(named))]).document.logs[0].failures == 4600


def test_rotated_logs_share_one_clock(tmp_path: Path) -> None:
    """Each file alone has too few failures to tell its clock; together they tell it."""
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    aborted = [s for s in case.observed if case.may_change(s)]
    logs = []
    for number, seen in enumerate(aborted):
        log = tmp_path / f"puppetserver-2026-11-23.{number}.log"
        log.write_text(old(moment(seen) + 2 * SECOND + 3 * MILLISECOND, 1))
        logs.append(read_log(str(log)))
    document = with_logs(path, logs).document
    assert [log.paired for log in document.logs] == [1] * 23
    assert {
        log.offset
        for log in document.logs
        if log.offset is not None and abs(log.offset - 2 * SECOND) < 40 * MILLISECOND
    } == {document.logs[0].offset}


def test_where_wire_and_log_disagree_in_number_it_is_said(tmp_path: Path) -> None:
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    rows = [(moment(s) + 5 * MILLISECOND, s.index) for s in case.observed if case.may_change(s)]
    log = tmp_path / "puppetserver.log"
    for left_out in (0, 6):
        log.write_text("".join(today(ns, 1) for number, (ns, _) in enumerate(rows) if not 3 <= number < 3 + left_out))
        document = with_logs(path, [read_log(str(log))]).document
        texts = [limit.text for limit in document.limits if limit.kind == "log_fewer"]
        assert bool(texts) == bool(left_out)
        assert all("shows 23, of which 6 have no line in it" in text for text in texts)


def test_what_stood_in_a_log_before_the_capture_began_pairs_with_nothing(tmp_path: Path) -> None:
    """However well it would fit."""
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    aborted = sorted(moment(s) for s in case.observed if case.may_change(s))
    log = tmp_path / "puppetserver.log"
    log.write_text("".join(today(ns + MILLISECOND, 1) for ns in aborted))
    facts = read_log(str(log))
    assert with_logs(path, [facts]).document.logs[0].paired == len(aborted)
    facts.old_lines, facts.opened_ns = facts.lines, aborted[0] - SECOND
    [found] = with_logs(path, [facts]).document.logs
    assert found.paired == found.ambiguous == 0
    assert {u.reason for u in found.unpaired} == {"it lies before the first failure in the capture"}
    facts.old_lines = facts.failures[2].line
    assert with_logs(path, [facts]).document.logs[0].paired == len(aborted) - 3
    facts.opened_ns = aborted[1]  # the first two may be of what an earlier run captured
    assert with_logs(path, [facts]).document.logs[0].paired == len(aborted) - 1


@pytest.mark.parametrize("late_ms", [40, 400, 1_200])
def test_lines_that_are_late_find_their_connections(tmp_path: Path, late_ms: int) -> None:
    path = str(find("puppet-session-ids"))
    case = judge(facts_of(path)).case
    chance = random.Random(late_ms)
    aborted = [s for s in case.observed if case.may_change(s)]
    rows = sorted(
        (moment(s) + chance.randint(0, late_ms if n % 4 == 3 else 25) * MILLISECOND, s.index)
        for n, s in enumerate(aborted)
    )
    log = tmp_path / "puppetserver.log"
    log.write_text("".join(today(ns, index) for ns, index in rows))
    found = paired_as(with_logs(path, [read_log(str(log))]).case, rows)
    assert not found["wrong"]
    assert not found["wrong set"]
    assert not found["unpaired"]
