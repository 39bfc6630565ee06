"""The system's libpcap, which captures where cypcap has no wheel, beside the one that cypcap brings."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import msgspec
import pytest

from inspector.findings.change import ABORT
from inspector.live.host.doctor import Check, means
from inspector.live.sources import interfaces, pcap_library, sniff
from inspector.live.sources.handover import Handover
from inspector.live.sources.pcap_library import SONAMES
from inspector.live.sources.sniff import Unavailable
from inspector.live.sources.sniff_messages import CaptureMethod, SniffOptions
from tests.build import capture
from tests.conftest import CAPTURES
from tests.live import of_kind
from tests.side_by_side import Opened, Seen
from tests.test_namespaces import Watch, cabled, namespace, namespaces, played  # noqa: F401 - fixtures
from tests.test_watch import fault
from tests.waiting import PATIENCE_SECONDS, until

BUFFER_MIB, FRAMES, FRAME_BYTES = 8, 2_000, 8_900
"""The frames are twice what the buffer takes."""

ATTEMPTS = 5


@pytest.fixture
def systems() -> None:
    """Skips where it is missing."""
    try:
        pcap_library.pcap_library(only_system=True)
    except ImportError:
        pytest.skip(f"needs the system's libpcap: {' or '.join(SONAMES)}")


@pytest.fixture
def both(systems: None) -> None:
    """Skips where one of them is missing."""
    pytest.importorskip("cypcap")


@pytest.fixture
def without_cypcap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python knows no such module."""
    monkeypatch.setitem(sys.modules, "cypcap", None)
    pcap_library.pcap_library.cache_clear()
    yield
    pcap_library.pcap_library.cache_clear()


