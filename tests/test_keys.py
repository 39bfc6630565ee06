"""Keys: each is pressed on each screen; documentation, ``?`` and bindings are one list."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input
from textual.widgets.input import Selection

import inspector.tui
from inspector.tui import check_settings
from inspector.tui.app import InspectorApp, screen_class
from inspector.tui.areas import AREAS
from inspector.tui.dialogs.keys import KEY_WORDS, KeysDialog, listed
from tests.app import WAYS, app_of, home, loaded, pressed, then
from tests.conftest import find
from tests.deeds import DEEDS, NOTHING_OF, OTHERWISE, READY, Check, changes, is_nothing
from tests.observed import Observed, observed

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "keys.md"
PLACES = {
    "InspectorApp": "Everywhere",
    "Rows": "In every table",
    "LineView": "On every page of lines",
    "Area": "In every area",
    "ServicesScreen": "Services",
    "OverviewScreen": "Overview",
    "ConnectionsScreen": "Connections",
    "SessionsScreen": "Sessions",
    "CertificatesScreen": "Certificates",
    "DetailPage": "A story, a finding, a connection, a certificate",
    "MessageScreen": "Decoded messages",
    "FieldTree": "The tree of a decoded message",
    "SessionScreen": "One session",
    "DifferenceScreen": "A difference",
    "FilterDialog": "The filter",
    "Ask": "A dialog that asks for text",
    "Choice": "A dialog with a choice",
    "KeysDialog": "The list of keys",
    "ProbeProposal": "A probe that is proposed",
    "ProbeProgress": "A probe that runs",
    "LoadingScreen": "While the first look is taken",
}


def every() -> list[tuple[str, Binding]]:
    for module in pkgutil.walk_packages(inspector.tui.__path__, "inspector.tui."):
        importlib.import_module(module.name)
    return list(check_settings.everywhere())


def written(keys: str) -> str:
    return ", ".join(f"`{KEY_WORDS.get(k, k)}`" for k in keys.split(","))


def table() -> str:
    """The document, from the bindings."""
    lines = [
        "# Keys",
        "",
        "Every key of the app, by the name that `[keys]` in the [settings](settings.md) gives it other keys by.",
        "",
    ]
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


class Pressing:
    """An app that is brought back to the screen in hand before each key."""

    def __init__(self, pilot: Pilot[Any], screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert isinstance(pilot.app, InspectorApp)
        self.app, self.pilot, self.name = pilot.app, pilot, screen
        self.notified: list[str] = []
        monkeypatch.setattr(self.app, "notify", lambda text, **_: self.notified.append(text))

    async def come(self) -> None:
        """The way there, as a person goes it."""
        await pressed(self.pilot, *WAYS[self.name])
        self.here = self.app.screen
        self.focus = self.here.focused
        assert type(self.here).__name__ == self.name

    async def back(self) -> None:
        """To where it was, without the way where the screen is still there."""
        app = self.app
        mode = next((mode for mode, stack in app._screen_stacks.items() if self.here in stack), None)
        if mode is None:
            await home(self.pilot)
            await self.come()
        else:
            app.switch_mode(mode)
            while app.screen is not self.here:
                app.pop_screen()
        app.state.picked.clear()
        app.state.marks.clear()
        app.copy_to_clipboard("")
        self.here.set_focus(self.focus)
        await self.pilot.pause()

    async def press(self, key: str, binding: Binding) -> tuple[Observed, Observed]:
        """What is seen before and after a key, from where it has something to do."""
        await self.back()
        if isinstance(self.focus, Input):
            self.focus.value = "" if binding.id else "row:6 row:6 row:6"
            self.focus.selection = Selection(6, 11)
            self.app.copy_to_clipboard("pasted")
        await pressed(self.pilot, *READY.get(binding.id or binding.action, ()))
        self.notified.clear()
        before = observed(self.app, self.notified)
        await pressed(self.pilot, key)
        if id(self.app.feed.loading) != before.reading:
            await loaded(self.pilot)
        return before, observed(self.app, self.notified)


def bound(app: InspectorApp) -> Iterator[tuple[str, Binding]]:
    """The keys of the screen but for those that leave. Where what scrolls has a key first and skips it because nothing
    scrolls that way, ours comes next.
    """
    for key, active in app.screen.active_bindings.items():
        ours = [
            binding
            for _, known in app.screen._binding_chain
            for binding in known.key_to_bindings.get(key, ())
            if binding.id
        ]
        binding = ours[0] if ours and active.binding.id is None else active.binding
        if "quit" not in binding.action:
            yield key, binding


def deed(screen: str, binding: Binding, others: int) -> Check:
    """What is to be seen. ``others``: widgets that the focus can go to."""
    name = binding.id or binding.action
    if (screen, name) in OTHERWISE:
        return OTHERWISE[screen, name].check
    if binding.id is not None:
        return DEEDS[name]
    if name in ("app.focus_next", "app.focus_previous"):
        return changes("focus") if others > 0 else is_nothing
    return is_nothing if name in NOTHING_OF else lambda before, after: not is_nothing(before, after)


@pytest.mark.parametrize("screen", WAYS)
async def test_every_key_on_every_screen(screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bound key is pressed, and does what its name says. What ``?`` shows is what is bound."""
    app = app_of(find("puppet-session-ids"))
    width = 60 if screen == "MessageScreen" else 100  # a decoded tree is wider than the screen, and turns nevertheless
    async with app.run_test(size=(width, 14)) as pilot:  # so low that every page scrolls down
        await loaded(pilot)
        pressing = Pressing(pilot, screen, monkeypatch)
        await pressing.come()
        if not app.screen.is_modal:
            known = listed(app.screen.active_bindings.values())
            await pressed(pilot, "question_mark")
            assert isinstance(app.screen, KeysDialog)
            assert app.screen.keys == known
            assert {k.id for k in known} <= {b.id for _, b in every()}
            await pressing.back()
        keys = dict(bound(app))
        others = len(app.screen.focus_chain) - 1
        assert "escape" in keys
        wrong = []
        for key, binding in keys.items():
            before, after = await pressing.press(key, binding)
            assert app.is_running, key
            if not deed(screen, binding, others)(before, after):
                wrong.append(
                    f"{key} ({binding.id or binding.action}):"
                    f" { ({n: (getattr(before, n), getattr(after, n)) for n in sorted(after.changed(before))}) }"
                )
        assert not wrong, "\n".join(wrong)


async def test_the_palette_reaches_what_keys_reach() -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3")(pilot)
        names = {c.title for c in app.get_system_commands(app.screen)}
        assert {
            "Services",
            "Overview",
            "Incidents",
            "Filter",
            "Sort",
            "Mark",
            "Export",
            "Copy",
            "Theme",
            "Quit",
            "Next finding",
        } <= names
        await pressed(pilot, "ctrl+p", *"Incid", "enter", "enter")
        assert app.current_mode == "incidents"


async def test_keys_can_be_others() -> None:
    from inspector.settings import parse

    app = app_of(find("silent-abort"), settings=parse('[keys]\nincidents = "f6"\n', "settings.toml"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("f6")(pilot)
        assert app.current_mode == "incidents"


def test_areas_are_the_screens_that_the_table_names() -> None:
    assert [screen_class(area).AREA for area in AREAS] == list(AREAS)
