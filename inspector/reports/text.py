"""The analysis as text to paste into a ticket: assessment first, then pool, matrix, incidents with their stories, other findings, limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from inspector.document import Connection, Document, Finding, Service
from inspector.findings.judge import Analysis
from inspector.reports.story import Ladder, ladder
from inspector.safe import safe_text
from inspector.times import clock, span

STORIES = 3
MARKS = {"confirmed": "✖", "exposed": "▲", "protected": "●", "not_this": "○", "unknown": "◌"}
WORDS = {"observed": "observed", "inferred": "inferred", "not_visible": "not visible"}
YES = {True: "yes", False: "no", None: "–", "mixed": "mixed"}
WIDTH = 100


def write_text(analysis: Analysis, shown: Iterable[Connection] | None, out: TextIO) -> None:
    """The report. ``shown``: connections that a filter asked for, listed instead of the services."""
    document = analysis.document
    write = out.write
    if shown is not None:
        for connection in shown:
            write(line_of(document, connection) + "\n")
        return
    write(heading(document) + "\n")
    order = {"confirmed": 0, "unknown": 1, "exposed": 2, "not_this": 3, "protected": 4}
    for service in sorted(document.services, key=lambda s: (order[s.assessment.state], -s.connections)):
        write("\n")
        for line in service_lines(document, service):
            write(line.rstrip() + "\n")
    stories(analysis, out)
    others(document, out)
    if not document.services:
        write("\nNo TLS was found in " + (f"{sum(c.packets for c in document.captures):,} frames.\n" if document.captures else "the input.\n"))
    if document.limits:
        write("\nLIMITS\n")
        for limit in document.limits:
            for line in wrap(safe_text(limit.text), "  - ", "    "):
                write(line + "\n")
    write("\nall times UTC\n")


def heading(document: Document) -> str:
    """What was read."""
    packets = sum(c.packets for c in document.captures)
    names = ", ".join(safe_text(c.path) for c in document.captures[:3]) + (f" and {len(document.captures) - 3} more" if len(document.captures) > 3 else "")
    return f"{names}   {packets:,} frames"


def length(document: Document, service: Service) -> str:
    """How long the captures last."""
    firsts = [c.first for c in document.captures if c.first]
    lasts = [c.last for c in document.captures if c.last]
    if not firsts or not lasts:
        return ""
    return span(nanoseconds(max(lasts)) - nanoseconds(min(firsts)))


def nanoseconds(stamp: str) -> int:
    """The reverse of ``rfc3339``."""
    from datetime import datetime

    whole, _, rest = stamp.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000_000 + int((rest or "0").ljust(9, "0"))


def service_lines(document: Document, service: Service) -> list[str]:
    """Everything about one service."""
    backends = [b for b in document.backends if b.service == service.id]
    count = f"{len(backends)} back end{'' if len(backends) == 1 else 's'}"
    plural = "" if service.connections == 1 else "s"
    head = f"{safe_text(service.name)}:{service.port}   {', '.join(service.addresses[:3])}   {service.connections} connection{plural} · {length(document, service)} · {count}"
    assessment = service.assessment
    lines = [head, "─" * min(WIDTH, max(len(head), 60))]
    lines += wrap(f"{MARKS[assessment.state]} {safe_text(assessment.sentence)}  [{assessment.state.replace('_', ' ')}, {WORDS[assessment.grade]}]", "", "  ")
    for because in assessment.because:
        lines += wrap(safe_text(because), "    because ", "            ")
    if assessment.state == "protected":
        for breaks in assessment.breaks_if:
            lines += wrap(safe_text(breaks), "    returns if ", "               ")
    clients = [c for c in document.clients if c.id in service.clients]
    names = ", ".join(f"{c.ip} ({'Java' if c.stack == 'jsse' else c.stack})" for c in clients[:6]) + (f" and {len(clients) - 6} more" if len(clients) > 6 else "")
    lines.append(f"  client {names}")
    if service.health_checks:
        lines.append(f"  {service.health_checks} health checks are left out of all rates")
    if assessment.do and assessment.do != "nothing":
        lines += wrap(f"Do: {safe_text(assessment.do)}", "  ", "      ")
    lines += [""] + pool_lines(document, service)
    if service.matrix:
        lines += [""] + matrix_lines(document, service)
    return lines


def pool_lines(document: Document, service: Service) -> list[str]:
    """The pool, one back end a line, and the totals."""
    certificates = {c.sha256: c for c in document.certificates}
    rows = [("POOL", "certificate", "DNS names", "EMS", "TLS", "full", "resumed", "aborted", "other", "declined")]
    for b in document.backends:
        if b.service != service.id:
            continue
        leaf = certificates.get(b.leaf or "")
        common = next((p.strip()[3:] for p in leaf.subject.split(",") if p.strip().startswith("CN=")), leaf.subject) if leaf else (b.leaf or "not visible")[:12]
        names = ", ".join(leaf.dns_names + leaf.ip_addresses) if leaf else ""
        versions = "/".join(v.removeprefix("TLSv") for v in b.versions)
        rows.append((b.label, safe_text(common, 30), safe_text(names, 34), YES[b.ems], versions, str(b.full), str(b.resumed), str(b.aborted), str(b.other), str(b.declined)))
    total = ("all", "", "", "", "", str(service.full), str(service.resumed), str(service.aborted), str(service.other), "")
    return table([*rows, total], right=range(5, 10))


def matrix_lines(document: Document, service: Service) -> list[str]:
    """Who issued the session, to whom it was offered, what became of it."""
    labels = {b.id: b.label for b in document.backends}
    columns = list(dict.fromkeys(b.id for b in document.backends if b.service == service.id))
    issuers: list[str | None] = [i for i in [*columns, None] if any(c.issued_by == i for c in service.matrix)]
    cells = {(c.issued_by, c.offered_to): c for c in service.matrix}
    rows = [("ISSUED BY", *(f"offered to {labels[c]}" for c in columns))]
    for issuer in issuers:
        row = [labels[issuer] if issuer else "before the capture"]
        for column in columns:
            cell = cells.get((issuer, column))
            parts = []
            if cell and cell.resumed:
                parts.append(f"● {cell.resumed}")
            if cell and cell.declined:
                parts.append(f"◇ {cell.declined}" + (f" of them ✖ {cell.aborted}" if cell.aborted else ""))
            row.append(" ".join(parts))
        rows.append(tuple(row))
    return [*table(rows), f"  {service.offered_nothing} connections offered nothing.   ● resumed  ◇ declined  ✖ aborted"]


def table(rows: Iterable[tuple[str, ...]], right: Iterable[int] = ()) -> list[str]:
    """Columns as wide as their widest cell, two spaces between them."""
    listed = [tuple(row) for row in rows]
    widths = [max(len(row[i]) for row in listed) for i in range(len(listed[0]))]
    aligned = set(right)
    return ["  " + "  ".join(cell.rjust(w) if i in aligned else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in listed]


def stories(analysis: Analysis, out: TextIO) -> None:
    """The incidents: the first ones as ladders, all in a list."""
    document = analysis.document
    if not document.incidents:
        return
    out.write(f"\nINCIDENTS  {len(document.incidents)}\n")
    for incident in document.incidents[:50]:
        out.write(f"  {safe_text(incident.summary)}\n")
    if len(document.incidents) > 50:
        out.write(f"  and {len(document.incidents) - 50} more; -T json has all\n")
    by_id = {f.id: f for f in document.findings}
    for incident in document.incidents[:STORIES]:
        finding = by_id[incident.findings[0]]
        out.write(f"\nSTORY  {safe_text(incident.summary)}\n")
        for line in ladder_lines(ladder(analysis, incident)):
            out.write(line.rstrip() + "\n")
        for line in wrap(safe_text(finding.explanation, 2000), "  ", "  "):
            out.write(line + "\n")
    first = by_id[document.incidents[0].findings[0]]
    out.write("\nWHAT TO DO\n")
    for number, remedy in enumerate(first.remedies, 1):
        for line in wrap(safe_text(f"{remedy.audience}: {remedy.text}", 2000), f"  {number} ", "    "):
            out.write(line + "\n")
        out.write(f"      check: {safe_text(remedy.check, 500)}\n")
    out.write("\nREFERENCES\n" + "".join(f"  {safe_text(r)}\n" for r in first.references))


def ladder_lines(found: Ladder) -> list[str]:
    """A ladder as text."""
    lines = []
    for chapter in found.chapters:
        lines.append(f"  {chapter.title}")
        for rung in chapter.rungs:
            arrow = "──▶" if rung.from_client else "◀──"
            lines.append(f"    {rung.offset:>10}  {'client' if rung.from_client else 'server'} {arrow}  {safe_text(rung.text)}   [{rung.frame}]")
    return lines


def others(document: Document, out: TextIO) -> None:
    """Findings that are no incident."""
    rest: list[Finding] = [f for f in document.findings if f.rule != "certificate-change-abort"]
    if not rest:
        return
    out.write("\nFINDINGS\n")
    for finding in rest[:40]:
        for line in wrap(f"{safe_text(finding.title)} ({finding.rule}, {finding.verdict}, {WORDS[finding.grade]})", f"  {finding.severity:<6} ", "         "):
            out.write(line + "\n")
        if finding.rule not in ("capture-incomplete",):
            for line in wrap(safe_text(finding.explanation, 600), "         ", "         "):
                out.write(line + "\n")
    if len(rest) > 40:
        out.write(f"  and {len(rest) - 40} more; -T json has all\n")


def line_of(document: Document, c: Connection) -> str:
    """One connection in a line."""
    label = next((b.label for b in document.backends if b.id == c.backend), "?")
    h = c.handshakes[0]
    what = f"{h.kind or '–'}{' declined' if h.declined else ''}"
    ends = f"{c.client_endpoint.ip}:{c.client_endpoint.port} → {c.server_endpoint.ip}:{c.server_endpoint.port}"
    return f"{c.first_seen}  {c.id}  {ends}  {label}  {c.outcome}  {what}  {h.version or '–'}"


def wrap(text: str, first: str, following: str) -> list[str]:
    """Lines of at most WIDTH columns."""
    import textwrap

    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=following, break_long_words=False, break_on_hyphens=False) or [first]


__all__ = ["clock", "heading", "ladder_lines", "line_of", "nanoseconds", "write_text"]
