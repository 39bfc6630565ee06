"""Rules about the pool: ``pool-drift``, ``certificate-rotated``, ``certificate-expired``,
``certificate-expires-soon``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import islice
from typing import Literal

from inspector.document import Evidence, Finding, Remedy
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.causes import Cause
from inspector.findings.compared import ComparedPool
from inspector.findings.differing import about_difference, about_member
from inspector.findings.finding import Raised, finding
from inspector.findings.prediction import Extended, ems_answers, unnamed
from inspector.findings.requested_authorities import RequestedAuthorities, differences, requested
from inspector.findings.shared_remedies import change_remedies
from inspector.pool.attributes import PoolAttribute
from inspector.text.listing import MOST, listed, more_than
from inspector.text.times import DAY_NS, utc_day
from inspector.tls.registry import version_name
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.services import ServiceGroup

MOST_NAMED = 100
"""Back ends whose chains are compared by the names in them; where they are more, by the certificates themselves."""

SOON_DAYS = 30
ONE_SERVER = {
    True: "Java counts both as one server",
    False: "Java does not count both as one server, so clients with a session of the old one may abort once",
}


def ems_of(case: Case, backend: BackendGroup) -> bool | str | None:
    """Whether a back end negotiates EMS: among clients that offer it, where any does; ``mixed`` where it varies; None
    where no answer shows it.
    """
    answering, unasked = ems_answers(case, backend)
    values = answering or unasked
    return None if not values else next(iter(values)) if len(values) == 1 else "mixed"


def versions_of(case: Case, backend: BackendGroup) -> list[str]:
    """The versions that a back end chose, oldest first."""
    tallies = case.tallies_at(backend)
    versions = {tally.shape.answer.version for tally in tallies if tally.shape.answer is not None}
    return [version_name(v) or f"0x{v:04x}" for v in sorted(versions)]


ATTRIBUTES: dict[str, PoolAttribute] = {
    "certificate_names": PoolAttribute.NAMES,
    "ems": PoolAttribute.EMS,
    "chain": PoolAttribute.CHAIN,
    "client_certificate_authorities": PoolAttribute.CLIENT_AUTHORITIES,
}


def drift(
    compared: Sequence[ComparedPool], exposed: Set[int], ems: Sequence[Extended], explained: Set[tuple[int, str]]
) -> Iterator[Finding]:
    """Where one service's back ends differ. ``exposed``: services at which the difference matters. ``ems``: who does
    it, of each. ``explained``: services and attributes of which failures tell.
    """
    for pool in compared:
        case, service = pool.case, pool.service
        members = case.pools[service.index]
        if len(members) < 2:
            continue
        for attribute, values in _attributes(case, members):
            if (service.index, ATTRIBUTES[attribute]) in explained:
                continue
            groups: dict[object, list[BackendGroup]] = {}
            for backend, value in values:
                groups.setdefault(value, []).append(backend)
            if len(groups) < 2:
                continue
            words, common = _words(case, list(groups))
            parts = [
                f"{listed([b.label for b in backends])}: {words_of}"
                for words_of, backends in zip(words, groups.values(), strict=False)
            ]
            name = "EMS" if attribute == "ems" else attribute.replace("_", " ")
            yield finding(
                case,
                Rule.POOL_DRIFT,
                service.id,
                attribute,
                service=service,
                backends=[b for b, _ in values],
                count=len(groups),
                severity="low" if service.index in exposed else None,
                title=f"The back ends of {service.name}:{service.port} differ in {name}",
                about=about_difference(pool, difference)
                if (difference := pool.difference(ATTRIBUTES[attribute])) is not None
                else None,
                matter=attribute,
                explanation=f"{'; '.join(parts)}{more_than(len(groups))}. {common}".strip(),
                remedies=(
                    pool_remedies(case, service, ems[service.index])[:2]
                    if attribute in ("certificate_names", "ems") and service.index in exposed
                    else []
                ),
                evidence=[
                    _shown(case, backends[0], f"{name}: {words_of}")
                    for words_of, backends in zip(words, groups.values(), strict=False)
                ],
            )


def _words(case: Case, values: Sequence[object]) -> tuple[list[str], str]:
    """The first ones of different values of one attribute, as many as a sentence lists, and a sentence on what all have
    in common, if anything is to be said of that.
    """
    requests = [value for value in values if isinstance(value, RequestedAuthorities)]
    if requests:
        words, common = differences(requests)
        return words[:MOST], common
    return [_value_words(case, value) for value in islice(values, MOST)], ""


def _value_words(case: Case, value: object) -> str:
    if isinstance(value, tuple):
        named = [case.certificate_name(one) if isinstance(one, bytes) else str(one) for one in value[:MOST]]
        return f"{', '.join(named)}{more_than(len(value))}" or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _attributes(case: Case, members: list[BackendGroup]) -> Iterator[tuple[str, list[tuple[BackendGroup, object]]]]:
    """Each attribute with the back ends for which it is known. Names differ where no two certificates are equivalent by
    names.
    """
    read = [(b, case.certificates.get(b.leaf or b"")) for b in members]
    leaves = [(b, b.leaf) for b, certificate in read if certificate is not None and certificate.identity.is_known]
    if len(leaves) > 1 and any(case.step(leaves[0][1] or b"", leaf or b"") == "none" for _, leaf in leaves[1:]):
        yield "certificate_names", [(b, _names(case, leaf or b"")) for b, leaf in leaves]
    yield "ems", [(b, value) for b in members if (value := ems_of(case, b)) is not None]
    chains: list[tuple[BackendGroup, object]] = []
    authorities: list[tuple[BackendGroup, object]] = []
    for backend in members:
        for index in backend.connections:
            if case.observed[index].leaf is not None:
                handshake = case.observed[index].client_leg.handshake
                behind = case.observed[index].shown.behind
                if len(members) <= MOST_NAMED:
                    chains.append((backend, tuple(case.certificate_name(digest) for digest in behind)))
                else:
                    chains.append((backend, behind))
                authorities.append((backend, requested(case, handshake)))
                break
    yield "chain", chains
    yield "client_certificate_authorities", authorities


def _names(case: Case, leaf: bytes) -> tuple[str, ...]:
    certificate = case.certificates[leaf]
    return certificate.identity.dns_names + certificate.identity.ip_addresses or (certificate.subject,)


def pool_remedies(case: Case, service: ServiceGroup, ems: Extended) -> list[Remedy]:
    """Against the certificate change, with the pool's own names; where some of its members alone lack EMS, what they
    must do stands first. Only those are named that must change.
    """
    members = case.pools[service.index]
    without, shared = unnamed(case, service)
    if len(without) == len(members):
        without = ()
    lacking = tuple(_host(case, case.backends[index]) for index in ems.lacking) if ems.doing else ()
    return change_remedies(
        service.name,
        service.port,
        tuple(_host(case, b) for b in members),
        lacking,
        tuple(_host(case, case.backends[index]) for index in without),
        shared,
    )


def _host(case: Case, backend: BackendGroup) -> str:
    """What people call a back end: its name in the balancer's log, else its certificate's."""
    return (
        backend.server
        or (
            case.certificate_name(backend.leaf)
            if backend.leaf in case.certificates and backend.leaf is not None
            else ""
        )
        or backend.label
    )


def _shown(case: Case, backend: BackendGroup, text: str) -> Evidence:
    """The first full handshake of a back end."""
    shown = next(
        (case.observed[i] for i in backend.connections if case.observed[i].leaf), case.observed[backend.connections[0]]
    )
    h = shown.client_leg.handshake
    return Evidence("shown", shown.id, frames(h.answer_frame, h.certificate_frame), f"{backend.label}: {text}")


def _dated(case: Case, digest: bytes) -> str:
    """A certificate by name and dates, for both may have one name."""
    certificate = case.certificates.get(digest)
    if certificate is None or not certificate.not_after or certificate.not_before is None:
        return case.certificate_name(digest)
    return (
        f"{case.certificate_name(digest)} (valid {utc_day(certificate.not_before)} to"
        f" {utc_day(certificate.not_after)}, serial {certificate.serial[:20]})"
    )


def rotations(case: Case) -> Iterator[Finding]:
    """A back end's certificate was replaced."""
    for backend in case.backends:
        service = case.services[backend.service]
        for rotation in backend.rotations:
            observed = case.observed[rotation.connection]
            step = case.step(rotation.old, rotation.new)
            same = (
                "whether Java counts both as one server is not known, for one of them cannot be read"
                if step is None
                else ONE_SERVER[step != "none"]
            )
            yield finding(
                case,
                Rule.CERTIFICATE_ROTATED,
                backend.id,
                rotation.new.hex(),
                on=[observed],
                service=service,
                backends=[backend],
                clients=[],
                times=(rotation.at_ns, rotation.at_ns),
                grade="inferred",
                title=f"The certificate of back end {backend.label} was replaced",
                what="The certificate of a back end was replaced",
                explanation=f"{_dated(case, rotation.old)} was not seen again after {_dated(case, rotation.new)} "
                f"appeared; {same}.",
                evidence=[
                    Evidence(
                        "rotated",
                        observed.id,
                        frames(observed.client_leg.handshake.certificate_frame),
                        "the first handshake with the new certificate",
                    )
                ],
            )


