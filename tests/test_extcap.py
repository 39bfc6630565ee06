"""Wireshark captures through this program: what it is told, and the packets that it gets."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from inspector.capture.files import CaptureFile
from inspector.cli import extcap_capture
from inspector.cli.commands import cli
from inspector.cli.extcap_options import ExtcapOptions
from inspector.errors import NotPermittedError
from inspector.facts import frame_reference
from inspector.findings.case import Options
from inspector.live.host import doctor, privileges, sandbox, seccomp
from inspector.live.keeping import Keeping
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.commenting import Commenting
from inspector.live.outputs.packet_stream import MOST_COMMENT, PacketStream, ReaderPipe, StreamedIncidents
from inspector.live.sources.interfaces import NetworkInterface
from inspector.live.sources.processes import Command
from inspector.live.sources.source import PipeSource
from inspector.live.wireshark.folders import WiresharkFolders
from inspector.live.wireshark.installing import install
from inspector.live.wireshark.sentences import argument_sentences
from inspector.text.times import SECOND_NS
from tests.build import START_NS, capture
from tests.conftest import CAPTURES
from tests.ended import patient
from tests.live import fed
from tests.test_namespaces import is_captured, namespace, namespaces, played, rights  # noqa: F401 - fixtures
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, until

SENTENCE = re.compile(r"(extcap|interface|dlt|arg|value) (\{[a-z]+=[^{}]*\})+")
"""Of extcap(4)."""


def asked(*words: str) -> str:
    done = CliRunner().invoke(cli, ["extcap", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_all_answers_are_sentences() -> None:
    about = ("--extcap-interface", "inspector")
    lines = [
        *asked("--extcap-interfaces", "--extcap-version=4.2").splitlines(),
        *asked(*about, "--extcap-dlts").splitlines(),
        *asked(*about, "--extcap-config").splitlines(),
    ]
    assert all(SENTENCE.fullmatch(line) for line in lines), lines
    assert any(line.startswith("interface {value=inspector}") for line in lines)
    assert "value {arg=0}{value=any}{display=all interfaces}{default=true}" in lines


def test_what_can_be_set_are_options() -> None:
    """Each that Wireshark is told of is one of the command's, and its default is one that the command takes."""
    config = asked("--extcap-interface", "inspector", "--extcap-config")
    calls = re.findall(r"\{call=(--\w+)\}", config)
    known = {name for option in cli.get_command(None, "extcap").params for name in option.opts}  # type: ignore[arg-type,union-attr]
    assert set(calls) <= known
    assert len(calls) == 5


def test_names_of_strangers_are_no_sentences() -> None:
    odd = NetworkInterface("eth{0}", (), "a}{default=true\nvalue {arg=0}")
    lines = list(argument_sentences([odd]))
    assert all(SENTENCE.fullmatch(line) for line in lines)
    assert any("{value=eth(0)}" in line for line in lines)


def test_what_a_later_wireshark_asks_is_passed_over() -> None:
    assert asked("--extcap-interfaces", "--extcap-colour", "blue", "--log-level=debug").startswith("extcap ")


def test_another_interface() -> None:
    done = CliRunner().invoke(cli, ["extcap", "--extcap-interface", "other", "--extcap-dlts"])
    assert done.exit_code != 0


def test_a_filter_is_tried() -> None:
    """What is printed is what is wrong with it."""
    about = ("--extcap-interface", "inspector", "--extcap-capture-filter")
    assert asked(*about, "tcp port 8081") == ""
    assert "syntax error" in asked(*about, "tcp prot 8081")


class Piped(NamedTuple):
    """A pipe with its writer, and where what was read of it lies."""

    pipe: ReaderPipe
    reading: int
    path: Path

    def frames(self) -> list[tuple[int, int]]:
        """What has come so far as a capture: number and time of each frame."""
        while select.select([self.reading], [], [], 0)[0] and (octets := os.read(self.reading, 1 << 20)):
            with self.path.open("ab") as out:
                out.write(octets)
        batches = list(CaptureFile(str(self.path)).batches())
        return [pair for one in batches for pair in zip(one.number.tolist(), one.time_ns.tolist(), strict=True)]

    def comments(self) -> list[str]:
        """Of all that came."""
        self.frames()
        return [text.decode() for text in re.findall(rb"inspector: [ -z]+", self.path.read_bytes())]


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Piped]:
    reading, writing = os.pipe()
    yield Piped(ReaderPipe(writing), reading, tmp_path / "stream.pcapng")
    os.close(writing)
    os.close(reading)


