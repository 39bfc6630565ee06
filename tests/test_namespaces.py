"""Live captures of real traffic, in network namespaces that the tests make and remove. Needs root; the lab with Java
needs what ``captures/lab`` names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from inspector.findings.change import ABORT
from inspector.live.host import seccomp
from inspector.live.sources.pcap_library import pcap_library
from tests.build import capture
from tests.conftest import CAPTURES
from tests.ended import END_SECONDS, patient
from tests.live import of_kind
from tests.test_watch import analyzed, as_of_the_moment, fault
from tests.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, children_of, is_running, until

sys.path.insert(0, str(CAPTURES / "lab"))
from lab import lab, missing

pytestmark = [pytest.mark.usefixtures("namespaces"), pytest.mark.xdist_group("namespaces")]


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skips where none can be made: tried when the first is wanted, and not before."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and ip, to make network namespaces")
    name = f"try{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode or subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces cannot be made here")


class Watch:
    """The command in a namespace, with its lines."""

    def __init__(self, namespace: str, *options: str, by: Sequence[str] = ()) -> None:
        """``by``: a command that runs it."""
        watch = patient([sys.executable, "-m", "inspector", "watch", *options])
        words = ["ip", "netns", "exec", namespace, *by, *watch]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=CAPTURES.parent)
        self.lines: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        assert until(
            lambda: (
                any("capturing" in line or "waiting" in line for line in self.errors) or self.process.poll() is not None
            )
        )

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.decode())

    def end(self, number: int = signal.SIGTERM) -> int:
        assert until(lambda: self._hears(number)), "until all is open signals end it as the system does"
        self.process.send_signal(number)
        status = self.process.wait(END_SECONDS)
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return status

    def _hears(self, number: int) -> bool:
        """Whether it answers a signal itself (SigCgt, proc_pid_status(5)), or cannot, or has ended."""
        if number == signal.SIGKILL or self.process.poll() is not None:
            return True
        return bool(int(status_of(self.process.pid)["SigCgt"], 16) >> (number - 1) & 1)

    def is_confined(self) -> bool:
        """Whether it has given up what it can, and says how far."""
        return until(lambda: any("confined" in line for line in list(self.errors)))

    def has_told(self, text: str) -> bool:
        return until(lambda: any(text in line.get("text", "") for line in list(self.lines)))

    def starter(self) -> int:
        """What starts others for it: its first child, for a copy that judges beside it may be another."""
        return children_of(self.process.pid)[0]

    def children(self) -> list[int]:
        """What its starter started, and still runs."""
        return [child for child in children_of(self.starter()) if is_running(child)]


@pytest.fixture
def namespace() -> Iterator[str]:
    """One namespace, with ``one`` and ``two`` cabled to each other."""
    name = f"test{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        cabled(name)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def cabled(namespace: str) -> None:
    subprocess.run(
        ["ip", "link", "add", "one", "netns", namespace, "type", "veth", "peer", "name", "two", "netns", namespace],
        check=True,
    )
    for interface in ("one", "two"):
        subprocess.run(["ip", "-n", namespace, "link", "set", interface, "up", "mtu", "9000"], check=True)


FILTER = re.compile(r"\*:(\w+) .*bpf filter \(\d+\): +(.*?),? *$")
"""The interface of a packet socket, and its filter in instructions, as ss tells them."""

DROPS_ALL = "0x06 0 0 0"
"""What libpcap sets while it throws away what came before its own filter."""


def is_captured(namespace: str) -> bool:
    """Whether a socket takes frames of an interface that is there now, through the filter that it will keep: what comes
    between binding and that is lost to whoever captures.
    """
    words = ["ip", "netns", "exec", namespace, "ss", "--packet", "--bpf", "--numeric", "--oneline", "--no-header"]
    sockets = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    here = interfaces_of(namespace)
    filters = [match for line in sockets if (match := FILTER.search(line))]
    return any(name in here and program != DROPS_ALL for name, program in (match.groups() for match in filters))


def interfaces_of(namespace: str) -> set[str]:
    words = ["ip", "-n", namespace, "-o", "link", "show"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return {re.split("[:@]", line.split()[1])[0] for line in listed.splitlines()}


def played(namespace: str, path: Path, interface: str = "one", times: int = 1) -> None:
    """Send the frames of a pcap file, once somebody takes them."""
    code = """
