"""A service at a glance, as lines: sentence, remedy, pool, issuer × responder matrix. Shared by the text report and the
app.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from inspector.document import Backend, Certificate, Client, Document, Finding, Incident, MatrixCell, Service
from inspector.reports.lines import Cell, Line, columns, plain
from inspector.text.cells import cell_count
from inspector.text.hostport import joined
from inspector.text.safe import safe_cell, safe_text
from inspector.text.times import DAY_NS, span
from inspector.text.zones import TimeZone

if TYPE_CHECKING:
    from inspector.findings.judge import Analysis

MARKS = {"confirmed": "✖", "exposed": "▲", "protected": "●", "not_this": "○", "unknown": "◌"}
WORDS = {"observed": "observed", "inferred": "inferred", "not_visible": "not visible"}
YES = {True: "yes", False: "no", None: "–", "mixed": "mixed"}
ORDER = {"confirmed": 0, "unknown": 1, "exposed": 2, "not_this": 3, "protected": 4}
MOST_VIPS = 4
MOST_BACKENDS = 12
"""Rows of a pool and columns of a matrix; a larger pool shows those first that abort, differ or decline most."""


def nanoseconds(stamp: str) -> int:
    """The reverse of ``rfc3339``."""
    whole, _, rest = stamp.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000_000 + int((rest or "0").ljust(9, "0"))


def ordered(document: Document) -> list[Service]:
    """Services, what matters first."""
    return sorted(document.services, key=lambda s: (ORDER[s.assessment.state], -s.connections, s.name))


def title(service: Service) -> str:
    """The person's own name for it, else ``name:port``; an IPv6 address stands in brackets."""
    name = safe_text(service.name)
    if service.named:
        return safe_text(service.named, 60)
    return joined(name, service.port)


def extent(document: Document) -> tuple[int, int]:
    """When the captures begin and end, by one clock where theirs differ: nanoseconds; 0 where they hold nothing."""
    times = [
        nanoseconds(time) - sum(clock.ns for clock in capture.clocks if clock.than != index)
        for index, capture in enumerate(document.captures)
        for time in (capture.first, capture.last)
        if time
    ]
    return min(times, default=0), max(times, default=0)


def end(document: Document) -> int:
    """When the captures end: nanoseconds, 0 where they hold nothing. Days left are counted from there."""
    return extent(document)[1]


def zone_over(document: Document, zone: TimeZone) -> TimeZone:
    """In which a time of day tells all times of the captures apart."""
    return zone.over(*extent(document))


def times(document: Document, zone: TimeZone) -> str:
    """In which zone all times are shown."""
    return zone.heading(*extent(document))


def length(document: Document) -> str:
    """How long the captures last."""
    first, last = extent(document)
    return span(last - first) if last else ""


def lasted(document: Document, zone: TimeZone) -> str:
    """How long the captures last, and since when: ``28.1 s from 2026-11-23 17:28:17``."""
    first, last = extent(document)
    return f"{span(last - first)} from {zone.moment(first, 0)}" if last else ""


def counted(count: int, noun: str) -> str:
    """``1 back end``, ``3 back ends``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def heading(document: Document, service: Service, zone: TimeZone) -> str:
    """Name, addresses and numbers of a service."""
    addresses = ", ".join(a for a in service.addresses[:3] if a != service.name)
    parts = [
        title(service),
        addresses,
        " · ".join(
            filter(
                None,
                (
                    counted(service.connections, "connection"),
                    lasted(document, zone),
                    counted(len(service.backends), "back end"),
                ),
            )
        ),
    ]
    return "   ".join(filter(None, parts))


def sentence(service: Service) -> str:
    """The assessment in one line, with its mark."""
    return f"{MARKS[service.assessment.state]} {safe_text(service.assessment.sentence)}"


def standing(service: Service) -> str:
    """``confirmed, observed``."""
    return f"{service.assessment.state.replace('_', ' ')}, {WORDS[service.assessment.grade]}"


def common_name(certificate: Certificate) -> str:
    """The subject's common name; empty where it has none."""
    return next((part.strip()[3:] for part in certificate.subject.split(",") if part.strip().startswith("CN=")), "")


