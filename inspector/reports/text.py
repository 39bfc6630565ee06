"""The analysis as text to paste into a ticket: assessment first, then pool, matrix, incidents with their stories, other
findings, limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from inspector.document import Connection, Document, Finding, Incident, Service
from inspector.document.rules import Rule
from inspector.findings.failures import RULE as FAILED
from inspector.findings.judge import Analysis
from inspector.reports import attributes, overview, probed, what_if, why, why_failed
from inspector.reports.lines import plain, table, wrap
from inspector.reports.story import Ladder, chapters, ladder
from inspector.text.cells import cell_count, cut
from inspector.text.safe import safe_text
from inspector.text.zones import UTC, TimeZone

WIDTH = 100

STORIES = 3
LISTED = 50
"""Incidents that are listed."""

MOST_PLACES = 3
"""Captures, or hosts, that the heading names."""


def write_text(analysis: Analysis, shown: Iterable[Connection] | None, out: TextIO, zone: TimeZone = UTC) -> None:
    """The report. ``shown``: connections that a filter asked for, listed instead of the services."""
    document = analysis.document
    zone = overview.zone_over(document, zone)
    write = out.write
    if shown is not None:
        for connection in shown:
            write(line_of(document, connection, zone) + "\n")
        return
    write(heading(document) + "\n")
    for service in overview.ordered(document):
        write("\n")
        for line in service_lines(document, service, zone):
            write(line.rstrip() + "\n")
    stories(analysis, out, zone)
    others(analysis, out, zone)
    if not document.services:
        write("\n" + "".join(line + "\n" for line in wrap(overview.nothing_found(analysis), "", "")))
    if document.limits:
        write("\nLIMITS\n")
        for limit in document.limits:
            for line in wrap(safe_text(limit.text), "  - ", "    "):
                write(line + "\n")
    write(f"\n{overview.times(document, zone)}\n")


def heading(document: Document) -> str:
    """What was read."""
    packets = sum(c.packets for c in document.captures)
    places = _places(document)
    names = ", ".join(places[:MOST_PLACES]) + (
        f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    )
    return f"{names}   {packets:,} frames"


def _places(document: Document) -> list[str]:
    """The captures, by host where several are of one."""
    paths: dict[str, list[str]] = {}
    for capture in document.captures:
        paths.setdefault(capture.host or "", []).append(safe_text(capture.path))
    places = paths.pop("", [])
    for host, of_host in paths.items():
        places.append(f"{safe_text(host)}:{of_host[0]}" + (f" and {len(of_host) - 1} more" if of_host[1:] else ""))
    return places


def service_lines(document: Document, service: Service, zone: TimeZone) -> list[str]:
    """Everything about one service."""
    head = overview.heading(document, service, zone)
    assessment = service.assessment
    lines = [head, "─" * min(WIDTH, max(cell_count(head), 60))]
    lines += wrap(f"{overview.sentence(service)}  [{overview.standing(service)}]", "", "  ")
    for because in assessment.because:
        lines += wrap(safe_text(because), "    because ", "            ")
    if assessment.state == "protected":
        for breaks in assessment.breaks_if:
            lines += wrap(safe_text(breaks), "    returns if ", "               ")
    for line in (
        overview.clients(document, service),
        "   ".join(overview.since(document, service, zone)),
        overview.impact(service),
    ):
        lines += wrap(line, "  ", "    ") if line else []
    for text in (*overview.checks(service), *probed.lines_of(document, service)):
        lines += wrap(text, "  ", "    ")
    if assessment.is_actionable:
        lines += wrap(f"Do: {safe_text(assessment.do)}", "  ", "      ")
    weighed = what_if.weighed_lines(document, service, WIDTH - 2)
    lines += ["", *(f"  {plain(line)}".rstrip() for line in weighed)] if weighed else []
    differing = attributes.table_lines(document, service, zone, WIDTH - 2)
    if differing:
        differing += attributes.alike_lines(document, service, WIDTH - 2)
        lines += ["", *(f"  {plain(line)}" for line in differing)]
    lines += ["", *(f"  {plain(line)}" for line in overview.pool(document, service))]
    return [*lines, "", *(f"  {plain(line)}" for line in overview.matrix(document, service))]


def stories(analysis: Analysis, out: TextIO, zone: TimeZone) -> None:
    """The incidents: the first ones as ladders, all in a list."""
    document = analysis.document
    if not document.incidents:
        return
    by_id = {f.id: f for f in document.findings}
    client_of = overview.client_of(document)
    clients = [client_of(by_id[incident.findings[0]]) for incident in document.incidents]
    are_several = len({*clients}) > 1
    out.write(f"\nINCIDENTS  {len(document.incidents)}\n")
    for incident, client in zip(document.incidents[:LISTED], clients, strict=False):
        whose = f"   client {client}" if are_several and client else ""
        out.write(f"  {safe_text(overview.incident_line(incident, zone))}{whose}\n")
    if len(document.incidents) > LISTED:
        out.write(f"  and {len(document.incidents) - LISTED} more; -T json has all\n")
    for incident in document.incidents[:STORIES]:
        finding = by_id[incident.findings[0]]
        out.write(f"\nSTORY  {safe_text(overview.incident_line(incident, zone))}\n")
        for line in ladder_lines(ladder(analysis, incident, zone)):
            out.write(line.rstrip() + "\n")
        for line in [*why_lines(analysis, incident), *wrap(safe_text(finding.explanation, 2000), "  ", "  ")]:
            out.write(line + "\n")
    first = by_id[document.incidents[0].findings[0]]
    out.write("\nWHAT TO DO\n")
    for number, remedy in enumerate(first.remedies, 1):
        for line in wrap(safe_text(f"{remedy.audience}: {remedy.text}", 2000), f"  {number} ", "    "):
            out.write(line + "\n")
        out.write(f"      check: {safe_text(remedy.check, 500)}\n")
    out.write("\nREFERENCES\n" + "".join(f"  {safe_text(r)}\n" for r in first.references))


ARROWS = {"clear": ("◀──", "──▶"), "decrypted": ("◀┅┅", "┅┅▶"), "encrypted": ("◀┄┄", "┄┄▶")}


def ladder_lines(steps: Ladder) -> list[str]:
    """A ladder as text."""
    lines = []
    for chapter in steps.chapters:
        lines.append(f"  {chapter.title}")
        for rung in chapter.rungs:
            arrow = ARROWS[rung.visibility][rung.from_client]
            sides = ("server", "client") if not rung.leg else ("back end", "balancer")
            lines.append(
                f"    {rung.offset:>10}  {sides[rung.from_client]} {arrow}  {safe_text(rung.text)}   [{rung.frame}]"
            )
        lines += [f"      log  {safe_text(note)}" for note in chapter.notes]
    return lines


def others(analysis: Analysis, out: TextIO, zone: TimeZone) -> None:
    """Findings that are no incident; of the first failures a connection as a ladder, and what to do."""
    document = analysis.document
    failed = [f.id for f in document.findings if f.rule == FAILED][:STORIES]
    rest: list[Finding] = [f for f in document.findings if f.rule != Rule.CERTIFICATE_CHANGE_ABORT]
    if not rest:
        return
    out.write("\nFINDINGS\n")
    for finding in rest[:40]:
        for line in wrap(
            f"{safe_text(finding.title)} ({finding.rule}, {finding.verdict}, {overview.WORDS[finding.grade]})",
            f"  {finding.severity:<6} ",
            "         ",
        ):
            out.write(line + "\n")
        if finding.rule != Rule.CAPTURE_INCOMPLETE:
            for line in wrap(safe_text(finding.explanation, 600), "         ", "         "):
                out.write(line + "\n")
        if finding.id in failed:
            failure(analysis, finding, out, zone)
    if len(rest) > 40:
        out.write(f"  and {len(rest) - 40} more; -T json has all\n")


def failure(analysis: Analysis, finding: Finding, out: TextIO, zone: TimeZone) -> None:
    """One connection that failed, message by message, why, and the remedies."""
    observed = analysis.case.by_id(finding.connections[0])
    rows, works, fails = why_failed.certificates(analysis, finding)
    lines = [
        *ladder_lines(Ladder("", chapters(analysis, observed, zone)[:1])),
        *step_lines(why_failed.steps(analysis, finding, zone)),
        *certificate_lines(rows, works, fails),
    ]
    for line in lines:
        out.write(f"       {line}".rstrip() + "\n")
    for remedy in finding.remedies:
        for line in wrap(safe_text(f"{remedy.audience}: {remedy.text}", 2000), "         Do: ", "             "):
            out.write(line + "\n")
        out.write(f"             check: {safe_text(remedy.check, 500)}\n")


def line_of(document: Document, c: Connection, zone: TimeZone) -> str:
    """One connection in a line."""
    label = next((b.label for b in document.backends if b.id == c.backend), "?")
    h = c.handshakes[0]
    what = f"{h.kind or '–'}{' declined' if h.declined else ''}"
    ends = f"{c.client_endpoint.ip}:{c.client_endpoint.port} → {c.server_endpoint.ip}:{c.server_endpoint.port}"
    first_seen = zone.rfc3339(overview.nanoseconds(c.first_seen))
    return f"{first_seen}  {c.id}  {ends}  {label}  {c.outcome}  {what}  {h.version or '–'}"


def why_lines(analysis: Analysis, incident: Incident) -> list[str]:
    """The rule step by step, and both certificates."""
    rows, decided = why.certificates(analysis, incident)
    return [
        *step_lines(why.steps(analysis, incident)),
        *certificate_lines(rows, "session's certificate", "new certificate"),
        f"    deciding step: {decided}",
    ]


def step_lines(steps: Sequence[why.ReasonStep]) -> list[str]:
    """Conditions one below the other, each with its mark, its frames and how it is known."""
    lines = ["  WHY"]
    for step in steps:
        parts = (f"{why.MARKS[step.holds]} {step.text}", step.frames, overview.WORDS[step.grade])
        lines += wrap("   ".join(filter(None, parts)), "    ", "      ")
    return lines


def certificate_lines(rows: Sequence[why.ReasonRow], old: str, new: str) -> list[str]:
    """Two certificates side by side, below what they are called; empty where there are no rows."""
    if not rows:
        return []
    listed = [("", old, new, ""), *((r.name, cut(r.old, 44), cut(r.new, 44), "=" if r.same else "≠") for r in rows)]
    return ["  CERTIFICATES", *(f"  {line}" for line in table(listed))]


__all__ = ["heading", "ladder_lines", "line_of", "why_lines", "write_text"]
