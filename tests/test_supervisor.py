"""The protocol of sd_notify(3), with a socket in the place of systemd's, and the unit that asks for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from inspector.live.host.supervisor import Supervisor
from tests.build import capture
from tests.conftest import CAPTURES
from tests.ended import END_SECONDS, Run, hanging, patient
from tests.live import WATCH
from tests.test_watch import fault
from tests.waiting import until

UNIT = CAPTURES.parent / "docs" / "inspector-watch.service"


class Manager:
    """Whoever listens. The kernel keeps ten words or so for it (unix(7)), and more are lost."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def hears(self, what: str) -> bool:
        """Whether it was told this by now."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return any(line.startswith(what) for line in self.heard)

    def forget(self) -> None:
        """What was told by now."""
        self.hears("")
        self.heard.clear()

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *of: object) -> None:
        self._socket.close()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_service_is_ready_lives_and_stops(kind: str, tmp_path: Path) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@inspector-test-{os.getpid()}"
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}
    execute = f"sh -c 'env > {tmp_path}/environment'"
    words = patient([*WATCH, "--no-journal", "--exec", execute, "-"])
    with Manager(address) as manager, Run(words, capture(fault(1).flows), env=environment) as run:
        assert until(lambda: manager.hears("READY=1"))
        assert manager.heard[:2] == ["READY=1", "STATUS=capturing -"]
        for _ in range(2):
            manager.forget()
            assert until(lambda: manager.hears("WATCHDOG=1"))
        assert until(lambda: manager.hears("WATCHDOG=1") and (tmp_path / "environment").exists())
        run.process.send_signal(signal.SIGTERM)
        assert until(lambda: manager.hears("STOPPING=1"))
        assert run.process.wait(END_SECONDS) == 143
    assert "NOTIFY_SOCKET" not in (tmp_path / "environment").read_text(), "it is not meant for others"


def test_a_loop_that_hangs_is_noticed(tmp_path: Path) -> None:
    """It is fed by the loop, and not beside it; what systemd sends then says where it hung."""
    told, address = tmp_path / "hangs", str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}
    words = [*hanging("inspector.live:live_capture.judged_in_parts", told), "--no-journal", "-"]
    with Manager(address) as manager, Run(words, capture(fault(1).flows), env=environment) as run:
        assert until(told.exists)
        manager.forget()
        time.sleep(1.0)
        assert not manager.hears("WATCHDOG=1")
        assert run.end(signal.SIGABRT) == -signal.SIGABRT
        assert "in _judge" in run.errors()


def test_it_is_said_twice_in_an_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Manager(str(tmp_path / "n")) as manager:
        supervisor = Supervisor({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000000"})
        assert supervisor.interval_seconds == 30
        for now in range(60):
            monkeypatch.setattr(time, "monotonic", lambda now=now: now + 1.0)
            supervisor.lives()
        manager.hears("")
        assert manager.heard == ["WATCHDOG=1"] * 4


def test_words_are_one_line(tmp_path: Path) -> None:
    """Names of interfaces and commands are in them: none becomes another word of the protocol."""
    with Manager(str(tmp_path / "n")) as manager:
        Supervisor({"NOTIFY_SOCKET": manager.address}).ready("capturing x\nMAINPID=1")
        manager.hears("")
        assert manager.heard == ["READY=1", "STATUS=capturing x MAINPID=1"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": "1"},
        {"NOTIFY_SOCKET": "/" + "x" * 200},
        {"NOTIFY_SOCKET": "vsock:2:1"},
        {"WATCHDOG_USEC": "many"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_where_nobody_listens_nothing_happens(environment: dict[str, str]) -> None:
    supervisor = Supervisor(environment)
    supervisor.ready("x")
    supervisor.lives()
    supervisor.status("x")
    supervisor.stopping()
    assert not environment


def test_the_unit_asks_for_it() -> None:
    text = UNIT.read_text()
    for line in ("Type=notify", "NotifyAccess=main", "WatchdogSec=30", "TimeoutStopSec=10", "Restart=on-failure"):
        assert f"\n{line}\n" in text


def test_the_unit_is_one_for_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/inspector/bin/inspector", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr
