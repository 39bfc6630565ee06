"""What is drawn of back ends over time: when they changed, in words (another value of an attribute, another
certificate), and which connections were lost after their handshake.
"""

from __future__ import annotations

from inspector.document import Document, Service
from inspector.document.rules import Rule
from inspector.findings.case import Case
from inspector.reports.attributes import name
from inspector.reports.overview import nanoseconds
from inspector.text.safe import safe_text

MOST_LETTERS = 80


def moments(case: Case, service: Service) -> dict[str, list[tuple[int, str]]]:
    """Of each back end of a service, by id: since when (ns) it shows what, the first change first."""
    changed: dict[str, list[tuple[int, str]]] = {
        backend.id: [(rotation.at_ns, "certificate replaced") for rotation in backend.rotations]
        for backend in case.backends
        if backend.id in set(service.backends)
    }
    for row in service.attributes:
        for change in row.changes:
            text = safe_text(f"{name(row)}: {change.value}", MOST_LETTERS)
            changed[change.backend].append((nanoseconds(change.at), text))
    return {backend: sorted(listed) for backend, listed in changed.items()}


def lost(case: Case, document: Document, service: Service) -> frozenset[int]:
    """Connections of a service, by index, that were used after they had been closed: their handshakes went well."""
    listed = [f for f in document.findings if f.rule == Rule.STALE_CONNECTION_USED and f.service == service.id]
    ids = {connection for finding in listed for connection in finding.connections}
    return frozenset(map(case.columns.by_id().__getitem__, ids)) if ids else frozenset()
