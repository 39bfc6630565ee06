"""Services as the client names them (server name and port, else address and port), and the clients that use them."""

from __future__ import annotations

import ipaddress
import itertools
from array import array
from collections.abc import Sequence
from hashlib import blake2s

from msgspec import Struct, field

from inspector import facts
from inspector.facts import ConnectionFacts, OtherFlow, PackedEndpoint
from inspector.tls.extensions import HelloShape
from inspector.tls.types import FATAL, ProtocolVersion
from inspector.tracking.clients import Stack
from inspector.tracking.indices_by_key import IndicesByKey
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, ShapeAnswers
from inspector.tracking.shape import ConnectionShape

IPV4_BYTES = 4
CHECKS_AT_LEAST = 4
UNSTEADY = 0.5
"""The interval's median absolute deviation, as a share of its median, above which a client is no health check."""


class ServiceGroup(Struct):
    """``connections``: indices, uint32, in their order. ``others``: flows to its addresses that were no TLS;
    ``unseen``: those of them of which bytes were not captured; ``silent``: by the client's address, those in which
    nobody said a byte.
    """

    index: int
    id: str
    name: str
    port: int
    named: bool
    addresses: list[str]
    connections: array[int]
    others: int = 0
    unseen: int = 0
    silent: dict[bytes, int] = field(default_factory=dict)


class ClientGroup(Struct):
    """One address with one stack. ``connections``: indices, uint32, in their order."""

    index: int
    id: str
    ip: str
    stack: Stack
    connections: array[int]


def ip_text(address: bytes) -> str:
    """An address as people write it; IPv4 inside IPv6 stays IPv6."""
    if len(address) == IPV4_BYTES:
        return ".".join(map(str, address))
    return str(ipaddress.ip_address(address))


def short_id(*parts: object) -> str:
    """Ten hex digits made from the parts."""
    return blake2s("\0".join(map(str, parts)).encode(), digest_size=5).hexdigest()


def server_name(offer: HelloShape | None) -> str | None:
    """The SNI host name of a hello, lower case; bytes that are no ASCII are escaped."""
    if offer is None or offer.server_name is None:
        return None
    return offer.server_name.decode("ascii", "backslashreplace").lower()


def find_services(observed: Sequence[Observed], others: dict[OtherFlow, int]) -> list[ServiceGroup]:
    """Group connections by service, and number them in ``observed``. Whoever gives no name (SNI) belongs to the service
    of the only name that its address answers to.
    """
    services: dict[tuple[str, int], ServiceGroup] = {}
    answering: dict[tuple[str, int], ServiceGroup] = {}
    """By address and port, the first service that answered there."""
    known: set[tuple[int, str]] = set()
    several: dict[int, ServiceGroup] = {}
    texts: dict[bytes, str] = {}
    alike = _alike(observed)
    names = _names(observed, alike)
    for (server, _), members in alike.items():
        address = texts.get(server.address) or texts.setdefault(server.address, ip_text(server.address))
        name = server_name(observed[members[0]].offer) or names.get(server)
        key = (name or address, server.port)
        service = services.get(key)
        if service is None:
            service = services[key] = ServiceGroup(
                index=len(services),
                id=short_id("service", *key),
                name=key[0],
                port=key[1],
                named=name is not None,
                addresses=[],
                connections=array("I"),
            )
        of_connection = observed[members[0]].columns.service
        for index in members:
            of_connection[index] = service.index
        if service.connections:
            several[service.index] = service
        service.connections += members
        if (service.index, address) not in known:
            known.add((service.index, address))
            service.addresses.append(address)
            answering.setdefault((address, server.port), service)
    for service in several.values():
        service.connections = array("I", sorted(service.connections))
    for flow, count in others.items():
        answerer = answering.get((texts.get(flow.server.address, ""), flow.server.port))
        if answerer is not None:
            answerer.others += count
            answerer.unseen += count if flow.is_unseen else 0
            if flow.is_silent and count:
                answerer.silent[flow.client] = answerer.silent.get(flow.client, 0) + count
    return list(services.values())


