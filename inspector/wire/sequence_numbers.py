"""Sequence numbers of TCP, which begin again behind 2**32 - 1 (RFC 9293, section 3.4)."""

from __future__ import annotations

from typing import Any, overload

from inspector.capture.frames import I64


@overload
def distance(start: int, end: int) -> int: ...
@overload
def distance(start: int | I64, end: I64) -> I64: ...
def distance(start: Any, end: Any) -> Any:
    """How far one is behind another, the short way round; of columns row by row."""
    return (end - start + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
