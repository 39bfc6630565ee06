"""Who answered: connections of one service grouped by what tells servers apart.

The furthest leg's server address, or the service's own addresses where each shows one certificate; else the leaf
certificate. Resumed connections, which show no certificate, belong to whoever issued the session, or to the only back
end there is. The balancer's log names them. A certificate that replaces another for good is a rotation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from inspector.facts import PackedEndpoint
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed
from inspector.tracking.rotations import successors
from inspector.tracking.services import ServiceGroup, ip_text, short_id


class Rotation(Struct):
    """``at_ns``: the first handshake with the new certificate."""

    old: bytes
    new: bytes
    at_ns: int
    connection: int


class BackendGroup(Struct):
    """``leaves``: certificates in the order of their appearance, the last one being current. ``server``: its name in
    the balancer's log.
    """

    index: int
    id: str
    service: int
    label: str
    basis: list[str]
    leaves: list[bytes]
    addresses: list[str]
    connections: list[int]
    rotations: list[Rotation] = field(default_factory=list)
    server: str = ""

    @property
    def leaf(self) -> bytes | None:
        """The current certificate."""
        return self.leaves[-1] if self.leaves else None


Key = tuple[str, object]


def find_backends(
    observed: Sequence[Observed],
    services: Sequence[ServiceGroup],
    certificates: dict[bytes, ParsedCertificate],
    servers: Mapping[int, str] | None = None,
) -> list[BackendGroup]:
    """Group the connections of each service, and number the back ends in ``observed``. ``servers``: where the
    balancer's log says that a connection went.
    """
    servers = servers or {}
    backends: list[BackendGroup] = []
    for service in services:
        members = [observed[i] for i in service.connections if not observed[i].health_check or observed[i].leaf]
        keys = _by_server(_keys(observed, members, certificates), members, servers)
        found: dict[Key, BackendGroup] = {}
        addresses: dict[bytes, str] = {}
        for seen in members:
            key = keys.get(seen.index)
            if key is None:
                continue
            backend = found.get(key)
            if backend is None:
                label = _label(len(found))
                name = key[1].hex() if isinstance(key[1], bytes) else str(key[1])
                backend = found[key] = BackendGroup(
                    index=len(backends),
                    id=short_id("backend", service.id, key[0], name),
                    service=service.index,
                    label=label,
                    basis=[],
                    leaves=[],
                    addresses=[],
                    connections=[],
                )
                backends.append(backend)
            seen.backend = backend.index
            _add(backend, seen, key, addresses, servers.get(seen.index, ""))
    return backends


def _add(backend: BackendGroup, seen: Observed, key: Key, addresses: dict[bytes, str], name: str) -> None:
    server = seen.legs[-1].server if seen.packed_legs else seen.server
    backend.connections.append(seen.index)
    basis = {
        "endpoint": "leg" if seen.packed_legs else "address",
        "leaf": "certificate" if seen.leaf else "session",
        "log": "log",
    }[key[0]]
    for reason in (basis, *(("log",) if name else ())):
        if reason not in backend.basis:
            backend.basis.append(reason)
    backend.server = backend.server or name
    leaf = seen.leaf
    if leaf is not None and leaf not in backend.leaves:
        if backend.leaves:
            backend.rotations.append(
                Rotation(backend.leaves[-1], leaf, seen.client_leg.handshake.answer_ns, seen.index)
            )
        backend.leaves.append(leaf)
    address = addresses.get(server.address) or addresses.setdefault(server.address, ip_text(server.address))
    if address not in backend.addresses:
        backend.addresses.append(address)


def _keys(
    observed: Sequence[Observed], members: list[Observed], certificates: dict[bytes, ParsedCertificate]
) -> dict[int, Key]:
    """What identifies the back end of each connection, where anything does."""
    endpoints = _distinguishing_endpoints(members)
    shown: dict[bytes, set[PackedEndpoint]] = {}
    for seen in members:
        endpoint = endpoints.get(seen.index)
        if endpoint is not None and seen.leaf is not None:
            shown.setdefault(seen.leaf, set()).add(endpoint)
    successor = {} if endpoints else successors(members, certificates)
    lines = {successor.get(seen.leaf, seen.leaf) for seen in members if seen.leaf is not None}
    only_leaf = next(iter(lines)) if len(lines) == 1 else None
    keys: dict[int, Key] = {}
    for seen in members:
        endpoint = endpoints.get(seen.index)
        leaf = seen.leaf
        if endpoint is not None:
            keys[seen.index] = ("endpoint", f"{ip_text(endpoint.address)}:{endpoint.port}")
        elif leaf is not None:
            where = shown.get(leaf, set())
            only = next(iter(where)) if len(where) == 1 else None
            keys[seen.index] = (
                ("endpoint", f"{ip_text(only.address)}:{only.port}") if only else ("leaf", successor.get(leaf, leaf))
            )
        elif (seen.is_resumed or seen.kind == "psk") and seen.entry.session is not None:
            session = seen.entry.session
            issuer = session.issuer
            if issuer is not None and issuer in keys:
                keys[seen.index] = keys[issuer]
            elif session.leaf is not None:
                keys[seen.index] = ("leaf", successor.get(session.leaf, session.leaf))
            elif issuer is None and only_leaf is not None and not seen.is_tls13:
                keys[seen.index] = ("leaf", only_leaf)
    return keys


def _by_server(keys: dict[int, Key], members: list[Observed], servers: Mapping[int, str]) -> dict[int, Key]:
    """Keys refined by the balancer's log: what has no key gets one, one certificate on several servers is told apart,
    several of one server are joined.

    Where server and key say the same, the key stays, and with it the back end's id.
    """
    if not any(seen.index in servers for seen in members):
        return keys
    told: dict[Key, set[str]] = {}
    shown: dict[str, set[Key]] = {}
    for seen in members:
        key, server = keys.get(seen.index), servers.get(seen.index)
        if server and key is not None and (seen.leaf is not None or key[0] == "endpoint"):
            told.setdefault(key, set()).add(server)
            shown.setdefault(server, set()).add(key)

    def known(server: str) -> Key:
        only = next(iter(shown[server])) if len(shown.get(server, ())) == 1 else None
        return only if only is not None and told[only] == {server} else ("log", server)

    found: dict[int, Key] = {}
    for seen in members:
        key, server = keys.get(seen.index), servers.get(seen.index)
        if not server and key in told:
            server = next(iter(told[key])) if len(told[key]) == 1 else None
            key = None
        if server:
            found[seen.index] = known(server)
        elif key is not None:
            found[seen.index] = key
    return found


def _distinguishing_endpoints(members: list[Observed]) -> dict[int, PackedEndpoint]:
    """The server address of each connection where addresses tell back ends apart."""
    found = {s.index: s.legs[-1].server for s in members if s.packed_legs}
    if found:
        return found
    direct: dict[int, PackedEndpoint] = {}
    distinct: dict[PackedEndpoint, PackedEndpoint] = {}
    for seen in members:
        server = seen.server
        direct[seen.index] = distinct.setdefault(server, server)
    if len(distinct) < 2:
        return {}
    shown: dict[PackedEndpoint, list[bytes]] = {}
    for seen in members:
        if seen.leaf is not None:
            leaves = shown.setdefault(direct[seen.index], [])
            if not leaves or leaves[-1] != seen.leaf:
                leaves.append(seen.leaf)
    if any(len(leaves) > len(set(leaves)) or len(set(leaves)) > 2 for leaves in shown.values()):
        return {}  # one address shows certificates in turn: it is a balancer too
    every = [leaf for leaves in shown.values() for leaf in set(leaves)]
    return direct if every or all(s.is_tls13 for s in members) else {}


def _label(number: int) -> str:
    """A, B, … Z, AA, AB, …."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text
