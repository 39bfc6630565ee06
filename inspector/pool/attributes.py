"""In what members of a pool can differ, and what one connection shows of it.

An extractor gives a value that can be compared, or None where the connection does not show it: what was not seen is
nobody's value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum

from inspector.tls.extension_types import ExtensionType
from inspector.tracking.authorities import read_authorities
from inspector.tracking.certificate_names import covers
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed
from inspector.tracking.services import server_name


class PoolAttribute(StrEnum):
    """In what a member differs, as documents write it."""

    VALIDITY = "validity"
    CHAIN = "chain"
    NAMES = "names"
    CLIENT_AUTHORITIES = "client_authorities"
    CIPHER = "cipher"
    VERSIONS = "versions"
    GROUP = "group"
    EMS = "ems"
    ALPN = "alpn"
    STAPLING = "stapling"
    LATENCY = "latency"
    RESUMPTION = "resumption"
    PROTOCOL = "protocol"
    REACHABILITY = "reachability"
    PROXY = "proxy"
    SNI = "sni"
    FLIGHT = "flight"
    CERTIFICATE = "certificate"
    STALE = "stale"


Value = Hashable
Extractor = Callable[[Observed], Value | None]
ASKS_FOR_NONE = "none"
"""The value of a server that asks for no client certificate."""


def _version(observed: Observed) -> Value | None:
    return observed.answer.version if observed.answer is not None and not observed.answer.partial else None


def _cipher(observed: Observed) -> Value | None:
    answer = observed.answer
    return answer.cipher_suite if answer is not None and not answer.partial else None


def _group(observed: Observed) -> Value | None:
    return observed.shown.retried if observed.is_tls13 else None


def _ems(observed: Observed) -> Value | None:
    offer, answer = observed.offer, observed.answer
    if offer is None or answer is None or answer.partial or observed.is_tls13 or not offer.extended_master_secret:
        return None
    return answer.extended_master_secret


def _alpn(observed: Observed) -> Value | None:
    offer, answer = observed.offer, observed.answer
    if offer is None or answer is None or answer.partial or observed.is_tls13 or not offer.alpn:
        return None
    return answer.alpn or b""


def _stapling(observed: Observed) -> Value | None:
    offer, answer = observed.offer, observed.answer
    if offer is None or answer is None or answer.partial or observed.is_tls13:
        return None
    return (
        ExtensionType.STATUS_REQUEST in answer.extensions if ExtensionType.STATUS_REQUEST in offer.extensions else None
    )


def _chain(observed: Observed) -> Value | None:
    return observed.shown.behind if observed.leaf is not None else None


def _resumption(observed: Observed) -> Value | None:
    """Whether sessions are issued; in TLS 1.3 the tickets are encrypted, and a handshake that failed issues none."""
    return observed.shown.issues if observed.outcome == "established" and not observed.is_tls13 else None


OF_HELLOS: Mapping[PoolAttribute, Extractor] = {
    PoolAttribute.VERSIONS: _version,
    PoolAttribute.CIPHER: _cipher,
    PoolAttribute.GROUP: _group,
    PoolAttribute.EMS: _ems,
    PoolAttribute.ALPN: _alpn,
    PoolAttribute.STAPLING: _stapling,
    PoolAttribute.CHAIN: _chain,
    PoolAttribute.RESUMPTION: _resumption,
}
"""What full handshakes show by themselves."""


WITHIN_VERSION = frozenset(
    (PoolAttribute.CIPHER, PoolAttribute.GROUP, PoolAttribute.EMS, PoolAttribute.ALPN, PoolAttribute.STAPLING)
)
"""What is compared only where the version is the same, for with another version it is another matter."""


def of_certificates(
    certificates: Mapping[bytes, ParsedCertificate], lists: Mapping[bytes, bytes]
) -> dict[PoolAttribute, Extractor]:
    """What they show with the certificates and the lists of authorities, by digest, beside them."""

    def validity(observed: Observed) -> Value | None:
        certificate = certificates.get(observed.leaf or b"")
        return certificate.is_valid_at(observed.hello_ns) if certificate is not None else None

    def names(observed: Observed) -> Value | None:
        wanted, certificate = server_name(observed.offer), certificates.get(observed.leaf or b"")
        return covers(certificate, wanted) if wanted is not None and certificate is not None else None

    def client_authorities(observed: Observed) -> Value | None:
        shown = observed.shown
        if observed.is_tls13 or not shown.is_whole or observed.leaf is None:
            return None
        if shown.authorities is None:
            return ASKS_FOR_NONE
        listed = lists.get(shown.authorities)
        if listed is None:
            return shown.authorities
        accepted = read_authorities(listed)
        return (frozenset(one.key for one in accepted.authorities), shown.authorities if accepted.more else b"")

    return {
        PoolAttribute.VALIDITY: validity,
        PoolAttribute.NAMES: names,
        PoolAttribute.CLIENT_AUTHORITIES: client_authorities,
    }
