"""Targets of ``capture/`` and ``wire/``: files, frames, tunnels, segments."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator

import numpy as np

from inspector.capture.blocks import ByteSource, Damaged
from inspector.capture.compression import Prefixed, inflate
from inspector.capture.foreign import foreign
from inspector.capture.frames import CaptureInfo, FrameBatch, packed
from inspector.capture.pcap import HEADER_BYTES, MAGIC, read_pcap
from inspector.capture.pcapng import read_pcapng
from inspector.capture.stamps import Stamps
from inspector.capture.writer import PcapngWriter
from inspector.errors.internal import Border
from inspector.wire.segments import SegmentDecoder
from tests.build import ACK, DATA, FIN, RST, SYN, Flow, Segment, client_hello, ethernet, numbered, record, server_hello
from tests.encapsulations import ENCAPSULATIONS
from tests.fuzz.forms import PACKERS, block, interface, pcap as written, pcapng as written_sections, section
from tests.mutations import Frame
from tests.test_regular import told
from tests.test_tunnel_columns import read as segments_of

SMALL, LARGE = 300, 1 << 20
"""Buffers that a file is read with."""

CAPTURED = 1 << 16
MS = 1_000_000


def _batches(data: bytes, size: int, reader: Callable[[ByteSource, CaptureInfo], Iterator[FrameBatch]]) -> object:
    """All frames, and what is said of the file, with buffers of a size."""
    info = CaptureInfo("x")
    stamps = Stamps(info)
    frames: list[tuple[int, int, int, bytes]] = []
    out = PcapngWriter(io.BytesIO())
    for batch in reader(ByteSource(io.BytesIO(data), size=size), info):
        assert (batch.captured >= 0).all()
        assert (batch.offset + batch.captured <= len(batch.data)).all()
        frames += [
            (number, original, link_type, batch.data[at : at + kept].tobytes())
            for number, original, link_type, at, kept in zip(
                *(c.tolist() for c in (batch.number, batch.original, batch.link_type, batch.offset, batch.captured)),
                strict=True,
            )
        ]
        stamps.put_right(batch)
        out.write(batch)
    return frames, info.packets, info.truncated, str(info.damage)


def pcap(data: bytes) -> None:
    """A header is made up where there is none. Small buffers and large ones: the same."""
    if data[:4] not in MAGIC or len(data) < HEADER_BYTES:
        data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1) + data
    assert _batches(data, SMALL, read_pcap) == _batches(data, LARGE, read_pcap)


def pcapng(data: bytes) -> None:
    """A section is begun where none is. Small buffers and large ones: the same."""
    if data[:4] != b"\x0a\x0d\x0d\x0a" or len(data) < 12:
        data = section("<") + interface(1, "<") + data
    assert _batches(data, SMALL, read_pcapng) == _batches(data, LARGE, read_pcapng)


def compressed(data: bytes) -> None:
    """What a stream holds, as far as it goes; what is no capture has a name or none."""
    foreign(data[:32], "x")
    try:
        stream = inflate(Prefixed(io.BytesIO(data)))
        piece = memoryview(bytearray(1 << 16))
        for _ in range(64):
            if not stream.readinto(piece):
                break
    except Damaged as error:
        assert str(error)


LINK_TYPES = tuple(dict.fromkeys(link_type for link_type, _ in ENCAPSULATIONS.values()))


def frames(data: bytes) -> None:
    """The first byte names the link type, the second how many bytes were cut; the others are a frame, whole, in two
    frames, and cut. Tunnels in columns and walked: the same segments, the same losses.
    """
    if len(data) < 3:
        return
    body = data[2:]
    pieces = [body, body[: len(body) // 2], body[len(body) // 2 :]]
    buffer, offset, captured = packed(pieces)
    batch = FrameBatch(
        data=buffer,
        time_ns=np.arange(3, dtype=np.int64),
        offset=offset,
        captured=captured,
        original=captured + np.array([0, data[1], 0], np.int64),
        link_type=np.full(3, LINK_TYPES[data[0] % len(LINK_TYPES)], np.int64),
        number=np.arange(1, 4, dtype=np.int64),
    )
    assert segments_of(batch, 3) == segments_of(batch, 0)
    decoder = SegmentDecoder()
    decoder.decode(batch)
    decoder.given_up()
    decoder.parted()
    decoder.waiting()


STREAMS = (
    record(22, client_hello(numbered(1), numbered(2), name="a.example")) + DATA + DATA,
    record(22, server_hello(numbered(3), numbered(2))) + record(21, b"\2\x2a") + DATA,
)
FLAGS = (ACK, ACK, ACK, SYN, SYN | ACK, FIN | ACK, RST, FIN)
STEP = 5


def segments(data: bytes) -> None:
    """Up to sixty segments of three flows, five bytes each: flow, side and flags; time; where in the stream, and how
    much of it. Flows in columns and segment by segment: the same facts.
    """
    flows = [Flow(40_000 + n, 1_700_000_000_000_000_000) for n in range(3)]
    ns = flows[0].ns
    listed: list[tuple[int, bytes, int]] = []
    for at in range(0, min(len(data) - STEP + 1, 60 * STEP), STEP):
        kind, wait, high, low, size = data[at : at + STEP]
        side = kind & 1
        flow, flags = flows[(kind >> 1) % 3], FLAGS[kind >> 5]
        ns += (wait & 63) ** 2 * MS - (MS if wait & 128 else 0)
        begin = high * 4 % (len(STREAMS[side]) + 1)
        body = b"" if flags & SYN else STREAMS[side][begin : begin + size * 2]
        if wait & 64:
            body = bytes(b ^ low for b in body)
        segment = Segment(ns, side == 0, flags, 0 if flags & SYN else 1 + begin, body, flow, low)
        frame = ethernet(segment)
        listed.append((ns, frame, CAPTURED if low < 200 else max(0, len(frame) - low % 90)))
    size = 700 if len(data) % 2 else LARGE
    assert told(listed, 1, size, len(data) % 3 == 0) == told(listed, 0, size, len(data) % 3 == 0)


def _recorded() -> list[Frame]:
    flow = Flow(40_000, 1_700_000_000_000_000_000).open().client_says(STREAMS[0][:90]).close()
    return [Frame(s.ns, data, len(data), 1) for s in flow.segments for data in (ethernet(s),)]


def _sections() -> Iterator[bytes]:
    dice = random.Random(1)
    for _ in range(4):
        yield written_sections(_recorded(), dice, lambda: b"X 00 00\n" if dice.random() < 0.3 else None)
    for order in "<>":
        start = section(order) + interface(1, order)
        yield start + block(3, struct.pack(order + "I", 60) + bytes(60), order)
        yield start + block(2, struct.pack(order + "HHIIII", 0, 3, 5, 6, 60, 60) + bytes(60), order)
        yield start + block(5, bytes(12) + struct.pack(order + "HHQHHQ", 4, 8, 9, 7, 8, 3), order)
        options = struct.pack(order + "HHB3xHHqHH", 9, 1, 0x9E, 14, 8, 3, 0, 0)
        yield section(order) + block(1, struct.pack(order + "HHI", 1, 0, 0) + options, order)


def _dialogue() -> Iterator[bytes]:
    def says(*rows: tuple[int, int, int, int, int]) -> bytes:
        return bytes(value for row in rows for value in row)

    opened = ((3 << 5, 1, 0, 0, 0), (4 << 5 | 1, 1, 0, 0, 0), (0, 1, 0, 0, 0))
    closed = ((5 << 5, 1, 255, 0, 0), (5 << 5 | 1, 1, 255, 0, 0))
    yield says(*opened, (0, 1, 0, 0, 250), (1, 1, 0, 0, 250), *closed)
    yield says(*opened, (0, 1, 0, 0, 40), (0, 1, 20, 0, 90), (1, 65, 0, 7, 250), (6 << 5, 1, 3, 0, 0))
    yield says((2, 1, 0, 0, 200), (3, 1, 0, 201, 200), (4, 130, 0, 250, 200))


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "pcap": lambda: (
        data
        for data in (
            written(_recorded()),
            struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 99, 1) + struct.pack(">IIII", 1, 2, 3, 9) + b"abc",
            struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 99, 1) + struct.pack("<IIIIIHBB", 1, 2, 3, 9, 0, 0, 0, 0),
        )
    ),
    "pcapng": _sections,
    "compressed": lambda: (pack(b"captured" * 30) for pack in PACKERS),
    "frames": lambda: (
        bytes((LINK_TYPES.index(link_type), 0)) + wrap(_recorded()[3].data)
        for link_type, wrap in ENCAPSULATIONS.values()
    ),
    "segments": _dialogue,
}


def prepare() -> None:
    """Mistakes of the program are loud."""
    Border.is_loud = True
