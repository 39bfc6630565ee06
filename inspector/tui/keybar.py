"""The keys of a screen in its last line. One widget that paints itself: Textual's Footer mounts a widget for each key,
which is felt whenever a screen opens.
"""

from __future__ import annotations

from textual.content import Content
from textual.events import Click
from textual.widget import Widget

from inspector.reports.lines import Line
from inspector.tui.styles import content

PALETTE = ("^p", "palette", "ctrl+p")


class KeyBar(Widget):
    """What fits of the bindings that want to be shown; the palette at the right. A click is the key."""

    DEFAULT_CSS = (
        "KeyBar { dock: bottom; height: 1; padding: 0 1; background: $footer-background; color: $footer-foreground; }"
    )

    def on_mount(self) -> None:
        """Painted anew whenever other keys are active."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def _keys(self) -> list[tuple[str, str, str]]:
        """How the key is written, what it does, the key; as far as there is room."""
        keys: dict[str, tuple[str, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled:
                keys.setdefault(binding.action, (self.app.get_key_display(binding), binding.description, binding.key))
        shown: list[tuple[str, str, str]] = []
        room = self.size.width - len(PALETTE[0]) - len(PALETTE[1]) - 3
        for key in keys.values():
            room -= len(key[0]) + len(key[1]) + 3
            if room >= 0:
                shown.append(key)
        return shown

    def render(self) -> Content:
        line: Line = []
        for display, text, _ in self._keys():
            line += [(display, "head"), (f" {text}  ", "")]
        rest = self.size.width - sum(len(text) for text, _ in line) - len(PALETTE[0]) - len(PALETTE[1]) - 1
        line += [(" " * max(rest, 0), ""), (PALETTE[0], "head"), (f" {PALETTE[1]}", "")]
        return content([line])

    def on_click(self, event: Click) -> None:
        """As if the key were pressed."""
        at = 1
        for display, text, key in self._keys():
            width = len(display) + len(text) + 1
            if at <= event.x < at + width:
                self.app.simulate_key(key)
                return
            at += width + 2
        if event.x >= self.size.width - len(PALETTE[0]) - len(PALETTE[1]):
            self.app.simulate_key(PALETTE[2])
