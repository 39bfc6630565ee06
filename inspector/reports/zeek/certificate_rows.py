"""Rows of ``x509.log``: each certificate once, apart for whether it stood first in its chain and whose it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.findings.case import Case
from inspector.reports.certificate_fields import CertificateFields
from inspector.reports.zeek.columns import Values
from inspector.reports.zeek.openssl_names import rfc2253
from inspector.tls.x509.certificate import Reading
from inspector.tls.x509.public_keys import DSA, EC, FIXED, RSA, RSA_PSS
from inspector.tracking.observed import Observed

ALGORITHMS = {RSA: "rsaEncryption", RSA_PSS: "rsassaPss", EC: "id-ecPublicKey", DSA: "dsaEncryption"}
"""As OpenSSL names them, and so Zeek."""

TYPES = {RSA: "rsa", EC: "ecdsa", DSA: "dsa"}
CURVES = {"secp192r1": "prime192v1", "secp256r1": "prime256v1"}
"""Those that OpenSSL calls otherwise."""


class Appearance(NamedTuple):
    """How a certificate was shown: what Zeek tells rows apart by."""

    digest: bytes
    host_cert: bool
    client_cert: bool


def appearances(observed: Observed) -> Iterator[Appearance]:
    """The certificates of a connection's handshakes."""
    for handshake in observed.client_leg.handshakes:
        for is_client, chain in ((False, handshake.chain), (True, handshake.client_chain)):
            for number, digest in enumerate(chain):
                yield Appearance(digest, number == 0, is_client)


class CertificateRows:
    """Those of one case."""

    def __init__(self, case: Case) -> None:
        self._fields = CertificateFields(case.facts.certificates)

    def x509(self, appearance: Appearance, ns: int) -> Values | None:
        """A row; None where the certificate was not captured. ``ns``: when it was shown."""
        reading = self._fields.get(appearance.digest)
        if reading is None:
            return None
        constraints = reading.constraints
        return {
            "ts": ns,
            "fingerprint": appearance.digest.hex(),
            "certificate.version": reading.version,
            "certificate.serial": _octets(reading.serial) if reading.serial is not None else None,
            "certificate.subject": rfc2253(reading.subject) if reading.subject is not None else None,
            "certificate.issuer": rfc2253(reading.issuer) if reading.issuer is not None else None,
            "certificate.not_valid_before": reading.not_before,
            "certificate.not_valid_after": reading.not_after,
            "certificate.sig_alg": reading.signature or None,
            **_key(reading),
            "san.dns": [*reading.names.dns] or None,
            "san.uri": [*reading.names.uris] or None,
            "san.email": [*reading.names.emails] or None,
            "san.ip": [*reading.names.ips] or None,
            "basic_constraints.ca": constraints.is_authority if constraints is not None else None,
            "basic_constraints.path_len": constraints.path_length if constraints is not None else None,
            "host_cert": appearance.host_cert,
            "client_cert": appearance.client_cert,
        }


def _key(reading: Reading) -> Values:
    key = reading.key
    if key is None:
        return {}
    named = FIXED.get(key.algorithm)
    return {
        "certificate.key_alg": ALGORITHMS.get(key.algorithm) or (named[0].upper() if named else None),
        "certificate.key_type": TYPES.get(key.algorithm),
        "certificate.key_length": key.bits,
        "certificate.exponent": f"{key.exponent}" if key.exponent is not None else None,
        "certificate.curve": CURVES.get(key.curve, key.curve) or None,
    }


def _octets(number: int) -> str:
    """In hexadecimal digits, of whole octets."""
    digits = f"{abs(number):X}"
    return f"{'-' if number < 0 else ''}{digits.zfill(len(digits) + len(digits) % 2)}"
