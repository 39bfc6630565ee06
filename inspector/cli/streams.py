"""Standard streams and output files: every way in which a command writes. Whatever cannot be written becomes one error
here, so that no command tells it in its own way.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import BinaryIO, TextIO

from inspector.errors import ReaderLeftError, UnwritableError
from inspector.text.safe import path_text
from inspector.text.terminal import TerminalText

BUFFER_BYTES = 1 << 16


class _FailingOnce(io.FileIO):
    """A file that raises OutputError, once: what is written behind that is lost. An OSError of a pipe never reaches
    click, which ends the program by itself there.
    """

    def __init__(self, file: str | int, name: str, opener: Callable[[str, int], int] | None = None) -> None:
        self._shown_name = name
        self._has_failed = False
        super().__init__(file, "wb", closefd=isinstance(file, str), opener=opener)

    def write(self, data: object) -> int:
        """Raises OutputError."""
        if self._has_failed:
            return len(memoryview(data))  # type: ignore[arg-type]
        try:
            while (count := super().write(data)) is None:  # type: ignore[arg-type]
                select.select((), (self,), ())  # somebody else made the terminal or pipe a non-blocking one
        except OSError as error:
            self._has_failed = True
            if error.errno == errno.EPIPE:
                raise ReaderLeftError(self._shown_name) from None
            raise UnwritableError(f"{self._shown_name}: {error.strerror or error}") from None
        return count


class _Forgiving(io.FileIO):
    """Standard error: what cannot be said there is lost, and changes nothing about what the command does."""

    def write(self, data: object) -> int:
        """Never raises OSError."""
        try:
            count = super().write(data)  # type: ignore[arg-type]
        except OSError:
            count = None
        return len(memoryview(data)) if count is None else count  # type: ignore[arg-type]


def output_file(path: str) -> BinaryIO:
    """A file that a command was told to write. Raises OutputError, as all writing to it does."""
    return _opened(path, path)


def private_file(path: str, name: str) -> BinaryIO:
    """A new file that only its owner can read; no link is followed, nothing written over. ``name``: of whatever it
    becomes, for errors. Raises OutputError, as all writing to it does.
    """
    return _opened(path, name, _created_privately)


def is_dumb() -> bool:
    """Whether the terminal moves no cursor, as that inside of an editor does not."""
    return os.environ.get("TERM") == "dumb"


def is_folder(path: str) -> bool:
    """Whether what is written goes into a folder: one that is there, or one that a ``/`` behind it says, which is made.
    Raises OutputError.
    """
    if path.endswith("/"):
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise UnwritableError(f"{path_text(path)}: {error.strerror or error}") from None
    return os.path.isdir(path)


def _opened(path: str, name: str, opener: Callable[[str, int], int] | None = None) -> BinaryIO:
    try:
        return io.BufferedWriter(_FailingOnce(path, path_text(name), opener), BUFFER_BYTES)
    except OSError as error:
        raise UnwritableError(f"{path_text(name)}: {error.strerror or error}") from None


def _created_privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def note(text: str) -> None:
    """Say something beside the output: on standard error, in lines of a terminal's width where that is one."""
    import shutil

    from inspector.text.cells import wrapped

    line = f"inspector: {text}"
    lines = wrapped(line, "", "  ", shutil.get_terminal_size().columns) if sys.stderr.isatty() else [line]
    sys.stderr.write("\n".join([*lines, ""]))


def require_writable(path: str) -> None:
    """Before work is done whose result is to stand there; nothing is made or changed. Raises OutputError."""
    is_there = os.path.lexists(path)
    directory = os.path.dirname(os.path.abspath(path))
    if is_there or not os.path.isdir(directory):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno != errno.ENXIO:  # a pipe that nobody reads yet
                raise UnwritableError(f"{path_text(path)}: {error.strerror or error}") from None
    elif not os.access(directory, os.W_OK | os.X_OK):
        raise UnwritableError(f"{path_text(path)}: the directory cannot be written")


def take_over_standard_streams() -> None:
    """From here on standard output raises OutputError, and standard error nothing. One that was closed is a stream
    like the others, which cannot be read or written: no file that is opened later comes to stand in its place.
    """
    closed = [number for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)) if stream is None]
    for number in closed:
        _fill(number)
    if 0 in closed:
        sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115 - stays open
    sys.stdout = _text(_FailingOnce(1, "standard output"), sys.stdout)
    sys.stderr = _text(_Forgiving(2, "wb", closefd=False), sys.stderr, is_line_buffered=True)


def flush_standard_output() -> None:
    """What is still held is written. Raises OutputError."""
    if not sys.stdout.closed:
        sys.stdout.flush()


def _fill(number: int) -> None:
    """The null device where nothing is open: for reading only where it would be written to, so that writing fails."""
    try:
        os.fstat(number)
    except OSError:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        if descriptor != number:
            os.dup2(descriptor, number)
            os.close(descriptor)


def _text(raw: io.FileIO, before: TextIO | None, is_line_buffered: bool = False) -> TerminalText:
    """Text as the stream before it had it; Python leaves out one that was closed."""
    return TerminalText(
        io.BufferedWriter(raw, BUFFER_BYTES),
        encoding=before.encoding if before is not None else "utf-8",
        errors=(before.errors if before is not None else None) or "backslashreplace",
        line_buffering=is_line_buffered or raw.isatty(),
    )


def unbuffered_output() -> io.FileIO:
    """Standard output, where each write reaches it; raises OutputError, as all writing to it does."""
    return _FailingOnce(1, "standard output")
