"""Live capture under load, over a veth pair in namespaces of its own, one tool at a time: what a usual load costs, and
where ``watch``, the drawn app and ``dumpcap`` begin to drop.

``python -m tests.bench_live [CAPTURE [SECONDS]]``, as root; needs ip, ethtool, tcpreplay, dumpcap. The sender is pinned
to the first core, the tool with all its processes to the second. CAPTURE is a pcap file to replay at several rates; by
default one is made from the bundled ones. ``python -m tests.bench_live many [CONNECTIONS]`` needs none of that: it
pipes a million connections through ``watch -`` and says what memory it takes.

A core that others use too makes shares of it, and drops, say little: seconds of processor time for 100,000 frames are
what to compare.
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

from tests import bench_loads
from tests.conftest import CAPTURES

RATES = tuple(int(rate) for rate in os.environ.get("RATES", "25000,50000,100000,150000,200000").split(","))
SENDER, TOOL = f"bench{os.getpid()}a", f"bench{os.getpid()}b"
PROGRAM = [sys.executable, "-m", "inspector"]


OWN_PACE = 0
"""Instead of a rate: as the capture's times say."""

STANDARD_MTU, JUMBO_MTU = 9_000, 65_535


class Cost(NamedTuple):
    """``seconds``: of processor time, for 100,000 frames; ``core``: share of a core; ``megabytes``: proportional set
    size of all processes together.
    """

    seconds: float
    core: float
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


def sent(path: str, rate: int, seconds: int) -> int:
    """Replay a capture again and again, each time from other addresses; how many frames that were."""
    pace = [f"--pps={rate}"] if rate != OWN_PACE else []
    words = ["taskset", "-c", "0", "tcpreplay", "-q", "-K", "-i", "out", *pace, f"--duration={seconds}"]
    told = subprocess.run(
        ["ip", "netns", "exec", SENDER, *words, "--loop=0", "--unique-ip", path],
        capture_output=True,
        check=True,
        timeout=seconds + 60,
        text=True,
    ).stdout
    frames = re.search(r"Actual: (\d+) packets", told)
    return int(frames[1]) if frames is not None else 0


def measured(tool: str, path: str, rate: int, seconds: int) -> Cost:
    """One tool at one rate; ``OWN_PACE`` for that of the capture."""
    inside = ["ip", "netns", "exec", TOOL, "taskset", "-c", "1"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        words = {
            "watch": [*PROGRAM, "watch", "-Z", "root", "-i", "in", "--journal", f"{folder}/j.sqlite"],
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
        before, began = seconds_of(processes), time.monotonic()
        frames = sent(path, rate, seconds)
        duration = time.monotonic() - began
        time.sleep(1)
        spent = seconds_of(processes) - before
        memory = megabytes_of(processes)
        time.sleep(2)
        if tool == "live":
            os.write(controller, b"q")
        else:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        time.sleep(0.2)
        return Cost(
            spent * 100_000 / max(frames, 1), spent / duration, memory, *_counts(tool, out, f"{folder}/j.sqlite")
        )


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
        last = json.loads(out.read_bytes().splitlines()[-1])
        return last["drops"], last["packets"]
    from inspector.extract.journal import read_facts

    capture = read_facts(journal).captures[-1]
    return capture.drops, capture.packets


def row(tool: str, load: str, cost: Cost) -> None:
    print(
        f"{tool:8} {load:>24} {cost.received or 0:10,} {cost.dropped or 0:9,} {cost.seconds:7.3f} {cost.core:6.1%}"
        f" {cost.megabytes:5.0f}",
        flush=True,
    )


def usual(folder: Path, seconds: int) -> None:
    """50 new connections and 290 Mbit a second, in frames as they are on the wire, and as offloads hand them on."""
    for name, size, mtu in (("1,500 bytes", 1446, STANDARD_MTU), ("64 KiB", 65_000, JUMBO_MTU)):
        path = bench_loads.usual(folder, size)
        with cable(mtu):
            for tool in ("watch", "dumpcap"):
                row(tool, f"usual, {name}", measured(tool, str(path), OWN_PACE, seconds))
        path.unlink()


def rates(path: str, seconds: int) -> None:
    with cable():
        for tool in ("watch", "live", "dumpcap"):
            for rate in RATES:
                cost = measured(tool, path, rate, seconds)
                row(tool, f"{rate:,}/s", cost)
                if cost.dropped:
                    break


def many(connections: int) -> None:
    """``watch -``, as fast as it reads."""
    with tempfile.TemporaryDirectory() as folder:
        stream = bench_loads.Repeated(bench_loads.handshakes(Path(folder)))
        process = subprocess.Popen(
            [*PROGRAM, "watch", "-Z", "root", "--journal", f"{folder}/j.sqlite", "--journal-size", "400", "-"],
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
                print(
                    f"{(number + 1) * bench_loads.CONNECTIONS:10,} connections {seconds_of([process.pid]):7.1f} s"
                    f" {megabytes_of([process.pid]):5.0f} MB",
                    flush=True,
                )
        process.stdin.close()
        process.wait()


def main() -> None:
    if sys.argv[1:2] == ["many"]:
        many(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
        return
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    with tempfile.TemporaryDirectory() as folder:
        path = sys.argv[1] if len(sys.argv) > 1 else str(bench_loads.handshakes(Path(folder)))
        print(f"{path}, {seconds} s each; {CAPTURES.parent}")
        print(f"{'tool':8} {'load':>24} {'received':>10} {'dropped':>9} {'s/100k':>7} {'core':>6} {'MB':>5}")
        usual(Path(folder), seconds)
        rates(path, seconds)


if __name__ == "__main__":
    main()
