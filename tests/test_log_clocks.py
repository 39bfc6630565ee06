"""Failures and clocks: coarse times, clocks that were set while the log was written, busy hosts, lines and connections
that have no partner. No wrong pair.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.extract.processes import extract
from inspector.findings.case import Case
from inspector.findings.judge import judge
from inspector.findings.logged import moment
from inspector.logs.reading import read_log
from inspector.text.times import rfc3339
from inspector.tracking.clock_steps import clock_of
from tests.conftest import find
from tests.logged import HOUR, MILLISECOND, RESTRICTED, SECOND, facts_of, old, paired_as, today, with_logs

NAME = "puppet-session-ids"
Row = tuple[int, int]


def whole(ns: int, thread: int) -> str:
    return (
        f"{rfc3339(ns)[:19]} ERROR [q-{thread}] [c.p.h.c.X] Error executing http request\njavax.net.ssl.SSLException:"
        f" {RESTRICTED}\n"
    )


def micro(ns: int, thread: int) -> str:
    return (
        f"{rfc3339(ns)[:26]}+00:00 WARN  [q-{thread}] [c.p.h.c.X] Error executing http"
        f" request\njavax.net.ssl.SSLException: {RESTRICTED}\n"
    )


FORMATS: dict[str, tuple[Callable[[int, int], str], int]] = {
    "whole": (whole, SECOND),
    "ms": (old, MILLISECOND),
    "ms, zone": (today, MILLISECOND),
    "us": (micro, 1000),
}


def aborted(name: str = NAME) -> list[tuple[int, int]]:
    """Moment and place of each abort, in order."""
    case = judge(facts_of(str(find(name)))).case
    return sorted((moment(s), s.index) for s in case.observed if case.may_change(s))


def joined(
    tmp_path: Path, rows: list[Row], write: Callable[[int, int], str], name: str = NAME
) -> tuple[Case, Counter[str]]:
    log = tmp_path / "puppetserver.log"
    log.write_text("".join(write(ns, index) for ns, index in rows))
    case = with_logs(str(find(name)), [read_log(str(log))]).case
    return case, paired_as(case, rows)


STEPS: dict[str, list[tuple[float, int]]] = {
    "never": [],
    "forth": [(0.5, HOUR)],
    "back": [(0.6, -HOUR)],
    "by seconds": [(0.4, 5 * SECOND)],
    "twice": [(0.3, HOUR), (0.7, -HOUR)],
}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    "shift", [0, -3 * HOUR, 2 * SECOND, -3 * HOUR + 2 * SECOND], ids=["none", "-3h", "+2s", "both"]
)
@pytest.mark.parametrize("form", FORMATS)
def test_no_wrong_pair(form: str, shift: int, steps: str, tmp_path: Path) -> None:
    write, resolution_ns = FORMATS[form]
    truth = aborted()
    chance = random.Random(f"{form} {shift} {steps}")
    rows = []
    for number, (at, index) in enumerate(truth):
        moved = shift + sum(by for share, by in STEPS[steps] if number >= share * len(truth))
        rows.append((at + moved + chance.randint(-700_000, 30 * MILLISECOND), index))
    case, found = joined(tmp_path, rows, write)
    assert not found["wrong"]
    assert not found["wrong set"]
    document = with_logs(str(find(NAME)), case.facts.logs or [read_log(str(tmp_path / "puppetserver.log"))]).document
    [log] = document.logs
    if resolution_ns < SECOND:
        assert found["right"] + found["set"] == len(rows)
        assert found["right"] > 0.8 * len(rows)
    assert log.paired + log.ambiguous + len(log.unpaired) == len(rows)
    if log.uncertainty is not None:
        assert log.uncertainty >= resolution_ns
    if STEPS[steps] and resolution_ns < SECOND:
        assert "its clock was set while it was written" in " ".join(
            limit.text for limit in document.limits if limit.kind == "log_clock"
        )


@pytest.mark.parametrize("seed", range(8))
def test_a_busy_host_logs_late(seed: int, tmp_path: Path) -> None:
    """Up to a second: all lines find their connection, as nothing else is left for them."""
    chance = random.Random(seed)
    rows = [
        (at + (chance.randint(40, 400) if chance.random() < 0.2 else chance.randint(0, 30)) * MILLISECOND, index)
        for at, index in aborted()
    ]
    _, found = joined(tmp_path, rows, today)
    assert not found["wrong"]
    assert not found["wrong set"]
    assert found["right"] + found["set"] == len(rows)
    assert found["right"] >= len(rows) - 4


@pytest.mark.parametrize("seed", range(30))
def test_what_has_no_partner_takes_nobody_elses(seed: int, tmp_path: Path) -> None:
    """Late lines, lines that were lost, and aborts that were not captured, at once."""
    chance = random.Random(seed)
    facts = extract([str(find(NAME))])
    full = judge(facts).case
    lost = {s.packed for s in full.observed if full.may_change(s) and chance.random() < 0.2}
    rows = []
    for seen in full.observed:
        if full.may_change(seen) and chance.random() < 0.8:
            late = (chance.randint(40, 900) if chance.random() < 0.3 else chance.randint(0, 30)) * MILLISECOND
            rows.append((moment(seen) + late, seen.id))
    rows.sort()
    facts.connections = [packed for packed in facts.connections if packed not in lost]
    log = tmp_path / "puppetserver.log"
    log.write_text("".join(today(ns, 1) for ns, _ in rows))
    facts.logs = [read_log(str(log))]
    case = judge(facts).case
    wrong = [
        line
        for index, lines in case.logged.lines.items()
        for line in lines
        if line.is_certain and rows[line.failure.line // 2][1] != case.observed[index].id
    ]
    assert not wrong


def test_an_abort_of_before_the_capture_is_nobodys(tmp_path: Path) -> None:
    for name in ("silent-abort", "jdk17-abort", NAME):
        truth = aborted(name)
        start = judge(facts_of(str(find(name)))).case.observed[0].first_ns
        for write, before in ((today, 70), (old, 70), (today, 3600), (micro, 20), (whole, 75)):
            log = tmp_path / "puppetserver.log"
            log.write_text(write(start - before * SECOND, 1))
            document = with_logs(str(find(name)), [read_log(str(log))]).document
            if write is not today or before != 3600:
                assert (document.logs[0].paired, document.logs[0].ambiguous) == (0, 0), (name, before)
            assert document.logs[0].paired == 0
        assert truth


def test_untimed_failures_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "puppetserver.log"
    log.write_text(
        f"WARN  [q-1] [c.p.h.c.X] Error executing http request\njavax.net.ssl.SSLException: {RESTRICTED}\n" * 3
        + today(aborted()[0][0], 1)
    )
    document = with_logs(str(find(NAME)), [read_log(str(log))]).document
    assert [limit.text.partition(": ")[2] for limit in document.limits if limit.kind == "log_unjoined"] == [
        "3 logged failures joined with no connection: their time cannot be read"
    ]


def test_lines_of_an_earlier_run_are_no_segment() -> None:
    """A rhythm of half an hour fits half an hour earlier as well; but one segment must follow the other on the wire."""
    wire = {0: [i * 60 * SECOND for i in range(1000, 1030)]}
    ours = [ns + 5 * MILLISECOND for ns in wire[0]]
    before = [ns - HOUR // 2 for ns in ours]
    clock = clock_of([(ns, 0) for ns in (*before, *ours)], wire, MILLISECOND, 30 * MILLISECOND, False)
    assert not clock.segments


def test_a_thousand_steps_take_no_time() -> None:
    chance = random.Random(1)
    wire = {key: sorted(chance.randint(0, 10**6) * SECOND for _ in range(3)) for key in range(20_000)}
    entries = [(ns + chance.choice((0, HOUR)), key) for key, moments in wire.items() for ns in moments]
    clock_of(entries, wire, MILLISECOND, 30 * MILLISECOND, False)