def test_packets_wait_and_take_comments_with_them(piped: Piped, tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault().flows))
    stream = PacketStream(piped.pipe, ["eth0"], 3 * SECOND_NS)
    (batch,) = CaptureFile(str(path)).batches()
    half = len(batch) // 2
    stream.take(batch.select(slice(0, half)))
    last_ns = int(batch.time_ns[half - 1])
    stream.comment(frame_reference(0, 2), "first")
    stream.comment(frame_reference(0, 2), "first")
    stream.comment(frame_reference(0, 2), "second")
    stream.pass_on(last_ns + 3 * SECOND_NS - 1)
    assert piped.frames() == []
    stream.pass_on(last_ns + 3 * SECOND_NS)
    assert [number for number, _ in piped.frames()] == list(range(1, half + 1))
    assert piped.comments() == ["inspector: first; second"]
    stream.take(batch.select(slice(half, None)))
    stream.comment(frame_reference(0, half), "too late")
    stream.pass_on(last_ns, at_last=True)
    assert [ns for _, ns in piped.frames()] == batch.time_ns.tolist()
    assert piped.comments() == ["inspector: first; second"]


def test_what_is_said_on_a_packet_is_bounded(piped: Piped, tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault().flows))
    stream = PacketStream(piped.pipe, [], SECOND_NS)
    (batch,) = CaptureFile(str(path)).batches()
    stream.take(batch)
    for number in range(MOST_COMMENT):
        stream.comment(frame_reference(0, 1), f"finding {number}")
    stream.pass_on(0, at_last=True)
    (comment,) = piped.comments()
    assert MOST_COMMENT < len(comment) < MOST_COMMENT + 40


