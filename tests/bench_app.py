"""How fast the app is: ``python -m tests.bench_app``. Figures, not a test: speed depends on the machine.

A child process runs the real app on a pseudo-terminal; this one types, reads what is drawn and counts its bytes. Both
read the same monotonic clock, so a latency is from the moment a key is written to the terminal to the moment when the
app has painted what it led to.

    python -m tests.bench_app 100000          the tables, with so many connections made from a bundled capture
    python -m tests.bench_app FILE            loading a capture, against ``inspector analyze``, with keys pressed
    meanwhile
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

SIZE = (40, 120)
TABLE_KEYS = [
    "3",
    "down",
    "pagedown",
    "end",
    "home",
    "S",
    "S",
    *["down"] * 20,
    *["pagedown"] * 10,
    "4",
    "5",
    "6",
    "2",
    "3",
]
SORTS = ["client", "outcome", "session", "frame", "kind"]
FILTERS = ["outcome:aborted", 'backend:B -kind:full "puppetdb"', "session~ab", "rtt>1ms bytes>2KB"]
CODES = {"down": "\x1b[B", "pagedown": "\x1b[6~", "end": "\x1b[F", "home": "\x1b[H", "enter": "\r", "escape": "\x1b"}


class Terminal:
    """The other end: types keys, counts bytes."""

    def __init__(self, what: str, cache: str = "") -> None:
        self.notes = Path(tempfile.mkstemp()[1])
        self.bytes = 0
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}
        command = [sys.executable, "-m", "tests.bench_child", what, str(self.notes), cache]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
        )
        os.close(slave)

    def drain(self, seconds: float) -> None:
        """Read what is drawn for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.bytes += len(os.read(self.master, 1 << 16))
                except OSError:
                    return

    def noted(self, what: str) -> list[dict[str, Any]]:
        """What the child noted of one kind."""
        return [n for line in self.notes.read_text().splitlines() if (n := json.loads(line))["what"] == what]

    def wait(self, what: str, count: int = 1, limit: float = 600, **needed: Any) -> dict[str, Any]:
        """Until the child has noted something so often."""
        until = time.monotonic() + limit
        while time.monotonic() < until and self.process.poll() is None:
            found = [n for n in self.noted(what) if all(n.get(k) == v for k, v in needed.items())]
            if len(found) >= count:
                return found[count - 1]
            self.drain(0.005)
        raise SystemExit(f"the app never noted {what}")

    def key(self, key: str) -> float:
        """Press a key; seconds until it is painted."""
        before = len(self.noted("key"))
        sent = time.monotonic()
        os.write(self.master, CODES.get(key, key).encode())
        latency = float(self.wait("key", before + 1, 60)["at"]) - sent
        self.drain(0.02)
        return latency

    def renews(self, key: str) -> float:
        """Press a key; seconds until the table shows something else."""
        before = len(self.noted("renewed"))
        sent = time.monotonic()
        os.write(self.master, CODES.get(key, key).encode())
        latency = float(self.wait("renewed", before + 1, 60)["at"]) - sent
        self.drain(0.1)
        return latency

    def leave(self) -> None:
        """Quit, and say what memory it took."""
        os.write(self.master, b"\x03")
        self.wait_end()
        for left in self.noted("left"):
            print(f"{'memory of the app at most':<34} {left['memory'] / 1024:,.0f} MiB")
        self.notes.unlink()

    def wait_end(self) -> None:
        """Until the process is gone."""
        for _ in range(200):
            if self.process.poll() is not None:
                return
            self.drain(0.05)


def told(name: str, seconds: list[float]) -> None:
    """One line of figures."""
    print(
        f"{name:<34} most {max(seconds) * 1000:7.1f} ms   median {sorted(seconds)[len(seconds) // 2] * 1000:7.1f} ms  "
        f" of {len(seconds)}"
    )


def tables(count: str) -> None:
    """The tables with many connections."""
    terminal = Terminal(count)
    terminal.wait("ready")
    first = terminal.wait("taken")
    print(f"{int(count):,} connections")
    told("first paint after the engine", [first["at"] - terminal.noted("ready")[0]["at"], first["at"] - first["began"]])
    early = [terminal.key(k) for k in ["3", "down", "pagedown", "end"]]
    told("key to paint while it indexes", early)
    columns = terminal.wait("taken", columns=True)
    print(f"{'columns made':<34} {columns['began'] - first['at']:.2f} s after the first paint")
    terminal.drain(0.5)
    found = [(terminal.key(k), k) for k in TABLE_KEYS]
    told("key to paint", [seconds for seconds, _ in found])
    print(
        "  slowest: " + ", ".join(f"{key} {seconds * 1000:.0f} ms" for seconds, key in sorted(found, reverse=True)[:6])
    )
    told("key to paint, again", [terminal.key(k) for k in TABLE_KEYS])
    sorting = []
    for name in SORTS:
        terminal.key("s")
        terminal.key("home")
        for _ in range(
            ["time", "client", "port", "backend", "outcome", "kind", "session", "ems", "version", "frame"].index(name)
        ):
            terminal.key("down")
        sorting.append(terminal.renews("enter"))
    told("sort by " + ", ".join(SORTS), sorting)
    filtering = []
    typing = []
    for expression in FILTERS:
        terminal.key("/")
        for _ in range(60):
            os.write(terminal.master, b"\x7f")
        terminal.drain(0.5)
        typing += [terminal.key(letter) for letter in expression]
        filtering.append(terminal.renews("enter"))
        told("  filter " + expression, filtering[-1:])
    told("filter", filtering)
    told("a letter typed into the filter", typing)
    before = terminal.bytes
    terminal.drain(3)
    print(f"{'bytes to the terminal, idle':<34} {(terminal.bytes - before) / 3:,.0f} a second")
    terminal.leave()


def loading(path: str) -> None:
    """Loading a capture, against analyze, with keys pressed meanwhile."""
    analyze = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "inspector", "analyze", path], stdout=subprocess.DEVNULL, check=False)
        analyze.append(time.monotonic() - began)
    quiet = Terminal(path)
    whole = quiet.wait("taken", whole=True)
    shown = whole["at"] - quiet.began
    columns = quiet.wait("taken", whole=True, columns=True)["at"] - quiet.began
    seconds = columns
    print(
        f"{path}: analyze {min(analyze):.2f} s; in the app all on screen after {shown:.2f} s"
        f" ({shown / min(analyze):.2f} times), indexed after {seconds:.2f} s"
    )
    print(f"{'bytes to the terminal while loading':<34} {quiet.bytes / seconds:,.0f} a second")
    quiet.leave()
    busy = Terminal(path)
    busy.wait("ready")
    busy.drain(0.3)
    latencies: list[float] = []
    slow: list[str] = []
    while not any(n["columns"] for n in busy.noted("taken")):
        shown = bool(busy.noted("taken"))
        key = (
            ["3", "down", "pagedown", "2"][len(latencies) % 4] if shown else ["down", "?", "escape"][len(latencies) % 3]
        )
        at = time.monotonic() - busy.began
        latencies.append(busy.key(key))
        if latencies[-1] > 0.05:
            slow.append(f"{key} at {at:.2f} s {latencies[-1] * 1000:.0f} ms")
        busy.drain(0.02)
    print(f"  slow: {', '.join(slow) or 'none'}; on screen at {busy.noted('taken')[0]['began'] - busy.began:.2f} s")
    told("key to paint while loading", latencies)
    busy.leave()


if __name__ == "__main__":
    for argument in sys.argv[1:] or ["100000"]:
        tables(argument) if argument.isdigit() else loading(argument)
