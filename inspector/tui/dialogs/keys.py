"""All keys of a screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label

from inspector.tui.rows import Cell, Column, Rows

KEY_WORDS = {"question_mark": "?", "slash": "/", "pageup": "page up", "pagedown": "page down"}


class Key(NamedTuple):
    """``keys``: as people write them. ``about``: what it does."""

    id: str
    keys: str
    name: str
    about: str


def listed(bindings: Iterable[ActiveBinding]) -> list[Key]:
    """The bindings of ours that are active, those with several keys once."""
    keys: dict[str, Key] = {}
    for active in bindings:
        binding = active.binding
        if binding.id is None or not active.enabled:
            continue
        key = KEY_WORDS.get(binding.key, binding.key)
        known = keys.get(binding.id)
        keys[binding.id] = (
            known._replace(keys=f"{known.keys}, {key}")
            if known
            else Key(binding.id, key, binding.description, binding.tooltip or binding.description)
        )
    return list(keys.values())


class KeysDialog(ModalScreen[None]):
    """``keys``: as ``listed`` gives them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close", tooltip="Close the list of keys", id="keys_close")
    ]

    def __init__(self, keys: list[Key]) -> None:
        super().__init__(classes="dialog")
        self.keys = keys

    def compose(self) -> ComposeResult:
        with Vertical(classes="tall"):
            yield Label(Content("Keys of this screen"), classes="title")
            yield Rows(
                [Column("key", 14), Column("", 16, 1), Column("what it does", 0)],
                len(self.keys),
                self._row,
                "none",
                id="keys",
            )

    def _row(self, index: int) -> list[Cell]:
        key = self.keys[index]
        return [(key.keys, "head"), (key.name, ""), (key.about, "dim")]
