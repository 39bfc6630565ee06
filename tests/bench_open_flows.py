"""What it takes to follow connections from one run of ``extract`` into the next:
``python -m tests.bench_open_flows --gigabytes 0.5``. Figures, not a test.

A rotated set, in which a file lasts ``--minutes``, is extracted file by file, each by a process of its own, once with
and once without ``--no-follow``, and the processor time and the bytes on the disk are told. Then handshakes without an
end are put away: what so many open flows take.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from inspector.capture.files import Story
from inspector.capture.pcap import HEADER_BYTES, RECORD_BYTES
from inspector.extract.put_away import put_away, taken_up
from inspector.extract.resuming import read_on
from tests.bench_cluster import estate
from tests.build import START_NS, Pool, certificate, ethernet, numbered, ordered, pcap

POOL = 4
"""Back ends that answer."""


class RunsCost(NamedTuple):
    """``seconds``: of processor time. ``peak``: of the memory of one. ``facts``, ``open_flows``: bytes on the disk;
    ``largest``: of one file of open flows.
    """

    seconds: float
    peak: int
    facts: int
    open_flows: int
    largest: int


def last(path: str, seconds: float, first_ns: int) -> int:
    """Have a file last so long, frames at equal distances; when the next one is to begin."""
    octets = bytearray(Path(path).read_bytes())
    places = []
    at = HEADER_BYTES
    while at < len(octets):
        places.append(at)
        at += RECORD_BYTES + int.from_bytes(octets[at + 8 : at + 12], "little")
    for number, place in enumerate(places):
        stamp = divmod(first_ns + int(number * seconds * 1e9 / len(places)), 10**9)
        struct.pack_into("<II", octets, place, *stamp)
    Path(path).write_bytes(octets)
    return first_ns + int(seconds * 1e9)


def extracted(paths: Sequence[str], folder: Path, *words: str) -> RunsCost:
    """One run after the other."""
    state = folder / "state"
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    largest = 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for path in paths:
        command = [sys.executable, "-m", "inspector", "extract", path, "-o", str(folder / "facts"), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        largest = max([largest, *(file.stat().st_size for file in state.rglob("*.flows"))])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return RunsCost(seconds, after.ru_maxrss << 10, _bytes(folder / "facts"), _bytes(state), largest)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def open_flows(folder: Path, count: int) -> None:
    """So many handshakes that nobody ends."""
    pool = Pool()
    ders = [certificate(f"backend{number}", ("a.example.com",)) for number in range(POOL)]
    for number in range(count):
        del pool.full(ders[number % POOL], numbered(number)).segments[-3:]
    path = folder / "open.pcap"
    path.write_bytes(pcap([(segment.ns, ethernet(segment)) for segment in ordered(pool.flows)]))
    run = read_on(Story([str(path)]), {str(path): ""})
    assert run is not None
    assert run.left_off is not None
    begin = time.process_time()
    left = taken_up(run.left_off)
    middle = time.process_time()
    put_away(left)
    end = time.process_time()
    print(
        f"{run.flows:,} open flows: {len(run.left_off):,} bytes, {len(run.left_off) / run.flows:,.0f} each;"
        f" taken up in {middle - begin:.2f} s, put away in {end - middle:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--flows", type=int, default=10_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = estate(folder / "captures", wanted.gigabytes, 1)
        first_ns = START_NS
        for path in paths:
            first_ns = last(path, wanted.minutes * 60, first_ns)
        size = sum(os.path.getsize(path) for path in paths)
        print(f"{size:,} bytes in {len(paths)} files, a run for each")
        for told, words in (("followed", ()), ("each by itself", ("--no-follow",))):
            cost = extracted(paths, folder / told, *words)
            print(
                f"{told}: {cost.seconds:.1f} s, {cost.peak:,} bytes of memory at most, {cost.facts:,} bytes of facts,"
                f" {cost.open_flows:,} of open flows in the end, {cost.largest:,} in one file at most"
            )
        open_flows(folder, wanted.flows)


if __name__ == "__main__":
    main()
