"""By what captures are known, whatever they are called."""

from __future__ import annotations

from typing import NamedTuple


class CaptureDigests(NamedTuple):
    """The SHA-256 of captures of facts, in their order. ``earlier``: of those that runs before have read."""

    new: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
