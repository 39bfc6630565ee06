"""A fleet says what one process says, byte for byte: wherever a story is cut into files, in whatever order they are
given, whoever fails in the midst.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from inspector.capture import blocks
from inspector.extract.processes import extract
from inspector.fleet.extraction import FleetRecord
from tests.fleet import Unreliable, crossing_story, cut, document, fleet_document

STORY = crossing_story()


def tail_of_overlap(paths: list[str], record: FleetRecord) -> None:
    assert record.bytes_read <= 1.05 * sum(Path(path).stat().st_size for path in paths)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.lists(st.integers(1, len(STORY) - 1), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    swapped=st.sampled_from([0, 0, 1, 3]),
    is_coarse=st.booleans(),
    batch=st.sampled_from([2048, 16_384, 1 << 20]),
)
def test_any_cut_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    at: list[int],
    order: random.Random,
    swapped: int,
    is_coarse: bool,
    batch: int,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    paths = cut(folder, STORY, at, swapped=swapped, nano=not is_coarse)
    defaults = blocks.ByteSource.__init__.__defaults__
    blocks.ByteSource.__init__.__defaults__ = (batch,)
    try:
        expected = document(extract(paths))
        given_order = list(paths)
        order.shuffle(given_order)
        turn = list(range(len(paths)))
        order.shuffle(turn)
        assert fleet_document(given_order, Unreliable(turn=lambda number: turn[number % len(turn)])) == expected
    finally:
        blocks.ByteSource.__init__.__defaults__ = defaults
