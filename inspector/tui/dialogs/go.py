"""Which connection to go to."""

from __future__ import annotations

from collections.abc import Callable

from inspector.tui.dialogs.ask import Ask


def go_dialog(find: Callable[[str], int | str]) -> Ask:
    """Asks for what names a connection. ``find``: the index of the connection that a text names, or what is wrong."""

    def problem(text: str) -> str | None:
        index = find(text)
        return index if isinstance(index, str) else None

    return Ask("Go to", "frame 470   17:28:21.6   or the beginning of a connection's id", problem)
