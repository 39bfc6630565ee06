"""Keys: each is pressed on each screen; documentation, ``?`` and bindings are one list."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from textual.binding import Binding

import inspector.tui
from inspector.tui import bindings
from inspector.tui.dialogs.keys import SAID, KeysDialog, listed
from tests.app import WAYS, app_of, home, loaded, pressed, then
from tests.conftest import find

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "keys.md"
PLACES = {
    "InspectorApp": "Everywhere",
    "Rows": "In every table",
    "Lines": "On every page of lines",
    "Area": "In every area",
    "OverviewScreen": "Overview",
    "ConnectionsScreen": "Connections",
    "SessionsScreen": "Sessions",
    "CertificatesScreen": "Certificates",
    "Told": "A story, a finding, a connection, a certificate",
    "MessageScreen": "Decoded messages",
    "Fields": "The tree of a decoded message",
    "SessionScreen": "One session",
    "DifferenceScreen": "A difference",
    "FilterDialog": "The filter",
    "Ask": "A dialog that asks for text",
    "Choice": "A dialog with a choice",
    "KeysDialog": "The list of keys",
    "LoadingScreen": "While the first look is taken",
}


def every() -> list[tuple[str, Binding]]:
    for module in pkgutil.walk_packages(inspector.tui.__path__, "inspector.tui."):
        importlib.import_module(module.name)
    return list(bindings.everywhere())


def written(keys: str) -> str:
    return ", ".join(f"`{SAID.get(k, k)}`" for k in keys.split(","))


def table() -> str:
    """The document, from the bindings."""
    lines = ["# Keys", "", "Every key of the app, by the name that `[keys]` in the [settings](settings.md) gives it other keys by.", ""]
    for owner, title in PLACES.items():
        lines += [f"## {title}", "", "| key | name | what it does |", "|---|---|---|"]
        lines += [f"| {written(b.key)} | `{b.id}` | {b.tooltip} |" for name, b in every() if name == owner]
        lines.append("")
    return "\n".join(lines)


def test_documentation_and_bindings_are_one_list(request: pytest.FixtureRequest) -> None:
    assert {name for name, _ in every()} == set(PLACES)
    assert all(b.id and b.tooltip and b.description for _, b in every())
    if request.config.getoption("--update-golden"):
        DOCUMENT.write_text(table(), encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == table()


def test_a_name_means_one_thing() -> None:
    meaning: dict[str, set[tuple[str, str]]] = {}
    for _, binding in every():
        meaning.setdefault(binding.id or "", set()).add((binding.key, binding.description))
    assert {name: found for name, found in meaning.items() if len(found) > 1} == {}


@pytest.mark.parametrize("screen", WAYS)
async def test_every_key_on_every_screen(screen: str) -> None:
    """Each bound key is pressed; the app must live. What ``?`` shows is what is bound."""
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await pressed(pilot, *WAYS[screen])
        assert type(app.screen).__name__ == screen
        known = listed(app.screen.active_bindings.values())
        keys = [k for k, bound in app.screen.active_bindings.items() if "quit" not in bound.binding.action and k != "ctrl+c"]
        assert "escape" in keys
        if not app.screen.is_modal:
            await pressed(pilot, "question_mark")
            assert isinstance(app.screen, KeysDialog)
            assert app.screen.keys == known
            assert {k.id for k in known} <= {b.id for _, b in every()}
        for key in keys:
            if type(app.screen).__name__ != screen:
                await home(pilot)
                await pressed(pilot, *WAYS[screen])
            assert type(app.screen).__name__ == screen, f"cannot come back before {key}"
            await pressed(pilot, key)
            await loaded(pilot)
            assert app.is_running, key


async def test_the_palette_reaches_what_keys_reach() -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3")(pilot)
        names = {c.title for c in app.get_system_commands(app.screen)}
        assert {"Services", "Overview", "Incidents", "Filter", "Sort", "Mark", "Export", "Copy", "Theme", "Quit", "Next finding"} <= names
        await pressed(pilot, "ctrl+p", *"Incid", "enter", "enter")
        assert app.current_mode == "incidents"


async def test_keys_can_be_others() -> None:
    from inspector.settings import parse

    app = app_of(find("silent-abort"), settings=parse('[keys]\nincidents = "f6"\n', "settings.toml"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("f6")(pilot)
        assert app.current_mode == "incidents"
