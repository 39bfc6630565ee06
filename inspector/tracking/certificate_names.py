"""Whether a certificate is good for a name that a client asks for (RFC 9525, section 6.3), and what its issuer is
called.
"""

from __future__ import annotations

from inspector.tracking.certificates import ParsedCertificate


def covers(certificate: ParsedCertificate, name: str) -> bool:
    """Whether a client that looks at names takes this certificate for a host: a DNS name of it, a wildcard for its
    leftmost label, or an address; the common name where there is no DNS name at all, as Java and old clients do.
    """
    wanted = name.rstrip(".").lower()
    identity = certificate.identity
    if wanted in (address.lower() for address in identity.ip_addresses):
        return True
    offered = identity.dns_names or (certificate.common_name,)
    parent = wanted.partition(".")[2]
    return any(pattern.rstrip(".").lower() in (wanted, f"*.{parent}" if parent else wanted) for pattern in offered)


def authority(certificate: ParsedCertificate) -> str:
    """The issuer's common name, else the whole name; empty where it has none."""
    for part in certificate.issuer.split(","):
        kind, _, value = part.strip().partition("=")
        if kind == "CN":
            return value
    return certificate.issuer
