"""Tables of connections and of their handshakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from inspector import document as doc
from inspector.reports.arrow.columns import ArrowColumn as Column, RowTable
from inspector.reports.document_names import DocumentNames


class NumberedHandshake(NamedTuple):
    """``number``: 0 the connection's own, then renegotiations."""

    connection: doc.Connection
    number: int
    handshake: doc.Handshake


def handshakes(document: doc.Document) -> Iterator[NumberedHandshake]:
    """All of them, those of a connection one after the other."""
    for connection in document.connections:
        for number, handshake in enumerate(connection.handshakes):
            yield NumberedHandshake(connection, number, handshake)


def connection_table(document: doc.Document) -> RowTable[doc.Connection]:
    """A row each, with its first handshake."""
    names = DocumentNames(document)
    columns: list[Column[doc.Connection]] = [
        Column("id", "string", lambda c: c.id),
        Column("first_seen", "moment", lambda c: c.first_seen),
        Column("last_seen", "moment", lambda c: c.last_seen),
        Column("service", "category", lambda c: names.service(c.service)),
        Column("backend", "category", lambda c: names.backend(c.backend)),
        Column("backend_name", "category", lambda c: names.backend_name(c.backend)),
        Column("client_ip", "category", lambda c: c.client_endpoint.ip),
        Column("client_port", "port", lambda c: c.client_endpoint.port),
        Column("client_stack", "category", lambda c: names.stack(c.client)),
        Column("server_ip", "category", lambda c: c.server_endpoint.ip),
        Column("server_port", "port", lambda c: c.server_endpoint.port),
        Column("outcome", "category", lambda c: c.outcome),
        Column("closed_by", "category", lambda c: c.end.by),
        Column("closed_how", "category", lambda c: c.end.how),
        Column("health_check", "bool", lambda c: c.health_check),
        Column("alerts", "strings", lambda c: [alert.name for alert in c.alerts if alert.name is not None]),
        Column("rtt", "duration", lambda c: c.rtt),
        Column("client_bytes", "integer", lambda c: c.bytes.client),
        Column("server_bytes", "integer", lambda c: c.bytes.server),
        Column("gap_bytes", "integer", lambda c: c.gap_bytes),
        Column("legs", "integer", lambda c: 1 + len(c.legs)),
        Column("renegotiations", "integer", lambda c: len(c.handshakes) - 1),
        *(Column(column.name, column.kind, _of_first(column)) for column in _handshake_columns()),
        Column("history", "category", lambda c: c.history),
        Column("preamble", "category", lambda c: c.preamble),
        Column("anomalies", "strings", lambda c: [anomaly.kind for anomaly in c.anomalies]),
        Column("log_lines", "integer", lambda c: len(c.logs)),
        Column("capture", "integer", lambda c: c.frames.first[0]),
        Column("first_frame", "integer", lambda c: c.frames.first[1]),
        Column("last_frame", "integer", lambda c: c.frames.last[1]),
        Column("secrets", "category", lambda c: c.secrets),
    ]
    return RowTable(columns, lambda: document.connections)


def handshake_table(document: doc.Document) -> RowTable[NumberedHandshake]:
    """A row each, those inside of connections too."""
    names = DocumentNames(document)
    columns: list[Column[NumberedHandshake]] = [
        Column("connection", "string", lambda n: n.connection.id),
        Column("number", "integer", lambda n: n.number),
        Column("service", "category", lambda n: names.service(n.connection.service)),
        Column("backend", "category", lambda n: names.backend(n.connection.backend)),
        Column("visibility", "category", lambda n: n.handshake.visibility),
        *(Column(column.name, column.kind, _of_numbered(column)) for column in _handshake_columns()),
        Column("server_chain", "strings", lambda n: n.handshake.server_chain),
        Column("client_chain", "strings", lambda n: n.handshake.client_chain),
        Column("inside_state", "category", lambda n: n.handshake.inside and n.handshake.inside.state),
        Column("inside_began_by", "category", lambda n: n.handshake.inside and n.handshake.inside.began_by),
        Column("inside_certificate", "category", lambda n: n.handshake.inside and n.handshake.inside.certificate),
    ]
    return RowTable(columns, lambda: handshakes(document))


def _of_first(column: Column[doc.Handshake]) -> Callable[[doc.Connection], object]:
    read = column.read
    return lambda connection: read(connection.handshakes[0])


def _of_numbered(column: Column[doc.Handshake]) -> Callable[[NumberedHandshake], object]:
    read = column.read
    return lambda numbered: read(numbered.handshake)


def _handshake_columns() -> list[Column[doc.Handshake]]:
    return [
        Column("version", "category", lambda h: h.version),
        Column("cipher", "category", lambda h: h.cipher and h.cipher.name),
        Column("server_name", "category", lambda h: h.server_name),
        Column("alpn", "category", lambda h: h.alpn),
        Column("kind", "category", lambda h: h.kind),
        Column("reason", "category", lambda h: h.reason or None),
        Column("declined", "bool", lambda h: h.declined),
        Column("offered_session", "string", lambda h: h.session.offered_id or h.session.offered_ticket),
        Column("answered_session", "string", lambda h: h.session.answered_id),
        Column("issued_ticket", "string", lambda h: h.session.issued_ticket),
        Column("ems", "bool", lambda h: h.ems.negotiated),
        Column("ems_offered", "bool", lambda h: h.ems.offered),
        Column("server_certificate", "category", lambda h: h.server_chain[0] if h.server_chain else None),
        Column("client_certificate", "category", lambda h: h.client_chain[0] if h.client_chain else None),
        Column("java_verdict", "category", lambda h: h.jsse.verdict),
        Column("java_reason", "category", lambda h: h.jsse.reason or None),
        Column("java_identity", "category", lambda h: h.jsse.identity),
        Column("ja3", "category", lambda h: h.ja3),
        Column("ja3s", "category", lambda h: h.ja3s),
        Column("ja4", "category", lambda h: h.ja4),
    ]
