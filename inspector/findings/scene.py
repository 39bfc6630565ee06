"""What the rows of the verdict look at: one service with all that is known of it, before any of it is worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from inspector.document import Finding
from inspector.findings.case import Case
from inspector.findings.prediction import Extended
from inspector.findings.remedies import capture_remedy, log_remedy
from inspector.findings.unseen import Sight
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup


@dataclass
class Scene:
    """What the rows look at: a service, the findings that name it, its connections without health checks, how far they
    were seen, and who of back ends and clients does extended master secret.
    """

    case: Case
    service: ServiceGroup
    findings: list[Finding]
    members: list[Observed]
    sight: Sight
    ems: Extended

    def of(self, rule: str, verdict: str | None = None) -> list[Finding]:
        """Its findings of a rule."""
        return [f for f in self.findings if f.rule == rule and verdict in (None, f.verdict)]

    @cached_property
    def total(self) -> str:
        """``177 connections``."""
        return connections(len(self.members))

    @property
    def again(self) -> str:
        """How to capture what is missing."""
        return (
            "capture again:"
            f" {capture_remedy(self.service.name, self.service.port, self.service.addresses, self.case.is_cut).check}"
        )

    @property
    def log(self) -> str:
        """Where to look for what no capture shows."""
        return f"look into the client's own log at these times: {log_remedy().check}"

    @property
    def one_name(self) -> str:
        """The cheapest remedy."""
        return f"put one name, e.g. DNS {self.service.name}, into all certificates of the pool"

    @cached_property
    def old(self) -> list[Observed]:
        """Connections up to TLS 1.2 whose handshake is known."""
        return [s for s in self.members if s.answer is not None and s.kind is not None and not s.is_tls13]

    @cached_property
    def full(self) -> list[Observed]:
        """Of these the full handshakes."""
        return [s for s in self.old if s.kind == "full"]

    @cached_property
    def leaves(self) -> list[bytes]:
        """The certificates that up to TLS 1.2 were shown, or that sessions in use were issued with."""
        inside = {h.chain[0] for s in self.old if s.renegotiations for h in s.client_leg.renegotiations if h.chain}
        return sorted(
            inside
            | {s.leaf for s in self.full if s.leaf is not None}
            | {s.entry.session.leaf for s in self.old if s.entry.session and s.entry.session.leaf}
        )

    @property
    def lacking(self) -> str:
        """The back ends that alone lack EMS; "" where none does, or all do."""
        return self.labels(self.ems.lacking) if self.ems.doing else ""

    def labels(self, backends: Sequence[int]) -> str:
        """``back end B``, ``back ends B, C``."""
        return f"back end{'s' * (len(backends) > 1)} {', '.join(self.case.backends[i].label for i in backends)}"

    @cached_property
    def hidden_renegotiations(self) -> int:
        """Connections in which Java's rule would look at a certificate that is encrypted."""
        return sum(_hides_a_certificate(s) for s in self.old)


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
