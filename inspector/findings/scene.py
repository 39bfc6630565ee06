"""What the rows of the verdict look at: one service with all that is known of it, before any of it is worded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple

from inspector.errors.bounds import PacketsLeft
from inspector.findings.case import Case
from inspector.findings.causes import Cause
from inspector.findings.finding import Raised
from inspector.findings.giving_up import AS_JAVA
from inspector.findings.lazy import lazy
from inspector.findings.prediction import Common, Extended, common, unnamed
from inspector.findings.renegotiation import BROKEN_OFF, InnerHandshake
from inspector.findings.shared_remedies import capture_remedy, log_remedy
from inspector.findings.signs import Weighed
from inspector.findings.stale import Stale
from inspector.findings.unseen import Sight
from inspector.tracking.clients import Stack
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, grouped
from inspector.tracking.services import ServiceGroup
from inspector.tracking.shape import ConnectionShape
from inspector.tracking.tallies import Tally, tallied

MOST_PAIRS = 10_000
"""Certificates of very large pools that are held against each other; one pair that differs is enough."""

MOST_HAVING = 3
"""Back ends that are named as those which need no change."""


class Occurrences(NamedTuple):
    """What happened, as findings tell it: aborts because of the change, renegotiations, all other failures, and
    connections that were used after they had been closed.
    """

    aborts: list[Raised[Weighed]]
    renegotiations: list[Raised[InnerHandshake]]
    failures: list[Raised[Cause]]
    stale: list[Raised[Stale]]

    def by_service(self) -> dict[str, Occurrences]:
        """Those of each service by its id, where there are any."""
        services: defaultdict[str, Occurrences] = defaultdict(nothing)
        for abort in self.aborts:
            services[abort.finding.service or ""].aborts.append(abort)
        for inner in self.renegotiations:
            services[inner.finding.service or ""].renegotiations.append(inner)
        for failure in self.failures:
            services[failure.finding.service or ""].failures.append(failure)
        for used in self.stale:
            services[used.finding.service or ""].stale.append(used)
        return services


def nothing() -> Occurrences:
    """Of a service at which all went well."""
    return Occurrences([], [], [], [])


NOTHING = nothing()


class Exposure(NamedTuple):
    """The conditions of the abort, all of them met for a Java client. ``client``: what it is. ``resumed``: connections;
    ``leaves``: certificates that are not one server; ``has_ems_beside``: on some back ends.
    """

    client: Stack
    resumed: int
    leaves: int
    has_ems_beside: bool


READ_ON = "read all packets, without -c"


@dataclass
class Scene:
    """What the rows look at: a service, what happened to it, its connections without health checks, how far they
    were seen, and who of back ends and clients does extended master secret.
    """

    case: Case
    service: ServiceGroup
    occurrences: Occurrences
    members: ObservedSelection
    sight: Sight
    ems: Extended

    @lazy
    def tallies(self) -> list[Tally]:
        """Its connections, counted by what they have in common."""
        if self.members is self.case.members(self.service):
            return self.case.member_tallies(self.service)
        return tallied(self.case.columns, self.members.indices)

    @lazy
    def confirmed(self) -> list[Raised[Weighed]]:
        """Aborts that are certain."""
        return [raised for raised in self.occurrences.aborts if raised.is_confirmed]

    @lazy
    def possible(self) -> list[Raised[Weighed]]:
        """Aborts that are not."""
        return [raised for raised in self.occurrences.aborts if not raised.is_confirmed]

    @lazy
    def broken_off(self) -> list[Raised[InnerHandshake]]:
        """Renegotiations that the client broke off, perhaps because of the change."""
        return [raised for raised in self.occurrences.renegotiations if raised.finding.rule == BROKEN_OFF]

    @property
    def failures(self) -> list[Raised[Cause]]:
        """All other failures, by client and cause."""
        return self.occurrences.failures

    @lazy
    def total(self) -> str:
        """``177 connections``."""
        return connections(len(self.members))

    @property
    def again(self) -> str:
        """How to come by what is missing."""
        if any(isinstance(bound, PacketsLeft) for bound in self.case.facts.bounded):
            return READ_ON
        return (
            "capture again:"
            f" {capture_remedy(self.service.name, self.service.port, self.service.addresses, self.case.is_cut).check}"
        )

    @property
    def log(self) -> str:
        """Where to look for what no capture shows."""
        return f"look into the client's own log at these times: {log_remedy().check}"

    @property
    def remedy(self) -> str:
        """The cheapest one: EMS where some alone lack it, else a name that all share."""
        if not self.lacking:
            return self.one_name
        lack = "lacks" if len(self.ems.lacking) == 1 else "lack"
        return f"switch extended master secret (EMS) on at {self.lacking}, which alone {lack} it; or {self.one_name}"

    @property
    def one_name(self) -> str:
        """A name that all certificates share; only those are named that must change."""
        without, shared = unnamed(self.case, self.service)
        having = [b.index for b in self.case.pools[self.service.index] if b.index not in without]
        if without and having:
            which = "certificate" if len(without) == 1 else "certificates"
            others = (
                f"{self.labels(having)} {'has' if len(having) == 1 else 'have'}"
                if len(having) <= MOST_HAVING
                else "the others have"
            )
            return f"put DNS {shared} into the {which} of {self.labels(without)} too: {others} it"
        return f"put one name, e.g. DNS {self.service.name}, into all certificates of the pool"

    @lazy
    def old(self) -> ObservedSelection:
        """Connections up to TLS 1.2 whose handshake is known."""
        return self.members.where(_is_old)

    @lazy
    def java(self) -> ObservedSelection:
        """Of these the ones of Java clients, or of a probe that stands for one."""
        return self.old.where(lambda shape: shape.traits.stack.name in AS_JAVA)

    @lazy
    def full(self) -> ObservedSelection:
        """Of these, whoever the client is, the full handshakes."""
        return self.old.where(lambda shape: shape.traits.kind == "full")

    @lazy
    def tls13(self) -> int:
        """How many connections use TLS 1.3."""
        of_shapes = ((tally.shape.traits, tally.count) for tally in self.tallies)
        return sum(count for traits, count in of_shapes if traits.is_tls13 and traits.kind is not None)

    @lazy
    def leaves(self) -> list[bytes]:
        """The certificates that up to TLS 1.2 were shown, or that sessions in use were issued with."""
        later_leaves = {
            h.chain[0] for s in self.old if s.renegotiations for h in s.client_leg.renegotiations if h.chain
        }
        return sorted(
            later_leaves
            | {s.leaf for s in self.full if s.leaf is not None}
            | {leaf for s in self.old if (session := s.session) is not None and (leaf := session.leaf)}
        )

    @lazy
    def shared(self) -> list[Common]:
        """What makes the certificates one server; empty where they are not, or one of them cannot be read."""
        certificates = [self.case.certificates.get(leaf) for leaf in self.leaves]
        known = [c for c in certificates if c is not None and c.identity.is_known]
        return common(known, self.case.options.generation) if len(known) == len(certificates) else []

    @lazy
    def went_on(self) -> Sequence[Observed]:
        """Java's connections that were completed where its rule says abort."""
        return self.case.going_on_among(self.java.indices)

    @lazy
    def exposure(self) -> Exposure | None:
        """What is met, where all conditions of the abort are; None otherwise. JVMs that are configured alike count as
        one; those that a probe stood for are not.
        """
        if self.went_on:
            return None
        alike = grouped(self.case.observed, self.java, _configured)
        exposures = (self._exposure(client, java) for client, java in alike.items())
        return next((exposure for exposure in exposures if exposure is not None), None)

    def _exposure(self, client: Stack, java: Sequence[Observed]) -> Exposure | None:
        resumed = sum(s.is_resumed for s in java)
        if not resumed:
            return None
        issuing: dict[bool, set[bytes]] = {True: set(), False: set()}
        offers: set[bool] = set()
        for observed in java:
            if observed.kind == "full" and observed.leaf is not None and observed.answer is not None:
                issuing[observed.answer.extended_master_secret].add(observed.leaf)
                offers.add(observed.offer is not None and observed.offer.extended_master_secret)
        plain = issuing[False]
        kept = issuing[True] | (plain if False in offers else set())
        pairs = [(a, b) for a, b in islice(product(kept, plain), MOST_PAIRS) if self.case.step(a, b) == "none"]
        if not pairs:
            return None
        return Exposure(client, resumed, len({leaf for pair in pairs for leaf in pair}), bool(issuing[True]))

    @property
    def lacking(self) -> str:
        """The back ends that alone lack EMS; "" where none does, or all do."""
        return self.labels(self.ems.lacking) if self.ems.doing and self.ems.lacking else ""

    def labels(self, backends: Sequence[int]) -> str:
        """``back end B``, ``back ends B, C``."""
        return f"back end{'s' * (len(backends) > 1)} {', '.join(self.case.backends[i].label for i in backends)}"

    @lazy
    def hidden_renegotiations(self) -> int:
        """Connections in which Java's rule would look at a certificate that is encrypted."""
        return sum(_hides_a_certificate(s) for s in self.old)


def _is_old(shape: ConnectionShape) -> bool:
    return shape.answer is not None and shape.traits.kind is not None and not shape.traits.is_tls13


def _configured(observed: Observed) -> Stack:
    """The client's stack; of JVMs that are configured alike one."""
    stack = observed.stack
    return stack if stack.is_probe else stack._replace(basis=())


def connections(count: int) -> str:
    """``1 connection``, ``177 connections``."""
    return f"{count} connection{'' if count == 1 else 's'}"


def _hides_a_certificate(observed: Observed) -> bool:
    """Whether Java's rule would look at a certificate that is encrypted: in a renegotiation of what began with a
    session resumed without EMS.
    """
    answer = observed.answer
    if not observed.is_resumed or answer is None or answer.extended_master_secret:
        return False
    return any(
        attempt.handshake_index < 0 and attempt.state != "declined" and attempt.shape != "abbreviated"
        for attempt in observed.renegotiations
    )
