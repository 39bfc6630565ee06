"""What was told is remembered by use: what is still talked about is not told again."""

from __future__ import annotations

import io

import pytest

from inspector.live.latest_states import LatestStates
from inspector.live.outputs import lines as module
from inspector.live.outputs.lines import LinePrinter
from inspector.live.outputs.survey import Surveyed
from tests.live import listened


def test_the_one_that_was_not_noted_for_longest_goes_first() -> None:
    states: LatestStates[str] = LatestStates(2)
    assert [states.note(name, "x") for name in ("a", "b", "a", "c", "a", "b")] == [
        *(True, True, False),
        *(True, False, True),  # c instead of b, and b instead of c
    ]
    assert list(states) == ["a", "b"]
    assert states.note("a", "y")
    assert not states.note("a", "y")
    states.drop("a")
    assert "a" not in states


def test_a_busy_log_has_no_assessment_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 3)
    capture, _ = listened(b"")
    out = io.BytesIO()
    printer = LinePrinter(capture, out, (), None)
    surveyed = [Surveyed("assessment", name, "protected", b"{}") for name in ("a", "b")]
    for n in range(3):
        printer._announce(surveyed)
        for line in range(5):
            printer._announced_logs.note(f"line {n} {line}", "True")
    assert out.getvalue().count(b"assessment") == 2
