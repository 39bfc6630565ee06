"""What a screen may ask of the app, whichever app that is: so screens know each other's neighbours by what they can do,
and not the app that knows them all.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from textual.app import App

from inspector.document import Service
from inspector.facts import ConnectionFacts
from inspector.packets.messages import RawMessage
from inspector.reports.story import Rung
from inspector.text.safe import safe_text

MOST_TEXT = 500
"""Characters of a notification."""


class Target(NamedTuple):
    """A rung that can be decoded: of which connection or leg, and which messages."""

    connection: ConnectionFacts
    title: str
    rung: Rung

    @property
    def frame(self) -> int:
        """The reference of its first frame."""
        return self.rung.events[0].frame if self.rung.events else self.connection.first_frame


class Shell(Protocol):
    """The app, as its screens see it."""

    def status(self) -> str:
        """What goes on, for the line of areas."""

    def action_area(self, area: str) -> None:
        """To an area, as it was left."""

    def open_area(self, area: str) -> None:
        """To the first screen of an area."""

    def open_message(self, targets: list[Target], index: int) -> None:
        """Decode the messages of a rung, one of those on the page."""

    def pick(self, target: Target) -> object:
        """Pick the first message of a rung."""

    def picked(self, title: str, message: RawMessage) -> None:
        """A message for a comparison."""

    def go_on_in_wireshark(self, reference: int) -> None:
        """Open a frame there."""

    def propose_probe(self, service: Service | None) -> None:
        """Show the command that would probe a service; None where there is none."""

    def save_connections(self, indexes: list[int]) -> None:
        """Ask for a path and write the packets of some connections there."""


def notify_from_thread(app: App[int], text: str, *, is_error: bool = False) -> None:
    """What became of work that a thread did."""

    def notify() -> None:
        app.notify(safe_text(text, MOST_TEXT), severity="error" if is_error else "information", markup=False)

    app.call_from_thread(notify)
