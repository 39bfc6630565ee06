"""An incident as a ladder: origin, resumption, decline, message by message with frames. Shared by text and app."""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby
from typing import NamedTuple

from inspector.document import Document, Incident
from inspector.facts import FRAME_BITS, ConnectionFacts, Event, HandshakeFacts, unpack_events
from inspector.findings.inside import ended
from inspector.findings.judge import Analysis
from inspector.logs.entries import LogFacts
from inspector.reports.overview import common_name, incident_line
from inspector.text.safe import safe_cell
from inspector.text.times import span
from inspector.text.zones import TimeZone
from inspector.tls.history import ALERTS, CLOSES, ENCRYPTED, NAMES, Letter
from inspector.tls.registry import alert_name
from inspector.tls.types import FATAL
from inspector.tracking.observed import Observed


class Rung(NamedTuple):
    """One arrow: messages of one side that stand together. ``offset``: from the start of the connection, as text and,
    of the first message, in ns.
    ``frame``: as people count. ``size``: bytes. ``leg``: 0 from the client, 1 and more behind the balancer.
    """

    offset: str
    from_client: bool
    text: str
    frame: str
    ns: int
    visibility: str
    bad: bool
    size: int
    events: tuple[Event, ...] = ()
    leg: int = 0
    offset_ns: int = 0

    @property
    def has_alert(self) -> bool:
        """It is an alert that can be read."""
        return any(event.letter == Letter.ALERT for event in self.events)


class Chapter(NamedTuple):
    """One connection of the story. ``notes``: what logs say of it, a line each."""

    title: str
    role: str
    connection: str
    backend: str
    rungs: list[Rung]
    service: str
    legs: tuple[ConnectionFacts, ...]
    notes: tuple[str, ...] = ()


class Ladder(NamedTuple):
    """``title``: the incident in a line."""

    title: str
    chapters: list[Chapter]


BALANCER = "balancer"


def lanes(steps: Ladder) -> list[str]:
    """The balancer, where both its legs were seen, and the letters of the back ends in the order of
    their appearance.
    """
    backends = list(dict.fromkeys(chapter.backend for chapter in steps.chapters))
    return [BALANCER, *backends] if any(rung.leg for chapter in steps.chapters for rung in chapter.rungs) else backends


def lane_names(document: Document, steps: Ladder) -> dict[str, str]:
    """What stands over the lane of each back end: its letter, and how people call it."""
    certificates = {c.sha256: c for c in document.certificates}
    names: dict[str, str] = {}
    for chapter in steps.chapters:
        backend = next(
            (b for b in document.backends if b.label == chapter.backend and b.service == chapter.service), None
        )
        leaf = certificates.get(backend.leaf or "") if backend else None
        host = common_name(leaf).split(".")[0] if leaf else ""
        host = (backend.named or backend.server or host) if backend else host
        names[chapter.backend] = f"{chapter.backend} {safe_cell(host, 20)}".strip()
    return names


def ladder(analysis: Analysis, incident: Incident, zone: TimeZone) -> Ladder:
    """The story of an incident. Raises KeyError where the incident is of another analysis."""
    case = analysis.case
    finding = next(f for f in analysis.document.findings if f.id == incident.findings[0])
    roles = {e.connection: e.role for e in reversed(finding.evidence) if e.role in ("origin", "resumed", "declined")}
    chapters: list[Chapter] = []
    previous: Observed | None = None
    for number, connection in enumerate(incident.connections, 1):
        observed = case.by_id(connection)
        role = roles.get(connection, "seen")
        gap = (
            f"  +{span(observed.first_ns - previous.first_ns)}"
            if previous is not None
            else f"  {zone.moment(observed.first_ns)}"
        )
        title = (
            f"{number} {role.upper()}{gap}   port {observed.client_leg.client.port} → back end {case.label(observed)}"
        )
        chapters.append(
            Chapter(
                title=title,
                role=role,
                connection=connection,
                backend=case.label(observed),
                rungs=rungs(analysis, observed),
                service=case.services[observed.service].id,
                legs=(observed.client_leg, *observed.legs),
                notes=notes(analysis, observed, zone),
            )
        )
        previous = observed
    return Ladder(incident_line(incident, zone), chapters)


COST = {"catalog": ", the agent got an error instead of its catalog", "report": ", the report is lost"}


