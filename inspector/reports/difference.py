"""Two handshakes, or two messages, field by field: what differs first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from inspector.document import AcceptedAuthorities, Document, Handshake

NAMED = 4
"""Authorities that are named of a list; the rest is counted."""


class Difference(NamedTuple):
    """One field; None where one of the two has no such field."""

    path: str
    first: str | None
    second: str | None

    @property
    def is_same(self) -> bool:
        """Whether both say the same."""
        return self.first == self.second


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[Difference]:
    """All fields of both in their order, changed ones first."""
    paths = dict.fromkeys([*first, *second])
    listed = [Difference(path, first.get(path), second.get(path)) for path in paths]
    return [d for d in listed if not d.is_same] + [d for d in listed if d.is_same]


def handshake_fields(document: Document, handshake: Handshake) -> dict[str, str]:
    """What a handshake says, as one flat table; certificates and authorities with their names."""
    names = {c.sha256: c.subject for c in document.certificates}
    names |= {a.sha256: _listed(a) for a in document.authorities}
    fields: dict[str, str] = {}
    _flatten(msgspec.to_builtins(handshake), "", fields)
    if handshake.authorities is None:
        fields["authorities"] = "no CertificateRequest seen"
    for path, value in fields.items():
        if path.startswith(("server_chain", "client_chain", "jsse.cached_leaf", "authorities")) and value in names:
            fields[path] = f"{names[value]}  {value[:16]}"
    return fields


def _listed(accepted: AcceptedAuthorities) -> str:
    names = accepted.names[:NAMED]
    rest = len(accepted.names) - len(names) + accepted.unreadable + accepted.more
    return " and ".join([*names, *([f"{rest} more"] if rest else [])]) or "any CA"


def _flatten(value: object, path: str, fields: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(inner, f"{path}.{key}" if path else str(key), fields)
    elif isinstance(value, list | tuple) and path.split(".")[-1] not in (
        "client_hello",
        "server_hello",
        "certificate",
        "client_key_exchange",
        "finished",
    ):
        if not value:
            fields[path] = "none"
        for number, inner in enumerate(value):
            _flatten(inner, f"{path}[{number}]", fields)
    elif isinstance(value, list | tuple):
        fields[path] = ":".join(map(str, value))
    else:
        fields[path] = (
            "unknown" if value is None else "yes" if value is True else "no" if value is False else str(value)
        )
