"""What is wrong with a certificate, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inspector.tls.x509.certificate import CertificateProblem, ProblemKind
from inspector.tracking.certificates import ParsedCertificate

TEXTS: dict[ProblemKind, str] = {
    "structure": "its bytes are no certificate",
    "version": "its version does not allow what it holds",
    "serial_number": "its serial number is none",
    "signature_algorithm": "its signature algorithm is malformed, or is not the same in both places",
    "issuer": "its issuer is empty or malformed",
    "validity": "its validity is malformed",
    "subject": "its subject is malformed, or empty without critical alternative names",
    "public_key": "its public key is malformed or in a form that Java does not take",
    "extensions": "its extensions are malformed",
    "duplicate_extension": "it has an extension twice",
    "critical_extension": "a critical extension is malformed",
    "curve": "some versions of Java do not know the curve of its key",
    "alternative_names": "its alternative names are malformed, so that Java reads none of them",
    "trailing_bytes": "bytes follow the certificate, which Java ignores and others do not",
    "mistake": "a mistake of this program kept it from being read",
}
EXTENSIONS = {
    "2.5.29.15": "key usage",
    "2.5.29.17": "subject alternative names",
    "2.5.29.19": "basic constraints",
    "2.5.29.37": "extended key usage",
}


def problem_text(problem: CertificateProblem) -> str:
    """What is wrong, in words, with its detail."""
    detail = EXTENSIONS.get(problem.detail, problem.detail)
    return f"{TEXTS[problem.kind]}{f' ({detail})' if detail else ''}"


def certificate_name(certificate: ParsedCertificate) -> str:
    """How people know it, or the start of its fingerprint where it says no name."""
    return certificate.common_name or certificate.sha256.hex()[:12]


def itself(certificates: Mapping[bytes, ParsedCertificate], chain: Iterable[bytes]) -> ParsedCertificate | None:
    """The first of some certificates that may itself be the cause of what looks like a certificate change: some
    versions of Java cannot parse it.
    """
    for digest in chain:
        certificate = certificates.get(digest)
        if certificate is not None and certificate.problem is not None and certificate.is_read_by_java is None:
            return certificate
    return None
