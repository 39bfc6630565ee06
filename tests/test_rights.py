"""What is left after rights were given up: everything is loaded by then, and what cannot be read, written or run is
named with what mends it.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.live.host import places, puppet as host
from inspector.live.host.doctor import diagnosis
from inspector.live.host.preloading import program
from inspector.live.host.privileges import CAP_NET_RAW, Account, account, denied, existing, unwritable
from inspector.live.sources.interfaces import interfaces
from inspector.live.sources.processes import Command
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import WATCH_AS_USUAL
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY = account("nobody", {})


@needs_root
def test_what_somebody_else_may_not_read(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("x")
    assert denied(NOBODY, ["/etc/passwd", str(closed / "file"), "/nowhere"]) == [str(closed / "file"), "/nowhere"]
    assert denied(Account("root", 0, 0), [str(closed / "file")]) == []
    assert denied(NOBODY, ["/"], os.W_OK) == ["/"]
    assert os.geteuid() == 0


def test_what_keeps_a_file_from_being_written(tmp_path: Path) -> None:
    assert unwritable(str(tmp_path / "a" / "b")) == ""
    assert existing(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert existing("/") == "/"
    assert existing("/nowhere/at/all") == "/"


DRIVEN = """
import asyncio, sys
from inspector.findings.case import Options
from inspector.live.host.preloading import APP, preload
from inspector.tui.app import InspectorApp
import tests.app
preload(APP)
import textual.drivers.headless_driver, textual.pilot
before = set(sys.modules)

async def drive():
    app = InspectorApp([sys.argv[1]], Options())
    async with app.run_test(size=(120, 40)) as pilot:
        await tests.app.loaded(pilot)
        for keys in [*tests.app.WAYS.values(), ("ctrl+p",), ("e",), ("y",)]:
            await tests.app.pressed(pilot, *keys)
            await pilot.press("escape")

