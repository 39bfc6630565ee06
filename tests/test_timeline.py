"""Back ends over time: what failed where, what changed when, and that every line fits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inspector.reports.lines import Line, plain
from inspector.text.times import SECOND_NS
from inspector.text.zones import UTC
from inspector.tui.timeline import ABORTED, MemberTimes, TimedMember, timeline

START = 1_700_000_000 * SECOND_NS
A, B = TimedMember(0, "db1"), TimedMember(1, "db2")


def times(*handshakes: tuple[float, int, int]) -> MemberTimes:
    """``handshakes``: second, result, back end."""
    seconds, results, backends = zip(*handshakes, strict=True)
    return MemberTimes(
        np.array([START + int(second * SECOND_NS) for second in seconds], np.int64),
        np.array(results, np.uint8),
        np.array(backends, np.int32),
        np.arange(len(seconds), dtype=np.int64),
    )


def line_of(lines: list[Line], name: str) -> str:
    (found,) = [plain(line) for line in lines if plain(line).startswith(name)]
    return found.removeprefix(name).lstrip(" ")


def test_where_some_failed_and_where_all_did() -> None:
    lines = timeline(
        times((0, 0, 0), (0, 0, 1), (60, ABORTED, 1), (60.1, 0, 1), (120, ABORTED, 1), (121, 0, 0)), [A, B], 80, UTC
    )
    assert "✖" in line_of(lines, "db2")
    assert "×" in line_of(lines, "db2")
    assert "✖" not in line_of(lines, "db1")
    assert line_of(lines, "db2").index("×") < line_of(lines, "db2").index("✖")


def test_what_was_lost_after_the_handshake_failed_too() -> None:
    lines = timeline(times((0, 0, 0), (0, 0, 1), (60, 0, 1)), [A, B], 80, UTC, lost=[2])
    assert line_of(lines, "db2").count("✖") == 1
    assert "✖" not in line_of(lines, "db1")


def test_health_checks_are_left_out() -> None:
    assert not timeline(times((0, 4, 0), (1, 4, 1)), [A, B], 80, UTC)


def test_more_handshakes_are_darker() -> None:
    lines = timeline(times(*[(0.0, 0, 0)] * 8, (50, 0, 0), *[(50.0, 0, 1)] * 4), [A, B], 80, UTC)
    assert line_of(lines, "db1")[0] == "█"
    assert line_of(lines, "db1").rstrip()[-1] == "░"
    assert line_of(lines, "db2").strip() == "▒"


def test_a_change_is_marked_below_its_step() -> None:
    changed = B._replace(changes=[(START + 60 * SECOND_NS, "EMS: no EMS")])
    lines = [plain(line) for line in timeline(times((0, 0, 0), (60, 0, 1), (119, 0, 0)), [A, changed], 80, UTC)]
    (at,) = [number for number, line in enumerate(lines) if line.startswith("db2")]
    assert lines[at].index("█") == lines[at + 1].index("▲")
    assert "EMS: no EMS" in lines[at + 1]
    assert "▲ changed" in lines[-1]


handshakes = st.tuples(st.floats(0, 90_000), st.integers(0, 3), st.integers(-1, 1))


@settings(max_examples=150)
@given(
    st.lists(handshakes, min_size=1, max_size=40), st.integers(40, 200), st.integers(0, 90_000), st.text(max_size=60)
)
def test_every_line_fits(some: list[tuple[float, int, int]], width: int, second: int, text: str) -> None:
    text = "".join(c for c in text if c.isprintable())
    members = [A, B._replace(name="B " + "x" * 40, changes=[(START + second * SECOND_NS, text)]), TimedMember(-1, "?")]
    lines = timeline(times(*some), members, width, UTC)
    assert all(len(plain(line)) <= width for line in lines[:-1])
    assert all(before[1] != after[1] for line in lines for before, after in pairwise(line) if not line[0][0].strip())


@pytest.mark.parametrize("width", [40, 78, 158])
def test_the_axis_is_as_long_as_the_lines(width: int) -> None:
    lines = [plain(line) for line in timeline(times((0, 0, 0), (1000, 0, 1)), [A, B], width, UTC)]
    assert len(lines[-2]) <= width