@pytest.fixture
def without_libpcap(without_cypcap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none of either kind, but a library of the C compiler's that is something else."""
    monkeypatch.setattr(pcap_library, "SONAMES", ("libpcap.so.0", "libm.so.6"))


class SideBySide:
    """Both capture the interface ``two`` of a namespace."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.opened = msgspec.convert(json.loads(process.stdout.readline()), Opened)

    def seen(self) -> tuple[Seen, Seen]:
        """What they saw, which ends them."""
        seen, _ = self.process.communicate("end\n", timeout=PATIENCE_SECONDS)
        ours, systems = msgspec.convert(json.loads(seen), list[Seen])
        return ours, systems


@contextmanager
def side_by_side(namespace: str, buffer_mib: int) -> Iterator[SideBySide]:  # noqa: F811
    words = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.side_by_side", "two", f"{buffer_mib}"]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CAPTURES.parent, text=True, encoding="utf-8"
    )
    try:
        yield SideBySide(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    path = tmp_path / "frames.pcap"
    path.write_bytes(capture(fault(3).flows))
    return path


def large_frames(count: int) -> bytes:
    """TCP segments in Ethernet, as a capture."""
    payload = bytes(FRAME_BYTES - 54)
    internet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, b"\n\0\0\1", b"\n\0\0\2")
    frame = bytes(12) + b"\x08\x00" + internet + struct.pack("!HHIIBBHHH", 1, 2, 0, 0, 0x50, 0x10, 0, 0, 0) + payload
    record = struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1) + record * count


@pytest.mark.usefixtures("namespaces", "both")
@pytest.mark.xdist_group("namespaces")
class TestSideBySide:
    def test_the_same_packets(self, namespace: str, traffic: Path) -> None:  # noqa: F811
        """Each byte, each length and each nanosecond."""
        with side_by_side(namespace, 32) as captures:
            assert ["of the system" in name for name in captures.opened.by] == [False, True]
            played(namespace, traffic, times=5)
            ours, systems = captures.seen()
        assert ours.frames > 100
        assert ours == systems
        assert ours.dropped == 0
        assert ours.received == ours.frames

    def test_the_same_drops(self, namespace: str, tmp_path: Path) -> None:  # noqa: F811
        """Where neither can run while more comes than the kernel's buffer takes. The kernel closes a block of it when
        it is full, and also by a clock of each capture: where the sender is held up for that long they differ.
        """
        path = tmp_path / "large.pcap"
        path.write_bytes(large_frames(FRAMES))
        for _ in range(ATTEMPTS):
            ours, systems = dropping(namespace, path)
            assert ours.received == systems.received == FRAMES
            assert all(one.frames + one.dropped == one.received for one in (ours, systems))
            assert min(ours.dropped, systems.dropped) > 0
            if ours.frames == pytest.approx(systems.frames, rel=0.1):
                break
        else:
            pytest.fail(f"{ours}, {systems}")


def dropping(namespace: str, path: Path) -> tuple[Seen, Seen]:  # noqa: F811
    """What both saw of frames that came while they were stopped."""
    with side_by_side(namespace, BUFFER_MIB) as captures:
        for process in captures.opened.processes:
            os.kill(process, signal.SIGSTOP)
        played(namespace, path)
        for process in captures.opened.processes:
            os.kill(process, signal.SIGCONT)
        return captures.seen()


@pytest.mark.usefixtures("namespaces", "systems")
@pytest.mark.xdist_group("namespaces")
def test_it_is_taken_by_itself_where_cypcap_is_missing(
    namespace: str,  # noqa: F811
    traffic: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without rights and confined, over an interface that goes and comes back."""
    (tmp_path / "cypcap.py").write_text("raise ImportError('no wheel for this machine')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{CAPTURES.parent}")
    watch = Watch(namespace, "-i", "two", "--no-journal")
    try:
        assert any("capturing two by libpcap" in line and "of the system" in line for line in watch.errors)
        assert not any("not confined" in line for line in watch.errors)
        played(namespace, traffic)
        assert until(lambda: bool(of_kind(watch.lines, "finding", rule=ABORT)))
        subprocess.run(["ip", "-n", namespace, "link", "delete", "two"], check=True)
        assert watch.has_told("waiting for it to come back")
        cabled(namespace)
        assert watch.has_told("is back")
    finally:
        watch.end()


@pytest.mark.usefixtures("systems", "without_cypcap")
def test_the_doctor_says_which_one_it_is() -> None:
    check = next(means())
    assert check.state == "good"
    assert any(f"of the system, found as {soname}, reads interfaces" in check.text for soname in SONAMES)


@pytest.mark.usefixtures("both")
def test_the_doctor_names_the_one_of_cypcap() -> None:
    check = next(means())
    assert check.state == "good"
    assert "which cypcap brings" in check.text


@pytest.mark.parametrize(
    ("machine", "installer", "remedy"),
    [
        ("x86_64", "dnf", f"{sys.executable} -m pip install cypcap"),
        ("aarch64", "apt-get", "apt-get install libpcap0.8"),
        ("aarch64", "dnf", "dnf install libpcap"),
        ("aarch64", "", ""),
    ],
)
@pytest.mark.usefixtures("without_libpcap")
def test_the_doctor_says_what_to_install(
    machine: str, installer: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of the system's where there is no wheel."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name == installer else None)
    text = "there is no libpcap: interfaces cannot be read without it"
    assert next(means()) == Check("bad", text, remedy)


@pytest.mark.usefixtures("without_libpcap")
@pytest.mark.parametrize("by", ["libpcap", "system-libpcap"])
def test_there_is_none(by: CaptureMethod) -> None:
    """Who asks for it is told what was looked for, and what a library lacks that is another one."""
    options = SniffOptions("lo", "tcp", None, 262_144, 1, False, by)
    with pytest.raises(
        Unavailable, match=r"libpcap cannot be called: .*libpcap\.so\.0.*; .*pcap_lib_version"
    ) as problem:
        sniff.opened(options, Handover.__new__(Handover))
    assert problem.value.obstacle == "library"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to capture")
@pytest.mark.usefixtures("systems")
def test_an_interface_is_looked_for_again_by_whom_starts_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Scapy lacks was found out while that was allowed."""
    options = SniffOptions("none", "tcp", None, 262_144, 1, False, "scapy")

    def refused(name: str) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    for find in (find_library, refused):
        monkeypatch.setattr(sniff, "find_library", find)
        with pytest.raises(Unavailable) as problem:
            sniff.opened(options, Handover.__new__(Handover))
        assert problem.value.obstacle == "device"


@pytest.mark.usefixtures("both")
def test_interfaces_are_those_that_the_binding_lists() -> None:
    """Read from C's structures: names, descriptions and addresses."""
    import cypcap

    ours = interfaces._by_libpcap(pcap_library.pcap_library())
    theirs = [
        interfaces.NetworkInterface(
            one.name,
            tuple(
                address.addr[1][0].partition("%")[0]
                for address in one.addresses
                if address.addr is not None and address.addr[0] in interfaces.ADDRESSES
            ),
            one.description or "",
        )
        for one in cypcap.findalldevs()
    ]
    assert ours == theirs
    assert any("127.0.0.1" in interface.addresses for interface in ours)


@pytest.mark.usefixtures("systems")
def test_interfaces_by_the_systems_library() -> None:
    by_name = {one.name: one for one in interfaces._by_libpcap(pcap_library.pcap_library(only_system=True))}
    assert "127.0.0.1" in by_name["lo"].addresses
    assert by_name["any"].text


@pytest.mark.usefixtures("without_libpcap")
def test_interfaces_without_libpcap() -> None:
    assert {"any", "lo"} <= {one.name for one in interfaces.interfaces()}
