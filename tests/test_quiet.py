"""A live capture that nothing happens on writes nothing to its terminal, and says what it cannot know."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time

import numpy as np
import pytest

from inspector.facts import CaptureFacts
from inspector.findings.case import Options
from inspector.live.sources.source import PipeSource
from inspector.reports.lines import plain
from inspector.settings import Settings
from inspector.text.times import SECOND_NS
from inspector.text.zones import UTC, zone_named
from inspector.tui.chart import BEFORE, MARGIN, chart
from inspector.tui.feed import NEWS_SECONDS, Feed
from inspector.tui.finding_rows import finding_rows
from inspector.tui.listening import rounded
from inspector.tui.loading import Loading
from inspector.tui.uncaptured import GLYPH, MOST, WORDS, Stretch, UnseenTimes, between, unknown_bars
from tests.build import capture
from tests.conftest import bundled
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS

QUIET_SECONDS = 5.0
START = 1_700_000_000 * SECOND_NS


@pytest.mark.parametrize("key", ["2", "3", "6"])
def test_nothing_is_written_while_nothing_changes(key: str) -> None:
    reading, writing = os.pipe()
    process, controller = pty.fork()
    if not process:
        os.dup2(reading, 0)
        os.close(writing)
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30")
        os.execv(sys.executable, [sys.executable, "-m", "inspector", "live", "-"])
    os.close(reading)
    written, last = b"", time.monotonic()
    until = last + COMMAND_SECONDS
    try:
        os.write(writing, capture(fault().flows))
        is_asked = False
        while time.monotonic() < until and not (is_asked and time.monotonic() - last > QUIET_SECONDS):
            if select.select([controller], [], [], 0.1)[0]:
                written, last = written + os.read(controller, 1 << 16), time.monotonic()
            if b"aborted" in written and not is_asked:
                is_asked, last = True, time.monotonic()
                os.write(controller, key.encode())
        assert b"aborted" in written
        assert time.monotonic() - last > QUIET_SECONDS, written[-2_000:]
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(writing)
        os.close(controller)


@pytest.mark.parametrize(("rate", "expected"), [(0.2, 0), (7.4, 7), (44.4, 44), (447.0, 450), (12_345.0, 12_000)])
def test_rates_have_two_digits(rate: float, expected: int) -> None:
    assert rounded(rate) == expected


def drawn(unknown: list[Stretch], *, is_forgotten: bool = False) -> list[str]:
    """Handshakes in the first and the last of twenty seconds."""
    times = np.array([START + second * SECOND_NS for second in (0, 0, 19)], np.int64)
    lines = chart(times, np.zeros(3, np.uint8), [], 60, 10, UTC, unknown, is_forgotten=is_forgotten)
    return [plain(line) for line in lines]


@pytest.mark.parametrize("width", [17, 24, 40, 60, 70])
@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_chart_is_no_wider_than_its_room(width: int, *, is_forgotten: bool) -> None:
    times = np.array([1, START], np.int64)
    for zone in (UTC, zone_named("Asia/Kolkata")):
        shown = zone.over(1, START)
        lines = chart(times, np.zeros(2, np.uint8), [], width, 10, shown, is_forgotten=is_forgotten)
        ends = plain(lines[-2]).strip()
        assert len(plain(lines[-2])) <= width
        assert shown.clock(1, 0).startswith(ends.rstrip("…")) or shown.clock(START, 0) in ends


def test_what_was_not_captured_is_no_pause() -> None:
    known = drawn([])
    assert WORDS not in known[-1]
    lines = drawn([Stretch(START + 5 * SECOND_NS, START + 9 * SECOND_NS)])
    assert f"{GLYPH} {WORDS}" in lines[-1]
    for line, usual in zip(lines[1:-3], known[1:-3], strict=True):
        cells = line.ljust(60)[MARGIN:]
        assert cells[10:18] == GLYPH * 8  # a bar is half a second
        assert GLYPH not in cells[:10] + cells[18:]
        assert line.replace(GLYPH, " ").rstrip() == usual.rstrip()


def test_what_was_forgotten_stands_before_what_is_known() -> None:
    lines, known = drawn([], is_forgotten=True), drawn([])
    assert all(line[MARGIN : MARGIN + BEFORE] == GLYPH * BEFORE for line in lines[1:-2])
    assert [line[MARGIN + BEFORE :] for line in lines[1:-1]] == [line[MARGIN:] for line in known[1:-1]]


def test_stretches_without_a_source_or_with_drops() -> None:
    unseen, source = UnseenTimes(), PipeSource("-", os.open(os.devnull, os.O_RDONLY))
    for second, (dropped, state) in enumerate(
        [(0, "capturing"), (0, "capturing"), (7, "capturing"), (7, "capturing"), (7, "waiting"), (7, "lost")]
    ):
        source.state = state  # type: ignore[assignment]
        unseen.look(START + second * SECOND_NS, dropped, [source])
    expected = [(1, 2), (3, 5)]
    assert [((a - START) // SECOND_NS, (b - START) // SECOND_NS) for a, b in unseen.stretches] == expected
    for second in range(10, 10 + 4 * MOST, 2):
        unseen.look(START + second * SECOND_NS, 7 + second, [])
        unseen.look(START + (second + 1) * SECOND_NS, 7 + second, [])
    assert len(unseen.stretches) <= MOST
    assert unseen.stretches[0].first == START + SECOND_NS


def test_what_lies_between_captures() -> None:
    captures = [
        CaptureFacts("c", 0, 0, first, last, (), False, 0, 0, None, None)
        for first, last in ((0, 10), (5, 20), (40, 50), (None, None), (45, 60))
    ]
    assert between(captures) == [Stretch(20, 40)]
    assert between([]) == []
    assert unknown_bars(between(captures), 0, 10, 6).tolist() == [False, False, True, True, False, False]


def test_the_newest_incident_stands_first_where_it_goes_on() -> None:
    document = bundled("puppet-session-ids").document
    rows, newest = finding_rows(document, None, UTC), finding_rows(document, None, UTC, newest_first=True)
    count = len(document.incidents)
    assert [row.incident for row in rows[:count]] == document.incidents
    assert [row.incident for row in newest[:count]] == document.incidents[::-1]
    assert rows[count:] == newest[count:]


def test_incidents_are_announced_in_turn_with_what_else_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    feed = Feed(Loading([], Options(), Settings()))
    assert feed.incident_status("i") == ""
    shown = []
    for _ in range(40):
        feed.announce()
        shown.append(bool(feed.incident_status("i")))
        now += NEWS_SECONDS / 4
    assert 10 < sum(shown) < 30
