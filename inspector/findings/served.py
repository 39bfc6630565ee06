"""Certificates on disk held against those that servers showed: whoever has put a new one there and not reloaded the
server serves the old one still, and nobody notices until it expires.

A file is told apart from what is served by its bytes. Which of them are meant to be the same is told by whom they name:
an equal subject, else an equal first DNS name. A certificate that was not seen may be served all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # certificates are compared without an engine
    from inspector.findings.case import Case
    from inspector.tracking.certificates import ParsedCertificate

StoredState = Literal["served", "other_served", "not_seen"]


class StoredCertificate(NamedTuple):
    """A certificate of a file."""

    certificate: ParsedCertificate
    path: str


class ServedCertificate(NamedTuple):
    """As a back end of a service showed it. ``first_ns``, ``last_ns``: the first and last connection, nanoseconds since
    the epoch.
    """

    certificate: ParsedCertificate
    service: str
    backend: str
    first_ns: int
    last_ns: int
    connections: int


class StoredVerdict(NamedTuple):
    """What became of a stored one. ``served``: where it is served; of ``other_served`` where another one of that name
    is, which is none of those that are stored.
    """

    stored: StoredCertificate
    state: StoredState
    served: tuple[ServedCertificate, ...]


class ServedAgainstStored(NamedTuple):
    """``verdicts``: of the stored ones, in their order. ``unknown``: those that are served and are none of them, nor of
    a name of theirs.
    """

    verdicts: tuple[StoredVerdict, ...]
    unknown: tuple[ServedCertificate, ...]

    @property
    def is_outdated(self) -> bool:
        """Whether another certificate is served than is stored."""
        return any(verdict.state == "other_served" for verdict in self.verdicts)


def served_in(case: Case) -> list[ServedCertificate]:
    """The server certificates of a case by service and back end, in the order in which they were first shown."""
    shown: dict[tuple[int, str, bytes], list[int]] = {}
    for observed in case.observed:
        if observed.leaf is not None and not observed.health_check:
            key = observed.service, case.label(observed), observed.leaf
            shown.setdefault(key, []).append(observed.hello_ns)
    served = []
    for (service, label, leaf), times in shown.items():
        certificate = case.certificates.get(leaf)
        if certificate is not None:
            name = f"{case.services[service].name}:{case.services[service].port}"
            served.append(ServedCertificate(certificate, name, label, min(times), max(times), len(times)))
    return sorted(served, key=lambda one: (one.first_ns, one.service, one.backend))


def held_against(stored: Sequence[StoredCertificate], served: Sequence[ServedCertificate]) -> ServedAgainstStored:
    """What is stored, against what is served. At each back end what it showed last counts: before that another one may
    have been meant.
    """
    files = {one.certificate.sha256 for one in stored}
    latest = {(one.service, one.backend): one for one in sorted(served, key=lambda one: one.last_ns)}.values()
    strangers = [one for one in latest if one.certificate.sha256 not in files]
    verdicts = []
    for one in stored:
        same = tuple(each for each in served if each.certificate.sha256 == one.certificate.sha256)
        others = tuple(each for each in strangers if _is_meant(each.certificate, one.certificate))
        state: StoredState = "other_served" if others else "served" if same else "not_seen"
        verdicts.append(StoredVerdict(one, state, others or same))
    meant = {id(each) for verdict in verdicts for each in verdict.served}
    return ServedAgainstStored(tuple(verdicts), tuple(one for one in strangers if id(one) not in meant))


def _is_meant(one: ParsedCertificate, other: ParsedCertificate) -> bool:
    """Whether both name the same server."""
    if one.subject or other.subject:
        return one.subject == other.subject
    return one.identity.dns_names[:1] == other.identity.dns_names[:1] != ()
