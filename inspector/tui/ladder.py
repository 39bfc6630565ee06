"""An incident drawn as a ladder: the client on the left, a lane for the balancer where both its legs were seen and for
each back end, messages as arrows, gaps, sizes and frame numbers beside; where there is no room for lanes, a line a
message. Pure functions.
"""

from __future__ import annotations

from inspector.reports.lines import Kind, Line
from inspector.reports.story import BALANCER, Chapter, Ladder, Rung, lanes
from inspector.text.cells import cell_count, cut, left_aligned
from inspector.text.safe import safe_text
from inspector.text.times import span

TIME, FRAME, GAP, SIZE = 11, 10, 9, 8
"""Columns beside the lanes, at least."""

LONGEST_FRAME = 27
LANE = 18
NARROW = 76
"""Below this width there is no room for lanes: a line a message, with an arrow before it."""

NAMED_SIDES = 50
"""From this width on such a line names the sides where there are more than two."""

LEAST_LANE = 10
"""Columns that a lane needs where every message stands between two of them."""

ROOM_FOR_SIZE, ROOM_FOR_GAP = 96, 110
TENTH_MS = 100_000
SECONDS_NS = 10_000 * 1_000_000_000
"""Up to here a time is written in seconds with all its digits, so that gaps are seen to be what lies between."""

SHAFTS = {"clear": "━", "decrypted": "┅", "encrypted": "┄"}
SIDES = (("server", "client"), ("back end", "balancer"))
"""Who sends on the leg from the client and on those behind the balancer: the server's side, the client's."""

ROLES: dict[str, Kind] = {"declined": "bad", "resumed": "good", "origin": "head"}


def drawn(ladder: Ladder, names: dict[str, str], width: int) -> list[Line]:
    """The whole ladder at a width, in columns of a terminal. ``names``: what stands over each lane."""
    drawing = _with_lanes(ladder, names, width) if width >= NARROW else []
    return drawing or _without_lanes(ladder, width)


