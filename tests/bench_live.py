"""Live capture under load, over a veth pair in namespaces of its own, one tool at a time: what a usual load costs, and
where ``watch``, the drawn app and ``dumpcap`` begin to drop.

``python -m tests.bench_live [usual|fast|libraries|handshakes|many]…``, as root; needs ip, ethtool, tcpreplay, dumpcap;
about twelve minutes for all of them. The sender is pinned to the first core, the tool with all its processes to the
second. Ours and dumpcap take turns.

* ``usual``: 50 new connections and 300 Mbit a second, each frame once, as on the wire (1,500 bytes) and as offloads
  hand them on (64 KiB).
* ``fast``: the same frames of 1,500 bytes, faster.
* ``libraries``: the usual load in frames of 1,500 bytes, and the same faster, to ``watch`` by each library that reads
  interfaces: the libpcap that comes with the program, the system's, Scapy.
* ``handshakes``: connections of a few frames each, at several rates, until packets are dropped.
* ``many``: a million connections through ``watch -``, and what memory it takes; needs no root.

A core that others use too makes drops say little, and a sender that is slowed down is told: seconds of processor time
for 100,000 frames are what to compare then. Processor time is that of all processes of a tool; what the kernel does for
them in interrupts is nobody's.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from inspector.capture.files import CaptureFile
from tests import bench_loads

SECONDS = int(os.environ.get("SECONDS", "12"))
"""Of each measurement."""

ROUNDS = int(os.environ.get("ROUNDS", "2"))
RATES = tuple(int(rate) for rate in os.environ.get("RATES", "100000,150000,200000").split(","))
FAST_RATES = (100_000, 200_000)
SLOW_SENDER = 0.95
"""A sender that reached less of its rate is told of."""

SENDER, TOOL = f"bench{os.getpid()}a", f"bench{os.getpid()}b"
PROGRAM = [sys.executable, "-m", "inspector"]


LIBRARIES = ("libpcap", "system-libpcap", "scapy")
"""Of ``--capture-by``: ``watch`` by each of them."""

OWN_PACE = 0
"""Instead of a rate: as the capture's times say."""

STANDARD_MTU, JUMBO_MTU = 9_000, 65_535


class Sent(NamedTuple):
    """What the sender did."""

    frames: int
    bytes: int
    seconds: float


class Cost(NamedTuple):
    """``spent``: seconds of processor time of each process; ``megabytes``: proportional set size of all of them
    together; ``dropped`` and ``received``: packets, as the tool has it from the kernel.
    """

    sent: Sent
    spent: list[float]
    megabytes: float
    dropped: int | None
    received: int | None


@contextmanager
def cable(mtu: int = STANDARD_MTU) -> Iterator[None]:
    """Two namespaces with a veth pair between them, offloads off."""
    for name in (SENDER, TOOL):
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(
            ["ip", "link", "add", "out", "netns", SENDER, "type", "veth", "peer", "name", "in", "netns", TOOL],
            check=True,
        )
        for name, interface in ((SENDER, "out"), (TOOL, "in")):
            subprocess.run(
                ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"], check=True
            )
            subprocess.run(["ip", "-n", name, "link", "set", interface, "up", "mtu", f"{mtu}"], check=True)
            for offload in ("tx", "rx", "gso", "gro", "tso"):
                subprocess.run(
                    ["ip", "netns", "exec", name, "ethtool", "-K", interface, offload, "off"],
                    capture_output=True,
                    check=False,
                )
        yield
    finally:
        for name in (SENDER, TOOL):
            subprocess.run(["ip", "netns", "delete", name], check=False)


