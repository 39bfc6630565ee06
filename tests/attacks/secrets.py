"""Decryption secrets: blocks in captures, and key logs beside them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from tests.attacks.attack import Beside, Given, frames_of_an_abort, packed, table
from tests.attacks.sections import abort_section
from tests.build import pcap
from tests.hostile import FRAME, SECRETS, STAMP, master_line, secrets_block
from tests.test_capture_files import interface, packet, section

Lines = Callable[[int], bytes]
"""So many thousand bytes."""

BLOCK_BYTES = 100_000
UNIT_BYTES = 1_000
"""What a piece of an attack stands for."""


def in_blocks(lines: bytes, size: int = BLOCK_BYTES, kind: int | None = None) -> bytes:
    """A capture with secrets in blocks, and an abort behind."""
    pieces = (lines[at : at + size] for at in range(0, len(lines), size))
    blocks = (secrets_block(piece) if kind is None else secrets_block(piece, kind) for piece in pieces)
    return section() + interface() + b"".join(blocks) + packet(STAMP, FRAME) + abort_section()


def sized(kind: str, count: int) -> bytes:
    return SECRETS[kind](count * UNIT_BYTES)


def whole(kind: str, count: int) -> bytes:
    return in_blocks(sized(kind, count))


def lies(count: int) -> bytes:
    """Blocks that say that they are longer than they are."""
    one = secrets_block(b"#" * 100, claimed=1 << 31)
    return section() + interface() + one * (count * 8) + packet(STAMP, FRAME) + abort_section()


def between_frames(count: int) -> bytes:
    one = secrets_block(SECRETS["different secrets"](1_000)) + packet(STAMP, FRAME)
    return section() + interface() + one * count + abort_section()


def plain(make: Lines, count: int) -> Given:
    return Given(make(count), ".pcapng")


def tight(make: Lines, count: int) -> Given:
    return packed(make(count), ".pcapng")


BLOCKS: dict[str, Lines] = {
    **{kind: partial(whole, kind) for kind in SECRETS},
    "each in a block of its own": lambda count: in_blocks(sized("different secrets", count), 176),
    "one block": lambda count: in_blocks(sized("different secrets", count), 1 << 30),
    "of WireGuard": lambda count: in_blocks(bytes(count * UNIT_BYTES), kind=0x57474B4C),
    "of no known kind": lambda count: in_blocks(bytes(count * UNIT_BYTES), kind=0x12345678),
    "longer than they are": lies,
    "between frames": between_frames,
}
COMPRESSED: dict[str, Lines] = {
    f"{kind}, compressed": partial(whole, kind)
    for kind in ("the same secret", "one comment", "empty lines", "different secrets")
}


def label_line(label: bytes, number: int, secret: int = 48) -> bytes:
    return label + b" %064x " % number + b"ab" * secret + b"\n"


def lines_of(make: Lines, size: int) -> Lines:
    return lambda count: b"".join(make(number) for number in range(count * UNIT_BYTES // size))


KEY_LOGS: dict[str, Lines] = {
    **{kind: partial(sized, kind) for kind in SECRETS},
    "of TLS 1.3": lines_of(lambda n: label_line(b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", n, 32), 162),
    "one label more than there is": lines_of(lambda n: label_line(b"CLIENT_TRAFFIC_SECRET_%d" % n, 1, 32), 160),
    "random bytes": lambda count: struct.pack(">I", 0x9E3779B9) * (count * UNIT_BYTES // 4),
    "NUL": lambda count: bytes(count * UNIT_BYTES),
    "a line that is repeated with another secret": lines_of(lambda n: b"CLIENT_RANDOM %064x %096x\n" % (7, n), 176),
    "a huge line between good ones": lambda count: (
        master_line(1) + b"A" * (count * UNIT_BYTES) + b"\n" + master_line(2)
    ),
    "UTF-16": lambda count: b"\xff\xfe" + "CLIENT_RANDOM 00 00\n".encode("utf-16-le") * (count * UNIT_BYTES // 40),
    "lines of labels that are long": lines_of(lambda n: b"L" * 900 + b"%08d 00 00\n" % n, 915),
}


def key_log(make: Lines, count: int) -> Given:
    """An abort, and a key log."""
    return Given(pcap([]) + frames_of_an_abort(), beside=(Beside("--keylog", "keys.log", make(count)),))


ATTACKS = (
    *table("secrets", BLOCKS, plain, 50, 50_000),
    *table("secrets", COMPRESSED, tight, 50, 50_000),
    *table("key logs", KEY_LOGS, key_log, 50, 30_000),
)
