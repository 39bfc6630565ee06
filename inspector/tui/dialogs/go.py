"""Which connection to go to."""

from __future__ import annotations

from collections.abc import Callable

from inspector.tui.dialogs.ask import Ask


class GoDialog(Ask):
    """Dismissed with what names a connection, or None."""

    def __init__(self, find: Callable[[str], int | str]) -> None:
        """``find``: the index of the connection that a text names, or what is wrong with the text."""

        def problem(text: str) -> str | None:
            index = find(text)
            return index if isinstance(index, str) else None

        super().__init__("Go to", "frame 470   17:28:21.6   or the beginning of a connection's id", problem)
