"""Tasks that this process and copies of it (``ForkedCopy``) do side by side, their results in order.

A pipe holds the numbers of tasks that may be begun, and whoever is free takes the next: the kernel gives each number to
one of them. So none waits for another, whatever else this process has to do meanwhile, and however busy each core is.
Copies write their results into files without a name that all share, a few (``window``) that are used in turn: only when
this process has handed on a result may the task begin that needs its file, so that nobody gets far ahead and memory
stays bounded. What this process does itself it keeps in memory. Each copy has a pipe besides, through which it says
what it has done; when that ends, so has the copy.

A copy that ends before its time was killed, mostly for want of memory. Then the others are let go as well, and this
process does alone what is not done.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple

from inspector.system.anonymous_files import anonymous_file
from inspector.system.forked_copy import ForkedCopy

Task = Callable[[BinaryIO], object]
"""Writes its result."""

WINDOW = 64
"""So many results are kept at most. Their numbers fit into every pipe, and this many files into every limit."""

NUMBER = struct.Struct("=I")
DONE = struct.Struct("=IQ")
"""A task that a copy has done, and how many bytes its result is."""

READ_BYTES = 1 << 16
COPIED_BYTES = 1 << 20


class TaskResult(NamedTuple):
    """What a task wrote: ``length`` bytes, which are in memory where there is no file."""

    length: int
    file: BinaryIO | None = None
    in_memory: bytes = b""

    def read(self, start: int, length: int) -> bytes:
        """So many bytes of it. Raises OSError where they are not there any more."""
        if self.file is None:
            return self.in_memory[start : start + length]
        parts, end = [], start + length
        while start < end:
            parts.append(os.pread(self.file.fileno(), end - start, start))
            start += len(parts[-1])
            if not parts[-1]:
                raise OSError("a result is no longer where it was written")
        return b"".join(parts)

    def append_to(self, out: BinaryIO) -> None:
        """Write it; in the kernel where that can. Raises OSError where it cannot be written."""
        if self.file is None:
            out.write(self.in_memory)
            return
        start = 0
        target = plain_file(out)
        if target is not None:
            out.flush()
            with contextlib.suppress(OSError):  # one that does not take this
                while start < self.length:
                    start += os.sendfile(target.fileno(), self.file.fileno(), start, self.length - start)
        while start < self.length:
            data = self.read(start, min(COPIED_BYTES, self.length - start))
            out.write(data)
            start += len(data)


def plain_file(out: BinaryIO) -> io.FileIO | None:
    """The file of the kernel's that takes what is written as it is; None where there is none, or where what is written
    becomes something else on its way, as in a compressed file.
    """
    raw = out.raw if isinstance(out, io.BufferedWriter) else out
    return raw if isinstance(raw, io.FileIO) else None


class ForkedPool:
    """Copies are at work from the beginning on, and let go at the end of the context."""

    def __init__(
        self,
        tasks: Sequence[Task],
        copies: int,
        window: int = WINDOW,
        new_file: Callable[[], BinaryIO] = anonymous_file,
    ) -> None:
        """``copies``: how many beside this process; there are fewer where the system gives no more. ``new_file``: one
        for results.
        """
        self._tasks = tasks
        self._files: list[BinaryIO] = []
        self._results: dict[int, TaskResult] = {}
        """What is done and not handed on, by the number of its task."""
        self._permitted = 0
        self._copies: dict[int, ForkedCopy] = {}
        """Those at work, by the pipe through which each says what it has done."""
        self._listening = select.poll()
        self._resources = contextlib.ExitStack()
        copies = min(copies, len(tasks) - 1)
        if copies <= 0:
            return
        try:
            self._files += [self._resources.enter_context(new_file()) for _ in range(min(window, len(tasks)))]
            self._permits, permitting = os.pipe()
            self._resources.callback(os.close, self._permits)
            self._permitting = self._resources.enter_context(os.fdopen(permitting, "wb", buffering=0))
            os.set_blocking(self._permits, False)
            self._permit(len(self._files))
            for _ in range(copies):
                self._begin()
        except OSError:  # those that there are will do
            if not self._copies:
                self._files.clear()
                self.close()

    def _begin(self) -> None:
        """One more copy. Raises OSError where there can be none."""
        listening, telling = os.pipe()
        try:
            self._copies[listening] = ForkedCopy(partial(self._work, telling))
        except OSError:
            os.close(listening)
            raise
        finally:
            os.close(telling)
        self._listening.register(listening, select.POLLIN)

    def _work(self, telling: int) -> None:
        """In the copy, until there is nothing left to begin."""
        self._permitting.close()
        waiting = select.poll()
        waiting.register(self._permits, select.POLLIN)
        while True:
            waiting.poll()
            try:
                permit = os.read(self._permits, NUMBER.size)
            except BlockingIOError:  # another was faster
                continue
            if not permit:
                break
            (number,) = NUMBER.unpack(permit)
            os.write(telling, DONE.pack(number, self._write(number)))

    def _file(self, number: int) -> BinaryIO:
        """Where a copy writes the result of a task."""
        return self._files[number % len(self._files)]

    def _write(self, number: int) -> int:
        """In the copy: a task; says how long its result is."""
        descriptor = self._file(number).fileno()
        os.truncate(descriptor, 0)  # who began with it may have been killed
        os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "wb", closefd=False) as file:
            self._tasks[number](file)
        return os.fstat(descriptor).st_size

    def __enter__(self) -> ForkedPool:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let all copies go, whether what they do is wanted or not."""
        self._let_go()
        self._resources.close()

    def results(self) -> Iterator[TaskResult]:
        """All of them, in order; each is there until the next is asked for. Raises what a task raises."""
        for number in range(len(self._tasks)):
            while self._copies and number not in self._results:
                self._go_on(number)
            result = self._results.pop(number, None) or self._done_here(number)
            yield result
            if result.file is not None:
                os.truncate(result.file.fileno(), 0)
            if self._copies:
                self._permit(1)

    def _done_here(self, number: int) -> TaskResult:
        """A task that this process does itself."""
        out = io.BytesIO()
        self._tasks[number](out)
        octets = out.getvalue()
        return TaskResult(len(octets), None, octets)

    def _permit(self, count: int) -> None:
        """So many more tasks may begin."""
        numbers = range(self._permitted, min(self._permitted + count, len(self._tasks)))
        if numbers:
            self._permitting.write(b"".join(map(NUMBER.pack, numbers)))
            self._permitted = numbers.stop
        if self._permitted == len(self._tasks):
            self._permitting.close()

    def _go_on(self, wanted: int) -> None:
        """Hear what copies have done, and do a task where there is one. ``wanted``: the next whose result is."""
        self._hear(is_waiting=False)
        if wanted in self._results:
            return
        number = self._next() if self._copies else None
        if number is not None:
            self._results[number] = self._done_here(number)
        elif self._copies:
            self._hear(is_waiting=True)

    def _next(self) -> int | None:
        """A task that this process may begin; None where there is none now."""
        try:
            permit = os.read(self._permits, NUMBER.size)
        except BlockingIOError:
            return None
        return NUMBER.unpack(permit)[0] if permit else None

    def _hear(self, *, is_waiting: bool) -> None:
        """What copies say, and which have ended. ``is_waiting``: for one of them."""
        for listening, _ in self._listening.poll(None if is_waiting else 0):
            if listening in self._copies and not self._read(listening) and not self._end(listening).has_succeeded():
                self._let_go()

    def _read(self, listening: int) -> bool:
        """Whether a copy said anything more."""
        said_bytes = os.read(listening, READ_BYTES)
        for number, length in DONE.iter_unpack(said_bytes):
            self._results[number] = TaskResult(length, self._file(number))
        return bool(said_bytes)

    def _end(self, listening: int) -> ForkedCopy:
        """What is known of a copy that says nothing more."""
        self._listening.unregister(listening)
        os.close(listening)
        return self._copies.pop(listening)

    def _let_go(self) -> None:
        """All copies, after what they have done."""
        for listening, copy in list(self._copies.items()):
            copy.drop()
            while self._read(listening):
                pass
            self._end(listening)
