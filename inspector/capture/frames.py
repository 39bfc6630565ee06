"""The unit that crosses the border from capture to wire: a buffer of frames with numpy columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from inspector import bounds
from inspector.capture.probe_marks import ProbeMarks
from inspector.errors.captures import CaptureDamage

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.bool_]
"""Which rows of columns."""


def gather(data: U8, at: I64, width: int) -> U8:
    """``width`` bytes from each place, as rows. Items of that many bytes are copied whole: seven times as fast as byte
    by byte.
    """
    items = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
    return items[at].view(np.uint8).reshape(-1, width)


READABLE = 256
"""Bytes behind the last frame of a buffer that may be read."""


def packed(pieces: Sequence[bytes | memoryview]) -> tuple[U8, I64, I64]:
    """Frames put into a buffer of their own: it, where each begins, and how long each is."""
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    offsets = np.zeros(len(pieces), np.int64)
    np.cumsum(lengths[:-1], out=offsets[1:])
    return np.frombuffer(b"".join([*pieces, bytes(READABLE)]), np.uint8), offsets, lengths


class FrameBatch(Struct):
    """Some frames of one capture, in file order.

    ``data``: uint8, the bytes that hold them, with at least 128 readable bytes behind the last frame.
    ``time_ns``: int64, nanoseconds since the epoch. ``offset``: int64, where a frame's bytes begin in ``data``.
    ``captured``, ``original``: int64, bytes in the file and on the wire. ``link_type``: int64, LINKTYPE_ numbers.
    ``number``: int64, frame numbers from 1. ``capture``: index of the capture in the story.
    """

    data: U8
    time_ns: I64
    offset: I64
    captured: I64
    original: I64
    link_type: I64
    number: I64
    capture: int = 0

    def __len__(self) -> int:
        return len(self.time_ns)

    def select(self, rows: npt.NDArray[np.bool_] | I64 | slice) -> FrameBatch:
        """The same buffer with only some rows."""
        return FrameBatch(
            data=self.data,
            time_ns=self.time_ns[rows],
            offset=self.offset[rows],
            captured=self.captured[rows],
            original=self.original[rows],
            link_type=self.link_type[rows],
            number=self.number[rows],
            capture=self.capture,
        )

    def copied_from(self, row: int) -> FrameBatch:
        """The frames from a row on, in a buffer of their own. The batch is as it was read: its frames lie in it one
        behind the other.
        """
        rest = self.select(slice(row, None))
        begin, end = int(rest.offset[0]), int(rest.offset[-1] + rest.captured[-1])
        return FrameBatch(
            data=np.concatenate([self.data[begin:end], np.zeros(READABLE, np.uint8)]),
            time_ns=rest.time_ns.copy(),
            offset=rest.offset - begin,
            captured=rest.captured.copy(),
            original=rest.original.copy(),
            link_type=rest.link_type.copy(),
            number=rest.number.copy(),
            capture=self.capture,
        )

    def slices(self, count: int) -> Iterator[FrameBatch]:
        """The same buffer, so many rows at a time."""
        for start in range(0, len(self), count):
            yield self.select(slice(start, start + count))

    def link_types(self) -> list[int]:
        """Those that its frames have; mostly it is one."""
        column = self.link_type
        if len(column) and (column == column[0]).all():
            return [int(column[0])]
        return sorted(set(column.tolist()))


class CaptureInfo(Struct):
    """What is known of one capture as a whole; the reader fills it in while it reads."""

    path: str
    packets: int = 0
    passed: int = 0
    """Bytes of frames and the headers before them that were passed over; but for ``packets`` and ``bytes_read``, what
    is counted here is of the frames behind them.
    """
    bytes_read: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    link_types: set[int] = field(default_factory=set)
    truncated: bool = False
    damage: CaptureDamage | None = None
    drops: int | None = None
    drop_counts: list[tuple[int, int]] = field(default_factory=list)
    """Where a file says that more were dropped: how many packets stand before that, and how many were."""
    snapped: int = 0
    shortest: int = 0
    longest: int = 0
    """Of the frames of which not all bytes were kept, how many were."""
    secrets: list[bytes] = field(default_factory=list)
    """Bodies of Decryption Secrets Blocks that wait to be taken."""
    has_secrets: bool = False
    secret_bytes: int = 0
    """Of those that wait."""
    secrets_missed: int = 0
    """Blocks that came while too much waited."""
    tick_ns: int = 0
    """How coarse the stamps are; 0 where they are fine."""
    is_restamped: bool = False
    """Stamps were put right: how, depends on all frames before them."""
    probe: ProbeMarks = field(default_factory=ProbeMarks)
    """Whether a probe made it, and as what clients."""
    steps: list[tuple[int, int]] = field(default_factory=list)
    """Where the clock was set back: the first frame behind it, and by how much; times behind it are moved on by as
    much.
    """

    def count(self, batch: FrameBatch) -> None:
        """Add a batch to the totals."""
        if not len(batch):
            return
        self.packets += len(batch)
        first, last = int(batch.time_ns.min()), int(batch.time_ns.max())
        self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
        self.last_ns = last if self.last_ns is None else max(self.last_ns, last)
        self.link_types.update(batch.link_types())
        cut = batch.captured[batch.captured < batch.original]
        if len(cut):
            low, high = int(cut.min()), int(cut.max())
            self.shortest, self.longest = (
                (min(self.shortest, low), max(self.longest, high)) if self.snapped else (low, high)
            )
            self.snapped += len(cut)

    def keep_only(self, counted: CaptureInfo, late_ns: int) -> None:
        """Not all frames that were counted here were wanted: only those that were counted there. ``late_ns``: what was
        taken out of their times.
        """
        if counted.packets < self.packets:
            wanted = [drops for before, drops in self.drop_counts if before < counted.packets]
            self.drops = wanted[-1] if wanted else None
        self.packets = counted.packets
        self.first_ns = counted.first_ns + late_ns if counted.first_ns is not None else None
        self.last_ns = counted.last_ns + late_ns if counted.last_ns is not None else None
        self.link_types = counted.link_types
        self.snapped, self.shortest, self.longest = counted.snapped, counted.shortest, counted.longest

    def add_drops(self, before: int, drops: int) -> None:
        """So many packets were dropped in all, as the file says behind ``before`` others."""
        if self.drops is not None and drops <= self.drops:
            return
        self.drops = drops
        if len(self.drop_counts) == bounds.DROP_COUNTS:
            self.drop_counts.pop()
        self.drop_counts.append((before, drops))

    def add_secrets(self, body: bytes) -> None:
        """A Decryption Secrets Block. Where too much waits that nobody takes it is not kept."""
        self.has_secrets = True
        if self.secret_bytes + len(body) > bounds.SECRETS_WAITING:
            self.secrets_missed += 1
            return
        self.secrets.append(body)
        self.secret_bytes += len(body)

    def take_secrets(self) -> tuple[list[bytes], int]:
        """The blocks that came since this was last asked, and how many were not kept."""
        blocks, self.secrets, self.secret_bytes = self.secrets, [], 0
        missed, self.secrets_missed = self.secrets_missed, 0
        return blocks, missed

    def add_passed(self, counted: CaptureInfo) -> None:
        """Add what another reader counted of frames that were passed over here."""
        times = [(info.first_ns, info.last_ns) for info in (self, counted)]
        self.first_ns = min((first for first, _ in times if first is not None), default=None)
        self.last_ns = max((last for _, last in times if last is not None), default=None)
        self.link_types |= counted.link_types
        if counted.snapped:
            self.shortest = min(self.shortest, counted.shortest) if self.snapped else counted.shortest
            self.longest = max(self.longest, counted.longest)
            self.snapped += counted.snapped

    @property
    def snap_length(self) -> int:
        """What every frame was cut to that was cut; 0 where none was, or where somebody kept of each what mattered."""
        return self.longest if self.shortest == self.longest else 0
