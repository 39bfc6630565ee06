"""Lines with the names of whom they are about: who reads lines has no tables to look ids up in."""

from __future__ import annotations

from functools import cached_property

import msgspec
from msgspec import Struct

from inspector.document import Finding, Incident
from inspector.findings.case import Case
from inspector.findings.odd_member import host_of
from inspector.tracking.backends import BackendGroup


class LineNames(Struct):
    """What people call those whose ids a line holds, in their order: ``puppetdb.example.com:8081``,
    ``B (puppetdb2.example.com)``, addresses of clients.
    """

    service: str
    backends: list[str]
    clients: list[str]


class FindingLine(Finding, kw_only=True):
    """A finding as a line has it."""

    names: LineNames


class IncidentLine(Incident, kw_only=True):
    """An incident as a line has it."""

    names: LineNames


class NamedLines:
    """What a case is about, by its names."""

    def __init__(self, case: Case) -> None:
        self._case = case

    @cached_property
    def _services(self) -> dict[str, str]:
        return {service.id: f"{service.name}:{service.port}" for service in self._case.services}

    @cached_property
    def _backends(self) -> dict[str, BackendGroup]:
        return {group.id: group for group in self._case.backends}

    @cached_property
    def _clients(self) -> dict[str, str]:
        return {client.id: client.ip for client in self._case.clients}

    def encoded(self, value: Finding | Incident, finding: Finding) -> bytes:
        """The JSON of a value, which its ``finding`` is about."""
        backends, clients = self._backends, self._clients
        names = LineNames(
            self._services.get(finding.service or "", ""),
            [_called(self._case, backends[one]) for one in finding.backends if one in backends],
            [clients[one] for one in finding.clients if one in clients],
        )
        encode = msgspec.json.encode
        return encode(value)[:-1] + b',"names":' + encode(names) + b"}"


def _called(case: Case, backend: BackendGroup) -> str:
    host = host_of(case, backend)
    return f"{backend.label} ({host})" if host else backend.label
