"""Flows of which two tables have segments: the one followed them into a part of a story that the other reads from its
beginning, knowing nothing of them.

The first one says from when on the ends of such a flow were left to the other (``followed``): what that one takes for a
flow that began before is a piece of this one. From there on both would find the same, so far as the other had nothing
open either; whoever joins them asks that.
"""

from __future__ import annotations

from inspector.wire.addresses import Ends, Key
from inspector.wire.flow import Flow, FlowKey, Moment
from inspector.wire.segments import ACK, SYN


class SharedFlows:
    """Of the first table."""

    def __init__(self) -> None:
        self.followed: dict[FlowKey, Moment] = {}
        """With the initial sequence number of each side that is known, and without: when its ends were left."""

        self.is_undecided = False
        """What is whose cannot be told by joining."""

        self.noted_ns = 0
        """What begins in the other table with a SYN before that is noted there as one that may have begun before."""

        self.unread: frozenset[Key] = frozenset()
        """Flows that begin in the other table of which this one is not shown all."""

        self.missed: frozenset[Key] = frozenset()
        """Those that turn out to be of this table."""

    def note(self, newest: Flow, flow: Flow, flags: int, ns: int, *, says_something: bool) -> None:
        """A segment that the other table has followed went to ``flow`` here. ``newest``: of these ends."""
        if flow.is_foreign:
            return
        if flow is not newest and says_something:  # the other table took it for the newer one's
            self.is_undecided = True
        if flags & (SYN | ACK) == SYN:  # and this for the beginning of a flow
            flow.is_shared = True
            self.is_undecided |= ns >= self.noted_ns
            if flow.key in self.unread:
                self.missed |= {flow.key}

    def note_ended(self, flow: Flow, ends: Ends) -> None:
        """A shared flow is over."""
        until = flow.until or (flow.last[0] + flow.quiet_ns + 1, 0)
        for isn in (*flow.isns, None):
            began = FlowKey(ends, isn)
            self.followed[began] = max(until, self.followed.get(began, until))
