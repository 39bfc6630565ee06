"""The app over live traffic and over a journal that grows: what it shows while it waits, that an incident knocks, that
everything is kept at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from inspector.extract.journal import Journal
from inspector.findings.case import Options
from inspector.findings.wording import worded
from inspector.live.clock import PacketClock
from inspector.live.keeping import Keeping
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.recording import Recording
from inspector.live.outputs.trigger import Trigger
from inspector.live.sources.source import PipeSource
from inspector.settings import Settings
from inspector.text.times import SECOND_NS
from inspector.text.zones import UTC
from inspector.tui.app import InspectorApp
from inspector.tui.listening import Following, Listening
from inspector.tui.loading_screen import LoadingScreen
from tests.app import shown, until
from tests.build import Pool, capture, certificate, numbered
from tests.conftest import CAPTURES
from tests.ended import patient
from tests.live import AS_IS, listened
from tests.test_watch import analyzed, fault
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, is_running, painted, until as until_so

HEADER = capture([])
DB = certificate("db", ("db.example.com",))


class Tap:
    """A pipe into a live capture that the test writes to."""

    def __init__(self, keeping: Keeping | None = None, most: int = 10_000) -> None:
        reading, self._writing = os.pipe()
        self.watching = LiveCapture([PipeSource("-", reading)], Options(), keeping or Keeping(), "test", most)
        self.listening = Listening(self.watching, "tcp port 8081", Settings())
        self.app = InspectorApp(self.listening.paths, Options(), loading=self.listening)

    def write(self, data: bytes) -> None:
        os.write(self._writing, data)

    def end(self) -> None:
        os.close(self._writing)


async def test_what_was_forgotten_is_said_and_is_no_pause_in_the_chart() -> None:
    pool = Pool()
    for n in range(120):
        pool.full(DB, numbered(n + 1))
        pool.ns += SECOND_NS
    tap = Tap(most=40)
    async with tap.app.run_test(size=(120, 40)) as pilot:
        tap.write(capture(pool.flows)[:60_000])
        thread = threading.Thread(target=tap.write, args=(capture(pool.flows)[60_000:],))
        thread.start()
        await until(
            pilot,
            lambda: tap.watching.window.forgotten == len(pool.flows) - 40 and "older connections" in shown(tap.app),
        )
        thread.join()
        state, window = tap.app.state, tap.watching.window
        await until(pilot, lambda: f"the last 40 of {40 + window.forgotten}" in shown(tap.app))
        await until(pilot, lambda: state.whole_from_ns == window.whole_from_ns > 0)
        assert state.columns is not None
        late = state.columns.time_ns[state.columns.time_ns > state.whole_from_ns]
        early = state.columns.time_ns[state.columns.time_ns <= state.whole_from_ns]
        assert len(late) > 5
        assert len(early) > 0
        assert int(max(late[1:] - late[:-1])) < 10 * SECOND_NS
        assert "· not known" in shown(tap.app)
        screen = "\n".join(
            line for line in shown(tap.app).splitlines() if " from " not in line
        )  # the heading says since when the capture runs
        assert UTC.clock(int(late[0]))[:8] in screen
        assert UTC.clock(int(early[0]))[:8] not in screen
        tap.end()


async def test_it_waits_then_shows_then_knocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.tui.feed.NEWS_SECONDS", PATIENCE_SECONDS)
    flows = fault().flows
    tap = Tap(
        Keeping(
            recording=Recording(str(tmp_path / "w.pcapng"), None, ["test"], is_full=False),
            trigger=Trigger(str(tmp_path / "evidence"), []),
        )
    )
    async with tap.app.run_test(size=(100, 30), notifications=True) as pilot:
        tap.write(HEADER)
        await until(pilot, lambda: "waiting for the first TLS connection" in shown(tap.app))
        assert isinstance(tap.app.screen, LoadingScreen)
        assert "capturing - by a pipe" in shown(tap.app)
        assert "filter: tcp port 8081" in shown(tap.app)
        tap.write(capture(flows[:2])[24:])
        await until(pilot, lambda: "2 connections" in shown(tap.app))
        assert "conn/s" in shown(tap.app)
        assert "drops unknown" in shown(tap.app)
        tap.write(capture(flows[2:])[24:])
        await until(pilot, lambda: "i: its story" in shown(tap.app))
        await until(pilot, lambda: "aborted 1 of 3" in shown(tap.app).replace("\n", " "))
        await pilot.press("i")
        await until(pilot, lambda: "Aborted because the certificate changed" in shown(tap.app))
        await pilot.press("enter")
        await until(
            pilot, lambda: "ClientHello" in shown(tap.app) and "random" in shown(tap.app)
        )  # decoded from the file that is being written
        await until(pilot, lambda: list((tmp_path / "evidence").iterdir()))
        tap.end()
    tap.listening.close()
    assert not tap.listening._capture.is_alive()


async def test_a_frozen_view_stands_still_and_counts_what_waits() -> None:
    flows = fault(3).flows
    tap = Tap()
    async with tap.app.run_test(size=(120, 30)) as pilot:
        tap.write(capture(flows[:3]))
        await until(pilot, lambda: "3 connections" in shown(tap.app))
        await pilot.press("p")
        tap.write(capture(flows[3:])[24:])
        await until(pilot, lambda: "frozen, 6 more wait" in shown(tap.app))
        assert "of 3 connections" in shown(tap.app).replace("\n", " ")
        await pilot.press("p")
        await until(pilot, lambda: "of 9 connections" in shown(tap.app).replace("\n", " "))
        tap.end()
    tap.listening.close()


async def test_what_is_selected_stays_selected_when_rows_arrive() -> None:
    flows = fault(3).flows
    tap = Tap()
    async with tap.app.run_test(size=(120, 30)) as pilot:
        tap.write(capture(flows[:3]))
        await until(pilot, lambda: "3 connections" in shown(tap.app))
        await pilot.press("3", "down")
        rows = tap.app.screen.query_one("#connections")
        await until(pilot, lambda: rows.cursor == 1)  # type: ignore[attr-defined]
        tap.write(capture(flows[3:])[24:])
        await until(pilot, lambda: rows.count == 9)  # type: ignore[attr-defined]
        assert rows.cursor == 1  # type: ignore[attr-defined]
        tap.end()
    tap.listening.close()


async def test_what_needs_packets_says_that_none_were_kept() -> None:
    tap = Tap()
    async with tap.app.run_test(size=(120, 30)) as pilot:
        tap.write(capture(fault().flows))
        await until(pilot, lambda: "of 3 connections" in shown(tap.app).replace("\n", " "))
        await pilot.press("3", "enter", "enter")
        await until(pilot, lambda: "no packets were" in shown(tap.app))
        await pilot.press("escape", "ctrl+r", "o")
        await pilot.pause()
        assert tap.app.feed.loading is tap.listening
        tap.end()
    tap.listening.close()


async def test_leaving_writes_everything(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    tap = Tap(Keeping(journal=Journal(str(path), 1 << 30, "test")))
    async with tap.app.run_test(size=(80, 24)) as pilot:
        tap.write(capture(fault().flows))
        await until(pilot, lambda: "of 3 connections" in shown(tap.app).replace("\n", " "))
        await pilot.press("q")
    tap.listening.close()
    from inspector.extract.journal import read_facts

    assert len(read_facts(str(path)).connections) == 3
    tap.end()


async def test_a_failure_of_the_capture_is_not_a_silent_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(batch: object) -> None:
        raise ZeroDivisionError

    tap = Tap()
    monkeypatch.setattr(tap.watching.engine, "take", broken)
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    async with tap.app.run_test(size=(80, 24)) as pilot:
        tap.write(capture(fault().flows))
        await until(pilot, lambda: tap.listening.is_done)
    assert isinstance(tap.listening._crash, ZeroDivisionError)
    tap.end()


async def test_a_journal_is_followed(tmp_path: Path) -> None:
    path = str(tmp_path / "j.sqlite")
    flows = fault(2).flows
    listened(capture(flows[:3]), Keeping(journal=Journal(path, 1 << 30, "first")))
    following = Following([path], Options(), Settings())
    app = InspectorApp([path], Options(), loading=following)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "of 3 connections" in shown(app).replace("\n", " "))
        assert "following" in shown(app)
        await asyncio.to_thread(listened, capture(flows[3:]), Keeping(journal=Journal(path, 1 << 30, "second")))
        await until(pilot, lambda: "of 6 connections" in shown(app).replace("\n", " "))
        await pilot.press("3", "enter", "enter")
        await until(pilot, lambda: "cannot be shown" in shown(app))


async def test_a_journal_that_takes_the_place_of_another_is_followed(tmp_path: Path) -> None:
    """As one does that is begun where a damaged one was set aside."""
    path = tmp_path / "j.sqlite"
    flows = fault(2).flows
    listened(capture(flows[:3]), Keeping(journal=Journal(str(path), 1 << 30, "first")))
    following = Following([str(path)], Options(), Settings())
    app = InspectorApp([str(path)], Options(), loading=following)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "of 3 connections" in shown(app).replace("\n", " "))
        path.rename(tmp_path / "j.sqlite.damaged-1")
        path.touch()
        await asyncio.to_thread(listened, capture(flows), Keeping(journal=Journal(str(path), 1 << 30, "second")))
        await until(pilot, lambda: "of 6 connections" in shown(app).replace("\n", " "))


@pytest.mark.parametrize("number,status", [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_lost_terminal_loses_nothing(tmp_path: Path, number: int, status: int) -> None:
    """The real command in a terminal that hangs up in the middle of it."""
    (tmp_path / "c.pcap").write_bytes(capture(fault().flows))
    command = f"sh -c 'cat {tmp_path}/c.pcap; exec sleep 600'"
    words = patient([sys.executable, "-m", "inspector", "live", *AS_IS, "--via", command])
    words += ["--journal", f"{tmp_path}/j.sqlite", "-w", f"{tmp_path}/w.pcapng"]
    process, controller = pty.fork()
    if not process:
        os.chdir(CAPTURES.parent)
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30")
        os.execv(words[0], words)
    assert b"aborted" in painted(controller, b"aborted")
    os.kill(process, number)
    drained = threading.Thread(target=_drain, args=(controller,), daemon=True)
    drained.start()
    assert until_so(lambda: not is_running(process))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == status
    for path in ("j.sqlite", "w.pcapng"):
        assert len(analyzed(tmp_path / path)["incidents"]) == 1, path


def _drain(controller: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(controller, 65_536):
            pass


def test_without_a_terminal_it_points_to_watch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "live"],
        capture_output=True,
        text=True,
        check=False,
        cwd=CAPTURES.parent,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 2
    assert "inspector watch" in done.stderr


class SetClock:
    """This machine's, which somebody sets. ``look_ns``: how long it takes to look at it."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * SECOND_NS
        self.look_ns = 0
        self._passed_ns = 0

    def monotonic(self) -> float:
        return self._passed_ns / SECOND_NS

    def monotonic_ns(self) -> int:
        return self._passed_ns

    def time_ns(self) -> int:
        self._passed_ns += self.look_ns
        return self.ns + self._passed_ns