def validity(certificate: ParsedCertificate, at: int) -> Literal["valid", "soon", "expired", "unknown"]:
    """How a certificate stands at a time, nanoseconds since the epoch; soon: under 30 days and a third of its lifetime
    are left.
    """
    if certificate.not_after is None or certificate.not_before is None:
        return "unknown"
    left = certificate.not_after - at
    if left < 0:
        return "expired"
    return (
        "soon" if left < SOON_DAYS * DAY_NS and left * 3 < certificate.not_after - certificate.not_before else "valid"
    )


def expiry(case: Case, compared: Sequence[ComparedPool], failures: Sequence[Raised[Cause]]) -> Iterator[Finding]:
    """Certificates that were expired, or nearly, when they were last shown. Where connections fail because of one,
    ``failures`` tell of it.
    """
    failing = {
        (observed.service, observed.leaf)
        for raised in failures
        if raised.finding.about is not None and raised.finding.about.attribute == PoolAttribute.VALIDITY
        for observed in raised.on
    }
    last: dict[bytes, int] = {}
    first_shown: dict[bytes, int] = {}
    """Where each certificate was first shown to whoever does no health check."""
    showing: dict[tuple[int, bytes], tuple[int, int]] = {}
    """The first connection to each service that shows each, and how many do."""
    for service in case.services:
        for tally in case.tallies(service):
            if (leaf := tally.shape.leaf) is not None:
                first, count = showing.get((service.index, leaf), (tally.first, 0))
                showing[service.index, leaf] = first, count + tally.count
                if not tally.health_check:
                    last[leaf] = max(last.get(leaf, 0), tally.last)
                    first_shown[leaf] = min(first_shown.get(leaf, tally.first), tally.first)
    for leaf in sorted(last, key=first_shown.__getitem__):
        index = last[leaf]
        certificate = case.certificates.get(leaf)
        if certificate is None or certificate.not_after is None:
            continue
        member = case.observed[index]
        shown = member.client_leg.handshake.answer_ns or member.first_ns
        left = certificate.not_after - shown
        if validity(certificate, shown) in ("valid", "unknown"):
            continue
        service = case.services[member.service]
        backend = case.backends[member.backend] if member.backend >= 0 else None
        if left < 0 and (member.service, leaf) in failing:
            continue
        rule = Rule.CERTIFICATE_EXPIRED if left < 0 else Rule.CERTIFICATE_EXPIRES_SOON
        name = certificate.common_name or leaf.hex()[:12]
        until = utc_day(certificate.not_after)
        text = (
            f"It was valid until {until} and was shown on {utc_day(shown)}."
            if left < 0
            else f"It is valid until {until}: {left // DAY_NS} days from when it was shown."
        )
        first, count = showing[member.service, leaf]
        yield finding(
            case,
            rule,
            service.id,
            leaf.hex(),
            on=[case.observed[first], member] if first != index else [member],
            about=about_member(compared[service.index], PoolAttribute.VALIDITY, member.backend) if left < 0 else None,
            backends=[backend] if backend is not None else [],
            clients=[],
            times=(case.observed[first].first_ns, shown),
            count=count,
            title=f"The certificate {name} {'has expired' if left < 0 else 'expires soon'}",
            matter=name,
            explanation=text,
            remedies=[
                Remedy("PKI", "Renew the certificate with the same names.", "openssl x509 -noout -dates -in cert.pem")
            ],
            evidence=[
                Evidence(
                    "shown", member.id, frames(member.client_leg.handshake.certificate_frame), f"valid until {until}"
                )
            ],
        )
