"""Attacks at full size through the real commands: ``python -m tests.attacks [KIND…] [--scale N] [--only WORD]``.

Each is made, then given to ``inspector analyze`` and to ``inspector watch -``, each in a process of its own. Told are
seconds (and how many times as long as an abort alone takes), bytes per second beyond that, the most memory that one of
its processes held, what was named, and what is out of bounds: files have 2 s or 20 MB/s, and 300 MB; live capture has
150 MB and the same speed; neither may miss the abort, find another, or end otherwise than it should. Ends with 1 where
something is out of bounds.

With ``--growth time`` each is given at once, twice and four times the size, and told is the exponent by which time
grows with size, and what a piece takes. ``--growth calls`` counts function calls, which are the same however busy the
machine is. Ends with 1 where one grows faster than its size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.attacks.attack import Attack, Given, frames_of_an_abort
from tests.attacks.commands import COMMANDS, Run
from tests.attacks.growth import GROWING, GROWTH_HEAD, Growing, growth_row
from tests.attacks.kinds import ATTACKS, BY_KIND
from tests.build import pcap

SECONDS, RATE, FILE_MB, LIVE_MB = 2.0, 20.0, 300.0, 150.0


def wrong(attack: Attack, given: Given, ran: Run, usual: float) -> list[str]:
    """What is out of bounds. ``usual``: seconds of an abort alone. Live capture takes no compressed stream; a journal
    is read or refused.
    """
    size, is_live = given.size / 1e6, ran.command == "live"
    aborts = 0 if is_live and given.unpacked else attack.aborts
    is_refused = ran.spent.status == 2 and (bool(given.journal) or not aborts)
    statuses = (0,) if is_live else (0, 1)
    beyond = ran.spent.busy - usual
    found = []
    if beyond > SECONDS and size / beyond < RATE:
        found.append("slow")
    if ran.spent.megabytes > (LIVE_MB if is_live else FILE_MB):
        found.append("large")
    is_told = ran.aborts == aborts or (aborts < 0 and ran.aborts) or (given.journal and not is_live)
    if not is_told and not is_refused:
        found.append(f"aborts {ran.aborts}")
    if ran.spent.status not in statuses and not is_refused:
        found.append(f"status {ran.spent.status}")
    return found


def row(attack: Attack, given: Given, ran: Run, usual: float) -> list[str]:
    out, size = wrong(attack, given, ran, usual), given.size / 1e6
    beyond = ran.spent.busy - usual
    speed = f"{size / beyond:,.1f}" if beyond > 0.2 else ""
    print(
        f"| {attack.kind} | {attack.name} | {ran.command} | {size:.1f} | {ran.spent.seconds:.1f} |"
        f" {ran.spent.busy:.1f} | {ran.spent.busy / usual:.1f} | {speed} | {ran.spent.megabytes:.0f} |"
        f" {', '.join(ran.told)[:120]} | {', '.join(out)} |",
        flush=True,
    )
    return out


def measured(attacks: list[Attack], commands: list[str], scale: float, folder: Path) -> int:
    """How many are out of bounds."""
    alone = Given(pcap([]) + frames_of_an_abort())
    usual = {name: min(COMMANDS[name](alone, folder).spent.busy for _ in range(3)) for name in commands}
    print(f"An abort alone: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in usual.items())}\n")
    print("| kind | variant | command | MB | s | busy s | times the abort | MB/s | peak MB | named | out of bounds |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    failed = 0
    for attack in attacks:
        made = attack.make(max(int(attack.many * scale), attack.few))
        for name in commands:
            failed += bool(row(attack, made, COMMANDS[name](made, folder), usual[name]))
    return failed


def compared(attacks: list[Attack], commands: list[str], scale: float, folder: Path, how: Growing) -> int:
    """How many grow faster than their size."""
    print(GROWTH_HEAD)
    return sum(growth_row(one, name, how(one, name, scale, folder)) for one in attacks for name in commands)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(BY_KIND)}; without any: all")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual size")
    parser.add_argument("--only", default="", help="variants in whose name this stands")
    parser.add_argument("--command", choices=COMMANDS, help="one of the two")
    parser.add_argument("--growth", choices=GROWING, help="how time, or function calls, grow with size")
    given = parser.parse_args()
    commands = [given.command] if given.command else list(COMMANDS)
    attacks = [one for one in ATTACKS if one.kind in (given.kinds or BY_KIND) and given.only in one.name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.growth:
            failed = compared(attacks, commands, given.scale, folder, GROWING[given.growth])
        else:
            failed = measured(attacks, commands, given.scale, folder)
    print(f"\n{failed} {'grow faster than their size' if given.growth else 'out of bounds'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
