"""A line without its envelope."""

from __future__ import annotations

from typing import NamedTuple

from inspector.logs.stamps import Stamp


class OpenedLog(NamedTuple):
    """What a layer, or all of them, held. ``at``: the time that the collector wrote; ``source``: whose line it is;
    ``is_partial``: its rest is still to come.
    """

    text: bytes
    at: Stamp | None = None
    source: bytes = b""
    is_partial: bool = False
