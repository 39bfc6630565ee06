"""The app's behaviour: leaving at any moment, hostile names, the mouse, filters, marks, freezing, files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509
from textual.widgets import Input, OptionList, Tree

from inspector.text.zones import UTC
from inspector.tui import go_to, recent
from inspector.tui.app_state import View
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.difference import DifferenceScreen
from inspector.tui.overview import OverviewScreen
from inspector.tui.rows import Rows
from inspector.tui.services import ServicesScreen
from tests.app import HOSTILE, B, app_of, home, loaded, pressed, shown, then, two_services, until
from tests.build import Pool, certificate, certificate_request, numbered, written
from tests.conftest import bundled, find


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_leaving(key: str) -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test() as pilot:
        await then("enter", key)(pilot)
    assert app.return_value in (0, None)
    assert not app.problem


async def test_a_file_that_goes_bad_while_opening(tmp_path: Path) -> None:
    path = tmp_path / "text.pcap"
    path.write_text("no capture")
    app = app_of(path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 2
    assert "not a pcap" in app.problem


@pytest.mark.parametrize(
    "keys", ["", "enter", "3", "3 enter", "3 enter enter", "end enter", "1", "4", "5", "5 enter", "6", "slash s n i :"]
)
async def test_hostile_names_only_show(tmp_path: Path, keys: str) -> None:
    evil = certificate(HOSTILE[:60], ("puppetdb1.example.com",))
    pool = Pool(name=HOSTILE)
    pool.full(evil, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    app = app_of(written(tmp_path, pool.flows))
    async with app.run_test(size=(120, 40)) as pilot:
        await then(*keys.split())(pilot)
        text = shown(app)
        assert app.is_running
        assert not any(c in text for c in "\x1b\x07\x9b\u202e")
        if keys in ("", "5 enter"):
            assert "a\\x1b]52;c;ZXZpbA==" in text


async def test_ascii(tmp_path: Path) -> None:
    app = app_of(find("silent-abort"), ascii_wanted=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await then("enter")(pilot)
        for keys in ((), ("3",), ("3", "enter", "enter"), ("4",), ("5",), ("slash",), ("question_mark",)):
            if keys:
                await home(pilot)
                await pressed(pilot, *keys)
            text = shown(app)
            assert text.isascii()
            assert "X FIN" in text or keys


async def test_escape_leads_back(tmp_path: Path) -> None:
    app = app_of(two_services(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3", "enter")(pilot)
        for kind in (ConnectionsScreen, ServicesScreen, ServicesScreen):
            await pressed(pilot, "escape")
            assert isinstance(app.screen, kind)
        await pressed(pilot, "end", "enter")
        assert isinstance(app.screen, OverviewScreen)
        assert app.state.in_view is not None
        assert app.state.in_view.assessment.state == "protected"


async def test_areas_remember_their_place() -> None:
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3", "down", "down", "enter", "6", "down", "3")(pilot)
        assert type(app.screen).__name__ == "ConnectionScreen"
        await pressed(pilot, "3")
        assert app.screen.query_one(Rows).cursor == 2
        await pressed(pilot, "6")
        assert app.screen.query_one(Rows).cursor == 1


async def test_filter_from_the_keyboard_and_its_history() -> None:
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("slash", *"out", "tab", *"ab", "tab", "enter")(pilot)
        assert isinstance(app.screen, ConnectionsScreen)
        assert app.state.view.filter == "outcome:aborted"
        assert app.screen.query_one(Rows).count == 23
        assert "/ outcome:aborted" in shown(app)
        assert recent.load() == ["outcome:aborted"]
        await pressed(pilot, "slash", *["backspace"] * 15, "enter")
        assert app.screen.query_one(Rows).count == 177
        await pressed(pilot, "slash", "down", "enter", "enter")
        assert app.screen.query_one(Rows).count == 23
        await pressed(pilot, "slash", *" zz:1", "enter")
        lines = shown(app).splitlines()
        typed = next(i for i, line in enumerate(lines) if " zz:1" in line)
        assert lines[typed].index("zz:1") == lines[typed + 2].index("^")
        assert "no field zz" in lines[typed + 3]
        await pressed(pilot, *["backspace"] * 5, *" kind:abc")
        assert "there are full, session_id, ticket, resumed, psk" in " ".join(shown(app).replace("│", " ").split())
        await pressed(pilot, "escape")
        assert app.screen.query_one(Rows).count == 23


async def test_up_leads_from_the_first_suggestion_back_to_the_filter() -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("slash", "down", "down", "up")(pilot)
        suggestions = app.screen.query_one(OptionList)
        assert suggestions.has_focus
        assert suggestions.highlighted == 0
        await pressed(pilot, "up", *"kind:f", "tab")
        assert app.screen.query_one(Input).value == "kind:full"


async def test_left_and_right_turn_however_wide_a_message_is() -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(60, 20)) as pilot:
        await then("3", "enter", "enter")(pilot)
        tree = app.screen.query_one(Tree)
        assert tree.max_scroll_x > 0
        assert "1 of" in shown(app)
        await pressed(pilot, "right")
        assert "2 of" in shown(app)
        await pressed(pilot, "left", "shift+right")
        assert "1 of" in shown(app)
        assert tree.scroll_offset.x > 0
        await pressed(pilot, "shift+left")
        assert tree.scroll_offset.x == 0


async def test_marks_are_saved_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = find("puppet-session-ids").resolve()
    monkeypatch.chdir(tmp_path)
    app = app_of(capture)
    async with app.run_test(size=(120, 30)) as pilot:
        await then("3", "space", "down", "space", "w", "enter")(pilot)
        assert len(app.state.marks) == 2
        kept = sorted(app.state.marks)
        await pressed(pilot, "d")
        assert isinstance(app.screen, DifferenceScreen)
    again = app_of(tmp_path / "marked.pcapng")
    async with again.run_test(size=(120, 30)) as pilot:
        await loaded(pilot)
        assert sorted(seen.id for seen in again.state.now.case.observed) == kept


async def test_next_finding() -> None:
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3")(pilot)
        named = {c for f in app.state.document.incidents for c in f.connections}
        screen = app.screen
        assert isinstance(screen, ConnectionsScreen)
        for key in ("n", "n", "N"):
            await pressed(pilot, key)
            assert app.state.now.case.observed[screen.marked()[0]].id in named
        await pressed(pilot, "6", "enter", "n")
        assert "2 of 25" in shown(app)
        await pressed(pilot, "N", "N")
        assert "1 of 25" in shown(app)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("frame 355", 16),
        ("470", 22),
        ("0:470", 22),
        ("17:28:19.9", 16),
        ("2026-11-23T17:28:19.9Z", 16),
        ("9999999", None),
        ("nowhere", None),
        ("2026-99-23T17:28", None),
    ],
)
def test_places(text: str, index: int | None) -> None:
    found = go_to.find(bundled("puppet-session-ids"), text, UTC)
    assert found == index if index is not None else isinstance(found, str)


def test_a_place_by_id() -> None:
    analysis = bundled("puppet-session-ids")
    assert go_to.find(analysis, analysis.case.observed[5].id[:10], UTC) == 5


async def test_going_to_a_frame_leads_through_the_filter() -> None:
    app = app_of(find("puppet-session-ids"), view=View("connections", "outcome:established"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("g", *"470", "enter")(pilot)
        screen = app.screen
        assert isinstance(screen, ConnectionsScreen)
        assert screen.marked() == [22]
        assert not app.state.view.filter


async def test_copying_goes_through_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("y")(pilot)
        assert "The client aborted 23 of 177 connections" in app.clipboard
        await pressed(pilot, "3", "y")
        assert app.clipboard.startswith("(ip.addr == 127.0.0.1 && tcp.port == 34798")
        for keys in (("4",), ("5",), ("6",), ("6", "enter"), ("3", "enter"), ("5", "space", "down", "space")):
            await home(pilot)
            await pressed(pilot, *keys, "y")
            assert app.clipboard


@pytest.mark.parametrize(
    ("place", "start"),
    [
        (2, b"puppet"),
        (3, b"{"),
        (4, b"{"),
        (5, b"id,"),
        (6, b'{"@timestamp"'),
        (7, b'{"_path"'),
        (9, b"\xe2\x9c\x96"),
    ],
)
async def test_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, start: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "puppet.pcap.gz").write_bytes(find("puppet-session-ids").read_bytes())
    app = app_of("puppet.pcap.gz", view=View("overview", "outcome:aborted"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("enter", "e", *["down"] * place, "enter", "enter")(pilot)
        name = next(n for n in os.listdir(tmp_path) if n.startswith("inspector."))
        data = (tmp_path / name).read_bytes()
        assert data.startswith(start)
        if place == 5:
            assert data.count(b"\n") == 24
        await pressed(pilot, "e", *["down"] * place, "enter", "enter")
        assert "Enter again to write over it" in shown(app)


async def test_what_is_open_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    capture, log, new = (tmp_path / name for name in ("silent.pcap.gz", "server.log", "new.pcapng"))
    capture.write_bytes(find("silent-abort").read_bytes())
    log.write_bytes(b"a line\n")
    (tmp_path / "link").symlink_to(capture)
    app = app_of(".", logs=(log.name,))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3", "space", "w")(pilot)
        for name in ("link", "server.log"):
            await pressed(pilot, "ctrl+u", *name, "enter", "enter")
            assert f"{name} is read here: name another file" in shown(app)
        await pressed(pilot, "ctrl+u", *new.name, "enter")
        await until(pilot, new.exists)
    assert (capture.read_bytes(), log.read_bytes()) == (find("silent-abort").read_bytes(), b"a line\n")


async def test_opening_another_capture(tmp_path: Path) -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(100, 30)) as pilot:
        await then("3", "enter", "6", "enter", "o", *["ctrl+u"], *str(find("puppet-tls13")), "enter")(pilot)
        await loaded(pilot)
        await pressed(pilot, "3")
        assert isinstance(app.screen, ConnectionsScreen)
        assert app.screen.query_one(Rows).count == 70
        await pressed(pilot, "2")
        assert app.state.paths == [str(find("puppet-tls13"))]
        assert "Protected" in shown(app)
        await pressed(pilot, "ctrl+r")
        await loaded(pilot)
        assert "Protected" in shown(app)


async def test_two_picked_messages_show_their_difference() -> None:
    app = app_of(find("puppet-session-ids"))
    async with app.run_test(size=(120, 40)) as pilot:
        await then("3", "enter", "space", "escape", "down", "enter", "enter", "space")(pilot)
        assert isinstance(app.screen, DifferenceScreen)
        text = shown(app)
        assert "Two messages" in text
        assert "random" in text


async def test_the_mouse_works() -> None:
    app = app_of(find("silent-abort"))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        rows = app.screen.query_one(Rows)
        for _ in range(2):
            await pilot.click(Rows, offset=(5, 3))
            await pilot.pause()
            assert rows.cursor == 2
        names = [type(app.screen).__name__]
        await pressed(pilot, "escape")
        await pilot.click("AreaBar", offset=(2, 0))
        await pilot.pause()
        names.append(type(app.screen).__name__)
        await pilot.click("KeyBar", offset=(2, 0))
        await pilot.pause()
        assert [*names, type(app.screen).__name__] == ["StoryScreen", "ServicesScreen", "OverviewScreen"]


async def test_a_certificate_request_names_its_authorities(tmp_path: Path) -> None:
    pool = Pool(
        request=certificate_request(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Puppet CA: ca.example.com")]).public_bytes(),
            b"odd",
        )
    )
    pool.full(certificate("a", ("a.example.com",)), numbered(1))
    app = app_of(written(tmp_path, pool.flows))
    async with app.run_test(size=(120, 40)) as pilot:
        await then("3", "enter", "down", "enter")(pilot)
        app.screen.query_one(Tree).root.expand_all()
        await pilot.pause()
        assert "[0]  CN=Puppet CA: ca.example.com" in shown(app)
        assert f"[1]  {b'odd'.hex()}" in shown(app)
