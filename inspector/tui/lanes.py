"""A session's life as one line: where it was issued, each offer, what became of it. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

from inspector.findings.case import Case
from inspector.reports.lines import Kind, Line
from inspector.text.cells import cell_count
from inspector.text.times import span
from inspector.tracking.ledger_session import LedgerSession

DASH = "─"
SPOKEN = 4
"""Up to so many moments each says when it was."""


class Moment(NamedTuple):
    """Something that happened to a session. ``connection``: its place."""

    ns: int
    glyph: str
    kind: Kind
    label: str
    word: str
    connection: int


def moments(case: Case, session: LedgerSession) -> list[Moment]:
    """The issue and every offer, in order."""
    laps: list[Moment] = []
    if session.issuer is not None:
        observed = case.observed[session.issuer]
        laps.append(
            Moment(
                session.issued_ns or observed.hello_ns,
                "○",
                "dim" if session.usable else "warn",
                case.label(observed),
                "issued",
                session.issuer,
            )
        )
    for use in session.uses:
        observed = case.observed[use >> 1]
        if use & 1:
            laps.append(Moment(observed.hello_ns, "●", "good", case.label(observed), "resumed", use >> 1))
        elif observed.outcome == "aborted":
            laps.append(Moment(observed.hello_ns, "✖", "bad", case.label(observed), "declined, aborted", use >> 1))
        else:
            laps.append(Moment(observed.hello_ns, "◇", "warn", case.label(observed), "declined", use >> 1))
    return sorted(laps, key=lambda m: (m.ns, m.connection))


def lane(case: Case, session: LedgerSession, width: int) -> Line:
    """The life in ``width`` columns: distances follow time as far as there is room."""
    happened = moments(case, session)
    if session.issuer is None:
        start: Line = [("before the capture ", "dim")]
    elif not session.usable:
        return [
            ("○ ", "warn"),
            (f"{happened[0].label} issued in a handshake that was not completed: never usable", "dim"),
        ]
    else:
        start = []
    if not happened:
        return start
    room = width - sum(cell_count(t) for t, _ in start)
    spoken = _placed(happened, room, True) if len(happened) <= SPOKEN else None
    return [*start, *(spoken or _placed(happened, room, False) or _crowded(happened, room))]


def _placed(happened: list[Moment], room: int, is_spoken: bool) -> Line | None:
    """All moments at places that follow time; None where they have no room. ``is_spoken``: each says when it was, else
    only the last one does.
    """
    low, high = happened[0].ns, happened[-1].ns
    texts = [f"{m.glyph} {m.label}" for m in happened]
    for number in range(1, len(texts)):
        if is_spoken or number == len(texts) - 1:
            texts[number] += f" +{span(happened[number].ns - low)}"
    places: list[int] = []
    for number, moment in enumerate(happened):
        wanted = round((moment.ns - low) / max(high - low, 1) * (room - cell_count(texts[-1])))
        places.append(max(wanted, places[-1] + cell_count(texts[number - 1]) + 2) if places else 0)
    limit = room
    for number in range(len(places) - 1, -1, -1):
        places[number] = min(places[number], limit - cell_count(texts[number]))
        limit = places[number] - 2
    if places[0] < 0:
        return None
    line: Line = []
    at = 0
    for column, text, moment in zip(places, texts, happened, strict=True):
        if column > at:
            line.append((f" {DASH * max(column - at - 2, 0)} " if at else " " * column, "dim"))
        line.append((text, moment.kind))
        at = column + cell_count(text)
    return line


def _crowded(happened: list[Moment], room: int) -> Line:
    """More than fits: one after the other, the middle counted."""
    texts = [f"{m.glyph} {m.label}" for m in happened]
    tail = f" +{span(happened[-1].ns - happened[0].ns)}"
    ends = 1
    while sum(cell_count(t) + 3 for t in texts[: ends + 1]) + sum(
        cell_count(t) + 3 for t in texts[-ends - 1 :]
    ) + 10 + len(tail) < room and 2 * ends + 2 < len(texts):
        ends += 1
    line: Line = []
    for text, moment in zip(texts[:ends], happened[:ends], strict=True):
        line += [(text, moment.kind), (f" {DASH} ", "dim")]
    hidden = len(texts) - 2 * ends
    if hidden > 0:
        line += [(f"{hidden} more", "dim"), (f" {DASH} ", "dim")]
    for number, (text, moment) in enumerate(zip(texts[-ends:], happened[-ends:], strict=True)):
        line += [(text, moment.kind), (f" {DASH} " if number < ends - 1 else "", "dim")]
    return [*line, (tail, "dim")]
