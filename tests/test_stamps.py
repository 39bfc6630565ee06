"""Time stamps that the order of frames contradicts: which are believed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.capture.stamps import Stamps

MS, SECOND, YEAR = 1_000_000, 1_000_000_000, 31_536_000 * 1_000_000_000
START = 1_700_000_000 * SECOND + 123_456


def put_right(stamps: list[int], size: int = 1 << 20) -> tuple[list[int], CaptureInfo]:
    """What becomes of the stamps of a capture that is read in batches of a size."""
    info = CaptureInfo("x.pcap")
    reader = Stamps(info)
    found: list[int] = []
    for at in range(0, len(stamps), size):
        times = np.array(stamps[at : at + size], np.int64)
        count = len(times)
        nothing = np.zeros(count, np.int64)
        batch = FrameBatch(
            np.zeros(256, np.uint8),
            times,
            nothing,
            nothing,
            nothing,
            nothing,
            np.arange(at + 1, at + count + 1, dtype=np.int64),
        )
        reader.put_right(batch)
        found += batch.time_ns.tolist()
    return found, info


STEADY = [START + n * 3_000_000 + n % 7 * 1000 for n in range(200)]


@pytest.mark.parametrize("size", [1 << 20, 37, 1])
@pytest.mark.parametrize("step", [150 * MS, 5 * SECOND, 3600 * SECOND, YEAR])
def test_a_clock_that_is_set_back_goes_on(step: int, size: int) -> None:
    found, info = put_right([*STEADY[:80], *(ns - step for ns in STEADY[80:])], size)
    assert found == sorted(found)
    assert [frame for frame, _ in info.steps] == [81]
    assert abs(info.steps[0][1] - step) <= 4 * MS
    assert (info.first_ns, info.last_ns) == (found[0], found[-1])


def test_it_may_be_set_back_twice() -> None:
    found, info = put_right(
        [*STEADY[:50], *(ns - SECOND for ns in STEADY[50:120]), *(ns - 9 * SECOND for ns in STEADY[120:])]
    )
    assert found == sorted(found)
    assert [frame for frame, _ in info.steps] == [51, 121]


@pytest.mark.parametrize("late", [1, 20 * MS, 99 * MS])
def test_frames_that_come_late_keep_their_stamps(late: int) -> None:
    stamps = sorted(STEADY, key=lambda ns: ns + (late if ns // 1_000_000 % 11 == 0 else 0))
    assert put_right(stamps)[0] == stamps


def test_a_file_out_of_order_keeps_its_stamps() -> None:
    stamps = [ns * 100 - START * 99 for ns in STEADY]
    stamps = [stamps[n * 73 % 200] for n in range(200)]
    found, info = put_right(stamps)
    assert found == stamps
    assert not info.steps


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, -START])
def test_a_damaged_stamp_moves_no_other(wrong: int) -> None:
    found, info = put_right([ns + (wrong if n == 90 else 0) for n, ns in enumerate(STEADY)])
    assert found[:90] == STEADY[:90]
    assert found[91:] == STEADY[91:]
    assert STEADY[89] <= found[90] <= STEADY[91]
    assert not info.steps


@pytest.mark.parametrize("size", [1 << 20, 64, 3])
@pytest.mark.parametrize("tick", [MS * 10, 100 * MS, SECOND])
def test_frames_of_one_coarse_stamp_keep_their_order(tick: int, size: int) -> None:
    stamps = [ns // tick * tick for ns in STEADY]
    found, info = put_right(stamps, size)
    assert all(b > a for a, b in itertools.pairwise(found))
    assert all(0 <= b - a < MS for a, b in zip(stamps, found, strict=True))
    assert info.tick_ns >= tick


def test_stamps_that_come_in_batches_are_coarse() -> None:
    stamps = [STEADY[n // 20 * 20] for n in range(200)]
    found, info = put_right(stamps)
    assert all(b > a for a, b in itertools.pairwise(found))
    assert 50 * MS < info.tick_ns < 70 * MS


def test_no_stamps_at_all() -> None:
    found, info = put_right([0] * 50, 20)
    assert found == list(range(50))
    assert info.tick_ns == SECOND


def test_fine_stamps_are_not_touched() -> None:
    stamps = [*STEADY[:5], *STEADY[4:]]
    found, info = put_right(stamps)
    assert found == stamps
    assert not info.tick_ns


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=60), st.integers(1, 60))
def test_whatever_the_stamps_nothing_breaks(stamps: list[int], size: int) -> None:
    found, _ = put_right(stamps, size)
    assert len(found) == len(stamps)
