"""When a live capture judges what."""

from __future__ import annotations

from inspector.live.judging_queue import TOGETHER, TOGETHER_SECONDS, URGENT_SECONDS, JudgingQueue


def test_who_was_given_up_is_judged_sooner() -> None:
    queue = JudgingQueue(100)
    queue.note_judged((), now=10)
    queue.add("a", is_new=True, is_final=False)
    assert not queue.is_due(10 + URGENT_SECONDS)
    assert queue.is_due(10 + TOGETHER_SECONDS)
    queue.add("b", is_new=True, is_final=False, gave_up=True)
    assert not queue.is_due(10 + URGENT_SECONDS / 2)
    assert queue.is_due(10 + URGENT_SECONDS)
    assert queue.take_all() == {"a": (True, False), "b": (True, False)}
    assert list(queue.urgent) == ["b"]
    queue.note_judged(("a", "b"), now=11)
    assert not list(queue.urgent)
    assert not queue.is_due(11 + URGENT_SECONDS)


def test_many_are_judged_at_once_without_those_that_were_given_up() -> None:
    queue = JudgingQueue(100)
    queue.note_judged((), now=10)
    queue.add("given up", is_new=True, is_final=True, gave_up=True)
    for number in range(24):
        queue.add(str(number), is_new=True, is_final=False)
    assert queue.is_due(10)
    assert not queue.take_patient()
    queue.add("24", is_new=True, is_final=False)
    assert queue.take_patient().keys() == {str(number) for number in range(25)}
    assert queue.take_all().keys() == {"given up"}


def test_never_more_wait_than_a_loop_can_judge_between_two_looks() -> None:
    queue = JudgingQueue(1_000_000)
    queue.note_judged((), now=10)
    for number in range(TOGETHER - 1):
        queue.add(str(number), is_new=True, is_final=False)
    assert not queue.is_due(10)
    queue.add("one more", is_new=True, is_final=False)
    assert queue.is_due(10)


def test_what_was_said_of_one_that_waits_stays_said() -> None:
    queue = JudgingQueue(100)
    queue.add("a", is_new=True, is_final=False)
    queue.add("a", is_new=False, is_final=True)
    queue.add("a", is_new=False, is_final=False)
    assert queue.take_all() == {"a": (True, True)}
