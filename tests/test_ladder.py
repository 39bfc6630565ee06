"""The ladder's columns: gaps are what lies between the times beside them, and every line is as wide as the others,
whatever stands in it.
"""

from __future__ import annotations

import re
from functools import lru_cache

import pytest
from hypothesis import given, settings, strategies as st
from rich.cells import cell_len

from inspector.facts import Event
from inspector.reports.lines import Line
from inspector.reports.story import BALANCER, Chapter, Ladder, Rung, ladder, lane_names
from inspector.text.safe import safe_text
from inspector.text.zones import UTC
from inspector.tui.ladder import LONGEST_FRAME, NARROW, ROOM_FOR_GAP, drawn
from tests.conftest import bundled

WIDTHS = (36, 40, 56, 66, 75, 76, 80, 120, 160, 250)
TIMES = re.compile(r"^ *([+-][\d.]+) (ms|s) +(?:([\d.]+) (ms|s)|–)?")


@lru_cache
def told(name: str) -> tuple[Ladder, dict[str, str]]:
    analysis = bundled(name)
    found = ladder(analysis, analysis.document.incidents[0], UTC)
    return found, lane_names(analysis.document, found)


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line)


def tenths(number: str, unit: str) -> int:
    """A time as it is written, in tenths of a millisecond."""
    return round(float(number) * (10 if unit == "ms" else 10_000))


def rows(found: Ladder, names: dict[str, str], width: int) -> list[tuple[Rung, str]]:
    """Each rung with its line."""
    lines = [text(line) for line in drawn(found, names, width)][1:]
    rest = iter(lines)
    pairs: list[tuple[Rung, str]] = []
    for chapter in found.chapters:
        next(rest)
        pairs += [(rung, next(rest)) for rung in chapter.rungs]
        for _ in chapter.notes:
            next(rest)
    return pairs


def hold(found: Ladder, names: dict[str, str], width: int) -> None:
    """All lines with columns are equally wide, their lanes stand in one place, and no gap is anything else than a
    difference.
    """
    head = text(drawn(found, names, width)[0])
    pairs = rows(found, names, width)
    assert {cell_len(line) for _, line in pairs} <= {cell_len(head)}
    assert all(cell_len(text(line)) <= width for line in drawn(found, names, width))
    for chapter in found.chapters:
        mine = [(rung, line) for rung, line in pairs if any(rung is other for other in chapter.rungs)]
        assert all(
            line.endswith(rung.frame if len(rung.frame) <= min(width // 3, LONGEST_FRAME) else "…")
            for rung, line in mine
        )
        for rung, line in mine:
            words = safe_text(rung.text)
            assert "…" in line or words.rstrip() in line, line
        if width < ROOM_FOR_GAP or "gap" not in head:
            continue
        before: int | None = None
        for _, line in mine:
            match = TIMES.match(line)
            assert match, line
            time = tenths(match[1], match[2])
            gap = tenths(match[3], match[4]) if match[3] else None
            if before is not None:
                assert gap == time - before if time >= before else gap is None, line
            before = time


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["puppet-session-ids", "jdk17-abort", "both-legs", "mixed-pool", "tickets"])
def test_gaps_and_columns_of_captures(name: str, width: int) -> None:
    hold(*told(name), width)


def rung_of(ns: int, from_client: bool, words: str, frame: str, size: int, leg: int) -> Rung:
    event = Event(ns, 1, size, "C", from_client)
    return Rung(f"+{ns}", from_client, words, frame, ns + 7_000_000, "clear", False, size, (event,), leg, ns)


NAMES = st.text(min_size=0, max_size=60)
RUNGS = st.builds(
    rung_of,
    st.integers(-(10**9), 9_999 * 10**9),
    st.booleans(),
    st.one_of(NAMES, st.sampled_from(["ClientHello offers nothing known", "x" * 300, "証明書" * 20])),
    st.sampled_from(["7", "123456789–123456799", "12:1234567890123–1234567890199"]),
    st.integers(0, 10**12),
    st.integers(0, 1),
)


@given(
    st.lists(st.lists(RUNGS, max_size=5), min_size=1, max_size=30),
    st.booleans(),
    NAMES.map(safe_text),
    st.sampled_from(WIDTHS),
)
@settings(max_examples=150)
def test_columns_hold_whatever_stands_in_them(
    chapters: list[list[Rung]], is_balanced: bool, name: str, width: int
) -> None:
    made = [
        Chapter(
            "1 ORIGIN",
            "origin",
            "id",
            chr(65 + i),
            [rung if is_balanced else rung._replace(leg=0) for rung in rungs],
            "s",
            (),
            ("a note",),
        )
        for i, rungs in enumerate(chapters)
    ]
    found = Ladder("", made)
    hold(found, {chapter.backend: f"{chapter.backend} {name}" for chapter in made}, width)


def test_a_name_never_runs_into_another() -> None:
    made = [
        Chapter("t", "origin", "id", letter, [rung_of(0, True, "ClientHello", "1", 1, 0)], "s", ())
        for letter in "ABCDEFGH"
    ]
    for width in [width for width in WIDTHS if width >= NARROW]:
        head = text(
            drawn(
                Ladder("", made), {letter: f"{letter} a-very-long-host-name-{letter}" for letter in "ABCDEFGH"}, width
            )[0]
        )
        assert re.search(r"A.*B.*C.*D.*E.*F.*G.*H", head), head
    assert BALANCER == "balancer"
