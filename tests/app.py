"""Driving the app in tests."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.color import Color
from textual.command import CommandPalette
from textual.pilot import Pilot

from inspector.findings.case import Options
from inspector.secrets.inputs import SecretInputs
from inspector.settings import Settings
from inspector.tui.app import InspectorApp
from inspector.tui.app_state import View
from inspector.tui.areas import AREAS
from inspector.tui.loading_screen import LoadingScreen
from inspector.tui.prober import ProbeOutcome, Prober
from tests.build import Pool, certificate, numbered, written
from tests.waiting import LOOK_SECONDS, PATIENCE_SECONDS

SIZES = [(60, 20), (80, 24), (120, 40)]
HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b[@click=app.quit]x[/][bold]\u202e\x9b31m"
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))

WAYS: dict[str, tuple[str, ...]] = {
    "ServicesScreen": ("1",),
    "OverviewScreen": ("2",),
    "ConnectionsScreen": ("3",),
    "SessionsScreen": ("4",),
    "CertificatesScreen": ("5",),
    "IncidentsScreen": ("6",),
    "StoryScreen": ("2", "enter"),
    "FindingScreen": ("2", "end", "enter"),
    "ConnectionScreen": ("3", "enter"),
    "MessageScreen": ("3", "enter", "enter"),
    "SessionScreen": ("4", "enter"),
    "CertificateScreen": ("5", "enter"),
    "DifferenceScreen": ("5", "home", "space", "down", "space"),
    "FilterDialog": ("slash",),
    "Ask": ("g",),
    "Choice": ("3", "s"),
    "KeysDialog": ("question_mark",),
    "ProbeProposal": ("P",),
}
"""The keys that lead to each screen of ``puppet-session-ids``."""


class SilentProbe:
    """One that asks nobody, whatever is pressed."""

    intention = ("It sends nothing.",)

    def run(self, on_begun: Callable[[int, int], None]) -> ProbeOutcome:
        return ProbeOutcome("", ["nobody was asked"])

    def stop(self) -> None: ...


def app_of(
    *paths: Path | str,
    ascii_wanted: bool = False,
    view: View | None = None,
    settings: Settings | None = None,
    given: SecretInputs | None = None,
    prober: Prober | None = lambda command: SilentProbe(),
    logs: tuple[str, ...] = (),
) -> InspectorApp:
    return InspectorApp(
        [str(p) for p in paths],
        Options(logs=logs),
        settings=settings,
        view=view,
        ascii_wanted=ascii_wanted,
        secret_inputs=given,
        prober=prober,
    )


async def loaded(pilot: Pilot[Any]) -> None:
    """Wait until the story is on the screen, whole."""
    app = pilot.app
    assert isinstance(app, InspectorApp)
    await pilot.pause()
    await until(
        pilot,
        lambda: (
            app._exit
            or (app.feed.loading.is_done and not app.feed.is_behind and not isinstance(app.screen, LoadingScreen))
        ),
    )
    await pilot.pause()


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Wait for something; fail where it does not come."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"never came true; on the screen:\n{shown(pilot.app)}"
        await pilot.pause(LOOK_SECONDS)


async def pressed(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys, and wait for what they set off."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
        if not isinstance(pilot.app.screen, CommandPalette):  # its own worker lasts as long as it is open
            await pilot.app.workers.wait_for_complete()
            await settled(pilot)


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until no widget has a message before it and nothing is left to paint, however slow the machine is."""
    app = pilot.app
    for _ in range(500):
        await pilot.pause()
        screen = app.screen
        nodes = [app, *screen.walk_children(with_self=True)]
        if not (screen._layout_required or screen._dirty_widgets or any(node.message_queue_size for node in nodes)):
            return


def then(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def act(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        await pressed(pilot, *keys)

    return act


async def home(pilot: Pilot[Any]) -> None:
    """Back to the overview, whatever is open anywhere."""
    await loaded(pilot)
    app = pilot.app
    assert isinstance(app, InspectorApp)
    for area in AREAS:
        if len(app._screen_stacks.get(area, ())) > 1:
            app.switch_mode(area)
            while len(app.screen_stack) > 1:
                app.pop_screen()
    app.switch_mode("overview")
    app.state.picked.clear()
    app.state.marks.clear()
    await pilot.pause()


def shown(app: App[Any]) -> str:
    """All text on the screen, as it goes to the terminal."""
    found = []
    for strip in app.screen._compositor.render_strips():
        segments = list(strip)
        for line_filter in app.get_line_filters():
            segments = line_filter.apply(segments, Color(0, 0, 0))
        found.append("".join(segment.text for segment in segments))
    return "\n".join(found)


def two_services(folder: Path) -> Path:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.full(B, numbered(2))
    other = Pool(name="puppet.example.com", port=50_000, ns=pool.ns)
    other.tls13()
    return written(folder, [*pool.flows, *other.flows])
