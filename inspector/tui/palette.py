"""The command palette: what a key reaches, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual.app import App, SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen

MOVES = ("move", "page", "edge", "step(-1", "leap")
"""Actions that go about on a screen: nobody looks for them by name."""


def commands(app: App[int], screen: Screen[object]) -> Iterator[SystemCommand]:
    """A command for each key of the screen that does something now."""
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is not None and active.enabled and not binding.action.startswith(MOVES):
            yield SystemCommand(
                binding.description,
                f"{binding.tooltip}  [{binding.key_display or binding.key}]",
                _runner(app, active.node, binding.action),
            )
    yield SystemCommand("Theme", "Change the colours", app.action_change_theme)


def _runner(app: App[int], node: DOMNode, action: str) -> Callable[[], object]:
    async def run() -> None:
        await app.run_action(action, default_namespace=node)

    return run
