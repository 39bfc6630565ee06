"""Where live frames come from: commands that die, filters, sessions that are left out, rights."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from inspector.capture.frames import FrameBatch
from inspector.errors import UsageError
from inspector.findings.change import ABORT
from inspector.live.host.privileges import Account, account
from inspector.live.sources import pipes, sniff
from inspector.live.sources.open_sources import kernel_filter, ssh_session
from inspector.live.sources.processes import Command
from inspector.live.sources.sniff import Unavailable
from inspector.live.sources.sniff_messages import (
    CaptureBack,
    CaptureFailed,
    CaptureLost,
    CaptureOpened,
    FramesReady,
    PacketCounts,
    SniffOptions,
    SniffReport,
    decode_options,
    decode_report,
    encoded,
)
from inspector.live.sources.source import PipeSource, Source, ready
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import WATCH, listened
from tests.test_watch import fault, wait_for
from tests.waiting import COMMAND_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, children_of, is_running, until


def script(folder: Path, text: str) -> str:
    path = folder / "source.sh"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return str(path)


def pumped(source: Source, holds: Callable[[list[int]], object]) -> list[int]:
    """Frames of each batch that comes until something is true of them, or of what the source says."""
    found: list[int] = []
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds(found):
        assert time.monotonic() < end
        source.tick()
        for descriptor in select.select(source.descriptors(), [], [], 0.05)[0]:
            batch = source.ready(descriptor)
            if batch is not None and len(batch):
                found.append(len(batch))
        if not source.descriptors():
            time.sleep(LOOK_SECONDS)
    return found


def says(source: Source, text: str) -> Callable[[object], bool]:
    return lambda _: any(text in news for news in source.news)


def test_a_command_is_started_again_and_what_it_said_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(capture(fault().flows))
    source = Command(script(tmp_path, f"cat {tmp_path}/c.pcap\necho 'permission \033[31mdenied' >&2\nexit 3\n"))
    source.start()
    batches = pumped(source, says(source, "ended with status 3, is started again in 1 s"))
    assert says(source, "permission")(batches)
    again = pumped(source, says(source, "ended with status 3, is started again in 2 s"))
    source.stop()
    assert sum(batches) == sum(again) > 0


def test_a_command_that_is_killed(tmp_path: Path) -> None:
    source = Command(script(tmp_path, "kill -9 $$\n"))
    source.start()
    pumped(source, says(source, "ended by SIGKILL"))
    states = [source.state]
    source.stop()
    assert [*states, source.state] == ["waiting", "ended"]


def test_a_command_that_writes_something_else(tmp_path: Path) -> None:
    source = Command(script(tmp_path, "yes hello | head -c 100000\nsleep 5\n"))
    source.start()
    pumped(source, says(source, "does not write pcap or pcapng"))
    source.stop()
    source.kill()


def test_a_command_with_both_formats_and_endless_lines(tmp_path: Path) -> None:
    """pcapng as dumpcap writes it, and a standard error that never ends a line."""
    import gzip

    (tmp_path / "c.pcapng").write_bytes(gzip.decompress((CAPTURES / "both-legs.pcapng.gz").read_bytes()))
    source = Command(script(tmp_path, f"cat {tmp_path}/c.pcapng\nhead -c 1000000 /dev/zero | tr '\\0' x >&2\n"))
    source.start()
    assert sum(pumped(source, says(source, "ended with status 0"))) > 100
    assert sum(len(text) for text in source.news) < 10_000
    source.stop()


def test_frames_come_through_a_command_as_they_do_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(capture(fault().flows))
    command = script(tmp_path, f"cat {tmp_path}/c.pcap; exec sleep 600\n")
    with subprocess.Popen(
        [*WATCH, "--no-journal", "--via", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=CAPTURES.parent
    ) as process:
        line = wait_for(
            process, "finding"
        )  # comes while the command still runs: it would sleep for longer than any test waits
        assert line["rule"] == ABORT
        children = children_of(process.pid)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 143
    assert children
    assert until(lambda: not any(map(is_running, children)))


def test_several_sources_are_one_story(tmp_path: Path) -> None:
    flows = fault().flows
    sources: list[Source] = []

    class InTurn(Command):
        """Whose frames come once those of the one before it were read."""

        def __init__(self, number: int) -> None:
            turn = f"{tmp_path}/{number}"
            super().__init__(f"sh -c 'until test -e {turn}; do sleep 0.02; done; cat {turn}.pcap; exec sleep 600'")
            self._next = tmp_path / f"{number + 1}"

        def ready(self, descriptor: int) -> FrameBatch | None:
            batch = super().ready(descriptor)
            if batch is not None and len(batch):
                self._next.touch()
            return batch

    (tmp_path / "0").touch()
    for number, flow in enumerate(flows):
        (tmp_path / f"{number}.pcap").write_bytes(capture([flow]))
        command = InTurn(number)
        command.start()
        sources.append(command)
    from inspector.live.keeping import Keeping
    from inspector.live.outputs.recording import Conditions

    _, heard = listened(b"", Keeping(stop=Conditions(incidents=1, duration=PATIENCE_SECONDS)), sources=sources)
    assert [len(f.connections) for f in heard.findings.values()] == [3]


@pytest.mark.parametrize(
    "vips,own,ssh,found",
    [
        ([], "", None, "tcp"),
        ([("10.0.0.5", 8081)], "", None, "((host 10.0.0.5 and tcp port 8081))"),
        ([("puppetdb.example.com", 8081), ("::1", 443)], "", None, "((tcp port 8081) or (host ::1 and tcp port 443))"),
        ([("a", 1), ("a", 1)], "net 10.0.0.0/8 or port 2", None, "((tcp port 1)) and (net 10.0.0.0/8 or port 2)"),
        (
            [],
            "",
            ("10.0.0.9", 5555, "10.0.0.1", 22),
            "tcp and not (host 10.0.0.9 and host 10.0.0.1 and tcp port 5555 and tcp port 22)",
        ),
    ],
)
def test_the_filter_of_the_kernel(
    vips: list[tuple[str, int]], own: str, ssh: tuple[str, int, str, int] | None, found: str
) -> None:
    assert kernel_filter(vips, own, ssh) == found
    cypcap = pytest.importorskip("cypcap")
    cypcap.compile(cypcap.DatalinkType.EN10MB, 65_535, found, True, 0)


@pytest.mark.parametrize(
    "value,found",
    [
        ("10.0.0.9 5555 10.0.0.1 22", ("10.0.0.9", 5555, "10.0.0.1", 22)),
        ("fe80::1%eth0 5555 fe80::2%eth0 22", ("fe80::1", 5555, "fe80::2", 22)),
        ("10.0.0.9 5555 10.0.0.1", None),
        ("x) or (tcp 5555 10.0.0.1 22", None),
        ("a 1 b 2", None),
    ],
)
def test_the_ssh_session_is_left_out(value: str, found: tuple[str, int, str, int] | None) -> None:
    assert ssh_session({"SSH_CONNECTION": value}) == found


def test_the_ssh_session_is_found_behind_sudo() -> None:
    """sudo takes the variable away; a parent still has it."""
    code = "from inspector.live.sources.open_sources import ssh_session; print(ssh_session({}))"
    inner = (
        "import os, subprocess, sys; e = dict(os.environ); del e['SSH_CONNECTION']; subprocess.run([sys.executable,"
        f" '-c', {code!r}], env=e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", inner],
        env={**os.environ, "SSH_CONNECTION": "10.0.0.9 5555 10.0.0.1 22"},
        capture_output=True,
        text=True,
        check=True,
        cwd=CAPTURES.parent,
    )
    assert done.stdout.strip() == "('10.0.0.9', 5555, '10.0.0.1', 22)"


def test_whom_root_becomes() -> None:
    assert account(None, {}).name == "nobody"
    assert account(None, {"SUDO_UID": "0", "SUDO_GID": "0"}).uid == 0
    assert account(None, {"SUDO_UID": "987654", "SUDO_GID": "5"}) == ("987654", 987654, 5)
    assert account("root", {"SUDO_UID": "5"}).uid == 0
    with pytest.raises(UsageError, match="no user no-such-user"):
        account("no-such-user", {})


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to take rights away"
)
@pytest.mark.parametrize("command", ["watch", "doctor"])
def test_without_rights(command: str, tmp_path: Path) -> None:
    """Exit status 4, and the command that mends it. Only the capability is taken away: another user could perhaps not
    read this program.
    """
    options = ["-Z", "root", "-i", "lo", "--no-journal"] if command == "watch" else []
    words = [
        str(shutil.which("setpriv")),
        "--bounding-set",
        "-net_raw",
        "--inh-caps",
        "-net_raw",
        sys.executable,
        "-m",
        "inspector",
        command,
        *options,
    ]
    nobody_else = {**os.environ, "PATH": str(tmp_path)}  # no sudo, no dumpcap
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
        env=nobody_else,
    )
    assert done.returncode == 4, done.stderr
    assert ("sudo" in done.stderr) if command == "watch" else ("--cap-add NET_RAW" in done.stdout)


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to take rights away"
)
def test_the_doctor_is_content_where_another_program_may_capture(tmp_path: Path) -> None:
    for name in ("sudo", "tcpdump"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    words = [
        str(shutil.which("setpriv")),
        "--bounding-set",
        "-net_raw",
        "--inh-caps",
        "-net_raw",
        sys.executable,
        "-m",
        "inspector",
        "doctor",
    ]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "this user may not capture" in done.stdout
    assert "live --via 'sudo -n tcpdump" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_an_ordinary_user_may_not(tmp_path: Path) -> None:
    done = subprocess.run(
        [*WATCH, "-i", "lo", "--no-journal"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    assert done.returncode == 4
    assert "inspector doctor" in done.stderr


def test_what_the_capturing_process_hears_and_says_comes_through() -> None:
    """Names of devices too that are no UTF-8."""
    odd = "eth\udcff"
    options = SniffOptions(odd, "tcp", Account("nobody", 65534, 65534), 96, 32, False, by="scapy", status=5, other=6)
    assert decode_options(encoded(options)) == options
    reports: list[SniffReport] = [
        CaptureOpened("libpcap 1.10", "libpcap"),
        CaptureFailed("device", f"{odd}: no such device"),
        CaptureLost("gone"),
        CaptureBack(),
        PacketCounts(3, 1),
        FramesReady(1, 4096),
    ]
    assert [decode_report(encoded(report).encode()) for report in reports] == reports


class GoneInterface:
    """Writes frames, then goes; comes back after some looks, or never."""

    by, method = "a test", "scapy"

    def __init__(self, told: list[str], looks: int | None, stopping: list[int]) -> None:
        self.told, self.looks, self.stopping = told, looks, stopping
        self.is_gone = False

    def pump(self, seconds: float, also: list[int]) -> None:
        if "gone" not in self.told:
            self.told.append("gone")
            raise Unavailable("device", "gone")
        self.stopping.append(15)

    def drops(self) -> tuple[int, int]:
        return 0, 0

    def reopen(self) -> None:
        self.told.append("look")
        if self.told.count("look") == self.looks:
            return
        if self.told.count("look") == 3:
            self.stopping.append(15)
        raise Unavailable("device", "still gone")


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        (None, ["gone", "lost", "frames", "look", "frames", "look", "frames", "look", "frames", "the last frames"]),
        (
            2,
            [
                "gone",
                "lost",
                "frames",
                "look",
                "frames",
                "look",
                "back",
                "counts",
                "frames",
                "counts",
                "the last frames",
            ],
        ),
    ],
)
def test_frames_from_before_an_interface_went_are_handed_on(
    looks: int | None, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and while it is waited for, and where the capture ends meanwhile."""
    monkeypatch.setattr(sniff, "REOPEN_SECONDS", 0.01)
    heard: list[str] = []
    stopping: list[int] = []
    words = {"CaptureLost": "lost", "CaptureBack": "back", "PacketCounts": "counts"}

    class Memory:
        awaits: ClassVar[list[int]] = []
        seconds = 0.0

        def hand_on(self, at_last: bool = False) -> None:
            heard.append("the last frames" if at_last else "frames")

    handle = GoneInterface(heard, looks, stopping)
    with pytest.raises(SystemExit):
        sniff._pump(handle, Memory(), lambda report: heard.append(words[type(report).__name__]), stopping)  # type: ignore[arg-type]
    assert heard == told


