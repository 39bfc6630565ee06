"""Compressed captures: a few bytes that stand for many, members without an end, and compression that is broken."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import zlib
from collections.abc import Callable

import zstandard

from tests.attacks.attack import Attack, Given, frames_of_an_abort
from tests.build import START_NS, pcap
from tests.hostile import FRAME

MB = 1_000_000
Pack = Callable[[bytes], bytes]
PACKS: dict[str, tuple[Pack, str]] = {
    "gzip": (lambda data: gzip.compress(data, 9), ".gz"),
    "zstd": (lambda data: zstandard.ZstdCompressor(level=3).compress(data), ".zst"),
    "bzip2": (lambda data: bz2.compress(data, 1), ".bz2"),
    "xz": (lambda data: lzma.compress(data, preset=0), ".xz"),
}
STAMPED = struct.pack("<II", START_NS // 10**9, 0)


def with_frames(body: bytes) -> bytes:
    """Records of a capture, with an abort before them."""
    return pcap([]) + frames_of_an_abort() + body


def whole_frames(size: int) -> bytes:
    """A million bytes a frame, of which nothing is TCP."""
    one = STAMPED + struct.pack("<II", 200_000, 200_000) + bytes(200_000)
    return with_frames(one * max(size // len(one), 1))


def small_frames(size: int) -> bytes:
    one = STAMPED + struct.pack("<II", len(FRAME), len(FRAME)) + FRAME
    return with_frames(one * max(size // len(one), 1))


def no_frames(size: int) -> bytes:
    """Frames of no bytes."""
    return with_frames((STAMPED + struct.pack("<II", 0, 1_500)) * max(size // 16, 1))


def zeros(size: int) -> bytes:
    """Bytes that are no frames; but for their lengths, which are 0."""
    return with_frames(bytes(size))


def packed_by(name: str, make: Callable[[int], bytes], *, members: int = 1) -> Callable[[int], Given]:
    pack, suffix = PACKS[name]

    def given(size: int) -> Given:
        data = make(size)
        step = -(-len(data) // members)
        packed = b"".join(pack(data[at : at + step]) for at in range(0, len(data), step))
        return Given(packed, f".pcap{suffix}", unpacked=len(data))

    return given


def in_members(name: str) -> Callable[[int], Given]:
    """Members of no bytes before one of the capture, so many as make up the size."""
    pack, suffix = PACKS[name]

    def given(size: int) -> Given:
        empty = pack(b"")
        data = with_frames(b"")
        packed = pack(data) + empty * (size // len(empty))
        return Given(packed, f".pcap{suffix}", unpacked=len(packed))

    return given


def broken(name: str, *, at: float = 1.0, behind: bytes = b"") -> Callable[[int], Given]:
    """Cut at a share of it, with something behind."""
    pack, suffix = PACKS[name]

    def given(size: int) -> Given:
        noise = random.Random(1).randbytes(MB)
        data = with_frames(STAMPED + struct.pack("<II", len(noise), len(noise)) + noise)
        whole = pack(data)
        return Given(whole[: int(len(whole) * at)] + behind, f".pcap{suffix}", unpacked=len(data))

    return given


def twice(outer: str, inner: str) -> Callable[[int], Given]:
    """Compressed by the one and then by the other: what is unpacked is no capture."""

    def given(size: int) -> Given:
        once = packed_by(inner, zeros)(size)
        return Given(PACKS[outer][0](once.data), f".pcap{PACKS[outer][1]}", unpacked=once.size)

    return given


def wide_window(size: int) -> Given:
    """zstd with a window of 2 GB."""
    data = whole_frames(size)
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=31 - 4)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    return Given(packed, ".pcap.zst", unpacked=len(data))


def endless_window(size: int) -> Given:
    """zstd that asks for a window of 3.75 TB (RFC 8878, section 3.1.1.1.2)."""
    data = with_frames(b"")
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return Given(b"\x28\xb5\x2f\xfd\x00\xff" + block + data, ".pcap.zst", unpacked=len(data))


def large_dictionary(size: int) -> Given:
    """xz that asks for a dictionary of 4 GB: more than is granted (The .xz File Format, section 5.3.1)."""
    data = with_frames(bytes(min(size, MB)))
    packed = bytearray(lzma.compress(data, preset=0))
    length = (packed[12] + 1) * 4
    packed[packed.index(b"\x21\x01", 12) + 2] = 40
    packed[12 + length - 4 : 12 + length] = zlib.crc32(packed[12 : 12 + length - 4]).to_bytes(4, "little")
    return Given(bytes(packed), ".pcap.xz", unpacked=len(data))


def attack(name: str, make: Callable[[int], Given], many: int = 200 * MB, aborts: int = 1) -> Attack:
    return Attack("bombs", name, make, 50_000, many, aborts)


ATTACKS = (
    *(attack(f"{name}, large frames", packed_by(name, whole_frames)) for name in PACKS),
    *(attack(f"{name}, small frames", packed_by(name, small_frames), 30 * MB) for name in PACKS),
    *(attack(f"{name}, frames of no bytes", packed_by(name, no_frames), 20 * MB) for name in PACKS),
    *(attack(f"{name}, zeros", packed_by(name, zeros)) for name in PACKS),
    *(attack(f"{name}, members of no bytes", in_members(name), 2 * MB) for name in PACKS),
    *(
        attack(f"{name}, in a thousand members", packed_by(name, whole_frames, members=1_000), 50 * MB)
        for name in PACKS
    ),
    *(attack(f"{name}, cut", broken(name, at=0.9)) for name in PACKS),
    *(attack(f"{name}, garbage behind", broken(name, behind=b"\x55" * 5_000)) for name in PACKS),
    attack("zstd, a wide window", wide_window),
    attack("zstd, a window of terabytes", endless_window, aborts=0),
    attack("xz, a dictionary of 4 GB", large_dictionary, aborts=0),
    attack("gzip in zstd", twice("zstd", "gzip"), aborts=0),
    attack("zstd in gzip", twice("gzip", "zstd"), aborts=0),
)
