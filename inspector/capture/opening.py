"""Files, wherever they lie: paths of this machine, and URLs of object stores and file systems (``s3://…``), which
fsspec opens where it is installed.
"""

from __future__ import annotations

import io
import os
import re
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import urlsplit

from inspector.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""What a URL begins with (RFC 3986, section 3.1); of two characters at least, so that no drive letter is one."""

REMOTE_BUFFER = 1 << 20
"""Bytes that are asked for at once of a file elsewhere."""


MOST_WORDS = 300
"""Characters of an error that a library raised."""


def is_url(path: str) -> bool:
    """Whether a path is a URL."""
    return SCHEME.match(path) is not None


def open_file(path: str) -> tuple[BinaryIO, int]:
    """A file to read, and its size in bytes. Raises OSError, UsageError where what opens URLs is not installed."""
    if is_url(path):
        return _open_url(path)
    raw = open(path, "rb")  # noqa: SIM115 - whoever called closes it
    return raw, os.fstat(raw.fileno()).st_size


def file_size(path: str) -> int:
    """In bytes; 0 where it cannot be told."""
    try:
        file, size = open_file(path)
    except OSError:
        return 0
    file.close()
    return size


def _open_url(url: str) -> tuple[BinaryIO, int]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # an extra: most lie on this machine
    except ImportError:
        raise UsageError(f"{url}: needs fsspec", "pip install 'vip-inspector[fleet]'") from None
    if "@" in urlsplit(url).netloc:
        raise UsageError(
            "a URL with a name or a password in it would stand in the analysis", "fsspec's settings hold them"
        )
    try:
        with _Elsewhere(ImportError, ValueError):
            system, path = url_to_fs(url)
            file = system.open(path, "rb")
            size = int(system.size(path) or 0)
    except (ImportError, ValueError) as error:  # a scheme that nothing installed knows
        raise UsageError(f"{url}: {error}") from None
    return io.BufferedReader(RemoteFile(file), REMOTE_BUFFER), size


class RemoteFile(io.RawIOBase):
    """A file elsewhere. Whatever goes wrong there is an OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """Whether it is."""
        with _Elsewhere():
            return self._file.seekable()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """How many bytes were read; 0 at the end. Raises OSError."""
        view = memoryview(buffer).cast("B")
        with _Elsewhere():
            octets = self._file.read(len(view))
            view[: len(octets)] = octets
            return len(octets)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Raises OSError."""
        with _Elsewhere():
            return self._file.seek(offset, whence)

    def close(self) -> None:
        """Raises OSError."""
        if not self.closed:
            super().close()
            with _Elsewhere():
                self._file.close()


class _Elsewhere:
    """A context in which a library for files elsewhere is called: each raises errors of its own kinds."""

    def __init__(self, *foreseen: type[Exception]) -> None:
        """``foreseen``: what is raised further as it is."""
        self._foreseen: tuple[type[Exception], ...] = (OSError, MemoryError, *foreseen)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if isinstance(error, Exception) and not isinstance(error, self._foreseen):
            raise OSError(f"{type(error).__name__}: {str(error)[:MOST_WORDS]}") from error
        return False
