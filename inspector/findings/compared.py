"""The members of one service's pool held against each other: each attribute when it is first asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from inspector.findings.case import Case
from inspector.pool.alike import Alike, alike
from inspector.pool.attributes import OF_HELLOS, Extractor, PoolAttribute, Value, of_certificates
from inspector.pool.odd_one import PoolDifference, difference
from inspector.tracking.indices_by_key import IndicesByKey
from inspector.tracking.selection import ObservedSelection
from inspector.tracking.services import ServiceGroup
from inspector.tracking.tallies import tallied


class ComparedPool:
    """One service. ``members``: its connections without health checks."""

    def __init__(self, case: Case, service: ServiceGroup) -> None:
        self.case = case
        self.service = service
        self._differences: dict[PoolAttribute, PoolDifference | None] = {}

    @cached_property
    def members(self) -> ObservedSelection:
        """Its connections without health checks."""
        return self.case.members(self.service)

    @cached_property
    def groups(self) -> list[Alike]:
        """These put together."""
        turns, observed = self._turns(), self.case.observed
        if not turns:
            return alike(observed, {0: self.case.member_tallies(self.service)})
        by_turn = IndicesByKey[int]()
        for member in self.members:
            by_turn[bisect_right(turns.get(member.leaf or b"", ()), member.hello_ns)].append(member.index)
        return alike(observed, {turn: tallied(self.case.columns, indices) for turn, indices in by_turn.items()})

    def _turns(self) -> dict[bytes, tuple[int, int]]:
        """Of certificates that become valid, or expire, while the connections go on."""
        if not self.members:
            return {}
        first_ns, last_ns = self.members[0].hello_ns, self.members[-1].hello_ns
        turns: dict[bytes, tuple[int, int]] = {}
        for leaf in {leaf for backend in self.case.pools[self.service.index] for leaf in backend.leaves}:
            certificate = self.case.certificates.get(leaf)
            if certificate is None or certificate.not_before is None or certificate.not_after is None:
                continue
            begins, ends = certificate.not_before, certificate.not_after + 1
            if first_ns < begins <= last_ns or first_ns < ends <= last_ns:
                turns[leaf] = begins, ends
        return turns

    @cached_property
    def extractors(self) -> dict[PoolAttribute, Extractor]:
        """What is compared of full handshakes."""
        return {**OF_HELLOS, **of_certificates(self.case.certificates, self.case.facts.authorities)}

    def difference(self, attribute: PoolAttribute) -> PoolDifference | None:
        """In what its members differ; None where they do not, or nothing shows it."""
        if len(self.groups) < 2:
            return None
        if attribute not in self._differences:
            extract = self.extractors.get(attribute)
            self._differences[attribute] = difference(self.groups, attribute, extract) if extract else None
        return self._differences[attribute]

    @cached_property
    def accepted_chains(self) -> frozenset[Value]:
        """The chains that were shown where handshakes were completed."""
        chain = self.extractors[PoolAttribute.CHAIN]
        values = (chain(group.sample) for group in self.groups if group.sample.outcome == "established")
        return frozenset(value for value in values if value is not None)

    @property
    def looks(self) -> int:
        """How many members are held against the others."""
        return max(len(self.case.pools[self.service.index]), 2)

    def reached(self, backend: int) -> tuple[int, int]:
        """Connections that reached a back end, and how many of them failed."""
        groups = [group for group in self.groups if group.backend == backend]
        return sum(group.count for group in groups), sum(group.failed for group in groups)

    @cached_property
    def total(self) -> tuple[int, int]:
        """All connections, and how many of them failed."""
        return len(self.members), sum(group.failed for group in self.groups)


def compared_pools(case: Case) -> Sequence[ComparedPool]:
    """Of each service."""
    return [ComparedPool(case, service) for service in case.services]