STACKS = {"jsse": "Java", "probe": "a probe, not users' traffic"}
"""Where a client is called otherwise than in the document."""


def stack_name(client: Client) -> str:
    """What a client is called by its stack, and whom a probe stood for."""
    name = STACKS.get(client.stack, client.stack)
    return f"{name}, as {safe_text(client.probed_as, 40)}" if client.probed_as else name


def clients(document: Document, service: Service) -> str:
    """Who the clients are."""
    members = sorted(
        (c for c in document.clients if c.id in service.clients), key=lambda c: (-c.aborted, -c.connections)
    )
    named: dict[str, list[str]] = {}
    for c in members:
        name = f"{safe_text(c.named, 40) + ' ' if c.named else ''}{c.ip} ({STACKS.get(c.stack, c.stack)}"
        named.setdefault(name, []).extend([safe_text(c.probed_as, 40)] if c.probed_as else [])
    names = [f"{name}{', as ' if models else ''}{', '.join(models)})" for name, models in named.items()]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ("client " if len(names) == 1 else "clients ") + ", ".join(names[:4]) + more


CHECKS = {
    "tls": "hello and close, left out of all rates",
    "tcp": "connect and close without a byte, no part of any rate",
}


def checks(service: Service) -> list[str]:
    """Who does health checks, a line for each kind."""
    lines = []
    for kind, words in CHECKS.items():
        checkers = [c for c in service.checkers if c.kind == kind]
        count = service.health_checks if kind == "tls" else sum(c.connections for c in checkers)
        if checkers:
            names = ", ".join(c.ip for c in checkers[:4]) + (
                f" and {len(checkers) - 4} more" if len(checkers) > 4 else ""
            )
            lines.append(f"{counted(count, 'health check')} by {names}: {words}")
    return lines


def incident_line(incident: Incident, zone: TimeZone) -> str:
    """When an incident was, and its path: as its summary, which names UTC."""
    return f"{zone.moment(nanoseconds(incident.at))} {incident.path}"


def client_of(document: Document) -> Callable[[Finding], str]:
    """Whose a finding is: a name, or an address; of several clients how many they are."""
    names = {c.id: safe_text(c.named or c.ip, 40) for c in document.clients}

    def client(finding: Finding) -> str:
        listed = finding.clients
        return counted(len(listed), "client") if len(listed) > 1 else "".join(names.get(one, "") for one in listed)

    return client


UNREAD = ("unreadable", "not_extracted", "truncated", "damaged", "packets_left", "undecoded", "clipped")
"""Limits that stand before the word that nothing was found."""


def nothing_found(analysis: Analysis) -> str:
    """What is said where no TLS was found: first what could not be read, for it may be there; last what there is of
    others than the services that alone were wanted.
    """
    document, vips = analysis.document, analysis.case.options.vips
    unread = "".join(f"{safe_text(limit.text, 600)}. " for limit in document.limits if limit.kind in UNREAD)
    frames = counted(sum(c.packets for c in document.captures), "frame") if document.captures else "the input"
    where = "what could be read" if unread else frames
    others = len(analysis.case.facts.connections) if vips else 0
    if not others:
        return f"{unread}No TLS was found in {where}."
    names = " or ".join(safe_text(joined(host, port), 100) for host, port in vips[:MOST_VIPS])
    return f"{unread}No TLS of {names} was found in {where}, but {counted(others, 'connection')} to others."


def since(document: Document, service: Service, zone: TimeZone) -> list[str]:
    """Since when, until when and how often a confirmed service fails; empty for the others."""
    times = sorted(nanoseconds(i.at) for i in document.incidents if i.service == service.id)
    if not times:
        return []
    parts = [f"first {zone.moment(times[0])}", f"last {zone.moment(times[-1])}"]
    if len(times) > 1:
        between = (times[-1] - times[0]) // (len(times) - 1)
        parts.append(f"every {span(between)} while it lasted")
    return parts


