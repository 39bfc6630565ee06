"""The app: every screen as a picture at three sizes, every key, hostile names, and leaving at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from inspector.findings.case import Options
from inspector.tui import marks
from inspector.tui.app import InspectorApp
from inspector.tui.connection import ConnectionScreen
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.overview import OverviewScreen
from inspector.tui.rows import Cell, Column, Rows
from inspector.tui.services import ServicesScreen
from inspector.tui.story import FindingScreen, StoryScreen
from inspector.tui.waiting import LoadingScreen
from tests.build import Pool, certificate, numbered, written
from tests.conftest import find

SIZES = [(60, 20), (80, 24), (120, 40)]
HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b[@click=app.quit]x[/][bold]\u202e\x9b31m"
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))


@pytest.fixture(autouse=True)
def unicode_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "choose", lambda wanted: monkeypatch.setattr(marks, "ascii_only", wanted))


def app_of(*paths: Path | str, ascii_wanted: bool = False) -> InspectorApp:
    return InspectorApp([str(p) for p in paths], Options(), ascii_wanted=ascii_wanted)


async def loaded(pilot: Pilot[Any]) -> None:
    """Wait until the story is on the screen."""
    for _ in range(600):
        await pilot.pause(0.02)
        app = pilot.app
        if app._exit or (isinstance(app, InspectorApp) and app._loading.is_done and app._shown == app._loading.version and not isinstance(app.screen, LoadingScreen)):
            break
    await pilot.pause()


def then(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def act(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()

    return act


SCREENS: dict[str, tuple[str, tuple[str, ...]]] = {
    "confirmed": ("puppet-session-ids", ()),
    "matrix": ("puppet-session-ids", ("m",)),
    "story": ("puppet-session-ids", ("enter",)),
    "why": ("puppet-session-ids", ("enter", "end")),
    "connections": ("puppet-session-ids", ("c", "pagedown")),
    "connection": ("puppet-session-ids", ("c", "down", "enter")),
    "finding": ("puppet-session-ids", ("end", "enter")),
    "protected": ("puppet-tls13", ()),
    "not_this": ("look-alike", ()),
    "unknown": ("renegotiation", ()),
    "keys": ("silent-abort", ("question_mark",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_screens(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    capture, keys = SCREENS[name]
    assert snap_compare(app_of(find(capture)), terminal_size=size, run_before=then(*keys))


def two_services(folder: Path) -> Path:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.full(B, numbered(2))
    other = Pool(name="puppet.example.com", port=50_000, ns=pool.ns)
    other.modern()
    return written(folder, [*pool.flows, *other.flows])


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize(("name", "keys"), [("services", ()), ("exposed", ("enter",))])
def test_several_services(snap_compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    two_services(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_of("built.pcap"), terminal_size=size, run_before=then(*keys))


def test_nothing_to_show(snap_compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture without TLS says so, and what it knows."""
    written(tmp_path, [])
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_of("built.pcap"), terminal_size=(80, 24), run_before=then())


WAYS: dict[type, tuple[str, ...]] = {
    OverviewScreen: (),
    StoryScreen: ("enter",),
    ConnectionsScreen: ("c",),
    ConnectionScreen: ("c", "enter"),
    FindingScreen: ("end", "enter"),
}


@pytest.mark.parametrize("screen", WAYS, ids=lambda s: s.__name__)
async def test_every_key_on_every_screen(screen: type) -> None:
    """Each bound key is pressed on a fresh app; the app must live, or leave where the key says so."""
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(80, 24)) as pilot:
        await then(*WAYS[screen])(pilot)
        assert isinstance(app.screen, screen)
        keys = [key for key, bound in app.screen.active_bindings.items() if "quit" not in bound.binding.action]
    assert "escape" in keys
    for key in keys:
        app = app_of(find("silent-abort"))
        async with app.run_test(size=(80, 24)) as pilot:
            await then(*WAYS[screen], key)(pilot)
            assert app.is_running


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_leaving(key: str) -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test() as pilot:
        await then("enter", key)(pilot)
    assert app.return_value in (0, None)
    assert not app.problem


