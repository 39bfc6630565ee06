"""Captures that are read ahead: the same frames, the same damage, whatever the stream gives at once."""

from __future__ import annotations

import gzip
import io
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inspector.capture import blocks
from inspector.capture.blocks import ByteSource, Damaged, Readable
from inspector.capture.files import CaptureFile
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.capture.pcap import read_pcap
from inspector.capture.read_ahead import ROOM_BYTES, ReadAheadSource


class Dripping:
    """A stream that gives as much as it likes at once, and may break."""

    def __init__(self, content: bytes, seed: int, breaks_at: int | None = None) -> None:
        self._stream = io.BytesIO(content if breaks_at is None else content[:breaks_at])
        self._dice = random.Random(seed)
        self._breaks = breaks_at is not None

    def readinto(self, buffer: memoryview, /) -> int:
        with buffer[: self._dice.choice((1, 7, 300, 5_000, 1 << 20))] as part:
            got = self._stream.readinto(part)
        if not got and self._breaks:
            raise Damaged("it broke")
        return got

    def close(self) -> None:
        self._stream.close()


def capture(sizes: list[int]) -> bytes:
    dice = random.Random(len(sizes))
    records = (struct.pack("<IIII", n, n, size, size) + dice.randbytes(size) for n, size in enumerate(sizes))
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 22, 1) + b"".join(records)


def frames(source: ByteSource, info: CaptureInfo) -> Iterator[tuple[int, int, bytes]]:
    for batch in read_pcap(source, info):
        yield from frames_of(batch)


def frames_of(batch: FrameBatch) -> Iterator[tuple[int, int, bytes]]:
    for number, ns, at, size in zip(
        *(column.tolist() for column in (batch.number, batch.time_ns, batch.offset, batch.captured)), strict=True
    ):
        yield number, ns, batch.data[at : at + size].tobytes()


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.sampled_from((0, 1, 60, 1_500, 9_000, 70_000, ROOM_BYTES + 9)), max_size=40),
    room=st.sampled_from((64, 2_000, 60_000)),
    seed=st.integers(0, 1 << 20),
    cut=st.none() | st.floats(0, 1),
    breaks=st.booleans(),
)
def test_what_is_read_ahead_is_what_is_read(
    sizes: list[int], room: int, seed: int, cut: float | None, breaks: bool
) -> None:
    content = capture(sizes)
    end = None if cut is None else max(24, int(len(content) * cut))
    content, broken = (content, end) if breaks or end is None else (content[:end], None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ByteSource.__init__, "__defaults__", (room,))
        results = []
        for kind in (ByteSource, ReadAheadSource):
            info = CaptureInfo("built")
            stream: Readable = Dripping(content, seed, broken)
            source = kind(stream)
            got = list(frames(source, info))
            results.append((got, source.total, source.left, source.problem, info))
    assert results[0] == results[1]


def test_progress_adds_up_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes of the file, also where it is compressed."""
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (4_096,))
    for name, content in (("a.pcap", capture([1_500] * 90)), ("b.pcap.gz", gzip.compress(capture([1_500] * 90)))):
        path = tmp_path / name
        path.write_bytes(content)
        reported: list[int] = []
        assert sum(len(batch) for batch in CaptureFile(str(path)).batches(reported.append)) == 90
        assert sum(reported) == len(content)


def test_who_has_enough_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is raised by whoever watches the progress ends the reading where the frames are taken."""
    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (4_096,))
    path = tmp_path / "a.pcap"
    path.write_bytes(capture([1_500] * 90))

    class Stopped(Exception):
        pass

    def stop(count: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        list(CaptureFile(str(path)).batches(stop))


def test_a_batch_holds_until_the_next_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ByteSource.__init__, "__defaults__", (3_000,))
    content = capture([700] * 200)
    expected = list(frames(ByteSource(io.BytesIO(content)), CaptureInfo("built")))
    found: list[tuple[int, int, bytes]] = []
    for batch in read_pcap(ReadAheadSource(io.BytesIO(content)), CaptureInfo("built")):
        before = np.array(batch.data[: int(batch.offset[-1] + batch.captured[-1])])
        for _ in range(20_000):
            pass  # long enough for a thread to write where it should not
        assert (batch.data[: len(before)] == before).all()
        found += frames_of(batch)
    assert found == expected