def impact(service: Service) -> str:
    """What the aborts cost by the client's log: ``23 aborts logged, 20 failed catalogs, 3 lost reports; nodes …``;
    empty where no log says so.
    """
    cost = service.impact
    if cost is None:
        return ""
    parts = [
        f"{counted(cost.aborts, 'abort')} logged",
        *([counted(cost.catalogs, "failed catalog")] if cost.catalogs else []),
    ]
    parts += [counted(cost.reports, "lost report")] if cost.reports else []
    nodes = (
        f"; {'nodes' if len(cost.nodes) > 1 else 'node'} {', '.join(safe_text(n, 80) for n in cost.nodes[:5])}"
        if cost.nodes
        else ""
    )
    return ", ".join(parts) + nodes + (f" and {len(cost.nodes) - 5} more" if len(cost.nodes) > 5 else "")


def pool(document: Document, service: Service, width: int = 120) -> list[Line]:
    """The pool, one back end a line, and the totals. Columns leave in the order DNS names, days, TLS, EMS, declined
    where ``width`` is short.
    """
    rows = pool_rows(document, service, NAME if width > NARROW else NAME - 8)
    leaving = [2, 3, 5, 4, 10]
    while leaving and max(cell_count(plain(line)) for line in columns(rows, indent="  ")) > width:
        column = leaving.pop(0)
        rows = [[cell for i, cell in enumerate(row) if i != column] for row in rows]
        leaving = [i - (i > column) for i in leaving]
    lines = headed(rows, right=[i for i, name in enumerate(rows[0]) if name in RIGHT])
    more = sum(b.service == service.id for b in document.backends) - MOST_BACKENDS
    return [*lines, [(f"and {counted(more, 'back end')} more", "")]] if more > 0 else lines


def headed(rows: Sequence[Sequence[Cell]], right: Sequence[int] = ()) -> list[Line]:
    """A table whose first row is its heading."""
    head, *lines = columns(rows, right)
    return [[(plain(head), "head")], *lines]


def pool_rows(document: Document, service: Service, name_width: int) -> list[list[Cell]]:
    """A head, a row for each back end, those that matter first, and the totals."""
    certificates = {c.sha256: c for c in document.certificates}
    last = end(document)
    members = [b for b in document.backends if b.service == service.id]
    head: list[Cell] = [
        "POOL",
        "certificate",
        "DNS names",
        "days left",
        "EMS",
        "TLS",
        "full",
        "resumed",
        "aborted",
        "other",
        "declined",
    ]
    rows: list[list[Cell]] = [
        head,
        *(_row(b, certificates.get(b.leaf or ""), last, name_width) for b in _odd_first(members)[:MOST_BACKENDS]),
    ]
    if members and sum(b.connections for b in members) != service.connections - service.health_checks:
        rows.append(_unplaced(service, members))
    rows.append(
        [
            "all",
            "",
            "",
            "",
            "",
            "",
            *map(str, (service.full, service.resumed, service.aborted, service.other)),
            str(sum(b.declined for b in members)),
        ]
    )
    return rows


NAME, NARROW = 26, 64
"""Columns of a certificate's name, eight fewer up to a width of ``NARROW``."""

RIGHT = ("days left", "full", "resumed", "aborted", "other", "declined")


def member_names(document: Document, service: Service) -> list[tuple[str, str]]:
    """Id and name of each back end, ``B db2.example.com``, as many as a pool shows, those that matter first."""
    certificates = {c.sha256: c for c in document.certificates}
    members = _odd_first([b for b in document.backends if b.service == service.id])[:MOST_BACKENDS]
    return [(b.id, f"{b.label} {safe_cell(_called(b, certificates.get(b.leaf or '')), NAME)}") for b in members]


def _called(b: Backend, leaf: Certificate | None) -> str:
    common = common_name(leaf) or leaf.subject or leaf.sha256[:12] if leaf else (b.leaf or "not visible")[:12]
    return b.named or b.server or common


