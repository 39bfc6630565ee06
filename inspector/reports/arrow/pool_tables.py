"""Tables of services, members of pools, clients, certificates and sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector import document as doc
from inspector.reports.arrow.columns import ArrowColumn as Column, RowTable
from inspector.reports.document_names import DocumentNames

EMS = {True: "yes", False: "no", "mixed": "mixed", None: None}
"""Extended master secret, as a member negotiates it."""


class OfferedSession(NamedTuple):
    """A session offered once."""

    session: doc.Session
    use: doc.Use


def uses(document: doc.Document) -> Iterator[OfferedSession]:
    """All of them, those of a session one after the other."""
    for session in document.sessions:
        for use in session.uses:
            yield OfferedSession(session, use)


def service_table(document: doc.Document) -> RowTable[doc.Service]:
    """A row each, with how it stands."""
    columns: list[Column[doc.Service]] = [
        Column("id", "string", lambda s: s.id),
        Column("name", "string", lambda s: s.name),
        Column("port", "port", lambda s: s.port),
        Column("named", "string", lambda s: s.named),
        Column("addresses", "strings", lambda s: s.addresses),
        Column("state", "category", lambda s: s.assessment.state),
        Column("grade", "category", lambda s: s.assessment.grade),
        Column("sentence", "string", lambda s: s.assessment.sentence),
        Column("do", "string", lambda s: s.assessment.do or None),
        Column("connections", "integer", lambda s: s.connections),
        Column("full", "integer", lambda s: s.full),
        Column("resumed", "integer", lambda s: s.resumed),
        Column("aborted", "integer", lambda s: s.aborted),
        Column("other", "integer", lambda s: s.other),
        Column("health_checks", "integer", lambda s: s.health_checks),
        Column("backends", "integer", lambda s: len(s.backends)),
        Column("clients", "integer", lambda s: len(s.clients)),
    ]
    return RowTable(columns, lambda: document.services)


def backend_table(document: doc.Document) -> RowTable[doc.Backend]:
    """A row each."""
    names = DocumentNames(document)
    columns: list[Column[doc.Backend]] = [
        Column("id", "string", lambda b: b.id),
        Column("service", "category", lambda b: names.service(b.service)),
        Column("label", "category", lambda b: b.label),
        Column("name", "string", lambda b: names.backend_name(b.id)),
        Column("certificate", "string", lambda b: b.leaf),
        Column("addresses", "strings", lambda b: b.addresses),
        Column("versions", "strings", lambda b: b.versions),
        Column("ems", "category", lambda b: EMS[b.ems]),
        Column("connections", "integer", lambda b: b.connections),
        Column("full", "integer", lambda b: b.full),
        Column("resumed", "integer", lambda b: b.resumed),
        Column("declined", "integer", lambda b: b.declined),
        Column("aborted", "integer", lambda b: b.aborted),
        Column("other", "integer", lambda b: b.other),
    ]
    return RowTable(columns, lambda: document.backends)


def client_table(document: doc.Document) -> RowTable[doc.Client]:
    """A row each."""
    columns: list[Column[doc.Client]] = [
        Column("id", "string", lambda c: c.id),
        Column("ip", "string", lambda c: c.ip),
        Column("named", "string", lambda c: c.named),
        Column("stack", "category", lambda c: c.stack),
        Column("grade", "category", lambda c: c.grade),
        Column("basis", "strings", lambda c: c.basis),
        Column("connections", "integer", lambda c: c.connections),
        Column("aborted", "integer", lambda c: c.aborted),
    ]
    return RowTable(columns, lambda: document.clients)


def certificate_table(document: doc.Document) -> RowTable[doc.Certificate]:
    """A row each."""
    columns: list[Column[doc.Certificate]] = [
        Column("sha256", "string", lambda c: c.sha256),
        Column("subject", "string", lambda c: c.subject),
        Column("issuer", "category", lambda c: c.issuer),
        Column("serial", "string", lambda c: c.serial),
        Column("not_before", "second", lambda c: c.not_before),
        Column("not_after", "second", lambda c: c.not_after),
        Column("dns_names", "strings", lambda c: c.dns_names),
        Column("ip_addresses", "strings", lambda c: c.ip_addresses),
        Column("key", "category", lambda c: c.key),
        Column("signature", "category", lambda c: c.signature),
        Column("self_issued", "bool", lambda c: c.self_issued),
        Column("problem", "string", lambda c: c.problem),
    ]
    return RowTable(columns, lambda: document.certificates)


def session_table(document: doc.Document) -> RowTable[doc.Session]:
    """A row each."""
    names = DocumentNames(document)
    columns: list[Column[doc.Session]] = [
        Column("id", "string", lambda s: s.id),
        Column("method", "category", lambda s: s.method),
        Column("issued_by", "string", lambda s: s.issued_by),
        Column("issued_at", "moment", lambda s: s.issued_at),
        Column("certificate", "category", lambda s: s.leaf),
        Column("ems", "bool", lambda s: s.ems),
        Column("usable", "bool", lambda s: s.usable),
        Column("ticket_key", "category", lambda s: s.ticket_key),
        Column("resumed", "integer", lambda s: sum(use.result == "resumed" for use in s.uses)),
        Column("declined", "integer", lambda s: sum(use.result == "declined" for use in s.uses)),
        Column("offered_to", "strings", lambda s: [names.backend(use.backend) for use in s.uses]),
    ]
    return RowTable(columns, lambda: document.sessions)


def session_use_table(document: doc.Document) -> RowTable[OfferedSession]:
    """A row for each time that one was offered."""
    names = DocumentNames(document)
    columns: list[Column[OfferedSession]] = [
        Column("session", "string", lambda u: u.session.id),
        Column("method", "category", lambda u: u.session.method),
        Column("issued_by", "string", lambda u: u.session.issued_by),
        Column("connection", "string", lambda u: u.use.connection),
        Column("at", "moment", lambda u: u.use.at),
        Column("backend", "category", lambda u: names.backend(u.use.backend)),
        Column("result", "category", lambda u: u.use.result),
    ]
    return RowTable(columns, lambda: uses(document))
