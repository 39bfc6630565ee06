"""An incident drawn as a ladder: the client on the left, a lane for the balancer where both its legs were seen and for each back end, messages as arrows,
gaps, sizes and frame numbers beside. Pure functions.
"""

from __future__ import annotations

from inspector.reports.story import BALANCER, Chapter, Ladder, Rung, lanes
from inspector.safe import safe_text
from inspector.times import span
from inspector.tui.marks import Kind, Line

TIME, FRAME, GAP, SIZE = 11, 10, 9, 8
LANE = 18
ROOM_FOR_SIZE, ROOM_FOR_GAP = 96, 110
SHAFTS = {"clear": "━", "decrypted": "┅", "encrypted": "┄"}
ROLES: dict[str, Kind] = {"declined": "bad", "resumed": "good", "origin": "head"}


def drawn(ladder: Ladder, names: dict[str, str], width: int) -> list[Line]:
    """The whole ladder at a width. ``names``: what stands over each lane."""
    order = lanes(ladder)
    gap = GAP if width >= ROOM_FOR_GAP else 0
    size = SIZE if width >= ROOM_FOR_SIZE else 0
    room = max(width - TIME - FRAME - gap - size - 2, 24)
    places = _places(order, room)
    head = list(" " * room)
    _write(head, 0, "client", places[order[0]] - 1)
    for label, place in places.items():
        text = names.get(label, label)
        _write(head, max(place - len(text) + 1, 8), text, place + 1)
    title: Line = [("time".ljust(TIME) + ("gap".rjust(gap - 2) + "  " if gap else ""), "dim"), ("".join(head), "head")]
    lines: list[Line] = [[*title, (("bytes".rjust(size) if size else "") + "  " + "frame".rjust(FRAME), "dim")]]
    for chapter in ladder.chapters:
        lines.append([(safe_text(chapter.title), ROLES.get(chapter.role, "head"))])
        before: int | None = None
        for rung in chapter.rungs:
            first = rung.events[0].ns if rung.events else rung.ns
            between = span(first - before) if before is not None else ""
            before = rung.ns
            text, kind = _rung(chapter, rung, places, room)
            beside = rung.offset.rjust(TIME - 1) + " " + (between.rjust(gap - 2) + "  " if gap else "")
            behind = (f"{rung.size:,}" if rung.size else "").rjust(size) if size else ""
            lines.append([(beside, "dim"), (text, kind), (f"{behind}  {rung.frame.rjust(FRAME)}", "dim")])
        lines += [[("log".rjust(TIME - 1) + " ", "dim"), (safe_text(note, max(width - TIME - 1, 20)), "")] for note in chapter.notes]
    return lines


def _places(order: list[str], room: int) -> dict[str, int]:
    """Where the lanes stand: back ends near the right edge, so that messages have room before them; a balancer halfway."""
    if BALANCER in order:
        return {label: room * (i + 1) // len(order) - 1 for i, label in enumerate(order)}
    apart = min(LANE, room // (len(order) + 1))
    return {label: room - 1 - apart * (len(order) - 1 - i) for i, label in enumerate(order)}


def _rung(chapter: Chapter, rung: Rung, places: dict[str, int], room: int) -> tuple[str, Kind]:
    start, end = 0, places[chapter.backend]
    if BALANCER in places:
        start, end = (places[BALANCER] + 1, end) if rung.leg else (0, places[BALANCER])
    area = [" "] * room
    for other in places.values():
        area[other] = "│"
    shaft = SHAFTS[rung.visibility]
    text = safe_text(rung.text)
    between = end - start
    if rung.from_client:
        text = text if len(text) <= between - 3 else text[: max(between - 4, 0)] + "…"
        _write(area, start, f"{text} {shaft * max(between - len(text) - 2, 1)}▶", end)
    else:
        tip = f"◀{shaft * (3 if between > 40 else 1)} "
        limit = end if BALANCER in places else room
        _write(area, start, tip + text, limit)
        behind = start + len(tip) + len(text)
        if behind < end - 1:
            _write(area, behind + 1, shaft * (end - behind - 1), end)
        if behind > limit:
            area[limit - 1] = "…"
    kind: Kind = "bad" if rung.bad else "warn" if "alert" in rung.text and rung.visibility != "encrypted" else ""
    return "".join(area), kind


def _write(area: list[str], at: int, text: str, end: int) -> None:
    """Put text into the area, cut at ``end``."""
    for i, character in enumerate(text):
        if at + i >= min(end, len(area)):
            break
        area[at + i] = character