def _row(b: Backend, leaf: Certificate | None, now: int, most: int) -> list[Cell]:
    names = ", ".join(leaf.dns_names + leaf.ip_addresses) if leaf else ""
    days = f"{(nanoseconds(leaf.not_after) - now) // DAY_NS:,}" if leaf and leaf.not_after else ""
    versions = "/".join(v.removeprefix("TLSv") for v in b.versions)
    aborted: Cell = [(f"✖ {b.aborted}", "bad")] if b.aborted else "0"
    return [
        b.label,
        safe_cell(_called(b, leaf), most),
        safe_cell(names, 44),
        days,
        YES[b.ems],
        versions,
        str(b.full),
        str(b.resumed),
        aborted,
        str(b.other),
        str(b.declined),
    ]


def _unplaced(service: Service, members: list[Backend]) -> list[Cell]:
    """Connections whose back end nothing tells, so that the columns add up."""
    rest = [
        service.full - sum(b.full for b in members),
        service.resumed - sum(b.resumed for b in members),
        service.aborted - sum(b.aborted for b in members),
        service.other - sum(b.other for b in members),
    ]
    return ["?", "back end not visible", "", "", "", "", *map(str, rest), ""]


def _odd_first(members: list[Backend]) -> list[Backend]:
    if len(members) <= MOST_BACKENDS:
        return members
    usual = max({b.ems for b in members}, key=lambda value: sum(b.ems == value for b in members))
    return sorted(members, key=lambda b: (-b.aborted, b.ems == usual, -b.declined))


def matrix(document: Document, service: Service) -> list[Line]:
    """Who issued the session, to whom it was offered, what became of it; with what offered nothing it
    sums to the pool.
    """
    return [*(headed(matrix_rows(document, service)) if service.matrix else []), matrix_note(service)]


LEGEND: Line = [("●", "good"), (" resumed  ", ""), ("◇", "warn"), (" declined  ", ""), ("✖", "bad"), (" aborted", "")]


def matrix_note(service: Service) -> Line:
    """What stands below the matrix, or instead of it."""
    unseen = (
        f" Of {counted(service.offer_unseen, 'connection')} the offer, or what became of it, was not captured."
        if service.offer_unseen
        else ""
    )
    if not service.matrix:
        offered = (
            f"No session was offered in these {service.offered_nothing:,} connections."
            if service.offered_nothing != 1
            else "No session was offered in this connection."
        )
        return [(offered + unseen if service.offered_nothing or not unseen else unseen.lstrip(), "")]
    return [(f"{counted(service.offered_nothing, 'connection')} offered nothing.{unseen}   ", ""), *LEGEND]


def matrix_rows(document: Document, service: Service) -> list[list[Cell]]:
    """A head, and a row for each back end that issued a session."""
    labels = {b.id: b.label for b in document.backends}
    responders: list[str | None] = [
        b.id for b in _odd_first([b for b in document.backends if b.service == service.id])[:MOST_BACKENDS]
    ]
    if any(c.offered_to is None for c in service.matrix):
        responders.append(None)
    issuers: list[str | None] = [i for i in [*dict.fromkeys(c.issued_by for c in service.matrix)] if i is not None]
    issuers.sort(key=lambda i: labels.get(i or "", ""))
    if any(c.issued_by is None for c in service.matrix):
        issuers.append(None)
    cells = {(c.issued_by, c.offered_to): c for c in service.matrix}
    rows: list[list[Cell]] = [["ISSUED BY", *(f"offered to {labels[r] if r else '?'}" for r in responders)]]
    for issuer in issuers[: MOST_BACKENDS + 1]:
        name = labels[issuer] if issuer else "not known"
        rows.append([name, *(_offers(cells.get((issuer, responder))) for responder in responders)])
    return rows


def _offers(cell: MatrixCell | None) -> Line:
    """What became of the sessions of one back end at another."""
    line: Line = []
    if cell is not None and cell.resumed:
        line.append((f"● {cell.resumed}", "good"))
    if cell is not None and cell.declined:
        line += [(" " if line else "", ""), (f"◇ {cell.declined}", "warn")]
        line += [(" of them ", ""), (f"✖ {cell.aborted}", "bad")] if cell.aborted else []
    return line
