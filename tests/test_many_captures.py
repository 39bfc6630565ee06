"""A story of many captures: what is looked at in each connection is not looked at once more for each capture."""

from __future__ import annotations

import pytest

from inspector.extract.processes import extract
from inspector.facts import Facts
from inspector.findings.case import Case
from inspector.findings.into_document.pool import captures
from inspector.findings.judge import judge
from inspector.tracking.observed import Observed
from tests.bench_facts import Wanted, story
from tests.conftest import find


def case_of(facts: Facts) -> Case:
    return judge(facts).case


@pytest.mark.parametrize("vantages", [1, 2, 50])
def test_connections_are_looked_through_once(vantages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(story(Wanted(120, vantages=vantages)))
    legs: property = vars(Observed)["packed_legs"]
    looks: list[Observed] = []

    def counted(observed: Observed) -> tuple[bytes, ...]:
        looks.append(observed)
        packed: tuple[bytes, ...] = legs.__get__(observed)
        return packed

    monkeypatch.setattr(Observed, "packed_legs", property(counted))
    assert len(captures(case)) == vantages
    assert len(looks) <= 2 * len(case.observed)


def test_a_capture_that_holds_both_legs_was_taken_at_the_balancer() -> None:
    [capture] = captures(case_of(extract([str(find("both-legs"))])))
    assert capture.vantage == "balancer"


def test_captures_that_hold_a_leg_each_were_not() -> None:
    case = case_of(story(Wanted(120, has_legs=True)))
    assert any(observed.packed_legs for observed in case.observed)
    assert [capture.vantage for capture in captures(case)] == [None, None]
