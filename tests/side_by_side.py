"""One interface captured at the same time by the libpcap that comes with the program and by the system's: run in a
network namespace by ``tests/test_system_libpcap.py``, ``python -m tests.side_by_side INTERFACE BUFFER_MIB``.

It says who captures and by which processes once both are open, and what they saw once a line comes: JSON, a line each.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import sys

import msgspec

from inspector.capture.frames import FrameBatch
from inspector.live.sources import source as source_module
from inspector.live.sources.capture_launch import CaptureLaunch
from inspector.live.sources.interface import InterfaceSource
from inspector.live.sources.sniff_messages import CaptureMethod, SniffOptions
from inspector.live.sources.source import LOOK_SECONDS, Source, ready, stopped
from tests.waiting import PATIENCE_SECONDS, children_of

METHODS: tuple[CaptureMethod, ...] = ("libpcap", "system-libpcap")


class Opened(msgspec.Struct):
    """``by``: the libraries. ``processes``: those that capture."""

    by: list[str]
    processes: list[int]


class Seen(msgspec.Struct):
    """``digest``: of all frames with their times, their lengths and link types. ``received``, ``dropped``: as the
    kernel counts for each capture.
    """

    frames: int = 0
    digest: str = ""
    received: int = 0
    dropped: int = 0


class Tally:
    """What came of one source."""

    def __init__(self) -> None:
        self.frames = 0
        self._hash = hashlib.sha256()

    def add(self, batch: FrameBatch) -> None:
        self.frames += len(batch)
        columns = (batch.time_ns, batch.offset, batch.captured, batch.original, batch.link_type)
        for time_ns, at, captured, original, link_type in zip(*(column.tolist() for column in columns), strict=True):
            self._hash.update(b"%d %d %d " % (time_ns, original, link_type) + batch.data[at : at + captured].tobytes())

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def watched(interface: str, buffer_mib: int) -> list[InterfaceSource]:
    """Both, open."""
    sources = []
    for method in METHODS:
        options = SniffOptions(interface, "tcp", None, 262_144, buffer_mib, False, method)
        source = InterfaceSource(CaptureLaunch(options))
        source.start()
        source.await_open()
        sources.append(source)
    return sources


def main() -> None:
    interface, buffer_mib = sys.argv[1:]
    source_module.STOP_SECONDS = PATIENCE_SECONDS
    sources = watched(interface, int(buffer_mib))
    tallies: dict[Source, Tally] = {source: Tally() for source in sources}
    print(json.dumps(msgspec.to_builtins(Opened([one.by for one in sources], children_of(os.getpid())))), flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for source, batch in ready(sources, LOOK_SECONDS):
            tallies[source].add(batch)
    for source in sources:
        for batch in stopped([source]):
            tallies[source].add(batch)
    seen = [Seen(tallies[one].frames, tallies[one].digest, one.received, one.dropped or 0) for one in sources]
    print(json.dumps(msgspec.to_builtins(seen)), flush=True)


if __name__ == "__main__":
    main()
