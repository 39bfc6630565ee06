"""``P`` in the app: the command is shown, nothing is sent before a yes, and what was answered opens as a capture."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from textual.pilot import Pilot

from inspector.cli.app_probe import AppProbe, app_probe
from inspector.errors import InspectorError, UsageError
from inspector.probe import destination
from inspector.probe.pace import AT_ONCE
from inspector.tui.app import InspectorApp
from inspector.tui.dialogs.ask import Ask
from inspector.tui.dialogs.probe import ProbeProgress, ProbeProposal
from inspector.tui.prober import ProbeOutcome
from tests.app import SIZES, A, SilentProbe, app_of, loaded, pressed, shown, then, until
from tests.build import Pool, numbered, written
from tests.conftest import CAPTURES, find
from tests.pools import HOST, Issued, LoopbackPool, server_context, tls
from tests.probing import PLAN, WITH_TICKETS, back_ends, probe, to
from tests.terminals import on_a_terminal
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS

QUICK = ("-n", "6", "--rate", "50")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where proposed captures are written; commands that run there are these."""
    monkeypatch.setenv("PYTHONPATH", str(CAPTURES.parent))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def quickly(command: str) -> AppProbe:
    """What is proposed, of fewer connections."""
    return app_probe(shlex.join([*shlex.split(command), *QUICK]))


def counted(pool: LoopbackPool, certificate: Issued) -> tuple[int, list[bool]]:
    """A server's port, and an entry for each connection that it was asked for."""
    accepted: list[bool] = []
    return pool.server(tls(server_context(certificate), lambda connection: accepted.append(True))), accepted


def notified(app: InspectorApp) -> list[str]:
    return [notification.message for notification in app._notifications]


def kept() -> list[str]:
    """The files of the directory in which the app runs."""
    return sorted(os.listdir())


def traffic(folder: Path, port: int, model: str = "java8-no-ems") -> Path:
    """A capture of a service at a port on loopback."""
    folder.mkdir(exist_ok=True)
    _, path = probe(folder, PLAN._replace(through=to(port), models=(WITH_TICKETS[model],), connections=2))
    return path


def of_java(**options: bool) -> Callable[[], Pool]:
    def made() -> Pool:
        pool = Pool(**options)  # type: ignore[arg-type]
        pool.full(A, numbered(1), ems=pool.ems)
        return pool

    return made


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("inspector analyze x", "does not begin with"),
        ("inspector probe 'h:1", "No closing quotation"),
        ("inspector probe --help -w x", "No such option"),
        ("inspector probe h:1", "-w FILE is missing"),
        ("inspector probe h:1 -w -", "not written to standard output"),
        ("inspector probe h:1 -w there", "something stands there"),
        ("inspector probe h:1 -w link", "something stands there"),
        ("inspector probe h:1 -w none/x", "No such file"),
        ("inspector probe h:1 -w x -T json", "-T: not here"),
        ("inspector probe h:1 -w x -o y", "-o: not here"),
        ("inspector probe h:1 -w x --fail-on exposed", "--fail-on: not here"),
        ("inspector probe h:1 -w x --rate 51", "--i-own-this"),
        ("inspector probe h:1 -w x --puppet", "keeps no certificate"),
        ("inspector probe h:1 -w x --cert none", "does not exist"),
        ("inspector probe https://h/ -w x", "no URL"),
        ("inspector probe h:1 -w x --sni .", "no host name"),
        ("inspector probe", "Missing argument"),
    ],
)
def test_what_the_app_does_not_run(command: str, reason: str) -> None:
    Path("there").write_bytes(b"good")
    Path("link").symlink_to("nowhere")
    with pytest.raises(InspectorError) as error:
        app_probe(command)
    assert reason in f"{error.value} {error.value.hint}"
    assert (Path("there").read_bytes(), sorted(p.name for p in Path().iterdir())) == (b"good", ["link", "there"])


def test_names_are_looked_up_after_the_yes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("it was asked"))
    said = " ".join(app_probe("inspector probe db.example.com:1 -w x --backend a.example.com,10.0.0.1:2").intention)
    assert "64 TLS handshakes with a.example.com port 1, 10.0.0.1 port 2, db.example.com port 1, as java17" in said
    assert "the resolver is asked for a.example.com, db.example.com" in said


