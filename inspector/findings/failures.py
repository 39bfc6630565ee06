"""Every other failed handshake, told apart by who sent what: ``handshake-failed``, one per service,
client and cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from inspector.document import Evidence, Remedy
from inspector.document.rules import Rule
from inspector.findings.blame import blamed
from inspector.findings.case import Case, frames
from inspector.findings.causes import UNCLEAR, Cause, CertificateNames, cause
from inspector.findings.compared import ComparedPool
from inspector.findings.counterpart import works_elsewhere
from inspector.findings.differing import about_failures
from inspector.findings.failure_remedies import Parties, failure_remedies
from inspector.findings.finding import Raised, finding
from inspector.findings.odd_member import (
    asked_at,
    counted,
    expired_leaf,
    located,
    member_called,
    member_remedies,
    until_then,
)
from inspector.findings.unreadable import refused_in
from inspector.text.times import span, utc_day
from inspector.tls.registry import alert_name
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificate_names import authority, covers
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.closing import is_consequence, is_refused
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup, server_name

RULE = Rule.HANDSHAKE_FAILED
NAMED = 4
"""Certificates that an explanation names at most."""

MOST_LISTED = 20
"""Back ends that a sentence lists at most."""

REPLACED = frozenset(
    ("certificate_expired", "not_yet_valid", "certificate_revoked", "unsupported_certificate", "reissue")
)
"""Remedies by which a certificate is issued again, so that it must be told from others of its name."""

Group = tuple[int, str, str]
"""Client, cause, and the attribute that goes with it."""


def failures(case: Case, explained: Set[int], compared: Sequence[ComparedPool]) -> Iterator[Raised[Cause]]:
    """Aborted connections that no other rule explains. ``explained``: their indexes."""
    names = CertificateNames(case)
    failed: dict[int, list[tuple[Observed, Cause]]] = {}
    for observed in case.everybody.where(lambda shape: shape.traits.outcome == "aborted"):
        if not observed.health_check and observed.index not in explained:
            failed.setdefault(observed.service, []).append((observed, cause(case, observed, names)))
    for index, pairs in failed.items():
        yield from _of_service(case, compared[index], pairs, names)


def _of_service(
    case: Case, compared: ComparedPool, failed: list[tuple[Observed, Cause]], names: CertificateNames
) -> Iterator[Raised[Cause]]:
    service = compared.service
    blames = blamed(compared, failed, names)
    blame_of = {observed.index: blame for blame in blames.values() for observed in blame.failed}
    groups: dict[Group, list[tuple[Observed, Cause]]] = {}
    for observed, why in failed:
        blame = blame_of.get(observed.index)
        key = (observed.client, why.key, str(blame.attribute) if blame is not None else "")
        groups.setdefault(key, []).append((observed, why))
    pool = _Pool(case, case.pools[service.index])
    ids: set[tuple[int, str]] = set()
    for (client_index, why_key, attribute), pairs in groups.items():
        client, why = case.clients[client_index], pairs[0][1]
        members, blame = [observed for observed, _ in pairs], blame_of.get(pairs[0][0].index)
        is_further = (client_index, why_key) in ids
        ids.add((client_index, why_key))
        at = located(case, blame, members)
        chainless = pool.chainless({observed.backend for observed in members}) if why.is_about_certificate else []
        failure = finding(
            case,
            RULE,
            service.id,
            client.id,
            why.key,
            *((attribute,) if is_further else ()),
            on=members,
            grade="inferred" if blame is not None and (blame.telltales or blame.without) else why.grade,
            severity="high" if blame is not None and expired_leaf(compared, blame) is not None else None,
            about=about_failures(compared, blame) if blame is not None else None,
            title=f"{len(members)} handshake{'s' if len(members) > 1 else ''} failed{at}: {why.text}",
            matter=why.key,
            what=f"handshakes failed: {why.text}",
            explanation=" ".join(
                [
                    *_explained(case, names, members, [each for _, each in pairs], pool, chainless),
                    *([counted(compared, blame)] if blame is not None else []),
                ]
            ),
            remedies=[
                *(
                    (member_remedies(compared, blame) if blame is not None else [])
                    or _remedies(case, service, members, why, bool(chainless))
                ),
                *(until_then(compared, blame) if blame is not None else []),
            ],
            evidence=[
                *(evidence for s in members[:3] for evidence in _evidence(case, s)),
                *works_elsewhere(compared, members[0]),
            ],
        )
        yield Raised(failure, tuple(members), why)


def _remedies(
    case: Case, service: ServiceGroup, members: list[Observed], why: Cause, is_chainless: bool
) -> list[Remedy]:
    name = server_name(members[0].offer) or service.name
    if is_chainless and why.remedy in ("unknown_ca", "certificate_unknown"):
        return failure_remedies("no_chain", name, service.port)
    return failure_remedies(why.remedy, name, service.port, _parties(case, members, why, name))


def _parties(case: Case, members: list[Observed], why: Cause, name: str) -> Parties:
    """Who rejected what, who issued it, and at which members."""
    if why.remedy == "reissue":
        shown = [certificate for certificate in (refused_in(case, members[0]),) if certificate is not None]
    else:
        shown = _shown(case, members, of_client=why.is_about_client)
    at = [case.backends[index] for index in dict.fromkeys(observed.backend for observed in members) if index >= 0]
    is_one = len(at) == 1 and all(observed.backend >= 0 for observed in members)
    issuers = dict.fromkeys(authority(certificate) for certificate in shown)
    lacking = [certificate.known_as for certificate in shown if not covers(certificate, name)]
    called = ", ".join(_identified(each) if why.remedy in REPLACED else each.known_as for each in shown)
    return Parties(
        rejecting="the server" if why.is_about_client else f"the client {case.clients[members[0].client].ip}",
        subjects=f"the certificate{'s' * (len(shown) > 1)} {called}" if shown else "",
        issuer=next(iter(issuers)) if len(issuers) == 1 else "",
        lacking=f"the certificate{'s' * (len(lacking) > 1)} {', '.join(lacking)}" if lacking else "",
        servers=_listed([member_called(case, backend) for backend in at]),
        host=asked_at(case, at[0]) if is_one else "",
        is_alone=bool(shown)
        and not any(certificate.self_issued for certificate in shown)
        and not any(observed.shown.behind for observed in members if observed.leaf),
    )


def _shown(case: Case, members: list[Observed], *, of_client: bool) -> list[ParsedCertificate]:
    """The different leaf certificates of one side, the first few."""
    leaves = dict.fromkeys(
        leaf
        for s in members
        for leaf in (s.client_leg.handshake.client_chain[:1] if of_client else (s.leaf,))
        if leaf is not None
    )
    return [case.certificates[leaf] for leaf in leaves if leaf in case.certificates][:NAMED]


def _explained(
    case: Case,
    names: CertificateNames,
    members: list[Observed],
    causes: list[Cause],
    pool: _Pool,
    chainless: list[BackendGroup],
) -> Iterator[str]:
    """What failed, sentence by sentence: cause, how long it took, which certificates, what they lack."""
    why = causes[0]
    if why.key != UNCLEAR:
        yield "This is not the certificate change of Java's rule."
    yield f"{why.text[0].upper()}{why.text[1:]}."
    lasted = sorted(c.lasted_ns for c in causes if c.lasted_ns is not None)
    if lasted:
        low, high = span(lasted[0]), span(lasted[-1])
        yield f"That was after {low if low == high else f'{low} to {high}'}."
    tail = members[0].client_leg.from_server.tail
    if why.key == "refused" and tail is not None:
        yield (
            f"That record is frame {frames(tail.frame)[0][1]}, of {tail.size} bytes,"
            f" {span(tail.ns - members[0].hello_ns)} behind the ClientHello."
        )
    if why.is_about_certificate:
        yield from _about_certificates(case, members)
        lacking = next((wanted for observed in members if (wanted := names.lacks(observed)) is not None), None)
        if lacking is not None and names.are_checked(members[0], lacking) is not False:
            yield from pool.lacking(lacking)
        if chainless:
            yield (
                f"Back end {', '.join(b.label for b in chainless)} sends no intermediate certificate, others of the"
                " pool do."
            )
    if why.is_about_client:
        for certificate in _shown(case, members, of_client=True):
            yield (
                f"The client showed {_called(certificate)}, issued by"
                f" {authority(certificate) or 'a CA without a name'}."
            )


def _about_certificates(case: Case, members: list[Observed]) -> Iterator[str]:
    """Which certificates were rejected, by who issued them, and which had expired."""
    shown: dict[bytes, Observed] = {}
    for observed in members:
        if observed.leaf in case.certificates:
            shown.setdefault(observed.leaf or b"", observed)
    issued: dict[str, list[bytes]] = {}
    for leaf in shown:
        issued.setdefault(authority(case.certificates[leaf]), []).append(leaf)
    for issuer, leaves in list(issued.items())[:NAMED]:
        called = [f"{case.label(shown[leaf])} ({case.certificates[leaf].known_as})" for leaf in leaves[:NAMED]]
        more = f" and {len(leaves) - NAMED} more" if len(leaves) > NAMED else ""
        yield (
            f"Back end {', '.join(called)}{more} showed {'a certificate' if len(leaves) == 1 else 'certificates'}"
            f" issued by {issuer or 'a CA without a name'}."
        )
    for leaf, observed in list(shown.items())[:NAMED]:
        certificate = case.certificates[leaf]
        if certificate.not_after and certificate.not_after < observed.first_ns:
            yield (
                f"{certificate.known_as} was valid until {utc_day(certificate.not_after)} and was shown on"
                f" {utc_day(observed.first_ns)}."
            )


def _identified(certificate: ParsedCertificate) -> str:
    """Its name and serial number, which tell it from those before and after it."""
    return f"{certificate.known_as} (serial {certificate.serial})" if certificate.serial else certificate.known_as


def _called(certificate: ParsedCertificate) -> str:
    return f"the certificate {certificate.known_as}"


class _Pool:
    """What the back ends of one service send, looked up once for all its failures."""

    def __init__(self, case: Case, members: list[BackendGroup]) -> None:
        self._case = case
        self._members = members
        self._alone: dict[int, bool | None] | None = None
        self._lacking: dict[str, list[str]] = {}

    def lacking(self, wanted: str) -> list[str]:
        """A sentence on the certificates without the name that was asked for, where there are any."""
        if wanted not in self._lacking:
            theirs = [(b, self._case.certificates.get(b.leaf or b"")) for b in self._members]
            read = [(b, certificate) for b, certificate in theirs if certificate is not None]
            without = [
                f"{b.label} ({certificate.known_as})" for b, certificate in read if not covers(certificate, wanted)
            ]
            having = [b.label for b, certificate in read if covers(certificate, wanted)]
            rest = f"; {_listed(having)} {'has' if len(having) == 1 else 'have'} it." if having else "."
            self._lacking[wanted] = (
                [f"The name {wanted} is missing from the certificate of {_listed(without)}{rest}"] if without else []
            )
        return self._lacking[wanted]

    def chainless(self, hit: Set[int]) -> list[BackendGroup]:
        """The back ends among those that were hit that send their own certificate alone, where others of the pool send
        more.
        """
        if self._alone is None:
            self._alone = {b.index: self._is_alone(b) for b in self._members}
            if not any(is_alone is False for is_alone in self._alone.values()):
                self._alone = {}
        return [self._case.backends[index] for index in sorted(hit) if self._alone.get(index)]

    def _is_alone(self, backend: BackendGroup) -> bool | None:
        """Whether a back end sends its own certificate alone, one that another issued; None where no chain was seen."""
        for index in backend.connections:
            leaf = self._case.observed[index].leaf
            if leaf is not None:
                certificate = self._case.certificates.get(leaf)
                return (
                    len(self._case.observed[index].client_leg.handshake.chain) == 1
                    and certificate is not None
                    and not certificate.self_issued
                )
        return None


def _listed(labels: list[str]) -> str:
    """Some of them by name."""
    return ", ".join(labels[:MOST_LISTED]) + (
        f" and {len(labels) - MOST_LISTED} more" if len(labels) > MOST_LISTED else ""
    )


def _evidence(case: Case, observed: Observed) -> Iterator[Evidence]:
    h = observed.client_leg.handshake
    certificate = case.certificates.get(observed.leaf or b"")
    if certificate is not None:
        yield Evidence(
            "shown",
            observed.id,
            frames(h.hello_frame, h.answer_frame, h.certificate_frame),
            f"back end {case.label(observed)} showed {_called(certificate)}",
        )
    alert = observed.fatal_alert
    tail = observed.client_leg.from_server.tail
    closes = [
        c
        for c in (
            observed.client_leg.from_client.fin,
            observed.client_leg.from_client.rst,
            observed.client_leg.from_server.fin,
            observed.client_leg.from_server.rst,
        )
        if c
    ]
    if alert is not None and not is_consequence(observed.client_leg, alert):
        yield Evidence(
            "alert",
            observed.id,
            frames(alert.frame),
            f"fatal {alert_name(alert.code or 0)} from the {'client' if alert.from_client else 'server'}",
        )
    elif tail is not None and is_refused(observed.client_leg):
        yield Evidence("alert", observed.id, frames(tail.frame), f"the server's last record, of {tail.size} bytes")
    else:
        first = min(closes, key=lambda c: (c.is_answer, c.ns), default=None)
        yield Evidence(
            "closed",
            observed.id,
            frames(first.frame if first else 0),
            f"closed by the {observed.closed_by or 'capture'}",
        )