async def test_leaving_while_it_reads(tmp_path: Path) -> None:
    """Standard input that never ends: the person can still leave."""
    import os

    from inspector.capture import files

    reading, writing = os.pipe()
    os.write(writing, b"\xd4\xc3\xb2\xa1" + bytes(20))
    with os.fdopen(reading, "rb") as pipe:
        files.standard_input = pipe
        app = app_of("-")
        async with app.run_test() as pilot:
            await pilot.pause(0.3)
            assert isinstance(app.screen, LoadingScreen)
            await pilot.press("q")
            await pilot.pause()
        assert app.return_value == 0
        os.close(writing)
        await asyncio.sleep(0.1)
        files.standard_input = None


async def test_a_file_that_goes_bad_while_opening(tmp_path: Path) -> None:
    path = tmp_path / "text.pcap"
    path.write_text("no capture")
    app = app_of(path)
    async with app.run_test() as pilot:
        for _ in range(100):
            await pilot.pause(0.02)
            if not app.is_running:
                break
    assert app.return_value == 2
    assert "not a pcap" in app.problem


def shown(app: App[Any]) -> str:
    """All text on the screen."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize("keys", [(), ("enter",), ("c",), ("c", "enter"), ("end", "enter"), ("escape",)])
async def test_hostile_names_only_show(tmp_path: Path, keys: tuple[str, ...]) -> None:
    evil = certificate(HOSTILE[:60], ("puppetdb1.example.com",))
    pool = Pool(name=HOSTILE)
    pool.full(evil, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    app = app_of(written(tmp_path, pool.flows))
    async with app.run_test(size=(120, 40)) as pilot:
        await then(*keys)(pilot)
        text = shown(app)
        assert app.is_running
        assert not any(c in text for c in "\x1b\x07\x9b\u202e")
        if not keys:
            assert "[@click=app.quit]" in text


async def test_ascii(tmp_path: Path) -> None:
    app = app_of(find("silent-abort"), ascii_wanted=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await then("enter")(pilot)
        page = app.screen.query_one("#text")
        text = "\n".join("".join(s.text for s in strip) for strip in page.render_lines(page.size.region))
        assert text.isascii()
        assert "X FIN" in text


async def test_escape_leads_back(tmp_path: Path) -> None:
    app = app_of(two_services(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("enter", "c", "enter")(pilot)
        for kind in (ConnectionsScreen, OverviewScreen, ServicesScreen, ServicesScreen):
            await pilot.press("escape")
            assert isinstance(app.screen, kind)


async def test_the_mouse_works(tmp_path: Path) -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        rows = app.screen.query_one(Rows)
        await pilot.click(Rows, offset=(5, 3))
        await pilot.pause()
        assert rows.cursor == 2
        await pilot.click(Rows, offset=(5, 3))
        await pilot.pause()
        assert isinstance(app.screen, StoryScreen)


class Many(App[None]):
    """A million rows."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def compose(self) -> ComposeResult:
        yield Rows([Column("n", 9, 0, True), Column("text", 0)], 1_000_000, self.row, "none")

    def row(self, index: int) -> list[Cell]:
        self.asked.append(index)
        return [(str(index), ""), (f"row {index}", "dim")]


async def test_a_million_rows_cost_a_screenful() -> None:
    app = Many()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for key in ("pagedown", "end", "up", "home"):
            await pilot.press(key)
            await pilot.pause()
        assert {0, 999_999} <= set(app.asked)
        assert len(set(app.asked)) < 24 * 6
        assert app.query_one(Rows).cursor == 0


def test_narrow_columns_leave_in_order() -> None:
    rows = Rows([Column("a", 10), Column("b", 10, 2), Column("c", 10, 1), Column("d", 0)], 0, lambda i: [], "none")
    assert [i for i, _ in rows.shown(100)] == [0, 1, 2, 3]
    assert [i for i, _ in rows.shown(50)] == [0, 1, 3]
    assert [i for i, _ in rows.shown(30)] == [0, 3]
