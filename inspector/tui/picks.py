"""Two messages to compare: the first waits until the second is picked, on whichever screen."""

from __future__ import annotations

from functools import partial

from textual.app import App

from inspector.errors import InspectorError
from inspector.packets.messages import RawMessage
from inspector.text.safe import safe_text
from inspector.tls.tree import flattened
from inspector.tui.app_state import AppState, Picked
from inspector.tui.difference import DifferenceScreen
from inspector.tui.message import of_rung
from inspector.tui.shell import Target, notify_from_thread


class Picks:
    """``state.picked`` holds what waits."""

    def __init__(self, app: App[int], state: AppState) -> None:
        self._app = app
        self._state = state

    def pick(self, target: Target) -> None:
        """Pick the first message of a rung; its bytes are read again, in a thread."""
        self._app.run_worker(
            partial(self._read, target), thread=True, exclusive=True, exit_on_error=False, group="pick"
        )

    def _read(self, target: Target) -> None:
        try:
            messages = of_rung(self._state.messages(target.connection), target.rung.events)
        except (OSError, InspectorError) as error:
            notify_from_thread(self._app, str(error), is_error=True)
            return
        if messages:
            self._app.call_from_thread(self.picked, f"{messages[0].tree.name}, frame {target.rung.frame}", messages[0])
        else:
            notify_from_thread(self._app, "There is no message to pick here.")

    def picked(self, title: str, message: RawMessage) -> None:
        """A message for a comparison; the second one shows the difference."""
        state = self._state
        state.picked.append(Picked(title, message))
        if len(state.picked) < 2:
            self._app.notify(
                f"Picked {safe_text(title, 80)}. Space on another message, here or elsewhere, shows the difference.",
                markup=False,
            )
            return
        pair, state.picked = state.picked[:2], []
        self._app.push_screen(
            DifferenceScreen(state, "Two messages", [p.title for p in pair], [flattened(p.message.tree) for p in pair])
        )
