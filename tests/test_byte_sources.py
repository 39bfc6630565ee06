"""Buffers over byte streams: whole files, pipes that are written while they are read, and streams that fail."""

from __future__ import annotations

import io

import numpy as np
import pytest

from inspector.capture import blocks
from inspector.capture.blocks import BURST_BYTES, ByteSource, LiveSource
from inspector.capture.compression import Prefixed
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.capture.pcap import Records, read_pcap
from inspector.capture.pcapng import read_pcapng
from inspector.capture.stamps import MS, STEPS, Stamps
from inspector.capture.writer import STATISTICS, PcapngWriter
from tests.build import Pool, capture, certificate, numbered
from tests.test_capture_files import block, interface, packet, section


class Scripted:
    """A stream that gives what it is told: bytes, None for nothing at the moment, or an error."""

    def __init__(self, *steps: bytes | OSError | None) -> None:
        self._steps = iter(steps)

    def readinto(self, buffer: memoryview, /) -> int | None:
        step = next(self._steps, b"")
        if isinstance(step, OSError):
            raise step
        if step is None:
            return None
        buffer[: len(step)] = step
        return len(step)


class Waiting(io.RawIOBase):
    """A pipe that holds some bytes, and then nothing for now."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        piece = next(self._pieces)  # StopIteration: whoever reads on would wait
        buffer[: len(piece)] = piece
        return len(piece)


FAILED = OSError(5, "Input/output error")


def held(source: ByteSource) -> bytes:
    buffer, end = source.view()
    return bytes(buffer[:end])


def test_what_came_before_a_failure_is_kept() -> None:
    source = ByteSource(Scripted(b"some", b"thing", FAILED, b"more"))
    assert held(source) == b"something"
    assert not source.advance(4)
    assert held(source) == b"thing"
    assert "Input/output error" in str(source.problem)
    assert source.total == 9


def test_as_if_the_stream_ended() -> None:
    source = ByteSource(Scripted(b"some", b"thing", b"more"), most=5)
    assert held(source) == b"something"
    assert not source.advance(9)


def live(*steps: bytes | OSError | None, size: int = 1 << 20) -> tuple[LiveSource, list[float]]:
    pauses: list[float] = []
    return LiveSource(Scripted(*steps), pauses.append, size), pauses


def test_a_pipe_gives_what_is_there() -> None:
    source, pauses = live(b"some", None, b"thing")
    assert held(source) == b""
    assert [source.advance(0), held(source)] == [True, b"some"]
    assert [source.advance(4), held(source)] == [True, b""]
    assert [source.advance(0), held(source)] == [True, b"thing"]
    assert not source.advance(5)
    assert not source.advance(0)
    assert pauses == []


def test_a_burst_is_read_as_a_whole() -> None:
    burst = b"x" * BURST_BYTES
    source, pauses = live(burst, burst, b"y", b"z")
    assert source.advance(0)
    assert held(source) == burst + burst + b"y"
    assert pauses == [blocks.BURST_SECONDS] * 2
    full, pauses = live(burst, burst, size=BURST_BYTES)
    assert full.advance(0)
    assert held(full) == burst
    assert len(pauses) == 1


def test_a_pipe_that_fails_ends() -> None:
    source, _ = live(b"some", FAILED)
    assert source.advance(0)
    assert not source.advance(0)
    assert held(source) == b"some"
    assert "Input/output error" in str(source.problem)


def test_a_live_capture_gives_batches_of_nothing() -> None:
    """So that whoever reads it comes to do other things."""
    pool = Pool()
    pool.full(certificate("a"), numbered(1))
    data = capture(pool.flows)
    source, _ = live(data[:24], None, data[24:], None)
    while source.left < 24:
        source.advance(0)
    info = CaptureInfo("pipe")
    sizes = [len(batch) for batch in read_pcap(source, info)]
    assert sum(sizes) == info.packets == len(pool.segments())
    assert 0 in sizes


def test_a_frame_without_a_time_has_that_of_the_frame_before() -> None:
    simple = block(3, (4).to_bytes(4, "little") + b"abcd")
    data = section() + interface() + simple + packet(7_000_000, b"x" * 8) + simple + simple
    info = CaptureInfo("x")
    [batch] = read_pcapng(ByteSource(io.BytesIO(data)), info)
    assert batch.time_ns.tolist() == [0, *[7_000_000_000] * 3]


@pytest.mark.parametrize("header", [b"", b"\xd4\xc3\xb2\xa1", b"x" * 24])
def test_what_is_no_header_of_a_stream(header: bytes) -> None:
    with pytest.raises(ValueError):
        Records(header)


def batch_of(stamps: list[int], first: int = 1, kind: int = 1, of: int = 0) -> FrameBatch:
    nothing = np.zeros(len(stamps), np.int64)
    number = np.arange(first, first + len(stamps), dtype=np.int64)
    kinds = np.full(len(stamps), kind, np.int64)
    return FrameBatch(np.zeros(256, np.uint8), np.array(stamps, np.int64), nothing, nothing, nothing, kinds, number, of)


def test_batches_of_nothing_change_nothing() -> None:
    info = CaptureInfo("x")
    stamps = Stamps(info)
    info.count(batch_of([]))
    stamps.put_right(batch_of([]))
    assert (info.packets, info.first_ns, info.is_restamped) == (0, None, False)


def test_steps_of_a_clock_are_bounded() -> None:
    """They are put right all the same."""
    info = CaptureInfo("x")
    stamps = Stamps(info)
    latest = 0
    for step in range(STEPS + 5):
        batch = batch_of([1_700_000_000_000_000_123 - step * 9000 * MS + n * 7 * MS for n in range(40)], 1 + 40 * step)
        stamps.put_right(batch)
        assert batch.time_ns[0] >= latest
        latest = int(batch.time_ns[-1])
    assert len(info.steps) == STEPS


def test_statistics_are_of_the_interfaces_of_their_capture() -> None:
    out = io.BytesIO()
    writer = PcapngWriter(out)
    for kind, of in ((1, 0), (101, 0), (1, 1)):
        writer.write(batch_of([5], kind=kind, of=of))
    before = len(out.getvalue())
    writer.statistics(0, 9, received=70, dropped=3)
    data = out.getvalue()[before:]
    found = []
    while data:
        kind, length = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
        found.append((kind, int.from_bytes(data[8:12], "little")))
        data = data[length:]
    assert found == [(STATISTICS, 0), (STATISTICS, 1)]
    info = CaptureInfo("x")
    for _ in read_pcapng(ByteSource(io.BytesIO(out.getvalue())), info):
        pass
    assert (info.packets, info.drops) == (3, 3)


def test_what_is_in_a_pipe_is_given_at_once() -> None:
    """Between two reads signals are heard."""
    pipe = Prefixed(io.BufferedReader(Waiting(b"abcd", b"efgh")))
    buffer = bytearray(1 << 20)
    assert pipe.peek() == b"abcd"
    assert [bytes(buffer[: pipe.readinto(memoryview(buffer))]) for _ in range(2)] == [b"abcd", b"efgh"]
