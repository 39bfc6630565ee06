"""Live capture under load: where ``watch``, the drawn app and ``dumpcap`` begin to drop, one at a time, over a veth
pair in namespaces of its own.

``python -m tests.bench_live [CAPTURE [SECONDS]]``, as root; needs ip, ethtool, tcpreplay, dumpcap. The sender is pinned
to the first core, the tool with all its processes to the second. CAPTURE is a pcap file to replay; by default one is
made from the bundled ones.
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

from tests.build import Pool, certificate, numbered, written
from tests.conftest import CAPTURES

RATES = tuple(int(rate) for rate in os.environ.get("RATES", "25000,50000,100000,150000,200000").split(","))
SENDER, TOOL = f"bench{os.getpid()}a", f"bench{os.getpid()}b"
PROGRAM = [sys.executable, "-m", "inspector"]


class Cost(NamedTuple):
    """``core``: share of a core; ``megabytes``: proportional set size of all processes together."""

    core: float
    megabytes: float
    dropped: int | None
    received: int | None


@contextmanager
def cable() -> Iterator[None]:
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
            subprocess.run(["ip", "-n", name, "link", "set", interface, "up", "mtu", "9000"], check=True)
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
    total = 0
    for process in processes:
        with suppress(OSError):
            words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")


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


def sent(path: str, rate: int, seconds: int) -> None:
    """Replay a capture again and again."""
    words = [
        "taskset",
        "-c",
        "0",
        "tcpreplay",
        "-q",
        "-K",
        "-i",
        "out",
        f"--pps={rate}",
        f"--duration={seconds}",
        "--loop=0",
        path,
    ]
    subprocess.run(["ip", "netns", "exec", SENDER, *words], capture_output=True, check=True, timeout=seconds + 60)


def measured(tool: str, path: str, rate: int, seconds: int) -> Cost:
    """One tool at one rate."""
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
        sent(path, rate, seconds)
        core = (seconds_of(processes) - before) / (time.monotonic() - began)
        memory = megabytes_of(processes)
        time.sleep(2)
        if tool == "live":
            os.write(controller, b"q")
        else:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        time.sleep(0.2)
        return Cost(core, memory, *_counts(tool, out, f"{folder}/j.sqlite"))


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


def made(folder: Path) -> Path:
    """A capture of 5,000 connections of a pool of three, with an abort in each fifty."""
    pool = Pool()
    ders = [certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in range(3)]
    for n in range(1, 5_000, 5):
        pool.full(ders[n % 3], numbered(n))
        for _ in range(3):
            pool.resumed(numbered(n))
        (
            pool.given_up(ders[(n + 1) % 3], numbered(n + 1), numbered(n))
            if n % 50 == 1
            else pool.full(ders[n % 3], numbered(n + 1))
        )
    return written(folder, pool.flows, "bench.pcap")


def main() -> None:
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    with tempfile.TemporaryDirectory() as folder, cable():
        path = sys.argv[1] if len(sys.argv) > 1 else str(made(Path(folder)))
        print(f"{path}, {seconds} s each; {CAPTURES.parent}")
        print(f"{'tool':8} {'frames/s':>9} {'received':>10} {'dropped':>9} {'core':>6} {'MB':>5}")
        for tool in ("watch", "live", "dumpcap"):
            for rate in RATES:
                cost = measured(tool, path, rate, seconds)
                print(
                    f"{tool:8} {rate:9,} {cost.received or 0:10,} {cost.dropped or 0:9,} {cost.core:6.1%}"
                    f" {cost.megabytes:5.0f}",
                    flush=True,
                )
                if cost.dropped:
                    break


if __name__ == "__main__":
    main()
