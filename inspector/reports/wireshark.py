"""Connections as a Wireshark display filter, for whoever goes on there."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.facts import FRAME_BITS, ConnectionFacts, PackedEndpoint
from inspector.tracking.services import ip_text


def display_filter(connections: Iterable[ConnectionFacts]) -> str:
    """All frames of some connections. Where a connection lies in one capture, frame numbers tell it from another one on
    the same ports.
    """
    return " || ".join(_one(c) for c in connections)


def _one(c: ConnectionFacts) -> str:
    parts = [*_end(c.client), *_end(c.server)]
    first, last = c.frame_ranges[0]
    if not c.spread and first >> FRAME_BITS == last >> FRAME_BITS:
        low, high = (f & (1 << FRAME_BITS) - 1 for f in (first, last))
        parts += [f"frame.number >= {low}", f"frame.number <= {high}"]
    return f"({' && '.join(parts)})"


def _end(end: PackedEndpoint) -> list[str]:
    family = "ip" if len(end.address) == 4 else "ipv6"
    return [f"{family}.addr == {ip_text(end.address)}", f"tcp.port == {end.port}"]


def command(path: str, reference: int) -> list[str]:
    """What opens a capture there at a frame, a reference."""
    return ["wireshark", "-r", path, "-g", str(reference & (1 << FRAME_BITS) - 1)]