def family(process: int) -> list[int]:
    """A process and its children."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout.split()
    return [process, *(child for word in found for child in family(int(word)))]


def seconds_of(processes: list[int]) -> float:
    """Of processor time, with that of children that have ended; what runs is known to the nanosecond."""
    total = 0.0
    for process in processes:
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0]) / 1e9
            words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")
    return total


def megabytes_of(processes: list[int]) -> float:
    total = 0
    for process in processes:
        with suppress(OSError):
            total += sum(
                int(line.split()[1])
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                if line.startswith("Pss:")
            )
    return total / 1024


def sent(path: str, rate: int, seconds: int) -> Sent:
    """Replay a capture: once where it keeps its own pace, else again and again, each time from other addresses."""
    pace = ["--loop=1"] if rate == OWN_PACE else [f"--pps={rate}", f"--duration={seconds}", "--loop=0", "--unique-ip"]
    words = ["taskset", "-c", "0", "tcpreplay", "-q", "-K", "-i", "out", *pace, path]
    told = subprocess.run(
        ["ip", "netns", "exec", SENDER, *words], capture_output=True, check=True, timeout=4 * seconds + 60, text=True
    ).stdout
    found = re.search(r"Actual: (\d+) packets \((\d+) bytes\) sent in ([\d.]+) seconds", told)
    assert found is not None, told
    return Sent(int(found[1]), int(found[2]), float(found[3]))


def measured(tool: str, path: str, rate: int, seconds: int) -> Cost:
    """One tool at one rate; ``OWN_PACE`` for that of the capture. ``tool``: a library for ``watch`` by it."""
    by, tool = (["--capture-by", tool], "watch") if tool in LIBRARIES else ([], tool)
    inside = ["ip", "netns", "exec", TOOL, "taskset", "-c", "1"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        words = {
            "watch": [*PROGRAM, "watch", "-Z", "root", "-i", "in", *by, "--journal", f"{folder}/j.sqlite"],
            "live": [*PROGRAM, "live", "-Z", "root", "-i", "in", "--journal", f"{folder}/j.sqlite"],
            "dumpcap": ["dumpcap", "-q", "-i", "in", "-B", "32", "-w", "/dev/null"],
        }[tool]
        if tool == "live":
            controller, terminal = pty.openpty()
            environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
            process = subprocess.Popen(
                [*inside, *words],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env=environment,
                start_new_session=True,
            )
            os.close(terminal)
            threading.Thread(target=_drawn, args=(controller, out), daemon=True).start()
        else:
            with open(out, "wb") as target:
                process = subprocess.Popen([*inside, *words], stdout=target, stderr=subprocess.STDOUT)
        time.sleep(3)
        processes = family(process.pid)
        before = [seconds_of([one]) for one in processes]
        load = sent(path, rate, seconds)
        time.sleep(1)
        spent = [seconds_of([one]) - then for one, then in zip(processes, before, strict=True)]
        memory = megabytes_of(processes)
        time.sleep(2)
        if tool == "live":
            os.write(controller, b"q")
        else:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        time.sleep(0.2)
        return Cost(load, spent, memory, *_counts(tool, out, f"{folder}/j.sqlite"))


def _drawn(controller: int, out: Path) -> None:
    with open(out, "wb") as target, suppress(OSError):
        while True:
            target.write(os.read(controller, 65_536))


def _counts(tool: str, out: Path, journal: str) -> tuple[int | None, int | None]:
    """Packets dropped and received, as the tool itself says."""
    if tool == "dumpcap":
        found = re.search(rb"received/dropped on interface '\w+': (\d+)/(\d+)", out.read_bytes())
        return (int(found[2]), int(found[1])) if found else (None, None)
    if tool == "watch":
        records = (json.loads(line) for line in out.read_bytes().splitlines() if line.startswith(b"{"))
        told = [record for record in records if "drops" in record]  # none where it was too far behind to end with them
        return (told[-1]["drops"], told[-1]["packets"]) if told else (None, None)
    from inspector.extract.journal import read_facts

    capture = read_facts(journal).captures[-1]
    return capture.drops, capture.packets


HEAD = (
    f"{'tool':14} {'load':>22} {'frames/s':>9} {'Mbit/s':>7} {'received':>10} {'dropped':>9} {'s/100k':>7} {'core':>6}"
    f" {'MB':>5}"
)


def row(tool: str, load: str, cost: Cost, rate: float) -> None:
    """``rate``: the frames a second that were asked for."""
    frames, octets, seconds = cost.sent
    total = sum(cost.spent)
    is_slow = frames / seconds < SLOW_SENDER * rate
    each = " + ".join(f"{spent / seconds:.1%}" for spent in cost.spent if spent / seconds > 0.0005)
    print(
        f"{tool:14} {load:>22} {frames / seconds:9,.0f} {octets * 8 / seconds / 1e6:7,.0f} {cost.received or 0:10,}"
        f" {cost.dropped or 0:9,} {total * 100_000 / max(frames, 1):7.3f} {total / seconds:6.1%} {cost.megabytes:5.0f}"
        + (f"  ({each})" if len(cost.spent) > 1 else "")
        + (f"  slow sender: at {rate:,.0f}/s {total / frames * rate:.1%}" if is_slow else ""),
        flush=True,
    )


def usual(folder: Path) -> None:
    """In frames as they are on the wire, and as offloads hand them on."""
    for name, size, mtu in (("1,500 bytes", 1446, STANDARD_MTU), ("64 KiB", 65_000, JUMBO_MTU)):
        path = bench_loads.usual(folder, size, SECONDS)
        frames = sum(map(len, CaptureFile(str(path)).batches()))
        with cable(mtu):
            for _ in range(ROUNDS):
                for tool in ("watch", "dumpcap"):
                    cost = measured(tool, str(path), OWN_PACE, SECONDS)
                    row(tool, f"usual, {name}", cost, frames / SECONDS)
        path.unlink()


def fast(folder: Path) -> None:
    """Faster than its own pace."""
    path = bench_loads.usual(folder, 1446, SECONDS)
    with cable():
        for rate in FAST_RATES:
            for tool in ("watch", "dumpcap"):
                row(tool, f"fast, {rate:,}/s", measured(tool, str(path), rate, SECONDS), rate)
    path.unlink()


def libraries(folder: Path) -> None:
    """In turn, so that what else the machine does comes over all of them."""
    path = bench_loads.usual(folder, 1446, SECONDS)
    frames = sum(map(len, CaptureFile(str(path)).batches()))
    with cable():
        for rate in (OWN_PACE, *FAST_RATES[:1]):
            for _ in range(ROUNDS):
                for library in LIBRARIES:
                    load = f"fast, {rate:,}/s" if rate else "usual, 1,500 bytes"
                    row(library, load, measured(library, str(path), rate, SECONDS), rate or frames / SECONDS)
    path.unlink()


def handshakes(folder: Path) -> None:
    path = str(bench_loads.handshakes(folder))
    with cable():
        for tool in ("watch", "live", "dumpcap"):
            for rate in RATES:
                cost = measured(tool, path, rate, SECONDS)
                row(tool, f"handshakes, {rate:,}/s", cost, rate)
                if cost.dropped:
                    break


def many(folder: Path, connections: int = 1_000_000) -> None:
    """``watch -``, as fast as it reads."""
    stream = bench_loads.Repeated(bench_loads.handshakes(folder))
    with tempfile.TemporaryDirectory() as kept:
        process = subprocess.Popen(
            [*PROGRAM, "watch", "-Z", "root", "--journal", f"{kept}/j.sqlite", "--journal-size", "400", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write(stream.header)
        count = connections // bench_loads.CONNECTIONS
        for number in range(count):
            process.stdin.write(stream.copy(number))
            if number % max(count // 10, 1) == 0 or number == count - 1:
                processes = family(process.pid)
                print(
                    f"{(number + 1) * bench_loads.CONNECTIONS:10,} connections {seconds_of(processes):7.1f} s"
                    f" {megabytes_of(processes):5.0f} MB",
                    flush=True,
                )
        process.stdin.close()
        process.wait()


STAGES = {"usual": usual, "fast": fast, "libraries": libraries, "handshakes": handshakes, "many": many}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(HEAD)
        for stage in sys.argv[1:] or STAGES:
            STAGES[stage](Path(folder))


if __name__ == "__main__":
    main()
