"""Sections, interfaces, options and blocks of a pcapng by the hundred thousand, and an abort behind them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.attacks.attack import Given, abort_flows, packed, table
from tests.build import ethernet, ordered
from tests.hostile import FRAME, NANOSECONDS, SECTIONS, STAMP
from tests.test_capture_files import block, interface, option, packet, section

Blocks = Callable[[int], bytes]


def abort_section() -> bytes:
    """The abort in a section of its own."""
    frames = ordered(abort_flows())
    return section() + interface() + b"".join(packet(s.ns // 1_000, ethernet(s)) for s in frames)


def behind(body: bytes) -> bytes:
    """Something between a section's interface and its frame."""
    return section() + interface() + body + packet(STAMP, FRAME)


MORE: dict[str, Blocks] = {
    "name resolutions, each of other names": lambda n: behind(
        b"".join(block(4, struct.pack("<HHI", 1, 8, i) + b"abc\0" + bytes(4)) for i in range(n))
    ),
    "one name resolution of many names": lambda n: behind(
        block(4, b"".join(struct.pack("<HHI", 1, 8, i) + b"abc\0" for i in range(n)) + bytes(4))
    ),
    "custom blocks": lambda n: behind(block(0x0BAD, struct.pack("<I", 32473) + b"data") * n),
    "custom blocks that may not be copied": lambda n: behind(
        block(0x40000BAD, struct.pack("<I", 32473) + bytes(100)) * n
    ),
    "comments of a frame": lambda n: section()
    + interface()
    + block(6, struct.pack("<IIIII", 0, *divmod(STAMP, 1 << 32), len(FRAME), len(FRAME)) + FRAME
            + bytes(-len(FRAME) % 4) + option(1, b"comment!") * min(n, 100_000)),
    "comments of a section": lambda n: block(
        0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(1, b"comment!") * n
    )
    + interface()
    + packet(STAMP, FRAME),
    "options of an interface": lambda n: section() + interface(1, option(2, b"eth0") * n + NANOSECONDS)
    + packet(STAMP, FRAME),
    "blocks of twelve bytes": lambda n: behind(block(0x7FFFFFFF, b"") * n),
    "a block of 10 bytes for each": lambda n: behind(block(11, bytes(n * 10 // 4 * 4))),
    "systemd journal entries": lambda n: behind(block(9, b"MESSAGE=x\n\0\0") * n),
    "frames of no bytes": lambda n: section() + interface() + packet(STAMP, b"") * n,
    "frames of no bytes, in sections": lambda n: (section() + interface() + packet(STAMP, b"")) * n,
}  # fmt: skip


def plain(make: Blocks, count: int) -> Given:
    return Given(make(count) + abort_section(), ".pcapng")


def tight(make: Blocks, count: int) -> Given:
    return packed(make(count) + abort_section(), ".pcapng")


COMPRESSED = {f"{name}, compressed": SECTIONS[name] for name in ("sections of a frame", "empty sections", "interfaces")}
ATTACKS = (
    *table("sections", {**SECTIONS, **MORE}, plain, 300, 100_000),
    *table("sections", COMPRESSED, tight, 300, 200_000),
)
