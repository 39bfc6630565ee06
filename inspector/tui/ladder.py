"""An incident drawn as a ladder: the client on the left, a lane for each back end, messages as arrows, frame numbers on the right. Pure functions."""

from __future__ import annotations

from inspector.reports.story import Chapter, Ladder, Rung
from inspector.safe import safe_text
from inspector.tui.marks import Kind, Line

TIME, FRAME = 11, 10
SHAFTS = {"clear": "━", "decrypted": "┅", "encrypted": "┄"}
ROLES: dict[str, Kind] = {"declined": "bad", "resumed": "good", "origin": "head"}


def lanes(ladder: Ladder) -> list[str]:
    """The letters of the back ends in the order of their appearance."""
    return list(dict.fromkeys(chapter.backend for chapter in ladder.chapters))


def drawn(ladder: Ladder, names: dict[str, str], width: int) -> list[Line]:
    """The whole ladder at a width. ``names``: what stands over each lane."""
    order = lanes(ladder)
    room = max(width - TIME - FRAME - 2, 24)
    places = {label: room * (i + 1) // len(order) - 1 for i, label in enumerate(order)}
    head = list(" " * room)
    _write(head, 0, "client", places[order[0]] - 1)
    for label, place in places.items():
        text = names.get(label, label)
        _write(head, max(place - len(text) + 1, 8), text, place + 1)
    lines: list[Line] = [[("time".ljust(TIME), "dim"), ("".join(head), "head"), ("  " + "frame".rjust(FRAME), "dim")]]
    for chapter in ladder.chapters:
        lines.append([(safe_text(chapter.title), ROLES.get(chapter.role, "head"))])
        lines += [_rung(chapter, rung, places, room) for rung in chapter.rungs]
    return lines


def _rung(chapter: Chapter, rung: Rung, places: dict[str, int], room: int) -> Line:
    place = places[chapter.backend]
    area = [" "] * room
    for other in places.values():
        area[other] = "│"
    shaft = SHAFTS[rung.visibility]
    text = safe_text(rung.text)
    if rung.from_client:
        text = text if len(text) <= place - 3 else text[: place - 4] + "…"
        arrow = f"{text} {shaft * max(place - len(text) - 2, 1)}▶"
        _write(area, 0, arrow, place)
    else:
        tip = f"◀{shaft * 3} "
        _write(area, 0, tip + text, room)
        if len(tip) + len(text) < place - 1:
            _write(area, len(tip) + len(text) + 1, shaft * (place - len(tip) - len(text) - 1), place)
        if len(tip) + len(text) > room:
            area[room - 1] = "…"
    kind: Kind = "bad" if rung.bad else "warn" if "alert" in rung.text and rung.visibility == "clear" else ""
    return [(rung.offset.rjust(TIME - 1) + " ", "dim"), ("".join(area), kind), ("  " + rung.frame.rjust(FRAME), "dim")]


def _write(area: list[str], at: int, text: str, end: int) -> None:
    """Put text into the area, cut at ``end``."""
    for i, character in enumerate(text):
        if at + i >= min(end, len(area)):
            break
        area[at + i] = character
