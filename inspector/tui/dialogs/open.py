"""Which capture to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspector.text.safe import path_text
from inspector.tui.dialogs.ask import Ask, Paths


def open_dialog(paths: Sequence[str]) -> Ask:
    """Asks for a path that exists. ``paths``: of what is open; the first one's folder is where one begins."""
    folder = str(Path(paths[0]).parent) if paths and paths[0] != "-" else ""
    return Ask(
        "Open a capture",
        "a file or a directory; tab completes",
        _problem,
        path_text(f"{folder}/" if folder not in ("", ".") else ""),
        Paths(),
    )


def _problem(text: str) -> str | None:
    return None if Path(text).expanduser().exists() else f"{path_text(text)}: there is no such file or directory"
