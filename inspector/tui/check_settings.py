"""The names of all keys, for settings and docs, and the check of what settings and command line name."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from textual.binding import Binding
from textual.dom import DOMNode

from inspector.errors import UsageError
from inspector.settings import Settings
from inspector.text.safe import safe_text
from inspector.tui.app_state import View


def everywhere(kind: type[DOMNode] = DOMNode) -> Iterator[tuple[str, Binding]]:
    """Every binding of ours with the class that has it."""
    for child in kind.__subclasses__():
        yield from everywhere(child)
        if child.__module__.startswith("inspector."):
            for binding in child.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding):
                    yield child.__name__, binding


def check(settings: Settings, themes: Collection[str], columns: Collection[str], view: View) -> None:
    """Raises UsageError for a name that does not exist."""
    if settings.theme and settings.theme not in themes:
        raise settings.mistake(
            "theme", f"there is no theme {safe_text(settings.theme, 40)} (there are {', '.join(sorted(themes))})"
        )
    settings.check("keys", settings.keys, {binding.id for _, binding in everywhere() if binding.id})
    settings.check("columns", settings.columns, columns)
    if view.sort and view.sort.removeprefix("-") not in columns:
        raise UsageError(f"--sort {safe_text(view.sort, 40)}: no such column", f"there are {', '.join(columns)}")