def test_who_is_held_up_while_it_looks_does_not_take_that_for_a_clock_that_was_set() -> None:
    clock = SetClock()
    clock.look_ns = 2 * SECOND_NS
    packets = PacketClock(clock)
    assert packets.step_ns() == 0
    clock.look_ns = 0
    assert packets.step_ns() == 0
    clock.look_ns = 2 * SECOND_NS
    assert packets.step_ns() == 0
    clock.look_ns = 0
    clock.ns -= 3 * SECOND_NS
    assert [packets.step_ns(), packets.step_ns()] == [-3 * SECOND_NS, 0]


def test_a_clock_that_is_set_is_a_limit() -> None:
    watching, heard = listened(capture(fault().flows))
    clock = SetClock()
    watching._packet_clock = PacketClock(clock)
    clock.ns += 5 * SECOND_NS
    watching._look_at_clock(heard)
    assert [kind for kind, text in heard.told] == ["clock"]
    assert any("clock was set forward by 5.0 s" in worded(bound) for bound in watching.limits())


def test_the_slow_way_to_capture_is_shown_by_what_it_is() -> None:
    """Not by how its library calls itself."""
    reading, writing = os.pipe()
    os.close(writing)
    source = PipeSource("eth0", reading)
    listening = Listening(LiveCapture([source], Options(), Keeping(), "eth0"), "", Settings())
    source.by = "Scapy 2.6"
    assert "slow" not in listening.status()
    source.method = "scapy"
    assert "by Scapy 2.6: slow" in listening.status()
    listening.close()
    source.stop()
