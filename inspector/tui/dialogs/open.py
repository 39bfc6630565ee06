"""Which capture to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspector.text.safe import path_text
from inspector.tui.dialogs.ask import Ask, Paths


class OpenDialog(Ask):
    """Dismissed with a path that exists, or None."""

    def __init__(self, paths: Sequence[str]) -> None:
        """``paths``: of what is open; the first one's folder is where one begins."""
        folder = str(Path(paths[0]).parent) if paths and paths[0] != "-" else ""
        super().__init__(
            "Open a capture",
            "a file or a directory; tab completes",
            _problem,
            path_text(f"{folder}/" if folder not in ("", ".") else ""),
            Paths(),
        )


def _problem(text: str) -> str | None:
    return None if Path(text).expanduser().exists() else f"{path_text(text)}: there is no such file or directory"