def notes(analysis: Analysis, observed: Observed, zone: TimeZone) -> tuple[str, ...]:
    """What logs say of a connection, a line each, with how sure it is that the line is its own."""
    case = analysis.case
    texts = []
    chosen = case.balancer.chosen.get(observed.index)
    if chosen is not None:
        entry = chosen.entry
        where = f"{entry.backend}/{entry.server}" if entry.server else "no server"
        address = f", {entry.address}" if entry.address else ""
        stands_at = _line_of(case.facts.logs[chosen.log], entry.line)
        texts.append(f"{stands_at}  {zone.clock(entry.ns)}  accepted, sent to {where}{address}")
    for line in case.logged.lines.get(observed.index, ()):
        failure = line.failure
        request = (
            f"  ({failure.request or 'a request'}"
            f"{f' for {failure.node}' if failure.node else ''}{COST.get(failure.impact, '')})"
            if failure.request or failure.node
            else ""
        )
        sure = (
            ""
            if line.is_certain
            else "  [one of several that it may belong to]"
            if len(line.candidates) > 1
            else "  [perhaps]"
        )
        stands_at = _line_of(case.facts.logs[line.log], failure.line)
        texts.append(f"{stands_at}  {zone.clock(failure.ns)}  {failure.message}{request}{sure}")
    return tuple(texts)


def _line_of(log: LogFacts, line: int) -> str:
    return f"{log.path.rsplit('/', 1)[-1]}:{line}"


def rungs(analysis: Analysis, observed: Observed) -> list[Rung]:
    """The rungs of one connection on all its legs; messages of one side in one frame or in a row within a flight stand
    together.
    """
    legs = [observed.client_leg, *observed.legs]
    events = [_shown(leg) for leg in legs]
    start = events[0][0].ns if events[0] else 0
    steps = [
        rung
        for index, leg in enumerate(legs)
        for rung in _leg_rungs(analysis, observed, leg, index, events[index], start)
    ]
    return sorted(steps, key=lambda r: r.events[0].ns) if len(legs) > 1 else steps


def _shown(leg: ConnectionFacts) -> list[Event]:
    """Events that a person sees: in place of encrypted records that were opened, what was in them."""
    left = {True: leg.from_client.opened, False: leg.from_server.opened}
    hidden = {Letter.APPLICATION_DATA} if leg.handshake.is_tls13 else ENCRYPTED
    shown: list[Event] = []
    for event in unpack_events(leg.events):
        if not event.decrypted and event.letter in hidden and left[event.from_client]:
            left[event.from_client] -= 1
        elif event.letter != Letter.SYN:
            shown.append(event)
    return shown


def chapters(analysis: Analysis, observed: Observed, zone: TimeZone) -> list[Chapter]:
    """One connection: what it began with, then each renegotiation as a further ladder."""
    case = analysis.case
    label, service, legs = (
        case.label(observed),
        case.services[observed.service].id,
        (observed.client_leg, *observed.legs),
    )
    began = f"{zone.moment(observed.first_ns)}   port {observed.client_leg.client.port} → back end {label}"
    titles = [began] + [
        f"RENEGOTIATION {number}   {ended(attempt)}" for number, attempt in enumerate(observed.renegotiations, 1)
    ]
    begins = [attempt.ns for attempt in observed.renegotiations]
    shares: list[list[Rung]] = [[] for _ in titles]
    for rung in rungs(analysis, observed):
        shares[bisect_right(begins, rung.events[0].ns)].append(rung)
    roles = ["seen"] + ["declined" if attempt.state == "aborted" else "origin" for attempt in observed.renegotiations]
    said_notes = notes(analysis, observed, zone)
    return [
        Chapter(
            title=title,
            role=role,
            connection=observed.id,
            backend=label,
            rungs=share,
            service=service,
            legs=legs,
            notes=said_notes if number == len(titles) - 1 else (),
        )
        for number, (title, role, share) in enumerate(zip(titles, roles, shares, strict=True))
    ]


def _leg_rungs(
    analysis: Analysis, observed: Observed, leg: ConnectionFacts, index: int, events: list[Event], start: int
) -> list[Rung]:
    listed: list[Rung] = []
    group: list[Event] = []
    begins = {(attempt.ns, attempt.frame) for attempt in observed.renegotiations}
    for event in events:
        last = group[-1] if group else None
        is_apart = last is not None and (
            event.from_client != last.from_client
            or event.decrypted != last.decrypted
            or event.letter in CLOSES | ALERTS | {Letter.APPLICATION_DATA}
            or last.letter in CLOSES | ALERTS | {Letter.APPLICATION_DATA}
        )
        if is_apart or (last is not None and (event.ns, event.frame) in begins and last.frame != event.frame):
            listed.append(_rung(analysis, observed, leg, index, group, start))
            group = []
        group.append(event)
    if group:
        listed.append(_rung(analysis, observed, leg, index, group, start))
    return listed


