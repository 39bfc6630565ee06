"""What each key does, as a person sees it: one line for each name of a key, and the places where it does something
else, or nothing, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from inspector.tui.areas import AREAS
from tests.observed import Observed

Check = Callable[[Observed, Observed], bool]
NO_MORE = "No further finding here."


def opens(screen: str) -> Check:
    return lambda before, after: (
        after.screen == screen and after.stack[:-1] == before.stack and after.mode == before.mode
    )


def leads_to(area: str) -> Check:
    """Another area as it was left; the same area at its first screen."""
    return lambda before, after: (
        after.mode == area and after.stack != before.stack and (before.mode != area or after.stack == before.stack[:1])
    )


def says(words: str) -> Check:
    return lambda before, after: after.notified == (words,) and after.changed(before) == {"notified"}


def changes(*names: str) -> Check:
    return lambda before, after: after.changed(before) >= set(names)


def is_back(before: Observed, after: Observed) -> bool:
    return after.stack == before.stack[:-1] and after.mode == before.mode


def is_further(before: Observed, after: Observed) -> bool:
    return after.place > before.place and after.stack == before.stack


def is_nearer(before: Observed, after: Observed) -> bool:
    return after.place < before.place and after.stack == before.stack


def is_at_once_nearest(before: Observed, after: Observed) -> bool:
    return is_nearer(before, after) and after.place[-1] == 0


def is_replaced(before: Observed, after: Observed) -> bool:
    """Another screen in the place of this one."""
    return after.stack[:-1] == before.stack[:-1] and after.stack != before.stack


def is_story(before: Observed, after: Observed) -> bool:
    return (
        after.screen == "StoryScreen"
        and after.mode == "incidents"
        and len(after.stack) == 2
        and after.stack != before.stack
    )


def is_copied(before: Observed, after: Observed) -> bool:
    return after.clipboard != before.clipboard and after.notified[0].startswith("Copied ")


def is_read_again(before: Observed, after: Observed) -> bool:
    return after.reading != before.reading and not after.is_frozen and after.stack == before.stack[:1]


def is_marked(before: Observed, after: Observed) -> bool:
    return len(after.marks) == len(before.marks) + 1


def is_picked(before: Observed, after: Observed) -> bool:
    return len(after.picks) == 1 and after.notified[0].startswith("Picked ")


def is_nothing(before: Observed, after: Observed) -> bool:
    return not after.changed(before)


OPENED: dict[str, Check] = {
    "ServicesScreen": leads_to("overview"),
    "OverviewScreen": opens("StoryScreen"),
    "ConnectionsScreen": opens("ConnectionScreen"),
    "SessionsScreen": opens("SessionScreen"),
    "CertificatesScreen": opens("CertificateScreen"),
    "IncidentsScreen": opens("StoryScreen"),
    "SessionScreen": opens("ConnectionScreen"),
    "DifferenceScreen": changes("notified"),
    "KeysDialog": is_nothing,
}
"""What the row under the cursor leads to, by the screen that the table is on. The list of keys is there to be read."""

DEEDS: dict[str, Check] = {
    **{area: leads_to(area) for area in AREAS},
    "filter": opens("FilterDialog"),
    "next": is_further,
    "previous": is_nearer,
    "incident": is_story,
    "go": opens("Ask"),
    "export": opens("Choice"),
    "copy": is_copied,
    "freeze": changes("is_frozen"),
    "open_file": opens("Ask"),
    "again": is_read_again,
    "keys": opens("KeysDialog"),
    "up": is_nearer,
    "down": is_further,
    "page_up": is_nearer,
    "page_down": is_further,
    "first": is_at_once_nearest,
    "last": is_further,
    "open": lambda before, after: OPENED[before.screen](before, after),
    "decode": opens("MessageScreen"),
    "line_up": is_nearer,
    "line_down": is_further,
    "lines_page_up": is_nearer,
    "lines_page_down": is_further,
    "top": is_at_once_nearest,
    "bottom": is_further,
    "up_area": leads_to("services"),
    "everything": changes("everything"),
    "pane": changes("words"),
    "remedies": opens("StoryScreen"),
    "mark": is_marked,
    "unmark": lambda before, after: bool(before.marks) and not after.marks,
    "difference": opens("DifferenceScreen"),
    "save": opens("Ask"),
    "sort": opens("Choice"),
    "reverse": changes("sorted_by"),
    "pick_certificate": opens("DifferenceScreen"),
    "pick": is_picked,
    "back": is_back,
    "aside_left": changes("place"),
    "aside_right": changes("place"),
    "before": changes("words"),
    "after": changes("words"),
    "filter_leave": is_back,
    "filter_complete": changes("text", "place"),
    "filter_down": lambda before, after: after.focus == "OptionList#completions" and before.focus.startswith("Input"),
    "filter_up": lambda before, after: after.focus.startswith("Input") and before.focus == "OptionList#completions",
    "ask_leave": is_back,
    "ask_complete": changes("text", "place"),
    "choice_leave": is_back,
    "keys_close": is_back,
    "wireshark": is_copied,
    "probe": opens("ProbeProposal"),
    "probe_start": lambda before, after: is_back(before, after) and after.notified == ("nobody was asked",),
    "probe_change": opens("Ask"),
    "probe_leave": is_back,
}
"""By the name of the key."""


class Otherwise(NamedTuple):
    """What a key does on one screen, and why that is not what it does elsewhere."""

    check: Check
    reason: str


NOTHING_OF = {
    "scroll_left": "no page is wider than the screen",
    "scroll_right": "no page is wider than the screen",
    "page_left": "no page is wider than the screen",
    "page_right": "no page is wider than the screen",
    "screen.copy_text": "nothing was selected with the mouse",
}
"""Keys that Textual gives to all that scrolls, by their action."""

ONE_ROW = Otherwise(is_nothing, "there is one service")
ONE_LINE = Otherwise(is_nothing, "a field has one line")
NO_STEPS = Otherwise(says(NO_MORE), "one steps through tables and stories")
NO_MESSAGES = Otherwise(is_nothing, "no message stands on this page")
OTHERWISE: dict[tuple[str, str], Otherwise] = {
    **{(f"{area.title()}Screen", area): Otherwise(is_nothing, "it is there already") for area in AREAS},
    ("ServicesScreen", "up_area"): Otherwise(is_nothing, "nothing stands above the services"),
    **{("ServicesScreen", name): ONE_ROW for name in ("up", "down", "first", "last", "page_up", "page_down")},
    **{
        (f"{screen}Screen", name): NO_STEPS
        for screen in ("Services", "Certificates", "Connection", "Message", "Session", "Certificate", "Difference")
        for name in ("next", "previous")
    },
    ("SessionsScreen", "reverse"): Otherwise(
        changes("place"), "the cursor stays on its session, whose place is another"
    ),
    ("StoryScreen", "next"): Otherwise(is_replaced, "the next story comes in place of this one"),
    ("StoryScreen", "previous"): Otherwise(says(NO_MORE), "it is the first"),
    ("FindingScreen", "next"): Otherwise(says(NO_MORE), "it is the last"),
    ("FindingScreen", "previous"): Otherwise(is_replaced, "the finding before comes in place of this one"),
    **{
        (screen, name): NO_MESSAGES
        for screen in ("FindingScreen", "CertificateScreen")
        for name in ("decode", "pick", "wireshark")
    },
    **{
        (dialog, name): ONE_LINE
        for dialog in ("FilterDialog", "Ask")
        for name in ("scroll_up", "scroll_down", "page_up", "page_down")
    },
    ("MessageScreen", "page_left"): Otherwise(changes("place"), "the tree is wider than the screen"),
    ("MessageScreen", "page_right"): Otherwise(changes("place"), "the tree is wider than the screen"),
    ("Ask", "ask_complete"): Otherwise(is_nothing, "only paths are completed"),
}
"""By screen and name of the key, or where Textual gives the key, its action."""

LOWEST, HIGHEST = ("end",), ("home",)
READY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("up", "page_up", "first", "line_up", "lines_page_up", "top"), LOWEST),
    **dict.fromkeys(("down", "page_down", "last", "line_down", "lines_page_down", "bottom", "next"), HIGHEST),
    "previous": LOWEST,
    "open": HIGHEST,
    "decode": HIGHEST,
    "pick_certificate": ("home", "space", "end"),
    "unmark": ("space",),
    "difference": ("space", "space"),
    "before": ("right",),
    "aside_left": ("shift+right",),
    "page_left": ("shift+right",),
    "filter_up": ("down",),
    "filter_complete": tuple("outc"),
    "cursor_up": ("end",),
    "scroll_home": ("end",),
    "page_up": ("end",),
    "page_down": ("home",),
    "first": ("end",),
    "cursor_previous_sibling": ("end",),
    "cursor_parent_next_sibling": ("home", "down"),
}
"""Keys that are pressed before, so that a key has something to do."""
