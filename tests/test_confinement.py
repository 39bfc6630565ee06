"""How the commands confine themselves, and what they say of it."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.cli.confinement import confine_watch
from inspector.live.host import landlock, privileges, sandbox, seccomp
from inspector.live.host.doctor import _confinement
from inspector.live.sources.capture_launch import CaptureLaunch
from inspector.live.sources.interface import InterfaceSource
from inspector.live.sources.open_sources import OpenedSource
from inspector.live.sources.sniff_messages import CaptureConfined, SniffOptions, encoded
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import WATCH_AS_USUAL, listened
from tests.test_sandbox import IN_TREE, needs_filter, needs_landlock
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS


@pytest.fixture
def place() -> Iterator[Path]:
    """Where anybody may write, for root becomes somebody else."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.parametrize(
    ("further", "said"),
    [
        ((), "confined by"),
        (("--exec", "true"), "confined by"),
        (("--no-sandbox",), "not confined: --no-sandbox"),
    ],
)
def test_watch_says_what_holds(place: Path, further: tuple[str, ...], said: str) -> None:
    """And does its work so."""
    if said == "confined by" and not (landlock.version() or seccomp.is_offered()):
        pytest.skip("nothing can hold here")
    command = [*WATCH_AS_USUAL, "-", "--findings-only", "--journal", str(place / "j.sqlite")]
    command += ["-w", str(place / "w.pcapng"), "--incidents", str(place / "in"), "--metrics", str(place / "m")]
    done = subprocess.run(
        [*command, *further],
        input=capture(fault(3).flows),
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env=IN_TREE,
    )
    assert f"inspector: {said}" in done.stderr.decode()
    assert b"certificate-change-abort" in done.stdout
    for name in ("j.sqlite", "w.pcapng", "m"):
        assert (place / name).stat().st_size
    assert list((place / "in").iterdir())


def test_watch_is_confined_where_its_rights_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says both."""

    def fail(keep: tuple[int, ...]) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(privileges, "keep_only", fail)
    monkeypatch.setattr(sandbox, "confine_loop", lambda reads, writes, *, accepts: sandbox.Confinement(4, True))
    live = listened(capture(fault(1).flows))[0]
    opened = OpenedSource([], None, "", None, "")
    confine_watch(live, opened, reads=(), writes=(), folders=(), accepts=False, is_wanted=True)
    rights, confined = capsys.readouterr().err.splitlines()
    assert rights == "inspector: rights are not given up: not here"
    assert confined.startswith("inspector: confined by Landlock and a filter of system calls: ")


REFUSING = """
import os, socket, sys
from inspector.live.host import landlock, seccomp
calls = [landlock.CREATE_RULESET, landlock.ADD_RULE, landlock.RESTRICT_SELF]
seccomp.REFUSED = {str(call): (call, call) for call in calls}
assert seccomp.refuse((), (socket.AF_UNIX,))
os.execv(sys.executable, sys.argv[1:])
"""


@needs_filter
def test_where_a_service_manager_refuses_landlock(place: Path) -> None:
    """As one does that does not know it: the rest holds, and nothing is killed."""
    command = [*WATCH_AS_USUAL, "-", "--findings-only", "--journal", str(place / "j.sqlite")]
    done = subprocess.run(
        [sys.executable, "-c", REFUSING, *command],
        input=capture(fault(3).flows),
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env=IN_TREE,
    )
    assert "inspector: confined by a filter of system calls: " in done.stderr.decode()
    assert b"certificate-change-abort" in done.stdout


def test_the_unit_lets_it_confine_itself() -> None:
    """A call that systemd's filter does not name would kill it."""
    unit = (CAPTURES.parent / "docs" / "inspector-watch.service").read_text(encoding="utf-8").splitlines()
    assert "SystemCallErrorNumber=EPERM" in unit
    allowed = [line.partition("=")[2] for line in unit if line.startswith("SystemCallFilter=")]
    assert allowed == ["@system-service", "landlock_create_ruleset landlock_add_rule landlock_restrict_self"]


AROUND = """
import os, sys
from inspector.live.host.sandbox import confine_loop
confine_loop([], [])
import sqlite3
assert os.getcwd() in sys.path
print(os.access(".", os.R_OK) and open("secret").read())
"""


@needs_landlock
def test_where_it_was_started_is_not_read(tmp_path: Path) -> None:
    """Though ``python -m`` looks for modules there."""
    (tmp_path / "secret").write_text("told")
    (tmp_path / "started.py").write_text(AROUND)
    done = subprocess.run(
        [sys.executable, "-m", "started"],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env=IN_TREE,
        cwd=tmp_path,
    )
    assert b"PermissionError" in done.stderr
    assert b"told" not in done.stdout


def test_a_capture_without_confinement_is_told() -> None:
    source = InterfaceSource(CaptureLaunch(SniffOptions("eth0", "tcp", None, 65_536, 16, promiscuous=False, by="any")))
    source.line(encoded(CaptureConfined(7, True)).encode())
    assert not source.news
    source.line(encoded(CaptureConfined(problem="Operation not permitted")).encode())
    assert list(source.news) == ["eth0: what captures it is not confined: Operation not permitted"]
    assert source.unconfined


def test_the_doctor_tries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sandbox.tried() == (landlock.version(), seccomp.is_offered())

    def fail() -> sandbox.Confinement:
        raise OSError(errno.E2BIG, "too many")

    monkeypatch.setattr(sandbox, "confine_capture", fail)
    assert [check.state for check in _confinement()] == ["bad"]
    (text,) = [check.text for check in _confinement()]
    assert text == f"watch cannot be confined here: {os.strerror(errno.E2BIG)}"


HELD = """
import ctypes, os, resource, sys
from inspector.secrets.inputs import Supply, read_inputs
inputs = read_inputs(sys.argv[2:], [], lambda prompt: "")
Supply(inputs).take([bytes.fromhex(sys.argv[1])] if sys.argv[1] else [], 0, "capture")
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.parametrize(
    ("gives_keys", "block", "holds_keys"),
    [(False, b"", False), (False, b"NLKS\0\0\0\0", False), (True, b"", True), (False, b"KSLT\0\0\0\0", True)],
    ids=["none", "other secrets", "a key log", "a capture's own"],
)
def test_whoever_holds_keys_leaves_no_core_dump(
    tmp_path: Path, gives_keys: bool, block: bytes, holds_keys: bool
) -> None:
    (tmp_path / "keys").write_text("")
    keys = [str(tmp_path / "keys")] if gives_keys else []
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = subprocess.run(
        [sys.executable, "-c", HELD, block.hex(), *keys],
        capture_output=True,
        check=True,
        timeout=COMMAND_SECONDS,
        env=IN_TREE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    limit, dumpable = map(int, done.stdout.split())
    assert (dumpable == 0) == holds_keys
    assert limit == (0 if holds_keys else hard)
    assert ctypes.sizeof(ctypes.c_void_p) == 8  # the numbers of calls are those of machines of 64 bits
