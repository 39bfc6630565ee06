"""A few of the mutations of ``mutations.py`` for every recording and kind of damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations import MUTATIONS, recordings, tried

SEEDS = range(2)


@pytest.mark.parametrize("kind", list(MUTATIONS))
@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name.split(".")[0])
def test_damage_neither_accuses_nor_acquits(path: Path, kind: str, tmp_path: Path) -> None:
    for seed in SEEDS:
        assert not tried(path, kind, seed, tmp_path)
