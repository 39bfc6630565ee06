"""For a process of our own, before it loads numpy."""

from __future__ import annotations

import os


def keep_numpy_to_one_thread() -> None:
    """For each core numpy would start a thread that multiplies matrices, which nothing here does; before it sleeps it
    spins for a while. Commands that this process starts are told nothing of it.
    """
    os.putenv("OPENBLAS_NUM_THREADS", "1")
