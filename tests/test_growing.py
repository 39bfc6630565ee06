"""The app while there is more to come: captures still being read, files that grow, a view held still."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from inspector.capture.files import Story
from inspector.extract.engine import Engine
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.settings import Settings
from inspector.tracking import connections
from inspector.tui.app import InspectorApp
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.loading import Loading
from inspector.tui.loading_screen import LoadingScreen
from inspector.tui.rows import Rows
from tests.app import B, app_of, loaded, pressed, shown, then, until
from tests.build import Pool, facts_of, numbered, written
from tests.conftest import find
from tests.waiting import PATIENCE_SECONDS


async def test_leaving_while_it_reads(tmp_path: Path) -> None:
    """Standard input that never ends: the person can still leave."""
    from inspector.capture import files

    reading, writing = os.pipe()
    os.write(writing, b"\xd4\xc3\xb2\xa1" + bytes(20))
    with os.fdopen(reading, "rb") as pipe:
        files.standard_input = pipe
        app = app_of("-")
        async with app.run_test() as pilot:
            await until(pilot, lambda: isinstance(app.screen, LoadingScreen))
            await pilot.press("q")
            await pilot.pause()
        assert app.return_value == 0
        os.close(writing)
        await asyncio.to_thread(app.feed.loading._thread.join)
        files.standard_input = None


async def test_a_frozen_view_tells_what_waits(tmp_path: Path) -> None:
    pool = Pool()
    for number in range(1, 9):
        pool.full(B, numbered(number))
    path = written(tmp_path, pool.flows[:3])
    app = app_of(path)
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3")(pilot)
        written(tmp_path, pool.flows)
        app._read([str(path)])
        app.action_freeze()
        await until(pilot, lambda: "frozen, 5 more wait" in shown(app))
        assert app.screen.query_one(Rows).count == 3
        await pressed(pilot, "p")
        assert app.screen.query_one(Rows).count == 8
        assert "frozen" not in shown(app)


async def test_the_cursor_stays_on_its_connection_when_earlier_ones_come(tmp_path: Path) -> None:
    pool = Pool()
    for number in range(1, 9):
        pool.full(B, numbered(number))
    app = app_of(written(tmp_path, pool.flows[4:]))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3", "down", "down")(pilot)
        screen = app.screen
        assert isinstance(screen, ConnectionsScreen)
        held = app.state.now.case.observed[screen.marked()[0]].id
        written(tmp_path, pool.flows)
        await pressed(pilot, "ctrl+r")
        await loaded(pilot)
        assert screen.query_one(Rows).count == 8
        assert screen.query_one(Rows).cursor == 6
        assert app.state.now.case.observed[screen.marked()[0]].id == held


class Halting(Loading):
    """Stands still behind what was judged first."""

    def __init__(self, *paths: str) -> None:
        super().__init__(paths, Options(), Settings())
        self.halted, self.goes_on = threading.Event(), threading.Event()

    def _look(self, engine: Engine, story: Story) -> None:
        self._next_look = 0.0
        super()._look(engine, story)
        if self.analysis is not None and not self.halted.is_set():
            self.halted.set()
            self.goes_on.wait(PATIENCE_SECONDS)


class Leaving(Loading):
    """Of somebody who leaves while connections are judged."""

    def _set_done(self, done: int) -> None:
        if done == 20:
            self.stop()
        super()._set_done(done)


def test_who_leaves_does_not_wait_until_all_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STEP", 10)
    loading = Leaving([str(find("puppet-session-ids"))], Options(), Settings())
    loading.start()
    loading._thread.join(PATIENCE_SECONDS)
    assert loading.is_done
    assert loading.problem is None
    assert not loading.is_whole
    assert (loading.status(), loading.stage.amount) == ("", "20 of 177 connections")


async def test_what_is_known_so_far_is_shown_while_it_reads() -> None:
    paths = [str(find(name)) for name in ("puppet-session-ids", "puppet-tls13")]
    loading = Halting(*paths)
    app = InspectorApp(paths, Options(), loading=loading)
    async with app.run_test(size=(120, 30)) as pilot:
        await asyncio.to_thread(loading.halted.wait, PATIENCE_SECONDS)
        await until(pilot, lambda: "so far, reading" in shown(app) and "connections" in shown(app))
        await pressed(pilot, "3", "end", "4", "5", "6", "1", "2")
        before = app.state.now.count
        loading.goes_on.set()
        await loaded(pilot)
        assert "so far" not in shown(app)
        assert app.state.now.count > before


def two_days() -> Pool:
    """A connection at the same time of each."""
    day, moment = 86_400 * 1_000_000_000, 1_764_000_000_000_000_000
    pool = Pool()
    for number in range(2):
        pool.ns = moment + number * day
        pool.full(B, numbered(number + 1))
    return pool


@pytest.mark.parametrize("key", ["3", "4", "5"])
async def test_columns_grow_with_times_where_midnight_comes(tmp_path: Path, key: str) -> None:
    pool = two_days()
    app = app_of(written(tmp_path, pool.flows[:1]))
    async with app.run_test(size=(160, 50)) as pilot:
        await then(key)(pilot)
        assert "  16:00:00" in shown(app)
        written(tmp_path, pool.flows)
        await pressed(pilot, "ctrl+r")
        await loaded(pilot)
        lines = shown(app).splitlines()
        assert any("  11-24 16:00:00" in line for line in lines)
        times = "11-25 16:00:00.003  " if key == "3" else "11-25 16:00:00.004  " if key == "4" else "11-25 16:00:00  "
        assert any(times in line for line in lines)


async def test_a_session_that_stands_open_over_midnight(tmp_path: Path) -> None:
    pool = two_days()
    app = app_of(written(tmp_path, pool.flows[:1]))
    async with app.run_test(size=(160, 50)) as pilot:
        await then("4", "enter")(pilot)
        assert "  16:00:00.004  " in shown(app)
        app.state.take(judge(facts_of(written(tmp_path, pool.flows))), None)
        app.screen.query_one(Rows).refresh_changed()
        await pilot.pause()
        assert "  16:00:00.004  " in shown(app)
