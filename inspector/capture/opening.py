"""Files, wherever they lie: paths of this machine, and URLs of object stores and file systems (``s3://…``), which
fsspec opens where it is installed.
"""

from __future__ import annotations

import io
import os
import re
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from inspector.errors import UsageError

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""What a URL begins with (RFC 3986, section 3.1); of two characters at least, so that no drive letter is one."""

REMOTE_BUFFER = 1 << 20
"""Bytes that are asked for at once of a file elsewhere."""


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
        system, path = url_to_fs(url)
        file = system.open(path, "rb")
        size = int(system.size(path) or 0)
    except (ImportError, ValueError) as error:  # a scheme that nothing installed knows
        raise UsageError(f"{url}: {error}") from None
    return io.BufferedReader(cast("io.RawIOBase", file), REMOTE_BUFFER), size
