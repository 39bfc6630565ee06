"""Which attribute of a pool a failure goes with: from the cause, and from what the certificate shows."""

from __future__ import annotations

from inspector import facts
from inspector.findings.causes import Cause, CertificateNames
from inspector.findings.compared import ComparedPool
from inspector.pool.attributes import PoolAttribute
from inspector.tls.preamble import PROXY_HEADERS, preamble_name
from inspector.tls.types import AlertDescription
from inspector.tracking.closing import CERTIFICATE_ALERTS
from inspector.tracking.observed import Observed

OF_SERVER_ALERTS: dict[int, PoolAttribute] = {
    AlertDescription.PROTOCOL_VERSION: PoolAttribute.VERSIONS,
    AlertDescription.UNRECOGNIZED_NAME: PoolAttribute.SNI,
    AlertDescription.NO_APPLICATION_PROTOCOL: PoolAttribute.ALPN,
}
OF_CLIENT_ALERTS: dict[int, PoolAttribute] = {
    AlertDescription.PROTOCOL_VERSION: PoolAttribute.VERSIONS,
    AlertDescription.HANDSHAKE_FAILURE: PoolAttribute.CIPHER,
    AlertDescription.INSUFFICIENT_SECURITY: PoolAttribute.CIPHER,
}
OF_REJECTED_CERTIFICATES: dict[int, PoolAttribute] = {
    AlertDescription.CERTIFICATE_EXPIRED: PoolAttribute.VALIDITY,
    AlertDescription.UNKNOWN_CA: PoolAttribute.CHAIN,
}
"""Where nothing else is seen of them."""

SAID_OF_CHAINS = frozenset(
    (AlertDescription.UNKNOWN_CA, AlertDescription.CERTIFICATE_UNKNOWN, AlertDescription.BAD_CERTIFICATE, None)
)
"""What clients say of a chain that leads to no CA they trust; None: they close in silence."""

OF_CAUSES: dict[str, PoolAttribute] = {
    "refused": PoolAttribute.CLIENT_AUTHORITIES,
    "rejected": PoolAttribute.FLIGHT,
    "unanswered-server": PoolAttribute.REACHABILITY,
    "unanswered-client": PoolAttribute.REACHABILITY,
    "early-server": PoolAttribute.REACHABILITY,
}


def attribute_of(pool: ComparedPool, observed: Observed, why: Cause, names: CertificateNames) -> PoolAttribute | None:
    """The attribute that this failed connection speaks of; None where it speaks of none."""
    if why.key == "plain":
        return PoolAttribute.PROXY if speaks_proxy(observed) else PoolAttribute.PROTOCOL
    if why.is_about_client:
        return PoolAttribute.CLIENT_AUTHORITIES
    if why.is_about_certificate:
        return _of_certificate(pool, observed, names)
    if why.key in OF_CAUSES:
        return OF_CAUSES[why.key]
    alert = observed.fatal_alert
    if alert is None or alert.code is None:
        return None
    if alert.from_client:
        return OF_CLIENT_ALERTS.get(alert.code)
    if observed.shown.authorities is not None and alert.code in (
        *CERTIFICATE_ALERTS,
        AlertDescription.HANDSHAKE_FAILURE,
    ):
        return PoolAttribute.CLIENT_AUTHORITIES
    if alert.code in (AlertDescription.HANDSHAKE_FAILURE, AlertDescription.INSUFFICIENT_SECURITY):
        return None if observed.client_leg.handshake.messages & facts.S_CERTIFICATE else PoolAttribute.CIPHER
    return OF_SERVER_ALERTS.get(alert.code)


def _of_certificate(pool: ComparedPool, observed: Observed, names: CertificateNames) -> PoolAttribute | None:
    """What is wrong with a certificate that the client rejected: what can be seen of it counts before what the alert
    says, for some clients have one alert for all.
    """
    alert = observed.fatal_alert
    code = alert.code if alert is not None and alert.from_client else None
    if pool.extractors[PoolAttribute.VALIDITY](observed) is False or code == AlertDescription.CERTIFICATE_EXPIRED:
        return PoolAttribute.VALIDITY
    wanted = names.lacks(observed) if code != AlertDescription.UNKNOWN_CA else None
    if wanted is not None and names.are_checked(observed, wanted) is not False:
        return PoolAttribute.NAMES
    if code in SAID_OF_CHAINS and (
        is_odd(pool, PoolAttribute.CHAIN, observed.backend) or _is_chain_rejected(pool, observed)
    ):
        return PoolAttribute.CHAIN
    if code is None:
        return None
    if code == AlertDescription.CERTIFICATE_UNKNOWN and names.has(observed) and not names.are_trusted(observed):
        return PoolAttribute.CHAIN
    is_hidden = observed.is_tls13 and not observed.leaf
    return OF_REJECTED_CERTIFICATES.get(code, PoolAttribute.FLIGHT if is_hidden else PoolAttribute.CERTIFICATE)


def is_odd(pool: ComparedPool, attribute: PoolAttribute, backend: int) -> bool:
    """Whether a back end is an odd one in an attribute."""
    difference = pool.difference(attribute)
    return backend >= 0 and difference is not None and any(holder.backend == backend for holder in difference.odd)


def _is_chain_rejected(pool: ComparedPool, observed: Observed) -> bool:
    """Whether everybody who succeeded was shown another chain."""
    if pool.difference(PoolAttribute.CHAIN) is None:
        return False
    accepted = pool.accepted_chains
    return bool(accepted) and pool.extractors[PoolAttribute.CHAIN](observed) not in accepted


def speaks_proxy(observed: Observed) -> bool:
    """Whether a PROXY header went before the hello, or came back as an answer."""
    client_leg = observed.client_leg
    return client_leg.preamble in PROXY_HEADERS or preamble_name(client_leg.from_server.opening) in PROXY_HEADERS
