"""The filter: a line with completion, the fields explained below it, mistakes shown under their column, the last
filters one key away.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from inspector.query.completion import Suggestion, completions, last_word
from inspector.query.filter_tokens import FilterError
from inspector.query.language import compile_filter
from inspector.text.safe import safe_text
from inspector.tui.app_state import AppState

MOST_REASON = 400
"""Characters of what is wrong: with the values that a field may have, or the fields that there are."""

EXAMPLE = 'outcome:aborted backend:B cert~puppetdb1 rtt>5ms -kind:full "text"'


class Completion(Suggester):
    """Completes the last word."""

    def __init__(self, state: AppState) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._state = state

    async def get_suggestion(self, value: str) -> str | None:
        """The whole line, or None."""
        word = last_word(value)
        if not word:
            return None
        fitting = [
            s.text
            for s in completions(value, self._state.columns)
            if s.text.startswith(word) and s.text != word and safe_text(s.text, 1000) == s.text
        ]
        return value[: len(value) - len(word)] + fitting[0] if fitting else None


class FilterDialog(ModalScreen[str | None]):
    """Dismissed with an expression that compiles (empty for none), or None where nothing is to change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Leave it", tooltip="Close; the filter stays as it was", id="filter_leave"),
        Binding("tab", "complete", "Complete", tooltip="Take the completion that is shown", id="filter_complete"),
        Binding(
            "down",
            "list(1)",
            "Last filters and fields",
            priority=True,
            tooltip="Into the list: last filters, fields, values",
            id="filter_down",
        ),
        Binding(
            "up",
            "list(-1)",
            "Up",
            show=False,
            priority=True,
            tooltip="Up in the list, and from its first line back to the filter",
            id="filter_up",
        ),
    ]

    def __init__(self, state: AppState) -> None:
        super().__init__(classes="dialog")
        self._state = state

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content("Filter connections"), classes="title")
            yield Input(
                self._state.view.filter, placeholder=EXAMPLE, suggester=Completion(self._state), select_on_focus=False
            )
            yield Static(id="hint")
            yield OptionList(id="completions", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._explain(self._state.view.filter)

    def on_input_changed(self, message: Input.Changed) -> None:
        self._explain(message.value)

    def _explain(self, text: str) -> None:
        hint = self.query_one("#hint", Static)
        hint.update(self._judged(text))
        recent = [e for e in self._state.recent if not text.strip() or text in e]
        suggestions = [Suggestion(e, "used before", is_whole=True) for e in recent]
        suggestions += completions(text, self._state.columns)
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(
            Option(
                Content.assemble((safe_text(s.text, 100), "bold"), "  ", (safe_text(s.about, 100), "$text-muted")),
                id=f"{i}",
            )
            for i, s in enumerate(suggestions)
        )
        self._suggestions = suggestions

    def _judged(self, text: str) -> Content:
        """How many match, or a caret under the mistake."""
        if not text.strip():
            return Content("Enter with nothing takes the filter away.")
        try:
            test = compile_filter(text)
        except FilterError as error:
            field = self.query_one(Input)
            column = error.column - 1 - round(field.scroll_offset.x)
            caret = " " * max(column, 0) + "^"
            reason = safe_text(error.reason, MOST_REASON)
            return Content.assemble((caret + "\n", "bold $text-error"), (reason, "$text-error"))
        columns = self._state.columns
        if columns is None:
            return Content("Applied as soon as all is read.")
        count = len(columns.matching(test, self._state.scope))
        return Content(f"{count:,} of {len(columns.matching(None, self._state.scope)):,} connections match")

    def action_complete(self) -> None:
        """Take what is suggested."""
        field = self.query_one(Input)
        field.focus()
        field.action_end()
        field.action_cursor_right()

    def action_list(self, step: int) -> None:
        """Into the list, through it, and from its first line back to the filter."""
        listed = self.query_one(OptionList)
        if not listed.option_count:
            return
        if listed.has_focus:
            if step < 0 and not listed.highlighted:
                self.query_one(Input).focus()
            elif step < 0:
                listed.action_cursor_up()
            else:
                listed.action_cursor_down()
            return
        if step > 0:
            listed.focus()
            listed.highlighted = 0

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """A field or a value goes into the line; an old filter takes its place."""
        suggestion = self._suggestions[message.option_index]
        field = self.query_one(Input)
        kept = "" if suggestion.is_whole else field.value[: len(field.value) - len(last_word(field.value))]
        field.value = kept + suggestion.text
        field.focus()
        field.action_end()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Apply it, if it says something."""
        text = message.value.strip()
        if text:
            try:
                compile_filter(text)
            except FilterError:
                self.app.bell()
                return
        self.dismiss(text)
