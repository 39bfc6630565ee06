"""Tables of findings and incidents."""

from __future__ import annotations

from inspector import document as doc
from inspector.reports.arrow.columns import ArrowColumn as Column, RowTable
from inspector.reports.document_names import DocumentNames


def finding_table(document: doc.Document) -> RowTable[doc.Finding]:
    """A row each."""
    names = DocumentNames(document)
    columns: list[Column[doc.Finding]] = [
        Column("id", "string", lambda f: f.id),
        Column("rule", "category", lambda f: f.rule),
        Column("severity", "category", lambda f: f.severity),
        Column("verdict", "category", lambda f: f.verdict),
        Column("grade", "category", lambda f: f.grade),
        Column("title", "string", lambda f: f.title),
        Column("explanation", "string", lambda f: f.explanation or None),
        Column("service", "category", lambda f: names.service(f.service)),
        Column("backends", "strings", lambda f: [names.backend(backend) for backend in f.backends]),
        Column("connections", "strings", lambda f: f.connections),
        Column("count", "integer", lambda f: f.count),
        Column("first", "moment", lambda f: f.first),
        Column("last", "moment", lambda f: f.last),
        Column("matter", "category", lambda f: f.matter or None),
        Column("remedies", "strings", lambda f: [remedy.text for remedy in f.remedies]),
        Column("references", "strings", lambda f: f.references),
    ]
    return RowTable(columns, lambda: document.findings)


def incident_table(document: doc.Document) -> RowTable[doc.Incident]:
    """A row each."""
    names = DocumentNames(document)
    columns: list[Column[doc.Incident]] = [
        Column("id", "string", lambda i: i.id),
        Column("at", "moment", lambda i: i.at),
        Column("service", "category", lambda i: names.service(i.service)),
        Column("summary", "string", lambda i: i.summary),
        Column("connections", "strings", lambda i: i.connections),
        Column("findings", "strings", lambda i: i.findings),
    ]
    return RowTable(columns, lambda: document.incidents)
