"""Damage done to the bundled recordings: no abort may be confirmed that the whole recording lacks, none at another back
end, and nothing acquitted unseen.

``python -m tests.mutations [COUNT [SEED]]`` runs many (20,000 by default) and prints what failed; ``test_mutations.py``
runs some. A recording of many connections is cut to a window of a few first, so that one run takes milliseconds. A
failure is repeated by its recording, kind and seed.
"""

from __future__ import annotations

import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from inspector.capture.files import Story
from inspector.document import Connection, Document
from inspector.findings.judge import judge
from tests.build import facts_of
from tests.conftest import CAPTURES

WINDOW = 12
"""Connections in a window of a recording, about."""

ABORT = "certificate-change-abort"


class Frame(NamedTuple):
    """``original``: bytes on the wire."""

    ns: int
    data: bytes
    original: int
    link_type: int


Frames = list[Frame]
Mutation = Callable[[random.Random, Frames], list[Frames]]


def frames_of(path: Path) -> Frames:
    """All frames of a capture, in file order."""
    found: Frames = []
    for batch in Story([str(path)]).batches():
        for row in range(len(batch)):
            at = int(batch.offset[row])
            data = batch.data[at : at + int(batch.captured[row])].tobytes()
            found.append(Frame(int(batch.time_ns[row]), data, int(batch.original[row]), int(batch.link_type[row])))
    return found


