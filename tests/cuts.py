"""One recording cut, copied, merged and mistimed in all the ways in which captures of one story come: what a test gives
to the program instead of it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inspector.capture.files import Story
from inspector.capture.frames import FrameBatch, packed
from inspector.capture.writer import PcapngWriter
from inspector.wire.segments import SegmentDecoder
from tests.build import pcap

SECOND = 1_000_000_000


class Frame(NamedTuple):
    """``source``, ``target``: address number << 16 | port."""

    ns: int
    data: bytes
    source: int = 0
    target: int = 0


def frames_of(path: Path) -> list[Frame]:
    """All TCP frames of a recording in the order of time."""
    found: list[Frame] = []
    decoder = SegmentDecoder()
    for batch in Story([str(path)]).batches():
        segments = decoder.decode(batch)
        ends = {
            n: (s, t)
            for n, s, t in zip(
                segments.number.tolist(), segments.source.tolist(), segments.target.tolist(), strict=True
            )
        }
        for number, ns, at, size in zip(
            batch.number.tolist(), batch.time_ns.tolist(), batch.offset.tolist(), batch.captured.tolist(), strict=True
        ):
            if number in ends:
                found.append(Frame(ns, batch.data[at : at + size].tobytes(), *ends[number]))
    return sorted(found, key=lambda f: f.ns)


def link_type(path: Path) -> int:
    return int(next(iter(Story([str(path)]).batches())).link_type[0])


def later(frames: Iterable[Frame], ns: int) -> list[Frame]:
    return [f._replace(ns=f.ns + ns) for f in frames]


def by_time(*parts: Iterable[Frame]) -> list[Frame]:
    return sorted((f for part in parts for f in part), key=lambda f: f.ns)


def split(frames: Iterable[Frame], chosen: Callable[[Frame], bool]) -> tuple[list[Frame], list[Frame]]:
    """Those that are chosen, and the others."""
    both: tuple[list[Frame], list[Frame]] = ([], [])
    for frame in frames:
        both[not chosen(frame)].append(frame)
    return both


def stamped(frames: Sequence[Frame], tick: int) -> list[Frame]:
    """Stamps as a clock with such a tick writes them; 0 for none at all."""
    return [f._replace(ns=f.ns // tick * tick if tick else 0) for f in frames]


def write(path: Path, frames: Iterable[Frame], kind: int = 1) -> Path:
    """As pcap; compressed where the name ends so."""
    data = pcap(((f.ns, f.data) for f in frames), link_type=kind)
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def write_pcapng(path: Path, frames: Sequence[Frame], kind: int = 1) -> Path:
    out = io.BytesIO()
    writer = PcapngWriter(out)
    buffer, offsets, lengths = packed([f.data for f in frames])
    count = len(frames)
    times = np.array([f.ns for f in frames], np.int64)
    writer.write(
        FrameBatch(
            buffer,
            times,
            offsets,
            lengths,
            lengths,
            np.full(count, kind, np.int64),
            np.arange(1, count + 1, dtype=np.int64),
        )
    )
    path.write_bytes(out.getvalue())
    return path