def _without_lanes(ladder: Ladder, width: int) -> list[Line]:
    """A message a line: its time, which way it went, its words as far as there is room, its frame."""
    rungs = [rung for chapter in ladder.chapters for rung in chapter.rungs]
    time = max([TIME, *(len(_time(rung.offset_ns)) + 1 for rung in rungs)])
    frame = min(max([len("frame"), *(len(rung.frame) for rung in rungs)]), LONGEST_FRAME, width // 3)
    room = max(width - time - frame - 2, 0)
    named = width >= NAMED_SIDES and any(rung.leg for rung in rungs)
    lines: list[Line] = [
        [
            ("time".ljust(time), "dim"),
            (left_aligned(cut("client ▶ ◀ server", room), room), "head"),
            ("  " + "frame".rjust(frame), "dim"),
        ]
    ]
    for chapter in ladder.chapters:
        is_cut = cell_count(safe_text(chapter.title)) > width
        (title, kind), *_ = _title(chapter, width - cell_count(chapter.backend) - 1 if is_cut else width)
        lines.append([(f"{title} {chapter.backend}" if is_cut else title, kind)])  # no lane says which back end it was
        for rung in chapter.rungs:
            shaft = SHAFTS[rung.visibility]
            arrow = f"{shaft}▶" if rung.from_client else f"◀{shaft}"
            side = f"{SIDES[rung.leg > 0][rung.from_client]:<8} " if named else ""
            text = left_aligned(cut(f"{side}{arrow} {safe_text(rung.text)}", room), room)
            lines.append(
                [
                    (_time(rung.offset_ns).rjust(time - 1) + " ", "dim"),
                    (text, _kind(rung)),
                    (f"  {cut(rung.frame, frame).rjust(frame)}", "dim"),
                ]
            )
        lines += [_note(note, time, width) for note in chapter.notes]
    return lines


def _with_lanes(ladder: Ladder, names: dict[str, str], width: int) -> list[Line]:
    """Empty where there are too many lanes."""
    order = lanes(ladder)
    rungs = [rung for chapter in ladder.chapters for rung in chapter.rungs]
    time = max([TIME, *(len(_time(rung.offset_ns)) + 1 for rung in rungs)])
    frame = min(max([FRAME, *(len(rung.frame) for rung in rungs)]), LONGEST_FRAME)
    size = max([SIZE, *(len(f"{rung.size:,}") + 1 for rung in rungs)]) if width >= ROOM_FOR_SIZE else 0
    gaps = (
        [_gaps(chapter) for chapter in ladder.chapters]
        if width >= ROOM_FOR_GAP
        else [[""] * len(chapter.rungs) for chapter in ladder.chapters]
    )
    gap = max([GAP, *(len(text) + 2 for texts in gaps for text in texts)]) if width >= ROOM_FOR_GAP else 0
    room = width - time - frame - gap - size - 2
    if BALANCER in order and room // len(order) < LEAST_LANE:
        return []
    places = _places(order, room)
    title: Line = [
        ("time".ljust(time) + ("gap".rjust(gap - 2) + "  " if gap else ""), "dim"),
        (_heads(places, names, room), "head"),
    ]
    lines: list[Line] = [[*title, (("bytes".rjust(size) if size else "") + "  " + "frame".rjust(frame), "dim")]]
    for chapter, between in zip(ladder.chapters, gaps, strict=True):
        lines.append(_title(chapter, width))
        for rung, since in zip(chapter.rungs, between, strict=True):
            text = _rung(chapter, rung, places, room)
            beside = _time(rung.offset_ns).rjust(time - 1) + " " + (since.rjust(gap - 2) + "  " if gap else "")
            behind = (f"{rung.size:,}" if rung.size else "").rjust(size) if size else ""
            lines.append(
                [(beside, "dim"), (text, _kind(rung)), (f"{behind}  {cut(rung.frame, frame).rjust(frame)}", "dim")]
            )
        lines += [_note(note, time, width) for note in chapter.notes]
    return lines


def _title(chapter: Chapter, width: int) -> Line:
    return [(cut(safe_text(chapter.title), width), ROLES.get(chapter.role, "head"))]


def _note(note: str, time: int, width: int) -> Line:
    return [("log".rjust(time - 1) + " ", "dim"), (cut(safe_text(note), width - time), "")]


def _kind(rung: Rung) -> Kind:
    return "bad" if rung.bad else "warn" if rung.has_alert else ""


def _time(ns: int) -> str:
    """A time since the connection began, to a tenth of a millisecond as long as there is room for it."""
    tenths = round(abs(ns) / TENTH_MS)
    sign = "-" if ns < 0 and tenths else "+"
    return sign + _span(tenths) if abs(ns) < SECONDS_NS else f"{sign}{span(abs(ns))}"


def _span(tenths: int) -> str:
    return f"{tenths / 10:.1f} ms" if tenths < 10_000 else f"{tenths / 10_000:.4f} s"


def _gaps(chapter: Chapter) -> list[str]:
    """What lies between each time of a chapter and the one above it, as both are written; a dash where the clock went
    back.
    """
    gaps = [""]
    for before, rung in zip(chapter.rungs, chapter.rungs[1:], strict=False):
        tenths = _tenths(rung.offset_ns) - _tenths(before.offset_ns)
        is_exact = max(abs(before.offset_ns), abs(rung.offset_ns)) < SECONDS_NS
        gaps.append("–" if tenths < 0 else _span(tenths) if is_exact else span(tenths * TENTH_MS))
    return gaps[: len(chapter.rungs)]


def _tenths(ns: int) -> int:
    return round(abs(ns) / TENTH_MS) * (-1 if ns < 0 else 1)


def _heads(places: dict[str, int], names: dict[str, str], room: int) -> str:
    """The client, then what stands over each lane, each as far as there is room up to the lane before."""
    head = list(" " * room)
    _write(head, 0, "client", next(iter(places.values()), room) - 1)
    free = len("client") + 2
    for label, lane in places.items():
        text = names.get(label, label)
        text = text if cell_count(text) <= lane + 1 - free else label
        text = cut(text, max(lane + 1 - free, 0))
        _write(head, lane + 1 - cell_count(text), text, lane + 1)
        free = lane + 2 + (1 if text else 0)
    return "".join(head)


def _places(order: list[str], room: int) -> dict[str, int]:
    """Where the lanes stand: back ends near the right edge, so that messages have room before them; a
    balancer halfway.
    """
    if BALANCER in order:
        return {label: room * (i + 1) // len(order) - 1 for i, label in enumerate(order)}
    apart = min(LANE, room // (len(order) + 1))
    return {label: room - 1 - apart * (len(order) - 1 - i) for i, label in enumerate(order)}


def _rung(chapter: Chapter, rung: Rung, places: dict[str, int], room: int) -> str:
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
        text = cut(text, max(between - 3, 0))
        _write(area, start, f"{text} {shaft * max(between - cell_count(text) - 2, 1)}▶", end)
    else:
        tip = f"◀{shaft * (3 if between > 40 else 1)} "
        limit = end if BALANCER in places else room
        text = cut(text, max(limit - start - len(tip), 0))
        _write(area, start, tip + text, limit)
        behind = start + len(tip) + cell_count(text)
        if behind < end - 1:
            _write(area, behind + 1, shaft * (end - behind - 1), end)
    return "".join(area)


def _write(area: list[str], at: int, text: str, end: int) -> None:
    """Put text into the area, one place a column, cut at ``end``: a wide character takes two places."""
    end = min(end, len(area))
    for character in text:
        wide = cell_count(character)
        if at + wide > end:
            break
        area[at] = character
        if wide == 2:
            area[at + 1] = ""
        at += wide