import socket, struct, sys
data = open(sys.argv[1], "rb").read()
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[2], 0))
for _ in range(int(sys.argv[3])):
    at = 24
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        out.send(data[at + 16 : at + 16 + length])
        at += 16 + length
"""
    assert until(lambda: is_captured(namespace))
    subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", code, str(path), interface, str(times)],
        check=True,
        timeout=COMMAND_SECONDS,
    )


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.pcap"
    path.write_bytes(capture(fault().flows))
    return path


def status_of(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_who_parses_is_not_root_and_cannot_become_it(namespace: str) -> None:
    watch = Watch(namespace, "-i", "two", "--no-journal")
    try:
        assert watch.is_confined()
        (sniffer,) = watch.children()
        parser = status_of(watch.process.pid)
        assert set(parser["Uid"].split()) == set(parser["Gid"].split()) == {"65534"}
        assert [int(parser[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
        assert parser["NoNewPrivs"] == "1"
        captures = status_of(sniffer)
        assert set(captures["Uid"].split()) == {"65534"}
        assert [int(captures[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [
            0,
            1 << 13,
            1 << 13,
            1 << 13,
            0,
        ]
        assert captures["NoNewPrivs"] == "1"
        if seccomp.is_offered():
            assert parser["Seccomp"] == captures["Seccomp"] == "2"
    finally:
        watch.end()
    assert until(lambda: not is_running(sniffer))


OF_ANOTHER_USER = [
    *("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"),
    *("--inh-caps", "+net_raw", "--ambient-caps", "+net_raw", "--bounding-set", "-all,+net_raw"),
]
"""As systemd starts the unit: an ordinary user with one capability."""

IN_SIGHT = """
mount --bind "$1" "$2" && mount -t tmpfs -o mode=755 none "$3" && mkdir -p "$1" && mount --bind "$2" "$1" || exit
shift 3
exec "$@"
"""


def in_sight(folder: Path) -> list[str]:
    """A command behind which anybody may read Python, wherever it lies: in a mount namespace, that ``ip netns exec``
    has made.
    """
    python = Path(sys.base_prefix)
    closed = [parent for parent in (*reversed(python.parents), python) if not parent.stat().st_mode & stat.S_IXOTH]
    here = [
        parent for parent in (CAPTURES.parent, *CAPTURES.parent.parents) if not parent.stat().st_mode & stat.S_IXOTH
    ]
    if here or shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, and a checkout where anybody may read")
    return ["sh", "-c", IN_SIGHT, "sh", str(python), str(folder), str(closed[0])] if closed else []


def rights(process: int) -> tuple[set[str], list[int], str, str]:
    """User and group ids; capabilities inherited, permitted, effective and ambient; whether it may gain any; filters of
    system calls.
    """
    status = status_of(process)
    capabilities = [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")]
    return (
        {*status["Uid"].split(), *status["Gid"].split()},
        capabilities,
        status["NoNewPrivs"],
        status["Seccomp_filters"],
    )


RAW, SEARCH, WRITE = 1 << 13, 1 << 2, 1 << 1
FOUND = {
    "root": ("65534", 0, RAW, RAW),
    "-Z root": ("0", WRITE, RAW | SEARCH, RAW),
    "the unit": ("65534", 0, RAW, RAW),
}
"""Who it runs as, and what is permitted to the process that parses, the starter, and the one that captures."""


@pytest.mark.skipif(not seccomp.is_offered(), reason="no filters of system calls here")
@pytest.mark.parametrize("how", FOUND)
def test_rights_are_split(namespace: str, tmp_path: Path, how: str) -> None:
    """Also where one that captures was started anew."""
    options = ["-Z", "root"] if how == "-Z root" else []
    by = [*in_sight(tmp_path), *(OF_ANOTHER_USER if how == "the unit" else [])]
    watch = Watch(namespace, "-i", "two", "--no-journal", *options, by=by)
    user, parses, starts, captures = FOUND[how]
    try:
        assert until(lambda: any("confined by" in line for line in watch.errors))
        starter = watch.starter()
        for filters in ("1", "2"):  # once the starter is confined, what it starts is by its filter as well
            assert until(lambda: [rights(one)[3] for one in watch.children()] == [filters])  # noqa: B023
            (sniffer,) = watch.children()
            assert rights(watch.process.pid) == ({user}, [0, parses, parses, 0], "1", "1")
            assert rights(starter) == ({user}, [0, starts, starts, 0], "1", "1")
            assert rights(sniffer) == ({user}, [0, captures, captures, 0], "1", filters)
            os.kill(sniffer, signal.SIGKILL)
            assert watch.has_told("is started again in")
            assert until(lambda: not is_running(sniffer))  # noqa: B023
    finally:
        watch.end()
    assert until(lambda: not is_running(starter))


@pytest.mark.parametrize("how", ["root", "-Z root"])
def test_commands_have_the_rights_of_the_user_and_the_parser_none(namespace: str, how: str) -> None:
    options = ["-Z", "root"] if how == "-Z root" else []
    watch = Watch(namespace, "-i", "two", "--via", "sleep 600", "--exec", "true", "--no-journal", *options)
    try:
        assert until(lambda: any("confined by" in line for line in watch.errors))
        assert any("the commands that it was given are not confined" in line for line in watch.errors)
        (command,) = [one for one in watch.children() if b"sleep" in Path(f"/proc/{one}/cmdline").read_bytes()]
        everything = int(status_of(os.getpid())["CapBnd"], 16)
        user, may = ("65534", 0) if how == "root" else ("0", everything)
        parser = status_of(watch.process.pid)
        assert int(parser["CapPrm"], 16) == (0 if how == "root" else WRITE)
        assert (parser["NoNewPrivs"], parser["Seccomp"]) == ("1", "2" if seccomp.is_offered() else "0")
        assert rights(command)[1] == [0, may, may, 0]
        assert set(status_of(command)["Uid"].split()) == {user}
        assert status_of(command)["Seccomp"] == status_of(os.getpid())["Seccomp"]
    finally:
        watch.end()
    assert until(lambda: not is_running(command))


def needs(method: str) -> None:
    """Skips where there is no such library."""
    if method != "scapy":
        try:
            pcap_library(only_system=method == "system-libpcap")
        except ImportError:
            pytest.skip(f"no {method} here")


@pytest.mark.parametrize("by", ["libpcap", "system-libpcap", "scapy"])
def test_an_abort_is_told_while_it_runs(namespace: str, frames: Path, by: str) -> None:
    needs(by)
    watch = Watch(namespace, "-Z", "root", "-i", "two", "--no-journal", "--capture-by", by)
    played(namespace, frames)
    assert until(lambda: bool(of_kind(watch.lines, "finding", rule=ABORT)))
    assert watch.end() == 143
    assert of_kind(watch.lines, "statistics")[-1]["connections"] == 3


@pytest.mark.parametrize("by", ["libpcap", "system-libpcap", "scapy"])
def test_an_interface_that_comes_later(namespace: str, frames: Path, by: str) -> None:
    """It is waited for without rights, but for the one to capture."""
    needs(by)
    subprocess.run(["ip", "-n", namespace, "link", "delete", "two"], check=True)
    watch = Watch(namespace, "-i", "two", "--wait", "--no-journal", "--capture-by", by)
    assert until(lambda: any("waiting for it" in line for line in watch.errors))
    (sniffer,) = watch.children()
    assert set(status_of(sniffer)["Uid"].split()) == {"65534"}
    cabled(namespace)
    assert watch.has_told("two: is there")
    played(namespace, frames)
    assert until(lambda: bool(of_kind(watch.lines, "incident")))
    assert watch.children() == [sniffer]
    assert watch.end() == 143


def test_an_interface_that_never_comes(namespace: str) -> None:
    watch = Watch(namespace, "-i", "none", "--wait", "--no-journal")
    assert until(lambda: any("waiting for it" in line for line in watch.errors))
    (sniffer,) = watch.children()
    assert watch.end() == 143
    assert until(lambda: not is_running(sniffer))
    assert Watch(namespace, "-i", "none", "--no-journal").process.wait(PATIENCE_SECONDS) == 2


@pytest.mark.parametrize("by", ["libpcap", "system-libpcap", "scapy"])
def test_an_interface_that_goes_and_comes_back(namespace: str, frames: Path, by: str) -> None:
    needs(by)
    watch = Watch(namespace, "-i", "two", "--no-journal", "--capture-by", by)
    (sniffer,) = watch.children()
    subprocess.run(["ip", "-n", namespace, "link", "set", "two", "down"], check=True)
    time.sleep(0.5)  # whether it notices or not
    subprocess.run(["ip", "-n", namespace, "link", "set", "two", "up"], check=True)
    time.sleep(1.5)
    subprocess.run(["ip", "-n", namespace, "link", "delete", "two"], check=True)
    assert watch.has_told("waiting for it to come back")
    cabled(namespace)
    assert watch.has_told("is back")
    played(namespace, frames)
    assert until(lambda: bool(of_kind(watch.lines, "incident")))
    assert watch.children() == [sniffer]
    assert watch.end() == 143


def test_drops_are_counted_and_weaken_the_verdicts(namespace: str, frames: Path) -> None:
    watch = Watch(namespace, "-Z", "root", "-i", "two", "--no-journal", "-B", "1")
    (sniffer,) = watch.children()
    os.kill(sniffer, signal.SIGSTOP)
    played(namespace, frames, times=400)
    os.kill(sniffer, signal.SIGCONT)
    assert watch.has_told("packets were dropped")
    watch.end()
    last = of_kind(watch.lines, "statistics")[-1]
    assert last["drops"] > 0
    incomplete = of_kind(watch.lines, "finding", rule="capture-incomplete")
    assert len({finding["id"] for finding in incomplete}) == 1
    assert f"{last['drops']} packets were dropped while capturing" in incomplete[-1]["explanation"]


def test_the_capturing_process_is_started_again(namespace: str, frames: Path) -> None:
    watch = Watch(namespace, "-Z", "root", "-i", "two", "--no-journal")
    (sniffer,) = watch.children()
    os.kill(sniffer, signal.SIGKILL)
    assert watch.has_told("ended by SIGKILL, is started again in 1 s")
    played(namespace, frames)
    assert until(lambda: bool(of_kind(watch.lines, "incident")))
    watch.end()


def test_nobody_is_left_when_it_is_killed(namespace: str) -> None:
    watch = Watch(namespace, "-i", "two", "--no-journal")
    (sniffer,) = watch.children()
    watch.end(signal.SIGKILL)
    assert until(lambda: not is_running(sniffer))


@pytest.mark.parametrize("way", ["-i", "--via"])
def test_the_lab(tmp_path: Path, way: str) -> None:
    """A real JVM behind HAProxy: told while it runs, as the file of ``-w`` gives it; the evidence holds the whole
    story.
    """
    lacks = missing(["tcpdump"])
    if lacks:
        pytest.skip(f"the lab needs {', '.join(lacks)}")
    with lab() as built:
        dump = f"tcpdump -i {built.client_interface} -U -s0 --immediate-mode -Z root -w - tcp"
        source = ["-i", built.client_interface] if way == "-i" else ["--via", dump]
        watch = Watch(
            built.client,
            "-Z",
            "root",
            "-w",
            f"{tmp_path}/w.pcapng",
            "--incidents",
            f"{tmp_path}/evidence",
            "--journal",
            f"{tmp_path}/j.sqlite",
            *source,
        )
        assert until(lambda: is_captured(built.client))
        command = built.client_command(40, 20)
        account = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=COMMAND_SECONDS).stdout
        said = (json.loads(line)["message"] for line in account.splitlines())
        aborted = [text for text in said if "change is restricted" in text]  # and not where a server was late
        for record in ("incident", "evidence"):
            assert until(lambda: len(of_kind(list(watch.lines), record)) >= len(aborted))  # noqa: B023
        assert watch.end() == 143
    findings = of_kind(watch.lines, "finding", rule=ABORT)
    last = {finding["id"]: finding for finding in findings}
    assert len(last) == len(aborted) > 0
    document = analyzed(tmp_path / "w.pcapng")
    assert all(finding.pop("names")["backends"] for finding in last.values())
    aborts = {f["id"]: dict(f) for f in document["findings"] if f["rule"] == ABORT}
    for finding in aborts.values():
        as_of_the_moment(finding, last[finding["id"]])
    assert last == aborts
    for incident in document["incidents"]:
        evidence = analyzed(tmp_path / "evidence" / f"incident-{incident['id']}.pcapng")
        assert incident["connections"] == next(
            i["connections"] for i in evidence["incidents"] if i["id"] == incident["id"]
        )
        assert all(c["outcome"] != "incomplete" for c in evidence["connections"])
    assert analyzed(tmp_path / "j.sqlite")["findings"] == document["findings"]
