"""Tables of the app: rows that are made when they are painted, the cursor, the order, columns that leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult

from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.query.arrays import Columns
from inspector.tui.app_state import View
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.rows import Cell, Column, Rows
from tests.app import A, B, app_of, loaded, pressed, then
from tests.build import Pool, facts_of, numbered, written
from tests.conftest import find


async def test_sorting_keeps_the_cursor_on_its_row() -> None:
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(120, 30)) as pilot:
        await then("3", "down", "down", "down")(pilot)
        screen = app.screen
        assert isinstance(screen, ConnectionsScreen)
        held = screen.marked()
        await pressed(pilot, "s", *["down"] * 4, "enter")
        assert app.state.view.sort == "outcome"
        assert screen.marked() == held
        outcomes = [app.state.now.case.observed[i].outcome for i in screen._order]
        assert outcomes == sorted(outcomes)
        await pressed(pilot, "S")
        assert [app.state.now.case.observed[i].outcome for i in screen._order] == sorted(outcomes, reverse=True)
        await pilot.click(Rows, offset=(37, 0))
        await pilot.pause()
        assert app.state.view.sort == "port"


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


async def test_a_cursor_that_nobody_moved_is_on_the_first_row() -> None:
    """Rows that stream in stand before the ones that were there; whoever moved the cursor keeps what it stands on."""
    app = Many()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = app.query_one(Rows)
        for keys in ("m", "fm", "afmz"):
            rows.renew(keys)
            await pilot.pause()
            assert rows.cursor == 0
        await pilot.press("down")
        for keys in ("afmz", "aafmz", "zfm"):
            rows.renew(keys)
            assert keys[rows.cursor] == "f"
        rows.renew("xyz")
        rows.renew("wxyz")
        assert rows.cursor == 0
        rows.renew("wxyz", 2)
        rows.renew("awxyz")
        assert rows.cursor == 3


@pytest.mark.parametrize("area", ["1", "3", "4", "5", "6"])
async def test_after_loading_the_cursor_is_on_the_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, area: str
) -> None:
    """A first look at half a capture, then the whole, in which what matters more and what is earlier comes before."""
    pool, early = Pool(name="noise.example.com", port=50_000), Pool()
    early.ns = pool.ns - 10**9
    early.full(A, numbered(1))
    early.resumed(numbered(1))
    early.given_up(B, numbered(2), numbered(1))
    pool.full(A, numbered(3))
    whole = judge(facts_of(written(tmp_path, [*early.flows, *pool.flows], "whole.pcap")), Options())
    half = judge(facts_of(written(tmp_path, pool.flows, "half.pcap")), Options())
    app = app_of(tmp_path / "whole.pcap", view=View("connections"))
    async with app.run_test(size=(100, 30)) as pilot:
        await loaded(pilot)
        app.state.analysis = None
        for analysis in (half, whole):
            app.feed.loading.analysis, app.feed.loading.columns = analysis, Columns(analysis)
            app._show_newest()
            await pressed(pilot, area)
        rows = app.screen.query_one(Rows)
        assert rows.cursor == 0
        assert app.state.in_view is not None
        assert app.state.in_view.assessment.state == "confirmed"


def test_narrow_columns_leave_in_order() -> None:
    rows = Rows([Column("a", 10), Column("b", 10, 2), Column("c", 10, 1), Column("d", 0)], 0, lambda i: [], "none")
    assert [i for i, _ in rows.shown(100)] == [0, 1, 2, 3]
    assert [i for i, _ in rows.shown(50)] == [0, 1, 3]
    assert [i for i, _ in rows.shown(30)] == [0, 3]
