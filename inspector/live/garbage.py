"""When Python looks for cycles of garbage while packets come: the loop leaves none behind, and must not wait."""

from __future__ import annotations

import gc

RARELY = (50_000, 50, 100)


def collect_rarely() -> None:
    """From now on; what there is already is not looked at again."""
    gc.freeze()
    gc.set_threshold(*RARELY)
