"""First things first on large captures: ``python -m tests.bench_large [GIGABYTES]``. Figures, not a test: speed depends
on the machine.

Two captures of so many gigabytes (5 by default) are made in a folder that is removed afterwards: one of much data in
few connections, one of nothing but handshakes. Each is opened in the real app three times: once and left alone, once
with keys pressed until all is indexed, and once again with the facts that the first time kept. All seconds are from the
start of the process. What was read from the disk before is in the page cache.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench_app import Terminal, told
from tests.bench_captures import made

CLIENTS_A_GIGABYTE = {"handshakes": 480, "bulk": 8.8}
KEPT_SECONDS = 30
WHILE_NOTHING, WHILE_SHOWN = ("down", "?", "escape"), ("3", "down", "pagedown", "2")
"""Keys that are pressed in turn, before and after there is something on the screen."""


def line(name: str, seconds: float, more: str = "") -> None:
    print(f"  {name:<40} {seconds:6.2f} s{more}", flush=True)


def milestones(terminal: Terminal) -> None:
    """When the app first painted, first showed a connection and a finding, showed all, and could sort and filter it."""
    terminal.wait("taken", whole=True, columns=True)
    taken = terminal.noted("taken")

    def first(name: str, notes: list[dict[str, Any]]) -> None:
        line(name, notes[0]["at"] - terminal.began, f"   {notes[0]['connections']:,} connections")

    line("first paint", terminal.noted("painted")[0]["at"] - terminal.began)
    first("first connection", [note for note in taken if note["connections"]])
    first("first finding", [note for note in taken if note["findings"]])
    first("whole", [note for note in taken if note["whole"]])
    first("whole, sorted and filtered", [note for note in taken if note["columns"]])


def pressed(terminal: Terminal) -> None:
    """Keys until all is there, and how long each took to be painted."""
    terminal.wait("ready")
    terminal.drain(0.3)
    latencies: list[float] = []
    while not any(note["whole"] and note["columns"] for note in terminal.noted("taken")):
        keys = WHILE_SHOWN if terminal.noted("taken") else WHILE_NOTHING
        latencies.append(terminal.key(keys[len(latencies) % len(keys)]))
    if latencies:
        told("  key to paint meanwhile", latencies)
    else:
        print("  all was there before a key could be pressed")


def measured(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "facts"
        print(" opened", flush=True)
        terminal = Terminal(str(path), str(cache))
        milestones(terminal)
        until = time.monotonic() + KEPT_SECONDS
        while not any(cache.glob("*.facts")) and time.monotonic() < until:
            terminal.drain(0.05)
        line("its facts are kept", time.monotonic() - terminal.began)
        terminal.leave()
        print(" opened, keys pressed", flush=True)
        terminal = Terminal(str(path))
        pressed(terminal)
        terminal.leave()
        print(" opened again", flush=True)
        terminal = Terminal(str(path), str(cache))
        milestones(terminal)
        terminal.leave()
        print(" opened again, keys pressed", flush=True)
        terminal = Terminal(str(path), str(cache))
        pressed(terminal)
        terminal.leave()


def main() -> None:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 5
    folder = sys.argv[2] if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as temporary:
        for shape, clients in CLIENTS_A_GIGABYTE.items():
            path, content = made(Path(folder or temporary), shape, round(clients * gigabytes))
            size = path.stat().st_size / 1e9
            print(f"{shape}: {size:.2f} GB, {content.frames:,} frames, {content.aborts:,} aborts", flush=True)
            measured(path)
            if folder is None:
                path.unlink()


if __name__ == "__main__":
    main()
