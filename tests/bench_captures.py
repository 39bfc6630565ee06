"""Captures for ``tests.bench_analyze``, made from one bundled recording: a Java client that meets three back ends and
aborts. Many clients replay it, with addresses, randoms and session ids of their own, so that sessions still link.

They are kept in a folder, and made only where they are missing.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

import msgspec
import numpy as np

from tests import bench_story
from tests.bench_story import RECORD, Replay, StoryFrame
from tests.build import START_NS, SYN
from tests.encapsulations import ENCAPSULATIONS

Timed = tuple[int, bytes]
FRAME_LIMIT = 262_144
BLOCK_BYTES = 1 << 24
CLIENTS_AT_ONCE = 20
HANDSHAKES_PER_SECOND = 2_000
BYTES, MANY_BYTES = 2 * RECORD, 2_000_000


class Made(msgspec.Struct):
    """What a capture holds. ``aborts``: as many must be found."""

    frames: int
    aborts: int


@dataclass(frozen=True)
class Shape:
    """A kind of capture: what it is about, how many of ``things`` it has, and how it is made of so many."""

    told: str
    things: str
    count: int
    make: Callable[[Path, int], Made]


def made(folder: Path, name: str, count: int) -> tuple[Path, Made]:
    """A capture with so many things, from the folder or made now. What it holds lies beside it, and is written last."""
    path = folder / f"{name}-{count}.pcap"
    beside = path.with_suffix(".json")
    if not beside.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(msgspec.json.encode(SHAPES[name].make(path, count)))
    return path, msgspec.json.decode(beside.read_bytes(), type=Made)


def write(path: Path, frames: Iterable[Timed]) -> int:
    """A pcap file; how many frames it has."""
    count, block = 0, bytearray(header())
    with path.open("wb") as file:
        for ns, frame in frames:
            block += struct.pack("<IIII", *divmod(START_NS + ns, 10**9), len(frame), len(frame)) + frame
            count += 1
            if len(block) > BLOCK_BYTES:
                file.write(block)
                block.clear()
        file.write(block)
    return count


def header() -> bytes:
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, FRAME_LIMIT, 1)


def in_order(replays: Iterable[Iterator[Timed]]) -> Iterator[Timed]:
    """The frames of all replays by their time. No replay begins before the one in front of it, so few are open at
    once.
    """
    running: list[tuple[int, int, bytes, Iterator[Timed]]] = []

    def until(ns: float) -> Iterator[Timed]:
        while running and running[0][0] <= ns:
            at, number, frame, replay = heappop(running)
            yield at, frame
            if following := next(replay, None):
                heappush(running, (following[0], number, following[1], replay))

    for number, replay in enumerate(replays):
        ns, frame = next(replay)
        yield from until(ns)
        heappush(running, (ns, number, frame, replay))
    yield from until(float("inf"))


def replayed(frames: Iterable[StoryFrame], replay: Replay, start: int) -> Iterator[Timed]:
    for frame in frames:
        yield start + frame.ns, frame.replayed(replay)


def address(number: int, network: int = 10) -> bytes:
    return struct.pack(">I", (network << 24) + number + 256)


VIP = bytes([10, 99, 0, 100])


def starts(count: int, length: int) -> list[int]:
    """When so many clients begin, of whom a few are there at once: more clients make a longer capture."""
    dice = random.Random(1)
    return sorted(dice.randrange(max(1, length * count // CLIENTS_AT_ONCE)) for _ in range(count))


def clients(path: Path, count: int, frames: list[StoryFrame]) -> Made:
    """The story, replayed by so many clients of one service."""
    dice = random.Random(2)
    replays = (
        replayed(frames, Replay(address(number), VIP, dice.getrandbits(256)), start)
        for number, start in enumerate(starts(count, frames[-1].ns))
    )
    return Made(write(path, in_order(replays)), bench_story.ABORTS * count)


def handshakes(path: Path, count: int) -> Made:
    return clients(path, count, list(bench_story.filled(bench_story.story(), BYTES)))


def bulk(path: Path, count: int) -> Made:
    return clients(path, count, list(bench_story.filled(bench_story.story(), MANY_BYTES)))


def in_tunnels(name: str) -> Callable[[Path, int], Made]:
    def make(path: Path, count: int) -> Made:
        filled = bench_story.filled(bench_story.story(), BYTES)
        return clients(path, count, [bench_story.wrapped(frame, ENCAPSULATIONS[name][1]) for frame in filled])

    return make


def ipv6(path: Path, count: int) -> Made:
    filled = bench_story.filled(bench_story.story(), BYTES)
    return clients(path, count, [bench_story.over_ipv6(frame) for frame in filled])


def rough(path: Path, count: int) -> Made:
    """The story in frames as an interface puts them together, over a bad network, among other traffic. Each client
    meets three back ends of its own, all at one address.
    """
    dice = random.Random(3)
    calm = list(bench_story.filled(bench_story.story(), BYTES, lambda: dice.randint(1, 40)))

    def one(number: int, start: int) -> Iterator[Timed]:
        own = random.Random(number)
        replay = Replay(address(number), VIP, own.getrandbits(256), leaf=number)
        frames = [*bench_story.battered(calm, own), *bench_story.foreign(calm[-1].ns, own)]
        frames.sort(key=lambda frame: frame.ns)
        return replayed(frames, replay, start)

    replays = (one(number, start) for number, start in enumerate(starts(count, calm[-1].ns)))
    return Made(write(path, in_order(replays)), bench_story.ABORTS * count)


def servers(path: Path, count: int) -> Made:
    """One client, and as many servers, each with a name of its own."""
    dice = random.Random(4)
    frames = bench_story.one_handshake()
    replays = (
        replayed(
            frames,
            Replay(address(0), address(number, 100), dice.getrandbits(256), name=number),
            number * 10**9 // HANDSHAKES_PER_SECOND,
        )
        for number in range(count)
    )
    return Made(write(path, in_order(replays)), 0)


def leaves(path: Path, count: int) -> Made:
    """One service that shows as many certificates, each to two clients."""
    dice = random.Random(5)
    frames = bench_story.one_handshake()
    replays = (
        replayed(
            frames,
            Replay(address(number), VIP, dice.getrandbits(256), leaf=number % count),
            number * 10**9 // HANDSHAKES_PER_SECOND,
        )
        for number in range(2 * count)
    )
    return Made(write(path, in_order(replays)), 0)


def scan(path: Path, count: int) -> Made:
    """One sender that knocks at a thousand ports of each of many addresses, and gets no answer."""
    ports = 1000
    syn = bytes(12) + b"\x08\0" + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, address(0), bytes(4))
    syn += struct.pack(">HHIIBBHHH", 40_000, 0, 1, 0, 5 << 4, SYN, 1024, 0, 0)
    kind = np.dtype([("seconds", "<u4"), ("ns", "<u4"), ("lengths", "<u4", 2), ("frame", "u1", len(syn))])
    with path.open("wb") as file:
        file.write(header())
        for first in range(0, count, 1 << 18):
            numbers = np.arange(first, min(count, first + (1 << 18)), dtype=np.int64)
            block = np.zeros(len(numbers), kind)
            at = START_NS + numbers * 10_000
            block["seconds"], block["ns"], block["lengths"] = at // 10**9, at % 10**9, len(syn)
            block["frame"] = np.frombuffer(syn, np.uint8)
            hosts = ((100 << 24) + numbers // ports).astype(">u4")
            block["frame"][:, 30:34] = hosts.view(np.uint8).reshape(-1, 4)
            targets = (numbers % ports + 1).astype(">u2")
            block["frame"][:, 36:38] = targets.view(np.uint8).reshape(-1, 2)
            file.write(block.tobytes())
    return Made(count, 0)


SHAPES: dict[str, Shape] = {
    "handshakes": Shape("60 connections of a client, 33 KB of data in each", "clients", 334, handshakes),
    "bulk": Shape("the same with 2 MB in each", "clients", 4, bulk),
    "rough": Shape("coalesced, lost, resent and swapped segments, other traffic; 3 leaves each", "clients", 334, rough),
    "vxlan": Shape("handshakes, in VXLAN", "clients", 67, in_tunnels("VXLAN")),
    "gre": Shape("handshakes, in GRE and ERSPAN II", "clients", 67, in_tunnels("ERSPAN II")),
    "ipv6": Shape("handshakes, over IPv6", "clients", 67, ipv6),
    "scan": Shape("one SYN each, without an answer", "targets", 2_000_000, scan),
    "servers": Shape("an address and a name for each handshake", "servers", 100_000, servers),
    "leaves": Shape("a leaf certificate, shown twice by one service", "leaves", 10_000, leaves),
}
