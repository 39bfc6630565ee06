"""Certificates that cannot be read, or that Java does not read as they were meant: how that is worded, and the failures
that come from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.document import Limit
from inspector.facts import C_CERTIFICATE
from inspector.findings.case import Case
from inspector.findings.giving_up import HAS_NO_RULE
from inspector.findings.problems import certificate_name, problem_text
from inspector.tls.types import AlertDescription
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed

KIND = "unreadable_certificate"
NAMED = 20
"""Certificates that are named one by one, and connections that a limit names, at most."""

PARSED_NOT = (
    None,
    AlertDescription.UNEXPECTED_MESSAGE,
    AlertDescription.BAD_CERTIFICATE,
    AlertDescription.UNSUPPORTED_CERTIFICATE,
    AlertDescription.ILLEGAL_PARAMETER,
    AlertDescription.DECODE_ERROR,
)
"""What a client that cannot parse a certificate sends, or nothing; unexpected_message is JDK 8's."""


class Refusal(NamedTuple):
    """A handshake that ended because of a certificate itself. ``text`` completes "handshakes failed: …". ``remedy``:
    its name in
    ``failure_remedies``.
    """

    key: str
    text: str
    remedy: str


def refusal(case: Case, observed: Observed) -> Refusal | None:
    """Where one side gave up because of a certificate that Java cannot parse, or of none at all: "Failed to parse
    server certificates", "Empty server certificate chain" (``CertificateMessage.T12CertificateConsumer``). None where
    that is not seen.
    """
    handshake, alert = observed.client_leg.handshake, observed.fatal_alert
    code = alert.code if alert is not None else None
    if alert is not None and not alert.from_client:
        refused = case.certificates.first_refused(handshake.client_chain)
        if refused is None or code not in PARSED_NOT or not handshake.messages & C_CERTIFICATE:
            return None
        return Refusal(
            f"unparsable-client-{refused.sha256.hex()[:12]}",
            f"the client's certificate {_sentence(refused)}",
            "reissue",
        )
    if observed.lost or code not in PARSED_NOT or not (observed.gave_up or alert is not None):
        return None
    if observed.shows_no_certificate:
        return Refusal("no-certificate", "the server sent an empty list of certificates", "no_certificate")
    refused = case.refused(observed)
    if refused is None or (
        observed.stack.name in HAS_NO_RULE and refused.problem is not None and refused.problem.kind != "structure"
    ):
        return None
    whose = "the server's certificate" if refused.sha256 == observed.leaf else "a certificate of the server's chain,"
    return Refusal(f"unparsable-{refused.sha256.hex()[:12]}", f"{whose} {_sentence(refused)}", "reissue")


def refused_in(case: Case, observed: Observed) -> ParsedCertificate | None:
    """The certificate that Java cannot parse: the client's where the server gave up, else the server's."""
    alert = observed.fatal_alert
    if alert is not None and not alert.from_client:
        return case.certificates.first_refused(observed.client_leg.handshake.client_chain)
    return case.refused(observed)


def _sentence(certificate: ParsedCertificate) -> str:
    why = problem_text(certificate.problem) if certificate.problem is not None else ""
    return f"{certificate_name(certificate)} cannot be parsed by Java: {why}"


def unread_names(case: Case, observed: Observed) -> Iterator[str]:
    """A sentence for each of the two certificates in which names stand that Java does not read."""
    for leaf in dict.fromkeys((case.judgements[observed.index].cached_leaf, observed.leaf)):
        certificate = case.certificates.get(leaf) if leaf is not None else None
        if certificate is not None and certificate.unread_names and certificate.problem is not None:
            names = ", ".join(certificate.unread_names[:5])
            yield f"{certificate_name(certificate)} holds {names}, but {problem_text(certificate.problem)}."


def limits(case: Case) -> Iterator[Limit]:
    """Connections whose server showed a certificate that no verdict can rest on, by certificate."""
    if not case.has_refused:
        return
    shown: dict[bytes, list[Observed]] = {}
    for observed in case.observed:
        refused = case.refused(observed)
        if refused is not None:
            shown.setdefault(refused.sha256, []).append(observed)
    for number, (digest, members) in enumerate(shown.items()):
        certificate = case.certificates[digest]
        if number >= NAMED:
            rest = sum(map(len, list(shown.values())[NAMED:]))
            yield Limit(
                KIND,
                f"{rest} connections more: {len(shown) - NAMED} certificates more that Java cannot parse",
                None,
                [],
            )
            return
        count = len(members)
        text = (
            f"{count} connection{'s' if count > 1 else ''}: the certificate {_sentence(certificate)}; no verdict rests"
            " on it"
        )
        yield Limit(KIND, text, None, [s.id for s in members[:NAMED]])