def test_nobody_is_asked_for_a_passphrase_over_the_app(pool: LoopbackPool, certificates: list[Issued]) -> None:
    port, accepted = counted(pool, certificates[0])
    locked = certificates[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    Path("locked.pem").write_bytes(locked + certificates[0].certificate.public_bytes(Encoding.PEM))
    proposed = app_probe(f"inspector probe {HOST}:{port} -w x --cert locked.pem")
    assert "locked.pem is shown to the servers" in " ".join(proposed.intention)
    with pytest.raises(InspectorError, match="passphrase"):
        proposed.run(lambda begun, total: None)
    assert (accepted, kept()) == ([], ["locked.pem"])


async def test_nothing_is_sent_before_a_yes(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    port, accepted = counted(pool, certificates[0])
    app = app_of(await asyncio.to_thread(traffic, tmp_path / "before", port), prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        accepted.clear()
        for area in "123456":
            for leave in ("escape", "n"):
                await pressed(pilot, area, "P")
                assert isinstance(app.screen, ProbeProposal)
                assert f"inspector probe {HOST}:{port}" in shown(app)
                assert "Nothing is sent yet." in shown(app)
                await pressed(pilot, "e")
                assert isinstance(app.screen, Ask)
                await pressed(pilot, "enter", leave)
                assert not app.screen.is_modal
    pool.settle()
    assert (accepted, kept()) == ([], [])


async def test_a_yes_asks_the_pool_and_its_capture_opens(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    port = pool.balancer(back_ends(pool, certificates), "in_turn")
    before = await asyncio.to_thread(traffic, tmp_path / "before", port)
    app = app_of(before, prober=quickly)
    async with app.run_test(size=(80, 24)) as pilot:
        await then("1", "P", "y")(pilot)
        await loaded(pilot)
        [capture] = kept()
        assert app.state.paths == [capture]
        assert app.current_mode == "overview"
        [service] = app.state.document.services
        assert service.connections == 6
        assert service.probed is not None
        assert "a probe, b: back" in shown(app)
        assert notified(app) == [f"6 of 6 connections: 6 finished. Kept as {capture}"]
        await pressed(pilot, "P", "enter")  # once more, from the probe's own capture
        await loaded(pilot)
        assert len(kept()) == 2
        await pressed(pilot, "b")
        await loaded(pilot)
        assert app.state.paths == [capture]
        await pressed(pilot, "3", "b")
        await loaded(pilot)
        assert (app.state.paths, app.current_mode) == ([str(before)], "connections")
        assert app.state.now.count == 2
        assert "b: back" not in shown(app)


async def started(pilot: Pilot[Any], accepted: list[bool]) -> InspectorApp:
    """An app whose probe has wholly made two of many connections, at least: no more than ``AT_ONCE`` are open."""
    await loaded(pilot)
    accepted.clear()
    await pilot.press("P", "y")
    await until(pilot, lambda: len(accepted) >= AT_ONCE + 2)
    app = pilot.app
    assert isinstance(app, InspectorApp)
    assert isinstance(app.screen, ProbeProgress)
    return app


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_it_is_stopped_with_what_is_known_so_far(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued], key: str
) -> None:
    port, accepted = counted(pool, certificates[0])
    app = app_of(await asyncio.to_thread(traffic, tmp_path / "before", port), prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot, accepted)
        await pilot.press(key)
        await until(pilot, lambda: app.state.paths == kept())
        await loaded(pilot)
        assert app.is_running
        assert 2 <= app.state.now.count < 60
        assert any("of 60 connections" in text for text in notified(app))


async def test_leaving_the_app_ends_it(tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]) -> None:
    port, accepted = counted(pool, certificates[0])
    app = app_of(await asyncio.to_thread(traffic, tmp_path / "before", port), prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot, accepted)
        await pilot.press("ctrl+c", "ctrl+c")
        await until(pilot, lambda: app._exit or not isinstance(app.screen, ProbeProgress))
    pool.settle()
    assert len(accepted) < 60


def test_no_resolver_holds_up_who_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    one = app_probe(f"inspector probe pool.example.com -w {tmp_path / 'probe.pcapng'}")

    def look_up(*args: object, **kwargs: object) -> list[object]:
        one.stop()
        over.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr(destination, "LOOK_UP_SECONDS", 60.0)
    with pytest.raises(UsageError, match="stopped before the resolver answered"):
        one.run(lambda begun, total: None)
    over.set()


async def test_a_pool_that_nobody_reaches_leaves_the_app_as_it_is(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    before = await asyncio.to_thread(traffic, tmp_path / "before", counted(pool, certificates[0])[0])
    down = pool.down()
    app = app_of(before, prober=lambda command: quickly(f"inspector probe {HOST}:{down} -w x"))
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P", "y")(pilot)
        assert app.state.paths == [str(before)]
        assert notified(app) == ["6 of 6 connections: 6 refused (RST to the SYN)"]
        assert kept() == []


async def test_a_name_that_is_nowhere_is_said(tmp_path: Path) -> None:
    app = app_of(
        written(tmp_path, of_java()().flows), prober=lambda command: app_probe("inspector probe x.invalid:1 -w x")
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P", "y")(pilot)
        assert not app.screen.is_modal
        assert [n.severity for n in app._notifications] == ["warning"]


async def test_a_command_that_cannot_run_is_changed_or_left(tmp_path: Path) -> None:
    app = app_of(written(tmp_path, of_java()().flows), prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P", "e", *" --rate 51")(pilot)
        await pressed(pilot, "enter")
        assert isinstance(app.screen, Ask)
        assert "--i-own-this" in shown(app)
        await pressed(pilot, "backspace", "enter")
        assert isinstance(app.screen, ProbeProposal)
        assert "--rate 5" in shown(app)
        os.mkfifo("probe-puppetdb.example.com-8081.pcapng")  # meanwhile
        await pressed(pilot, "y")
        assert not app.screen.is_modal
        assert "something stands there" in notified(app)[0]


def test_the_command_opens_an_app_that_may_probe(
    tmp_path: Path, pool: LoopbackPool, certificates: list[Issued]
) -> None:
    port, accepted = counted(pool, certificates[0])
    before = traffic(tmp_path / "before", port)
    accepted.clear()
    command = [sys.executable, "-m", "inspector", str(before)]
    answers = [(b"Remedies", b"P"), (b"Nothing is sent yet.", b"nP"), (b"Nothing is sent yet.", b"y")]
    status, _ = on_a_terminal(command, [*answers, (b"connections begun", b"\x03\x03")])
    assert status == 0
    pool.settle()
    assert len(accepted) < 60


async def test_where_there_is_nothing_to_probe(tmp_path: Path) -> None:
    app = app_of(written(tmp_path, []), prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P")(pilot)
        assert not app.screen.is_modal
        assert notified(app) == ["There is no service to probe here."]


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("how", ["packets", *COMPRESSED, "directory", "facts"])
async def test_nobody_is_asked_at_addresses_that_were_made_up(tmp_path: Path, how: str) -> None:
    capture = str(written(tmp_path, of_java()().flows))
    redacted = tmp_path / "redacted"
    words = ["extract", capture, "--redact"] if how == "facts" else ["report", capture, "--redact"]
    command = [sys.executable, "-m", "inspector", *words, "-o", str(redacted)]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=COMMAND_SECONDS, capture_output=True)
    path = redacted if how in ("directory", "facts") else redacted / "evidence.pcapng"
    if how in COMPRESSED:
        path = tmp_path / "evidence"
        path.write_bytes(COMPRESSED[how]((redacted / "evidence.pcapng").read_bytes()))
    app = app_of(path, prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P")(pilot)
        assert not app.screen.is_modal
        assert notified(app) == ["Redacted: its addresses are not those of the service."]


async def test_tls_inside_another_protocol_is_refused(tmp_path: Path) -> None:
    pool = Pool()
    flow = pool.full(A, numbered(1))
    flow.segments[3].payload = b"EHLO example.com\r\n" + flow.segments[3].payload
    app = app_of(written(tmp_path, [flow]), prober=app_probe)
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P")(pilot)
        assert not app.screen.is_modal
        assert "inside another protocol" in notified(app)[0]


async def test_while_a_live_capture_goes_on_the_command_is_copied(tmp_path: Path) -> None:
    app = app_of(written(tmp_path, of_java()().flows), prober=None)
    async with app.run_test(size=(80, 24)) as pilot:
        await then("P")(pilot)
        assert not app.screen.is_modal
        assert app.clipboard.startswith("inspector probe ")
        assert "Not while a live capture goes on here" in notified(app)[0]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_what_is_proposed(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.chdir(CAPTURES)
    app = app_of(find("puppet-session-ids").name, prober=app_probe)
    assert snap_compare(app, terminal_size=size, run_before=then("1", "P"))


class HalfDone(SilentProbe):
    """It stands still in the middle."""

    def __init__(self) -> None:
        self._is_stopped = threading.Event()

    def run(self, on_begun: Callable[[int, int], None]) -> ProbeOutcome:
        on_begun(17, 60)
        self._is_stopped.wait()
        return super().run(on_begun)

    def stop(self) -> None:
        self._is_stopped.set()


def test_how_far_it_is(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CAPTURES)

    async def act(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        await pilot.press("P", "y")
        await until(pilot, lambda: "17 of 60" in shown(pilot.app))

    app = app_of(find("puppet-session-ids").name, prober=lambda command: HalfDone())
    assert snap_compare(app, terminal_size=(80, 24), run_before=act)
