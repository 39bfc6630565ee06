"""Handshakes counted as they are decided: how each ended, and of each back end how soon it answered, whose sessions it
declined, what failed there, until when its certificate is valid.

Names come from the wire, so everything here is bounded: what comes beyond so many rows is counted together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import NamedTuple, TypeVar

from inspector.findings.case import Case
from inspector.findings.into_document.connection import alert, result
from inspector.tracking.observed import Observed

ROWS = 1_000
"""Of each kind of count."""

BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
"""Up to which answers are counted together, in milliseconds."""


class MetricRow(NamedTuple):
    """What handshakes are counted by."""

    service: str
    port: int
    backend: str
    result: str
    health_check: bool


class CountedMember(NamedTuple):
    """A back end of a service, by its letter; ``?`` where nothing tells who answered."""

    service: str
    port: int
    backend: str


UNCOUNTED = CountedMember("(others)", 0, "?")
"""In place of those beyond so many rows."""


class FailureRow(NamedTuple):
    """``alert``: the first fatal one in clear, empty where there was none."""

    member: CountedMember
    outcome: str
    alert: str


class AnswerTimes:
    """``buckets``: how many lie in each of ``BUCKETS_MS``, and behind them those that took longer."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS_MS) + 1)
        self.total_ns = 0

    def add(self, ns: int) -> None:
        """One more answer that took so long."""
        self.buckets[bisect_left(BUCKETS_MS, ns / 1e6)] += 1
        self.total_ns += ns


R = TypeVar("R", MetricRow, FailureRow)


class HandshakeCounts:
    """Since the start. ``has_members``: whether back ends are looked at by themselves, which costs another look at each
    connection.
    """

    def __init__(self, has_members: bool) -> None:
        self._has_members = has_members
        self.results: Counter[MetricRow] = Counter()
        self.failures: Counter[FailureRow] = Counter()
        self.declined: Counter[CountedMember] = Counter()
        self.answers: dict[CountedMember, AnswerTimes] = {}
        self.expiries: dict[CountedMember, int] = {}
        """Until when the certificate that was shown last is valid, in nanoseconds since the epoch."""

    def add(self, case: Case, observed: Observed) -> None:
        """A handshake that was decided."""
        service = case.services[observed.service]
        member = CountedMember(service.name, service.port, case.label(observed))
        row = MetricRow(*member, result(observed), observed.health_check)
        _count(self.results, row, row._replace(**UNCOUNTED._asdict()))
        if self._has_members and not observed.health_check:
            self._add_to_member(case, observed, member)

    def _add_to_member(self, case: Case, observed: Observed, member: CountedMember) -> None:
        if member not in self.answers and len(self.answers) >= ROWS:
            member = UNCOUNTED
        handshake = observed.client_leg.handshake
        times = self.answers.setdefault(member, AnswerTimes())
        if handshake.answer_ns and handshake.answer_ns >= handshake.hello_ns > 0:
            times.add(handshake.answer_ns - handshake.hello_ns)
        self.declined[member] += observed.declined
        if observed.outcome != "established":
            fatal = alert(observed.fatal_alert).name if observed.fatal_alert is not None else None
            failure = FailureRow(member, observed.outcome, fatal or "")
            _count(self.failures, failure, failure._replace(member=UNCOUNTED))
        certificate = case.certificates.get(observed.leaf) if observed.leaf is not None else None
        if certificate is not None and certificate.not_after is not None and member is not UNCOUNTED:
            self.expiries[member] = certificate.not_after


def _count(rows: Counter[R], row: R, uncounted: R) -> None:
    """``uncounted``: what stands for it where there are too many rows."""
    rows[row if row in rows or len(rows) < ROWS else uncounted] += 1