asyncio.run(drive())
print(*sorted(set(sys.modules) - before))
"""


def test_the_app_loads_nothing_after_that() -> None:
    environment = {**os.environ, "PYTHONPATH": str(CAPTURES.parent)}
    done = subprocess.run(
        [sys.executable, "-c", DRIVEN, str(CAPTURES / "puppet-session-ids.pcap.gz")],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=True,
        cwd=CAPTURES.parent,
        env=environment,
    )
    assert done.stdout.split() == []


WATCHED = """
import os, sys
from inspector.live.host.preloading import preload
import tests.live
from inspector.live.outputs.lines import LinePrinter
from inspector.live.outputs.metrics import Metrics
from inspector.live.outputs.recording import Recording
from inspector.live.outputs.trigger import Trigger
from inspector.live.keeping import Keeping
from inspector.extract.journal import Journal
preload()
before = set(sys.modules)
folder = sys.argv[1]
recording = Recording(folder + "/w.pcapng", None, ["-"], is_full=False)
journal = Journal(folder + "/j.sqlite", 1 << 30, "-")
keeping = Keeping(recording=recording, trigger=Trigger(folder, ["-"]), journal=journal)
from inspector.live.live_capture import LiveCapture
from inspector.findings.case import Options
from inspector.live.sources.source import PipeSource
watching = LiveCapture([PipeSource("-", 0)], Options(), keeping, "-")
lines = LinePrinter(watching, open(os.devnull, "wb"), (Metrics(folder + "/m"),), None)
watching.run(lines)
lines.finish()
watching.close()
print(*sorted(set(sys.modules) - before))
"""


def test_watch_loads_nothing_after_that(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(CAPTURES.parent)}
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    done = subprocess.run(
        command,
        input=capture(fault(3).flows),
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=True,
        cwd=CAPTURES.parent,
        env=environment,
    )
    assert done.stdout.split() == []
    assert list(tmp_path.glob("incident-*.pcapng"))


@needs_root
@pytest.mark.parametrize(
    ("option", "name"), [("-w", "x.pcapng"), ("--incidents", "x"), ("--journal", "x.sqlite"), ("--metrics", "x.prom")]
)
def test_what_cannot_be_written_is_named_with_its_remedy(tmp_path: Path, option: str, name: str) -> None:
    tmp_path.chmod(0o700)
    kept = ["--no-journal"] if option != "--journal" else []
    command = [*WATCH_AS_USUAL, "-", option, str(tmp_path / name), *kept]
    done = subprocess.run(
        command, input=capture([]), capture_output=True, timeout=COMMAND_SECONDS, check=False, cwd=CAPTURES.parent
    )
    said = done.stderr.decode()
    assert done.returncode == 2
    assert "Traceback" not in said
    assert f"{option} {tmp_path / name}: this runs as nobody" in said
    assert "install -d -o nobody" in said


@needs_root
@pytest.mark.parametrize("script", ["exit 3", "echo you do not have permission >&2; exit 1"])
def test_a_command_that_fails_without_rights_is_told_how_it_would_have_them(script: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "inspector", "watch", "--no-journal", "--via", f"sh -c {shlex.quote(script)}"],
        stdout=subprocess.PIPE,
        cwd=CAPTURES.parent,
    )
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if b"is started again" in line)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    assert b"it runs as nobody: with -Z root it keeps root's rights" in line


def test_a_command_that_has_captured_needs_no_such_advice() -> None:
    command = Command("true")
    command.advice = "advice"
    command._has_captured = True
    assert "advice" not in command.text


def test_addresses_of_interfaces_are_texts() -> None:
    found = {address for interface in interfaces() for address in interface.addresses}
    assert "127.0.0.1" in found
    assert all("." in address or ":" in address for address in found)


def test_the_way_to_an_address_has_an_interface() -> None:
    assert host.routed("127.0.0.1", 443)[0] == "lo"
    by_address = {address: interface.name for interface in interfaces() for address in interface.addresses}
    try:
        name, own = host.routed("198.51.100.1", 443)
    except OSError:  # no network here
        return
    assert name == by_address[own]


@needs_root
def test_the_doctor_says_what_a_capture_may_read_and_write_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    told = [check.text for check in diagnosis(host.look()).checks]
    assert any("nobody, whom a capture becomes, can" in text for text in told)
    assert any("journal" in text for text in told)


@needs_root
def test_a_journal_of_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root makes a place for it, once; what is there already and somebody else's is left alone."""
    for name in ("STATE_DIRECTORY", "SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder) not in ("/", "/tmp"):
            folder.chmod(0o755)
    who = Account("nobody", NOBODY.uid, NOBODY.gid)
    monkeypatch.setattr(places, "home_of", lambda uid: "/nonexistent")
    system = tmp_path / "inspector"
    wanted = str(system / "journal.sqlite")
    assert places.journal_path_of(who, str(system), makes=False) == wanted
    assert not system.exists()
    for _ in range(2):
        assert places.journal_path_of(who, str(system)) == wanted
        status = system.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (who.uid, who.gid, 0o700)
    assert places.journal_path_of(who, str(system), makes=False) == wanted
    os.chown(system, 0, 0)
    assert [places.journal_path_of(who, str(system), makes=makes) for makes in (True, False)] == ["", ""]
    assert system.stat().st_uid == 0
    assert places.journal_path_of(who, "/proc/inspector") == ""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, who.uid, who.gid)
    monkeypatch.setattr(places, "home_of", lambda uid: str(home))
    assert places.journal_path_of(who, str(system)) == str(home / ".local/state/inspector/journal.sqlite")


@needs_root
def test_watch_as_root_keeps_its_journal_where_it_may_write(tmp_path: Path) -> None:
    """In a file system of its own: the directory is made, and the next watch finds it. A second one goes without."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    watch = f"timeout {COMMAND_SECONDS:.0f} {shlex.quote(sys.executable)} -m inspector watch - < {tmp_path}/c.pcap"
    script = f"""
