"""Certificates, each parsed once: names for people, and the identity that Java compares.

Java compares subjects and issuers in the canonical form of ``X500Principal``: white space trimmed and collapsed, upper and lower case equal,
whatever the string type (RFC 2459 rules as in ``sun.security.x509.AVA.toRFC2253CanonicalString``).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

SPACES = re.compile(" +")
TRIMMED = "".join(map(chr, range(33)))
"""What Java's ``String.trim`` takes away."""


class Identity(NamedTuple):
    """What the identity rule looks at. ``subject`` and ``issuer`` are canonical; "" is an empty name."""

    sha256: bytes
    ip_addresses: tuple[str, ...]
    dns_names: tuple[str, ...]
    subject: str
    issuer: str


class Certificate(Struct, frozen=True):
    """A certificate as read. Times are nanoseconds since the epoch. ``problem``: why it could not be read further."""

    sha256: bytes
    subject: str
    issuer: str
    serial: str
    not_before: int
    not_after: int
    identity: Identity
    key: str
    signature: str
    self_issued: bool
    is_authority: bool = False
    problem: str | None = None

    @property
    def common_name(self) -> str:
        """The subject's common name, else the whole subject."""
        for part in self.subject.split(","):
            kind, _, value = part.strip().partition("=")
            if kind == "CN":
                return value
        return self.subject

    @property
    def short_name(self) -> str:
        """How a person calls it: the first DNS name, else the common name, else the start of the fingerprint."""
        return next(iter(self.identity.dns_names), "") or self.common_name or self.sha256.hex()[:12]


def canonical(text: str) -> str:
    """A name's value as X500Principal compares it: runs of spaces collapsed, ends trimmed of spaces and controls, lower case, NFKD.

    Other white space inside, a tab for one, is kept (``sun.security.x509.AVA``).
    """
    return unicodedata.normalize("NFKD", SPACES.sub(" ", text).strip(TRIMMED).upper().lower())


@lru_cache(maxsize=100_000)
def parse(der: bytes) -> Certificate:
    """Read a DER certificate; what cannot be read is empty and named in ``problem``. Raises nothing."""
    import warnings

    from cryptography import x509
    from cryptography.utils import CryptographyDeprecationWarning

    sha256 = hashlib.sha256(der).digest()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            cert = x509.load_der_x509_certificate(der)
            subject, issuer = _name(cert.subject), _name(cert.issuer)
            dns, ips, problem = _alternative_names(cert)
            return Certificate(
                sha256,
                _readable(subject),
                _readable(issuer),
                f"{cert.serial_number:x}",
                int(cert.not_valid_before_utc.timestamp()) * 1_000_000_000,
                int(cert.not_valid_after_utc.timestamp()) * 1_000_000_000,
                Identity(sha256, ips, dns, _canonical_name(subject), _canonical_name(issuer)),
                _key(cert),
                _signature(cert),
                subject == issuer,
                _is_authority(cert),
                problem,
            )
        except (ValueError, TypeError, OverflowError, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as error:
            return Certificate(sha256, "", "", "", 0, 0, Identity(sha256, (), (), "", ""), "unknown", "unknown", False, False, str(error) or type(error).__name__)


Names = list[list[tuple[str, str]]]


def _name(name: object) -> Names:
    from cryptography import x509

    assert isinstance(name, x509.Name)
    return [[(a.rfc4514_attribute_name if a.rfc4514_attribute_name[:1].isalpha() else a.oid.dotted_string, _text(a.value)) for a in rdn] for rdn in name.rdns]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


def _readable(names: Names) -> str:
    return ", ".join("+".join(f"{kind}={value}" for kind, value in rdn) for rdn in names)


def _canonical_name(names: Names) -> str:
    return ",".join("+".join(sorted(f"{kind.lower()}={canonical(value)}" for kind, value in rdn)) for rdn in names)


def _alternative_names(cert: object) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    from cryptography import x509

    assert isinstance(cert, x509.Certificate)
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), None
    except (ValueError, x509.UnsupportedGeneralNameType) as error:
        return (), (), f"subject alternative names: {error}"
    return tuple(names.get_values_for_type(x509.DNSName)), tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress)), None


def _is_authority(cert: object) -> bool:
    from cryptography import x509

    assert isinstance(cert, x509.Certificate)
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError, x509.UnsupportedGeneralNameType):
        return False


def _key(cert: object) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    assert isinstance(cert, x509.Certificate)
    try:
        key = cert.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "unknown"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")


def _signature(cert: object) -> str:
    from cryptography import x509

    assert isinstance(cert, x509.Certificate)
    oid = cert.signature_algorithm_oid
    name: str = getattr(oid, "_name", oid.dotted_string)
    return name if name != "Unknown OID" else oid.dotted_string
