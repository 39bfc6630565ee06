"""The keys that mean the same on every screen."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from inspector.tui.areas import AREAS

KEYS: list[BindingType] = [
    *(
        Binding(str(number), f"area('{area}')", area.title(), show=False, tooltip=f"To the {area}", id=area)
        for number, area in enumerate(AREAS, 1)
    ),
    Binding(
        "slash", "filter", "Filter", tooltip="Which connections are shown; completes fields and values", id="filter"
    ),
    Binding("n", "step(1)", "Next finding", show=False, tooltip="To the next finding", id="next"),
    Binding("N", "step(-1)", "Finding before", show=False, tooltip="To the finding before", id="previous"),
    Binding("i", "incident", "Last incident", show=False, tooltip="To the story of the last incident", id="incident"),
    Binding("g", "go", "Go to", tooltip="To a frame, a time or a connection", id="go"),
    Binding(
        "e",
        "export",
        "Export",
        tooltip="Write an incident report, the analysis, connections or packets",
        id="export",
    ),
    Binding(
        "y", "copy", "Copy", tooltip="Copy what this screen is about: sentence, display filter, message", id="copy"
    ),
    Binding(
        "p",
        "freeze",
        "Freeze",
        show=False,
        tooltip="Hold the view still while reading goes on, or let it go again",
        id="freeze",
    ),
    Binding("o", "open", "Open", show=False, tooltip="Open another capture", id="open_file"),
    Binding("b", "return", "Before", show=False, tooltip="Back to what was open before the probe", id="before_probe"),
    Binding(
        "ctrl+r",
        "again",
        "Read again",
        show=False,
        tooltip="Read the same captures again, for files that grow",
        id="again",
    ),
    Binding("question_mark", "keys", "Keys", tooltip="All keys of this screen", id="keys"),
    Binding("q", "quit", "Quit", show=False, tooltip="Leave the program", id="quit"),
    Binding(
        "ctrl+c",
        "quit_or_stop",
        "Quit",
        show=False,
        priority=True,
        tooltip="Leave the program; while a probe runs, stop that",
        id="interrupt",
    ),
]
