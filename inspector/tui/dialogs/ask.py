"""One line of text: a place, a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static

from inspector.text.safe import path_text, safe_text


class Paths(Suggester):
    """Completes a path with the first entry that fits."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    @staticmethod
    def _expanded(folder: str) -> str:
        return os.path.expanduser(folder) or "."

    async def get_suggestion(self, value: str) -> str | None:
        """The whole path, or None."""
        folder, start = os.path.split(value)
        if not start:
            return None
        try:
            with os.scandir(self._expanded(folder)) as entries:
                fitting = sorted(
                    e.name + ("/" if e.is_dir() else "")
                    for e in entries
                    if e.name.startswith(start) and path_text(e.name) == safe_text(e.name, 1000)
                )
        except OSError:
            return None
        return os.path.join(folder, fitting[0]) if fitting else None


class Ask(ModalScreen[str | None]):
    """Dismissed with the text, or None. ``check`` says what is wrong with a text, or None where nothing is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Leave it", tooltip="Close without an answer", id="ask_leave"),
        Binding("tab", "complete", "Complete", tooltip="Take the completion that is shown", id="ask_complete"),
    ]

    def __init__(
        self,
        title: str,
        hint: str,
        check: Callable[[str], str | None],
        value: str = "",
        suggester: Suggester | None = None,
    ) -> None:
        super().__init__(classes="dialog")
        self._title = title
        self._hint = hint
        self._check = check
        self._value = value
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content(self._title), classes="title")
            yield Input(self._value, suggester=self._suggester, select_on_focus=False)
            yield Static(Content(self._hint), id="hint")

    def action_complete(self) -> None:
        """As the right arrow does."""
        self.query_one(Input).action_cursor_right()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        problem = self._check(message.value)
        if problem is None:
            self.dismiss(message.value)
        else:
            self.query_one("#hint", Static).update(Content.assemble((safe_text(problem, 500), "$text-error")))
