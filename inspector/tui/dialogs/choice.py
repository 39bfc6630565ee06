"""One of a few things, chosen from a list."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option as Entry


class Option(NamedTuple):
    """``name`` is the answer, ``text`` what is shown."""

    name: str
    text: str


class Choice(ModalScreen[str | None]):
    """Dismissed with the name that was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Leave it", tooltip="Close without a choice", id="choice_leave")
    ]

    def __init__(self, title: str, options: list[Option], chosen: str = "") -> None:
        super().__init__(classes="dialog")
        self._title = title
        self._options = options
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content(self._title), classes="title")
            yield OptionList(*(Entry(Content(o.text), id=o.name) for o in self._options), markup=False)

    def on_mount(self) -> None:
        """The cursor stands on what is chosen now."""
        self.query_one(OptionList).highlighted = next(
            (i for i, o in enumerate(self._options) if o.name == self._chosen), 0
        )

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        self.dismiss(message.option_id)
