"""Tunnels opened in columns against tunnels that are walked: the same segments, the same losses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inspector.capture.frames import FrameBatch, packed
from inspector.capture.link_types import LinkType
from inspector.wire.addresses import AddressTable
from inspector.wire.encapsulations import Packet
from inspector.wire.segments import SegmentDecoder
from inspector.wire.tunnels import Tunnels
from tests.encapsulations import ENCAPSULATIONS, Wrap, ethernet, ipv6, over_udp, tagged, udp, vxlan
from tests.test_encapsulations import plain

IN_COLUMNS = [
    "IP in IP",
    "6in6",
    "GRE",
    "GRE with checksum, key and number",
    "GRE with Ethernet",
    "ERSPAN I",
    "ERSPAN II",
    "ERSPAN III",
    "NVGRE",
    "VXLAN",
    "VXLAN of Linux",
    "Geneve",
]
Read = tuple[list[tuple[object, ...]], Counter[object]]


def batch_of(frames: Sequence[bytes], missing: Sequence[int], link_type: int) -> FrameBatch:
    data, offset, captured = packed(frames)
    count = len(frames)
    return FrameBatch(
        data=data,
        time_ns=np.arange(count, dtype=np.int64),
        offset=offset,
        captured=captured,
        original=captured + np.array(missing, np.int64),
        link_type=np.full(count, link_type, np.int64),
        number=np.arange(1, count + 1, dtype=np.int64),
    )


def read(batch: FrameBatch, depth: int) -> Read:
    """Segments, without the numbers that addresses have, and losses."""
    decoder = SegmentDecoder(depth)
    segments = decoder.decode(batch)
    end = decoder.addresses.endpoint
    columns = (
        getattr(segments, name).tolist()
        for name in ("number", "source", "target", "seq", "ack", "flags", "start", "captured", "length")
    )
    return [
        (number, end(source), end(target), seq, ack, flags, length, segments.data[start : start + captured].tobytes())
        for number, source, target, seq, ack, flags, start, captured, length in zip(*columns, strict=True)
    ], Counter(segments.stops)


def same(frames: Sequence[bytes], link_type: int, missing: Sequence[int] | None = None) -> Read:
    batch = batch_of(frames, missing or [0] * len(frames), link_type)
    by_columns, walked = read(batch, 3), read(batch, 0)
    assert by_columns == walked
    return by_columns


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_whole_frames(name: str, version: int) -> None:
    link_type, wrap = ENCAPSULATIONS[name]
    frames = [wrap(frame) for _, frame in plain(version)]
    segments, _ = same(frames, link_type)
    assert len(segments) == len(frames)


@pytest.mark.parametrize("name", IN_COLUMNS)
def test_common_tunnels_are_not_walked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(self: Tunnels, packet: Packet) -> None:
        raise AssertionError(packet.layer)

    monkeypatch.setattr(Tunnels, "_walk", walk)
    link_type, wrap = ENCAPSULATIONS[name]
    frames = [wrap(frame) for _, frame in plain()]
    assert len(read(batch_of(frames, [0] * len(frames), link_type), 3)[0]) == len(frames)


NESTED: dict[str, Wrap] = {
    "VXLAN in VXLAN": lambda f: over_udp(4789, vxlan)(over_udp(4789, vxlan)(f)),
    "VXLAN in VXLAN in VXLAN in VXLAN": lambda f: _times(4, f),
    "VXLAN behind a tag": lambda f: tagged(0x8100, b"\0\x07")(over_udp(4789, vxlan)(f)),
    "VXLAN with a tag inside": over_udp(4789, lambda f: vxlan(tagged(0x8100, b"\0\x07")(f))),
    "VXLAN with five tags inside": over_udp(4789, lambda f: vxlan(_tags(5, f))),
    "VXLAN in IPv6": lambda f: ethernet(0x86DD, ipv6(17, udp(4789, vxlan(f)))),
    "VXLAN with what is no frame": over_udp(4789, lambda f: vxlan(f[3:])),
    "VXLAN with trailing bytes": over_udp(4789, lambda f: vxlan(f + bytes(65))),
    "VXLAN with fewer trailing bytes": over_udp(4789, lambda f: vxlan(f + bytes(64))),
    "VXLAN to a port that a client has": over_udp(50_000, vxlan, 4789),
    "Geneve with options": over_udp(6081, lambda f: b"\x02\0\x65\x58\0\0\7\0" + bytes(8) + f),
    "Geneve with IP": over_udp(6081, lambda f: b"\0\0" + f[12:14] + b"\0\0\7\0" + f[14:]),
    "Geneve that controls": over_udp(6081, lambda f: b"\0\x80\x65\x58\0\0\7\0" + f),
    "a datagram that is shorter than its packet": lambda f: _shortened(over_udp(4789, vxlan)(f)),
}


def _times(count: int, frame: bytes) -> bytes:
    for _ in range(count):
        frame = over_udp(4789, vxlan)(frame)
    return frame


def _tags(count: int, frame: bytes) -> bytes:
    for _ in range(count):
        frame = tagged(0x8100, b"\0\x07")(frame)
    return frame


def _shortened(frame: bytes) -> bytes:
    """UDP says four bytes less than IP."""
    length = int.from_bytes(frame[38:40], "big") - 4
    return frame[:38] + length.to_bytes(2, "big") + frame[40:]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", NESTED)
def test_nested_and_odd_ones(name: str, version: int) -> None:
    same([NESTED[name](frame) for _, frame in plain(version)], 1)


@pytest.mark.parametrize("name", [*IN_COLUMNS, *NESTED])
@pytest.mark.parametrize("seed", range(3))
def test_cut_and_flipped(name: str, seed: int) -> None:
    """Frames cut anywhere, as snap lengths cut and as if that were all, with bytes of their headers changed."""
    dice = random.Random(seed * 1_000 + len(name))
    wrap = ENCAPSULATIONS[name][1] if name in ENCAPSULATIONS else NESTED[name]
    originals = [wrap(frame) for version in (4, 6) for _, frame in plain(version)]
    frames: list[bytes] = []
    missing: list[int] = []
    for _ in range(1_500):
        frame = bytearray(dice.choice(originals))
        for _ in range(dice.randrange(3)):
            frame[dice.randrange(12, min(len(frame), 130))] = dice.choice((0, 1, 4, 8, 0x45, 0xFF, dice.randrange(256)))
        length = dice.choice((len(frame), len(frame), dice.randrange(1, min(len(frame), 160) + 1)))
        frames.append(bytes(frame[:length]))
        missing.append(dice.choice((0, len(frame) - length)))
    same(frames, int(LinkType.ETHERNET), missing)


def test_addresses_have_the_numbers_of_their_first_appearance() -> None:
    dice = random.Random(1)
    known = [dice.randbytes(16) for _ in range(40)]
    shared = [known[0][:8] + dice.randbytes(8), dice.randbytes(8) + known[0][8:]]
    table, one_by_one = AddressTable(), AddressTable()
    for _ in range(5):
        addresses = [dice.choice(known + shared) for _ in range(300)]
        rows = np.frombuffer(b"".join(addresses), np.uint8).reshape(-1, 16)
        assert table.numbers(rows).tolist() == [one_by_one.number(address) for address in addresses]
    assert len(table.numbers(np.zeros((0, 16), np.uint8))) == 0


def test_analyses_are_the_same(tmp_path: Path) -> None:
    """A flow of which some segments come in a tunnel and others as they are is one flow."""
    frames = [frame for _, frame in plain()]
    mixed = [over_udp(4789, vxlan)(frame) if n % 2 else frame for n, frame in enumerate(frames)]
    segments, stops = same(mixed, 1)
    assert [row[1:] for row in segments] == [row[1:] for row in same(frames, 1)[0]]
    assert not stops
