"""Capture files as one story: formats told by content, directories, rotated sets, and captures merged by time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import BinaryIO

import numpy as np

from inspector import bounds
from inspector.capture import pcap, pcapng
from inspector.capture.blocks import ByteSource
from inspector.capture.compression import Counted, Prefixed, inflate
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.capture.inputs import SQLITE, find, identity
from inspector.capture.opening import open_file
from inspector.capture.stamps import Stamps
from inspector.errors import UnreadableError
from inspector.errors.captures import ReadingStopped
from inspector.errors.notice import ForeignText

PEEK_BYTES = 1 << 16

Progress = Callable[[int], None]

standard_input: BinaryIO | None = None
"""What ``-`` means where the terminal has taken the place of standard input; None for standard input itself."""


class CaptureFile:
    """One input of the story. Opening it reads only its start, to learn the format and the time of the first frame,
    put right as all are; where that does not come soon, ``first_ns`` stays None.
    """

    def __init__(self, path: str, most_packets: int | None = None) -> None:
        """``most_packets``: reading ends behind so many."""
        self.info = CaptureInfo(path)
        self.first_ns: int | None = None
        self.passing = 0
        """As in ``read_pcap``."""
        self.is_cut = False
        """Reading ended behind so many packets, and there are more."""
        self._most_packets = most_packets
        self._standard_input: ByteSource | None = None
        self.size = 0
        if path == "-":
            self._standard_input = ByteSource(
                inflate(Prefixed(standard_input or sys.stdin.buffer)), is_hasty=most_packets is not None
            )
            self._check(self._standard_input)
            return
        source = self._open(None, PEEK_BYTES, bounds.FIRST_FRAME_BYTES)
        self._check(source)
        info = CaptureInfo(path)
        for batch in islice(_frames(source, info), 1):
            Stamps(info).put_right(batch)
            self.first_ns = int(batch.time_ns.min())

    def _open(self, progress: Progress | None, size: int | None = None, most: int | None = None) -> ByteSource:
        path = self.info.path
        try:
            raw, self.size = open_file(path)  # closed when the source is exhausted or dropped
            counted = Counted(raw, progress)
            stream = inflate(counted)
            if size is None and stream is counted and PEEK_BYTES < self.size < bounds.BATCH_BYTES:
                size = self.size
            return ByteSource(stream, size=size, most=most) if size else ByteSource(stream)
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror or error}") from None

    def _check(self, source: ByteSource) -> None:
        buffer, end = source.view()
        head = bytes(buffer[: min(end, 32)])
        path = self.info.path
        if not head:
            raise UnreadableError(
                f"{path}: damaged compression: {source.problem}" if source.problem else f"{path}: the file is empty"
            )
        if head[:4] in pcap.MAGIC:
            if end < pcap.HEADER_BYTES:
                raise UnreadableError(f"{path}: the file ends inside its header")
        elif head[:4] == pcapng.MAGIC:
            if end < pcapng.FIRST_BYTES:
                raise UnreadableError(f"{path}: the file ends inside its header")
        elif head.startswith(SQLITE):
            raise UnreadableError(
                f"{path}: a journal holds no packets", "watch --incidents DIRECTORY and -w FILE keep them"
            )
        else:
            from inspector.capture.foreign import foreign  # only what is no capture is looked up there

            foreign_form = foreign(bytes(buffer[: min(end, PEEK_BYTES)]), path)
            if foreign_form is None:
                raise UnreadableError(
                    f"{path}: not a pcap or pcapng file",
                    "inspector reads pcap and pcapng, also compressed by gzip, zstd, xz or bzip2",
                )
            raise UnreadableError(f"{path}: {foreign_form.name}, not pcap or pcapng", foreign_form.command)

    def batches(self, progress: Progress | None = None) -> Iterator[FrameBatch]:
        """All frames, in file order, their stamps put right. Damage is noted in ``info``; nothing is raised once the
        file has been opened.
        """
        source = self._standard_input or self._open(progress)
        info = self.info
        stamps = Stamps(info)
        frames = _frames(source, info, self.passing)
        for batch in frames if self._most_packets is None else self._first(frames, self._most_packets):
            stamps.put_right(batch)
            yield batch
        if source.problem and not self.is_cut:
            info.truncated = True
            info.damage = ReadingStopped(info.packets, ForeignText(source.problem))
        info.bytes_read = source.total

    def _first(self, frames: Iterator[FrameBatch], most: int) -> Iterator[FrameBatch]:
        """So many frames, as if there were no more: what a reader notes of what comes later is taken back."""
        info, left = self.info, most
        damage, is_truncated = info.damage, info.truncated
        for batch in frames:
            if len(batch) > left:
                self.is_cut = True
                info.damage, info.truncated = damage, is_truncated
                if left:
                    yield batch.select(slice(0, left))
                return
            left -= len(batch)
            yield batch
            damage, is_truncated = info.damage, info.truncated


def _frames(source: ByteSource, info: CaptureInfo, passing: int = 0) -> Iterator[FrameBatch]:
    head = bytes(source.view()[0][:4])
    return pcapng.read_pcapng(source, info) if head == pcapng.MAGIC else pcap.read_pcap(source, info, passing)


class Story:
    """Several captures read as one: ``captures`` in the order of their first frames, and of their names where these
    came at once; ``problems`` names inputs that could not be read.
    """

    def __init__(
        self,
        paths: Sequence[str],
        late: Mapping[int, int] | None = None,
        first_capture: int = 0,
        most_packets: int | None = None,
    ) -> None:
        """Opens every input. ``late``: by how many nanoseconds the clocks of some captures are late, by index in
        ``captures``: taken out of the times of their frames. ``first_capture``: where these are a part of a longer
        story, how many captures stand before them there. ``most_packets``: reading ends behind so many; of several
        captures those are read that came first, by their times, of one those that stand first in it. Raises
        UnreadableError where none of them is a capture.
        """
        self.late = dict(late or {})
        self.first_capture = first_capture
        self.problems: list[tuple[str, UnreadableError]] = []
        self._most_packets = most_packets
        self.is_cut = False
        """Reading ended behind so many packets, and there are more."""
        self.before: Mapping[int, Sequence[FrameBatch]] = {}
        """Frames of captures before these, by their numbers, that are read with them."""
        opened: list[CaptureFile] = []
        missing: list[UnreadableError] = []
        for argument in paths:
            try:
                for path in find([argument]):
                    self._try(path, opened)
            except UnreadableError as error:
                missing.append(error)
                self.problems.append((argument, error))
        if not opened:
            if self.problems:
                raise self.problems[0][1]
            raise UnreadableError("no capture given")
        if len(opened) > 1:
            unique: dict[object, CaptureFile] = {}
            sizes = Counter(file.size for file in opened)  # copies are of one size: most files need not be compared
            for file in opened:
                path = file.info.path
                unique.setdefault(identity(path) if sizes[file.size] > 1 else path, file)
            opened = list(unique.values())
        self.captures = sorted(opened, key=lambda f: (f.first_ns is None, f.first_ns or 0, f.info.path))
        self.bytes = sum(file.size for file in self.captures)

    @property
    def first_ns(self) -> int | None:
        """When the first frame came, as far as that is known before any is read."""
        return min((file.first_ns for file in self.captures if file.first_ns is not None), default=None)

    def _try(self, path: str, opened: list[CaptureFile]) -> None:
        try:
            opened.append(CaptureFile(path, self._most_packets))
        except UnreadableError as error:
            self.problems.append((path, error))

    def pass_over(self, bytes_before: float) -> None:
        """Frames up to there, in bytes of frames and the headers before them, are not wanted: they are passed over as
        far as that can be done. Of captures that are compared all are wanted.
        """
        if len(self.captures) == 1:
            self.captures[0].passing = int(bytes_before)

    @property
    def passed(self) -> int:
        """How many such bytes were passed over; known with the first window."""
        return self.captures[0].info.passed

    def batches(self, progress: Progress | None = None) -> Iterator[FrameBatch]:
        """All frames, window by window."""
        for window in self.windows(progress):
            yield from window

    def windows(self, progress: Progress | None = None) -> Iterator[list[FrameBatch]]:
        """All frames that are to be read. A window holds one batch of each capture that has frames up to a common
        moment; all later frames come in later windows.
        """
        windows = self._windows(progress)
        yield from windows if self._most_packets is None else self._first(windows, self._most_packets)

    def _first(self, windows: Iterator[list[FrameBatch]], most: int) -> Iterator[list[FrameBatch]]:
        counted = [CaptureInfo(file.info.path) for file in self.captures]
        left = most
        for window in windows:
            chosen = _earliest(window, left)
            for batch in chosen:
                counted[batch.capture - self.first_capture].count(batch)
            self.is_cut = sum(map(len, window)) > left
            left -= sum(map(len, chosen))
            if chosen:
                yield chosen
            if self.is_cut:
                break
        self.is_cut = self.is_cut or any(file.is_cut for file in self.captures)
        if self.is_cut:  # readers counted whole buffers
            for index, (file, info) in enumerate(zip(self.captures, counted, strict=True)):
                file.info.keep_only(info, self.late.get(index, 0))

    def _windows(self, progress: Progress | None) -> Iterator[list[FrameBatch]]:
        waiting = sorted(enumerate(self.captures), key=lambda item: (item[1].first_ns is None, self._first_ns(*item)))
        before = (_Cursor(iter(batches), capture, 0) for capture, batches in self.before.items())
        active = [cursor for cursor in before if cursor.load()]
        while waiting or active:
            while waiting and (not active or self._first_ns(*waiting[0]) <= max(c.last_ns() for c in active)):
                index, file = waiting.pop(0)
                cursor = _Cursor(file.batches(progress), self.first_capture + index, self.late.get(index, 0))
                if cursor.load():
                    active.append(cursor)
            if len(active) == 1 and not waiting:
                yield from ([batch] for batch in active[0].rest())
                return
            until = min((c.last_ns() for c in active), default=0)
            parts = [(cursor, cursor.take(until)) for cursor in active]
            window = [batch for _, batch in parts if batch is not None]
            if window:
                yield window
            active = [cursor for cursor in active if cursor.batch is not None or cursor.load()]

    def _first_ns(self, index: int, file: CaptureFile) -> int:
        return (file.first_ns or 0) - self.late.get(index, 0)


def _earliest(window: Sequence[FrameBatch], count: int) -> list[FrameBatch]:
    """The first so many frames of a window: of one capture in its order, of several in the order of time."""
    if sum(map(len, window)) <= count:
        return [*window]
    if len(window) == 1:
        return [window[0].select(slice(0, count))] if count else []
    times = np.concatenate([batch.time_ns for batch in window])
    captures = np.concatenate([np.full(len(batch), batch.capture) for batch in window])
    is_chosen = np.zeros(len(times), np.bool_)
    is_chosen[np.lexsort((captures, times))[:count]] = True
    rows = np.split(is_chosen, np.cumsum([len(batch) for batch in window])[:-1])
    return [batch.select(chosen) for batch, chosen in zip(window, rows, strict=True) if chosen.any()]


class _Cursor:
    """One capture's current batch in the merge."""

    def __init__(self, batches: Iterator[FrameBatch], capture: int, late: int) -> None:
        self._batches = batches
        self._capture = capture
        self._late = late
        self.batch: FrameBatch | None = None

    def load(self) -> bool:
        self.batch = next(self._batches, None)
        if self.batch is not None:
            self.batch.capture = self._capture
            if self._late:
                self.batch.time_ns = self.batch.time_ns - self._late
        return self.batch is not None

    def last_ns(self) -> int:
        assert self.batch is not None
        return int(self.batch.time_ns.max())

    def take(self, until: int) -> FrameBatch | None:
        """Frames up to a moment; keeps the others."""
        assert self.batch is not None
        early = self.batch.time_ns <= until
        if early.all():
            whole, self.batch = self.batch, None
            return whole
        if not early.any():
            return None
        part, self.batch = self.batch.select(early), self.batch.select(np.logical_not(early))
        return part

    def rest(self) -> Iterator[FrameBatch]:
        while self.batch is not None:
            yield self.batch
            self.load()
