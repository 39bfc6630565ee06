"""How far somebody looked into the segments of a batch: what lies behind was skipped by its length, and need not be
kept.
"""

from __future__ import annotations

import numpy as np

from inspector.capture.frames import I64, Rows


class ParsedExtent:
    """How far into the payload of each segment of a batch somebody looked, filled in while the batch is followed; what
    lies behind was skipped by its length.

    All columns have a row for each segment. ``number``: int64, frame numbers. ``busy``: bool, it is one of many that
    its flow has in this batch.
    ``control``: bool, SYN, FIN, RST or URG.
    """

    def __init__(self) -> None:
        self.number: I64 = np.zeros(0, np.int64)
        self.busy: Rows = np.zeros(0, np.bool_)
        self.control: Rows = np.zeros(0, np.bool_)
        self.rows: I64 = np.zeros(0, np.int64)
        """The segments that can hold anything: those that ``Grouped`` has."""
        self._parts: list[tuple[slice | I64, I64 | list[int]]] = []

    def note(self, rows: slice | I64, looked: I64 | list[int]) -> None:
        """How far into some of those segments somebody looked; a list may be filled in afterwards. What is noted last
        holds.
        """
        self._parts.append((rows, looked))

    def bytes(self) -> I64:
        """int64, payload bytes of each segment up to the last one that was looked at."""
        looked = np.zeros(len(self.rows), np.int64)
        for rows, counts in self._parts:
            looked[rows] = counts
        every = np.zeros(len(self.number), np.int64)
        every[self.rows] = looked
        return every
