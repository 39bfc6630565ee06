"""Connections as CSV for spreadsheets. Cells that a spreadsheet would take for a formula are quoted with
an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from inspector.document import Connection
from inspector.findings.judge import Analysis
from inspector.reports.document_names import DocumentNames
from inspector.text.safe import csv_cell

COLUMNS = (
    "id",
    "first_seen",
    "last_seen",
    "service",
    "client",
    "server",
    "backend",
    "outcome",
    "kind",
    "declined",
    "version",
    "cipher",
    "server_name",
    "offered_id",
    "answered_id",
    "ems",
    "leaf",
    "jsse",
    "row",
    "alerts",
    "history",
    "client_bytes",
    "server_bytes",
    "gap_bytes",
    "rtt_ns",
    "first_frame",
    "ja4",
    "stack",
    "probed_as",
)


def write_csv(analysis: Analysis, connections: Iterable[Connection], out: TextIO) -> None:
    """A header and a row a connection."""
    names = DocumentNames(analysis.document)
    clients = {c.id: c for c in analysis.document.clients}
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for c in connections:
        h = c.handshakes[0]
        alerts = " ".join(f"{a.sender}:{a.name or 'encrypted'}" for a in c.alerts)
        row = (
            c.id,
            c.first_seen,
            c.last_seen,
            names.service(c.service),
            f"{c.client_endpoint.ip} {c.client_endpoint.port}",
            f"{c.server_endpoint.ip} {c.server_endpoint.port}",
            names.backend(c.backend),
            c.outcome,
            h.kind or "",
            h.declined,
            h.version or "",
            h.cipher.name if h.cipher else "",
            h.server_name or "",
            h.session.offered_id or "",
            h.session.answered_id or "",
            "" if h.ems.negotiated is None else h.ems.negotiated,
            h.server_chain[0] if h.server_chain else "",
            h.jsse.verdict,
            h.jsse.row or "",
            alerts,
            c.history,
            c.bytes.client,
            c.bytes.server,
            c.gap_bytes,
            "" if c.rtt is None else c.rtt,
            f"{c.frames.first[0]}:{c.frames.first[1]}",
            h.ja4 or "",
            clients[c.client].stack,
            clients[c.client].probed_as or "",
        )
        table.writerow([csv_cell(value) for value in row])