def write(path: Path, frames: Frames) -> None:
    """A pcap file with nanoseconds; the frames are of one link type."""
    link_type = frames[0].link_type if frames else 1
    out = bytearray(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link_type))
    for frame in frames:
        out += struct.pack("<IIII", frame.ns // 10**9, frame.ns % 10**9, len(frame.data), frame.original) + frame.data
    path.write_bytes(bytes(out))


# What is done to a capture. Each gives the files that are analysed together.


def drop(dice: random.Random, frames: Frames) -> list[Frames]:
    """Single frames, or a shard of them, were not captured."""
    if dice.random() < 0.5:
        lost = {dice.randrange(len(frames)) for _ in range(dice.choice((1, 1, 2, 5)))}
        return [[f for n, f in enumerate(frames) if n not in lost]]
    at = dice.randrange(len(frames))
    return [frames[:at] + frames[at + dice.choice((2, 5, 20)) :]]


def thin(dice: random.Random, frames: Frames) -> list[Frames]:
    """A share of all frames was not captured."""
    share = dice.choice((0.005, 0.02, 0.1))
    return [[f for f in frames if dice.random() >= share]]


def duplicate(dice: random.Random, frames: Frames) -> list[Frames]:
    """Frames stand twice, some later than others."""
    share, late = dice.choice((0.02, 0.3, 1.0)), dice.choice((0, 1_000, 1_000_000, 50_000_000, 1_500_000_000))
    again = [f._replace(ns=f.ns + late) for f in frames if dice.random() < share]
    return [sorted([*frames, *again], key=lambda f: f.ns)]


def reorder(dice: random.Random, frames: Frames) -> list[Frames]:
    """Neighbours changed places in the file; their times went with them, or stayed."""
    moved = list(frames)
    for _ in range(dice.choice((1, 5, 50))):
        at = dice.randrange(max(1, len(moved) - 1))
        to = min(len(moved) - 1, at + dice.choice((1, 1, 2, 4)))
        moved[at], moved[to] = moved[to], moved[at]
    if dice.random() < 0.5:
        return [moved]
    return [[f._replace(ns=original.ns) for f, original in zip(moved, frames, strict=True)]]


def cut(dice: random.Random, frames: Frames) -> list[Frames]:
    """Frames were cut by a snap length."""
    length = dice.choice((54, 68, 96, 128, 200, 256, 400, 600, 1000, 1400))
    return [[f._replace(data=f.data[:length]) for f in frames]]


def cut_one(dice: random.Random, frames: Frames) -> list[Frames]:
    """Frames of one connection were cut, or their bytes behind a point."""
    port = next(iter(_ports(frames[dice.randrange(len(frames))])), 0)
    length = dice.choice((96, 128, 200, 256, 400, 600, 1000))
    return [[f._replace(data=f.data[:length]) if port in _ports(f) else f for f in frames]]


def cut_flight(dice: random.Random, frames: Frames) -> list[Frames]:
    """What one side of one connection sent was cut at any byte: a frame, or all from there on."""
    at = dice.randrange(len(frames))
    ports, is_ours = _ports(frames[at]), _is_from_client(frames[at])
    last = dice.choice((at, len(frames)))
    length = dice.randrange(40, max(41, len(frames[at].data)))
    return [
        [
            f._replace(data=f.data[:length])
            if at <= n <= last and _is_from_client(f) == is_ours and _ports(f) == ports
            else f
            for n, f in enumerate(frames)
        ]
    ]


def shorten(dice: random.Random, frames: Frames) -> list[Frames]:
    """The capture began later, or ended earlier."""
    first, last = sorted((dice.randrange(len(frames)), dice.randrange(len(frames))))
    return [
        frames[first:] if dice.random() < 0.3 else frames[:last] if dice.random() < 0.5 else frames[first : last + 1]
    ]


def flip(dice: random.Random, frames: Frames) -> list[Frames]:
    """Bits were changed."""
    changed = list(frames)
    for _ in range(dice.choice((1, 3, 10))):
        at = dice.randrange(len(changed))
        data = bytearray(changed[at].data)
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        changed[at] = changed[at]._replace(data=bytes(data))
    return [changed]


def one_side(dice: random.Random, frames: Frames) -> list[Frames]:
    """Half of the frames by their sender's port, as an asymmetric route shows them."""
    side = dice.random() < 0.5
    return [[f for f in frames if _is_from_client(f) == side]]


def two_files(dice: random.Random, frames: Frames) -> list[Frames]:
    """Two files: by direction, by time with an overlap, or at random; perhaps with some frames lost."""
    kind = dice.randrange(3)
    if kind == 0:
        return [[f for f in frames if _is_from_client(f)], [f for f in frames if not _is_from_client(f)]]
    if kind == 1:
        at, overlap = dice.randrange(len(frames)), dice.choice((0, 3, 40))
        return [frames[: at + overlap], frames[max(0, at - overlap) :]]
    picked = [dice.random() < 0.5 for _ in frames]
    return [
        [f for f, p in zip(frames, picked, strict=True) if p],
        [f for f, p in zip(frames, picked, strict=True) if not p],
    ]


def twice(dice: random.Random, frames: Frames) -> list[Frames]:
    """The same capture from two places, one of which lost something and has another clock."""
    ahead = dice.choice((0, 1_000_000, 400_000_000, 15_000_000_000, 3_600_000_000_000))
    (other,) = drop(dice, frames) if dice.random() < 0.5 else [frames]
    return [frames, [f._replace(ns=f.ns + ahead) for f in other]]


def coarse(dice: random.Random, frames: Frames) -> list[Frames]:
    """A clock that steps, or ticks rarely."""
    tick = dice.choice((1_000_000, 100_000_000, 1_000_000_000, 0))
    if tick:
        return [[f._replace(ns=f.ns // tick * tick) for f in frames]]
    at, back = dice.randrange(len(frames)), dice.choice((2_000_000, 5_000_000_000))
    return [[f if n < at else f._replace(ns=f.ns - back) for n, f in enumerate(frames)]]


MUTATIONS: dict[str, Mutation] = {
    m.__name__: m
    for m in (
        drop,
        thin,
        duplicate,
        reorder,
        cut,
        cut_one,
        cut_flight,
        shorten,
        flip,
        one_side,
        two_files,
        twice,
        coarse,
    )
}
LOSSLESS = ("duplicate", "two_files", "coarse")
"""What takes nothing away."""


ALTERING = ("flip", "reorder")
"""What changes what the frames say, not only how much of it was seen."""

SUSPECT = ("confirmed", "exposed", "unknown")
"""States that no damage may turn into innocence."""


def _is_from_client(frame: Frame) -> bool:
    """Whether the frame comes from an ephemeral port: good enough for these recordings."""
    data, at = frame.data, {1: 14, 113: 16, 276: 20, 101: 0, 0: 4}.get(frame.link_type, 14)
    header = 40 if data[at] >> 4 == 6 else (data[at] & 15) * 4
    if len(data) < at + header + 4:
        return False
    source, target = struct.unpack_from(">HH", data, at + header)
    return int(source) > int(target)


# What must hold.


def ends(document: Document, connection: str) -> tuple[str, int, str, int]:
    """The endpoints of a connection, which damage leaves alone, or nearly."""
    c = _by_id(document)[connection]
    return c.client_endpoint.ip, c.client_endpoint.port, c.server_endpoint.ip, c.server_endpoint.port


def _by_id(document: Document) -> dict[str, Connection]:
    return {c.id: c for c in document.connections}


def aborts(document: Document) -> dict[tuple[str, int, str, int], set[tuple[str, int, str, int]]]:
    """The confirmed ones by their endpoints, with those of the sessions' origins."""
    found: dict[tuple[str, int, str, int], set[tuple[str, int, str, int]]] = {}
    for finding in document.findings:
        if finding.rule == ABORT and finding.verdict == "confirmed":
            declined = next(e.connection for e in finding.evidence if e.role == "declined")
            origins = found.setdefault(ends(document, declined or ""), set())
            origins.update(
                ends(document, e.connection) for e in finding.evidence if e.role == "origin" and e.connection
            )
    return found


def failures(kind: str, whole: Document, damaged: Document) -> list[str]:
    """What the analysis of a damaged capture says that it must not."""
    said: list[str] = []
    before, after = aborts(whole), aborts(damaged)
    for where, origins in after.items():
        if where not in before:
            said.append(f"a confirmed abort that the whole lacks: {where}")
        elif not origins <= before[where]:
            said.append(f"an abort of a session of another origin: {where}")
    states = {(s.name, s.port): s.assessment for s in whole.services}
    for service in damaged.services:
        was, now = states.get((service.name, service.port)), service.assessment
        is_acquitted = was is not None and (
            was.state in SUSPECT or (was.state == "protected" and was.grade != "observed" and kind not in ALTERING)
        )
        if now.state == "protected" and now.grade == "observed" and is_acquitted and kind != "shorten":
            said.append(
                f"{service.name}:{service.port}: protected, observed; the whole is {was and (was.state, was.grade)}"
            )
        if (
            now.state == "protected"
            and now.grade == "observed"
            and any(_is_hidden(c) for c in damaged.connections if c.service == service.id and not c.health_check)
        ):
            said.append(f"{service.name}:{service.port}: protected, observed, although something was lost")
    if kind in LOSSLESS and len(after) > len(before):
        said.append(f"{len(after)} aborts, not {len(before)}")
    return said


def _is_hidden(connection: Connection) -> bool:
    """Whether the hellos of a connection, or its certificate, were not read though its handshake went on."""
    handshake = connection.handshakes[0]
    if handshake.frames.client_hello is None:
        return True
    return (
        handshake.kind == "full"
        and handshake.version != "TLSv1.3"
        and not handshake.ems.negotiated
        and not handshake.server_chain
    )


@lru_cache(maxsize=64)
def window(path: Path, number: int) -> tuple[Frames, Document]:
    """A shard of a recording with a few connections, and its analysis. ``number``: which one."""
    frames = frames_of(path)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "whole.pcap"
        write(file, frames)
        document = judge(facts_of(file)).complete()
        count = len(document.connections)
        if count > WINDOW:
            first = (number * WINDOW) % (count - WINDOW)
            wanted = {
                (c.client_endpoint.port, c.client_endpoint.ip) for c in document.connections[first : first + WINDOW]
            }
            ports = {port for port, _ in wanted}
            frames = [f for f in frames if _ports(f) & ports]
            write(file, frames)
            document = judge(facts_of(file)).complete()
        return frames, document


def _ports(frame: Frame) -> set[int]:
    data, at = frame.data, {1: 14, 113: 16, 276: 20, 101: 0, 0: 4}.get(frame.link_type, 14)
    if len(data) <= at:
        return set()
    header = 40 if data[at] >> 4 == 6 else (data[at] & 15) * 4
    return set(struct.unpack_from(">HH", data, at + header)) if len(data) >= at + header + 4 else set()


def recordings() -> list[Path]:
    """The bundled captures of one link type."""
    return sorted(p for p in CAPTURES.glob("*.pcap*") if len({f.link_type for f in frames_of(p)}) == 1)


def tried(path: Path, kind: str, seed: int, folder: Path) -> list[str]:
    """One mutation of one recording: what it says that it must not."""
    dice = random.Random(f"{path.name} {kind} {seed}")
    frames, whole = window(path, dice.randrange(5))
    files = []
    for number, mutated in enumerate(MUTATIONS[kind](dice, frames)):
        if mutated:
            files.append(folder / f"{number}.pcap")
            write(files[-1], mutated)
    return failures(kind, whole, judge(facts_of(*files)).complete()) if files else []


def main(count: int, seed: int) -> int:
    started, bad = time.time(), Counter[str]()
    paths, kinds = recordings(), list(MUTATIONS)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path, kind = paths[number % len(paths)], kinds[number // len(paths) % len(kinds)]
            for text in tried(path, kind, seed + number, Path(folder)):
                bad[kind] += 1
                print(f"{path.name} {kind} {seed + number}: {text}", flush=True)
    print(
        f"{count} mutations of {len(paths)} recordings, {sum(bad.values())} failures {dict(bad)},"
        f" {time.time() - started:.0f} s"
    )
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