def test_frames_gather_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are few; what is read first, the end, and what is no pipe do not wait."""
    monkeypatch.setattr(pipes, "GATHER_SECONDS", 3600.0)
    reading, writing = os.pipe()
    stream = pipes.PipeStream(pipes.Pipe(reading), "test")
    data = capture(fault().flows)
    os.write(writing, data)
    assert stream.early_seconds == 0
    assert len(stream.read() or ()) > 0
    assert stream.early_seconds == 0
    os.write(writing, data)
    assert 3500 < stream.early_seconds <= 3600
    while stream.pipe.waiting_bytes() < stream.pipe.size // 2:
        os.write(writing, data)
    assert stream.early_seconds == 0
    os.close(writing)
    stream.pipe.close()
    with open(os.devnull, "rb") as nothing:
        assert pipes.PipeStream(pipes.Pipe(os.dup(nothing.fileno())), "test").early_seconds == 0


def test_what_comes_frame_by_frame_is_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "GATHER_SECONDS", 2.0)
    reading, writing = os.pipe()
    source = PipeSource("test", reading)
    data = capture(fault(3).flows)
    batches: list[int] = []

    def write() -> None:
        at = 24
        os.write(writing, data[:at])
        while at < len(data):
            size = 16 + int.from_bytes(data[at + 8 : at + 12], "little")
            os.write(writing, data[at : at + size])
            at += size
            time.sleep(0.002)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    while source.state != "ended":
        batches += [len(batch) for _, batch in ready([source], 1.0)]
    writer.join()
    assert sum(batches) > 60
    assert len(batches) < sum(batches) / 5
