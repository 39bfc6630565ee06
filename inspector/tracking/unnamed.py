"""Connections whose server name (SNI) was not captured: which services they may be to all the same.

Services are told apart by the names that clients ask for. Where the ClientHello was lost, a connection counts by its
address, or as the only name that this answers to (``services``); but who was asked for is not known. A service of that
port is in question where something ties it to the connection: it answers there too, or a balancer reaches a back end of
it there, or the certificate is one that it shows, or is good for its name. Other addresses say nothing of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from inspector.tls.extensions import HelloShape
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificate_names import covers
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

MOST_PAIRS = 100_000
"""Services, times what such connections show, that are held against each other; where there are more, each may be to
any.
"""

Trait = tuple[str, bytes | None]
"""What such a connection shows: the address that it went to, and its certificate or that of its session."""


def is_name_unread(offer: HelloShape | None) -> bool:
    """Whether a client may have asked for a name that was not captured."""
    return offer is None or (offer.partial and offer.server_name is None)


def unnamed(
    observed: Sequence[Observed],
    services: Sequence[ServiceGroup],
    pools: Sequence[Sequence[BackendGroup]],
    certificates: Mapping[bytes, ParsedCertificate],
) -> dict[int, int]:
    """Of each service, by its index, how many such connections that count elsewhere may be to it. ``pools``: the back
    ends of each service.
    """
    lost: dict[int, Counter[Trait]] = {}
    for service in services:
        if not service.named:
            members = (observed[index] for index in service.connections)
            shown = Counter(_trait(service, m) for m in members if is_name_unread(m.offer) and not m.health_check)
            if shown:
                lost.setdefault(service.port, Counter()).update(shown)
    named = [service for service in services if service.named and service.port in lost]
    is_crowd = len(named) * max(map(len, lost.values()), default=0) > MOST_PAIRS
    counts: dict[int, int] = {}
    for service in named:
        elsewhere = lost[service.port]
        if is_crowd:
            counts[service.index] = elsewhere.total()
            continue
        is_tied = _ties(service, pools[service.index], certificates)
        if count := sum(times for trait, times in elsewhere.items() if is_tied(trait)):
            counts[service.index] = count
    return counts


def _trait(service: ServiceGroup, member: Observed) -> Trait:
    session = member.session
    return service.name, member.leaf or (session.leaf if session is not None else None)


def _ties(
    service: ServiceGroup, pool: Sequence[BackendGroup], certificates: Mapping[bytes, ParsedCertificate]
) -> Callable[[Trait], bool]:
    """What tells whether something ties such a connection to a service."""
    addresses = {*service.addresses, *(address for backend in pool for address in backend.addresses)}
    leaves = {leaf for backend in pool for leaf in backend.leaves}

    def is_tied(trait: Trait) -> bool:
        address, leaf = trait
        if address in addresses or leaf in leaves:
            return True
        certificate = certificates.get(leaf) if leaf is not None else None
        return certificate is not None and covers(certificate, service.name)

    return is_tied
