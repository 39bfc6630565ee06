"""Which flows may have begun before the first frame of what is read: whoever reads what comes before may have followed
them, and knows them by their ``FlowKey``.
"""

from __future__ import annotations

from inspector.capture.frames import I64
from inspector.wire.addresses import AddressTable, Key
from inspector.wire.flow import FlowKey

SYN_AGAIN_NS = 120 * 1_000_000_000
"""A SYN this soon behind a start in the middle may be a repeated one of a flow that began before."""


class FlowBeginnings:
    """``from_middle``: frames went before the first one. ``early_ns``: what begins before that by a SYN may have begun
    before the first frame; 0 where nothing may.
    """

    def __init__(self, addresses: AddressTable, *, from_middle: bool) -> None:
        self._addresses = addresses
        self._from_middle = from_middle
        self._has_started = False
        self.early_ns = SYN_AGAIN_NS if from_middle else 0

    def start(self, time_ns: I64) -> None:
        """Segments came; later ones change nothing. ``time_ns``: int64, when each was captured."""
        if self._from_middle and not self._has_started:
            self._has_started = True
            self.early_ns += int(time_ns.min())

    def key(self, ends: Key, isn: int | None, ns: int) -> FlowKey | None:
        """By what a flow is known that begins at this time, where it may have begun before. ``isn``: of the SYN that it
        begins with; None where it begins without.
        """
        if not self._from_middle or (isn is not None and ns >= self.early_ns):
            return None
        return FlowKey(self._addresses.endpoints(ends), isn)
