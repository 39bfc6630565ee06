"""Who answered one client again and again, in what order, and what may have been missed."""

from __future__ import annotations

import random

import pytest

from inspector.pool.placement import FAILED, UNTOLD, placement


def test_in_turn_is_told_from_chance() -> None:
    turn = placement([2, 0, 1] * 5)
    assert (turn.members, turn.order, turn.missed, turn.unseen_share) == ((2, 0, 1), "in_turn", None, None)
    assert placement([0, 1, 0, 1]).order == placement([0, 1]).order == placement([0, 1, 2] * 3).order == "too_few"
    assert placement([0, 1, 2] * 4 + [1]).order == "mixed"
    down = placement([0, FAILED, 1] * 4)
    assert (down.members, down.order, down.fails_in_turn) == ((0, 1), "in_turn", True)


def test_one_member_alone_says_nothing_of_others() -> None:
    assert placement([3] * 60) == placement([3])
    assert (placement([3] * 60).order, placement([3] * 60).missed) == ("one", None)
    assert placement([3, FAILED, 3, 3, FAILED]).order == "one"


def test_nobody_answered() -> None:
    assert placement([]).order is None
    assert placement([FAILED] * 20).order is None


def test_an_answer_of_nobody_knows_whom_leaves_the_order_open() -> None:
    assert (placement([UNTOLD] * 20).members, placement([UNTOLD] * 20).order) == ((), None)
    untold = placement([0, UNTOLD] * 10)
    assert (untold.members, untold.order, untold.missed) == ((0,), None, None)


def test_what_may_have_been_missed() -> None:
    mixed = placement([0, 1, 1, FAILED, 0])
    assert mixed.order == "mixed"
    assert mixed.missed == pytest.approx((2 / 3) ** 4)
    assert mixed.unseen_share is not None
    assert (1 - mixed.unseen_share) ** 4 / mixed.unseen_share == pytest.approx(0.05)


def test_the_chance_of_a_miss_is_as_often_as_it_says() -> None:
    """Pools of four at random, of which three are seen: one in so many, as counted."""
    chances = random.Random(20)
    count, size = 20_000, 8
    missed = 0
    for _ in range(count):
        drawn = [chances.randrange(4) for _ in range(size)]
        missed += 3 not in drawn
    stated = (3 / 4) ** size
    assert missed / count == pytest.approx(stated, rel=0.1)
    assert placement([0, 1, 2, 1, 0, 0, 2, 1]).missed == pytest.approx(stated)


@pytest.mark.parametrize(
    "shares", [[1] * 3, [1] * 11, [1] * 16, [1] * 100, [90, 5, 5], [50, *[5] * 10], [1 / n for n in range(1, 11)]]
)
def test_none_that_was_not_met_gets_more_than_it_says(shares: list[float]) -> None:
    """In at least 95 of 100 probes, whatever the pool: of 11 each with a little more than it says, of a few that one
    leaves next to nothing, of a hundred.
    """
    chances = random.Random(7)
    count, right = 1_000, 0
    for _ in range(count):
        drawn = chances.choices(range(len(shares)), shares, k=60)
        met = placement(drawn)
        unmet = [share / sum(shares) for member, share in enumerate(shares) if member not in met.members]
        right += met.unseen_share is None or max(unmet, default=0.0) <= met.unseen_share
    assert right / count >= 0.95


def test_chance_is_seldom_taken_for_turns() -> None:
    chances = random.Random(1)
    taken = sum(placement([chances.randrange(3) for _ in range(12)]).order == "in_turn" for _ in range(5_000))
    assert taken <= 5
