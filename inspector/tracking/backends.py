"""Who answered: connections of one service grouped by what tells servers apart.

The furthest leg's server address, or the service's own addresses where each shows one certificate; else the leaf
certificate. Resumed connections, which show no certificate, belong to whoever issued the session, or to the only back
end there is. The balancer's log names them. A certificate that replaces another for good is a rotation.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec import Struct, field

from inspector.facts import PackedEndpoint
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.indices_by_key import IndicesByKey
from inspector.tracking.observed import Observed
from inspector.tracking.rotations import successors
from inspector.tracking.selection import ObservedSelection, ShapeAnswers
from inspector.tracking.services import ServiceGroup, ip_text, short_id


class Rotation(Struct):
    """``at_ns``: the first handshake with the new certificate."""

    old: bytes
    new: bytes
    at_ns: int
    connection: int


class BackendGroup(Struct):
    """``leaves``: certificates in the order of their appearance, the last one being current. ``connections``:
    indices, uint32, in their order. ``server``: its name in the balancer's log.
    """

    index: int
    id: str
    service: int
    label: str
    basis: list[str]
    leaves: list[bytes]
    addresses: list[str]
    connections: array[int]
    rotations: list[Rotation] = field(default_factory=list)
    server: str = ""

    @property
    def leaf(self) -> bytes | None:
        """The current certificate."""
        return self.leaves[-1] if self.leaves else None


Key = tuple[Literal["endpoint", "leaf", "log"], object]


def find_backends(
    observed: Sequence[Observed],
    services: Sequence[ServiceGroup],
    certificates: Mapping[bytes, ParsedCertificate],
    servers: Mapping[int, str] | None = None,
) -> list[BackendGroup]:
    """Group the connections of each service, and number the back ends in ``observed``. ``servers``: where the
    balancer's log says that a connection went.
    """
    servers = servers or {}
    backends: list[BackendGroup] = []
    texts: dict[bytes, str] = {}
    keys: list[Key | None] = [None] * len(observed)
    for service in services:
        members = _members(observed, service)
        _find_keys(keys, members, observed, certificates)
        _tell_servers_apart(keys, members.connections, servers)
        first = len(backends)
        groups = IndicesByKey[Key]()
        for index in members.connections.indices:
            key = keys[index]
            if key is not None:
                groups[key].append(index)
        for key, group in groups.items():
            name = key[1].hex() if isinstance(key[1], bytes) else str(key[1])
            backend = BackendGroup(
                index=len(backends),
                id=short_id("backend", service.id, key[0], name),
                service=service.index,
                label=_label(len(backends) - first),
                basis=[],
                leaves=[],
                addresses=[],
                connections=group,
            )
            _fill(backend, key, ObservedSelection(observed, group), servers, texts)
            backends.append(backend)
    return backends


class Members(NamedTuple):
    """The connections of one service that tell back ends apart, the certificates and the servers in them, in the order
    in which they first come, and whether any goes on behind a balancer.
    """

    connections: ObservedSelection
    leaves: dict[bytes, None]
    servers: dict[PackedEndpoint, None]
    has_legs: bool


def _members(observed: Sequence[Observed], service: ServiceGroup) -> Members:
    connections = array("I")
    leaves: dict[bytes, None] = {}
    servers: dict[PackedEndpoint, None] = {}
    has_legs = False
    columns = observed[service.connections[0]].columns
    for index in service.connections:
        shape = columns.shapes[columns.shape[index]]
        if shape.leaf is not None:
            leaves[shape.leaf] = None
        elif columns.health_check[index]:
            continue
        connections.append(index)
        servers[shape.server] = None
        if columns.second_leg[index] >= 0:
            has_legs = True
    return Members(ObservedSelection(observed, connections), leaves, servers, has_legs)


BASIS = {"endpoint": ("leg", "address"), "leaf": ("certificate", "session"), "log": ("log", "log")}
"""What each kind of key is drawn from: in the first place, and where a connection does not show that."""


def _fill(
    backend: BackendGroup, key: Key, group: ObservedSelection, servers: Mapping[int, str], texts: dict[bytes, str]
) -> None:
    """Number a back end in its connections, and keep what these show of it. ``texts``: addresses as text."""
    kinds, is_endpoint = BASIS[key[0]], key[0] == "endpoint"
    basis: dict[str, None] = {}
    ends: dict[bytes, None] = {}
    shown: dict[bytes, int] = {}
    columns = group.columns
    for number, index in enumerate(group.indices):
        columns.backend[index] = backend.index
        shape, has_legs = columns.shapes[columns.shape[index]], columns.second_leg[index] >= 0
        basis[kinds[not (has_legs if is_endpoint else shape.leaf)]] = None
        if servers and (name := servers.get(index)):
            basis["log"] = None
            backend.server = backend.server or name
        if shape.leaf is not None and shape.leaf not in shown:
            shown[shape.leaf] = number
        ends[(group[number].legs[-1].server if has_legs else shape.server).address] = None
    backend.basis, backend.leaves = list(basis), list(shown)
    backend.addresses = [texts.get(end) or texts.setdefault(end, ip_text(end)) for end in ends]
    for old, new in pairwise(shown):
        first = group[shown[new]]
        backend.rotations.append(Rotation(old, new, first.client_leg.handshake.answer_ns, first.index))


def _find_keys(
    keys: list[Key | None],
    members: Members,
    observed: Sequence[Observed],
    certificates: Mapping[bytes, ParsedCertificate],
) -> None:
    """What identifies the back end of each connection of a service, where anything does. ``keys``: of all
    connections.
    """
    connections, leaves = members.connections, members.leaves
    columns = connections.columns
    endpoint_of = _distinguishing_endpoint(members)
    shown: dict[bytes, set[PackedEndpoint]] = {}
    of_endpoint: dict[PackedEndpoint, Key] = {}
    if endpoint_of is not None:
        for member in connections:
            endpoint = endpoint_of(member)
            if endpoint is not None:
                of_endpoint.setdefault(endpoint, _endpoint_key(endpoint))
                if member.leaf is not None:
                    shown.setdefault(member.leaf, set()).add(endpoint)
    successor = successors(connections, certificates) if len(leaves) > 1 and endpoint_of is None else {}
    of_leaf: dict[bytes, Key] = {}
    for leaf in leaves:
        only = shown.get(leaf, ())
        of_leaf[leaf] = of_endpoint[next(iter(only))] if len(only) == 1 else ("leaf", successor.get(leaf, leaf))
    lines = {successor.get(leaf, leaf) for leaf in leaves}
    only_leaf = next(iter(lines)) if len(lines) == 1 else None
    key_of = ShapeAnswers(lambda shape: of_leaf[shape.leaf] if shape.leaf is not None else None, columns.shapes)
    resuming = ShapeAnswers(lambda shape: shape.traits.resumes, columns.shapes)
    for index in connections.indices:
        endpoint = endpoint_of(observed[index]) if endpoint_of is not None else None
        shape, offered = columns.shape[index], columns.offered[index]
        if endpoint is not None:
            keys[index] = of_endpoint[endpoint]
        elif (key := key_of[shape]) is not None:
            keys[index] = key
        elif resuming[shape] and offered >= 0:
            issuer = columns.issuer[index]
            if issuer >= 0 and keys[issuer] is not None and columns.service[issuer] == columns.service[index]:
                keys[index] = keys[issuer]
            elif (issued := columns.sessions[offered].leaf) is not None:
                keys[index] = ("leaf", successor.get(issued, issued))
            elif issuer < 0 and only_leaf is not None and not columns.shapes[shape].traits.is_tls13:
                keys[index] = ("leaf", only_leaf)


def _endpoint_key(endpoint: PackedEndpoint) -> Key:
    return "endpoint", f"{ip_text(endpoint.address)}:{endpoint.port}"


def _tell_servers_apart(keys: list[Key | None], members: ObservedSelection, servers: Mapping[int, str]) -> None:
    """The keys of a service's connections refined by the balancer's log: what has no key gets one, one certificate on
    several servers is told apart, several of one server are joined.

    Where server and key say the same, the key stays, and with it the back end's id.
    """
    if not servers or not any(map(servers.__contains__, members.indices)):
        return
    servers_of_key: dict[Key, set[str]] = {}
    keys_of_server: dict[str, set[Key]] = {}
    for observed in members:
        key, server = keys[observed.index], servers.get(observed.index)
        if server and key is not None and (observed.leaf is not None or key[0] == "endpoint"):
            servers_of_key.setdefault(key, set()).add(server)
            keys_of_server.setdefault(server, set()).add(key)

    def key_of_server(server: str) -> Key:
        only = next(iter(keys_of_server[server])) if len(keys_of_server.get(server, ())) == 1 else None
        return only if only is not None and servers_of_key[only] == {server} else ("log", server)

    for observed in members:
        key, server = keys[observed.index], servers.get(observed.index)
        if not server and key is not None and key in servers_of_key:
            server = next(iter(servers_of_key[key])) if len(servers_of_key[key]) == 1 else None
            key = None
        keys[observed.index] = key_of_server(server) if server else key


def _behind(observed: Observed) -> PackedEndpoint | None:
    """The server's endpoint of its furthest leg."""
    further = observed.further
    return observed.columns.leg(further[-1]).server if further else None


def _in_front(observed: Observed) -> PackedEndpoint | None:
    return observed.server


def _distinguishing_endpoint(members: Members) -> Callable[[Observed], PackedEndpoint | None] | None:
    """What says by which server address a connection's back end is told apart; None where addresses do not."""
    if members.has_legs:
        return _behind
    if len(members.servers) < 2:
        return None
    in_turn: dict[PackedEndpoint, list[bytes]] = {}
    """Of each address, the certificates that it shows one after the other."""
    for observed in members.connections:
        if observed.leaf is not None:
            leaves = in_turn.setdefault(observed.server, [])
            if not leaves or leaves[-1] != observed.leaf:
                leaves.append(observed.leaf)
    if any(len(leaves) > len(set(leaves)) or len(set(leaves)) > 2 for leaves in in_turn.values()):
        return None  # one address shows certificates in turn: it is a balancer too
    older = members.connections.where(lambda shape: not shape.traits.is_tls13)
    return _in_front if in_turn or not older else None


def _label(number: int) -> str:
    """A, B, … Z, AA, AB, …."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text
