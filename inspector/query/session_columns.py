"""The sessions of a case as columns: which of them a list shows, and in which order, is asked of all at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

from inspector.findings.case import Case

STEP = 2_000
"""After so many sessions ``advance`` is called."""


class SessionColumns:
    """By a session's number. ``service``: int32, of the connection that was issued it, else of the first that offered
    it, by index; -1 where there is neither. ``offers``: int64, how often it was offered. ``is_aborted``: bool, whether
    an offer that was declined ended in an abort. ``identity``: int64, the same in every analysis by one process.
    """

    def __init__(self, case: Case, advance: Callable[[int], None] | None = None) -> None:
        """``advance`` is called now and then with 0; it may raise to stop."""
        services, offers, identities = array("i"), array("q"), array("q")
        aborted = bytearray()
        shapes, of_connection = case.columns.shapes, case.columns.shape
        is_abort = [shape.traits.outcome == "aborted" for shape in shapes]
        for number, session in enumerate(case.sessions):
            if advance and number % STEP == 0:
                advance(0)
            uses = session.uses
            first = session.issuer if session.issuer is not None else uses[0] >> 1 if uses else -1
            services.append(case.columns.service[first] if first >= 0 else -1)
            offers.append(len(uses) + session.dropped)
            identities.append(hash(session.key))
            aborted.append(any(not use & 1 and is_abort[of_connection[use >> 1]] for use in uses))
        self.service = np.array(services, np.int32)
        self.offers = np.array(offers, np.int64)
        self.identity = np.array(identities, np.int64)
        self.is_aborted = np.frombuffer(bytes(aborted), np.bool_)
