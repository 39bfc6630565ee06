"""For a process of our own, before it loads numpy."""

from __future__ import annotations

import os


def keep_numpy_to_one_thread() -> None:
    """For each core numpy would start a thread that multiplies matrices, which nothing here does; before it sleeps it
    spins for a while. ``os.environ`` says nothing of it, nor does a command that is started with a copy of that.
    """
    os.putenv("OPENBLAS_NUM_THREADS", "1")