def test_packets_that_would_take_too_much_memory_go_at_once(piped: Piped, tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(capture(fault().flows))
    (batch,) = CaptureFile(str(path)).batches()
    stream = PacketStream(piped.pipe, [], 3600 * SECOND_NS, most=len(batch.copied_from(0).data) + 1)
    stream.take(batch)
    assert piped.frames() == []
    batch.number += len(batch)
    stream.take(batch)
    assert len(piped.frames()) == len(batch)


def has_left(pipe: ReaderPipe) -> bool:
    """Where nothing is written."""
    pipe.look()
    return pipe.has_left


def test_a_reader_who_leaves() -> None:
    reading, writing = os.pipe()
    pipe = ReaderPipe(writing)
    assert not has_left(pipe)
    os.close(reading)
    assert has_left(pipe)
    pipe.write(b"x" * 100_000)
    os.close(writing)
    reading, writing = os.pipe()
    os.close(reading)
    pipe = ReaderPipe(writing)
    pipe.write(b"x")
    assert pipe.has_left
    os.close(writing)


def commented(piped: Piped, keeping: Keeping) -> list[str]:
    """The loop over some aborts, and what it told."""
    told: list[str] = []
    watching = LiveCapture([PipeSource("-", fed(capture(fault(2).flows)))], Options(), keeping, "test")
    watching.run(Commenting(watching, piped.pipe, told.append))
    if keeping.stream is not None:
        keeping.stream.pass_on(watching.now_ns, at_last=True)
    watching.close()
    return told


def test_all_packets_with_what_was_found(piped: Piped) -> None:
    """Each connection is told on its first packet, each role of an abort on those that prove it."""
    assert commented(piped, Keeping(stream=PacketStream(piped.pipe, ["test"], SECOND_NS))) == []
    frames = sum(len(flow.segments) for flow in fault(2).flows)
    assert len(piped.frames()) == frames
    comments = piped.comments()
    assert sum("aborted, back end" in comment for comment in comments) == 2
    assert {"origin", "resumed", "declined", "alert"} <= set(
        re.findall(r"certificate-change-abort, (\w+)", "\n".join(comments))
    )


def script(folder: Path, text: str) -> str:
    path = folder / "dumpcap"
    path.write_text(f"#!/bin/sh\necho Capturing >&2\n{text}\necho Captured >&2\n")
    path.chmod(0o700)
    return str(path)


def test_what_dumpcap_says_is_no_mistake(piped: Piped, frames: Path, tmp_path: Path) -> None:
    """But where it ends by itself it is told what it said."""
    for ending, expected in (("sleep 60", False), ("exit 3", True)):
        source = Command(script(tmp_path, f"cat {frames}\n{ending}"))
        source.start()
        told: list[str] = []
        watching = LiveCapture([source], Options(), Keeping(), "test")
        commenting = Commenting(watching, piped.pipe, told.append)
        loop = threading.Thread(target=watching.run, args=(commenting,))
        loop.start()
        assert until(lambda: told if expected else watching.connections)  # noqa: B023
        watching.stop()
        loop.join()
        watching.close()
        assert any("Capturing" in line for line in told) == expected
        assert any("ended with status 3" in line for line in told) == expected


def test_packets_of_incidents_alone(piped: Piped) -> None:
    """Each once, though one story ends where the next begins."""
    commented(piped, Keeping(trigger=StreamedIncidents(piped.pipe, ["test"])))
    times = [ns for _, ns in piped.frames()]
    assert times
    assert len(times) == len(set(times))
    assert min(times) >= START_NS
    assert any("certificate-change-abort, alert" in comment for comment in piped.comments())


def test_who_may_not_capture_does_so_by_dumpcap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "may_capture", lambda: False)
    monkeypatch.setattr(doctor, "permitted_dumpcap", lambda: "/usr/bin/dumpcap")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr("inspector.live.sources.open_sources._inherited", lambda name: "")
    options = ExtcapOptions("eth0", "all", 3, "10.0.0.5:8081 [::1]:443", "", "net 10.0.0.0/8")
    (command,) = extcap_capture._request(options).commands
    services = "((host 10.0.0.5 and tcp port 8081) or (host ::1 and tcp port 443))"
    assert shlex.split(command) == [
        *("/usr/bin/dumpcap", "-i", "eth0", "-q", "-P"),
        *("-f", f"{services} and (net 10.0.0.0/8)", "-w", "-"),
    ]
    monkeypatch.setattr(doctor, "permitted_dumpcap", lambda: "")
    with pytest.raises(NotPermittedError, match="neither this user nor dumpcap"):
        extcap_capture._request(options)


def test_one_means_of_confinement_does_not_wait_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def fail(paths: tuple[str, ...], *more: object) -> None:
        reads.extend(paths)
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(privileges, "keep_only", fail)
    monkeypatch.setattr(sandbox, "confine_loop", fail)
    extcap_capture._confine(ExtcapOptions("eth0", "all", 3, "", "/of/keys/log", ""))
    assert reads == ["/of/keys"]


TSHARK = shutil.which("tshark") or ""


def globally(folder: Path, *words: str) -> list[str]:
    """A command that sees capture sources of a directory where all of Wireshark's lie: in a file system of its own, for
    root's is asked for no other.
    """
    done = subprocess.run([TSHARK, "-G", "folders"], capture_output=True, text=True, check=True)
    named = dict(line.partition(":")[::2] for line in done.stdout.splitlines())
    place = (named.get("Global Extcap path") or named["Extcap path"]).strip()
    return ["unshare", "-m", "sh", "-c", f'mount --bind {shlex.quote(str(folder))} {place} && exec "$@"', "sh", *words]