NamedServer = tuple[PackedEndpoint, bytes | None]
"""A server, and the name that it was asked for."""


def _alike(observed: Sequence[Observed]) -> dict[NamedServer, array[int]]:
    """Connections of one server and one name, by their indices, in the order in which each pair first comes."""
    alike = IndicesByKey[NamedServer]()
    if not observed:
        return alike
    columns = observed[0].columns
    members_of = ShapeAnswers(lambda shape: alike[_named_server(shape)], columns.shapes)
    shapes = columns.shape
    for index in range(len(columns)):
        members_of[shapes[index]].append(index)
    return alike


def _named_server(shape: ConnectionShape) -> NamedServer:
    return shape.server, shape.offer.server_name if shape.offer is not None else None


def _names(observed: Sequence[Observed], alike: dict[NamedServer, array[int]]) -> dict[PackedEndpoint, str | None]:
    """The name that clients give where they all give one; None where they give several."""
    names: dict[PackedEndpoint, str | None] = {}
    for (server, _), members in alike.items():
        name = server_name(observed[members[0]].offer)
        if name is not None and names.setdefault(server, name) != name:
            names[server] = None
    return names


def find_clients(observed: Sequence[Observed]) -> list[ClientGroup]:
    """Group connections by address and stack, of a probe by whom it stands for, and number them in ``observed``."""
    clients: dict[tuple[int, str, str], ClientGroup] = {}
    if not observed:
        return []
    columns = observed[0].columns
    stacks = ShapeAnswers(lambda shape: shape.traits.stack, columns.shapes)
    addresses, shapes, numbers = columns.address, columns.shape, columns.client
    for index in range(len(columns)):
        stack = stacks[shapes[index]]
        key = addresses[index], stack.name, stack.stands_for
        client = clients.get(key)
        if client is None:
            ip = ip_text(columns.addresses[key[0]])
            name = short_id("client", ip, *filter(None, key[1:]))
            client = clients[key] = ClientGroup(len(clients), name, ip, stack, array("I"))
        numbers[index] = client.index
        client.connections.append(index)
    return list(clients.values())


def mark_health_checks(observed: Sequence[Observed], services: Sequence[ServiceGroup]) -> None:
    """One source that knocks at a steady pace, never finishes or never says anything, is a health check; a probe is
    none.
    """
    for service in services:
        if len(service.connections) < CHECKS_AT_LEAST:
            continue
        by_client = IndicesByKey[int]()
        clients = observed[service.connections[0]].columns.client
        for index in service.connections:
            by_client[clients[index]].append(index)
        for indices in by_client.values():
            if len(indices) < CHECKS_AT_LEAST:
                continue
            members = ObservedSelection(observed, indices)
            if not members[0].stack.is_probe and all(map(_says_nothing, members)) and _is_steady(members):
                for member in members:
                    member.columns.health_check[member.index] = True


def _says_nothing(observed: Observed) -> bool:
    """No data, no alert of the client's that names a fault, and closed by the client. A Java client that gives up is no
    check: it failed.
    """
    client_leg = observed.client_leg
    if observed.stack.name == "jsse" and (observed.gave_up or observed.lost or observed.one_sided):
        return False  # what was not captured of it may be what it gave up on
    if client_leg.from_client.application_records or observed.closed_by != "client":
        return (
            observed.outcome == "aborted"
            and not client_leg.handshake.messages & (facts.C_KEY_EXCHANGE | facts.S_CERTIFICATE)
            and _is_sslv3(client_leg)
        )
    return not any(a.from_client and a.level == FATAL for a in client_leg.alerts)


def _is_sslv3(client_leg: ConnectionFacts) -> bool:
    offer = client_leg.handshake.offer
    return offer is not None and offer.legacy_version == ProtocolVersion.SSL_3_0


def _is_steady(members: Sequence[Observed]) -> bool:
    from statistics import median  # few services are checked by anybody

    times = sorted(s.first_ns for s in members)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    middle = median(gaps)
    return middle > 0 and median(abs(g - middle) for g in gaps) <= UNSTEADY * middle
