"""Every area and dialog as a picture at three sizes, from real captures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.secrets.inputs import read_inputs
from inspector.settings import Settings
from inspector.text.zones import zone_named
from inspector.tui.app_state import View
from tests.app import SIZES, app_of, then, two_services
from tests.build import written
from tests.conftest import CAPTURES, find
from tests.odd_pools import after_a_change, without_intermediate
from tests.opening import KEYS, no_passphrase
from tests.replay import given_for

PUPPET = "puppet-session-ids"
SCREENS: dict[str, tuple[str, tuple[str, ...]]] = {
    "confirmed": (PUPPET, ()),
    "matrix": (PUPPET, ("m",)),
    "chart": (PUPPET, ("m", "m")),
    "would_have_helped": (PUPPET, ("m", "m", "m")),
    "differs": (PUPPET, ("m", "m", "m", "m")),
    "protected": ("puppet-tls13", ()),
    "not_this": ("look-alike", ()),
    "unknown": ("renegotiation", ()),
    "services": (PUPPET, ("1",)),
    "health_checks": ("health-checks", ("1",)),
    "connections": (PUPPET, ("3", "pagedown")),
    "marked": (PUPPET, ("3", "space", "down", "space")),
    "filtered": (PUPPET, ("slash", *"row:6", "enter")),
    "sessions": (PUPPET, ("4",)),
    "session": (PUPPET, ("4", "n", "enter")),
    "tickets": ("tickets", ("4",)),
    "certificates": (PUPPET, ("5",)),
    "certificate": (PUPPET, ("5", "enter")),
    "identity": (PUPPET, ("5", "space", "down", "space")),
    "rotated": ("rotated", ("5",)),
    "incidents": (PUPPET, ("6",)),
    "story": (PUPPET, ("enter",)),
    "why": (PUPPET, ("enter", "end")),
    "remedies": (PUPPET, ("r",)),
    "failure": ("look-alike", ("6", "enter")),
    "why_failed": ("look-alike", ("6", "enter", "pagedown")),
    "balancer": ("both-legs", ("enter",)),
    "finding": (PUPPET, ("end", "enter")),
    "connection": (PUPPET, ("3", "down", "enter")),
    "message": (PUPPET, ("3", "enter", "down", "enter", "down", "down")),
    "difference": (PUPPET, ("3", "space", "space", "d")),
    "messages": (PUPPET, ("enter", "space", "pagedown", "space")),
    "keys": (PUPPET, ("question_mark",)),
    "filter": (PUPPET, ("slash", *"out")),
    "values": (PUPPET, ("slash", *"outcome:")),
    "mistake": (PUPPET, ("slash", *"kind:full zz:1")),
    "goto": (PUPPET, ("g", *"nowhere", "enter")),
    "sort": (PUPPET, ("3", "s")),
    "export": (PUPPET, ("e",)),
    "save": (PUPPET, ("3", "w")),
    "open": (PUPPET, ("o",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_screens(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]) -> None:
    capture, keys = SCREENS[name]
    monkeypatch.chdir(CAPTURES)
    assert snap_compare(app_of(find(capture).name), terminal_size=size, run_before=then(*keys))


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize(("name", "keys"), [("services", ("1",)), ("exposed", ())])
def test_several_services(
    snap_compare: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    keys: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    two_services(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_of("built.pcap"), terminal_size=size, run_before=then(*keys))


ODD: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "odd_one": (without_intermediate, ()),
    "odd_one_over_time": (without_intermediate, ("m", "m")),
    "odd_one_alike": (without_intermediate, ("m", "m", "m", "m", "m")),
    "odd_one_since": (after_a_change, ()),
    "changed": (after_a_change, ("m", "m")),
}


@pytest.mark.parametrize("size", [*SIZES, (160, 50)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", ODD)
def test_the_odd_one_out(
    snap_compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]
) -> None:
    make, keys = ODD[name]
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_of("built.pcap"), terminal_size=size, run_before=then(*keys))


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", ["connections", "chart", "story", "certificates", "session", "incidents"])
def test_another_time_zone(
    snap_compare: Any, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]
) -> None:
    """Half an hour off: what was overlooked would show."""
    capture, keys = SCREENS[name]
    monkeypatch.chdir(CAPTURES)
    app = app_of(find(capture).name, settings=Settings(zone=zone_named("America/St_Johns")))
    assert snap_compare(app, terminal_size=size, run_before=then(*keys))


INSIDE: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "by_length": ("renegotiations", "", "port:9045 renegotiation:aborted", ("enter",)),
    "decrypted": ("renegotiations", "rsa", "port:9047 renegotiation:aborted", ("enter",)),
    "decrypted_message": (
        "renegotiations",
        "rsa",
        "port:9047 renegotiation:aborted",
        ("enter", *["down"] * 8, "enter"),
    ),
    "modern": ("tls13-inside", "key log", "port:9110", ("enter",)),
    "identities": ("tls13", "key log", "", ("4",)),
}
"""Capture, what opens it, the connections shown, and keys."""


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", INSIDE)
def test_inside_the_channel(
    snap_compare: Any, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]
) -> None:
    capture, how, expression, keys = INSIDE[name]
    by = given_for(capture) if how == "key log" else read_inputs([], KEYS, no_passphrase) if how else None
    monkeypatch.chdir(CAPTURES)
    view = View("connections", expression) if expression else None
    assert snap_compare(app_of(find(capture).name, view=view, given=by), terminal_size=size, run_before=then(*keys))


@pytest.mark.parametrize("key", "123456")
def test_nothing_to_show(snap_compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A capture without TLS: each area says so, and what it knows."""
    written(tmp_path, [])
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_of("built.pcap"), terminal_size=(80, 24), run_before=then(key))


def test_large(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CAPTURES)
    assert snap_compare(app_of(find(PUPPET).name), terminal_size=(200, 60), run_before=then())