mount --make-rprivate / && mount -t tmpfs none /var/lib
unset STATE_DIRECTORY SUDO_UID
{watch}; {watch}
ls -ln /var/lib/inspector
flock /var/lib/inspector/journal.sqlite.lock {watch}
"""
    (tmp_path / "c.pcap").write_bytes(capture(fault().flows))
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    said, listed = done.stderr.decode(), done.stdout.decode()
    assert done.returncode == 0, said
    assert said.count("its journal: /var/lib/inspector/journal.sqlite") == 2
    assert said.count("no journal is kept: /var/lib/inspector/journal.sqlite: another inspector writes") == 1
    assert listed.count('"record":"incident"') == 3
    assert f"-rw------- 1 {NOBODY.uid} {NOBODY.gid}" in listed


@needs_root
def test_the_doctor_says_that_there_is_nobody_to_become(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a bare container, which has no list of users."""

    def unknown(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", unknown)
    monkeypatch.delenv("SUDO_UID", raising=False)
    told = {check.text: check for check in diagnosis(host.Host(None, "", "", (), "", ())).checks}
    missing = told["there is no user nobody, whom the capture is to become"]
    assert (missing.state, missing.mend.split()[-2:]) == ("bad", ["-Z", "USER"])


@needs_root
def test_the_doctor_looks_at_the_log_as_the_user_that_a_capture_becomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    log = tmp_path / "closed" / "puppetserver.log"
    log.parent.mkdir()
    log.write_text("")
    group = grp.getgrall()[-1]
    os.chown(log.parent, 0, group.gr_gid)
    log.parent.chmod(0o750)
    [check] = [
        check
        for check in diagnosis(host.Host(None, "", "", (), str(log), ())).checks
        if "lost when it is rotated" in check.text
    ]
    assert str(log) in check.text
    assert f"--groups {group.gr_name} inspector" in check.mend
    for folder in (log.parent, *log.parents):
        if str(folder) not in ("/", "/tmp"):
            folder.chmod(0o755)
    readable = diagnosis(host.Host(None, "", "", (), str(log), ())).checks
    assert not [check for check in readable if "rotated" in check.text]


@needs_root
@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")
def test_live_as_root_runs_whoever_may_read_python(tmp_path: Path) -> None:
    """Where Python is root's alone, this is the hard case; elsewhere the easy one. What others say on this machine is
    not captured.
    """
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {"TERM": "xterm-256color"}
    program_of = f"{sys.executable} -m inspector live -i lo -f 'tcp port 1'; echo ended with $?; sleep 600"
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "100", "-y", "30", program_of],
        check=True,
        cwd=CAPTURES.parent,
        env=environment,
    )

    def screen() -> str:
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False).stdout

    try:
        assert until(lambda: "waiting for the first TLS" in screen()), screen()
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        assert until(lambda: "ended with 0" in screen()), screen()
        assert ("everything is loaded before" in screen()) == bool(denied(NOBODY, program()))
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


PERMITTED = """
import builtins, os, socket
from inspector.live.host.privileges import CAP_NET_RAW, is_kept_from_capturing, may_capture, take_up

def opens():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except PermissionError:
        return False
    return True

def hidden(*arguments, **options):
    raise FileNotFoundError

before = opens()
take_up(CAP_NET_RAW)
builtins.open = os.open = hidden  # as where there is no /proc
print(may_capture(), is_kept_from_capturing(), before, opens())
"""


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, to be root without root's rights")
@pytest.mark.parametrize(
    ("bounding", "answer"), [("+net_raw", "True False False True"), ("-net_raw", "False True False False")]
)
def test_a_right_that_the_program_file_permits_is_taken_up(bounding: str, answer: str, tmp_path: Path) -> None:
    """A container image's Python may capture where the container may; where that may not, it still runs."""
    program_file = tmp_path / "python"
    shutil.copy(os.path.realpath(sys.executable), program_file)
    os.setxattr(program_file, "security.capability", struct.pack("<5I", 2 << 24, 1 << CAP_NET_RAW, 0, 0, 0))
    done = subprocess.run(
        [
            str(shutil.which("setpriv")),
            *("--securebits", "+noroot", "--inh-caps", "-all", "--bounding-set", bounding),
            str(program_file),
            "-c",
            PERMITTED,
        ],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env={
            **os.environ,
            "PYTHONHOME": sys.base_prefix,
            "PYTHONPATH": os.pathsep.join([str(CAPTURES.parent), *sys.path]),
        },
    )
    assert done.stdout.strip() == answer, done.stderr