@pytest.mark.usefixtures("namespaces")
@pytest.mark.xdist_group("namespaces")
@pytest.mark.skipif(not TSHARK or shutil.which("unshare") is None, reason="needs tshark and unshare")
class TestByTshark:
    @pytest.fixture
    def extcaps(self, tmp_path: Path) -> Path:
        install(WiresharkFolders(tmp_path / "wireshark", tmp_path / "extcap"), forced=False)
        return tmp_path / "extcap"

    def test_it_lists_ours(self, extcaps: Path) -> None:
        done = subprocess.run(globally(extcaps, TSHARK, "-D"), capture_output=True, text=True, check=True)
        assert "inspector (Inspector: TLS with comments)" in done.stdout

    @pytest.mark.parametrize("packets", ["all", "incidents"])
    def test_it_captures_through_ours(self, packets: str, extcaps: Path, namespace: str, frames: Path) -> None:  # noqa: F811
        settings = {"interface": "two", "packets": packets, "delay": "1", "vip": "10.0.0.100:8081"}
        chosen = [word for name, value in settings.items() for word in ("-o", f"extcap.inspector.{name}:{value}")]
        fields = ["-T", "fields", "-e", "frame.number", "-e", "tcp.dstport", "-e", "frame.comment", "-l"]
        words = ["ip", "netns", "exec", namespace, TSHARK, "-i", "inspector", *chosen, *fields, "-c", "20"]
        with subprocess.Popen(
            globally(extcaps, *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as shark:
            player = threading.Thread(target=played, args=(namespace, frames))
            player.start()
            try:
                out, errors = shark.communicate(timeout=COMMAND_SECONDS)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(shark.pid, signal.SIGKILL)  # what tshark started would outlive it
                player.join()
        told = [line for line in errors.splitlines() if "Error by extcap" in line]
        assert not [line for line in told if "after the signal" not in line], (
            "it ends in time, where time does not stop"
        )
        lines = out.splitlines()
        assert len(lines) == 20, errors
        assert any("certificate-change-abort, origin" in line for line in lines)

    def test_what_goes_wrong_is_told(self, extcaps: Path, namespace: str) -> None:  # noqa: F811
        words = [TSHARK, "-i", "inspector", "-o", "extcap.inspector.interface:none", "-a", "duration:20"]
        done = subprocess.run(
            globally(extcaps, "ip", "netns", "exec", namespace, *words),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert "inspector: none: No such device exists" in done.stderr


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.pcap"
    path.write_bytes(capture(fault(2).flows))
    return path


@pytest.mark.usefixtures("namespaces")
@pytest.mark.xdist_group("namespaces")
@pytest.mark.parametrize("how", ["the reader leaves", "a signal"])
def test_the_end(how: str, namespace: str, tmp_path: Path) -> None:  # noqa: F811
    """Though no packet comes, and with nothing left behind."""
    os.mkfifo(fifo := tmp_path / "fifo")
    words = ["--capture", "--extcap-interface", "inspector", "--fifo", str(fifo), "--interface", "two"]
    command = ["ip", "netns", "exec", namespace, *patient([sys.executable, "-m", "inspector", "extcap", *words])]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=CAPTURES.parent) as process:
        reading = os.open(fifo, os.O_RDONLY)
        assert os.read(reading, 4) == b"\x0a\x0d\x0d\x0a"
        if how == "a signal":
            assert until(lambda: is_captured(namespace))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) in (0, 143, -signal.SIGTERM)
        os.close(reading)
        assert process.wait(PATIENCE_SECONDS) is not None
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert until(lambda: not capturing(namespace))


@pytest.mark.skipif(not seccomp.is_offered(), reason="no filters of system calls here")
@pytest.mark.usefixtures("namespaces")
@pytest.mark.xdist_group("namespaces")
def test_who_parses_has_no_rights(namespace: str, tmp_path: Path) -> None:  # noqa: F811
    """As in ``watch``: root's are given up, and what is not needed is refused."""
    os.mkfifo(fifo := tmp_path / "fifo")
    words = ["--capture", "--extcap-interface", "inspector", "--fifo", str(fifo), "--interface", "two"]
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "inspector", "extcap", *words]
    with subprocess.Popen(command, cwd=CAPTURES.parent) as process:
        reading = os.open(fifo, os.O_RDONLY)
        parser = ({"65534"}, [0, 0, 0, 0], "1", "1")
        assert until(lambda: rights(process.pid) == parser), rights(process.pid)
        os.close(reading)


def capturing(namespace: str) -> str:  # noqa: F811
    """Sockets that take packets there."""
    listed = ["ip", "netns", "exec", namespace, "cat", "/proc/net/packet"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.partition("\n")[2]