def _rung(
    analysis: Analysis, observed: Observed, client_leg: ConnectionFacts, leg: int, group: list[Event], start: int
) -> Rung:
    first, last = group[0], group[-1]
    texts = [_event_text(analysis, observed, client_leg, event) for event in group]
    numbers = sorted({event.frame & (1 << FRAME_BITS) - 1 for event in group})
    frame = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
    capture = first.frame >> FRAME_BITS
    if len(analysis.document.captures) > 1:
        frame = f"{capture}:{frame}"
    hidden = {event.letter for event in group} <= ENCRYPTED | {Letter.APPLICATION_DATA}
    visibility = (
        "decrypted"
        if first.decrypted and first.letter != Letter.APPLICATION_DATA
        else "encrypted"
        if hidden
        else "clear"
    )
    bad = any(
        e.letter == Letter.ALERT and any(a.frame == e.frame and a.level == FATAL for a in client_leg.alerts)
        for e in group
    )
    gave_up = observed.gave_up and first.from_client and first.letter in CLOSES
    text = ", ".join(f"{count} × {word}" if (count := len(list(same))) > 1 else word for word, same in groupby(texts))
    if gave_up and observed.fatal_alert is None:
        text = f"✖ {text}  no ClientKeyExchange, no alert"
    elif bad:
        text = f"✖ {text}"
    return Rung(
        offset=f"{'+' if first.ns >= start else ''}{span(first.ns - start)}",
        from_client=first.from_client,
        text=text,
        frame=frame,
        ns=last.ns,
        visibility=visibility,
        bad=bad or gave_up,
        size=sum(e.size for e in group if e.letter != Letter.ALERT),
        events=tuple(group),
        leg=leg,
        offset_ns=first.ns - start,
    )


def _event_text(analysis: Analysis, observed: Observed, client_leg: ConnectionFacts, event: Event) -> str:
    handshake = _handshake_of(client_leg, event)
    name = NAMES.get(event.letter, "handshake message")
    if event.letter == Letter.CLIENT_HELLO:
        if handshake.offered_ticket:
            return f"{name} offers ticket {handshake.offered_ticket.hex()[:8]}"
        if handshake.offered_id and (handshake is not client_leg.handshake or observed.session is not None):
            return f"{name} offers {handshake.offered_id.hex()[:8]}"
        return f"{name} offers nothing known"
    if event.letter == Letter.SERVER_HELLO and handshake.answered_id:
        return f"{name} {handshake.answered_id.hex()[:8]}"
    chain = handshake.client_chain if event.from_client else handshake.chain
    if event.letter == Letter.CERTIFICATE and chain and (event.decrypted or not event.from_client):
        certificate = analysis.case.certificates.get(chain[0])
        return f"{name} {certificate.common_name if certificate else chain[0].hex()[:12]}"
    if event.letter == Letter.ALERT:
        alert = next((a for a in client_leg.alerts if a.frame == event.frame and a.code == event.size), None)
        level = "fatal" if alert and alert.level == FATAL else "warning"
        return f"alert {level} {alert_name(event.size)} ({event.size})"
    if event.letter == Letter.ENCRYPTED_HANDSHAKE and any(
        e.letter == Letter.ENCRYPTED_HANDSHAKE and e.from_client == event.from_client and e.ns < event.ns
        for e in unpack_events(client_leg.events)
    ):
        return "handshake (encrypted)"
    return name


def _handshake_of(client_leg: ConnectionFacts, event: Event) -> HandshakeFacts:
    """The handshake that a message belongs to: the last one that had begun."""
    if not event.decrypted:
        return client_leg.handshake
    begun = [h for h in client_leg.renegotiations if (h.hello_ns or h.answer_ns) <= event.ns]
    return begun[-1] if begun else client_leg.handshake


__all__ = ["BALANCER", "Chapter", "Ladder", "Rung", "chapters", "ladder", "lane_names", "lanes", "notes", "rungs"]
